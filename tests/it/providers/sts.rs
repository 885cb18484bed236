//! What every signed action has in common, shown with AssumeRole.

use std::sync::Arc;
use std::time::Duration;

use credvend::config::model::{self, Service, Source};
use credvend::credentials::Identity;
use credvend::provider::error::Class;
use credvend::provider::tencent::signing::Request;
use credvend::secret::Secret;
use serde_json::json;

use super::cloud::{Cloud, Received, Reply, closed_port};
use super::fixtures::{
    CANARY, ROLE_ARN, Setup, SourceRole, WrongClock, assume_role, fail, minted, no_roles, now,
    obtain, refusal, sts_at, temporary_keys, without_canary,
};

const TRANSIENT: Class = Class::Transient;

fn timestamp(request: &Received) -> u64 {
    request.header("x-tc-timestamp").unwrap().parse().unwrap()
}

fn is_signed_by(request: &Received, host: &str, id: &str, secret: &str) {
    let expected = Request {
        method: "POST",
        path: "/",
        query: "",
        content_type: "application/json",
        host,
        service: "sts",
        timestamp: timestamp(request),
        payload: &request.body,
    }
    .authorization(id, &Secret::from(secret));
    assert_eq!(request.header("authorization"), Some(expected.as_str()));
}

#[tokio::test]
async fn a_role_is_assumed_with_a_signed_request() {
    let cloud = Cloud::start(vec![Reply::ok(minted())]).await;
    let setup = Setup::new();
    let provider = setup.assume_role(&cloud.url());

    let set = obtain(&provider).await;
    assert_eq!(set.keys.access_key_id, "AKIDminted");
    assert!(set.keys.secret_access_key.expose().starts_with(CANARY));
    let lifetime = set.lifetime(super::fixtures::wall());
    assert!(
        lifetime > Duration::from_secs(7190) && lifetime <= Duration::from_hours(2),
        "{lifetime:?}"
    );

    let request = cloud.received().remove(0);
    assert_eq!(request.line, "POST / HTTP/1.1");
    for (name, value) in [
        ("host", cloud.host().as_str()),
        ("content-type", "application/json"),
        ("x-tc-action", "AssumeRole"),
        ("x-tc-version", "2018-08-13"),
        ("x-tc-region", "ap-guangzhou"),
        ("x-tc-language", "en-US"),
        (
            "x-tc-requestclient",
            concat!("credvend_", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    for absent in ["x-tc-token", "accept-encoding", "user-agent", "referer"] {
        assert_eq!(request.header(absent), None, "{absent}");
    }
    assert!(timestamp(&request).abs_diff(now()) <= 5);
    let secret = format!("{CANARY}-secret");
    is_signed_by(&request, &cloud.host(), "AKIDlonglived", &secret);
    assert_eq!(
        request.json(),
        json!({"RoleArn": ROLE_ARN, "RoleSessionName": "app-host", "DurationSeconds": 7200})
    );
}

#[tokio::test]
async fn the_clock_is_learned_from_the_message_and_shared() {
    let message = format!("Signature expired, the server time {}", now());
    let cloud = Cloud::start(vec![
        Reply::ok(refusal("AuthFailure.SignatureExpire", &message)),
        Reply::ok(minted()),
    ])
    .await;
    let clock = WrongClock {
        behind: Duration::from_hours(1),
    };
    let setup = Setup::with(Arc::new(clock), no_roles());
    let provider = setup.assume_role(&cloud.url());
    let other = setup.assume_role(&cloud.url());

    let Class::Clock { offset_seconds } = fail(&provider).await.class else {
        panic!("a clock error");
    };
    assert!((3595..=3605).contains(&offset_seconds), "{offset_seconds}");
    assert_eq!(
        setup.context.clock_skews(),
        [(cloud.host(), offset_seconds)]
    );
    obtain(&provider).await;
    obtain(&other).await;

    let sent: Vec<u64> = cloud.received().iter().map(timestamp).collect();
    assert!(sent[0].abs_diff(now() - 3600) <= 5, "{sent:?}");
    assert!(sent[1].abs_diff(now()) <= 5, "{sent:?}");
    assert!(sent[2].abs_diff(now()) <= 5, "shared: {sent:?}");
}

#[tokio::test]
async fn the_clock_is_learned_from_the_date_where_the_message_is_silent() {
    let expired = refusal("AuthFailure.SignatureExpire", "signature expired").to_string();
    let date = "Date: Fri, 01 Jan 2100 00:00:00 GMT";
    let dated = Cloud::start(vec![
        Reply::Answer(200, date, expired.clone()),
        Reply::Answer(200, date, minted().to_string()),
    ])
    .await;
    let setup = Setup::new();
    let provider = setup.assume_role(&dated.url());
    let error = fail(&provider).await;
    assert!(matches!(error.class, Class::Clock { .. }), "{error}");
    assert!(error.message.contains("this host's clock is wrong"));
    obtain(&provider).await;
    let sent: Vec<u64> = dated.received().iter().map(timestamp).collect();
    assert!(sent[0].abs_diff(now()) <= 5);
    assert!(sent[1].abs_diff(4_102_444_800) <= 5, "{sent:?}");

    let silent = Cloud::start(vec![Reply::ok(expired)]).await;
    let error = fail(&setup.assume_role(&silent.url())).await;
    assert_eq!(error.class, TRANSIENT, "nothing to correct by");
}

#[tokio::test]
async fn a_session_that_is_too_long_is_asked_for_again_shorter_and_remembered() {
    let too_long = || {
        Reply::ok(refusal(
            "InvalidParameter.OverTimeError",
            "time set too long",
        ))
    };
    let cloud = Cloud::start(vec![too_long(), too_long(), Reply::ok(minted())]).await;
    let setup = Setup::new();
    let provider = setup.assume_role(&cloud.url());
    for _ in 0..2 {
        assert_eq!(fail(&provider).await.class, Class::DurationTooLong);
    }
    obtain(&provider).await;
    obtain(&provider).await;
    let asked: Vec<u64> = cloud
        .received()
        .iter()
        .map(|request| request.json()["DurationSeconds"].as_u64().unwrap())
        .collect();
    assert_eq!(asked, [7200, 3600, 1800, 1800]);
}

#[tokio::test]
async fn a_role_that_allows_no_session_at_all_is_a_final_failure_that_says_so() {
    let reply = Reply::ok(refusal(
        "InvalidParameter.OverTimeError",
        "time set too long",
    ));
    let cloud = Cloud::start(vec![reply]).await;
    let settings = model::TencentAssumeRole {
        duration: Duration::from_mins(15),
        ..assume_role(sts_at(&cloud.url()))
    };
    let setup = Setup::new();
    let provider = setup.build(model::Provider::TencentAssumeRole(settings));
    let error = fail(&provider).await;
    assert_eq!(error.class, Class::Final);
    assert!(
        error.message.starts_with(ROLE_ARN) && error.message.contains("even 900 s"),
        "{error}"
    );
}

#[tokio::test]
async fn the_fallback_endpoint_takes_over_after_two_transport_failures() {
    let fallback = Cloud::start(vec![Reply::ok(minted()), Reply::Reset]).await;
    let first = format!("127.0.0.1:{}", closed_port().await);
    let settings = assume_role(Service {
        fallback_endpoint: Some(fallback.url()),
        ..sts_at(&format!("http://{first}"))
    });
    let setup = Setup::new();
    let provider = setup.build(model::Provider::TencentAssumeRole(settings));
    for _ in 0..2 {
        assert_eq!(provider.mint_call().endpoint, first);
        assert_eq!(fail(&provider).await.class, TRANSIENT);
    }
    assert_eq!(provider.mint_call().endpoint, fallback.host());
    obtain(&provider).await;
    let request = fallback.received().remove(0);
    let secret = format!("{CANARY}-secret");
    is_signed_by(&request, &fallback.host(), "AKIDlonglived", &secret);

    assert!(fail(&provider).await.message.contains(&fallback.host()));
    assert_eq!(provider.mint_call().endpoint, first, "back again");
}

#[tokio::test]
async fn a_refusal_does_not_lead_to_the_fallback() {
    let first = Cloud::start(vec![Reply::ok(refusal("InternalError.DbError", ""))]).await;
    let settings = assume_role(Service {
        fallback_endpoint: Some("http://127.0.0.1:1".into()),
        ..sts_at(&first.url())
    });
    let setup = Setup::new();
    let provider = setup.build(model::Provider::TencentAssumeRole(settings));
    for _ in 0..3 {
        assert_eq!(fail(&provider).await.class, TRANSIENT);
    }
    assert_eq!(first.received().len(), 3);
}

#[tokio::test]
async fn a_role_signs_with_the_set_of_another() {
    let cloud = Cloud::start(vec![
        Reply::ok(minted()),
        Reply::ok(refusal("AuthFailure.TokenFailure", "token expired")),
    ])
    .await;
    let setup = Setup::with(
        Arc::new(credvend::clock::SystemClock),
        Arc::new(|name| {
            assert_eq!(name.as_str(), "base");
            Arc::new(SourceRole::with_keys())
        }),
    );
    let settings = model::TencentAssumeRole {
        source: Source::Role("base".parse().unwrap()),
        ..assume_role(sts_at(&cloud.url()))
    };
    let provider = setup.build(model::Provider::TencentAssumeRole(settings));
    obtain(&provider).await;
    let request = cloud.received().remove(0);
    let keys = temporary_keys();
    assert_eq!(
        request.header("x-tc-token"),
        Some(keys.session_token.expose())
    );
    is_signed_by(
        &request,
        &cloud.host(),
        &keys.access_key_id,
        keys.secret_access_key.expose(),
    );
    assert_eq!(fail(&provider).await.class, Class::StaleSource);
}

#[tokio::test]
async fn a_source_role_that_holds_nothing_is_waited_for_without_a_call() {
    let cloud = Cloud::start(vec![Reply::ok(minted())]).await;
    let setup = Setup::with(
        Arc::new(credvend::clock::SystemClock),
        Arc::new(|_| Arc::new(SourceRole::default())),
    );
    let settings = model::TencentAssumeRole {
        source: Source::Role("base".parse().unwrap()),
        ..assume_role(sts_at(&cloud.url()))
    };
    let provider = setup.build(model::Provider::TencentAssumeRole(settings));
    assert_eq!(fail(&provider).await.class, Class::SourceUnavailable);
    assert_eq!(cloud.received().len(), 0);
}

#[tokio::test]
async fn a_rotated_key_is_used_once_both_halves_are_there_and_a_missing_one_is_named() {
    let cloud = Cloud::start(vec![Reply::ok(minted())]).await;
    let setup = Setup::new();
    let provider = setup.assume_role(&cloud.url());
    obtain(&provider).await;
    setup.write("id", "AKIDrotated-key");
    obtain(&provider).await;
    let rotated = format!("{CANARY}-rotated");
    setup.write("secret", &rotated);
    obtain(&provider).await;
    setup.write("id", "AKIDmended-key");
    assert!(provider.reread_source(), "somebody says that this is all");
    obtain(&provider).await;
    let former = format!("{CANARY}-secret");
    for (at, id, secret) in [
        (0, "AKIDlonglived", &former),
        (1, "AKIDlonglived", &former),
        (2, "AKIDrotated-key", &rotated),
        (3, "AKIDmended-key", &rotated),
    ] {
        is_signed_by(&cloud.received()[at], &cloud.host(), id, secret);
    }

    let file = setup.folder.path().join("secret");
    assert!(provider.watched_files().contains(&file));
    std::fs::remove_file(&file).unwrap();
    let error = fail(&provider).await;
    assert_eq!(error.class, Class::Final);
    let report = error.report();
    assert!(
        report.starts_with("the secret of key `ops` cannot be read: cannot read `file:"),
        "{report}"
    );
    assert_eq!(cloud.received().len(), 4);
}

#[tokio::test]
async fn the_cloud_is_asked_whose_keys_these_are() {
    let identity = json!({"Response": {
        "Type": "CAMRole", "AccountId": "100000000001", "UserId": "4611:app",
        "PrincipalId": "100000000002", "Arn": "qcs::sts:100000000001:assumed-role/4611",
        "RequestId": "r",
    }});
    let cloud = Cloud::start(vec![
        Reply::ok(identity),
        Reply::ok(json!({"Response": {"AccountId": CANARY}})),
        Reply::ok(refusal("AuthFailure.TokenFailure", "")),
        Reply::ok(refusal("AuthFailure.SecretIdNotFound", "")),
        Reply::ok(refusal("AuthFailure.InvalidSecretId", "")),
        Reply::ok(refusal("AuthFailure.SignatureFailure", "")),
    ])
    .await;
    let setup = Setup::new();
    let provider = setup.assume_role(&cloud.url());
    let keys = temporary_keys();
    let identity = provider.identify(&keys).await.unwrap();
    assert_eq!(
        identity,
        Identity {
            account: "100000000001".into(),
            user: "4611:app".into(),
            arn: "qcs::sts:100000000001:assumed-role/4611".into(),
            kind: "CAMRole".into(),
        }
    );
    let request = cloud.received().remove(0);
    assert_eq!(request.header("x-tc-action"), Some("GetCallerIdentity"));
    assert_eq!(request.body, b"{}");
    assert_eq!(
        request.header("x-tc-token"),
        Some(keys.session_token.expose())
    );
    is_signed_by(
        &request,
        &cloud.host(),
        &keys.access_key_id,
        keys.secret_access_key.expose(),
    );

    let error = provider.identify(&keys).await.unwrap_err();
    without_canary(&error);
    assert!(
        error.message.contains("`Response.UserId` is missing"),
        "{error}"
    );
    let error = provider.identify(&keys).await.unwrap_err();
    assert_eq!(error.class, TRANSIENT, "there is no source to refresh");
    for unknown in ["SecretIdNotFound", "InvalidSecretId"] {
        let error = provider.identify(&keys).await.unwrap_err();
        assert_eq!(error.class, TRANSIENT, "not known everywhere: {unknown}");
    }
    let error = provider.identify(&keys).await.unwrap_err();
    assert_eq!(error.class, Class::Final);
}

#[tokio::test]
async fn calls_are_accounted_per_endpoint_and_action() {
    let setup = Setup::new();
    let provider = setup.assume_role("https://sts.example:443");
    let mint = provider.mint_call();
    let identity = provider.identity_call();
    assert_eq!(mint.endpoint, "sts.example");
    assert_eq!(mint.action, "AssumeRole");
    assert_eq!(identity.action, "GetCallerIdentity");
    let (mint, identity) = (mint.budget.unwrap(), identity.budget.unwrap());
    assert!((mint.rate() - 50.0).abs() < f64::EPSILON);
    assert!((identity.rate() - 20.0).abs() < f64::EPSILON);
    let other = setup.assume_role("https://sts.example");
    assert!(Arc::ptr_eq(&mint, &other.mint_call().budget.unwrap()));
    assert!(provider.mints());
}
