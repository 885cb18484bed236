//! Tencent's gateway, both ways to exchange an assertion, and sessions of its own tool.

use std::time::Duration;

use credvend::emulator::{Decision, Fault, FaultKind, Portal};
use credvend::login::Stage;
use credvend::observe::audit::Peer;
use credvend::provider::error::Class;

use super::setup::{World, ended};
use crate::support::{capture_logs, logged};

fn calls(world: &World, action: &str) -> usize {
    let recent = world.cloud.state.calls().recent;
    recent.iter().filter(|call| call.action == action).count()
}

#[tokio::test]
async fn a_sign_in_mints_by_the_gateway_or_by_the_public_sts() {
    let world = World::start();
    for (mint, gateway, sts) in [("gateway", 1, 0), ("sts", 0, 1)] {
        let config = world.tencent(&format!("mint = \"{mint}\"\nstate = \"memory\""));
        let parts = world.parts(&config);
        world.sign_in(&parts).await;
        world.cloud.state.reset_counts();
        let provider = parts.role("app");
        // The portal's roles here allow an hour, and two are asked for.
        let mut obtained = provider.provide().await;
        while obtained
            .as_ref()
            .is_err_and(|error| error.class == Class::DurationTooLong)
        {
            obtained = provider.provide().await;
        }
        let obtained = obtained.unwrap();
        assert!(obtained.keys.are_complete());
        let (minted, refused) = (1, 1);
        let total = minted + refused;
        assert_eq!(
            calls(&world, "assume_role_with_saml"),
            gateway * total,
            "{mint}"
        );
        assert_eq!(calls(&world, "AssumeRoleWithSAML"), sts * total, "{mint}");
        let identity = provider.identify(&obtained.keys).await.unwrap();
        assert_eq!(identity.account, "100000000001");
    }
    assert!(!world.state_directory().exists(), "memory leaves no file");
}

#[tokio::test]
async fn where_one_way_fails_the_other_is_tried_with_its_own_assertion() {
    let world = World::start();
    let parts = world.parts(
        &world
            .tencent("")
            .replace("account-id", "duration = \"1h\"\naccount-id"),
    );
    world.sign_in(&parts).await;
    let fault = |kind| Fault {
        action: Some("assume_role_with_saml".into()),
        code: (kind == FaultKind::ErrorCode).then(|| "InvalidParameter.ParamError".into()),
        ..Fault::new(kind)
    };
    for kind in [FaultKind::ErrorCode, FaultKind::Status] {
        world.cloud.state.push_fault(fault(kind)).unwrap();
        parts.obtain("app").await.unwrap();
    }
    assert_eq!(calls(&world, "gen_saml_response"), 4);
    assert_eq!(calls(&world, "AssumeRoleWithSAML"), 2);

    world
        .cloud
        .state
        .push_fault(fault(FaultKind::Throttle))
        .unwrap();
    let error = parts.obtain("app").await.unwrap_err();
    assert!(matches!(error.class, Class::Throttled { .. }), "{error:?}");
    assert_eq!(
        calls(&world, "AssumeRoleWithSAML"),
        2,
        "who is throttled does not go elsewhere"
    );
}

#[tokio::test]
async fn the_probe_tells_an_ended_session_from_a_refused_role() {
    let world = World::start();
    let parts = world.parts(
        &world
            .tencent("")
            .replace("account-id", "duration = \"1h\"\naccount-id"),
    );
    world.sign_in(&parts).await;
    let fault = Fault {
        action: Some("gen_saml_response".into()),
        code: Some("ResourceNotFound.Role".into()),
        ..Fault::new(FaultKind::ErrorCode)
    };
    world.cloud.state.push_fault(fault).unwrap();
    let error = parts.obtain("app").await.unwrap_err();
    assert_eq!(error.class, Class::Final, "{error}");
    assert_eq!(parts.corp().overview().state, "signed-in");
    assert_eq!(
        calls(&world, "gen_saml_response"),
        1,
        "there is no other way to an assertion"
    );

    world.cloud.state.with_portal(Portal::end_sessions);
    let error = parts.obtain("app").await.unwrap_err();
    assert_eq!(error.class, Class::NeedsLogin, "{error}");
    assert_eq!(parts.corp().overview().state, "needs-login");
    world.sign_in(&parts).await;
    parts.obtain("app").await.unwrap();
}

#[tokio::test]
async fn a_session_of_the_official_tool_is_adopted_and_left_alone() {
    let world = World::start();
    let parts = world.parts(&world.tencent("state = \"memory\""));
    world.sign_in(&parts).await;
    let token = |world: &World| {
        let now = credvend::clock::SystemClock;
        let now = credvend::clock::Clock::boot(&now);
        assert_eq!(
            world.cloud.state.with_portal(|portal| portal.sessions(now)),
            1
        );
        world
            .cloud
            .state
            .with_portal(|portal| portal.tokens().remove(0))
    };
    let profile = |token: &str| {
        format!(
            "{{\"type\": \"sso\", \"secretId\": \"x\", \"sso\": {{\"token\": \"{token}\", \
             \"zoneId\": \"z-emulated\", \"site\": \"cn\", \"expiresAt\": 4000000000}}}}"
        )
    };
    let text = profile(&token(&world));
    let path = world.write("default.credential", &text);
    let config = world.tencent(&format!(
        "state = \"memory\"\nadopt-tccli-profile = \"{}\"",
        path.display()
    ));
    let config = config.replace("account-id", "duration = \"1h\"\naccount-id");
    let parts = world.parts(&config);
    assert_eq!(parts.corp().overview().state, "signed-in");
    parts.obtain("app").await.unwrap();

    // The session ends, and the tool signs in again.
    world.cloud.state.with_portal(Portal::end_sessions);
    assert_eq!(
        parts.obtain("app").await.unwrap_err().class,
        Class::NeedsLogin
    );
    let other = world.parts(&world.tencent("state = \"memory\""));
    world.sign_in(&other).await;
    let text = profile(&token(&world));
    world.write("default.credential", &text);
    let name = tokio::time::timeout(Duration::from_secs(20), parts.logins.changed()).await;
    assert_eq!(name.unwrap().as_str(), "corp", "its roles are told");
    parts.obtain("app").await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn the_state_and_the_token_are_nowhere_but_where_they_belong() {
    capture_logs();
    let world = World::start();
    let parts = world.parts(
        &world
            .tencent("")
            .replace("account-id", "duration = \"1h\"\naccount-id"),
    );
    let (sign_in, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    let url = sign_in.challenge.url.expose().to_owned();
    let state = url.rsplit_once("state=").unwrap().1.to_owned();
    assert!(
        url.contains("?loginType=tccli&callback=http%3A%2F%2F127.0.0.1"),
        "{url}"
    );
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    world.decide(&sign_in, Decision::Approve);
    assert!(matches!(
        ended(&sign_in).await,
        Stage::SignedIn { estimate: true, .. }
    ));
    let obtained = parts.obtain("app").await.unwrap();
    let token = world
        .cloud
        .state
        .with_portal(|portal| portal.tokens().remove(0));
    let told = format!(
        "{}{:?}{:?}{:?}",
        logged(),
        parts.corp(),
        sign_in,
        parts.logins.notices()
    );
    let secret = obtained.keys.secret_access_key.expose().to_owned();
    for secret in [state, token, secret] {
        assert!(!told.contains(&secret), "found in {told}");
    }
}

/// One role that asks for no more than it may.
fn app(world: &World, more: &str) -> String {
    world
        .tencent(more)
        .replace("account-id", "duration = \"1h\"\naccount-id")
}

#[tokio::test]
async fn a_page_of_somebody_on_the_way_ends_no_session() {
    let world = World::start();
    let config = app(&world, "");
    let parts = world.parts(&config);
    world.sign_in(&parts).await;
    for status in [302, 403, 404, 502] {
        let fault = Fault {
            forever: true,
            ..Fault::status(status)
        };
        world.cloud.state.push_fault(fault).unwrap();
        let error = parts.obtain("app").await.unwrap_err();
        assert_eq!(error.class, Class::Transient, "{status}: {error}");
        assert!(error.message.contains("no usable answer"), "{error}");
        world.cloud.state.clear_faults();
        assert_eq!(parts.corp().overview().state, "signed-in", "{status}");
    }
    parts.obtain("app").await.unwrap();
    world.parts(&config).obtain("app").await.unwrap();
}

#[tokio::test]
async fn a_probe_that_gets_no_answer_tells_nothing_of_the_session() {
    let world = World::start();
    let parts = world.parts(&app(&world, ""));
    world.sign_in(&parts).await;
    let refused = Fault::error("AuthFailure.LoginToken", "no").on_action("gen_saml_response");
    world.cloud.state.push_fault(refused).unwrap();
    let away = Fault::status(503).on_action("verify_login_skey");
    world.cloud.state.push_fault(away).unwrap();
    let error = parts.obtain("app").await.unwrap_err();
    assert_eq!(error.class, Class::Transient, "{error}");
    assert_eq!(parts.corp().overview().state, "signed-in");
    parts.obtain("app").await.unwrap();
}

#[tokio::test]
async fn an_approval_survives_a_probe_that_fails() {
    let world = World::start();
    let parts = world.parts(&app(&world, ""));
    let fault = Fault::status(503).on_action("verify_login_skey");
    world.cloud.state.push_fault(fault).unwrap();
    world.sign_in(&parts).await;
    assert!(world.cloud.state.faults().is_empty(), "it struck");
    parts.obtain("app").await.unwrap();
}

#[tokio::test]
async fn where_both_ways_fail_the_one_that_asks_for_another_try_decides() {
    let world = World::start();
    let parts = world.parts(&app(&world, ""));
    world.sign_in(&parts).await;
    let refused =
        Fault::error("InvalidParameter.ParamError", "").on_action("assume_role_with_saml");
    world.cloud.state.push_fault(refused).unwrap();
    let busy = Fault::error("RequestLimitExceeded", "").on_action("AssumeRoleWithSAML");
    world.cloud.state.push_fault(busy).unwrap();
    let error = parts.obtain("app").await.unwrap_err();
    assert!(matches!(error.class, Class::Throttled { .. }), "{error:?}");
    assert!(error.message.contains("and the other way"), "{error}");
}

#[tokio::test]
async fn every_call_to_the_portal_is_counted() {
    let world = World::start();
    let parts = world.parts(&app(&world, ""));
    world.sign_in(&parts).await;
    parts.corp().list().await.unwrap();
    let refused =
        Fault::error("InvalidParameter.ParamError", "").on_action("assume_role_with_saml");
    world.cloud.state.push_fault(refused).unwrap();
    parts.obtain("app").await.unwrap();
    let text = parts.metrics.encode().unwrap();
    let counted = |action: &str, result: &str| {
        let labels = format!("action=\"{action}\",result=\"{result}\"}}");
        let line = text.lines().find(|line| {
            line.starts_with("credvend_upstream_calls_total") && line.contains(&labels)
        });
        line.and_then(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
    };
    for (action, count) in [
        ("check_login_state", 1),
        ("list_accounts", 1),
        ("gen_saml_response", 2),
        ("AssumeRoleWithSAML", 1),
    ] {
        assert_eq!(counted(action, "success"), Some(count), "{action}\n{text}");
    }
    assert!(counted("verify_login_skey", "success") >= Some(1));
    assert_eq!(
        counted("assume_role_with_saml", "refused"),
        None,
        "whoever asks for the role accounts for minting it"
    );
}

#[tokio::test]
async fn a_profile_that_was_mended_is_no_trouble_any_more() {
    let world = World::start();
    let path = world.write("default.credential", "{torn");
    let more = format!("adopt-tccli-profile = \"{}\"", path.display());
    let parts = world.parts(&app(&world, &more));
    let trouble = parts.corp().overview().trouble.unwrap();
    assert!(trouble.contains("not a profile"), "{trouble}");
    world.write(
        "default.credential",
        r#"{"type": "sso", "sso": {"token": "t", "zoneId": "z", "site": "cn", "expiresAt": 4000000000}}"#,
    );
    let name = tokio::time::timeout(Duration::from_secs(20), parts.logins.changed()).await;
    assert_eq!(name.unwrap().as_str(), "corp");
    assert_eq!(parts.corp().overview().trouble, None);
    assert!(!world.state_directory().exists(), "and it is not kept here");
}
