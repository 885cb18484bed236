//! One listener at work: what its connections share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use hyper::http::StatusCode;
use hyper::server::conn::http1;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::exchange;
use super::places::{ALL, Guest, Place, Places};
use super::rules::Rules;
use crate::config::model::Protocol;
use crate::name::Name;
use crate::observe::metrics::{DeniedLabels, ListenerLabels, RequestLabels};

/// One listener at work.
pub(crate) struct Live {
    pub(crate) name: Name,
    pub(crate) context: Arc<Context>,
    pub(crate) rules: ArcSwap<Rules>,
    pub(crate) http: http1::Builder,
    pub(crate) served_remaining: Histogram,
    counters: Counters,
    slots: Arc<Semaphore>,
    places: Places,
    closing: ArcSwap<CancellationToken>,
    draining: AtomicBool,
}

impl Live {
    pub(crate) fn new(name: Name, rules: Rules, context: Arc<Context>) -> Self {
        let mut http = exchange::http();
        // Head and body of an answer are small: copied together they leave in the cheaper of the
        // two system calls.
        http.writev(false);
        let labels = ListenerLabels {
            listener: name.to_string(),
        };
        let served_remaining = context
            .metrics
            .served_remaining
            .get_or_create_owned(&labels);
        let live = Self {
            name,
            context,
            rules: ArcSwap::from_pointee(rules),
            http,
            served_remaining,
            counters: Counters::default(),
            slots: Arc::new(Semaphore::new(ALL as usize)),
            places: Places::default(),
            closing: ArcSwap::default(),
            draining: AtomicBool::new(false),
        };
        for &protocol in &live.rules.load().protocols {
            live.answered(protocol, StatusCode::OK, 0); // so that the series is there from the start
        }
        live
    }

    /// Counts answers.
    pub(crate) fn answered(&self, protocol: Protocol, status: StatusCode, count: u64) {
        let resolve = || {
            let labels = RequestLabels {
                listener: self.name.to_string(),
                protocol: protocol.as_str().to_owned(),
                code: status.as_str().to_owned(),
            };
            self.context.metrics.requests.get_or_create_owned(&labels)
        };
        match self.counters.cell(protocol, status) {
            Some(cell) => cell.get_or_init(resolve).inc_by(count),
            None => resolve().inc_by(count),
        };
    }

    /// Counts a refusal.
    pub(crate) fn denied(&self, reason: &'static str) {
        let labels = DeniedLabels {
            listener: self.name.to_string(),
            reason: reason.to_owned(),
        };
        self.context.metrics.denied.get_or_create(&labels).inc();
    }

    /// Cancelled when the connections of now have to end.
    pub(crate) fn closing(&self) -> CancellationToken {
        CancellationToken::clone(&self.closing.load())
    }

    /// Ends the connections of now: idle ones at once, others after their answer.
    pub(crate) fn close_connections(&self) {
        self.closing
            .swap(Arc::new(CancellationToken::new()))
            .cancel();
    }

    /// The same when the daemon ends: whoever has a connection may still use it, once.
    pub(crate) fn drain_connections(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.close_connections();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Waits for room for one more connection. `None` if this guest has enough.
    pub(crate) async fn slot(&self, guest: Guest) -> Option<Slot> {
        let place = self.places.take(guest)?;
        let permit = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        Some(Slot {
            _place: place,
            _permit: permit,
        })
    }

    /// Connections open now.
    pub(crate) fn connections(&self) -> u64 {
        let free = self.slots.available_permits() as u64;
        u64::from(ALL).saturating_sub(free)
    }

    /// Waits until the last connection is gone.
    pub(crate) async fn idle(&self) {
        let all = self.slots.acquire_many(ALL).await;
        debug_assert!(all.is_ok(), "the semaphore is never closed");
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The right to one open connection.
#[derive(Debug)]
pub(crate) struct Slot {
    _place: Place,
    _permit: OwnedSemaphorePermit,
}

/// Handles of `requests_total`, looked up once each.
#[derive(Debug, Default)]
struct Counters([[OnceLock<Counter>; CODES.len()]; Protocol::ALL.len()]);

const CODES: [StatusCode; 10] = [
    StatusCode::OK,
    StatusCode::NOT_MODIFIED,
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::SERVICE_UNAVAILABLE,
];

impl Counters {
    fn cell(&self, protocol: Protocol, status: StatusCode) -> Option<&OnceLock<Counter>> {
        let row = Protocol::ALL.iter().position(|known| *known == protocol)?;
        let column = CODES.iter().position(|known| *known == status)?;
        self.0.get(row)?.get(column)
    }
}
