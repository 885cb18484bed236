//! Huawei's device flow, and the roles behind it.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use credvend::emulator::{Decision, Fault, FaultKind, Rules};
use credvend::login::Stage;
use credvend::observe::audit::Peer;
use credvend::provider::error::Class;

use super::setup::{World, ended};
use crate::support::{capture_logs, logged};

pub(super) fn rules(world: &World, rules: Rules) {
    world.cloud.state.with_portal(|portal| portal.rules = rules);
}

#[tokio::test]
async fn one_slow_approval_serves_five_roles_of_three_accounts_and_a_restart() {
    let world = World::start();
    let config = world.huawei("");
    let parts = world.parts(&config);
    let before = parts.obtain("a-read").await.unwrap_err();
    assert_eq!(before.class, Class::NeedsLogin);
    assert!(before.message.contains("credvend login corp"), "{before}");

    let (sign_in, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    let code = sign_in.challenge.code.clone().unwrap();
    assert!(sign_in.challenge.url.expose().ends_with(&code));
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(parts.corp().overview().state, "signing-in");
    world.decide(&sign_in, Decision::Approve);
    assert!(matches!(ended(&sign_in).await, Stage::SignedIn { .. }));
    drop(parts); // before anybody used it

    let path = world.state_directory().join("login-corp.json");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let parts = world.parts(&config);
    assert_eq!(parts.corp().overview().state, "signed-in");
    let mut ids = Vec::new();
    for role in ["a-read", "a-admin", "b-read", "b-admin", "c-read"] {
        let obtained = parts.obtain(role).await.unwrap();
        assert!(obtained.keys.are_complete());
        ids.push(obtained.keys.access_key_id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    let metrics = parts.metrics.encode().unwrap();
    let expiry = metrics
        .lines()
        .find(|line| line.starts_with("credvend_login_expiry_timestamp_seconds{"))
        .unwrap();
    assert!(!expiry.ends_with(" 0.0"), "{expiry}");
}

#[tokio::test]
async fn denial_and_a_code_that_is_too_old_end_a_sign_in() {
    let world = World::start();
    let parts = world.parts(&world.huawei(""));
    let (sign_in, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    world.decide(&sign_in, Decision::Deny);
    assert_eq!(ended(&sign_in).await, Stage::Denied);

    rules(
        &world,
        Rules {
            code_seconds: 2,
            ..Rules::default()
        },
    );
    let (sign_in, joined) = parts.corp().sign_in(Peer::default()).await.unwrap();
    assert!(!joined, "the one before is over");
    assert_eq!(ended(&sign_in).await, Stage::Expired);
    assert_eq!(parts.corp().overview().state, "needs-login");
    let registered = world.cloud.state.calls().recent;
    let count = registered
        .iter()
        .filter(|call| call.action == "RegisterClient")
        .count();
    assert_eq!(count, 1, "the client is kept");
}

#[tokio::test]
async fn a_plea_to_slow_down_is_heeded() {
    let world = World::start();
    let parts = world.parts(&world.huawei(""));
    let (sign_in, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    // From now on the service wants more time than it said at first.
    rules(
        &world,
        Rules {
            interval_seconds: 3,
            ..Rules::default()
        },
    );
    tokio::time::sleep(Duration::from_millis(2_300)).await;
    world.decide(&sign_in, Decision::Approve);
    assert!(matches!(ended(&sign_in).await, Stage::SignedIn { .. }));
    let polls = world.cloud.state.calls().recent;
    let polls = polls
        .iter()
        .filter(|call| call.action == "CreateToken")
        .count();
    assert_eq!(polls, 3, "pending, slow down, granted");
}

#[tokio::test]
async fn a_network_that_is_away_in_the_middle_delays_and_nothing_else() {
    let world = World::start();
    let parts = world.parts(&world.huawei(""));
    let (sign_in, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    world.cloud.pause().await;
    world.decide(&sign_in, Decision::Approve);
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    assert!(sign_in.is_waiting());
    world.cloud.resume().await.unwrap();
    for kind in [FaultKind::Reset, FaultKind::Garbage, FaultKind::Status] {
        let fault = Fault {
            action: Some("CreateToken".into()),
            ..Fault::new(kind)
        };
        world.cloud.state.push_fault(fault).unwrap();
    }
    assert!(matches!(ended(&sign_in).await, Stage::SignedIn { .. }));
}

#[tokio::test]
async fn a_session_that_ended_needs_a_person_and_signing_in_again_mends_it() {
    let world = World::start();
    let config = world.huawei("");
    let parts = world.parts(&config);
    world.sign_in(&parts).await;
    parts.obtain("a-read").await.unwrap();

    world
        .cloud
        .state
        .with_portal(credvend::emulator::Portal::end_sessions);
    let refused = parts.obtain("a-read").await.unwrap_err();
    assert_eq!(refused.class, Class::NeedsLogin);
    assert!(refused.message.contains("credvend login corp"), "{refused}");
    assert_eq!(parts.corp().overview().state, "needs-login");
    assert_eq!(
        parts.logins.notices(),
        ["login `corp` needs somebody to sign in"]
    );
    let calls = world.cloud.state.calls().recent.len();
    parts.obtain("b-read").await.unwrap_err();
    assert_eq!(
        world.cloud.state.calls().recent.len(),
        calls,
        "a dead token is not sent again"
    );
    assert_eq!(
        world.parts(&config).corp().overview().state,
        "needs-login",
        "nor after a restart"
    );

    world.sign_in(&parts).await;
    parts.obtain("a-read").await.unwrap();
}

#[tokio::test]
async fn a_role_nobody_has_is_final_and_names_those_there_are() {
    let world = World::start();
    let config = world
        .huawei("")
        .replace("permission-set = \"admin\"", "permission-set = \"owner\"");
    let parts = world.parts(&config);
    world.sign_in(&parts).await;
    let error = parts.obtain("a-admin").await.unwrap_err();
    assert_eq!(error.class, Class::Final);
    assert!(
        error
            .message
            .contains("`owner`; there is `read-only`, `admin`"),
        "{error}"
    );
    parts.obtain("a-read").await.unwrap();
    assert_eq!(
        parts.corp().overview().state,
        "signed-in",
        "the session is not to blame"
    );
}

#[tokio::test]
async fn the_list_shows_everything_behind_the_portal_and_logout_ends_it() {
    let world = World::start();
    let config = world.huawei("");
    let parts = world.parts(&config);
    world.sign_in(&parts).await;
    let listed = parts.corp().list().await.unwrap();
    let names: Vec<(String, usize)> = listed
        .iter()
        .map(|(account, sets)| (account.name.clone(), sets.len()))
        .collect();
    let expected = [("team-a", 2), ("team-b", 2), ("team-c", 1)];
    assert_eq!(
        names,
        expected.map(|(name, count)| (name.to_owned(), count))
    );

    let said = parts.corp().log_out().await.unwrap();
    assert_eq!(said, "ended at the cloud, and forgotten");
    let now = credvend::clock::Clock::boot(&credvend::clock::SystemClock);
    assert_eq!(
        world.cloud.state.with_portal(|portal| portal.sessions(now)),
        0
    );
    assert_eq!(
        parts.corp().list().await.unwrap_err().class,
        Class::NeedsLogin
    );
    assert_eq!(world.parts(&config).corp().overview().state, "needs-login");
}

#[tokio::test]
async fn nothing_of_a_login_is_logged_or_told() {
    capture_logs();
    let world = World::start();
    rules(
        &world,
        Rules {
            refresh_tokens: true,
            ..Rules::default()
        },
    );
    let parts = world.parts(&world.huawei(""));
    let (sign_in, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    world.decide(&sign_in, Decision::Approve);
    ended(&sign_in).await;
    let kept = std::fs::read_to_string(world.state_directory().join("login-corp.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let mut secrets = vec![
        sign_in.challenge.code.clone().unwrap(),
        kept["session"]["token"].as_str().unwrap().to_owned(),
        kept["session"]["refresh_token"]
            .as_str()
            .unwrap()
            .to_owned(),
        kept["client"]["secret"].as_str().unwrap().to_owned(),
    ];
    let obtained = parts.obtain("a-read").await.unwrap();
    secrets.push(obtained.keys.secret_access_key.expose().to_owned());
    secrets.push(obtained.keys.session_token.expose().to_owned());
    let fault = Fault {
        code: Some("IIC.1".into()),
        message: Some(format!("bad token {}", secrets[1])),
        ..Fault::new(FaultKind::ErrorCode)
    };
    world.cloud.state.push_fault(fault).unwrap();
    let error = parts.obtain("b-read").await.unwrap_err();
    let told = format!(
        "{}{}{:?}{:?}{:?}{:?}",
        logged(),
        error.report(),
        parts.corp(),
        sign_in,
        parts.corp().overview(),
        obtained.keys
    );
    for secret in &secrets {
        assert!(!told.contains(secret.as_str()), "found in {told}");
    }
    assert!(told.contains("signed in"), "something was logged");
}

#[tokio::test]
async fn a_page_of_somebody_on_the_way_ends_no_session() {
    let world = World::start();
    let parts = world.parts(&world.huawei(""));
    world.sign_in(&parts).await;
    for status in [302, 403, 404, 502] {
        world.cloud.state.push_fault(Fault::status(status)).unwrap();
        let error = parts.obtain("a-read").await.unwrap_err();
        assert_eq!(error.class, Class::Transient, "{status}: {error}");
        assert_eq!(parts.corp().overview().state, "signed-in", "{status}");
    }
    parts.obtain("a-read").await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_off_keeps_nobody_from_signing_in() {
    let world = World::start();
    rules(
        &world,
        Rules {
            absolute_times: true,
            ..Rules::default()
        },
    );
    // This host is 20 minutes ahead of the service, and a code lives for ten.
    world.cloud.state.set_clock_offset(-1_200);
    let parts = world.parts(&world.huawei(""));
    let clock = credvend::clock::SystemClock;
    let before = credvend::clock::Clock::boot(&clock);
    let (sign_in, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    let left = before.until(sign_in.challenge.expires_at);
    assert!(left > Duration::from_secs(590), "{left:?}");
    assert!(left < Duration::from_secs(640), "{left:?}");
    world.decide(&sign_in, Decision::Approve);
    assert!(matches!(ended(&sign_in).await, Stage::SignedIn { .. }));
    let ends_at = parts.corp().overview().ends_at.unwrap();
    let life = ends_at
        .duration_since(credvend::clock::Clock::wall(&clock))
        .unwrap();
    assert!(
        life > Duration::from_hours(7),
        "by this host's clock: {life:?}"
    );
    let (again, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    assert!(again.is_waiting());
    let calls = world.cloud.state.calls().recent;
    let registered = calls.iter().filter(|it| it.action == "RegisterClient");
    assert_eq!(registered.count(), 1, "the registration is good still");
}

#[tokio::test]
async fn a_throttled_page_delays_the_list_and_nothing_else() {
    let world = World::start();
    let parts = world.parts(&world.huawei(""));
    world.sign_in(&parts).await;
    let fault = Fault {
        retry_after_seconds: Some(1),
        ..Fault::new(FaultKind::Throttle).on_action("ListAgencies")
    };
    world.cloud.state.push_fault(fault).unwrap();
    let listed = parts.corp().list().await.unwrap();
    assert_eq!(listed.len(), 3);
    let text = parts.metrics.encode().unwrap();
    assert!(
        text.contains("action=\"ListAgencies\",result=\"throttled\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn the_first_words_for_not_yet_are_logged_once_without_secrets() {
    capture_logs();
    let world = World::start();
    let parts = world.parts(&world.huawei(""));
    let (sign_in, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    world.decide(&sign_in, Decision::Approve);
    ended(&sign_in).await;
    let log = logged();
    assert_eq!(log.matches("not approved yet").count(), 1, "{log}");
    assert!(log.contains("authorization_pending"), "{log}");
}

fn sessions(world: &World) -> usize {
    let now = credvend::clock::Clock::boot(&credvend::clock::SystemClock);
    world.cloud.state.with_portal(|portal| portal.sessions(now))
}

/// Waits until that is so.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not in time: {what}");
}

#[tokio::test]
async fn signing_in_again_ends_the_session_before() {
    let world = World::start();
    let parts = world.parts(&world.huawei(""));
    world.sign_in(&parts).await;
    parts.obtain("a-read").await.unwrap();
    assert_eq!(sessions(&world), 1);
    world.sign_in(&parts).await;
    until("the session before is over", || sessions(&world) == 1).await;
    parts.obtain("a-admin").await.unwrap();
    assert_eq!(parts.corp().overview().state, "signed-in");
}
