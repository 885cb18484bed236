//! Where a session is kept: one place at a time, never written over unread, and gone when it is
//! said to be gone.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use credvend::config::{self, model::Config};
use credvend::emulator::{Decision, Portal, Rules};
use credvend::login::Stage;
use credvend::observe::audit::Peer;
use credvend::provider::error::Class;

use super::setup::{Parts, World, ended};
use crate::support::{capture_logs, logged};

const KEY: &str = "0123456789abcdef0123456789abcdef\n";

fn loaded(world: &World, text: &str) -> Config {
    let path = world.write("config.toml", text);
    config::load(&path).unwrap().config
}

/// `state = "sealed"` with that key, which is not there yet.
fn sealed(world: &World) -> String {
    let key = world.dir.path().join("key");
    let more = format!("state = \"sealed\"\nstate-key = \"file:{}\"", key.display());
    world.huawei(&more)
}

fn write_key(world: &World) {
    let key = world.write("key", KEY);
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn another_state_leaves_nothing_behind_and_nothing_comes_back() {
    let world = World::start();
    write_key(&world);
    let plain = world.huawei("");
    let parts = world.parts(&plain);
    world.sign_in(&parts).await;
    assert_eq!(names(&world.state_directory()), ["login-corp.json"]);

    parts.logins.apply(&loaded(&world, &sealed(&world)));
    assert_eq!(parts.corp().overview().state, "signed-in");
    assert_eq!(names(&world.state_directory()), ["login-corp.sealed"]);

    parts
        .logins
        .apply(&loaded(&world, &world.huawei("state = \"memory\"")));
    assert_eq!(parts.corp().overview().state, "signed-in");
    assert!(names(&world.state_directory()).is_empty());
    assert_eq!(world.parts(&plain).corp().overview().state, "needs-login");
}

#[tokio::test]
async fn signing_out_removes_what_another_state_left() {
    let world = World::start();
    write_key(&world);
    let plain = world.huawei("");
    world.sign_in(&world.parts(&plain)).await;
    // A restart with another `state`: nobody is signed in, and the file is there still.
    let parts = world.parts(&sealed(&world));
    assert_eq!(parts.corp().overview().state, "needs-login");
    let said = parts.corp().log_out().await.unwrap();
    assert!(said.contains("what was kept of it is removed"), "{said}");
    assert!(names(&world.state_directory()).is_empty());
    let error = parts.corp().log_out().await.unwrap_err();
    assert_eq!(error.class, Class::NeedsLogin, "{error}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_anew_is_taken_away() {
    let world = World::start();
    let config = world.huawei("");
    let parts = world.parts(&config);
    world.sign_in(&parts).await;
    // No new file can be made beside it.
    let in_the_way = world.state_directory().join(".login-corp.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let said = parts.corp().log_out().await.unwrap();
    assert_eq!(said, "ended at the cloud, and forgotten");
    assert_eq!(names(&world.state_directory()), [".login-corp.new"]);
    assert_eq!(world.parts(&config).corp().overview().state, "needs-login");
}

#[tokio::test]
async fn a_session_that_cannot_be_forgotten_is_said_to_be_there() {
    let world = World::start();
    let parts = world.parts(&world.huawei(""));
    world.sign_in(&parts).await;
    let directory = world.state_directory();
    std::fs::rename(&directory, world.dir.path().join("moved")).unwrap();
    symlink("state", &directory).unwrap(); // leads to itself
    let error = parts.corp().log_out().await.unwrap_err();
    assert!(error.message.contains("is still there"), "{error}");
    assert!(error.message.contains("login-corp.json"), "{error}");
    assert_eq!(parts.corp().overview().state, "needs-login");
    let now = credvend::clock::Clock::boot(&credvend::clock::SystemClock);
    let sessions = world.cloud.state.with_portal(|portal| portal.sessions(now));
    assert_eq!(sessions, 0, "the cloud was told all the same");
}

#[tokio::test]
async fn a_key_that_comes_late_finds_the_session_as_it_was() {
    let world = World::start();
    write_key(&world);
    world.cloud.state.with_portal(|portal| {
        portal.rules = Rules {
            refresh_tokens: true,
            ..Rules::default()
        };
    });
    let config = sealed(&world);
    world.sign_in(&world.parts(&config)).await;
    std::fs::remove_file(world.dir.path().join("key")).unwrap();
    let file = world.state_directory().join("login-corp.sealed");
    let before = std::fs::read(&file).unwrap();

    let parts = world.parts(&config);
    let overview = parts.corp().overview();
    assert_eq!(overview.state, "needs-login");
    assert!(overview.trouble.unwrap().contains("state-key"));
    // The key comes, and before anybody looks somebody begins to sign in, and is registered anew
    // for that.
    write_key(&world);
    let (sign_in, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    world.decide(&sign_in, Decision::Deny);
    assert_eq!(ended(&sign_in).await, Stage::Denied);
    assert_eq!(std::fs::read(&file).unwrap(), before, "not written over");

    let name = tokio::time::timeout(Duration::from_secs(20), parts.logins.changed()).await;
    assert_eq!(name.unwrap().as_str(), "corp", "its roles are told");
    let overview = parts.corp().overview();
    assert_eq!((overview.state, overview.trouble), ("signed-in", None));
    world.cloud.state.with_portal(Portal::end_sessions);
    parts.obtain("a-read").await.unwrap(); // renewed, as the client it was given to
}

#[tokio::test]
async fn signing_out_ends_what_could_not_be_read() {
    let world = World::start();
    write_key(&world);
    let config = sealed(&world);
    world.sign_in(&world.parts(&config)).await;
    let key = world.dir.path().join("key");
    std::fs::remove_file(&key).unwrap();
    let parts = world.parts(&config);
    parts.corp().log_out().await.unwrap();
    write_key(&world);
    assert_eq!(world.parts(&config).corp().overview().state, "needs-login");
}

#[tokio::test]
async fn signing_out_during_a_sign_in_cancels_it() {
    let world = World::start();
    let parts = world.parts(&world.huawei(""));
    let (sign_in, _) = parts.corp().sign_in(Peer::default()).await.unwrap();
    let said = parts.corp().log_out().await.unwrap();
    assert!(said.contains("the sign-in is cancelled"), "{said}");
    assert_eq!(ended(&sign_in).await, Stage::Cancelled);
}

#[tokio::test]
async fn people_are_warned_once_a_session_whatever_restarts() {
    capture_logs();
    let world = World::start();
    world.cloud.state.with_portal(|portal| {
        portal.rules = Rules {
            session_seconds: 3_600,
            ..Rules::default()
        };
    });
    let config = world.huawei("");
    let warnings = || logged().matches("the session ends soon").count();
    let look_after = async |parts: &Parts| {
        let looked = tokio::time::timeout(Duration::from_millis(300), parts.logins.changed());
        drop(looked.await);
    };
    let parts = world.parts(&config);
    world.sign_in(&parts).await;
    for _ in 0..2 {
        look_after(&parts).await;
    }
    assert_eq!(warnings(), 1);
    look_after(&world.parts(&config)).await;
    assert_eq!(warnings(), 1, "a restart does not warn again");
    parts
        .logins
        .apply(&loaded(&world, &world.huawei("warn-before = \"3h\"")));
    look_after(&parts).await;
    assert_eq!(warnings(), 1, "nor does a reload");
    world.sign_in(&parts).await;
    look_after(&parts).await;
    look_after(&parts).await;
    assert_eq!(warnings(), 2, "another session is another matter");
}

#[tokio::test]
async fn no_length_of_warning_is_too_much() {
    let world = World::start();
    let text = world.huawei("state = \"memory\"");
    let parts = world.parts(&text);
    world.sign_in(&parts).await;
    let mut config = loaded(&world, &text);
    let corp = config.logins.get_mut("corp").unwrap();
    corp.warn_before = Duration::MAX;
    parts.logins.apply(&config);
    assert_eq!(parts.corp().overview().state, "ending");
}

#[tokio::test]
async fn an_attempt_from_beside_the_daemon_changes_nothing() {
    let world = World::start();
    world.cloud.state.with_portal(|portal| {
        portal.rules = Rules {
            refresh_tokens: true,
            session_seconds: 3_600,
            ..Rules::default()
        };
    });
    let mark = world.dir.path().join("warned");
    let script = world.write("warn", &format!("#!/bin/sh\ntouch {}\n", mark.display()));
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).unwrap();
    let text = world.huawei(&format!("warn-command = [\"{}\"]", script.display()));
    world.sign_in(&world.parts(&world.huawei(""))).await;
    let file = world.state_directory().join("login-corp.json");
    let before = std::fs::read(&file).unwrap();
    let config = loaded(&world, &text);

    for trial in credvend::daemon::try_roles(&config).await.unwrap() {
        assert!(trial.result.is_ok(), "{trial:?}");
    }
    world.cloud.state.with_portal(Portal::end_sessions);
    world.cloud.state.reset_counts();
    for trial in credvend::daemon::try_roles(&config).await.unwrap() {
        let why = trial.result.unwrap_err();
        assert!(why.contains("only the daemon renews it"), "{why}");
    }
    let calls = world.cloud.state.calls().recent;
    assert!(calls.iter().all(|call| call.action != "CreateToken"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert!(!mark.exists(), "nor is anybody warned");

    let memory = loaded(&world, &world.huawei("state = \"memory\""));
    for trial in credvend::daemon::try_roles(&memory).await.unwrap() {
        let why = trial.result.unwrap_err();
        assert!(why.contains("in the daemon's memory alone"), "{why}");
    }
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    for trial in credvend::daemon::try_roles(&config).await.unwrap() {
        let why = trial.result.unwrap_err();
        assert!(why.contains("cannot be read from here"), "{why}");
    }
}
