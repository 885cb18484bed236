//! How long a role waits where something failed, and what may shorten that.

use std::time::Duration;

use super::{Moment, State};
use crate::clock::BootTime;
use crate::provider::error::{Class, ProviderError};
use crate::schedule;
use crate::store::{Failure, Refresh};

/// A cold role starts an attempt on demand, but not more often than this. Nor before the end of a
/// pause that the cloud has named: clients that poll do not overrule it.
const DEMAND_PAUSE: Duration = Duration::from_secs(2);

impl State {
    /// A client found nothing valid, or read a resting role.
    pub fn demanded(&mut self, now: BootTime) {
        if self.refresh == Refresh::Resting {
            self.refresh = Refresh::Idle;
            // What fell due while it rested is due now, and was not slept through.
            self.due = self.due.max(now);
        }
        if self.remaining(now).is_none() && !self.refresh.needs_somebody() {
            let pause = self.last_start.map(|start| start + DEMAND_PAUSE);
            let earliest = [pause, self.not_before].into_iter().flatten().max();
            let earliest = earliest.unwrap_or(now).max(now);
            self.due = self.due.min(earliest).max(now);
        }
    }

    /// An attempt failed. `with_source` is what a role becomes whose source has nothing for it.
    /// Returns the pause until the next.
    pub fn failed(
        &mut self,
        error: &ProviderError,
        with_source: Option<Refresh>,
        draw: f64,
        at: Moment,
    ) -> Duration {
        let remaining = self.remaining(at.now);
        self.failures = self.failures.saturating_add(1);
        self.last_failed = true;
        let own = |throttled| schedule::backoff(self.failures, throttled, remaining, draw);
        let (refresh, pause) = match error.class {
            Class::Throttled {
                retry_after: Some(asked),
            } => {
                let named = schedule::honoured(asked, remaining);
                self.not_before = Some(at.now + named);
                (Refresh::Retrying, named.max(own(true)))
            }
            Class::Throttled { retry_after: None } => (Refresh::Retrying, own(true)),
            Class::Transient | Class::Clock { .. } | Class::SourceUnavailable => {
                (Refresh::Retrying, own(false))
            }
            // What is stale was replaced already, if that was possible: a changed file or source
            // is heard of.
            Class::DurationTooLong | Class::Final | Class::StaleSource => {
                (Refresh::Failing, schedule::FAILING_PAUSE)
            }
            Class::NeedsLogin => (Refresh::NeedsLogin, schedule::FAILING_PAUSE),
        };
        let (refresh, pause) = match with_source {
            // The source's next change is heard of; until then there is nothing to try.
            Some(refresh) if refresh.needs_somebody() => (refresh, schedule::FAILING_PAUSE),
            Some(_) | None => (refresh, pause),
        };
        self.refresh = refresh;
        self.due = at.now + pause;
        self.failure = Some(Failure {
            class: error.class.as_str(),
            message: error.report(),
            code: error.code.clone(),
            request_id: error.request_id.clone(),
            at: at.wall,
        });
        pause
    }

    /// Failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}
