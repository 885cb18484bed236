//! Each rule about the head of a request and its signature, broken by one request, with the
//! code that must come back.

use std::time::Duration;

use credvend::emulator::Running;
use serde_json::json;

use super::client::{Ask, Keys, Proof, now, role_arn, start, start_movable};

type Change = fn(&mut Ask);

/// A row is a sentence; the change breaks one rule of a request that is right otherwise.
async fn expect(running: &Running, right: &Ask, rows: &[(&str, Change, &str)]) {
    assert_eq!(right.code(running).await, "ok", "the unchanged request");
    for (case, change, code) in rows {
        let mut ask = right.clone();
        change(&mut ask);
        let (found, message) = ask.refused(running).await;
        assert_eq!(found, *code, "{case}: {message}");
    }
}

#[tokio::test]
async fn the_head_of_a_request_is_held_to_the_documentation() {
    const MALFORMED: &str = "AuthFailure.InvalidAuthorization";
    let running = start();
    let right = Ask::app(&running);
    expect(
        &running,
        &right,
        &[
            ("GET", |ask| ask.method = "GET", "UnsupportedProtocol"),
            ("PUT", |ask| ask.method = "PUT", "UnsupportedProtocol"),
            (
                "no content type",
                |ask| ask.content_type = None,
                "InvalidRequest",
            ),
            (
                "a form",
                |ask| ask.content_type = Some("application/x-www-form-urlencoded"),
                "InvalidRequest",
            ),
            ("no action", |ask| ask.action = None, "MissingParameter"),
            (
                "an empty action",
                |ask| ask.action = Some(String::new()),
                "MissingParameter",
            ),
            (
                "an unknown action",
                |ask| ask.action = Some("TakeRole".to_owned()),
                "InvalidAction",
            ),
            (
                "an action in other letters",
                |ask| ask.action = Some("assumerole".to_owned()),
                "InvalidAction",
            ),
            ("no version", |ask| ask.version = None, "MissingParameter"),
            (
                "another version",
                |ask| ask.version = Some("2019-01-16"),
                "NoSuchVersion",
            ),
            (
                "no timestamp",
                |ask| ask.timestamp = None,
                "MissingParameter",
            ),
            (
                "a timestamp in words",
                |ask| ask.timestamp = Some("now".to_owned()),
                "InvalidParameter",
            ),
            ("no region", |ask| ask.region = None, "MissingParameter"),
            (
                "no such region",
                |ask| ask.region = Some("Guangzhou"),
                "UnsupportedRegion",
            ),
            (
                "the action twice",
                |ask| ask.extra.push(("x-tc-action", "AssumeRole".to_owned())),
                "InvalidParameter",
            ),
            (
                "no authorization",
                |ask| ask.proof = Proof::Missing,
                MALFORMED,
            ),
            (
                "another scheme",
                |ask| ask.proof = Proof::Text("Bearer abc".to_owned()),
                MALFORMED,
            ),
            (
                "SKIP for an action that is signed",
                |ask| ask.proof = Proof::Text("SKIP".to_owned()),
                MALFORMED,
            ),
            (
                "the host not signed",
                |ask| change_signature(ask, "content-type;host", "content-type"),
                MALFORMED,
            ),
            (
                "signed headers out of order",
                |ask| change_signature(ask, "content-type;host", "host;content-type"),
                MALFORMED,
            ),
            (
                "a signed header that is not there",
                |ask| change_signature(ask, "type;host", "type;host;x-tc-traceid"),
                MALFORMED,
            ),
        ],
    )
    .await;
}

fn change_signature(ask: &mut Ask, from: &str, to: &str) {
    let signature = ask.signature();
    let changed = signature.replace(from, to);
    assert_ne!(signature, changed);
    ask.proof = Proof::Text(changed);
}

/// Signs with a clock that is off by this much.
fn off_by(ask: &mut Ask, seconds: i64) {
    ask.timestamp = Some(now().saturating_add_signed(seconds).to_string());
}

#[tokio::test]
async fn a_signature_holds_or_it_does_not() {
    const FAILURE: &str = "AuthFailure.SignatureFailure";
    let running = start();
    let right = Ask::app(&running);
    expect(
        &running,
        &right,
        &[
            (
                "an unknown key id",
                |ask| ask.keys.id = "AKIDnobody".to_owned(),
                "AuthFailure.SecretIdNotFound",
            ),
            ("a wrong secret", |ask| ask.keys.secret.push('x'), FAILURE),
            (
                "another body than the signed one",
                |ask| {
                    ask.proof = Proof::Text(ask.signature());
                    ask.body.push(b' ');
                },
                FAILURE,
            ),
            (
                "another host than the signed one",
                |ask| {
                    ask.proof = Proof::Text(ask.signature());
                    ask.host = "sts.example".to_owned();
                },
                FAILURE,
            ),
            (
                "another content type than the signed one",
                |ask| {
                    ask.proof = Proof::Text(ask.signature());
                    ask.content_type = Some("application/json; charset=utf-8");
                },
                FAILURE,
            ),
            (
                "a timestamp other than the signed one",
                |ask| {
                    ask.proof = Proof::Text(ask.signature());
                    off_by(ask, -2);
                },
                FAILURE,
            ),
            (
                "the scope of another service",
                |ask| change_signature(ask, "/sts/", "/cvm/"),
                FAILURE,
            ),
            (
                "the scope of another day",
                |ask| change_signature(ask, "/20", "/19"),
                FAILURE,
            ),
            (
                "upper-case hex",
                |ask| {
                    let signature = ask.signature();
                    let (head, hex) = signature.rsplit_once('=').unwrap();
                    ask.proof = Proof::Text(format!("{head}={}", hex.to_uppercase()));
                },
                FAILURE,
            ),
            (
                "a clock behind",
                |ask| off_by(ask, -305),
                "AuthFailure.SignatureExpire",
            ),
            (
                "a clock ahead",
                |ask| off_by(ask, 305),
                "AuthFailure.SignatureExpire",
            ),
            (
                "a token with a long-lived key",
                |ask| ask.keys.token = Some("token".to_owned()),
                "AuthFailure.TokenFailure",
            ),
        ],
    )
    .await;
    for seconds in [-295, 295] {
        let mut ask = right.clone();
        off_by(&mut ask, seconds);
        assert_eq!(ask.code(&running).await, "ok", "{seconds} s are allowed");
    }
}

#[tokio::test]
async fn temporary_keys_need_their_own_token() {
    let running = start();
    let app = Ask::app(&running).granted(&running).await;
    let keys = Keys::from(&app);
    let other = Keys::from(&Ask::app(&running).granted(&running).await);
    let ask = |token: Option<String>| {
        let keys = Keys {
            token,
            ..keys.clone()
        };
        Ask::new(&running, &keys, "GetCallerIdentity", &json!({}))
    };
    assert_eq!(ask(keys.token.clone()).code(&running).await, "ok");
    for token in [None, other.token, Some(String::new())] {
        let code = ask(token).code(&running).await;
        assert_eq!(code, "AuthFailure.TokenFailure");
    }
}

#[tokio::test]
async fn an_expired_temporary_key_is_a_token_failure() {
    let (running, clock) = start_movable();
    let keys = Keys::from(&Ask::app(&running).granted(&running).await);
    let code = async || {
        let mut ask = Ask::new(&running, &keys, "GetCallerIdentity", &json!({}));
        ask.timestamp = Some(running.state.now().to_string());
        ask.code(&running).await
    };
    clock.advance(Duration::from_secs(7_100));
    assert_eq!(code().await, "ok");
    clock.advance(Duration::from_secs(100));
    assert_eq!(code().await, "AuthFailure.TokenFailure");
}

#[tokio::test]
async fn the_message_of_a_wrong_clock_ends_with_the_right_time() {
    let running = start();
    running.state.set_clock_offset(3_600);
    let (code, message) = Ask::app(&running).refused(&running).await;
    assert_eq!(code, "AuthFailure.SignatureExpire");
    let (_, time) = message.rsplit_once("the server time ").unwrap();
    let time: u64 = time.parse().unwrap();
    assert!(time.abs_diff(now() + 3_600) <= 2, "{message}");
}

#[tokio::test]
async fn unsigned_actions_say_so_and_sign_nothing() {
    const MALFORMED: &str = "AuthFailure.InvalidAuthorization";
    let running = start();
    let token = running.state.with_world(|world| {
        let provider = world.oidc_provider("100000000001", "example-oidc").unwrap();
        provider.token("someone", now(), Duration::from_mins(1))
    });
    let right = Ask::unsigned(
        &running,
        "AssumeRoleWithWebIdentity",
        &json!({
            "ProviderId": "example-oidc", "WebIdentityToken": token,
            "RoleArn": role_arn("web"), "RoleSessionName": "session",
        }),
    );
    expect(
        &running,
        &right,
        &[
            ("nothing", |ask| ask.proof = Proof::Missing, MALFORMED),
            ("a signature", |ask| ask.proof = Proof::Signed, MALFORMED),
            (
                "skip",
                |ask| ask.proof = Proof::Text("skip".to_owned()),
                MALFORMED,
            ),
            (
                "a token",
                |ask| ask.keys.token = Some("t".to_owned()),
                MALFORMED,
            ),
            (
                "a clock behind",
                |ask| off_by(ask, -305),
                "AuthFailure.SignatureExpire",
            ),
        ],
    )
    .await;
}
