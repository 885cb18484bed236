//! The two clocks of a host, behind one trait that tests can move.
//!
//! Lifetimes are kept on the *boot clock*: it counts while the machine is suspended and is
//! never stepped, so a changed wall clock can neither revive a dead set nor kill a live one.
//! The *wall clock* is only for what people and other programs read.

pub mod jumps;

use std::fmt::Debug;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// Longest single sleep. Timers stand still while a machine is suspended and do not see a
/// clock being stepped, so long waits are cut up and the clock is read again.
pub const RECHECK: Duration = Duration::from_secs(30);

/// A moment on the boot clock: the time since the machine started, suspend included.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BootTime(Duration);

impl BootTime {
    /// The moment `since_boot` after the machine started.
    #[must_use]
    pub fn new(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// Time since the machine started.
    #[must_use]
    pub fn since_boot(self) -> Duration {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// How long it takes until `later`; zero if it is over.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        later.since(self)
    }
}

impl Sub<Duration> for BootTime {
    type Output = Self;

    /// Not before the machine started.
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// Reads both clocks of the host.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Time since boot, suspend included; never stepped.
    fn boot(&self) -> BootTime;
    /// What the host takes for the time of day.
    fn wall(&self) -> SystemTime;
}

/// The kernel's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn boot(&self) -> BootTime {
        let now = clock_gettime(ClockId::Boottime);
        // Both parts are never negative on this clock.
        BootTime(Duration::new(
            now.tv_sec.unsigned_abs(),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        ))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Sleeps until the boot clock shows `deadline`, however often the machine is suspended.
pub async fn sleep_until(clock: &dyn Clock, deadline: BootTime) {
    loop {
        let left = clock.boot().until(deadline);
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(RECHECK)).await;
    }
}

/// Whole seconds since 1970, rounded down; zero for anything earlier.
#[must_use]
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// `YYYY-MM-DDTHH:MM:SSZ`: the one spelling that every client parses.
#[must_use]
pub fn rfc3339_seconds(time: SystemTime) -> String {
    let seconds = i64::try_from(unix_seconds(time)).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| "9999-12-31T23:59:59Z".to_owned(),
        |moment| moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// A duration for people, in the two largest units that matter.
#[must_use]
pub fn in_two_units(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m {rest:02}s"),
        (1..24, _) => format!("{hours}h {minutes:02}m"),
        _ => format!("{}d {:02}h", hours / 24, hours % 24),
    }
}

/// A clock that tests move. It runs on tokio's, so pausing and advancing that moves both
/// clocks; [`TestClock::suspend`] and [`TestClock::step_wall`] move them apart.
#[cfg(test)]
pub(crate) mod testing {
    use std::sync::Mutex;
    use std::time::{Duration, SystemTime};

    use super::{BootTime, Clock};

    /// What the wall clock shows when a test starts.
    pub(crate) const START: Duration = Duration::from_hours(500_000);

    #[derive(Debug)]
    pub(crate) struct TestClock {
        started: tokio::time::Instant,
        moved: Mutex<Moved>,
    }

    #[derive(Debug, Default)]
    struct Moved {
        suspended: Duration,
        wall_ahead: Duration,
        wall_behind: Duration,
    }

    impl TestClock {
        pub(crate) fn start() -> Self {
            Self {
                started: tokio::time::Instant::now(),
                moved: Mutex::new(Moved::default()),
            }
        }

        /// Both clocks move on while tokio's timers stand still, as in a suspend.
        pub(crate) fn suspend(&self, length: Duration) {
            self.moved.lock().unwrap().suspended += length;
        }

        /// The wall clock alone is set forward.
        pub(crate) fn step_wall(&self, ahead: Duration) {
            self.moved.lock().unwrap().wall_ahead += ahead;
        }

        /// The wall clock alone is set back.
        pub(crate) fn step_wall_back(&self, behind: Duration) {
            self.moved.lock().unwrap().wall_behind += behind;
        }

        fn elapsed(&self) -> Duration {
            self.started.elapsed() + self.moved.lock().unwrap().suspended
        }
    }

    impl Clock for TestClock {
        fn boot(&self) -> BootTime {
            BootTime::new(Duration::from_secs(1000) + self.elapsed())
        }

        fn wall(&self) -> SystemTime {
            let elapsed = self.elapsed();
            let moved = self.moved.lock().unwrap();
            SystemTime::UNIX_EPOCH + START + elapsed + moved.wall_ahead - moved.wall_behind
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BootTime, Duration, SystemTime, in_two_units, rfc3339_seconds};

    #[test]
    fn boot_times_never_underflow() {
        let early = BootTime::new(Duration::from_secs(1));
        let late = early + Duration::from_secs(5);
        assert_eq!(late.since(early), Duration::from_secs(5));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.until(late), Duration::from_secs(5));
    }

    #[test]
    fn expiry_is_spelled_in_whole_seconds_of_utc() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
        assert_eq!(rfc3339_seconds(time), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn durations_are_told_in_two_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m 00s"),
            (3_600, "1h 00m"),
            (86_400 + 7_200, "1d 02h"),
        ] {
            assert_eq!(in_two_units(seconds), text);
        }
    }
}
