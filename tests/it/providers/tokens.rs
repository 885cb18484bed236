//! The actions whose proof is a parameter, and the one that only a long-lived key may call.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credvend::config::model::{
    Provider, SamlAssertion, Source, TencentAssumeRoleWithSaml, TencentAssumeRoleWithWebIdentity,
    TencentGetFederationToken,
};
use credvend::provider::error::Class;
use credvend::secret::SecretRef;
use serde_json::json;

use super::cloud::{Cloud, Reply};
use super::fixtures::{CANARY, ROLE_ARN, Setup, fail, minted, now, obtain, refusal, sts_at};

fn web_identity(cloud: &Cloud, token: SecretRef) -> Provider {
    Provider::TencentAssumeRoleWithWebIdentity(TencentAssumeRoleWithWebIdentity {
        sts: sts_at(&cloud.url()),
        provider_id: "cls-1".into(),
        role_arn: ROLE_ARN.into(),
        session_name: "pod".into(),
        duration: Duration::from_hours(1),
        web_identity_token: token,
    })
}

fn saml(cloud: &Cloud, assertion: SamlAssertion) -> Provider {
    Provider::TencentAssumeRoleWithSaml(TencentAssumeRoleWithSaml {
        sts: sts_at(&cloud.url()),
        principal_arn: "qcs::cam::uin/100000000001:saml-provider/idp".into(),
        role_arn: ROLE_ARN.into(),
        session_name: "person".into(),
        duration: Duration::from_hours(1),
        assertion,
    })
}

fn token(expires_at: u64) -> String {
    let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"pod","exp":{expires_at}}}"#));
    format!("{CANARY}.{claims}.{CANARY}")
}

fn shell(script: &str) -> SamlAssertion {
    SamlAssertion::Command(vec!["/bin/sh".into(), "-c".into(), script.into()])
}

#[tokio::test]
async fn a_web_identity_token_is_read_again_at_each_attempt_and_sent_unsigned() {
    let cloud = Cloud::start(vec![Reply::ok(minted())]).await;
    let setup = Setup::new();
    let reference = setup.write("token", &format!("{CANARY}-first\n"));
    let provider = setup.build(web_identity(&cloud, reference));
    obtain(&provider).await;
    setup.write("token", &format!("{CANARY}-the-second\n"));
    obtain(&provider).await;

    let requests = cloud.received();
    for (request, token) in [(&requests[0], "first"), (&requests[1], "the-second")] {
        assert_eq!(request.header("authorization"), Some("SKIP"));
        assert_eq!(request.header("x-tc-token"), None);
        assert_eq!(
            request.header("x-tc-action"),
            Some("AssumeRoleWithWebIdentity")
        );
        assert!(request.header("x-tc-timestamp").is_some());
        assert_eq!(
            request.json(),
            json!({
                "ProviderId": "cls-1", "WebIdentityToken": format!("{CANARY}-{token}"),
                "RoleArn": ROLE_ARN, "RoleSessionName": "pod", "DurationSeconds": 3600,
            })
        );
    }
    let file = setup.folder.path().join("token");
    assert_eq!(provider.watched_files(), [file]);
}

#[tokio::test]
async fn a_refused_token_that_has_expired_is_said_to_have() {
    let expired = token(now() - 90);
    let message = format!("id token error: Expired token {expired}");
    let code = "InvalidParameter.WebIdentityTokenError";
    let cloud = Cloud::start(vec![
        Reply::ok(refusal(code, &message)),
        Reply::ok(refusal(code, "id token error")),
    ])
    .await;
    let setup = Setup::new();
    let reference = setup.write("token", &expired);
    let provider = setup.build(web_identity(&cloud, reference));
    let error = fail(&provider).await;
    assert_eq!(error.class, Class::StaleSource);
    assert!(error.message.starts_with("the token in `file:"), "{error}");
    assert!(error.message.contains("` expired 9"), "{error}");
    assert!(
        error.message.contains("Expired token (redacted)"),
        "{error}"
    );
    assert_eq!(error.code.as_deref(), Some(code));

    setup.write("token", &token(now() + 90_000));
    let error = fail(&provider).await;
    assert_eq!(error.class, Class::StaleSource);
    assert!(!error.message.contains("expired 9"), "{error}");
}

#[tokio::test]
async fn a_missing_token_is_a_final_failure_without_a_call() {
    let cloud = Cloud::start(vec![Reply::ok(minted())]).await;
    let reference = SecretRef::File("/nowhere/token".into());
    let error = fail(&Setup::new().build(web_identity(&cloud, reference))).await;
    assert_eq!(error.class, Class::Final);
    let report = error.report();
    assert!(
        report.starts_with("the web identity token cannot be read: cannot read `file:/nowhere"),
        "{report}"
    );
    assert_eq!(cloud.received().len(), 0);
}

#[tokio::test]
async fn an_assertion_comes_from_a_file_or_a_program() {
    let cloud = Cloud::start(vec![Reply::ok(minted())]).await;
    let setup = Setup::new();
    let reference = setup.write("assertion", &format!("{CANARY}-filed\n"));
    obtain(&setup.build(saml(&cloud, SamlAssertion::Secret(reference)))).await;
    let printing = shell(&format!("echo; echo {CANARY}-printed"));
    obtain(&setup.build(saml(&cloud, printing))).await;

    let requests = cloud.received();
    for (request, assertion) in [(&requests[0], "filed"), (&requests[1], "printed")] {
        assert_eq!(request.header("authorization"), Some("SKIP"));
        assert_eq!(request.header("x-tc-action"), Some("AssumeRoleWithSAML"));
        assert_eq!(
            request.json(),
            json!({
                "SAMLAssertion": format!("{CANARY}-{assertion}"),
                "PrincipalArn": "qcs::cam::uin/100000000001:saml-provider/idp",
                "RoleArn": ROLE_ARN, "RoleSessionName": "person", "DurationSeconds": 3600,
            })
        );
    }
}

#[tokio::test]
async fn a_program_without_an_assertion_makes_no_call() {
    let cloud = Cloud::start(vec![Reply::ok(minted())]).await;
    let setup = Setup::new();
    for (script, sentence) in [
        ("true", "program `/bin/sh` printed no SAML assertion"),
        (
            "echo 'no session' >&2; exit 3",
            "program `/bin/sh` failed (exit status: 3): no session",
        ),
    ] {
        let error = fail(&setup.build(saml(&cloud, shell(script)))).await;
        assert_eq!(error.class, Class::Transient, "{script}");
        assert_eq!(error.report(), sentence);
    }
    assert_eq!(cloud.received().len(), 0);
}

#[tokio::test]
async fn a_federation_token_is_asked_for_with_an_encoded_policy() {
    let cloud = Cloud::start(vec![
        Reply::ok(minted()),
        Reply::ok(refusal("InvalidParameter.OverTimeError", "")),
    ])
    .await;
    let setup = Setup::new();
    let provider = setup.build(Provider::TencentGetFederationToken(
        TencentGetFederationToken {
            sts: sts_at(&cloud.url()),
            source: Source::Key("ops".parse().unwrap()),
            session_name: "reader".into(),
            duration: Duration::from_mins(15),
            policy: r#"{"version": "2.0"}"#.into(),
        },
    ));
    obtain(&provider).await;
    let request = cloud.received().remove(0);
    assert_eq!(request.header("x-tc-action"), Some("GetFederationToken"));
    assert!(
        request
            .header("authorization")
            .unwrap()
            .starts_with("TC3-HMAC-SHA256 Credential=AKIDlonglived/")
    );
    assert_eq!(
        request.json(),
        json!({
            "Name": "reader", "Policy": "%7B%22version%22%3A%20%222.0%22%7D",
            "DurationSeconds": 900,
        })
    );
    let error = fail(&provider).await;
    assert_eq!(error.class, Class::Final);
    assert!(
        error.message.starts_with("this key allows no session"),
        "{error}"
    );
}
