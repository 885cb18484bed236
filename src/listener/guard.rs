//! Which requests are looked at at all. Pure: a head in, a path or a violation out.
//!
//! The checks go from "is this HTTP as we understand it" over "does this come from a local
//! program" to "may this be asked". Nothing here depends on a header that an honest client may
//! leave out, such as `User-Agent`, `Accept` or `Content-Length`.

use std::borrow::Cow;
use std::net::IpAddr;

use hyper::http::uri::Scheme;
use hyper::http::{HeaderMap, Method, StatusCode, Uri, header};

use super::host::{Hosts, may_be_target};

/// Longest request body, in bytes. No client has more than a few to send.
pub const LONGEST_BODY: u64 = 4096;

/// What a request is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    /// Whether the head said twice how long the body is.
    pub ambiguous_length: bool,
    /// The address the connection came in on.
    pub local: Option<IpAddr>,
}

/// What it is judged against.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub hosts: &'a Hosts,
    /// Hosts that absolute-form targets may name.
    pub emulated: &'a [&'static str],
    /// Whether a page of our own may ask (it must not send where it comes from).
    pub same_origin: bool,
}

/// A request worth answering.
#[derive(Debug, Eq, PartialEq)]
pub struct Admitted<'a> {
    /// With repeated slashes collapsed.
    pub path: Cow<'a, str>,
    pub query: Option<&'a str>,
}

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Violation {
    #[error("the request says in more than one way how long its body is")]
    AmbiguousLength,
    #[error("request bodies are limited to {LONGEST_BODY} bytes")]
    BodyTooLong,
    #[error("the path holds control characters")]
    ControlCharacter,
    #[error(
        "the header `{0}` shows that a browser or a proxy sent this; only local programs are answered here"
    )]
    ForeignHeader(&'static str),
    #[error(
        "the request's `Host` is none of this listener's; use its address, or add the name to `hosts` of the listener"
    )]
    ForeignHost,
    #[error(
        "this is no proxy: besides paths, only the metadata hosts emulated here may be asked for (set no_proxy for everything else)"
    )]
    ForeignTarget,
    #[error("only {} is answered here", .0.allow())]
    Method(Methods),
    #[error("a request has exactly one `Host`")]
    NotOneHost,
}

impl Violation {
    /// The answer's status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::AmbiguousLength | Self::ControlCharacter => StatusCode::BAD_REQUEST,
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ForeignHeader(_) | Self::ForeignHost | Self::ForeignTarget | Self::NotOneHost => {
                StatusCode::FORBIDDEN
            }
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// A label for metrics and audit events.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::AmbiguousLength | Self::BodyTooLong | Self::ControlCharacter => "request",
            Self::ForeignHeader(_) => "header",
            Self::ForeignHost | Self::NotOneHost => "host",
            Self::ForeignTarget => "target",
            Self::Method(_) => "method",
        }
    }

    /// Whether the rest of the connection cannot be trusted to be requests.
    #[must_use]
    pub fn closes(self) -> bool {
        matches!(
            self,
            Self::AmbiguousLength | Self::BodyTooLong | Self::ControlCharacter
        )
    }
}

/// The methods that a path answers to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Methods {
    Post,
    Put,
    Reading,
}

impl Methods {
    /// As in the header `Allow`.
    #[must_use]
    pub fn allow(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Reading => "GET, HEAD",
        }
    }

    /// Whether a request may be made with this one.
    pub fn check(self, method: &Method) -> Result<(), Violation> {
        let fits = match self {
            Self::Post => method == Method::POST,
            Self::Put => method == Method::PUT,
            Self::Reading => method == Method::GET || method == Method::HEAD,
        };
        if fits {
            Ok(())
        } else {
            Err(Violation::Method(self))
        }
    }
}

/// Judges one request, whatever its method: that depends on the path.
pub fn check<'a>(head: Head<'a>, rules: Rules<'_>) -> Result<Admitted<'a>, Violation> {
    check_form(head)?;
    let raw = head.uri.path();
    check_headers(head, rules)?;
    if head.method == Method::CONNECT {
        return Err(Violation::Method(Methods::Reading));
    }
    check_target(head.uri, rules.emulated)?;
    Ok(Admitted {
        path: collapse(raw),
        query: head.uri.query(),
    })
}

/// Whether it is clear what is asked for and where the request ends.
pub(crate) fn check_form(head: Head<'_>) -> Result<(), Violation> {
    if head.ambiguous_length || head.headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Violation::AmbiguousLength);
    }
    if has_control_character(head.uri.path()) {
        return Err(Violation::ControlCharacter);
    }
    Ok(())
}

/// One walk over the headers: most requests have three to six.
fn check_headers(head: Head<'_>, rules: Rules<'_>) -> Result<(), Violation> {
    let mut host = None;
    let mut hosts = 0_u8;
    let mut foreign = None;
    let mut body = 0;
    for (name, value) in head.headers {
        if name == header::HOST {
            hosts = hosts.saturating_add(1);
            host = Some(value);
        } else if name == header::CONTENT_LENGTH {
            let length = value.to_str().ok().and_then(|text| text.parse().ok());
            body = length.unwrap_or(u64::MAX);
        } else if let Some(culprit) = foreign_header(name.as_str(), value.as_bytes(), rules) {
            foreign = Some(culprit);
        }
    }
    if !rules.hosts.accepts_any() {
        let host = host.filter(|_| hosts == 1).ok_or(Violation::NotOneHost)?;
        let is_ours = host
            .to_str()
            .is_ok_and(|host| rules.hosts.accepts(host, head.local));
        if !is_ours {
            return Err(Violation::ForeignHost);
        }
    }
    if let Some(culprit) = foreign {
        return Err(Violation::ForeignHeader(culprit));
    }
    if body > LONGEST_BODY {
        return Err(Violation::BodyTooLong);
    }
    Ok(())
}

/// Names arrive in lower case.
fn foreign_header(name: &str, value: &[u8], rules: Rules<'_>) -> Option<&'static str> {
    match name {
        "origin" => Some("Origin"),
        "referer" => Some("Referer"),
        "x-forwarded-for" => Some("X-Forwarded-For"),
        "forwarded" => Some("Forwarded"),
        "via" => Some("Via"),
        "sec-fetch-site" => {
            let is_fine = value.eq_ignore_ascii_case(b"none")
                || rules.same_origin && value.eq_ignore_ascii_case(b"same-origin");
            (!is_fine).then_some("Sec-Fetch-Site")
        }
        _ => None,
    }
}

fn check_target(uri: &Uri, emulated: &[&str]) -> Result<(), Violation> {
    let fine = match (uri.scheme(), uri.authority()) {
        (None, None) => true,
        (Some(scheme), Some(authority)) => {
            *scheme == Scheme::HTTP && may_be_target(authority.as_str(), emulated)
        }
        (None, Some(_)) | (Some(_), None) => false,
    };
    fine.then_some(()).ok_or(Violation::ForeignTarget)
}

/// Raw ones do not get past the HTTP parser; here it is about the percent-encoded.
fn has_control_character(path: &str) -> bool {
    path.bytes().any(|b| b.is_ascii_control())
        || path.split('%').skip(1).any(|rest| {
            let [high, low] = match rest.as_bytes() {
                [high, low, ..] => [*high, *low],
                _ => return false,
            };
            matches!(high, b'0' | b'1') && low.is_ascii_hexdigit()
                || high == b'7' && low.eq_ignore_ascii_case(&b'f')
        })
}

/// Some clients put a slash too many in the middle, some at the start.
fn collapse(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut collapsed = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !collapsed.ends_with('/') {
            collapsed.push(character);
        }
    }
    Cow::Owned(collapsed)
}

#[cfg(test)]
mod tests;
