//! How many calls an endpoint gets from us: a leaky bucket (GCRA) per endpoint and action.
//!
//! A caller reserves the next free slot and sleeps until it comes, so a thousand roles that
//! fall due together are spread out instead of being throttled by the cloud. When the cloud
//! does throttle us, the rate is halved and recovers step by step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{BootTime, Clock, sleep_until};
use crate::config::model::Limits;
use crate::credentials::Cloud;

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

    fn is_halved(&self) -> bool {
        let now = self.clock.boot();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.recover(now);
        state.halvings > 0
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

/// All budgets of one daemon. They outlive a reload, so that a throttled endpoint stays throttled.
#[derive(Debug)]
pub struct Budgets {
    clock: Arc<dyn Clock>,
    limits: Mutex<Limits>,
    entries: Mutex<BTreeMap<Key, Arc<Budget>>>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    cloud: Cloud,
    endpoint: String,
    /// In kebab-case, as in `[limits.*]`; what is not listed there has the default.
    action: &'static str,
}

impl Budgets {
    /// None yet; those there will be have these limits.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self {
            clock,
            limits: Mutex::new(limits),
            entries: Mutex::default(),
        }
    }

    /// What calls of `action` at `endpoint` count against, whoever makes them.
    #[must_use]
    pub fn of(&self, cloud: Cloud, endpoint: &str, action: &'static str) -> Arc<Budget> {
        let key = Key {
            cloud,
            endpoint: endpoint.to_owned(),
            action,
        };
        let rate = key.rate(&lock(&self.limits));
        let mut entries = lock(&self.entries);
        let budget = entries
            .entry(key)
            .or_insert_with(|| Arc::new(Budget::new(Arc::clone(&self.clock), rate)));
        Arc::clone(budget)
    }

    /// Other limits from here on. Budgets that nobody uses and nothing has halved are dropped.
    pub fn reconfigure(&self, limits: Limits) {
        let mut entries = lock(&self.entries);
        entries.retain(|_, budget| Arc::strong_count(budget) > 1 || budget.is_halved());
        for (key, budget) in entries.iter() {
            budget.set_rate(key.rate(&limits));
        }
        drop(entries);
        *lock(&self.limits) = limits;
    }
}

impl Key {
    fn rate(&self, limits: &Limits) -> f64 {
        limits.of(self.cloud).per_second(self.action)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
