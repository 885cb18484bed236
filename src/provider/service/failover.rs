//! Which of two endpoints to call: arithmetic over what happened to earlier calls.
//!
//! 1. Two failures in a row of the first endpoint lead to the second.
//! 2. A failure there leads back at once: nothing says that it is the better one.
//! 3. After [`STAY`] the first gets another chance, since it was chosen for a reason.

use std::time::Duration;

use crate::clock::BootTime;

/// Failures in a row that lead away from the first endpoint.
const PATIENCE: u32 = 2;
/// How long the second endpoint is used before the first is tried again.
const STAY: Duration = Duration::from_mins(10);

/// Which endpoint is in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Choice {
    First,
    Second,
}

/// What happened lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Failover {
    failures: u32,
    on_second_since: Option<BootTime>,
}

impl Failover {
    /// The endpoint to call now.
    pub(super) fn choice(&self, now: BootTime) -> Choice {
        match self.on_second_since {
            Some(since) if now.since(since) < STAY => Choice::Second,
            Some(_) | None => Choice::First,
        }
    }

    /// The endpoint answered, if only to refuse.
    pub(super) fn answered(&mut self, by: Choice) {
        self.failures = 0;
        if by == Choice::First {
            self.on_second_since = None;
        }
    }

    /// No usable answer came from the endpoint.
    pub(super) fn failed(&mut self, at: Choice, now: BootTime) {
        match at {
            Choice::First => {
                self.failures += 1;
                if self.failures >= PATIENCE {
                    self.failures = 0;
                    self.on_second_since = Some(now);
                }
            }
            Choice::Second => {
                self.failures = 0;
                self.on_second_since = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BootTime, Choice, Failover};

    fn start() -> BootTime {
        BootTime::new(Duration::from_secs(1000))
    }

    fn choices(outcomes: &[bool]) -> Vec<Choice> {
        let mut failover = Failover::default();
        let mut made = Vec::new();
        for answered in outcomes {
            let choice = failover.choice(start());
            made.push(choice);
            if *answered {
                failover.answered(choice);
            } else {
                failover.failed(choice, start());
            }
        }
        made
    }

    #[test]
    fn two_failures_in_a_row_lead_to_the_second_and_one_there_leads_back() {
        use Choice::{First, Second};
        for (outcomes, expected) in [
            (vec![false, true, false, true], vec![First; 4]),
            (
                vec![false, false, true, true],
                vec![First, First, Second, Second],
            ),
            (
                vec![false, false, false, false, false, true],
                vec![First, First, Second, First, First, Second],
            ),
        ] {
            assert_eq!(choices(&outcomes), expected, "{outcomes:?}");
        }
    }

    #[test]
    fn the_first_gets_another_chance_after_a_while() {
        let mut failover = Failover::default();
        failover.failed(Choice::First, start());
        failover.failed(Choice::First, start());
        let later = start() + Duration::from_mins(9);
        assert_eq!(failover.choice(later), Choice::Second);
        failover.answered(Choice::Second);
        let much_later = start() + Duration::from_mins(10);
        assert_eq!(failover.choice(much_later), Choice::First);
        failover.answered(Choice::First);
        assert_eq!(failover.choice(later), Choice::First);
    }
}
