//! What comes back when there is no set: refusals, answers that are none, and silence.

use std::time::Duration;

use credvend::config::model::{self, Service};
use credvend::provider::error::Class;
use serde_json::json;

use super::cloud::{Cloud, Reply, closed_port};
use super::fixtures::{
    CANARY, PATIENCE, Setup, assume_role, fail, impatient, minted, refusal, sts_at,
};

const TRANSIENT: Class = Class::Transient;

async fn check(rows: Vec<(&str, Reply, Class, &str)>) {
    for (case, reply, class, sentence) in rows {
        let cloud = Cloud::start(vec![reply]).await;
        let error = fail(&Setup::new().assume_role(&cloud.url())).await;
        assert_eq!(error.class, class, "{case}: {error}");
        assert!(error.message.contains(sentence), "{case}: {error}");
        assert!(error.message.contains(&cloud.host()), "{case}: {error}");
        assert_eq!(cloud.received().len(), 1, "{case}: one call per attempt");
    }
}

/// What a relay on the way might say.
fn page() -> String {
    format!("<html>{CANARY}</html>")
}

#[tokio::test]
async fn each_refusal_has_its_class_and_its_sentence() {
    let throttled = Class::Throttled { retry_after: None };
    let pause = Class::Throttled {
        retry_after: Some(Duration::from_secs(7)),
    };
    check(vec![
        (
            "refused",
            Reply::ok(refusal("UnauthorizedOperation", "not allowed.")),
            Class::Final,
            "refused AssumeRole: UnauthorizedOperation: not allowed; the caller's policy",
        ),
        (
            "no such role",
            Reply::ok(refusal("InternalError.GetRoleError", "role not exist")),
            Class::Final,
            "InternalError.GetRoleError: role not exist; check `role-arn`",
        ),
        (
            "throttled by a code that does not look like it",
            Reply::ok(refusal("InvalidParameter.OverLimit", "frequency limit")),
            throttled,
            "InvalidParameter.OverLimit: frequency limit",
        ),
        (
            "throttled by status",
            Reply::Answer(429, "Retry-After: 7", page()),
            pause,
            "asks for fewer requests",
        ),
        (
            "throttled by status and code",
            Reply::Answer(429, "Retry-After: 7", refusal("Any.Thing", "").to_string()),
            pause,
            "refused AssumeRole: Any.Thing",
        ),
        (
            "the old shape",
            Reply::ok(json!({"code": 4100, "codeDesc": "AuthFailure", "message": "no"})),
            Class::Final,
            "refused AssumeRole: AuthFailure: no",
        ),
    ])
    .await;
}

#[tokio::test]
async fn each_unusable_answer_is_transient_and_described() {
    let cut_off = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"Response\": {\"Cred".to_vec();
    check(vec![
        (
            "an error of the server",
            Reply::Answer(503, "", page()),
            TRANSIENT,
            "sent no usable answer to AssumeRole: it has HTTP status 503",
        ),
        (
            "a final code from a server in trouble",
            Reply::Answer(
                500,
                "",
                refusal("InvalidParameter.ParamError", "").to_string(),
            ),
            TRANSIENT,
            "refused AssumeRole: InvalidParameter.ParamError",
        ),
        (
            "a relay's refusal",
            Reply::Answer(403, "Content-Type: text/html", page()),
            TRANSIENT,
            "it has HTTP status 403",
        ),
        (
            "a redirect",
            Reply::Answer(302, "Location: http://127.0.0.1:1/", String::new()),
            TRANSIENT,
            "it redirects (HTTP status 302), which is never followed",
        ),
        ("not JSON", Reply::ok(page()), TRANSIENT, "it is not JSON"),
        (
            "a field is missing",
            Reply::ok(minted().to_string().replace("TmpSecretKey", "Other")),
            TRANSIENT,
            "`Response.Credentials.TmpSecretKey` is missing",
        ),
        (
            "a part is empty",
            Reply::ok(minted().to_string().replace("AKIDminted", "")),
            TRANSIENT,
            "a part of the credentials is empty",
        ),
        (
            "cut off",
            Reply::Bytes(cut_off),
            TRANSIENT,
            "broke off before its answer was complete",
        ),
        (
            "not HTTP",
            Reply::Bytes(b"CANARY-5b1d\r\n\r\n".to_vec()),
            TRANSIENT,
            "broke off before its answer was complete",
        ),
        (
            "reset",
            Reply::Reset,
            TRANSIENT,
            "broke off before its answer was complete: connection reset",
        ),
        (
            "too large",
            Reply::ok("x".repeat(300 * 1024)),
            TRANSIENT,
            "answered with more than 256 KiB",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_refusal_keeps_the_code_and_the_request_id() {
    let cloud = Cloud::start(vec![Reply::ok(refusal("DryRunOperation", "no\nway"))]).await;
    let error = fail(&Setup::new().assume_role(&cloud.url())).await;
    assert_eq!(error.code.as_deref(), Some("DryRunOperation"));
    assert_eq!(error.request_id.as_deref(), Some("request-2"));
    assert!(error.message.contains("no\\nway"), "escaped: {error}");
}

#[tokio::test]
async fn a_secret_that_the_cloud_repeats_is_not_passed_on() {
    let message = format!("bad key {CANARY}-secret, sorry");
    let cloud = Cloud::start(vec![Reply::ok(refusal("DryRunOperation", &message))]).await;
    let error = fail(&Setup::new().assume_role(&cloud.url())).await;
    assert!(
        error.message.contains("bad key (redacted), sorry"),
        "{error}"
    );

    let mut anywhere = refusal(&format!("Bad.{CANARY}-secret"), "");
    anywhere["Response"]["RequestId"] = format!("for {CANARY}-secret").into();
    let cloud = Cloud::start(vec![Reply::ok(anywhere)]).await;
    let error = fail(&Setup::new().assume_role(&cloud.url())).await;
    assert_eq!(error.code.as_deref(), Some("Bad.(redacted)"));
    assert_eq!(error.request_id.as_deref(), Some("for (redacted)"));
}

#[tokio::test]
async fn an_unreachable_and_a_silent_endpoint_are_told_apart() {
    let setup = Setup::new();
    let port = closed_port().await;
    let error = fail(&setup.assume_role(&format!("http://127.0.0.1:{port}"))).await;
    assert_eq!(error.class, TRANSIENT);
    let expected = format!("cannot reach 127.0.0.1:{port}: connection refused");
    assert_eq!(error.report(), expected);

    let cloud = Cloud::start(vec![Reply::Hang]).await;
    let settings = assume_role(Service {
        upstream: impatient(),
        ..sts_at(&cloud.url())
    });
    let error = fail(&setup.build(model::Provider::TencentAssumeRole(settings))).await;
    assert_eq!(error.class, TRANSIENT);
    let expected = format!(
        "no answer from {} within {} ms",
        cloud.host(),
        PATIENCE.as_millis()
    );
    assert_eq!(error.report(), expected);
}
