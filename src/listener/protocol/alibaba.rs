//! Alibaba Cloud's instance metadata, as far as it is about credentials, and the credentials URI
//! of its SDKs.
//!
//! Source: the vendor's documentation and SDKs. A token is used where a client asks for one; the
//! path it is asked for on is that of AWS, and only the header tells the two apart. The URI is
//! asked without any header, so that the secret must stand in its path.

use bytes::Bytes;
use hyper::http::HeaderName;
use serde_json::json;

use super::{About, JSON, Shaped, TokenHeaders, Trouble, Want, list_or_role};

/// Where clients look for the real service; it has no IPv6 address.
pub(super) const HOSTS: [&str; 1] = ["100.100.100.200"];

pub(super) static TOKENS: [TokenHeaders; 1] = [TokenHeaders {
    lifetime: HeaderName::from_static("x-aliyun-ecs-metadata-token-ttl-seconds"),
    token: HeaderName::from_static("x-aliyun-ecs-metadata-token"),
}];

pub(super) fn route(path: &str) -> Option<Want<'_>> {
    if path == "/latest/api/token" {
        return Some(Want::MetadataToken);
    }
    if let Some(rest) = path.strip_prefix("/alibaba/credentials/") {
        let (secret, role) = rest.split_once('/')?;
        let is_whole = !secret.is_empty() && !role.is_empty() && !role.contains('/');
        return is_whole.then_some(Want::Secretly { secret, role });
    }
    let tree = path.strip_prefix("/latest/meta-data/")?;
    if let Some(rest) = tree.strip_prefix("ram/security-credentials") {
        return list_or_role(rest);
    }
    match tree {
        "instance-id" => Some(Want::About(About::Id)),
        "region-id" => Some(Want::About(About::Region)),
        "zone-id" => Some(Want::About(About::Zone)),
        _ => None,
    }
}

pub(super) fn refusal(trouble: Trouble, message: &str) -> Shaped {
    Shaped {
        content_type: JSON,
        body: Bytes::from(json!({ "Code": trouble.cloud_code, "Message": message }).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{About, Want, route};

    #[test]
    fn paths() {
        let tree = "/latest/meta-data/ram/security-credentials";
        assert_eq!(route(tree), Some(Want::Roles));
        assert_eq!(route(&format!("{tree}/")), Some(Want::Roles));
        assert_eq!(
            route(&format!("{tree}/app")),
            Some(Want::Credentials("app"))
        );
        assert_eq!(route("/latest/api/token"), Some(Want::MetadataToken));
        let (secret, role) = ("s3cret", "app");
        assert_eq!(
            route("/alibaba/credentials/s3cret/app"),
            Some(Want::Secretly { secret, role })
        );
        assert_eq!(
            route("/latest/meta-data/region-id"),
            Some(Want::About(About::Region))
        );
        for other in [
            "/alibaba/credentials/",
            "/alibaba/credentials/app",
            "/alibaba/credentials/a/",
            "/alibaba/credentials/a/b/c",
            "/latest/meta-data/ram/",
            "/2016-01-01/api/token",
        ] {
            assert_eq!(route(other), None, "{other}");
        }
    }
}
