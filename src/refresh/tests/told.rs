//! What a role is told while it runs: refresh, forget, other settings, a changed secret.

use super::scripted::{HOUR, MINUTE, SECOND, Step, pass, start};
use crate::refresh::RefreshReply;
use crate::schedule::Tuning;

use Step::{Give, GiveLate, Hang};

#[tokio::test(start_paused = true)]
async fn refresh_acts_at_most_once_in_ten_seconds_and_says_how_it_went() {
    let running = start([Give("AK1", HOUR), Give("AK2", HOUR), Give("AK3", HOUR)]);
    pass(SECOND).await;
    let reply = running.handle.refresh().await;
    assert!(matches!(reply, RefreshReply::Refreshed { .. }), "{reply:?}");
    let reply = running.handle.refresh().await;
    assert!(matches!(reply, RefreshReply::TooSoon(_)), "{reply:?}");
    pass(10 * SECOND).await;
    running.handle.refresh().await;
    assert_eq!(running.served().as_deref(), Some("AK3"));
}

#[tokio::test(start_paused = true)]
async fn forgotten_credentials_are_gone_before_the_answer_and_replaced_after() {
    let running = start([Give("AK1", HOUR), Hang]);
    pass(SECOND).await;
    running.handle.forget().await;
    assert_eq!(running.served(), None);

    let running = start([Give("AK1", HOUR), Give("AK2", HOUR)]);
    pass(SECOND).await;
    running.handle.forget().await;
    pass(SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK2"));
}

#[tokio::test(start_paused = true)]
async fn forgetting_ends_an_attempt_under_way() {
    let running = start([Give("AK1", HOUR), Hang, Give("AK3", HOUR)]);
    pass(10 * MINUTE + SECOND).await;
    assert_eq!(running.calls(), 2, "hanging");
    running.handle.forget().await;
    assert_ne!(running.served().as_deref(), Some("AK1"));
    pass(SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK3"));
}

#[tokio::test(start_paused = true)]
async fn other_tuning_keeps_the_set_and_moves_the_plan() {
    let running = start([Give("AK1", 2 * HOUR), Give("AK2", 2 * HOUR)]);
    pass(SECOND).await;
    let mut settings = running.settings();
    settings.tuning = Tuning {
        refresh_ahead: Some(90 * MINUTE),
        min_remaining: Some(80 * MINUTE),
    };
    running.handle.retune(settings).await;
    pass(SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK1"));
    assert_eq!(running.role.view().min_remaining, 80 * MINUTE);
    pass(30 * MINUTE).await;
    assert_eq!(running.served().as_deref(), Some("AK2"));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_changes_during_an_attempt_is_not_forgotten() {
    let running = start([GiveLate("AK1", HOUR, 5 * SECOND), Give("AK2", HOUR)]);
    pass(SECOND).await;
    running.handle.secret_changed().await;
    pass(10 * SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK2"));
    assert_eq!(*running.script.rereads.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_a_reload_comes_between_is_answered_by_the_next_attempt() {
    let running = start([Hang, Give("AK1", HOUR)]);
    pass(SECOND).await;
    let handle = running.handle.clone();
    let asking = tokio::spawn(async move { handle.refresh().await });
    pass(SECOND).await;
    running.handle.retune(running.settings()).await;
    let reply = asking.await.unwrap();
    assert!(matches!(reply, RefreshReply::Refreshed { .. }), "{reply:?}");
}

#[tokio::test(start_paused = true)]
async fn a_changed_secret_brings_a_refresh_at_once() {
    let running = start([Give("AK1", HOUR), Give("AK2", HOUR)]);
    pass(SECOND).await;
    running.handle.secret_changed().await;
    pass(SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK2"));
    assert_eq!(*running.script.rereads.lock().unwrap(), 1);
}
