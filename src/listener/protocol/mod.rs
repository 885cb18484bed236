//! The wire formats: which path asks for what, and how a refusal looks to that cloud's clients.
//!
//! Pure. To add one: a file with its paths and its error shape, an arm in each match below, and
//! a renderer in [`crate::formats`].

pub(crate) mod alibaba;
pub(crate) mod aws_container;
pub(crate) mod aws_imds;
pub(crate) mod native;
pub(crate) mod tencent;

use std::time::Duration;

use bytes::Bytes;
use hyper::http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::config::model::Protocol;
use crate::formats::Bodies;

/// What a path asks for. The role is as the client wrote it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Want<'p> {
    /// What the instance is that we pretend to be.
    About(About),
    Credentials(&'p str),
    /// A metadata token, on a path where the real service refuses to make one.
    DatedToken,
    /// The instance's profile: whether it has a role at all.
    Profile,
    /// The roles that may be had here.
    Roles,
    /// Credentials whose path shows the listener's token, percent-encoded.
    Secretly {
        secret: &'p str,
        role: &'p str,
    },
    Status(&'p str),
    /// A metadata token.
    Token,
}

/// Something to know about an instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum About {
    /// All of it, as a document.
    Document,
    Id,
    Region,
    Zone,
}

/// How a protocol spells its metadata tokens: lower-case header names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenHeaders {
    /// The life asked for and echoed, in seconds.
    pub(crate) life: &'static str,
    pub(crate) token: &'static str,
}

/// Methods that a path answers to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Methods {
    Put,
    Read,
}

impl Methods {
    pub(crate) fn include(self, method: &Method) -> bool {
        match self {
            Self::Put => method == Method::PUT,
            Self::Read => method == Method::GET || method == Method::HEAD,
        }
    }

    /// The value of `Allow`.
    pub(crate) fn allow(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Put => "PUT",
            Self::Read => "GET, HEAD",
        })
    }
}

impl Want<'_> {
    pub(crate) fn methods(self) -> Methods {
        match self {
            Self::DatedToken | Self::Token => Methods::Put,
            Self::About(_)
            | Self::Credentials(_)
            | Self::Profile
            | Self::Roles
            | Self::Secretly { .. }
            | Self::Status(_) => Methods::Read,
        }
    }
}

/// Why there is no success, before it takes a cloud's shape.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Trouble {
    pub(crate) status: StatusCode,
    /// In kebab-case, for our own shape.
    pub(crate) code: &'static str,
    /// In capitals, for the shapes of clouds.
    pub(crate) cloud_code: &'static str,
}

impl Trouble {
    /// What goes with a status.
    pub(crate) fn of(status: StatusCode) -> Self {
        let (code, cloud_code) = match status {
            StatusCode::BAD_REQUEST => ("bad-request", "BadRequest"),
            StatusCode::UNAUTHORIZED => ("unauthorized", "Unauthorized"),
            StatusCode::FORBIDDEN => ("not-allowed", "Forbidden"),
            StatusCode::NOT_FOUND => ("not-found", "NotFound"),
            StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "MethodNotAllowed"),
            StatusCode::REQUEST_TIMEOUT => ("timeout", "RequestTimeout"),
            StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "PayloadTooLarge"),
            StatusCode::SERVICE_UNAVAILABLE => ("unavailable", "Unavailable"),
            _ => ("error", "Error"),
        };
        Self {
            status,
            code,
            cloud_code,
        }
    }
}

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

/// A rendered refusal.
#[derive(Debug)]
pub(crate) struct Shaped {
    pub(crate) content_type: HeaderValue,
    pub(crate) body: Bytes,
}

impl Protocol {
    /// Which of `served` a request belongs to and what it asks for; `Err` with the protocol whose
    /// clients use such paths, if none of them knows it. Several protocols know some paths: the
    /// one whose token headers are there is meant, else one that needs none.
    pub(crate) fn route<'p>(
        served: &[Self],
        path: &'p str,
        headers: &HeaderMap,
    ) -> Result<(Self, Want<'p>), Self> {
        let mut found = None;
        for &protocol in served {
            let Some(want) = protocol.want(path) else {
                continue;
            };
            if protocol
                .token_headers()
                .iter()
                .any(|names| headers.contains_key(names.life) || headers.contains_key(names.token))
            {
                return Ok((protocol, want));
            }
            if found.is_none() || protocol.token_headers().is_empty() {
                found = Some((protocol, want));
            }
        }
        found.ok_or_else(|| Self::speaking(served, path))
    }

    fn want(self, path: &str) -> Option<Want<'_>> {
        match self {
            Self::Alibaba => alibaba::route(path),
            Self::AwsContainer => aws_container::route(path),
            Self::AwsImds => aws_imds::route(path),
            Self::Native => native::route(path),
            Self::Tencent => tencent::route(path),
        }
    }

    /// Whose error shape fits a path best.
    pub(crate) fn speaking(served: &[Self], path: &str) -> Self {
        let path = path.trim_start_matches('/');
        let begins = |starts: &[&str]| starts.iter().any(|start| path.starts_with(start));
        if path.starts_with("v1/") || path == "v1" {
            Self::Native
        } else if path.starts_with("aws/container") {
            Self::AwsContainer
        } else if begins(&["alibaba/", "latest/meta-data/ram/"]) && served.contains(&Self::Alibaba)
        {
            Self::Alibaba
        } else if begins(&["latest/meta-data/iam/", "latest/api/", "latest/dynamic/"])
            && served.contains(&Self::AwsImds)
        {
            Self::AwsImds
        } else if served.contains(&Self::Tencent) {
            Self::Tencent
        } else {
            served.first().copied().unwrap_or(Self::Native)
        }
    }

    /// How it spells its metadata tokens; empty if it has none.
    pub(crate) fn token_headers(self) -> &'static [TokenHeaders] {
        match self {
            Self::Alibaba => &[alibaba::TOKEN],
            Self::AwsImds => &[aws_imds::TOKEN],
            Self::AwsContainer | Self::Native | Self::Tencent => &[],
        }
    }

    /// How long a request may wait for the first set: less than its strictest client does.
    pub(crate) fn hold(self) -> Duration {
        match self {
            // The Go SDK of AWS gives up after 500 ms, most others after 1 s.
            Self::Alibaba | Self::AwsImds => Duration::from_millis(300),
            // botocore gives up after 2 s.
            Self::AwsContainer | Self::Native | Self::Tencent => Duration::from_millis(1500),
        }
    }

    /// What credentials are sent as.
    pub(crate) fn content_type(self) -> HeaderValue {
        match self {
            Self::AwsImds => TEXT,
            Self::Alibaba | Self::AwsContainer | Self::Native | Self::Tencent => JSON,
        }
    }

    /// The ready answer of this protocol.
    pub(crate) fn body(self, bodies: &Bodies) -> &Bytes {
        match self {
            Self::Alibaba => &bodies.alibaba,
            Self::AwsContainer => &bodies.aws_container,
            Self::AwsImds => &bodies.aws_imds,
            Self::Native => &bodies.native,
            Self::Tencent => &bodies.tencent,
        }
    }

    /// A refusal as this protocol's clients expect it.
    pub(crate) fn refusal(self, trouble: Trouble, message: &str) -> Shaped {
        match self {
            Self::Alibaba => alibaba::refusal(trouble, message),
            Self::AwsContainer => aws_container::refusal(trouble, message),
            Self::AwsImds => aws_imds::refusal(trouble, message),
            Self::Native => native::refusal(trouble, message),
            Self::Tencent => tencent::refusal(trouble, message),
        }
    }

    /// Names and addresses (lower case) under which clients look for the real service.
    pub(crate) fn emulated_hosts(self) -> &'static [&'static str] {
        match self {
            Self::Alibaba => &alibaba::HOSTS,
            Self::AwsContainer => &aws_container::HOSTS,
            Self::AwsImds => &aws_imds::HOSTS,
            Self::Native => &[],
            Self::Tencent => &tencent::HOSTS,
        }
    }
}

/// The part of `path` behind `prefix`, where that is one segment: a role's name.
fn only_segment<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    path.strip_prefix(prefix)
        .filter(|rest| !rest.is_empty() && !rest.contains('/'))
}

/// What follows the path of a list: nothing, a slash, or a role.
fn list_or_role(rest: &str) -> Option<Want<'_>> {
    match rest {
        "" | "/" => Some(Want::Roles),
        _ => only_segment(rest, "/").map(Want::Credentials),
    }
}

#[cfg(test)]
mod tests {
    use hyper::http::{HeaderMap, HeaderValue, StatusCode};

    use super::{About, Protocol, Trouble, Want};

    fn route<'p>(served: &[Protocol], path: &'p str) -> Result<(Protocol, Want<'p>), Protocol> {
        Protocol::route(served, path, &HeaderMap::new())
    }

    #[test]
    fn headers_tell_protocols_apart_that_share_a_path() {
        let with = |name: &'static str| {
            let headers = HeaderMap::from_iter([(
                hyper::http::HeaderName::from_static(name),
                HeaderValue::from_static("1"),
            )]);
            move |path| Protocol::route(&Protocol::ALL, path, &headers).map(|(it, _)| it)
        };
        let aws = with("x-aws-ec2-metadata-token-ttl-seconds");
        let alibaba = with("x-aliyun-ecs-metadata-token-ttl-seconds");
        assert_eq!(aws("/latest/api/token"), Ok(Protocol::AwsImds));
        assert_eq!(alibaba("/latest/api/token"), Ok(Protocol::Alibaba));
        let id = "/latest/meta-data/instance-id";
        assert_eq!(with("x-aws-ec2-metadata-token")(id), Ok(Protocol::AwsImds));
        let plain = (Protocol::Tencent, Want::About(About::Id));
        assert_eq!(route(&Protocol::ALL, id), Ok(plain));
        let only = [Protocol::AwsImds, Protocol::Native];
        assert_eq!(route(&only, id).map(|(it, _)| it), Ok(Protocol::AwsImds));
    }

    #[test]
    fn a_path_goes_to_the_protocol_that_knows_it() {
        let all = Protocol::ALL;
        for (path, protocol, want) in [
            ("/v1/roles", Protocol::Native, Want::Roles),
            ("/v1/roles/a/status", Protocol::Native, Want::Status("a")),
            (
                "/aws/container/a",
                Protocol::AwsContainer,
                Want::Credentials("a"),
            ),
            ("/accesskey", Protocol::Tencent, Want::Roles),
        ] {
            assert_eq!(route(&all, path), Ok((protocol, want)), "{path}");
        }
        assert_eq!(
            route(&[Protocol::Native], "/accesskey"),
            Err(Protocol::Native)
        );
        assert_eq!(route(&all, "/v1/else"), Err(Protocol::Native));
        assert_eq!(route(&all, "/aws/container/"), Err(Protocol::AwsContainer));
        assert_eq!(route(&all, "/latest/meta-data/"), Err(Protocol::Tencent));
    }

    #[test]
    fn no_refusal_of_any_protocol_breaks_out_of_its_shape() {
        let hostile = "no \"role\"\n\u{1b}[31m\\";
        for protocol in Protocol::ALL {
            let trouble = Trouble::of(StatusCode::SERVICE_UNAVAILABLE);
            let shaped = protocol.refusal(trouble, hostile);
            if protocol == Protocol::AwsImds {
                continue; // a page: looked at beside its maker
            }
            let parsed: serde_json::Value = serde_json::from_slice(&shaped.body).expect("JSON");
            assert!(parsed.to_string().contains("navailable"), "{parsed}");
        }
    }
}
