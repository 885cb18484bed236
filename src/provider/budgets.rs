//! The budgets of all endpoints that are called, by roles and by sign-ins.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::Budget;
use crate::clock::Clock;
use crate::config::model::Limits;
use crate::credentials::Cloud;

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

    /// Other limits from here on. Budgets that nobody uses are dropped.
    pub fn reconfigure(&self, limits: Limits) {
        let mut entries = lock(&self.entries);
        entries.retain(|_, budget| Arc::strong_count(budget) > 1);
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
