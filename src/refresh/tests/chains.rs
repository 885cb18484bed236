//! Roles that sign with other roles.

use std::sync::Arc;
use std::time::Duration;

use super::scripted::{HOUR, MINUTE, SECOND, Setup, Step, pass, start};
use crate::clock::Clock as _;
use crate::credentials::HoldsCredentials;
use crate::provider::error::Class;
use crate::provider::signer::{Signer, SigningKeys};
use crate::store::Refresh;

use Step::{Fail, Give, GiveLate, Hang, Sign};

#[tokio::test(start_paused = true)]
async fn a_role_waits_for_its_source_and_follows_it_at_once() {
    let source = Setup {
        draw: || 0.6, // attempts at 0, 0.6, 1.8 and 4.2 s
        ..Setup::default()
    }
    .start([
        Fail(Class::Transient),
        Fail(Class::Transient),
        Fail(Class::Transient),
        Give("SRC", HOUR),
    ]);
    let waiting = Fail(Class::SourceUnavailable);
    let dependent = Setup {
        name: "dependent",
        source: Some(source.handle.clone()),
        clock: Some(source.clock.clone()),
        draw: || 1.0, // attempts at 0, 1 and 3 s; by itself the next would be at 7 s
        ..Setup::default()
    }
    .start([waiting.clone(), waiting.clone(), waiting, Give("AK1", HOUR)]);

    pass(4 * SECOND).await;
    assert_eq!(dependent.served(), None);
    assert_eq!(dependent.role.view().refresh, Refresh::Retrying);
    pass(Duration::from_millis(300)).await;
    assert_eq!(source.served().as_deref(), Some("SRC"));
    assert_eq!(dependent.served().as_deref(), Some("AK1"));
    assert_eq!(dependent.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_source_is_refreshed_and_the_attempt_made_once_more() {
    let source = start([Give("SRC1", 12 * HOUR), Give("SRC2", 12 * HOUR)]);
    pass(2 * MINUTE).await;
    let dependent = Setup {
        name: "dependent",
        source: Some(source.handle.clone()),
        clock: Some(source.clock.clone()),
        ..Setup::default()
    }
    .start([Fail(Class::StaleSource), Give("AK1", HOUR)]);
    pass(Duration::from_millis(100)).await;
    assert_eq!(source.served().as_deref(), Some("SRC2"));
    assert_eq!(dependent.served().as_deref(), Some("AK1"));
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_only_just_there_are_given_a_moment() {
    let source = start([Give("SRC1", 12 * HOUR), Give("SRC2", 12 * HOUR)]);
    let dependent = Setup {
        name: "dependent",
        source: Some(source.handle.clone()),
        clock: Some(source.clock.clone()),
        ..Setup::default()
    }
    .start([
        Fail(Class::StaleSource),
        Fail(Class::StaleSource),
        Give("AK1", HOUR),
    ]);
    pass(5 * SECOND).await;
    assert_eq!(dependent.served().as_deref(), Some("AK1"));
    assert_eq!(source.calls(), 2, "renewed once");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_stays_refused_is_renewed_once_and_then_waited_for() {
    let source = start([
        Give("SRC1", 12 * HOUR),
        Give("SRC2", 12 * HOUR),
        Give("SRC3", 12 * HOUR),
    ]);
    pass(2 * MINUTE).await;
    let dependent = Setup {
        name: "dependent",
        source: Some(source.handle.clone()),
        clock: Some(source.clock.clone()),
        ..Setup::default()
    }
    .start([Fail(Class::StaleSource)]);
    for _ in 0..1800 {
        pass(SECOND).await;
        dependent.client_reads();
    }
    assert_eq!(source.calls(), 2, "renewed once in half an hour");
    assert_eq!(dependent.role.view().refresh, Refresh::Failing);
    let before = dependent.calls();
    source.handle.refresh().await;
    pass(SECOND).await;
    assert_eq!(source.served().as_deref(), Some("SRC3"));
    assert!(dependent.calls() > before, "tried with the new set at once");
}

#[tokio::test(start_paused = true)]
async fn clients_that_wait_for_a_source_on_its_way_cost_nothing() {
    let source = start([Hang]);
    let dependent = Setup {
        name: "dependent",
        source: Some(source.handle.clone()),
        clock: Some(source.clock.clone()),
        ..Setup::default()
    }
    .start([Sign("AK1", HOUR)]);
    // As a held client does: whenever something is published, it reads.
    let role = Arc::clone(&dependent.role);
    let clock = source.clock.clone();
    let client = tokio::spawn(async move {
        let mut publications = role.subscribe();
        let mut seen = 0_usize;
        let end = tokio::time::Instant::now() + 20 * SECOND;
        while seen < 1000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            drop(role.read(clock.boot()));
            match tokio::time::timeout_at(end, publications.changed()).await {
                Ok(_) => seen += 1,
                Err(_) => break,
            }
        }
        seen
    });
    let seen = client.await.unwrap();
    assert!(seen <= 25, "{seen} publications in 20 s");
    assert_eq!(dependent.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lazy_source_at_rest_fails_nobody_who_signs_with_it() {
    let source = Setup {
        lazy: true,
        ..Setup::default()
    }
    .start([
        GiveLate("SRC1", 2 * HOUR, SECOND),
        GiveLate("SRC2", 2 * HOUR, SECOND),
    ]);
    let dependent = Setup {
        name: "dependent",
        source: Some(source.handle.clone()),
        clock: Some(source.clock.clone()),
        ..Setup::default()
    }
    .start([Sign("AK1", 12 * HOUR), Sign("AK2", 12 * HOUR)]);
    pass(5 * HOUR).await;
    assert_eq!(source.role.view().refresh, Refresh::Resting);
    assert_eq!(dependent.served().as_deref(), Some("AK1"));
    pass(HOUR + 10 * SECOND).await;
    assert_eq!(dependent.served().as_deref(), Some("AK2"));
    assert_eq!(dependent.ended("source-unavailable"), 0);
}

#[tokio::test(start_paused = true)]
async fn signing_reads_one_whole_set_and_only_a_valid_one() {
    let source = start([Give("SRC", HOUR), Fail(Class::Transient)]);
    let holder: Arc<dyn HoldsCredentials> = source.role.clone();
    let signer = Signer::Role {
        name: source.role.name().clone(),
        holder,
    };
    let error = signer.keys().unwrap_err();
    assert_eq!(error.class, Class::SourceUnavailable);
    pass(MINUTE).await;
    match signer.keys().unwrap() {
        SigningKeys::Temporary(set) => assert!(set.keys.are_complete()),
        SigningKeys::LongLived { .. } => panic!("a role's set is temporary"),
    }
    pass(HOUR).await;
    assert!(signer.keys().is_err(), "an expired source signs nothing");
}

#[tokio::test(start_paused = true)]
async fn a_lazy_source_is_woken_by_those_who_sign_with_it() {
    let source = Setup {
        lazy: true,
        ..Setup::default()
    }
    .start([Give("SRC", HOUR)]);
    pass(MINUTE).await;
    assert_eq!(source.calls(), 0);
    assert!(source.role.valid_set().is_none());
    pass(SECOND).await;
    assert!(source.role.valid_set().is_some());
}
