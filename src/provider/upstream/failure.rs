//! Why no whole answer came, in one sentence each.
//!
//! The HTTP library wraps the one fact that matters in four or five layers and prints only the
//! outermost; this digs it out. No sentence holds a header or a body, and none an address's path,
//! unless the address itself is what is wrong.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustls::CertificateError;

use crate::config::model::Upstream;
use crate::provider::error::{Class, ProviderError, foreign};

/// What kept a whole answer from coming.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TransportError {
    #[error("`{address}` is not an address that can be called")]
    BadAddress { address: String },
    #[error("`proxy` is not the address of an HTTP proxy, such as `http://proxy.example:3128`")]
    BadProxy,
    #[error("cannot read ca-file `{}`: {reason}", path.display())]
    CaFile { path: PathBuf, reason: String },
    #[error("{host}'s certificate is not trusted: {reason}")]
    Certificate { host: String, reason: String },
    #[error("{host} broke off before its answer was complete: {reason}")]
    CutOff { host: String, reason: String },
    #[error("cannot set up TLS: {reason}")]
    NoTls { reason: String },
    #[error(
        "this host trusts no certificate authority: install its package of CA certificates, or \
         set `ca-file`"
    )]
    NoTrustStore,
    #[error("cannot reach {host} through the proxy: {reason}")]
    Proxy { host: String, reason: String },
    #[error("no answer from {host} within {}", words(*after))]
    TimedOut { host: String, after: Duration },
    #[error("{host} answered with more than 256 KiB")]
    TooLarge { host: String },
    #[error("cannot reach {host}: {reason}")]
    Unreachable { host: String, reason: String },
}

impl TransportError {
    /// Whether the network or the other side was at fault, rather than our own settings.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        match self {
            Self::BadAddress { .. }
            | Self::BadProxy
            | Self::CaFile { .. }
            | Self::NoTls { .. }
            | Self::NoTrustStore => false,
            Self::Certificate { .. }
            | Self::CutOff { .. }
            | Self::Proxy { .. }
            | Self::TimedOut { .. }
            | Self::TooLarge { .. }
            | Self::Unreachable { .. } => true,
        }
    }

    /// What went wrong while building a client.
    pub(super) fn from_build(error: &reqwest::Error, settings: &Upstream) -> Self {
        let texts = chain(error).map(ToString::to_string).collect::<Vec<_>>();
        match &settings.ca_file {
            Some(path) => Self::CaFile {
                path: path.clone(),
                reason: foreign(texts.last().map_or("unknown", String::as_str)),
            },
            // The only word there is for it; see `rustls-platform-verifier`.
            None if texts.iter().any(|text| text.contains("No CA certificates")) => {
                Self::NoTrustStore
            }
            None => Self::NoTls {
                reason: foreign(texts.last().map_or("unknown", String::as_str)),
            },
        }
    }

    /// What went wrong while sending a request or reading its answer.
    pub(super) fn from_reqwest(error: &reqwest::Error, host: String, settings: &Upstream) -> Self {
        let tls = chain(error).find_map(tls_error);
        if let Some(rustls::Error::InvalidCertificate(reason)) = tls {
            let reason = distrust(reason, settings);
            return Self::Certificate { host, reason };
        }
        if error.is_builder() {
            return Self::BadAddress { address: host };
        }
        if let Some(tunnel) = chain(error)
            .map(ToString::to_string)
            .find_map(|text| text.strip_prefix("tunnel error: ").map(foreign))
        {
            let reason = io_reason(error).unwrap_or(tunnel);
            return Self::Proxy { host, reason };
        }
        if error.is_connect() {
            let reason = if error.is_timeout() {
                format!("no connection within {}", words(settings.connect_timeout))
            } else if error.is_dns() {
                "its name cannot be resolved".to_owned()
            } else if let Some(tls) = tls {
                format!("no TLS with it: {}", foreign(&tls.to_string()))
            } else {
                io_reason(error).unwrap_or_else(|| innermost(error))
            };
            return Self::Unreachable { host, reason };
        }
        if error.is_timeout() {
            let after = settings.timeout;
            return Self::TimedOut { host, after };
        }
        let reason = io_reason(error).unwrap_or_else(|| innermost(error));
        Self::CutOff { host, reason }
    }
}

impl From<TransportError> for ProviderError {
    fn from(error: TransportError) -> Self {
        if error.is_remote() {
            Self::new(Class::Transient, error.to_string())
        } else {
            Self::new(Class::Final, error.to_string()).not_sent()
        }
    }
}

/// The error and everything below it, the insides of I/O errors included, which their own
/// `source` leaves out.
fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> + 'a {
    std::iter::successors(Some(error), |layer| {
        let error: &'a (dyn Error + 'static) = *layer;
        if let Some(io) = error.downcast_ref::<io::Error>()
            && let Some(inner) = io.get_ref()
        {
            let inner: &(dyn Error + 'static) = inner;
            return Some(inner);
        }
        error.source()
    })
}

fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref()
}

/// The operating system's word, e.g. "connection refused".
fn io_reason(error: &(dyn Error + 'static)) -> Option<String> {
    chain(error)
        .filter_map(|layer| layer.downcast_ref::<io::Error>())
        .find(|io| io.raw_os_error().is_some())
        .map(|io| io.kind().to_string())
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map_or_else(
        || "for an unknown reason".to_owned(),
        |layer| foreign(&layer.to_string()),
    )
}

fn distrust(error: &CertificateError, settings: &Upstream) -> String {
    if matches!(error, CertificateError::UnknownIssuer) {
        return match &settings.ca_file {
            Some(path) => format!("ca-file `{}` does not hold its issuer", path.display()),
            None => "its issuer is not among this system's authorities; if it is your own, set \
                     `ca-file`"
                .to_owned(),
        };
    }
    if matches!(
        error,
        CertificateError::Expired | CertificateError::ExpiredContext { .. }
    ) {
        return "it has expired, unless this host's clock is ahead".to_owned();
    }
    if matches!(
        error,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
    ) {
        return "it is not valid yet, unless this host's clock is behind".to_owned();
    }
    if matches!(
        error,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    ) {
        return "it is for another name".to_owned();
    }
    foreign(&error.to_string())
}

/// A duration as people say it.
pub(crate) fn words(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
