//! What the metrics say about one role.

use std::time::{Duration, SystemTime};

use crate::clock::BootTime;
use crate::observe::metrics::{Metrics, RefreshLabels, RoleLabels};
use crate::provider::error::ProviderError;
use crate::store::{Held, View};

/// Counts one finished attempt.
pub(super) fn count(metrics: &Metrics, role: &str, error: Option<&ProviderError>, took: Duration) {
    let result = error.map_or("success", |error| error.class.as_str());
    let labels = RefreshLabels {
        role: role.into(),
        result: result.into(),
    };
    metrics.refresh.get_or_create(&labels).inc();
    metrics
        .refresh_duration
        .get_or_create(&RoleLabels { role: role.into() })
        .observe(took.as_secs_f64());
}

/// Sets every gauge of a role to what its readers see from now on. `next_attempt` is the wall
/// time of the view's.
pub(super) fn set(
    metrics: &Metrics,
    role: &str,
    view: &View,
    next_attempt: Option<SystemTime>,
    now: BootTime,
) {
    let labels = RoleLabels { role: role.into() };
    let times = [
        (
            &metrics.role_expiry,
            view.valid(now).map(|snapshot| snapshot.shown_expiry),
        ),
        (&metrics.role_refresh, next_attempt),
        (&metrics.role_last_success, view.last_success),
    ];
    for (family, time) in times {
        if let Some(time) = time {
            family.get_or_create(&labels).set(unix(time));
        }
    }
    if next_attempt.is_none() {
        // At rest, nothing is planned.
        metrics.role_refresh.remove(&labels);
    }
    if view.held.is_none() {
        // What was forgotten has no expiry; of what has expired it is worth knowing when.
        metrics.role_expiry.remove(&labels);
    }
    let held = view.held(now);
    let numbers = [
        (
            &metrics.role_up,
            i64::from(matches!(held, Held::Fresh | Held::Degraded)),
        ),
        (&metrics.role_degraded, i64::from(held == Held::Degraded)),
        (
            &metrics.role_consecutive_failures,
            i64::from(view.consecutive_failures),
        ),
    ];
    for (family, number) in numbers {
        family.get_or_create(&labels).set(number);
    }
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
