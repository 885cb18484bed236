//! What every cloud's requests have in common: who sends them, and the bytes that are sent.
//!
//! Pure: the keys are passed in. Nothing here sends.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::credentials::Keys;
use crate::provider::error::{Class, ProviderError};
use crate::provider::signer::SigningKeys;
use crate::secret::{Secret, WipedBuffer};

/// RFC 3986's unreserved characters stay as they are, as in the official SDKs of all clouds.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// How a request shows who sends it.
#[derive(Clone, Copy, Debug)]
pub(in crate::provider) enum Auth<'a> {
    Signed {
        id: &'a str,
        secret: &'a Secret,
        /// With temporary keys.
        token: Option<&'a Secret>,
    },
    /// The parameters hold the proof.
    Unsigned,
}

impl<'a> From<&'a SigningKeys> for Auth<'a> {
    fn from(keys: &'a SigningKeys) -> Self {
        Self::Signed {
            id: keys.id(),
            secret: keys.secret(),
            token: keys.token(),
        }
    }
}

impl<'a> From<&'a Keys> for Auth<'a> {
    fn from(keys: &'a Keys) -> Self {
        Self::Signed {
            id: &keys.access_key_id,
            secret: &keys.secret_access_key,
            token: Some(&keys.session_token),
        }
    }
}

/// The `Host` header for an address: without the port if it is the scheme's own.
pub(in crate::provider) fn host_of(url: &str) -> String {
    let (bare, port) = match url.strip_prefix("http://") {
        Some(bare) => (bare, ":80"),
        None => (url.strip_prefix("https://").unwrap_or(url), ":443"),
    };
    let host = bare.split('/').next().unwrap_or_default();
    host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase()
}

/// Everything but unreserved characters escaped.
pub(in crate::provider) fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The very bytes that are signed and sent.
pub(in crate::provider) fn body_of(
    parameters: &impl Serialize,
    confidential: &[&Secret],
) -> WipedBuffer {
    let secrets: usize = confidential.iter().map(|it| it.expose().len()).sum();
    let mut body = WipedBuffer::with_capacity(secrets * 2);
    serde_json::to_writer(&mut body, parameters)
        .expect("parameters are structs of text and numbers, and the buffer takes everything");
    body
}

/// What a header is for, so that an error can say which one cannot be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::provider) enum Carries {
    /// Something we chose or the configuration says; the text names it.
    Setting(&'static str),
    /// A signature, with the id of the key that made it.
    Signature,
    /// A token that opens doors.
    Token,
}

/// Sets a header, marked as sensitive if it is.
pub(in crate::provider) fn set(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: &str,
    carries: Carries,
) -> Result<(), ProviderError> {
    let what = match carries {
        Carries::Setting(what) => what,
        Carries::Signature => "the id of the access key",
        Carries::Token => "the session token",
    };
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        ProviderError::new(
            Class::Final,
            format!("{what} holds characters that no HTTP header can carry"),
        )
        .not_sent()
    })?;
    value.set_sensitive(matches!(carries, Carries::Signature | Carries::Token));
    headers.insert(name, value);
    Ok(())
}

/// Everything in a request that its answer could repeat to our harm.
pub(in crate::provider) fn secrets_in<'a>(
    auth: Auth<'a>,
    confidential: &[&'a Secret],
) -> Vec<&'a str> {
    let mut secrets: Vec<&str> = confidential.iter().map(|it| it.expose()).collect();
    if let Auth::Signed { secret, token, .. } = auth {
        secrets.push(secret.expose());
        secrets.extend(token.map(Secret::expose));
    }
    secrets
}

/// A service may quote the parameter it refuses, and that may be a token.
pub(in crate::provider) fn without(text: &str, secrets: &[&str]) -> String {
    secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| {
            text.replace(secret, "(redacted)")
        })
}

#[cfg(test)]
mod tests {
    use super::{host_of, url_encoded, without};

    #[test]
    fn a_host_carries_its_port_unless_it_is_the_default() {
        for (url, host) in [
            ("https://sts.tencentcloudapi.com", "sts.tencentcloudapi.com"),
            (
                "https://STS.tencentcloudapi.com:443/",
                "sts.tencentcloudapi.com",
            ),
            ("https://a.example:8443", "a.example:8443"),
            ("http://127.0.0.1:80", "127.0.0.1"),
            ("http://[::1]:443", "[::1]:443"),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }

    #[test]
    fn a_quoted_secret_is_taken_out_of_a_message() {
        let text = without("bad token `CANARY`, CANARY", &["CANARY", ""]);
        assert_eq!(text, "bad token `(redacted)`, (redacted)");
    }

    #[test]
    fn a_policy_is_encoded_like_the_official_sdks_do() {
        assert_eq!(
            url_encoded(r#"{"resource": ["a-b_c.d~e/*"]}"#),
            "%7B%22resource%22%3A%20%5B%22a-b_c.d~e%2F%2A%22%5D%7D"
        );
    }
}
