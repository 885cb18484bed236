//! The budgets of all endpoints that are called: one per endpoint, and within it one per action.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::Budget;
use crate::clock::Clock;
use crate::config::model::{CloudLimits, Limits};
use crate::credentials::Cloud;

/// All budgets of one daemon. They outlive a reload, so that a throttled endpoint stays throttled.
#[derive(Debug)]
pub struct Budgets {
    clock: Arc<dyn Clock>,
    limits: Mutex<Limits>,
    endpoints: Mutex<BTreeMap<(Cloud, String), Endpoint>>,
}

#[derive(Debug)]
struct Endpoint {
    /// What all its calls get together.
    whole: Arc<Budget>,
    /// By the action's name in kebab-case, as in `[limits.*]`; what is not listed there has the
    /// default.
    actions: BTreeMap<&'static str, Arc<Budget>>,
}

impl Budgets {
    /// None yet; those there will be have these limits.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self {
            clock,
            limits: Mutex::new(limits),
            endpoints: Mutex::default(),
        }
    }

    /// What calls of `action` at `endpoint` count against, whoever makes them.
    #[must_use]
    pub fn of(&self, cloud: Cloud, endpoint: &str, action: &'static str) -> Arc<Budget> {
        let limits = lock(&self.limits).of(cloud).clone();
        let new = |per_second| Budget::new(Arc::clone(&self.clock), per_second);
        let mut endpoints = lock(&self.endpoints);
        let Endpoint { whole, actions } = endpoints
            .entry((cloud, endpoint.to_owned()))
            .or_insert_with(|| Endpoint {
                whole: Arc::new(new(limits.default)),
                actions: BTreeMap::new(),
            });
        let budget = actions
            .entry(action)
            .or_insert_with(|| Arc::new(new(limits.per_second(action)).within(Arc::clone(whole))));
        Arc::clone(budget)
    }

    /// Other limits from here on. Budgets that nobody uses and nothing has halved are dropped.
    pub fn reconfigure(&self, limits: Limits) {
        lock(&self.endpoints).retain(|(cloud, _), endpoint| {
            endpoint.reconfigure(limits.of(*cloud));
            !endpoint.actions.is_empty() || endpoint.whole.is_halved()
        });
        *lock(&self.limits) = limits;
    }
}

impl Endpoint {
    fn reconfigure(&mut self, limits: &CloudLimits) {
        self.actions
            .retain(|_, budget| Arc::strong_count(budget) > 1 || budget.is_halved());
        self.whole.set_rate(limits.default);
        for (action, budget) in &self.actions {
            budget.set_rate(limits.per_second(action));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
