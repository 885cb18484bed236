//! How far an endpoint's clock is ahead of this host's, learned from its answers.
//!
//! Signed requests carry a time, and a cloud refuses those that are minutes off. Once it has
//! refused one and told its own time, every later request to that endpoint is stamped with
//! *its* time, so a host with a wrong clock keeps its credentials fresh.
//!
//! Only a refusal changes what requests are stamped with. An answer's `Date` alone does not:
//! a relay on the way may have written it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// Stands for "not measured yet".
const UNKNOWN: i64 = i64::MIN;

/// The clock of one endpoint as seen from here; shared by everybody who calls it.
#[derive(Debug)]
pub struct EndpointClock {
    /// Added to the host's time when signing, in seconds.
    correction: AtomicI64,
    /// The newest measurement, in seconds; for the gauge.
    skew: AtomicI64,
}

impl Default for EndpointClock {
    fn default() -> Self {
        Self {
            correction: AtomicI64::new(0),
            skew: AtomicI64::new(UNKNOWN),
        }
    }
}

impl EndpointClock {
    /// The time to stamp a request with, in seconds since 1970.
    #[must_use]
    pub fn timestamp(&self, host_now: SystemTime) -> u64 {
        seconds(host_now)
            .saturating_add(self.correction.load(Ordering::Relaxed))
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
    pub fn learn(&self, endpoint_now: SystemTime, host_now: SystemTime) -> i64 {
        self.measure(endpoint_now, host_now);
        let ahead = seconds(endpoint_now).saturating_sub(seconds(host_now));
        self.correction.store(ahead, Ordering::Relaxed);
        ahead
    }

    /// The newest measurement: how many seconds the endpoint is ahead of this host. `None`
    /// before its first answer with a date.
    #[must_use]
    pub fn skew(&self) -> Option<i64> {
        Some(self.skew.load(Ordering::Relaxed)).filter(|skew| *skew != UNKNOWN)
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

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_measurement_is_shown_and_only_a_refusal_is_acted_upon() {
        let clock = EndpointClock::default();
        assert_eq!(clock.skew(), None);
        clock.measure(at(1_090), at(1_000));
        assert_eq!(clock.skew(), Some(90));
        assert_eq!(clock.timestamp(at(2_000)), 2_000);

        assert_eq!(clock.learn(at(400), at(1_000)), -600);
        assert_eq!(clock.skew(), Some(-600));
        assert_eq!(clock.timestamp(at(2_000)), 1_400);
        assert_eq!(clock.now(at(2_000)), at(1_400));
    }

    #[test]
    fn no_clock_is_too_wrong() {
        let clock = EndpointClock::default();
        clock.learn(at(0), at(4_000_000_000));
        assert_eq!(clock.timestamp(at(1_000)), 0);
        clock.learn(at(4_000_000_000), at(0));
        assert_eq!(clock.timestamp(at(1_000)), 4_000_001_000);
    }
}
