//! What is told about a held set, and when that changes next.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::BootTime;
use crate::credentials::CredentialSet;
use crate::formats::{Bodies, Rendering};
use crate::schedule::{self, Plan};
use crate::store::{Role, Snapshot};

/// What decides how a set is shown. Two equal values give equal answers, so rendering again is
/// only needed when this changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shown {
    /// What is taken off the real expiry.
    pub margin: Duration,
    /// The wall clock at boot-clock zero that expiry is computed with.
    pub wall_at_boot: SystemTime,
}

impl Shown {
    /// Renders the set for every format. With a margin, also as it will be shown once the margin
    /// is used up.
    #[must_use]
    pub fn snapshot(self, role: &Role, set: &Arc<CredentialSet>) -> Arc<Snapshot> {
        let real_expiry = nearest_second(self.wall_at_boot + set.expires_at.since_boot());
        let shown_expiry = real_expiry.checked_sub(self.margin).unwrap_or(real_expiry);
        // The clock may have been set back since; the boot clock knows better than the issuer.
        let obtained_at = nearest_second(self.wall_at_boot + set.obtained_at.since_boot());
        let issued_at = set.issued_at.min(obtained_at);
        let bare = (!self.margin.is_zero()).then(|| {
            Self {
                margin: Duration::ZERO,
                ..self
            }
            .snapshot(role, set)
        });
        Arc::new(Snapshot {
            set: Arc::clone(set),
            shown_expiry,
            issued_at,
            margin: self.margin,
            real_expiry,
            bodies: Bodies::render(Rendering {
                role: role.name(),
                cloud: role.cloud(),
                set,
                issued_at,
                shown_expiry,
            }),
            bare,
        })
    }
}

/// A life begins and ends in whole seconds of the wall clock it was adopted under. Two readings of that
/// clock differ by microseconds, which must not show as a second.
fn nearest_second(time: SystemTime) -> SystemTime {
    let half = Duration::from_millis(500);
    let since_epoch = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs((since_epoch + half).as_secs())
}

/// The next moment at which something about the set reads differently: the margin is dropped,
/// the role becomes degraded, the set ends.
#[must_use]
pub fn next_change(
    set: &CredentialSet,
    plan: &Plan,
    margin: Duration,
    now: BootTime,
) -> Option<BootTime> {
    let remaining = set.remaining(now);
    [
        plan.margin * 2,
        plan.margin,
        margin + plan.min_remaining,
        Duration::ZERO,
    ]
    .into_iter()
    .filter(|threshold| *threshold < remaining)
    // a moment later, so that "less than" has come true
    .map(|threshold| now + remaining.saturating_sub(threshold) + Duration::from_millis(1))
    .min()
}

/// The margin in force. Once dropped it stays dropped for this set.
#[must_use]
pub fn margin_in_force(
    plan: &Plan,
    remaining: Duration,
    last_failed: bool,
    dropped: bool,
) -> Duration {
    if dropped || schedule::margin_is_dropped(plan.margin, remaining, last_failed) {
        Duration::ZERO
    } else {
        plan.margin
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::TestClock;
    use crate::clock::{Clock, jumps, rfc3339_seconds};
    use crate::listener::tests::support::{context, publish};

    #[tokio::test(start_paused = true)]
    async fn after_the_clock_was_set_back_no_set_was_issued_in_the_future() {
        let clock = Arc::new(TestClock::start());
        let shared: Arc<dyn Clock> = Arc::<TestClock>::clone(&clock);
        let context = context(&shared);
        publish(&context.store, &*clock, "app", 1, Duration::from_hours(2));
        let role = context.store.role("app").unwrap();
        let told = || {
            let held = role.view().held.clone().unwrap();
            let shown = Shown {
                margin: Duration::from_mins(5),
                wall_at_boot: jumps::wall_at_boot(&*clock),
            };
            let snapshot = shown.snapshot(&role, &held.set);
            let native: serde_json::Value =
                serde_json::from_slice(&snapshot.bodies.native).unwrap();
            let aws: serde_json::Value = serde_json::from_slice(&snapshot.bodies.aws_imds).unwrap();
            assert_eq!(native["issued_at"], rfc3339_seconds(snapshot.issued_at));
            assert_eq!(aws["LastUpdated"], native["issued_at"]);
            snapshot.issued_at
        };
        let issued_at = clock.wall();
        assert_eq!(told(), issued_at);
        clock.suspend(Duration::from_mins(10));
        clock.step_wall_back(Duration::from_hours(3));
        assert_eq!(told(), clock.wall() - Duration::from_mins(10));
        clock.step_wall(Duration::from_hours(9));
        assert_eq!(told(), issued_at, "set forward, the issuer's word counts");
    }

    #[test]
    fn microseconds_between_two_readings_do_not_show_as_a_second() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let little = Duration::from_micros(20);
        assert_eq!(nearest_second(end + little), end);
        assert_eq!(nearest_second(end - little), end);
    }
}
