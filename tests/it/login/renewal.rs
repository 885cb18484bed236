//! Sessions that renew themselves with a refresh token: by whom, when, and what ends that.

use std::time::Duration;

use credvend::emulator::{Fault, FaultKind, Rules};
use credvend::provider::error::Class;

use super::huawei::rules;
use super::setup::{Parts, World};

#[tokio::test]
async fn a_refresh_token_renews_without_a_person() {
    let world = World::start();
    rules(
        &world,
        Rules {
            refresh_tokens: true,
            absolute_times: true,
            ..Rules::default()
        },
    );
    let parts = world.parts(&world.huawei(""));
    world.sign_in(&parts).await;
    for _ in 0..2 {
        world
            .cloud
            .state
            .with_portal(credvend::emulator::Portal::end_sessions);
        let (one, other) = tokio::join!(parts.obtain("a-read"), parts.obtain("b-read"));
        one.unwrap();
        other.unwrap();
    }
    let calls = world.cloud.state.calls().recent;
    let tokens = calls.iter().filter(|it| it.action == "CreateToken").count();
    assert_eq!(
        tokens, 3,
        "one for the code, one per renewal, however many roles ask"
    );
}

/// A session with a refresh token, which the cloud has just ended.
async fn renewable(world: &World) -> Parts {
    rules(
        world,
        Rules {
            refresh_tokens: true,
            ..Rules::default()
        },
    );
    let parts = world.parts(&world.huawei(""));
    world.sign_in(&parts).await;
    parts.obtain("a-read").await.unwrap();
    world
        .cloud
        .state
        .with_portal(credvend::emulator::Portal::end_sessions);
    world.cloud.state.reset_counts();
    parts
}

pub(super) fn renewals(world: &World) -> usize {
    let calls = world.cloud.state.calls().recent;
    calls.iter().filter(|it| it.action == "CreateToken").count()
}

#[tokio::test]
async fn a_renewal_that_fails_for_now_is_no_reason_to_sign_in() {
    let world = World::start();
    let parts = renewable(&world).await;
    for (fault, throttled) in [
        (Fault::status(503), false),
        (Fault::status(403), false),
        (Fault::new(FaultKind::Garbage), false),
        (Fault::status(429), true),
        (Fault::error("slow_down", ""), true),
    ] {
        let fault = fault.on_action("CreateToken");
        world.cloud.state.push_fault(fault.clone()).unwrap();
        let error = parts.obtain("a-read").await.unwrap_err();
        let class = error.class;
        assert_eq!(
            matches!(class, Class::Throttled { .. }),
            throttled,
            "{error}"
        );
        assert!(throttled || class == Class::Transient, "{fault:?}: {error}");
        assert!(error.message.contains("cannot be renewed now"), "{error}");
        assert_eq!(parts.corp().overview().state, "signed-in", "{fault:?}");
    }
    parts.obtain("a-read").await.unwrap();
}

#[tokio::test]
async fn whoever_waited_for_a_failed_renewal_does_not_try_the_next() {
    let world = World::start();
    let parts = renewable(&world).await;
    let fault = Fault {
        delay_ms: Some(300),
        ..Fault::status(503).on_action("CreateToken")
    };
    world.cloud.state.push_fault(fault).unwrap();
    let (one, other) = tokio::join!(parts.obtain("a-read"), parts.obtain("a-admin"));
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert_eq!(error.class, Class::Transient, "{error}");
    }
    assert_eq!(renewals(&world), 1);
}

#[tokio::test]
async fn a_renewal_is_finished_though_nobody_waits_for_it() {
    let world = World::start();
    let parts = renewable(&world).await;
    let slow = Fault {
        delay_ms: Some(800),
        ..Fault::new(FaultKind::Delay).on_action("CreateToken")
    };
    world.cloud.state.push_fault(slow).unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(400), parts.obtain("a-read"));
    assert!(given_up.await.is_err());
    parts.obtain("a-read").await.unwrap();
    assert_eq!(renewals(&world), 1, "the refresh token is used once");
}

#[tokio::test]
async fn a_renewal_outlives_a_reload() {
    let world = World::start();
    let parts = renewable(&world).await;
    let slow = Fault {
        delay_ms: Some(800),
        ..Fault::new(FaultKind::Delay).on_action("CreateToken")
    };
    world.cloud.state.push_fault(slow).unwrap();
    let reload = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let path = world.write("config.toml", &world.huawei("warn-before = \"1h\""));
        let loaded = credvend::config::load(&path).unwrap();
        parts.logins.apply(&loaded.config);
    };
    let (obtained, ()) = tokio::join!(parts.obtain("a-read"), reload);
    obtained.unwrap();
    parts.obtain("b-read").await.unwrap();
    assert_eq!(renewals(&world), 1);
    let again = world.parts(&world.huawei("warn-before = \"1h\""));
    again.obtain("a-read").await.unwrap();
    assert_eq!(renewals(&world), 1, "and it was kept");
}

#[tokio::test]
async fn signing_out_during_a_renewal_is_the_last_word() {
    let world = World::start();
    let parts = renewable(&world).await;
    let slow = Fault {
        delay_ms: Some(500),
        ..Fault::new(FaultKind::Delay).on_action("CreateToken")
    };
    world.cloud.state.push_fault(slow).unwrap();
    let out = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        parts.corp().log_out().await
    };
    let (_, said) = tokio::join!(parts.obtain("a-read"), out);
    assert_eq!(said.unwrap(), "ended at the cloud, and forgotten");
    assert_eq!(parts.corp().overview().state, "needs-login");
    let again = world.parts(&world.huawei(""));
    assert_eq!(again.corp().overview().state, "needs-login");
}
