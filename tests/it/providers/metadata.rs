//! The role of the instance, from a metadata service on loopback.

use std::time::Duration;

use credvend::config::model::{Provider, TencentInstanceMetadata};
use credvend::provider::error::Class;
use serde_json::json;

use super::cloud::{Cloud, Reply};
use super::fixtures::{CANARY, PATIENCE, Setup, fail, impatient, obtain, sts_at, wall};

const LISTING: &str = "GET /latest/meta-data/cam/security-credentials/ HTTP/1.1";
const DATE: &str = "Date: Sun, 28 Jan 2024 00:58:09 GMT";

fn metadata(cloud: &Cloud, role_name: Option<&str>) -> Provider {
    Provider::TencentInstanceMetadata(TencentInstanceMetadata {
        endpoint: cloud.url(),
        role_name: role_name.map(str::to_owned),
        upstream: impatient(),
        sts: sts_at("https://sts.example"),
    })
}

fn credentials() -> String {
    json!({
        "TmpSecretId": "AKIDinstance", "TmpSecretKey": format!("{CANARY}-key"),
        "ExpiredTime": 1_706_407_089, "Expiration": "2024-01-28T01:58:09Z",
        "Token": format!("{CANARY}-token"), "Code": "Success",
    })
    .to_string()
}

fn text(body: &str) -> Reply {
    Reply::Answer(200, "Content-Type: text/plain", body.to_owned())
}

#[tokio::test]
async fn the_listed_role_is_read_and_its_life_counted_on_the_services_clock() {
    let cloud = Cloud::start(vec![
        text("app-role"),
        Reply::Answer(200, DATE, credentials()),
    ])
    .await;
    let setup = Setup::new();
    let provider = setup.build(metadata(&cloud, None));
    let set = obtain(&provider).await;
    assert_eq!(set.keys.access_key_id, "AKIDinstance");
    assert_eq!(set.lifetime(wall()), Duration::from_hours(1));

    let requests = cloud.received();
    assert_eq!(requests[0].line, LISTING);
    assert_eq!(
        requests[1].line,
        "GET /latest/meta-data/cam/security-credentials/app-role HTTP/1.1"
    );
    assert_eq!(requests[1].header("authorization"), None);
    assert!(!provider.mints());
    assert!(provider.mint_call().budget.is_none());
    assert_eq!(provider.mint_call().endpoint, cloud.host());
    assert_eq!(provider.identity_call().endpoint, "sts.example");
}

#[tokio::test]
async fn a_configured_role_needs_no_listing() {
    let cloud = Cloud::start(vec![Reply::ok(credentials())]).await;
    obtain(&Setup::new().build(metadata(&cloud, Some("app-role")))).await;
    assert_eq!(cloud.received().len(), 1);
}

#[tokio::test]
async fn each_way_to_fail_has_its_class_and_its_sentence() {
    let listing = || text("app-role");
    let not_found = || Reply::Answer(404, "", "<html>".into());
    let pause = Class::Throttled {
        retry_after: Some(Duration::from_secs(3)),
    };
    for (case, script, role, class, sentence) in [
        (
            "no role",
            vec![not_found()],
            None,
            Class::Final,
            "no role is bound to this instance",
        ),
        (
            "another role",
            vec![not_found()],
            Some("app"),
            Class::Final,
            "role `app` is not bound to this instance",
        ),
        (
            "throttled",
            vec![Reply::Answer(429, "Retry-After: 3", String::new())],
            None,
            pause,
            "asks for fewer requests",
        ),
        (
            "trouble",
            vec![listing(), Reply::Answer(502, "", String::new())],
            None,
            Class::Transient,
            "it has HTTP status 502",
        ),
        (
            "a page for a list",
            vec![text("<html>CANARY-5b1d")],
            None,
            Class::Transient,
            "its list of roles is none",
        ),
        (
            "a page for credentials",
            vec![listing(), text("<html>CANARY-5b1d")],
            None,
            Class::Transient,
            "it is not JSON",
        ),
        (
            "no success",
            vec![
                listing(),
                Reply::ok(credentials().replace("Success", "Failed")),
            ],
            None,
            Class::Transient,
            "its code is `Failed`",
        ),
        (
            "no token",
            vec![
                listing(),
                Reply::ok(credentials().replace("Token", "Other")),
            ],
            None,
            Class::Transient,
            "`Token` is missing",
        ),
    ] {
        let cloud = Cloud::start(script).await;
        let error = fail(&Setup::new().build(metadata(&cloud, role))).await;
        assert_eq!(error.class, class, "{case}: {error}");
        assert!(error.message.contains(sentence), "{case}: {error}");
    }
}

#[tokio::test]
async fn a_silent_service_is_given_up() {
    let cloud = Cloud::start(vec![Reply::Hang]).await;
    let error = fail(&Setup::new().build(metadata(&cloud, None))).await;
    assert_eq!(error.class, Class::Transient);
    let limit = format!("within {} ms", PATIENCE.as_millis());
    assert!(error.message.ends_with(&limit), "{error}");
}
