//! A host that sleeps, and clocks that are set: neither kills nor revives a set.

use super::scripted::{HOUR, MINUTE, SECOND, Setup, Step, pass, start};
use crate::provider::error::Class;

use Step::{Fail, Give, Hang};

#[tokio::test(start_paused = true)]
async fn a_reader_is_never_told_a_past_expiry_even_if_nobody_renders_again() {
    let running = start([Give("AK1", HOUR), Hang]);
    pass(SECOND).await;
    // The machine sleeps through the shown expiry; no task has run since.
    running.clock.suspend(57 * MINUTE);
    assert!(running.shown_life() > 2 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_suspend_past_the_end_kills_the_set_at_once_and_a_new_one_follows() {
    let running = start([Give("AK1", HOUR), Give("AK2", HOUR)]);
    pass(SECOND).await;
    running.clock.suspend(2 * HOUR);
    assert_eq!(
        running.served(),
        None,
        "checked at the read, not by a timer"
    );
    pass(35 * SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK2"));
}

#[tokio::test(start_paused = true)]
async fn a_resumed_fleet_does_not_call_in_one_moment() {
    let late = Setup {
        draw: || 0.9,
        ..Setup::default()
    };
    let running = late.start([Give("AK1", 12 * HOUR), Give("AK2", 12 * HOUR)]);
    pass(SECOND).await;
    running.clock.suspend(11 * HOUR);
    pass(31 * SECOND).await;
    assert_eq!(running.calls(), 1, "still waiting its drawn turn");
    pass(30 * SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK2"));
}

#[tokio::test(start_paused = true)]
async fn a_stepped_wall_clock_neither_kills_nor_revives_but_is_shown() {
    let running = start([Give("AK1", HOUR), Fail(Class::Transient)]);
    pass(SECOND).await;
    let before = running.shown_life();
    running.clock.step_wall(48 * HOUR);
    pass(31 * SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK1"));
    let after = running.shown_life();
    assert!(
        before.checked_sub(after).unwrap() < MINUTE,
        "{before:?} then {after:?}"
    );
    running.clock.step_wall_back(96 * HOUR);
    pass(HOUR).await;
    assert_eq!(running.served(), None, "a clock set back revives nothing");
}

#[tokio::test(start_paused = true)]
async fn generations_grow() {
    let running = start([Give("AK1", HOUR), Give("AK2", HOUR)]);
    pass(SECOND).await;
    let generation = || running.role.view().held.as_ref().unwrap().set.generation;
    let first = generation();
    running.clock.step_wall_back(10 * HOUR);
    running.handle.refresh().await;
    assert!(generation() > first);
}
