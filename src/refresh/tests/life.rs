//! The life of a set: adopted, shown, replaced ahead of expiry, never served past it.

use std::time::Duration;

use super::scripted::{HOUR, MINUTE, SECOND, Setup, Step, pass, start};
use crate::provider::error::Class;
use crate::refresh::RefreshReply;
use crate::store::{Held, Refresh};

use Step::{Fail, Give, GiveIncomplete};

#[tokio::test(start_paused = true)]
async fn a_two_hour_set_is_replaced_an_hour_ahead_for_as_long_as_it_runs() {
    let running = start([
        Give("AK1", 2 * HOUR),
        Give("AK2", 2 * HOUR),
        Give("AK3", 2 * HOUR),
    ]);
    pass(SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK1"));
    pass(HOUR.checked_sub(2 * SECOND).unwrap()).await;
    assert_eq!(running.served().as_deref(), Some("AK1"));
    pass(2 * SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK2"));
    pass(HOUR).await;
    assert_eq!(running.served().as_deref(), Some("AK3"));
    assert_eq!(running.calls(), 3, "one call per refresh");
}

#[tokio::test(start_paused = true)]
async fn the_draw_brings_a_replacement_forward_by_a_tenth_of_the_life_at_most() {
    let drawn = Setup {
        draw: || 1.0,
        ..Setup::default()
    };
    let running = drawn.start([Give("AK1", 2 * HOUR), Give("AK2", 2 * HOUR)]);
    pass(47 * MINUTE).await;
    assert_eq!(running.calls(), 1);
    pass(2 * MINUTE).await;
    assert_eq!(running.calls(), 2, "at 48 minutes, not at 60");
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_never_falls_below_the_promised_minimum_while_refreshing_works() {
    let running = start([
        Give("AK1", HOUR),
        Give("AK2", HOUR),
        Give("AK3", HOUR),
        Give("AK4", HOUR),
    ]);
    pass(SECOND).await;
    for _ in 0..350 {
        assert!(
            running.shown_life() >= 44 * MINUTE,
            "{:?}",
            running.shown_life()
        );
        assert_eq!(running.held(), Held::Fresh);
        pass(5 * SECOND).await;
    }
    assert_eq!(
        running.served().as_deref(),
        Some("AK3"),
        "across replacements"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_expired_is_served_however_long_the_outage() {
    let running = start([Give("AK1", HOUR), Fail(Class::Transient)]);
    pass(SECOND).await;
    pass(HOUR.checked_sub(3 * SECOND).unwrap()).await;
    assert_eq!(running.served().as_deref(), Some("AK1"), "to the very end");
    assert_eq!(running.held(), Held::Degraded);
    pass(3 * SECOND).await;
    assert_eq!(running.served(), None);
    assert_eq!(running.held(), Held::Expired);
}

#[tokio::test(start_paused = true)]
async fn the_margin_is_dropped_in_one_step_and_the_etag_stays() {
    let running = start([Give("AK1", HOUR), Fail(Class::Transient)]);
    pass(SECOND).await;
    let etag = || {
        let view = running.role.view();
        view.held.as_ref().unwrap().set.etag.clone()
    };
    let first = etag();
    pass((50 * MINUTE).checked_sub(2 * SECOND).unwrap()).await;
    let before = running.shown_life();
    assert!(before < 5 * MINUTE + 2 * SECOND, "{before:?}");
    pass(2 * SECOND).await;
    let after = running.shown_life();
    assert!(after > 9 * MINUTE, "the whole margin at once: {after:?}");
    assert_eq!(etag(), first);
    pass(9 * MINUTE).await;
    assert!(running.shown_life() > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn incomplete_and_expired_sets_are_not_adopted() {
    let running = start([
        Give("AK1", HOUR),
        GiveIncomplete("AK2"),
        Give("AK3", Duration::ZERO),
        Give("AK5", HOUR),
    ]);
    // the draw of 0 makes each pause 250 ms
    pass(10 * MINUTE + Duration::from_millis(400)).await;
    assert_eq!(
        (running.calls(), running.served().as_deref()),
        (3, Some("AK1"))
    );
    pass(SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK5"));
    assert_eq!(running.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_session_made_shorter_replaces_the_longer_one_when_that_has_as_little_left() {
    let shorter = |id| Give(id, 40 * MINUTE);
    let running = start([
        Give("AK1", 2 * HOUR),
        shorter("AK2"),
        shorter("AK3"),
        shorter("AK4"),
        shorter("AK5"),
        shorter("AK6"),
        shorter("AK7"),
    ]);
    pass(SECOND).await;
    let reply = running.handle.refresh().await;
    assert!(
        matches!(&reply, RefreshReply::Unchanged { why, .. } if why.contains("sessions of 2400 s")),
        "{reply:?}"
    );
    pass(50 * MINUTE).await;
    assert_eq!(running.calls(), 2, "asked once, and not as in an outage");
    pass(29 * MINUTE).await;
    assert!(running.calls() <= 5, "{} calls", running.calls());
    assert_eq!(running.served().as_deref(), Some("AK1"));
    let view = running.role.view();
    assert_eq!(
        (view.refresh, view.consecutive_failures, &view.failure),
        (Refresh::Idle, 0, &None)
    );
    pass(2 * MINUTE).await;
    assert_ne!(running.served().as_deref(), Some("AK1"));
    assert!(running.calls() <= 7, "{} calls", running.calls());
}

#[tokio::test(start_paused = true)]
async fn one_short_session_by_mistake_does_not_put_off_the_next_for_long() {
    let running = start([
        Give("AK1", 2 * HOUR),
        Give("AK2", MINUTE),
        Give("AK3", 2 * HOUR),
    ]);
    pass(HOUR + SECOND).await;
    assert_eq!(
        (running.calls(), running.served().as_deref()),
        (2, Some("AK1"))
    );
    pass(8 * MINUTE).await;
    assert_eq!(running.served().as_deref(), Some("AK3"));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_mint_may_give_an_older_set_for_a_while() {
    let metadata = Setup {
        mints: false,
        ..Setup::default()
    };
    let running = metadata.start([
        Give("AK1", 2 * HOUR),
        Give("AK2", 40 * MINUTE),
        Give("AK3", 2 * HOUR),
    ]);
    pass(HOUR + SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK1"));
    pass(5 * MINUTE + SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK3"));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_set_is_no_failure_for_sources_that_do_not_mint() {
    let metadata = Setup {
        mints: false,
        ..Setup::default()
    };
    let running = metadata.start([Give("AK1", HOUR)]);
    pass(11 * MINUTE).await;
    assert_eq!(running.calls(), 2);
    pass(6 * MINUTE).await;
    assert_eq!(running.calls(), 3, "again after five minutes");
    let view = running.role.view();
    assert_eq!(
        (view.refresh, view.consecutive_failures),
        (Refresh::Idle, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_lazy_role_starts_at_its_first_request_and_rests_after_an_hour_without_one() {
    let lazy = Setup {
        lazy: true,
        ..Setup::default()
    };
    let running = lazy.start([
        Give("AK1", 2 * HOUR),
        Give("AK2", 2 * HOUR),
        Give("AK3", 2 * HOUR),
    ]);
    pass(HOUR).await;
    assert_eq!(running.calls(), 0);
    assert_eq!(running.role.view().refresh, Refresh::Resting);

    assert_eq!(running.client_reads(), None);
    pass(SECOND).await;
    assert_eq!(running.client_reads().as_deref(), Some("AK1"));

    pass(3 * HOUR).await;
    assert_eq!(running.role.view().refresh, Refresh::Resting);
    assert_eq!(
        running.calls(),
        2,
        "one refresh while the last request was fresh enough"
    );
    assert_eq!(running.client_reads(), None, "it ended while resting");
    pass(SECOND).await;
    assert_eq!(running.client_reads().as_deref(), Some("AK3"));
}

#[tokio::test(start_paused = true)]
async fn a_woken_role_has_not_slept_through_anything() {
    let lazy = Setup {
        lazy: true,
        draw: || 0.9,
        ..Setup::default()
    };
    let running = lazy.start([Give("AK1", 12 * HOUR), Give("AK2", 12 * HOUR)]);
    running.client_reads();
    pass(8 * HOUR).await;
    assert_eq!(running.role.view().refresh, Refresh::Resting);
    let shown = |running: &super::scripted::Running| {
        let text = running.metrics.encode().unwrap();
        text.contains("credvend_role_refresh_timestamp_seconds{role=\"app\"}")
    };
    assert!(!shown(&running), "nothing is planned");
    assert_eq!(running.client_reads().as_deref(), Some("AK1"));
    pass(Duration::from_millis(100)).await;
    assert_eq!(running.served().as_deref(), Some("AK2"));
    assert!(shown(&running));
}
