//! Every metric the daemon exports: the one table of names, labels and help texts.
//!
//! Hot paths keep the cloned handles they got from a family, since a look-up by label costs
//! fifty times an increment.

mod labels;

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::process::Process;
pub use labels::{
    DeniedLabels, EndpointLabels, ListenerLabels, LoginLabels, RefreshLabels, RequestLabels,
    RoleLabels, SinkLabels, UpstreamLabels,
};

/// What [`Metrics::encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A gauge of seconds that may be fractional or negative.
pub type SecondsGauge = Gauge<f64, AtomicU64>;

/// Handles to every family. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Names of other people's choosing, so without our prefix.
    process: Registry,
    pub role_expiry: Family<RoleLabels, SecondsGauge>,
    pub role_refresh: Family<RoleLabels, SecondsGauge>,
    pub role_last_success: Family<RoleLabels, SecondsGauge>,
    pub role_up: Family<RoleLabels, Gauge>,
    pub role_degraded: Family<RoleLabels, Gauge>,
    pub role_consecutive_failures: Family<RoleLabels, Gauge>,
    pub refresh: Family<RefreshLabels, Counter>,
    pub refresh_duration: Family<RoleLabels, Histogram, fn() -> Histogram>,
    pub requests: Family<RequestLabels, Counter>,
    pub served_remaining: Family<ListenerLabels, Histogram, fn() -> Histogram>,
    pub denied: Family<DeniedLabels, Counter>,
    pub listener_up: Family<ListenerLabels, Gauge>,
    pub sink_errors: Family<SinkLabels, Counter>,
    pub upstream_calls: Family<UpstreamLabels, Counter>,
    pub upstream_clock_skew: Family<EndpointLabels, SecondsGauge>,
    pub upstream_throttled: Family<EndpointLabels, Counter>,
    pub login_expiry: Family<LoginLabels, SecondsGauge>,
    pub config_last_reload_successful: Gauge,
}

fn duration_histogram() -> Histogram {
    Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

/// The windows of the clients are the boundaries that matter.
fn remaining_histogram() -> Histogram {
    Histogram::new([
        30.0, 60.0, 300.0, 600.0, 900.0, 1500.0, 2400.0, 2700.0, 3600.0, 7200.0, 43_200.0,
    ])
}

impl Metrics {
    /// Registers everything, with the prefix `credvend_`.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("credvend");
        let metrics = Self {
            registry: Registry::default(),
            process: Registry::default(),
            role_expiry: Family::default(),
            role_refresh: Family::default(),
            role_last_success: Family::default(),
            role_up: Family::default(),
            role_degraded: Family::default(),
            role_consecutive_failures: Family::default(),
            refresh: Family::default(),
            refresh_duration: Family::new_with_constructor(duration_histogram),
            requests: Family::default(),
            served_remaining: Family::new_with_constructor(remaining_histogram),
            denied: Family::default(),
            listener_up: Family::default(),
            sink_errors: Family::default(),
            upstream_calls: Family::default(),
            upstream_clock_skew: Family::default(),
            upstream_throttled: Family::default(),
            login_expiry: Family::default(),
            config_last_reload_successful: Gauge::default(),
        };
        metrics.register(&mut registry);
        metrics.config_last_reload_successful.set(1);
        let mut process = Registry::default();
        process.register_collector(Box::new(Process::new()));
        Self {
            registry,
            process,
            ..metrics
        }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "role_expiry_timestamp",
            "Shown expiry of the held set",
            Unit::Seconds,
            self.role_expiry.clone(),
        );
        registry.register_with_unit(
            "role_refresh_timestamp",
            "When the next attempt is planned",
            Unit::Seconds,
            self.role_refresh.clone(),
        );
        registry.register_with_unit(
            "role_last_success_timestamp",
            "When credentials were last obtained",
            Unit::Seconds,
            self.role_last_success.clone(),
        );
        registry.register(
            "role_up",
            "1 while an unexpired set is held",
            self.role_up.clone(),
        );
        registry.register(
            "role_degraded",
            "1 while the held set shows less than min-remaining",
            self.role_degraded.clone(),
        );
        registry.register(
            "role_consecutive_failures",
            "Failed attempts since the last success",
            self.role_consecutive_failures.clone(),
        );
        registry.register(
            "refresh",
            "Refresh attempts by result",
            self.refresh.clone(),
        );
        registry.register_with_unit(
            "refresh_duration",
            "Length of refresh attempts, waiting for the budget excluded",
            Unit::Seconds,
            self.refresh_duration.clone(),
        );
        registry.register("requests", "Answered requests", self.requests.clone());
        registry.register_with_unit(
            "served_remaining",
            "Shown life of the sets handed out",
            Unit::Seconds,
            self.served_remaining.clone(),
        );
        registry.register("denied", "Refused peers and requests", self.denied.clone());
        registry.register(
            "sink_errors",
            "Failed attempts to write a file or to tell a program of it",
            self.sink_errors.clone(),
        );
        registry.register(
            "listener_up",
            "1 while the listener accepts connections",
            self.listener_up.clone(),
        );
        registry.register(
            "upstream_calls",
            "Calls to clouds and programs by result",
            self.upstream_calls.clone(),
        );
        registry.register_with_unit(
            "upstream_clock_skew",
            "How far the endpoint's clock is ahead of ours",
            Unit::Seconds,
            self.upstream_clock_skew.clone(),
        );
        registry.register(
            "upstream_throttled",
            "Answers that asked for fewer requests",
            self.upstream_throttled.clone(),
        );
        registry.register_with_unit(
            "login_expiry_timestamp",
            "When a login's session ends; 0 while nobody is signed in",
            Unit::Seconds,
            self.login_expiry.clone(),
        );
        registry.register(
            "config_last_reload_successful",
            "1 if the last reload was applied",
            self.config_last_reload_successful.clone(),
        );
        registry.register(
            "build",
            "What is running",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
    }

    /// Everything at this moment, as OpenMetrics text (see [`CONTENT_TYPE`]).
    ///
    /// # Errors
    /// If a metric cannot be written, which would be a bug here.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &self.process)?;
        encode_eof(&mut text)?;
        Ok(text)
    }

    /// Drops the series of a login that is no longer configured.
    pub fn forget_login(&self, login: &str) {
        self.login_expiry.remove(&LoginLabels {
            login: login.into(),
        });
    }

    /// Drops the series of a role that is no longer configured.
    pub fn forget_role(&self, role: &str) {
        let labels = RoleLabels { role: role.into() };
        self.role_expiry.remove(&labels);
        self.role_refresh.remove(&labels);
        self.role_last_success.remove(&labels);
        self.role_up.remove(&labels);
        self.role_degraded.remove(&labels);
        self.role_consecutive_failures.remove(&labels);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample names a dashboard may rely on, each with a series in it.
    const NAMES: [&str; 29] = [
        "credvend_build_info",
        "credvend_config_last_reload_successful",
        "credvend_denied_total",
        "credvend_listener_up",
        "credvend_login_expiry_timestamp_seconds",
        "credvend_refresh_duration_seconds_bucket",
        "credvend_refresh_duration_seconds_count",
        "credvend_refresh_duration_seconds_sum",
        "credvend_refresh_total",
        "credvend_requests_total",
        "credvend_role_consecutive_failures",
        "credvend_role_degraded",
        "credvend_role_expiry_timestamp_seconds",
        "credvend_role_last_success_timestamp_seconds",
        "credvend_role_refresh_timestamp_seconds",
        "credvend_role_up",
        "credvend_served_remaining_seconds_bucket",
        "credvend_served_remaining_seconds_count",
        "credvend_served_remaining_seconds_sum",
        "credvend_sink_errors_total",
        "credvend_upstream_calls_total",
        "credvend_upstream_clock_skew_seconds",
        "credvend_upstream_throttled_total",
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    ];

    fn with_a_series_each() -> Metrics {
        let metrics = Metrics::new();
        let role = RoleLabels { role: "app".into() };
        let login = LoginLabels {
            login: "corp".into(),
        };
        metrics.login_expiry.get_or_create(&login).set(1.5);
        metrics.role_expiry.get_or_create(&role).set(1.5);
        metrics.role_refresh.get_or_create(&role).set(1.5);
        metrics.role_last_success.get_or_create(&role).set(1.5);
        metrics.role_up.get_or_create(&role).set(1);
        metrics.role_degraded.get_or_create(&role).set(1);
        metrics
            .role_consecutive_failures
            .get_or_create(&role)
            .set(1);
        metrics.refresh_duration.get_or_create(&role).observe(0.3);
        let labels = RefreshLabels {
            role: "app".into(),
            result: "success".into(),
        };
        metrics.refresh.get_or_create(&labels).inc();
        let listener = ListenerLabels {
            listener: "tasks".into(),
        };
        metrics
            .served_remaining
            .get_or_create(&listener)
            .observe(2700.0);
        metrics.listener_up.get_or_create(&listener).set(1);
        let sink = SinkLabels { sink: "s".into() };
        metrics.sink_errors.get_or_create(&sink).inc();
        let labels = RequestLabels {
            listener: "tasks".into(),
            protocol: "native".into(),
            code: "200".into(),
        };
        metrics.requests.get_or_create(&labels).inc();
        let labels = DeniedLabels {
            listener: "tasks".into(),
            reason: "peer".into(),
        };
        metrics.denied.get_or_create(&labels).inc();
        let labels = UpstreamLabels {
            endpoint: "sts.example".into(),
            action: "AssumeRole".into(),
            result: "success".into(),
        };
        metrics.upstream_calls.get_or_create(&labels).inc();
        let endpoint = EndpointLabels {
            endpoint: "sts.example".into(),
        };
        metrics
            .upstream_clock_skew
            .get_or_create(&endpoint)
            .set(-3.0);
        metrics.upstream_throttled.get_or_create(&endpoint).inc();
        metrics
    }

    #[test]
    fn names_are_the_documented_ones() {
        let text = with_a_series_each().encode().unwrap();
        let mut names: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(['{', ' ']).next())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, NAMES);
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_removed_role_leaves_no_gauge_behind() {
        let metrics = with_a_series_each();
        metrics.forget_role("app");
        let text = metrics.encode().unwrap();
        assert!(!text.contains("credvend_role_up{role=\"app\"}"));
        assert!(
            text.contains("credvend_refresh_total{role=\"app\""),
            "counters stay"
        );
    }
}
