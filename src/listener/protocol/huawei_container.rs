//! What Huawei's SDKs ask for in a container: one path per role, a POST with a token.
//!
//! Facts are those of the vendor's SDKs, which POST `{}` to any URL they are given
//! (`HC_CONTAINER_CREDENTIALS_FULL_URI`) with the content of a file as `Authorization`. Refusals
//! look like those of the metadata service.

use super::{Want, only_segment};

pub(super) fn route(path: &str) -> Option<Want<'_>> {
    only_segment(path, "/huawei/container/").map(Want::Credentials)
}

#[cfg(test)]
mod tests {
    use super::{Want, route};

    #[test]
    fn one_path_per_role() {
        assert_eq!(
            route("/huawei/container/app"),
            Some(Want::Credentials("app"))
        );
        for other in [
            "/huawei/container",
            "/huawei/container/",
            "/huawei/container/a/b",
            "/x",
        ] {
            assert_eq!(route(other), None, "{other}");
        }
    }
}
