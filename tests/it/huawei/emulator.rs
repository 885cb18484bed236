//! The emulated cloud from outside: what it refuses, with which status and code.

use credvend::emulator::{HUAWEI_ACCOUNT, HUAWEI_USER};
use credvend::provider::huawei::signing::Scheme;
use reqwest::Method;
use serde_json::{Value, json};

use super::ask::{Ask, start, with};
use SignedBy::{Long, Temporary};

#[tokio::test]
async fn both_schemes_of_signature_are_accepted() {
    let cloud = start();
    for scheme in [Scheme::Plain, derived("cn-north-4", "sts")] {
        let ask = Ask {
            scheme,
            query: "b=%E4%B8%AD&a=1%20%2B",
            ..Ask::identity(&cloud)
        };
        let identity = ask.granted(&cloud).await;
        assert_eq!(identity["principal_id"], HUAWEI_USER);
    }
}

#[derive(Clone, Copy)]
enum SignedBy {
    Long,
    Temporary,
}

fn derived(region: &'static str, service: &'static str) -> Scheme<'static> {
    Scheme::Derived { region, service }
}

/// A request, what is changed about it, and the sentence it is refused with.
type Case = (&'static str, SignedBy, fn(&mut Ask), &'static str);

const GATEWAY: [Case; 15] = [
    ("none", Long, |it| it.is_signed = false, "Unauthorized"),
    (
        "wrong secret",
        Long,
        |it| it.secret.push('x'),
        "verify aksk",
    ),
    ("unknown key", Long, |it| it.id.push('x'), "ak not exist"),
    (
        "16 min ago",
        Long,
        |it| it.timestamp -= 960,
        "signature expired",
    ),
    (
        "in 16 min",
        Long,
        |it| it.timestamp += 960,
        "signature expired",
    ),
    (
        "no host",
        Long,
        |it| it.leave_out("host"),
        "host must be signed",
    ),
    (
        "no date",
        Long,
        |it| it.leave_out("x-sdk-date"),
        "x-sdk-date must be signed",
    ),
    (
        "token not signed",
        Temporary,
        |it| it.leave_out("x-security-token"),
        "x-security-token must be signed",
    ),
    ("no token", Temporary, |it| it.token = None, "decrypt token"),
    (
        "wrong token",
        Temporary,
        |it| it.token = Some("x".to_owned()),
        "decrypt token",
    ),
    (
        "a token too many",
        Long,
        |it| it.token = Some("x".to_owned()),
        "decrypt token",
    ),
    (
        "a header twice",
        Long,
        |it| it.signed_names = Some("content-type;host;host;x-sdk-date"),
        "each there once",
    ),
    (
        "derived for another service",
        Long,
        |it| it.scheme = derived("cn-north-4", "iam"),
        "not of the service sts",
    ),
    (
        "derived for no region",
        Long,
        |it| it.scheme = derived("globe", "sts"),
        "no region of this service",
    ),
    (
        "another type than was signed",
        Long,
        |it| it.tampered = Some(("content-type", "text/plain")),
        "verify aksk",
    ),
];

#[tokio::test]
async fn what_the_gateway_refuses() {
    let cloud = start();
    let good = Ask::app(&cloud);
    let temporary = good.granted(&cloud).await["credentials"].clone();
    let text = |name: &str| temporary[name].as_str().unwrap().to_owned();
    let temporary = Ask {
        id: text("access_key_id"),
        secret: text("secret_access_key"),
        token: Some(text("security_token")),
        ..Ask::identity(&cloud)
    };
    temporary.granted(&cloud).await;
    for (case, signed_by, change, why) in GATEWAY {
        let mut ask = match signed_by {
            Long => good.clone(),
            Temporary => temporary.clone(),
        };
        change(&mut ask);
        let (status, code, message) = ask.refused(&cloud).await;
        assert_eq!((status, &*code), (401, "APIGW.0301"), "{case}: {message}");
        assert!(message.contains(why), "{case}: {message}");
    }
    let elsewhere = Ask {
        path: "/v5/nowhere",
        ..good.clone()
    };
    assert_eq!(elsewhere.refused(&cloud).await.1, "APIGW.0101");
    let method = Ask {
        method: Method::PUT,
        ..good
    };
    assert_eq!(method.refused(&cloud).await.0, 404);
}

#[tokio::test]
async fn what_assume_agency_refuses() {
    let cloud = start();
    let policy = |version: &str| {
        json!({"Version": version, "Statement": [{"Effect": "Allow", "Action": ["a:b:c"]}]})
            .to_string()
    };
    for (name, value) in [
        ("duration_seconds", json!(900)),
        ("duration_seconds", json!(43_200)),
        ("policy", json!(policy("5.0"))),
        ("tags", json!([{"key": "a", "value": ""}])),
        ("source_identity", json!("me")),
    ] {
        let ask = Ask::new(&cloud, "/v5/agencies/assume", &with(name, value.clone()));
        ask.granted(&cloud).await;
    }
    let agency = |name: &str| json!(format!("iam::{HUAWEI_ACCOUNT}:agency:{name}"));
    for (name, value, status, code) in [
        ("agency_urn", Value::Null, 400, "STS5.0400"),
        ("agency_urn", json!("app"), 400, "STS5.0400"),
        ("agency_urn", agency("nobody"), 404, "STS5.1106"),
        ("agency_urn", agency("chained"), 403, "STS5.1001"),
        ("agency_urn", agency("partner"), 403, "STS5.1001"),
        ("agency_session_name", json!("x"), 400, "STS5.0400"),
        ("agency_session_name", json!("a b"), 400, "STS5.0400"),
        ("duration_seconds", json!("900"), 400, "STS5.0400"),
        ("duration_seconds", json!(899), 400, "STS5.0400"),
        ("duration_seconds", json!(43_201), 400, "STS5.0400"),
        ("external_id", json!("x"), 400, "STS5.0400"),
        ("policy", json!("{}"), 400, "STS5.0400"),
        ("policy", json!(policy("1.1")), 400, "STS5.0400"),
        ("policy", json!("not JSON"), 400, "STS5.0400"),
        ("policy_ids", json!(["a b"]), 400, "STS5.0400"),
        ("policy_ids", json!([1]), 400, "STS5.0400"),
        (
            "tags",
            json!([{"key": "_sys_a", "value": ""}]),
            400,
            "STS5.0400",
        ),
        ("tags", json!([{"key": "a"}]), 400, "STS5.0400"),
        ("token_code", json!("123456"), 403, "STS5.1001"),
        ("AgencyUrn", json!("x"), 400, "STS5.0400"),
    ] {
        let ask = Ask::new(&cloud, "/v5/agencies/assume", &with(name, value.clone()));
        let (its_status, its_code, message) = ask.refused(&cloud).await;
        let case = format!("{name} = {value}: {message}");
        assert_eq!((its_status, &*its_code), (status, code), "{case}");
    }
    let (_, body) = Ask::new(
        &cloud,
        "/v5/agencies/assume",
        &with("agency_urn", agency("chained")),
    )
    .send(&cloud)
    .await;
    assert!(body["encoded_authorization_message"].is_string());
}
