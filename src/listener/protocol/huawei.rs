//! Huawei's ECS metadata service, as far as it is about credentials.
//!
//! ```text
//! PUT /meta-data/latest/api/token      a token for so many seconds
//! GET /openstack/latest/securitykey    the credentials of the instance's agency
//! ```
//!
//! Facts are those of the vendor's SDKs. The cloud SDKs get a token first and show it; the object
//! storage clients spell its headers in their own way, and most of them never send one, so a
//! request without a token is answered. A token that is not good is 401: the SDKs then get a new
//! one. Their word for an instance without an agency must not be in any 401, since they take it
//! for final. OBS clients in Go read whatever they are sent as credentials, so no refusal has a
//! member `credential`.

use bytes::Bytes;
use hyper::http::HeaderName;
use serde_json::json;

use super::{JSON, Shaped, TokenHeaders, Trouble, Want};

/// Where clients look for the real service: it has no name.
pub(super) const HOSTS: [&str; 1] = ["169.254.169.254"];

pub(super) static TOKENS: [TokenHeaders; 2] = [
    TokenHeaders {
        lifetime: HeaderName::from_static("x-metadata-token-ttl-seconds"),
        token: HeaderName::from_static("x-metadata-token"),
    },
    // The object storage client in Python.
    TokenHeaders {
        lifetime: HeaderName::from_static("x-securitykey-token-ttl-seconds"),
        token: HeaderName::from_static("x-securitykey-token"),
    },
];

pub(super) fn route(path: &str) -> Option<Want<'_>> {
    match path.strip_suffix('/').unwrap_or(path) {
        "/openstack/latest/securitykey" => Some(Want::InstanceCredentials),
        "/meta-data/latest/api/token" => Some(Want::MetadataToken),
        _ => None,
    }
}

pub(super) fn refusal(trouble: Trouble, message: &str) -> Shaped {
    let refusal = json!({ "error_code": trouble.cloud_code, "error_msg": message });
    Shaped {
        content_type: JSON,
        body: Bytes::from(refusal.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use hyper::http::StatusCode;

    use super::{Trouble, Want, refusal, route};

    #[test]
    fn two_paths_are_known() {
        for slash in ["", "/"] {
            assert_eq!(
                route(&format!("/openstack/latest/securitykey{slash}")),
                Some(Want::InstanceCredentials)
            );
            assert_eq!(
                route(&format!("/meta-data/latest/api/token{slash}")),
                Some(Want::MetadataToken)
            );
        }
        for other in [
            "/",
            "/openstack/latest",
            "/openstack/latest/securitykey/app",
            "/latest/api/token",
        ] {
            assert_eq!(route(other), None, "{other}");
        }
    }

    #[test]
    fn no_refusal_looks_like_credentials() {
        let shaped = refusal(Trouble::of(StatusCode::UNAUTHORIZED), "no such token");
        assert_eq!(
            &*shaped.body,
            br#"{"error_code":"Unauthorized","error_msg":"no such token"}"#
        );
    }
}
