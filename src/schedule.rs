//! When to refresh, what expiry to show, and when to try again: arithmetic, and nothing else.
//!
//! No sleeping, no clock, no random numbers: the caller passes the times and the draw in. That
//! is what lets the tests check these promises over generated lifetimes:
//!
//! 1. Without the draw, no replacement is planned before the age *young*; with it, never before
//!    half of that.
//! 2. A replacement is planned before the shown expiry, unless `refresh-ahead` was set to less
//!    than the margin, which is warned about.
//! 3. Where refreshing works, what is shown never falls below `min_remaining` before the
//!    replacement was due, with time left over for the attempt itself.
//! 4. A backoff lies between 250 ms and an eighth of the remaining life, and that eighth is
//!    taken as 2 s at least and 60 s at most.
//!
//! The draw is made once per set, not once per check: drawing again at every check lets the
//! earliest draw win, and the spread it was meant to give is lost.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// Pause between attempts that somebody has to help to succeed.
pub const FAILING_PAUSE: Duration = Duration::from_mins(5);
/// Sessions shorter than this promise no minimum: refreshing them leaves no room for one.
const SHORTEST_PROMISED: Duration = Duration::from_mins(2);
/// First backoff after a transient failure; a throttled one begins at twice that.
const FIRST_BACKOFF: Duration = SECOND;
const SHORTEST_BACKOFF: Duration = Duration::from_millis(250);
/// Bounds of the longest backoff, and the longest itself while nothing is held.
const BACKOFF_CAP_FLOOR: Duration = Duration::from_secs(2);
const BACKOFF_CAP: Duration = Duration::from_mins(1);
/// The longest `Retry-After` we honour while a set is held; a cloud that names a day is wrong.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(5);

/// What the configuration says about a role's timing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tuning {
    pub refresh_ahead: Option<Duration>,
    pub min_remaining: Option<Duration>,
}

/// Everything that follows from the lifetime of one set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Plan {
    /// Age at which the replacement is due, the draw included.
    pub due_age: Duration,
    /// Remaining life at which the replacement is due, the draw excluded.
    pub ahead: Duration,
    /// What is taken off the real expiry for everybody to see.
    pub margin: Duration,
    /// Shown life below which the role is degraded.
    pub min_remaining: Duration,
}

impl Plan {
    /// `draw` is uniform in `0.0..1.0`. `mints` is false for sources that may repeat a set: they
    /// decide themselves when a new one comes, so they promise no minimum unless told to.
    #[must_use]
    pub fn new(lifetime: Duration, tuning: Tuning, mints: bool, draw: f64) -> Self {
        let ahead = ahead(lifetime, tuning.refresh_ahead);
        let margin = margin(lifetime);
        let spread = (lifetime / 10).min(lifetime.saturating_sub(ahead) / 2);
        let earlier = spread.mul_f64(draw.clamp(0.0, 1.0));
        let due_age = lifetime
            .saturating_sub(ahead)
            .saturating_sub(earlier)
            .max(shortest_pause(lifetime));
        let min_remaining = tuning.min_remaining.unwrap_or_else(|| {
            if mints {
                default_min_remaining(lifetime, ahead, margin)
            } else {
                Duration::ZERO
            }
        });
        Self {
            due_age,
            ahead,
            margin,
            min_remaining,
        }
    }
}

/// Age before which no replacement is planned: `max(L/6, min(5m, L/3))`.
#[must_use]
pub fn young(lifetime: Duration) -> Duration {
    (lifetime / 6).max((5 * MINUTE).min(lifetime / 3))
}

/// The most that a set may be replaced ahead of its end: `L − young`.
#[must_use]
pub fn most_ahead(lifetime: Duration) -> Duration {
    lifetime.saturating_sub(young(lifetime))
}

/// Remaining life at which a set is replaced: as configured, else `max(L/2, min(50m, L − young))`;
/// never more than `L − young`.
#[must_use]
pub fn ahead(lifetime: Duration, configured: Option<Duration>) -> Duration {
    let most = most_ahead(lifetime);
    configured
        .unwrap_or_else(|| (lifetime / 2).max((50 * MINUTE).min(most)))
        .min(most)
}

/// Shown expiry is this much before the real one: `min(5m, L/12)`.
#[must_use]
pub fn margin(lifetime: Duration) -> Duration {
    (5 * MINUTE).min(lifetime / 12)
}

/// `min(45m, ahead − margin − max(L/60, 15s))`, not below zero, and zero for the shortest
/// sessions.
#[must_use]
pub fn default_min_remaining(lifetime: Duration, ahead: Duration, margin: Duration) -> Duration {
    if lifetime < SHORTEST_PROMISED {
        return Duration::ZERO;
    }
    (45 * MINUTE).min(ahead.saturating_sub(margin + reserve(lifetime)))
}

/// The shortest life that is shown while refreshing works, whatever is promised.
#[must_use]
pub fn shown_at_least(lifetime: Duration, configured_ahead: Option<Duration>) -> Duration {
    ahead(lifetime, configured_ahead).saturating_sub(margin(lifetime) + reserve(lifetime))
}

/// If a replacement may come only when its predecessor looks expired: how much `refresh-ahead` has
/// to exceed. `None` if all is well.
#[must_use]
pub fn too_late(lifetime: Duration, configured_ahead: Option<Duration>) -> Option<Duration> {
    let least = margin(lifetime) + reserve(lifetime);
    configured_ahead
        .filter(|ahead| *ahead <= least)
        .map(|_| least)
}

/// Time that one refresh may take: `max(L/60, 15s)`.
fn reserve(lifetime: Duration) -> Duration {
    (lifetime / 60).max(15 * SECOND)
}

/// Shortest pause between a success and the next planned attempt: `min(1m, L/5)`.
#[must_use]
pub fn shortest_pause(lifetime: Duration) -> Duration {
    MINUTE.min(lifetime / 5)
}

/// Pause after a source that does not mint repeated the set we hold: `min(5m, life/8)`.
#[must_use]
pub fn repeat_pause(remaining: Duration) -> Duration {
    (5 * MINUTE).min(remaining / 8).max(SECOND)
}

/// Longest pause after a session that would end before the held one: `max(5m, life/8)`, which is
/// a dozen or two of calls until the longest session has run down to the shortest.
#[must_use]
pub fn shorter_pause(remaining: Duration) -> Duration {
    (5 * MINUTE).max(remaining / 8)
}

/// Whether the margin is dropped: the last attempt failed and real life is at most twice the
/// margin, or the shown life is over. A body that looks expired while its keys work helps nobody.
#[must_use]
pub fn margin_is_dropped(margin: Duration, remaining: Duration, last_failed: bool) -> bool {
    remaining <= margin || (last_failed && remaining <= margin * 2)
}

/// Full-jitter exponential backoff. `failures` counts from 1; `remaining` is the real life of the
/// held set, `None` if nothing valid is held.
#[must_use]
pub fn backoff(failures: u32, throttled: bool, remaining: Option<Duration>, draw: f64) -> Duration {
    let first = if throttled {
        FIRST_BACKOFF * 2
    } else {
        FIRST_BACKOFF
    };
    let cap = remaining.map_or(BACKOFF_CAP, |life| {
        (life / 8).clamp(BACKOFF_CAP_FLOOR, BACKOFF_CAP)
    });
    let doublings = failures.saturating_sub(1).min(16);
    let full = first.saturating_mul(1 << doublings).min(cap);
    full.mul_f64(draw.clamp(0.0, 1.0)).max(SHORTEST_BACKOFF)
}

/// The pause a cloud asked for, within reason: never so long that the held set ends meanwhile, nor
/// that clients of a role that holds nothing wait for more than a minute.
#[must_use]
pub fn honoured(asked: Duration, remaining: Option<Duration>) -> Duration {
    let bound = remaining.map_or(BACKOFF_CAP, |life| {
        LONGEST_RETRY_AFTER.min((life / 8).max(BACKOFF_CAP_FLOOR))
    });
    asked.min(bound)
}

/// How long an overdue replacement waits after a suspend, so that a resumed fleet does not call
/// its cloud in one moment. Nothing valid held: two seconds at most.
#[must_use]
pub fn resume_delay(remaining: Duration, draw: f64) -> Duration {
    let most = (remaining / 8).clamp(2 * SECOND, 30 * SECOND);
    most.mul_f64(draw.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(minutes: u64) -> Plan {
        Plan::new(
            Duration::from_secs(minutes * 60),
            Tuning::default(),
            true,
            0.0,
        )
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        for (case, minutes, ahead_secs, margin_secs, min_secs) in [
            ("twelve hours", 720, 6 * 3600, 300, 45 * 60),
            ("two hours", 120, 3600, 300, 45 * 60),
            ("one hour", 60, 50 * 60, 300, 44 * 60),
            ("fifteen minutes", 15, 600, 75, 510),
            ("one minute", 1, 40, 5, 0),
        ] {
            let plan = plan(minutes);
            assert_eq!(plan.ahead.as_secs(), ahead_secs, "{case}: ahead");
            assert_eq!(plan.margin.as_secs(), margin_secs, "{case}: margin");
            assert_eq!(plan.min_remaining.as_secs(), min_secs, "{case}: minimum");
        }
    }

    #[test]
    fn sources_that_do_not_mint_promise_no_minimum() {
        let hour = Duration::from_hours(1);
        let plan = Plan::new(hour, Tuning::default(), false, 0.0);
        assert_eq!(plan.min_remaining, Duration::ZERO);
        let told = Tuning {
            min_remaining: Some(5 * MINUTE),
            ..Tuning::default()
        };
        assert_eq!(Plan::new(hour, told, false, 0.0).min_remaining, 5 * MINUTE);
    }

    #[test]
    fn a_configured_ahead_is_kept_up_to_its_bound() {
        let hour = Duration::from_hours(1);
        assert_eq!(ahead(hour, Some(20 * MINUTE)), 20 * MINUTE);
        assert_eq!(ahead(hour, Some(59 * MINUTE)), 50 * MINUTE);
    }

    #[test]
    fn an_ahead_that_comes_too_late_is_known() {
        let hour = Duration::from_hours(1);
        assert_eq!(too_late(hour, None), None);
        assert_eq!(too_late(hour, Some(7 * MINUTE)), None);
        // 5 min of margin and 1 min for the refresh itself
        for ahead in [Duration::ZERO, MINUTE, 6 * MINUTE] {
            assert_eq!(too_late(hour, Some(ahead)), Some(6 * MINUTE));
        }
    }

    #[test]
    fn the_margin_goes_only_when_it_must() {
        let margin = 5 * MINUTE;
        for (case, remaining, failed, dropped) in [
            ("plenty left", 30 * MINUTE, true, false),
            (
                "twice the margin, refreshing works",
                10 * MINUTE,
                false,
                false,
            ),
            (
                "twice the margin, refreshing fails",
                10 * MINUTE,
                true,
                true,
            ),
            ("shown life over", 5 * MINUTE, false, true),
        ] {
            assert_eq!(
                margin_is_dropped(margin, remaining, failed),
                dropped,
                "{case}"
            );
        }
    }

    #[test]
    fn backoff_grows_to_an_eighth_of_what_is_left() {
        let left = |secs| Some(Duration::from_secs(secs));
        for (case, failures, throttled, remaining, expected_ms) in [
            ("first", 1, false, left(3600), 1000),
            ("third", 3, false, left(3600), 4000),
            ("first, throttled", 1, true, left(3600), 2000),
            ("long outage", 30, false, left(3600), 60_000),
            ("eighty seconds left", 30, false, left(80), 10_000),
            ("four seconds left", 30, false, left(4), 2000),
            ("nothing held", 30, false, None, 60_000),
        ] {
            let wait = backoff(failures, throttled, remaining, 1.0);
            assert_eq!(wait.as_millis(), expected_ms, "{case}");
        }
        assert_eq!(backoff(1, false, None, 0.0), SHORTEST_BACKOFF);
    }

    #[test]
    fn a_day_of_retry_after_is_not_obeyed() {
        let day = Duration::from_hours(24);
        let hour = Some(Duration::from_hours(1));
        assert_eq!(honoured(day, hour), 5 * MINUTE);
        assert_eq!(honoured(day, None), MINUTE);
        assert_eq!(honoured(10 * SECOND, None), 10 * SECOND);
    }

    proptest! {
        #[test]
        fn replacements_fall_between_youth_and_the_shown_expiry(
            lifetime_secs in 10_u64..=129_600,
            configured in proptest::option::of(0_u64..=200_000),
            draw in 0.0..1.0,
        ) {
            let lifetime = Duration::from_secs(lifetime_secs);
            let tuning = Tuning {
                refresh_ahead: configured.map(Duration::from_secs),
                min_remaining: None,
            };
            let steady = Plan::new(lifetime, tuning, true, 0.0);
            prop_assert!(steady.due_age >= young(lifetime));
            let drawn = Plan::new(lifetime, tuning, true, draw);
            prop_assert!(drawn.due_age >= young(lifetime) / 2);
            prop_assert!(drawn.due_age >= shortest_pause(lifetime));
            prop_assert!(drawn.due_age <= steady.due_age);
            prop_assert!(steady.due_age.checked_sub(drawn.due_age).unwrap() <= lifetime / 10);
            if steady.ahead >= steady.margin {
                prop_assert!(drawn.due_age <= lifetime.checked_sub(drawn.margin).unwrap());
            }
            prop_assert!(drawn.due_age < lifetime || steady.ahead.is_zero());
        }

        #[test]
        fn the_default_minimum_leaves_time_for_an_attempt(
            lifetime_secs in 120_u64..=129_600,
            draw in 0.0..1.0,
        ) {
            let lifetime = Duration::from_secs(lifetime_secs);
            let plan = Plan::new(lifetime, Tuning::default(), true, draw);
            let shown_when_due = lifetime.saturating_sub(plan.due_age + plan.margin);
            prop_assert!(shown_when_due >= plan.min_remaining + 15 * SECOND);
        }

        #[test]
        fn a_backoff_keeps_its_bounds(
            failures in 0_u32..=1000,
            throttled: bool,
            remaining_secs in proptest::option::of(0_u64..=100_000),
            draw in 0.0..1.0,
        ) {
            let remaining = remaining_secs.map(Duration::from_secs);
            let wait = backoff(failures, throttled, remaining, draw);
            prop_assert!(wait >= SHORTEST_BACKOFF);
            let cap = remaining.map_or(MINUTE, |life| (life / 8).clamp(2 * SECOND, MINUTE));
            prop_assert!(wait <= cap);
        }
    }
}
