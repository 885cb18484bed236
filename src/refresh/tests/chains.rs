//! Roles that sign with other roles.

use std::sync::Arc;
use std::time::Duration;

use super::scripted::{HOUR, MINUTE, SECOND, Setup, Step, pass, start};
use crate::provider::error::Class;
use crate::provider::signer::{HoldsCredentials, Signer, SigningKeys};
use crate::store::Refresh;

use Step::{Fail, Give};

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
    pass(SECOND).await;
    let dependent = Setup {
        name: "dependent",
        source: Some(source.handle.clone()),
        clock: Some(source.clock.clone()),
        ..Setup::default()
    }
    .start([Fail(Class::StaleSource), Give("AK1", HOUR)]);
    pass(SECOND).await;
    assert_eq!(source.served().as_deref(), Some("SRC2"));
    assert_eq!(dependent.served().as_deref(), Some("AK1"));
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
