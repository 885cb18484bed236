//! What only memory knows and a restart must not lose, besides sets and sign-ins.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use credvend::clock::{Clock as _, SystemClock};
use rustix::process::Signal;
use serde_json::Value;

use super::manager::Manager;
use super::site::{Daemon, SOON, Site, assumed, base, eventually};
use super::warm::{launch, relaunch};

/// The newest state the manager keeps.
fn kept(manager: &Manager) -> Value {
    let (_, path) = manager.hand_over_state();
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What a container is answered that shows this token.
async fn shows(site: &Site, token: &str) -> u16 {
    let header = format!("Authorization: {token}\r\n");
    site.tcp(9472, "/aws/container/app", &header).await.status
}

/// The next process, once it is ready.
async fn crash(site: &Site, manager: &Manager, mut daemon: Daemon) -> Daemon {
    daemon.signal(Signal::KILL);
    daemon.end().await;
    let before = manager.count();
    let next = relaunch(site, manager);
    manager.told("READY=1", before).await;
    next
}

fn holds(directory: &Path, text: &str) -> bool {
    fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        path.is_file() && String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(text)
    })
}

#[tokio::test]
async fn a_replaced_token_keeps_its_ten_minutes_over_restarts() {
    let site = Site::new();
    let listener = "[listener.tasks]\naddress = \"{ip}:9472\"\nprotocols = \
                    [\"aws-container\"]\nroles = [\"app\"]\ntoken = \"file:{dir}/token\"\n\
                    allow = \"any-local\"\n";
    let role = assumed("app", "ops", "app", "");
    site.configure(&[base(), role, listener.to_owned()].concat());
    let [first, second, third] = ["first", "second", "third"].map(|it| format!("{it}-0123456789"));
    site.write("token", &first);
    let manager = Manager::start(site.dir());
    let daemon = launch(&site, &manager);
    manager.told("READY=1", 0).await;
    assert_eq!(shows(&site, &first).await, 200);

    // Nobody asks, and the manager hears of it all the same.
    site.write("token", &second);
    let path = site.path("token").display().to_string();
    let ends = |state: &Value, token: &str| {
        let previous = state["tokens"][&path]["previous"].as_array()?;
        let text = BASE64_STANDARD.encode(token);
        let entry = previous.iter().find(|it| it["token"] == text.as_str())?;
        entry["until_boot_ns"].as_u64()
    };
    let end = eventually("the replaced token is kept", SOON, async || {
        ends(&kept(&manager), &first)
    })
    .await;
    let now = u64::try_from(SystemClock.boot().since_boot().as_nanos()).unwrap();
    assert!((570..=600).contains(&((end - now) / 1_000_000_000)));

    let daemon = crash(&site, &manager, daemon).await;
    for (token, status) in [(&first, 200), (&second, 200), (&third, 401)] {
        assert_eq!(shows(&site, token).await, status, "{token}");
    }
    assert_eq!(
        ends(&kept(&manager), &first),
        Some(end),
        "not a moment more"
    );

    // Replaced between two processes.
    let daemon = {
        let mut daemon = daemon;
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.end().await, 0, "{}", daemon.log());
        site.write("token", &third);
        let before = manager.count();
        let next = relaunch(&site, &manager);
        manager.told("READY=1", before).await;
        next
    };
    for token in [&first, &second, &third] {
        assert_eq!(shows(&site, token).await, 200, "{token}");
    }
    let daemon = crash(&site, &manager, daemon).await;
    assert_eq!(shows(&site, &second).await, 200, "once more");
    for token in [&first, &second] {
        assert!(!holds(site.dir(), token), "on a disk, or in the log");
    }
    drop(daemon);
}

#[tokio::test]
async fn a_learned_clock_is_signed_for_after_a_restart_and_still_mends_itself() {
    let site = Site::new();
    site.configure(&[base(), assumed("app", "ops", "app", "")].concat());
    site.cloud.state.set_clock_offset(3_600);
    let manager = Manager::start(site.dir());
    let daemon = launch(&site, &manager);
    manager.told("READY=1", 0).await;
    site.role_becomes("app", "fresh", "idle").await;
    let refused = || {
        let outcomes = site.cloud.state.calls().by_outcome;
        let refusals = outcomes.get("AuthFailure.SignatureExpire");
        refusals.copied().unwrap_or(0)
    };
    assert_eq!(refused(), 1, "learned");
    eventually("it is kept", SOON, async || {
        let clocks = kept(&manager)["clocks"].clone();
        (clocks.as_object()?.values().next()?["ahead_secs"].as_i64()? > 3_590).then_some(())
    })
    .await;

    let _daemon = crash(&site, &manager, daemon).await;
    site.says(&["refresh", "app"], 0).await;
    assert_eq!(refused(), 1, "known from before");

    site.cloud.state.set_clock_offset(0);
    // At most once in 10 s by hand; forgetting asks at once.
    site.says(&["forget", "app"], 0).await;
    site.role_becomes("app", "fresh", "idle").await;
    assert_eq!(refused(), 2, "learned anew");
}
