//! Sessions with a refresh token are renewed ahead of their end, and who is told if they are not.

use std::time::Duration;

use credvend::emulator::{Fault, Rules};

use super::huawei::{rules, until};
use super::renewal::renewals;
use super::setup::{Parts, World};
use crate::support::{capture_logs, logged};

/// A daemon's parts whose session with a refresh token has so much left of its eight hours.
async fn near_its_end(world: &World, left: Duration, warn_before: &str) -> Parts {
    rules(
        world,
        Rules {
            refresh_tokens: true,
            ..Rules::default()
        },
    );
    let config = world.huawei(&format!("warn-before = \"{warn_before}\""));
    world.sign_in(&world.parts(&config)).await;
    let path = world.state_directory().join("login-corp.json");
    let mut kept: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let now = credvend::clock::Clock::wall(&credvend::clock::SystemClock);
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let ends_at = now + left.as_secs();
    kept["session"]["ends_at"] = ends_at.into();
    kept["session"]["signed_in_at"] = (ends_at - 8 * 3_600).into();
    std::fs::write(&path, kept.to_string()).unwrap();
    world.cloud.state.reset_counts();
    world.parts(&config)
}

fn life_left(parts: &Parts) -> Duration {
    let now = credvend::clock::Clock::wall(&credvend::clock::SystemClock);
    let ends_at = parts.corp().overview().ends_at.unwrap();
    ends_at.duration_since(now).unwrap()
}

#[tokio::test]
async fn a_session_is_renewed_ahead_of_its_end_and_nobody_is_alarmed() {
    capture_logs();
    let world = World::start();
    let parts = near_its_end(&world, Duration::from_mins(90), "2h").await;
    assert_eq!(parts.corp().overview().state, "signed-in");
    until("it is renewed", || {
        life_left(&parts) > Duration::from_hours(7)
    })
    .await;
    assert_eq!(parts.logins.notices(), [""; 0]);
    parts.logins.changed().await; // what failed meanwhile is tried again
    let looked_after = tokio::time::timeout(Duration::from_millis(2_500), parts.logins.changed());
    assert!(looked_after.await.is_err());
    assert_eq!(renewals(&world), 1);
    assert!(!logged().contains("ends soon"), "{}", logged());
    // It was kept: the refresh token is good for one use only.
    drop(parts);
    let parts = world.parts(&world.huawei("warn-before = \"2h\""));
    world
        .cloud
        .state
        .with_portal(credvend::emulator::Portal::end_sessions);
    parts.obtain("a-read").await.unwrap();
}

#[tokio::test]
async fn a_session_that_cannot_be_renewed_for_now_alarms_in_the_second_half_of_the_time() {
    capture_logs();
    for (minutes, state) in [(90, "signed-in"), (40, "ending")] {
        let world = World::start();
        let left = Duration::from_mins(minutes);
        let parts = near_its_end(&world, left, "2h").await;
        let fault = Fault::status(503).on_action("CreateToken");
        world.cloud.state.push_fault(fault.times(2)).unwrap();
        assert_eq!(parts.corp().overview().state, "signed-in", "not tried yet");
        let look_after = async {
            loop {
                parts.logins.changed().await;
            }
        };
        let look_on = async {
            until("it was tried again", || renewals(&world) == 2).await;
            assert_eq!(parts.corp().overview().state, state, "{minutes} min");
            let warned = logged().contains("ends soon");
            assert_eq!(warned, state == "ending", "{}", logged());
            parts.obtain("a-read").await.unwrap();
            let is_renewed = || life_left(&parts) > Duration::from_hours(7);
            until("it is renewed", is_renewed).await;
            assert_eq!(parts.corp().overview().state, "signed-in");
        };
        tokio::select! {
            () = look_on => {}
            () = look_after => {}
        }
    }
}

#[tokio::test]
async fn a_session_that_will_not_be_renewed_is_used_to_its_end_and_told() {
    let world = World::start();
    let parts = near_its_end(&world, Duration::from_mins(90), "2h").await;
    let refused = Fault::error("invalid_grant", "no").on_action("CreateToken");
    world.cloud.state.push_fault(refused).unwrap();
    until("people are told", || {
        parts.corp().overview().state == "ending"
    })
    .await;
    assert_eq!(renewals(&world), 1);
    parts.obtain("a-read").await.unwrap();
}
