//! What each class of failure leads to.

use std::time::Duration;

use super::scripted::{HOUR, MINUTE, SECOND, Setup, Step, pass, start};
use crate::credentials::HoldsCredentials as _;
use crate::observe::metrics::EndpointLabels;
use crate::provider::error::Class;
use crate::refresh::RefreshReply;
use crate::refresh::calls::{Calls, Progress};
use crate::store::{Held, Refresh};

use Step::{Fail, FailUnsent, Give, GiveIncomplete, GiveLate, Hang, Panic};

const THROTTLED: Class = Class::Throttled { retry_after: None };

#[tokio::test(start_paused = true)]
async fn transient_failures_are_retried_until_one_succeeds() {
    let running = start([
        Give("AK1", HOUR),
        Fail(Class::Transient), // at 10 min; the draw of 0 makes each pause 250 ms
        Fail(Class::Transient),
        Give("AK2", HOUR),
    ]);
    pass(10 * MINUTE + 200 * Duration::from_millis(1)).await;
    assert_eq!(running.role.view().refresh, Refresh::Retrying);
    assert_eq!(running.served().as_deref(), Some("AK1"));
    pass(SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK2"));
    assert_eq!(running.role.view().consecutive_failures, 0);
    assert!(running.role.view().failure.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_given_up_after_thirty_seconds() {
    let running = start([Give("AK1", HOUR), Hang, Give("AK3", HOUR)]);
    pass(10 * MINUTE + 29 * SECOND).await;
    assert_eq!(running.calls(), 2);
    pass(2 * SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK3"));
}

#[tokio::test(start_paused = true)]
async fn a_bug_in_a_provider_costs_an_attempt_and_no_more() {
    let running = start([Give("AK1", HOUR), Panic, Give("AK3", HOUR)]);
    pass(10 * MINUTE + 2 * SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK3"));
}

#[tokio::test(start_paused = true)]
async fn a_cold_role_recovers_within_two_seconds_of_its_cloud() {
    let slow = Setup {
        draw: || 1.0,
        ..Setup::default()
    };
    let running = slow.start([Fail(Class::Transient)]);
    // Clients keep asking; each attempt starts at most two seconds after the last.
    for _ in 0..300 {
        assert_eq!(running.client_reads(), None);
        pass(200 * Duration::from_millis(1)).await;
    }
    let times = running.call_times();
    assert!(times.len() >= 29 && times.len() <= 32, "{}", times.len());
    for pair in times.windows(2) {
        assert!(
            pair[1].checked_sub(pair[0]).unwrap() <= 2 * SECOND + Duration::from_millis(250),
            "{pair:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_clients_a_cold_role_backs_off_to_a_minute() {
    let slow = Setup {
        draw: || 1.0,
        ..Setup::default()
    };
    let running = slow.start([Fail(Class::Transient)]);
    pass(10 * MINUTE).await;
    let times = running.call_times();
    let last = times[times.len() - 1]
        .checked_sub(times[times.len() - 2])
        .unwrap();
    assert_eq!(last.as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn any_number_of_cold_readers_start_one_attempt() {
    let running = start([Fail(Class::Transient), Give("AK1", HOUR)]);
    pass(Duration::ZERO).await;
    for _ in 0..1000 {
        running.client_reads();
    }
    pass(3 * SECOND).await;
    assert_eq!(running.calls(), 2);
    assert_eq!(running.served().as_deref(), Some("AK1"));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_asked_again_every_five_minutes_whoever_reads() {
    let running = start([Fail(Class::Final)]);
    pass(SECOND).await;
    assert_eq!(running.role.view().refresh, Refresh::Failing);
    for _ in 0..100 {
        running.client_reads();
        pass(SECOND).await;
    }
    assert_eq!(running.calls(), 1);
    pass(5 * MINUTE).await;
    assert_eq!(running.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn failing_roles_are_tried_at_once_after_refresh_reload_or_a_changed_secret() {
    let running = start([Fail(Class::Final)]);
    pass(SECOND).await;
    let reply = running.handle.refresh().await;
    assert!(
        matches!(&reply, RefreshReply::Failed(why) if why.contains("Final")),
        "{reply:?}"
    );
    assert_eq!(running.calls(), 2);
    running.handle.secret_changed().await;
    pass(SECOND).await;
    assert_eq!(running.calls(), 3);
    running.handle.retune(running.settings()).await;
    pass(SECOND).await;
    assert_eq!(running.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_failing_role_serves_what_it_holds_to_the_end() {
    let running = start([Give("AK1", HOUR), Fail(Class::Final)]);
    pass(59 * MINUTE).await;
    assert_eq!(running.role.view().refresh, Refresh::Failing);
    assert_eq!(running.served().as_deref(), Some("AK1"));
    pass(2 * MINUTE).await;
    assert_eq!(running.held(), Held::Expired);
}

#[tokio::test(start_paused = true)]
async fn throttling_backs_off_from_two_seconds_and_halves_the_budget() {
    let slow = Setup {
        draw: || 1.0,
        ..Setup::default()
    };
    let running = slow.start([Fail(THROTTLED), Fail(THROTTLED), Give("AK1", HOUR)]);
    pass(8 * SECOND).await;
    let times = running.call_times();
    assert_eq!(times[1].checked_sub(times[0]).unwrap().as_secs(), 2);
    assert_eq!(times[2].checked_sub(times[1]).unwrap().as_secs(), 4);
    let throttled = running
        .metrics
        .upstream_throttled
        .get_or_create(&EndpointLabels {
            endpoint: "scripted".into(),
        });
    assert_eq!(throttled.get(), 2);
    let rate = running.script.budget.rate();
    assert!(
        (rate - 12.5).abs() < f64::EPSILON,
        "50/s halved twice: {rate}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_named_pause_is_honoured() {
    let named = Class::Throttled {
        retry_after: Some(30 * SECOND),
    };
    let running = start([Fail(named), Give("AK1", HOUR)]);
    pass(29 * SECOND).await;
    assert_eq!(running.calls(), 1);
    pass(2 * SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK1"));
}

#[tokio::test(start_paused = true)]
async fn a_named_pause_is_honoured_whoever_reads() {
    let named = Class::Throttled {
        retry_after: Some(30 * SECOND),
    };
    let running = start([Fail(named), Give("AK1", HOUR)]);
    for _ in 0..29 {
        pass(SECOND).await;
        running.client_reads();
    }
    assert_eq!(running.calls(), 1);
    pass(2 * SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK1"));
}

#[tokio::test(start_paused = true)]
async fn what_was_never_sent_counts_against_nobody() {
    let running = start([FailUnsent(Class::Final)]);
    pass(SECOND).await;
    assert_eq!(running.role.view().refresh, Refresh::Failing);
    assert_eq!(running.ended("refused"), 1);
    assert_eq!(running.called("AssumeRole", "refused"), 0);
    let begun = tokio::time::Instant::now();
    running.handle.secret_changed().await;
    pass(Duration::ZERO).await;
    running.script.budget.acquire().await;
    assert_eq!(running.calls(), 2);
    assert_eq!(begun.elapsed(), Duration::ZERO, "its slot is free again");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_corrected_at_once_and_only_once() {
    let skewed = Class::Clock {
        offset_seconds: 900,
    };
    let running = start([Fail(skewed), Give("AK1", HOUR)]);
    pass(Duration::from_millis(100)).await;
    assert_eq!(running.served().as_deref(), Some("AK1"));

    let running = start([Fail(skewed)]);
    pass(Duration::from_millis(100)).await;
    assert_eq!(running.calls(), 2, "then it is a failure like any other");
}

#[tokio::test(start_paused = true)]
async fn a_session_too_long_is_stepped_down_within_one_attempt() {
    let too_long = Fail(Class::DurationTooLong);
    let running = start([too_long.clone(), too_long, Give("AK1", HOUR)]);
    pass(Duration::from_millis(200)).await;
    assert_eq!(running.served().as_deref(), Some("AK1"));
    assert_eq!(running.role.view().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stale_token_is_read_again_and_tried_once_more() {
    for differs in [true, false] {
        let running = start([Fail(Class::StaleSource), Give("AK1", HOUR)]);
        *running.script.rereads_differ.lock().unwrap() = differs;
        pass(Duration::from_millis(100)).await;
        assert_eq!(running.served().as_deref(), Some("AK1"), "{differs}");
        assert_eq!(*running.script.rereads.lock().unwrap(), 1, "{differs}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_as_slow_as_its_sessions_are_short_is_not_called_without_a_pause() {
    let running = start([GiveLate("AK1", 30 * SECOND, 9 * SECOND)]);
    pass(Duration::from_millis(9100)).await;
    assert_eq!(running.served().as_deref(), Some("AK1"));
    let begun = running.calls();
    // When it comes, the set has reached the age at which it is to be replaced.
    pass(4 * SECOND).await;
    assert_eq!(running.calls(), begun, "a fifth of the 21 s it has left");
    pass(SECOND).await;
    assert_eq!(running.calls(), begun + 1);
}

#[tokio::test(start_paused = true)]
async fn the_shortest_sessions_are_paused_between_as_well() {
    let running = start([Give("AK1", 2 * SECOND)]);
    pass(6 * SECOND).await;
    assert!(running.calls() <= 16, "{} calls", running.calls());
}

#[tokio::test(start_paused = true)]
async fn who_was_refused_or_is_asked_by_hand_signs_with_the_files_as_they_are() {
    let (transient, refused) = (Fail(Class::Transient), Fail(Class::Final));
    let running = start([Give("AK1", HOUR), Give("AK2", HOUR), transient, refused]);
    let rereads = || *running.script.rereads.lock().unwrap();
    pass(SECOND).await;
    assert_eq!(rereads(), 0);
    let reply = running.handle.refresh().await;
    assert!(matches!(reply, RefreshReply::Refreshed { .. }), "{reply:?}");
    assert_eq!(rereads(), 1, "somebody asked");
    pass(10 * MINUTE + SECOND).await;
    assert_eq!(
        (running.ended("transient"), running.ended("refused")),
        (1, 1)
    );
    assert_eq!(rereads(), 2, "refused, not cut off");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_stays_stale_is_somebodys_business() {
    let running = start([Fail(Class::StaleSource)]);
    *running.script.rereads_differ.lock().unwrap() = false;
    for _ in 0..100 {
        pass(SECOND).await;
        running.client_reads();
    }
    assert_eq!(running.role.view().refresh, Refresh::Failing);
    assert_eq!(
        running.calls(),
        2,
        "tried once more, and no client changes that"
    );
    *running.script.rereads_differ.lock().unwrap() = true;
    running.handle.secret_changed().await;
    pass(SECOND).await;
    assert_eq!(running.calls(), 4, "another one is no better");
    assert_eq!(running.role.view().refresh, Refresh::Failing);
}

#[tokio::test(start_paused = true)]
async fn credentials_of_another_account_are_never_adopted() {
    let guarded = Setup {
        expected_account: Some("100000000002"),
        ..Setup::default()
    };
    let running = guarded.start([Give("AK1", HOUR)]);
    pass(SECOND).await;
    assert_eq!(running.served(), None);
    let view = running.role.view();
    assert_eq!(view.refresh, Refresh::Failing);
    let message = &view.failure.as_ref().unwrap().message;
    assert!(
        message.contains("belong to account 100000000001"),
        "{message}"
    );

    *running.script.account.lock().unwrap() = "100000000002";
    running.handle.refresh().await;
    assert_eq!(running.served().as_deref(), Some("AK1"));
    assert_eq!(running.called("GetCallerIdentity", "success"), 2);
}

#[tokio::test(start_paused = true)]
async fn only_what_would_be_adopted_is_verified() {
    let guarded = Setup {
        expected_account: Some("100000000001"),
        mints: false,
        ..Setup::default()
    };
    let running = guarded.start([
        GiveIncomplete("AK0"),
        Give("AK1", HOUR),
        Give("AK1", HOUR),
        Give("AK2", 10 * MINUTE),
    ]);
    pass(20 * MINUTE).await;
    assert!(running.calls() >= 4);
    assert_eq!(running.served().as_deref(), Some("AK1"));
    assert_eq!(running.called("GetCallerIdentity", "success"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_set_whose_account_cannot_be_asked_for_is_kept_and_asked_for_again() {
    let guarded = Setup {
        expected_account: Some("100000000001"),
        draw: || 1.0,
        ..Setup::default()
    };
    let running = guarded.start([Give("AK1", HOUR), Give("AK2", HOUR)]);
    *running.script.unidentified.lock().unwrap() = [Class::Transient; 3].into();
    pass(6 * SECOND).await; // attempts at 0, 1, 3 and 7 s
    assert_eq!(running.served(), None);
    let view = running.role.view();
    let message = &view.failure.as_ref().unwrap().message;
    assert!(message.contains("not adopted"), "{message}");
    pass(2 * SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK1"));
    assert_eq!(running.calls(), 1, "minted once");
}

#[tokio::test(start_paused = true)]
async fn asking_whose_a_held_set_is_speaks_of_no_adoption() {
    let running = start([Give("AK1", HOUR)]);
    pass(SECOND).await;
    *running.script.unidentified.lock().unwrap() = [Class::Final].into();
    let calls = Calls {
        role: running.role.name().clone(),
        provider: running.script.clone(),
        source: None,
        clock: running.clock.clone(),
        metrics: running.metrics.clone(),
    };
    let set = running.role.valid_set().unwrap();
    let asked = calls.identity(&set.keys, &mut Progress::default()).await;
    assert_eq!(asked.unwrap_err().message, "scripted Final");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_needed_is_waited_for_quietly() {
    let running = start([Fail(Class::NeedsLogin)]);
    pass(4 * MINUTE).await;
    assert_eq!(running.role.view().refresh, Refresh::NeedsLogin);
    assert_eq!(running.calls(), 1);
}
