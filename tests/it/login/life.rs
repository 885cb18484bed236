//! What happens to a login between signing in and its end: joining, warnings, files, reloads.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use credvend::emulator::{Decision, Rules};
use credvend::login::Stage;
use credvend::observe::audit::Peer;

use super::setup::{World, ended};
use crate::support::{capture_logs, logged};

#[tokio::test]
async fn a_second_person_joins_and_only_the_last_one_to_leave_cancels() {
    let world = World::start();
    let parts = world.parts(&world.huawei(""));
    let (first, joined) = parts.corp().sign_in(Peer::default()).await.unwrap();
    assert!(!joined);
    let (second, joined) = parts.corp().sign_in(Peer::default()).await.unwrap();
    assert!(joined);
    assert_eq!(first.challenge.code, second.challenge.code);
    parts.corp().give_up().await;
    assert!(first.is_waiting());
    parts.corp().give_up().await;
    assert_eq!(ended(&first).await, Stage::Cancelled);
    assert_eq!(parts.corp().overview().state, "needs-login");
}

#[tokio::test]
async fn both_who_wait_are_told_and_the_audit_log_knows_who_began() {
    capture_logs();
    let world = World::start();
    let parts = world.parts(&world.huawei(""));
    let peer = Peer {
        uid: Some(4711),
        ..Peer::default()
    };
    let (first, _) = parts.corp().sign_in(peer).await.unwrap();
    let (second, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    world.decide(&first, Decision::Approve);
    let (one, other) = tokio::join!(ended(&first), ended(&second));
    assert_eq!(one, other);
    let log = logged();
    let told = log.lines().find(|line| line.contains("sign-in")).unwrap();
    assert!(told.contains("4711") && told.contains("corp"), "{told}");
}

#[tokio::test]
async fn a_warning_comes_ahead_of_the_end_once_and_runs_the_program() {
    capture_logs();
    let world = World::start();
    world.cloud.state.with_portal(|portal| {
        portal.rules = Rules {
            session_seconds: 3_600,
            ..Rules::default()
        };
    });
    let mark = world.dir.path().join("warned");
    let script = world.write(
        "warn",
        &format!("#!/bin/sh\necho x >> {}\n", mark.display()),
    );
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).unwrap();
    let more = format!(
        "warn-before = \"2h\"\nwarn-command = [\"{}\"]",
        script.display()
    );
    let parts = world.parts(&world.huawei(&more));
    world.sign_in(&parts).await;
    // Looks after the logins; the first thing to tell is the new session.
    parts.logins.changed().await;
    let looked_after = tokio::time::timeout(Duration::from_millis(4_500), parts.logins.changed());
    assert!(looked_after.await.is_err(), "nothing else to tell roles");
    assert_eq!(std::fs::read_to_string(&mark).unwrap(), "x\n", "once");
    assert_eq!(logged().matches("the session ends soon").count(), 1);
    assert_eq!(parts.corp().overview().state, "ending");
    let notices = parts.logins.notices();
    assert!(
        notices[0].starts_with("login `corp` ends in 59 min"),
        "{notices:?}"
    );
}

#[tokio::test]
async fn a_torn_or_foreign_file_is_told_and_ignored() {
    let world = World::start();
    let config = world.huawei("");
    let parts = world.parts(&config);
    world.sign_in(&parts).await;
    let path = world.state_directory().join("login-corp.json");
    let whole = std::fs::read(&path).unwrap();

    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let overview = world.parts(&config).corp().overview();
    assert_eq!(overview.state, "needs-login");
    assert!(overview.trouble.unwrap().contains("it is torn"));

    std::fs::write(&path, &whole).unwrap();
    let elsewhere = config.replace("/portal/start", "/portal/another");
    let overview = world.parts(&elsewhere).corp().overview();
    assert_eq!(overview.state, "needs-login");
    assert!(overview.trouble.unwrap().contains("another portal"));

    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let overview = world.parts(&config).corp().overview();
    assert_eq!(overview.state, "needs-login");
    assert!(overview.trouble.unwrap().contains("its mode is 0644"));

    let parts = world.parts(&config);
    world.sign_in(&parts).await;
    assert_eq!(parts.corp().overview().trouble, None, "signing in mends it");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[tokio::test]
async fn a_sealed_session_survives_a_restart_with_its_key_only() {
    let world = World::start();
    let key = world.write("key", "0123456789abcdef0123456789abcdef\n");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let more = format!("state = \"sealed\"\nstate-key = \"file:{}\"", key.display());
    let config = world.huawei(&more);
    let parts = world.parts(&config);
    world.sign_in(&parts).await;
    drop(parts);
    let parts = world.parts(&config);
    parts.obtain("a-read").await.unwrap();
    world.write("key", "another key, and long enough to be one, too\n");
    let overview = world.parts(&config).corp().overview();
    assert_eq!(overview.state, "needs-login");
    assert!(overview.trouble.unwrap().contains("another `state-key`"));
}

#[tokio::test]
async fn a_reload_keeps_the_session_unless_the_portal_changed() {
    let world = World::start();
    let config = world.huawei("state = \"memory\"");
    let parts = world.parts(&config);
    world.sign_in(&parts).await;
    let reload = |text: &str| {
        let path = world.write("config.toml", text);
        parts
            .logins
            .apply(&credvend::config::load(&path).unwrap().config);
        parts.corp().overview().state
    };
    assert_eq!(reload(&config), "signed-in");
    assert_eq!(
        reload(&world.huawei("state = \"memory\"\nwarn-before = \"1h\"")),
        "signed-in"
    );
    // A provider that was built before finds the session still.
    parts.obtain("a-read").await.unwrap();
    let other = config.replace("/portal/start", "/portal/another");
    assert_eq!(reload(&other), "needs-login");
}
