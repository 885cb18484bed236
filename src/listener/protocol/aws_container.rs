//! The container credentials protocol of the AWS SDKs: one path per role, and a token.
//!
//! SDKs read `code` and `message` from refusals (the Java SDK among others).

use bytes::Bytes;
use serde_json::json;

use super::{JSON, Shaped, Trouble, Want, only_segment};

/// The addresses that the SDKs accept besides loopback ones.
pub(super) const HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

pub(super) fn route(path: &str) -> Option<Want<'_>> {
    only_segment(path, "/aws/container/").map(Want::Credentials)
}

pub(super) fn refusal(trouble: Trouble, message: &str) -> Shaped {
    Shaped {
        content_type: JSON,
        body: Bytes::from(json!({ "code": trouble.cloud_code, "message": message }).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use hyper::http::StatusCode;

    use super::{Trouble, Want, refusal, route};

    #[test]
    fn one_path_per_role() {
        assert_eq!(route("/aws/container/app"), Some(Want::Credentials("app")));
        for other in [
            "/aws/container",
            "/aws/container/",
            "/aws/container/a/b",
            "/x",
        ] {
            assert_eq!(route(other), None, "{other}");
        }
    }

    #[test]
    fn refusals_have_code_and_message() {
        let shaped = refusal(Trouble::of(StatusCode::UNAUTHORIZED), "no token");
        assert_eq!(
            &*shaped.body,
            br#"{"code":"Unauthorized","message":"no token"}"#
        );
    }
}
