//! Each rule about the parameters of an action, broken by one request, with the code that must
//! come back.

use std::time::Duration;

use credvend::emulator::{LongLivedKey, Role, Trusted};
use serde_json::{Value, json};

use super::client::{Ask, Keys, now, role_arn, start};

const PARAMETER: &str = "InvalidParameter.ParamError";
const TYPE: &str = "InvalidParameter";
const FORMAT: &str = "InvalidParameter.StrategyFormatError";
const DENIED: &str = "UnauthorizedOperation";
const TOO_LONG: &str = "InvalidParameter.OverTimeError";

#[tokio::test]
async fn each_parameter_of_assume_role_has_its_limits() {
    let running = start();
    running.state.with_world(|world| {
        world
            .add_role(Role {
                trust: vec![Trusted::User("100000000099".to_owned())],
                ..Role::new("100000000001", "theirs")
            })
            .unwrap();
    });
    let right = json!({"RoleArn": role_arn("app"), "RoleSessionName": "session"});
    let tag = |key: &str| json!({"Key": key, "Value": "v"});
    let many: Vec<Value> = (0..51).map(|n| tag(&n.to_string())).collect();
    for (name, value, code) in [
        ("RoleArn", Value::Null, TYPE),
        ("RoleArn", json!(7), TYPE),
        ("RoleArn", json!("app"), PARAMETER),
        (
            "RoleArn",
            json!(role_arn("nobody")),
            "InternalError.GetRoleError",
        ),
        (
            "RoleArn",
            json!("qcs::cam::uin/300000000001:roleName/app"),
            "ResourceNotFound.RoleNotFound",
        ),
        ("RoleArn", json!(role_arn("theirs")), DENIED),
        ("RoleArn", json!(role_arn("web")), DENIED),
        ("RoleArn", json!(role_arn("partner")), DENIED),
        ("RoleSessionName", json!("a"), PARAMETER),
        ("RoleSessionName", json!("a".repeat(129)), PARAMETER),
        ("RoleSessionName", json!("a b"), PARAMETER),
        ("RoleSessionName", json!("sess\u{e9}"), PARAMETER),
        ("RoleSessionName", json!(["session"]), TYPE),
        ("DurationSeconds", json!("7200"), TYPE),
        ("DurationSeconds", json!(7_200.5), TYPE),
        ("DurationSeconds", json!(-1), TYPE),
        ("DurationSeconds", json!(0), PARAMETER),
        ("DurationSeconds", json!(43_201), TOO_LONG),
        ("Policy", json!(policy("allow")), FORMAT),
        ("Policy", json!(encoded("not a policy")), FORMAT),
        ("Policy", json!(encoded(&policy("permit"))), FORMAT),
        (
            "Policy",
            json!(encoded(
                &policy("allow").replace("\"effect\"", "\"principal\":{},\"effect\"")
            )),
            "InvalidParameter.StrategyInvalid",
        ),
        (
            "Policy",
            json!(encoded(&policy("allow").replace("\"*\"", "\"qcs::cos\""))),
            "InvalidParameter.ResouceError",
        ),
        ("ExternalId", json!("x"), PARAMETER),
        ("ExternalId", json!("a b"), PARAMETER),
        ("Tags", json!("team"), TYPE),
        ("Tags", json!([{"Key": "team"}]), "MissingParameter"),
        (
            "Tags",
            json!([{"Key": "a", "Value": "b", "More": "c"}]),
            "UnknownParameter",
        ),
        ("Tags", json!(many), PARAMETER),
        ("Tags", json!([tag("a"), tag("a")]), PARAMETER),
        ("Tags", json!([tag(&"a".repeat(129))]), PARAMETER),
        ("SourceIdentity", json!("someone"), PARAMETER),
        (
            "TokenCode",
            json!("123456"),
            "FailedOperation.CheckMFAError",
        ),
        ("RoleSesionName", json!("session"), "UnknownParameter"),
    ] {
        let mut body = right.clone();
        body[name] = value.clone();
        let ask = Ask::new(&running, &Keys::of(&running), "AssumeRole", &body);
        let (found, message) = ask.refused(&running).await;
        assert_eq!(found, code, "{name} = {value:.100}: {message}");
    }
    for name in ["RoleArn", "RoleSessionName"] {
        let mut body = right.clone();
        body.as_object_mut().unwrap().remove(name);
        let ask = Ask::new(&running, &Keys::of(&running), "AssumeRole", &body);
        assert_eq!(ask.code(&running).await, "MissingParameter", "{name}");
    }
    for text in ["", "[]", "{", "null", "\"text\"", "\u{0}"] {
        let mut ask = Ask::app(&running);
        ask.body = text.as_bytes().to_vec();
        assert_eq!(ask.code(&running).await, TYPE, "body {text:?}");
    }
}

fn policy(effect: &str) -> String {
    json!({"version": "2.0", "statement": [{"effect": effect, "action": "sts:*", "resource": "*"}]})
        .to_string()
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn a_session_is_refused_above_the_roles_own_limit_and_not_clamped() {
    let running = start();
    let ask = |role: &str, seconds: Option<u64>| {
        let mut body = json!({"RoleArn": role_arn(role), "RoleSessionName": "session"});
        if let Some(seconds) = seconds {
            body["DurationSeconds"] = seconds.into();
        }
        Ask::new(&running, &Keys::of(&running), "AssumeRole", &body)
    };
    for (role, seconds, code) in [
        ("app", Some(43_200), "ok"),
        ("app", Some(1), "ok"),
        ("short", Some(3_600), "ok"),
        ("short", Some(3_601), TOO_LONG),
        ("short", None, TOO_LONG), // the default is 7200
    ] {
        assert_eq!(
            ask(role, seconds).code(&running).await,
            code,
            "{role} {seconds:?}"
        );
    }
    let (_, message) = ask("short", None).refused(&running).await;
    assert_eq!(message, "time set too long");
}

#[tokio::test]
async fn federation_tokens_are_for_long_lived_keys_and_have_limits_of_their_own() {
    let running = start();
    running.state.with_world(|world| {
        world
            .add_key(LongLivedKey {
                id: "AKIDROOT".to_owned(),
                secret: "root".into(),
                account: "100000000001".to_owned(),
                uin: "100000000001".to_owned(),
            })
            .unwrap();
    });
    let user = Keys::of(&running);
    let root = Keys {
        id: "AKIDROOT".to_owned(),
        secret: "root".to_owned(),
        token: None,
    };
    let temporary = Keys::from(&Ask::app(&running).granted(&running).await);
    let policy = encoded(&policy("allow"));
    let body = |name: &str, seconds: u64| json!({"Name": name, "Policy": policy, "DurationSeconds": seconds});
    for (case, keys, body, code) in [
        ("a user, 36 hours", &user, body("alice", 129_600), "ok"),
        ("a user, longer", &user, body("alice", 129_601), TOO_LONG),
        (
            "the account itself, 2 hours",
            &root,
            body("alice", 7_200),
            "ok",
        ),
        (
            "the account itself, longer",
            &root,
            body("alice", 7_201),
            TOO_LONG,
        ),
        ("a role session", &temporary, body("alice", 1_800), DENIED),
        (
            "a name with a digit",
            &user,
            body("alice1", 1_800),
            PARAMETER,
        ),
        (
            "no policy",
            &user,
            json!({"Name": "alice"}),
            "MissingParameter",
        ),
        (
            "no name",
            &user,
            json!({"Policy": policy}),
            "MissingParameter",
        ),
    ] {
        let ask = Ask::new(&running, keys, "GetFederationToken", &body);
        assert_eq!(ask.code(&running).await, code, "{case}");
    }
}

#[tokio::test]
async fn identity_calls_take_no_parameters() {
    let running = start();
    let keys = Keys::of(&running);
    let ask = |body: &Value| Ask::new(&running, &keys, "GetCallerIdentity", body);
    assert_eq!(ask(&json!({})).code(&running).await, "ok");
    let code = ask(&json!({"TargetUin": 1})).code(&running).await;
    assert_eq!(code, "UnknownParameter");
}

#[tokio::test]
async fn web_identities_are_checked_against_provider_and_trust() {
    const TOKEN: &str = "InvalidParameter.WebIdentityTokenError";
    let running = start();
    let token = |subject: &str, seconds| {
        running.state.with_world(|world| {
            let provider = world.oidc_provider("100000000001", "example-oidc").unwrap();
            let lifetime = Duration::from_secs(seconds);
            provider.token(subject, now(), lifetime)
        })
    };
    let right = json!({
        "ProviderId": "example-oidc", "WebIdentityToken": token("someone", 60),
        "RoleArn": role_arn("web"), "RoleSessionName": "session", "DurationSeconds": 7_200,
    });
    let ask = |body: &Value| Ask::unsigned(&running, "AssumeRoleWithWebIdentity", body);
    assert_eq!(ask(&right).code(&running).await, "ok");
    for (name, value, code) in [
        ("ProviderId", json!("nobody"), PARAMETER),
        ("WebIdentityToken", json!("a.b.c"), TOKEN),
        ("WebIdentityToken", json!(token("someone", 0)), TOKEN),
        ("RoleArn", json!(role_arn("app")), DENIED),
        (
            "RoleArn",
            json!(role_arn("nobody")),
            "InternalError.GetRoleError",
        ),
        ("RoleSessionName", json!("a"), PARAMETER),
        ("DurationSeconds", json!("7200"), TYPE),
        ("DurationSeconds", json!(43_201), TOO_LONG),
        ("Policy", json!("%7B%7D"), "UnknownParameter"),
    ] {
        let mut body = right.clone();
        body[name] = value.clone();
        let (found, message) = ask(&body).refused(&running).await;
        assert_eq!(found, code, "{name} = {value:.100}: {message}");
    }
    let mut body = right.clone();
    body["WebIdentityToken"] = token("someone", 0).into();
    let (_, message) = ask(&body).refused(&running).await;
    assert_eq!(message, "id token error: Expired token");
}

#[tokio::test]
async fn an_assertion_names_role_and_provider_and_counts_once() {
    let running = start();
    let assertion = |role: &str, seconds| {
        running.state.with_world(|world| {
            let provider = world.saml_provider("100000000001", "example-saml").unwrap();
            let lifetime = Duration::from_secs(seconds);
            provider
                .assertion(&role_arn(role), "someone", now(), lifetime)
                .unwrap()
        })
    };
    let body = |assertion: String, role: &str, provider: &str| {
        json!({
            "SAMLAssertion": assertion, "RoleArn": role_arn(role), "RoleSessionName": "session",
            "PrincipalArn": format!("qcs::cam::uin/100000000001:saml-provider/{provider}"),
        })
    };
    let right = body(assertion("staff", 60), "staff", "example-saml");
    let ask = |body: &Value| Ask::unsigned(&running, "AssumeRoleWithSAML", body);
    assert_eq!(ask(&right).code(&running).await, "ok");
    let (code, message) = ask(&right).refused(&running).await;
    assert_eq!(
        (code.as_str(), message.contains("used before")),
        (PARAMETER, true)
    );
    for (case, body, code) in [
        (
            "expired",
            body(assertion("staff", 0), "staff", "example-saml"),
            PARAMETER,
        ),
        (
            "no XML",
            body("PHNhbWwvPg==".to_owned(), "staff", "example-saml"),
            PARAMETER,
        ),
        (
            "no base64",
            body("<saml/>".to_owned(), "staff", "example-saml"),
            PARAMETER,
        ),
        (
            "another provider",
            body(assertion("staff", 60), "staff", "other"),
            PARAMETER,
        ),
        (
            "another role",
            body(assertion("staff", 60), "app", "example-saml"),
            DENIED,
        ),
        (
            "a role that does not trust",
            body(assertion("app", 60), "app", "example-saml"),
            DENIED,
        ),
    ] {
        let (found, message) = ask(&body).refused(&running).await;
        assert_eq!(found, code, "{case}: {message}");
    }
    let mut short = right;
    short["PrincipalArn"] = "example-saml".into();
    assert_eq!(ask(&short).code(&running).await, PARAMETER);
}
