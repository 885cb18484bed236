//! What follows from a call that was made within a budget: it is counted, and the budget hears of it.

use super::CallSite;
use super::budget::Slot;
use super::error::{Class, ProviderError};
use crate::observe::metrics::{EndpointLabels, Metrics, UpstreamLabels};

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
