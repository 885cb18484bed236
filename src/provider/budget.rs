//! How many calls an endpoint gets from us: a leaky bucket (GCRA) per endpoint and action.
//!
//! A caller reserves the next free slot and sleeps until it comes, so a thousand roles that
//! fall due together are spread out instead of being throttled by the cloud. When the cloud
//! does throttle us, the rate is halved and recovers step by step.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{BootTime, Clock, sleep_until};

/// How long a halving lasts before the rate doubles again.
const PENALTY: Duration = Duration::from_mins(1);
/// At most this many halvings at a time: a sixty-fourth of the rate still makes progress.
const MOST_HALVINGS: u32 = 6;

/// The budget of one action at one endpoint, shared by all roles that call it.
#[derive(Debug)]
pub struct Budget {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    per_second: f64,
    /// When the next call may leave.
    next_free: BootTime,
    halvings: u32,
    penalty_ends: BootTime,
}

impl Budget {
    /// `per_second` calls, evenly spaced.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, per_second: f64) -> Self {
        Self {
            clock,
            state: Mutex::new(State {
                per_second: at_least_some(per_second),
                next_free: BootTime::default(),
                halvings: 0,
                penalty_ends: BootTime::default(),
            }),
        }
    }

    /// Waits for a slot. Dropping the future gives nothing back: a slot is cheap.
    pub async fn acquire(&self) {
        let slot = self.reserve();
        sleep_until(&*self.clock, slot).await;
    }

    /// The cloud asked for fewer requests: half the rate for a while.
    pub fn halve(&self) {
        let now = self.clock.boot();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.halvings = (state.halvings + 1).min(MOST_HALVINGS);
        state.penalty_ends = now + PENALTY;
    }

    /// The rate in force now, in calls per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let now = self.clock.boot();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.recover(now);
        state.rate()
    }

    /// Another rate from here on, as after a reload. A halving stays in force.
    pub fn set_rate(&self, per_second: f64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.per_second = at_least_some(per_second);
    }

    fn reserve(&self) -> BootTime {
        let now = self.clock.boot();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.recover(now);
        let slot = state.next_free.max(now);
        state.next_free = slot + Duration::from_secs_f64(1.0 / state.rate());
        slot
    }
}

impl State {
    fn rate(&self) -> f64 {
        self.per_second / f64::from(1_u32 << self.halvings)
    }

    fn recover(&mut self, now: BootTime) {
        while self.halvings > 0 && now >= self.penalty_ends {
            self.halvings -= 1;
            self.penalty_ends = self.penalty_ends + PENALTY;
        }
    }
}

/// A budget of nothing would stop a role for good.
fn at_least_some(per_second: f64) -> f64 {
    per_second.max(0.001)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Budget;
    use crate::clock::testing::TestClock;

    #[tokio::test(start_paused = true)]
    async fn calls_are_spaced_by_the_rate() {
        let budget = Budget::new(Arc::new(TestClock::start()), 10.0);
        let begun = Instant::now();
        for _ in 0..11 {
            budget.acquire().await;
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_secs(1), "{took:?}");
        assert!(took < Duration::from_millis(1200), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_halves_the_rate_for_a_while() {
        let budget = Budget::new(Arc::new(TestClock::start()), 8.0);
        budget.halve();
        budget.halve();
        assert!((budget.rate() - 2.0).abs() < f64::EPSILON);
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert!((budget.rate() - 4.0).abs() < f64::EPSILON);
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert!((budget.rate() - 8.0).abs() < f64::EPSILON);
    }
}
