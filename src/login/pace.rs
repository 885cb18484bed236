//! How often to ask whether a person has approved: arithmetic, and nothing else.

use std::time::Duration;

use crate::clock::BootTime;

/// What a plea for fewer requests adds to the interval (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// However often we are asked to slow down, a person does not wait longer than this.
const SLOWEST: Duration = Duration::from_mins(1);

/// The pace of one sign-in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Pace {
    interval: Duration,
    deadline: BootTime,
}

impl Pace {
    pub(super) fn new(interval: Duration, deadline: BootTime) -> Self {
        Self { interval, deadline }
    }

    /// When to ask next; `None` if the time is up before.
    pub(super) fn next(self, now: BootTime) -> Option<BootTime> {
        let next = now + self.interval;
        (next < self.deadline).then_some(next)
    }

    /// When it is over.
    pub(super) fn deadline(self) -> BootTime {
        self.deadline
    }

    /// The service asks for fewer requests.
    pub(super) fn slow_down(&mut self) {
        self.interval = (self.interval + SLOW_DOWN).min(SLOWEST);
    }
}

#[cfg(test)]
mod tests {
    use super::{BootTime, Duration, Pace};

    fn at(seconds: u64) -> BootTime {
        BootTime::new(Duration::from_secs(seconds))
    }

    #[test]
    fn it_never_asks_faster_than_told_nor_after_the_end() {
        let mut pace = Pace::new(Duration::from_secs(10), at(100));
        assert_eq!(pace.next(at(0)), Some(at(10)));
        pace.slow_down();
        assert_eq!(pace.next(at(0)), Some(at(15)));
        assert_eq!(pace.next(at(84)), Some(at(99)));
        assert_eq!(pace.next(at(85)), None);
    }

    #[test]
    fn slowing_down_has_an_end() {
        let mut pace = Pace::new(Duration::from_secs(1), at(1_000));
        for _ in 0..100 {
            pace.slow_down();
        }
        assert_eq!(pace.next(at(0)), Some(at(60)));
    }
}
