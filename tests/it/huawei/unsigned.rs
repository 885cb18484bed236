//! What proves itself by a token or an assertion instead of a signature, and the older IAM API.

use credvend::clock::{Clock, SystemClock, unix_seconds};
use credvend::emulator::{HUAWEI_ACCOUNT, Running};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

use super::ask::{Ask, start};

fn urn(kind: &str, name: &str) -> String {
    format!("iam::{HUAWEI_ACCOUNT}:{kind}:{name}")
}

/// An assertion for `staff`, with one of its texts replaced.
fn assertion(cloud: &Running, from: &str, to: &str) -> String {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    let now = unix_seconds(SystemClock.wall());
    let life = Duration::from_mins(5);
    let made = cloud.state.with_huawei(|world| {
        let provider = world.saml_provider(HUAWEI_ACCOUNT, "example-saml").unwrap();
        provider.huawei_assertion(&urn("agency", "staff"), "somebody", now, life)
    });
    let xml = String::from_utf8(BASE64_STANDARD.decode(made.unwrap()).unwrap()).unwrap();
    let changed = xml.replace(from, to);
    assert!(from == to || changed != xml, "{from}");
    BASE64_STANDARD.encode(changed)
}

fn by_saml(cloud: &Running, assertion: &str) -> Ask {
    let body = json!({
        "provider_urn": urn("saml-provider", "example-saml"),
        "agency_urn": urn("agency", "staff"),
        "saml_assertion": assertion,
        "duration_seconds": 7_200,
    });
    Ask {
        is_signed: false,
        ..Ask::new(cloud, "/v5/agencies/assume-with-saml", &body)
    }
}

/// Seconds of life of the set in an answer.
fn life(answer: &Value) -> i64 {
    let end = answer["credentials"]["expiration"].as_str().unwrap();
    let end: Timestamp = end.parse().unwrap();
    end.as_second() - Timestamp::now().as_second()
}

#[tokio::test]
async fn an_assertion_tells_who_it_is_for_how_long_and_counts_once() {
    let cloud = start();
    let ask = by_saml(&cloud, &assertion(&cloud, "", ""));
    let answer = ask.granted(&cloud).await;
    assert_eq!(answer["subject"], "somebody");
    assert_eq!(answer["subject_type"], "persistent");
    assert_eq!(answer["audience"], "https://auth.huawei.com/saml");
    assert_eq!(answer["issuer"], "https://example-saml.example/metadata");
    assert!(answer["name_qualifier"].is_string());
    assert!((7_190..=7_200).contains(&life(&answer)), "{answer:#}");
    assert!(ask.refused(&cloud).await.2.contains("used before"));

    let shorter = by_saml(&cloud, &assertion(&cloud, ">43200<", ">900<"));
    let answer = shorter.granted(&cloud).await;
    assert!((890..=900).contains(&life(&answer)), "{answer:#}");
}

#[tokio::test]
async fn an_assertion_that_is_not_for_us_is_refused() {
    let cloud = start();
    let past = "<saml:AuthnStatement SessionNotOnOrAfter=\"2001-01-01T00:00:00Z\"/>\
                <saml:AttributeStatement>";
    for (from, to, status, why) in [
        (
            "agency:staff",
            "agency:app",
            403,
            "does not name this agency",
        ),
        ("<saml:AttributeStatement>", past, 400, "has expired"),
        (
            "https://auth.huawei.com/saml",
            "https://cloud.tencent.com/login/saml",
            400,
            "another recipient",
        ),
    ] {
        let ask = by_saml(&cloud, &assertion(&cloud, from, to));
        let (its_status, _, message) = ask.refused(&cloud).await;
        assert_eq!(its_status, status, "{to}: {message}");
        assert!(message.contains(why), "{to}: {message}");
    }
}

#[tokio::test]
async fn an_id_token_tells_who_it_is_for() {
    let cloud = start();
    let now = unix_seconds(SystemClock.wall());
    let token = cloud.state.with_huawei(|world| {
        let provider = world.oidc_provider(HUAWEI_ACCOUNT, "example-oidc").unwrap();
        provider.token("somebody", now, Duration::from_mins(5))
    });
    let body = json!({
        "provider_urn": urn("oidc-provider", "example-oidc"),
        "agency_urn": urn("agency", "web"),
        "agency_session_name": "session",
        "id_token": token,
    });
    let ask = Ask {
        is_signed: false,
        ..Ask::new(&cloud, "/v5/agencies/assume-with-oidc", &body)
    };
    let answer = ask.granted(&cloud).await;
    assert_eq!(answer["subject_from_id_token"], "somebody");
    assert_eq!(answer["audience"], "sts.cloud.tencent.com");
    assert_eq!(answer["provider"], "https://example-oidc.example");
}

type Change = fn(&mut Value);

#[tokio::test]
async fn what_security_tokens_refuse() {
    let cloud = start();
    let body = |change: &dyn Fn(&mut Value)| {
        let mut body = json!({"auth": {"identity": {
            "methods": ["assume_role"],
            "assume_role": {"agency_name": "app", "domain_name": "example-corp"},
        }}});
        change(&mut body);
        Ask::new(&cloud, "/v3.0/OS-CREDENTIAL/securitytokens", &body)
    };
    let (status, answer) = body(&|_| {}).send(&cloud).await;
    assert_eq!(status, 201);
    assert!(
        answer["credential"]["expires_at"]
            .as_str()
            .unwrap()
            .ends_with(".574000Z")
    );

    let day: Change =
        |it| it["auth"]["identity"]["assume_role"]["duration_seconds"] = json!(86_400);
    assert_eq!(body(&day).send(&cloud).await.0, 201, "the longest there is");

    let changes: [(Change, u16); 10] = [
        (
            |it| it["auth"]["identity"]["methods"] = json!(["token"]),
            400,
        ),
        (
            |it| it["auth"]["identity"]["assume_role"]["duration_seconds"] = json!(86_401),
            400,
        ),
        (
            |it| it["auth"]["identity"]["assume_role"]["agency_name"] = json!("nobody"),
            403,
        ),
        (
            |it| it["auth"]["identity"]["assume_role"]["session_user"] = json!({"name": "1x"}),
            400,
        ),
        (
            |it| it["auth"]["identity"]["policy"] = json!({"Version": "5.0"}),
            400,
        ),
        (|it| it["auth"]["scope"] = json!({}), 400),
        (
            |it| {
                it["auth"]["identity"]["assume_role"]["agency_name"] = json!("short");
                it["auth"]["identity"]["assume_role"]["duration_seconds"] = json!(86_400);
            },
            400,
        ),
        (
            |it| it["auth"]["identity"]["assume_role"]["agency_name"] = json!("partner"),
            403,
        ),
        (
            |it| it["auth"]["identity"]["assume_role"]["agency_name"] = json!("chained"),
            403,
        ),
        (
            |it| {
                let many: Vec<String> = (0..150)
                    .map(|number| format!("obs:object:{number}"))
                    .collect();
                it["auth"]["identity"]["policy"] =
                    json!({"Version": "1.1", "Statement": [{"Effect": "Allow", "Action": many}]});
            },
            400,
        ),
    ];
    for (change, expected) in changes {
        let ask = body(&change);
        let (status, answer) = ask.send(&cloud).await;
        assert_eq!(status, expected, "{}", ask.body);
        assert_eq!(answer["error"]["code"], expected, "{answer:#}");
        assert!(answer["error"]["title"].is_string());
        let members = answer.as_object().unwrap().len();
        assert_eq!(members, 1, "only STS encodes a message: {answer:#}");
    }
    let unsigned = Ask {
        is_signed: false,
        ..body(&|_| {})
    };
    assert_eq!(unsigned.refused(&cloud).await.1, "APIGW.0301");
}
