//! A set that was held before the process began.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::scripted::{HOUR, MINUTE, SECOND, Setup, Step, pass};
use crate::clock::testing::TestClock;
use crate::clock::{BootTime, Clock};
use crate::credentials::{Cloud, CredentialSet, Keys};
use crate::refresh::state::{Moment, Resumed, State};
use crate::schedule::Tuning;
use crate::secret::Secret;
use crate::store::{Held, Refresh, Role};

/// What the wall clock showed at boot when the set was adopted.
fn wall_at_boot() -> SystemTime {
    SystemTime::UNIX_EPOCH + 500_000 * HOUR
}

/// Two hours of life, obtained at the boot.
fn resumed(margin_dropped: bool) -> Resumed {
    Resumed {
        set: CredentialSet {
            keys: Keys {
                access_key_id: "AK1".into(),
                secret_access_key: Secret::from("s"),
                session_token: Secret::from("t"),
            },
            issued_at: wall_at_boot(),
            obtained_at: BootTime::default(),
            expires_at: BootTime::new(2 * HOUR),
            generation: 7,
            etag: "\"e\"".into(),
        },
        real_expiry: wall_at_boot() + 2 * HOUR,
        margin_dropped,
        last_success: Some(wall_at_boot()),
    }
}

/// Resumed at this age, with a wall clock that is behind by so much.
fn at(age: Duration, behind: Duration, margin_dropped: bool) -> (State, Moment) {
    let clock: Arc<dyn Clock> = Arc::new(TestClock::start());
    let role = Role::new("app".parse().unwrap(), Cloud::Tencent, clock);
    let moment = Moment {
        now: BootTime::new(age),
        wall: wall_at_boot() + age.checked_sub(behind).unwrap(),
    };
    let mut state = State::new(moment, true);
    let timing = (Tuning::default(), true);
    state.resume(&role, resumed(margin_dropped), (timing, 0.0), moment);
    (state, moment)
}

#[tokio::test]
async fn it_is_shown_as_it_was_and_replaced_when_it_would_have_been() {
    for behind in [Duration::ZERO, Duration::from_micros(3), 4 * SECOND] {
        let (state, moment) = at(30 * MINUTE, behind, false);
        let view = state.view(Tuning::default());
        assert_eq!(view.held(moment.now), Held::Fresh);
        let told = wall_at_boot() + 115 * MINUTE;
        assert_eq!(state.shown_expiry(), Some(told), "behind by {behind:?}");
        assert_eq!(state.due, BootTime::new(HOUR));
        assert_eq!(state.generation(), 7);
        assert_eq!(view.last_success, Some(wall_at_boot()));
    }
}

#[tokio::test]
async fn a_stepped_wall_clock_is_followed() {
    let (state, _) = at(30 * MINUTE, MINUTE, false);
    let told = wall_at_boot() + 114 * MINUTE;
    assert_eq!(state.shown_expiry(), Some(told));
}

#[tokio::test]
async fn a_margin_that_was_dropped_is_not_taken_off_again() {
    let (state, moment) = at(112 * MINUTE, Duration::ZERO, true);
    assert_eq!(state.shown_expiry(), Some(wall_at_boot() + 2 * HOUR));
    assert!(state.due < moment.now, "its replacement is overdue");
}

#[tokio::test(start_paused = true)]
async fn a_lazy_role_that_nobody_uses_after_a_restart_comes_to_rest() {
    let clock = Arc::new(TestClock::start());
    let now = clock.boot();
    let mut resumed = resumed(false);
    resumed.set.obtained_at = now;
    resumed.set.expires_at = now + 12 * HOUR;
    resumed.real_expiry = clock.wall() + 12 * HOUR;
    let running = Setup {
        lazy: true,
        clock: Some(clock),
        resumed: Some(resumed),
        ..Setup::default()
    }
    .start([Step::Give("AK2", 12 * HOUR)]);
    pass(7 * HOUR).await;
    assert_eq!(running.role.view().refresh, Refresh::Resting);
    assert_eq!(running.calls(), 0);
    assert_eq!(running.client_reads().as_deref(), Some("AK1"));
    pass(SECOND).await;
    assert_eq!(running.served().as_deref(), Some("AK2"));
}

#[tokio::test(start_paused = true)]
async fn a_lazy_role_that_may_have_been_in_use_does_not_rest_within_the_hour() {
    let clock = Arc::new(TestClock::start());
    clock.suspend(24 * HOUR);
    let now = clock.boot();
    let mut resumed = resumed(false);
    resumed.set.obtained_at = now - (5 * HOUR + 50 * MINUTE);
    resumed.set.expires_at = now + (6 * HOUR + 10 * MINUTE);
    resumed.real_expiry = clock.wall() + (6 * HOUR + 10 * MINUTE);
    let running = Setup {
        lazy: true,
        clock: Some(clock),
        resumed: Some(resumed),
        ..Setup::default()
    }
    .start([Step::Give("AK2", 12 * HOUR)]);
    pass(11 * MINUTE).await;
    assert_eq!(running.served().as_deref(), Some("AK2"));
}
