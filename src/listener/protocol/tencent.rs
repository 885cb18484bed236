//! Tencent's CVM metadata service, as far as it is about credentials.
//!
//! Facts are those of the vendor's CVM documentation (instance metadata, roles) and of its SDKs:
//! the same tree answers under `latest`, two dated versions and no version at all; COS clients
//! ask for the list without its slash; EMR clients ask for `/accesskey`. The Go SDK treats every
//! status but 404 as success and would take an error page for a role's name: a page with line
//! breaks stops it with an error instead, which even shows the page.

use bytes::Bytes;

use super::{About, JSON, Shaped, TEXT, Trouble, Want, list_or_role};

/// Where clients look for the real service.
pub(super) const HOSTS: [&str; 4] = [
    "metadata.tencentyun.com",
    "bm.metadata.tencentyun.com",
    "metaserver.tencentemr.com",
    "169.254.0.23",
];

/// The answer of the real service has no version in its name either: this one is "1.0".
const VERSIONS: [&str; 3] = ["/latest", "/1.0", "/2017-09-19"];

pub(super) fn route(path: &str) -> Option<Want<'_>> {
    if let Some(rest) = path.strip_prefix("/accesskey") {
        return list_or_role(rest);
    }
    let tree = VERSIONS
        .iter()
        .find_map(|version| path.strip_prefix(version))
        .unwrap_or(path);
    let tree = tree.strip_prefix("/meta-data/")?;
    match tree {
        "instance-id" => return Some(Want::About(About::Id)),
        "placement/region" => return Some(Want::About(About::Region)),
        "placement/zone" => return Some(Want::About(About::Zone)),
        _ => {}
    }
    let cam = tree.strip_prefix("cam/")?;
    let rest = cam
        .strip_prefix("security-credentials")
        .or_else(|| cam.strip_prefix("service-role-security-credentials"))?;
    list_or_role(rest)
}

pub(super) fn refusal(trouble: Trouble, message: &str) -> Shaped {
    if trouble.status == hyper::http::StatusCode::NOT_FOUND {
        return Shaped {
            content_type: TEXT,
            body: Bytes::from(format!("404 not found\n{message}\n")),
        };
    }
    let (code, message) = (
        serde_json::json!(trouble.cloud_code),
        serde_json::json!(message),
    );
    Shaped {
        content_type: JSON,
        body: Bytes::from(format!(
            "{{\n  \"Code\": {code},\n  \"Message\": {message}\n}}\n"
        )),
    }
}

#[cfg(test)]
mod tests {
    use hyper::http::StatusCode;

    use super::{About, Trouble, Want, refusal, route};

    #[test]
    fn every_spelling_of_the_tree_is_known() {
        for version in ["", "/latest", "/1.0", "/2017-09-19"] {
            for tree in ["security-credentials", "service-role-security-credentials"] {
                let list = format!("{version}/meta-data/cam/{tree}");
                assert_eq!(route(&list), Some(Want::Roles), "{list}");
                assert_eq!(route(&format!("{list}/")), Some(Want::Roles));
                assert_eq!(
                    route(&format!("{list}/app")),
                    Some(Want::Credentials("app"))
                );
                assert_eq!(route(&format!("{list}app")), None);
                assert_eq!(route(&format!("{list}/app/")), None);
            }
        }
        for (path, about) in [
            ("/latest/meta-data/instance-id", About::Id),
            ("/meta-data/placement/region", About::Region),
            ("/1.0/meta-data/placement/zone", About::Zone),
        ] {
            assert_eq!(route(path), Some(Want::About(about)), "{path}");
        }
        assert_eq!(route("/accesskey"), Some(Want::Roles));
        assert_eq!(route("/accesskey/"), Some(Want::Roles));
        assert_eq!(route("/accesskey/app"), Some(Want::Credentials("app")));
        for other in [
            "/",
            "/latest/",
            "/latest/meta-data/",
            "/accesskeys",
            "/latest/meta-data/cam/",
        ] {
            assert_eq!(route(other), None, "{other}");
        }
    }

    #[test]
    fn no_client_can_take_a_refusal_for_a_role_name() {
        let shaped = refusal(Trouble::of(StatusCode::SERVICE_UNAVAILABLE), "not yet");
        let text = str::from_utf8(&shaped.body).unwrap();
        assert_eq!(
            text,
            "{\n  \"Code\": \"Unavailable\",\n  \"Message\": \"not yet\"\n}\n"
        );
        let shaped = refusal(Trouble::of(StatusCode::NOT_FOUND), "no role `x` here");
        assert_eq!(shaped.content_type, "text/plain");
    }
}
