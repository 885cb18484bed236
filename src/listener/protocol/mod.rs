//! The wire formats: which path asks for what, and how a refusal looks to that cloud's clients.
//!
//! Pure. To add one: a file with its paths and its error shape, an arm in each match below, and
//! a renderer in [`crate::formats`].

pub(crate) mod alibaba;
pub(crate) mod aws_container;
pub(crate) mod aws_imds;
pub(crate) mod huawei;
pub(crate) mod huawei_container;
pub(crate) mod native;
pub(crate) mod tencent;

use std::time::Duration;

use bytes::Bytes;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::guard::Methods;
use crate::config::model::Protocol;
use crate::formats::Bodies;

/// What a path asks for. The role is as the client wrote it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Want<'p> {
    /// What the instance is that the host pretends to be.
    About(About),
    Credentials(&'p str),
    /// A metadata token, on a path where the real service refuses to make one.
    DatedToken,
    /// Those of "the instance role", which has no name in the path.
    InstanceCredentials,
    /// A token for the requests of one client, from now on.
    MetadataToken,
    /// The instance's profile: that it has a role, and since when its keys are what they are.
    Profile,
    /// The roles that may be had here.
    Roles,
    /// Credentials whose path shows the listener's token, percent-encoded.
    Secretly {
        secret: &'p str,
        role: &'p str,
    },
    Status(&'p str),
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

/// Why there is no success, before it takes a cloud's shape.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Trouble {
    pub(crate) status: StatusCode,
    /// In kebab-case, for our own shape.
    pub(crate) code: &'static str,
    /// In words that begin with capitals, for the shapes of clouds.
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
            StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                ("too-large", "RequestHeaderTooLarge")
            }
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

/// One spelling of the headers by which clients get and show a metadata token.
#[derive(Debug)]
pub(crate) struct TokenHeaders {
    /// With the PUT: for how many seconds.
    pub(crate) lifetime: HeaderName,
    /// With every GET: the token.
    pub(crate) token: HeaderName,
}

/// A rendered refusal.
#[derive(Debug)]
pub(crate) struct Shaped {
    pub(crate) content_type: HeaderValue,
    pub(crate) body: Bytes,
}

impl Protocol {
    /// Which of `served` a request belongs to and what it asks for; `Err` with the protocol whose
    /// clients use such paths, if none of them knows it. Several protocols know some paths: the
    /// one whose token headers are there is meant, else one that has none.
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
            let spellings = protocol.token_headers();
            if spellings
                .iter()
                .any(|it| headers.contains_key(&it.lifetime) || headers.contains_key(&it.token))
            {
                return Ok((protocol, want));
            }
            if found.is_none() || spellings.is_empty() {
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
            Self::Huawei => huawei::route(path),
            Self::HuaweiContainer => huawei_container::route(path),
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
        } else if path.starts_with("huawei/container") {
            Self::HuaweiContainer
        } else if path.starts_with("openstack/") || path.starts_with("meta-data/latest/") {
            Self::Huawei
        } else if begins(&["alibaba/", "latest/meta-data/ram/"]) && served.contains(&Self::Alibaba)
        {
            Self::Alibaba
        } else if begins(&["latest/meta-data/iam/", "latest/api/", "latest/dynamic/"])
            && served.contains(&Self::AwsImds)
        {
            Self::AwsImds
        } else if let Some(metadata) = served.iter().rfind(|it| it.is_metadata()) {
            *metadata
        } else {
            served.first().copied().unwrap_or(Self::Native)
        }
    }

    /// How what is wanted has to be asked for.
    pub(crate) fn methods(self, want: Want<'_>) -> Methods {
        match (self, want) {
            (_, Want::DatedToken | Want::MetadataToken) => Methods::Put,
            (Self::HuaweiContainer, Want::Credentials(_)) => Methods::Post,
            (
                Self::Alibaba
                | Self::AwsContainer
                | Self::AwsImds
                | Self::Huawei
                | Self::HuaweiContainer
                | Self::Native
                | Self::Tencent,
                Want::About(_)
                | Want::Credentials(_)
                | Want::InstanceCredentials
                | Want::Profile
                | Want::Roles
                | Want::Secretly { .. }
                | Want::Status(_),
            ) => Methods::Reading,
        }
    }

    /// How long a request may wait for the first set: less than its strictest client does.
    pub(crate) fn hold(self) -> Duration {
        match self {
            // The Go SDK of AWS gives up after 500 ms, most others after 1 s.
            Self::Alibaba | Self::AwsImds => Duration::from_millis(300),
            // botocore gives up after 2 s, Huawei's SDKs after 3 s.
            Self::AwsContainer
            | Self::Huawei
            | Self::HuaweiContainer
            | Self::Native
            | Self::Tencent => Duration::from_millis(1500),
        }
    }

    /// What credentials are sent as.
    pub(crate) fn content_type(self) -> HeaderValue {
        match self {
            Self::AwsImds => TEXT,
            Self::Alibaba
            | Self::AwsContainer
            | Self::Huawei
            | Self::HuaweiContainer
            | Self::Native
            | Self::Tencent => JSON,
        }
    }

    /// The headers of this protocol's metadata tokens, if it has such.
    pub(crate) fn token_headers(self) -> &'static [TokenHeaders] {
        match self {
            Self::Alibaba => &alibaba::TOKENS,
            Self::AwsImds => &aws_imds::TOKENS,
            Self::Huawei => &huawei::TOKENS,
            Self::AwsContainer | Self::HuaweiContainer | Self::Native | Self::Tencent => &[],
        }
    }

    /// The ready answer of this protocol.
    pub(crate) fn body(self, bodies: &Bodies) -> &Bytes {
        match self {
            Self::Alibaba => &bodies.alibaba,
            Self::AwsContainer => &bodies.aws_container,
            Self::AwsImds => &bodies.aws_imds,
            Self::Huawei => &bodies.huawei,
            Self::HuaweiContainer => &bodies.huawei_container,
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
            Self::Huawei | Self::HuaweiContainer => huawei::refusal(trouble, message),
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
            Self::Huawei => &huawei::HOSTS,
            Self::HuaweiContainer | Self::Native => &[],
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
    use hyper::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::{About, Protocol, Trouble, Want};

    fn route<'p>(served: &[Protocol], path: &'p str) -> Result<(Protocol, Want<'p>), Protocol> {
        Protocol::route(served, path, &HeaderMap::new())
    }

    #[test]
    fn headers_tell_protocols_apart_that_share_a_path() {
        let with = |name: &'static str| {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static(name),
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
            (
                "/huawei/container/a",
                Protocol::HuaweiContainer,
                Want::Credentials("a"),
            ),
            (
                "/openstack/latest/securitykey",
                Protocol::Huawei,
                Want::InstanceCredentials,
            ),
            (
                "/meta-data/latest/api/token",
                Protocol::Huawei,
                Want::MetadataToken,
            ),
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
        assert_eq!(
            route(&all, "/openstack/latest/meta_data.json"),
            Err(Protocol::Huawei)
        );
        assert_eq!(
            route(&[Protocol::Huawei, Protocol::Native], "/"),
            Err(Protocol::Huawei)
        );
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
