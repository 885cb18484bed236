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
    if head.ambiguous_length {
        return Err(Violation::AmbiguousLength);
    }
    let raw = head.uri.path();
    if has_control_character(raw) {
        return Err(Violation::ControlCharacter);
    }
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
        } else if name == header::TRANSFER_ENCODING {
            return Err(Violation::AmbiguousLength);
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
mod tests {
    use hyper::http::{Method, Request};
    use proptest::prelude::*;

    use super::{Admitted, Head, Methods, Rules, Violation, check};
    use crate::listener::host::Hosts;

    const EMULATED: [&str; 1] = ["metadata.tencentyun.com"];

    /// `METHOD TARGET`, then a header a line.
    fn judge(text: &str, hosts: &Hosts) -> Result<(String, Option<String>), Violation> {
        let mut lines = text.lines();
        let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(target);
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let head = Head {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            ambiguous_length: false,
            local: None,
        };
        let rules = Rules {
            hosts,
            emulated: &EMULATED,
            same_origin: false,
        };
        check(head, rules)
            .map(|Admitted { path, query }| (path.into_owned(), query.map(ToOwned::to_owned)))
    }

    fn tcp() -> Hosts {
        Hosts::at("127.0.0.1:9470".parse().unwrap(), &EMULATED, &[])
    }

    #[test]
    fn a_path_answers_to_its_own_methods() {
        for (methods, right) in [
            (Methods::Post, vec![Method::POST]),
            (Methods::Put, vec![Method::PUT]),
            (Methods::Reading, vec![Method::GET, Method::HEAD]),
        ] {
            for method in [
                Method::GET,
                Method::HEAD,
                Method::OPTIONS,
                Method::POST,
                Method::PUT,
            ] {
                let refused = methods.check(&method).is_err();
                assert_eq!(refused, !right.contains(&method), "{methods:?} {method}");
            }
        }
        let refusal = Violation::Method(Methods::Put).to_string();
        assert_eq!(refusal, "only PUT is answered here");
    }

    #[test]
    fn what_is_refused() {
        use Violation as V;
        for (head, expected) in [
            ("GET /", V::NotOneHost),
            ("GET /\nhost: 127.0.0.1\nhost: 127.0.0.1", V::NotOneHost),
            ("GET /\nhost: evil.example", V::ForeignHost),
            ("GET /\nhost: evil.example\norigin: null", V::ForeignHost),
        ] {
            assert_eq!(judge(head, &tcp()), Err(expected), "{head}");
        }
        for (head, expected) in [
            ("GET /\norigin: null", V::ForeignHeader("Origin")),
            ("GET /\nreferer: http://a/", V::ForeignHeader("Referer")),
            (
                "GET /\nx-forwarded-for: a",
                V::ForeignHeader("X-Forwarded-For"),
            ),
            ("GET /\nforwarded: for=a", V::ForeignHeader("Forwarded")),
            ("GET /\nvia: 1.1 a", V::ForeignHeader("Via")),
            (
                "GET /\nsec-fetch-site: cross-site",
                V::ForeignHeader("Sec-Fetch-Site"),
            ),
            (
                "GET /\nsec-fetch-site: same-origin",
                V::ForeignHeader("Sec-Fetch-Site"),
            ),
            ("CONNECT a.example:443", V::Method(Methods::Reading)),
            ("GET http://a.example/", V::ForeignTarget),
            ("GET http://127.0.0.1:9470/", V::ForeignTarget),
            ("GET https://metadata.tencentyun.com/", V::ForeignTarget),
            ("GET http://u@metadata.tencentyun.com/", V::ForeignTarget),
            ("GET metadata.tencentyun.com", V::ForeignTarget),
            ("GET /\ntransfer-encoding: chunked", V::AmbiguousLength),
            ("GET /\ncontent-length: 4097", V::BodyTooLong),
            ("GET /\ncontent-length: +", V::BodyTooLong),
            ("GET /a%00", V::ControlCharacter),
            ("GET /%1Ba", V::ControlCharacter),
            ("GET /%7f", V::ControlCharacter),
        ] {
            let head = format!("{head}\nhost: 127.0.0.1:9470");
            assert_eq!(judge(&head, &tcp()), Err(expected), "{head}");
        }
    }

    #[test]
    fn what_is_answered() {
        for (head, path, query) in [
            ("GET /v1/roles", "/v1/roles", None),
            ("HEAD /", "/", None),
            ("GET //aws/container/a", "/aws/container/a", None),
            ("GET /a//b///", "/a/b/", None),
            ("GET /a?", "/a", Some("")),
            ("GET /a?b=//c", "/a", Some("b=//c")),
            ("GET /\nsec-fetch-site: none", "/", None),
            ("GET /\ncontent-length: 4096", "/", None),
            (
                "GET http://metadata.tencentyun.com/latest//a",
                "/latest/a",
                None,
            ),
            ("GET /%20%7e%80%7", "/%20%7e%80%7", None),
        ] {
            let head = format!("{head}\nhost: metadata.tencentyun.com");
            let expected = Ok((path.to_owned(), query.map(ToOwned::to_owned)));
            assert_eq!(judge(&head, &tcp()), expected, "{head}");
        }
    }

    #[test]
    fn on_a_unix_socket_any_host_but_no_browser() {
        for (head, expected) in [
            ("GET /a", None),
            ("GET /a\nhost: a\nhost: b", None),
            (
                "GET /a\norigin: http://a",
                Some(Violation::ForeignHeader("Origin")),
            ),
            ("GET http://a.example/", Some(Violation::ForeignTarget)),
        ] {
            assert_eq!(judge(head, &Hosts::any()).err(), expected, "{head}");
        }
    }

    proptest! {
        #[test]
        fn collapsed_paths_keep_everything_but_slashes(path in "(/|[a-z%.]){0,40}") {
            let collapsed = super::collapse(&path);
            prop_assert!(!collapsed.contains("//"));
            prop_assert_eq!(collapsed.replace('/', ""), path.replace('/', ""));
        }
    }
}
