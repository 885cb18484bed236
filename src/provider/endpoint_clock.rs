//! How far an endpoint's clock is ahead of this host's, learned from its answers.
//!
//! Signed requests carry a time, and a cloud refuses those that are minutes off. Once it has
//! refused one and told its own time, every later request to that endpoint is stamped with
//! *its* time, so a host with a wrong clock keeps its credentials fresh.
//!
//! What was learned is good until the host's clock is set, over a restart of the process too. If
//! it is wrong all the same, the next refusal teaches better.
//!
//! Only a refusal changes what requests are stamped with. An answer's `Date` alone does not:
//! a relay on the way may have written it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::clock::{Clock, jumps};

/// Stands for "not measured yet".
const UNKNOWN: i64 = i64::MIN;

/// The clock of one endpoint as seen from here; shared by everybody who calls it.
#[derive(Debug)]
pub struct EndpointClock {
    learned: Mutex<Option<Learned>>,
    /// The newest measurement, in seconds; for the gauge.
    skew: AtomicI64,
}

/// What a refusal taught.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Learned {
    /// Added to the host's time when signing, in seconds.
    pub ahead: i64,
    /// What the host's clock showed at boot-clock zero: if that differs later, it was set.
    pub wall_at_boot: SystemTime,
}

impl Learned {
    /// Whether this says something about the host's clock as it is now.
    #[must_use]
    pub fn still_counts(&self, clock: &dyn Clock) -> bool {
        !jumps::differ(self.wall_at_boot, jumps::wall_at_boot(clock))
    }
}

impl EndpointClock {
    /// With what was learned before, if anything was.
    #[must_use]
    pub fn new(learned: Option<Learned>) -> Self {
        Self {
            learned: Mutex::new(learned),
            skew: AtomicI64::new(UNKNOWN),
        }
    }

    /// The time to stamp a request with, in seconds since 1970.
    #[must_use]
    pub fn timestamp(&self, host_now: SystemTime) -> u64 {
        seconds(host_now)
            .saturating_add(self.learned().map_or(0, |learned| learned.ahead))
            .max(0)
            .unsigned_abs()
    }

    /// The endpoint's time as far as we know.
    #[must_use]
    pub fn now(&self, host_now: SystemTime) -> SystemTime {
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(self.timestamp(host_now)))
            .unwrap_or(host_now)
    }

    /// Notes what the endpoint's clock showed at `host_now`. For the gauge alone.
    pub fn measure(&self, endpoint_now: SystemTime, host_now: SystemTime) {
        let ahead = seconds(endpoint_now).saturating_sub(seconds(host_now));
        self.skew.store(ahead, Ordering::Relaxed);
    }

    /// The endpoint refused our time and showed its own: use that from now on. Returns by how
    /// many seconds it is ahead of this host.
    pub fn learn(&self, endpoint_now: SystemTime, host: &dyn Clock) -> i64 {
        let host_now = host.wall();
        self.measure(endpoint_now, host_now);
        let ahead = seconds(endpoint_now).saturating_sub(seconds(host_now));
        *self.lock() = Some(Learned {
            ahead,
            wall_at_boot: jumps::wall_at_boot(host),
        });
        ahead
    }

    /// What the last refusal taught.
    #[must_use]
    pub fn learned(&self) -> Option<Learned> {
        *self.lock()
    }

    /// The newest measurement: how many seconds the endpoint is ahead of this host. `None`
    /// before its first answer with a date.
    #[must_use]
    pub fn skew(&self) -> Option<i64> {
        Some(self.skew.load(Ordering::Relaxed)).filter(|skew| *skew != UNKNOWN)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Learned>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole seconds since 1970, rounded down; zero for anything earlier.
fn seconds(time: SystemTime) -> i64 {
    i64::try_from(crate::clock::unix_seconds(time)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::EndpointClock;
    use crate::clock::Clock;
    use crate::clock::testing::TestClock;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_measurement_is_shown_and_only_a_refusal_is_acted_upon() {
        let clock = EndpointClock::new(None);
        assert_eq!(clock.skew(), None);
        clock.measure(at(1_090), at(1_000));
        assert_eq!(clock.skew(), Some(90));
        assert_eq!(clock.timestamp(at(2_000)), 2_000);

        let host = TestClock::start();
        let ten_minutes = Duration::from_mins(10);
        assert_eq!(clock.learn(host.wall() - ten_minutes, &host), -600);
        assert_eq!(clock.skew(), Some(-600));
        assert_eq!(clock.timestamp(at(2_000)), 1_400);
        assert_eq!(clock.now(at(2_000)), at(1_400));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_learned_counts_until_the_hosts_clock_is_set() {
        let host = TestClock::start();
        let clock = EndpointClock::new(None);
        clock.learn(at(0), &host);
        let learned = clock.learned().unwrap();
        host.suspend(Duration::from_hours(9));
        host.step_wall(Duration::from_secs(4));
        assert!(learned.still_counts(&host));
        assert_eq!(
            EndpointClock::new(Some(learned)).timestamp(host.wall()),
            9 * 3600 + 4
        );
        host.step_wall_back(Duration::from_mins(1));
        assert!(!learned.still_counts(&host));
    }

    #[tokio::test(start_paused = true)]
    async fn no_clock_is_too_wrong() {
        let host = TestClock::start();
        let clock = EndpointClock::new(None);
        clock.learn(at(0), &host);
        assert_eq!(clock.timestamp(at(1_000)), 0);
        host.step_wall_back(host.wall().duration_since(at(0)).unwrap());
        clock.learn(at(4_000_000_000), &host);
        assert_eq!(clock.timestamp(at(1_000)), 4_000_001_000);
    }
}
