//! How long a session to ask for, when the role allows less than was configured.
//!
//! Clouds refuse a duration above a role's cap and do not say what the cap is, so the standard
//! durations are tried downwards and the one that worked is remembered until a reload, or until
//! somebody asks for a refresh: the cap may have been raised.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::provider::error::{Class, ProviderError};

/// Durations that caps are usually set to, in seconds.
const STANDARD: [u64; 6] = [43_200, 28_800, 7_200, 3_600, 1_800, 900];

/// The duration to ask for; it goes down until it is reset.
#[derive(Debug)]
pub(in crate::provider) struct Ladder {
    configured_seconds: u64,
    seconds: AtomicU64,
}

impl Ladder {
    /// Starts at what was configured.
    pub(in crate::provider) fn new(configured: Duration) -> Self {
        Self {
            configured_seconds: configured.as_secs(),
            seconds: AtomicU64::new(configured.as_secs()),
        }
    }

    /// What to ask for now.
    pub(in crate::provider) fn seconds(&self) -> u64 {
        self.seconds.load(Ordering::Relaxed)
    }

    /// Starts again at what was configured.
    pub(in crate::provider) fn reset(&self) {
        self.seconds
            .store(self.configured_seconds, Ordering::Relaxed);
    }

    /// If a session of `asked` seconds was refused as too long, steps down and says so. `whose`
    /// says what has the cap.
    pub(in crate::provider) fn judge(
        &self,
        mut error: ProviderError,
        asked: u64,
        whose: &str,
    ) -> ProviderError {
        if error.class == Class::DurationTooLong {
            error.message = if let Some(next) = self.step_down(asked) {
                format!("{whose} allows no session of {asked} s; {next} s will be asked for")
            } else {
                error.class = Class::Final;
                format!(
                    "{whose} allows no session of even {asked} s, and nothing shorter is tried: \
                     raise its maximum session duration"
                )
            };
        }
        error
    }

    /// `refused` seconds were too long: the next lower standard duration, if there is one.
    fn step_down(&self, refused: u64) -> Option<u64> {
        let lower = STANDARD.into_iter().find(|step| *step < refused)?;
        self.seconds.fetch_min(lower, Ordering::Relaxed);
        Some(lower)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Ladder;

    fn steps_from(configured: u64) -> Vec<u64> {
        let ladder = Ladder::new(Duration::from_secs(configured));
        let mut asked = vec![ladder.seconds()];
        while ladder.step_down(ladder.seconds()).is_some() {
            asked.push(ladder.seconds());
        }
        asked
    }

    #[test]
    fn it_goes_down_the_standard_durations_and_ends() {
        for (configured, steps) in [
            (
                129_600,
                vec![129_600, 43_200, 28_800, 7_200, 3_600, 1_800, 900],
            ),
            (43_200, vec![43_200, 28_800, 7_200, 3_600, 1_800, 900]),
            (7_200, vec![7_200, 3_600, 1_800, 900]),
            (7_000, vec![7_000, 3_600, 1_800, 900]),
            (900, vec![900]),
            (300, vec![300]),
        ] {
            assert_eq!(steps_from(configured), steps);
        }
    }

    #[test]
    fn a_late_refusal_does_not_lead_up_again_but_a_reset_does() {
        let ladder = Ladder::new(Duration::from_hours(12));
        ladder.step_down(7_200);
        assert_eq!(ladder.step_down(43_200), Some(28_800));
        assert_eq!(ladder.seconds(), 3_600);
        ladder.reset();
        assert_eq!(ladder.seconds(), 43_200);
    }
}
