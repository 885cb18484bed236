//! What follows from a call that is made within a budget: it is counted, and the budget hears of it.
//!
//! A refresher accounts for one call per attempt and uses [`account`]; those of sign-ins, and what a
//! provider asks beside minting, go through a [`Meter`].

use std::sync::Arc;

use super::CallSite;
use super::budget::Slot;
use super::budgets::Budgets;
use super::error::{Class, ProviderError};
use crate::credentials::Cloud;
use crate::observe::metrics::{EndpointLabels, Metrics, UpstreamLabels};

/// Budgets and counters of one daemon.
#[derive(Clone, Debug)]
pub struct Meter {
    budgets: Arc<Budgets>,
    metrics: Arc<Metrics>,
}

impl Meter {
    /// Counts there, within those budgets.
    #[must_use]
    pub fn new(budgets: Arc<Budgets>, metrics: Arc<Metrics>) -> Self {
        Self { budgets, metrics }
    }

    /// What a call of `action` at `endpoint` counts against.
    #[must_use]
    pub fn site(&self, cloud: Cloud, endpoint: &str, action: &'static str) -> CallSite {
        CallSite {
            endpoint: endpoint.to_owned(),
            action,
            budget: Some(self.budgets.of(cloud, endpoint, action)),
        }
    }

    /// Makes one call when its budget allows, and accounts for it.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn call<T>(
        &self,
        site: &CallSite,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let slot = match &site.budget {
            Some(budget) => Some(budget.acquire().await),
            None => None,
        };
        let result = call.await;
        account(&self.metrics, site, slot, result.as_ref().err());
        result
    }
}

/// Counts one call that was made, and halves its budget if the cloud asked for fewer. One that
/// never left counts against nobody.
pub fn account(
    metrics: &Metrics,
    site: &CallSite,
    slot: Option<Slot>,
    error: Option<&ProviderError>,
) {
    let budget = site.budget.as_ref().zip(slot);
    if error.is_some_and(|error| !error.sent) {
        if let Some((budget, slot)) = budget {
            budget.give_back(slot);
        }
        return;
    }
    let class = error.map(|error| error.class);
    if matches!(class, Some(Class::Throttled { .. })) {
        let endpoint = EndpointLabels {
            endpoint: site.endpoint.clone(),
        };
        metrics.upstream_throttled.get_or_create(&endpoint).inc();
        if let Some((budget, slot)) = budget {
            budget.throttled(slot);
        }
    }
    metrics
        .upstream_calls
        .get_or_create(&UpstreamLabels {
            endpoint: site.endpoint.clone(),
            action: site.action.to_owned(),
            result: class.map_or("success", |class| class.as_str()).to_owned(),
        })
        .inc();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::testing::TestClock;
    use crate::config::model::{CloudLimits, Limits};

    #[tokio::test(start_paused = true)]
    async fn a_throttled_call_is_counted_and_halves_its_budget_over_a_reload() {
        let limits = || CloudLimits {
            default: 8.0,
            actions: BTreeMap::new(),
        };
        let limits = Limits {
            tencent: limits(),
            huawei: limits(),
        };
        let budgets = Arc::new(Budgets::new(Arc::new(TestClock::start()), limits.clone()));
        let metrics = Arc::new(Metrics::new());
        let meter = Meter::new(Arc::clone(&budgets), Arc::clone(&metrics));
        let site = meter.site(Cloud::Huawei, "portal.example", "ListAccounts");
        let throttled = Class::Throttled { retry_after: None };
        for answer in [
            Ok(()),
            Err(ProviderError::new(throttled, "fewer")),
            Err(ProviderError::new(Class::SourceUnavailable, "not sent").not_sent()),
        ] {
            drop(meter.call(&site, std::future::ready(answer)).await);
        }
        budgets.reconfigure(limits);
        let rate = site.budget.unwrap().rate();
        assert!((rate - 4.0).abs() < f64::EPSILON, "{rate}");
        let text = metrics.encode().unwrap();
        let counted = |result: &str| {
            let labels = "endpoint=\"portal.example\",action=\"ListAccounts\",result=";
            let line = format!("credvend_upstream_calls_total{{{labels}\"{result}\"}} 1");
            text.contains(&line)
        };
        assert!(counted("success") && counted("throttled"), "{text}");
        assert!(!text.contains("source-unavailable"), "{text}");
        assert!(text.contains("credvend_upstream_throttled_total{endpoint=\"portal.example\"} 1"));
    }
}
