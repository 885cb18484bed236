//! The metrics address: `/metrics`, `/livez`, `/readyz`.
//!
//! [`respond`] decides; [`serve`] is the wire around it. Who is let in is the caller's affair:
//! `serve` asks its `guard` before anything is answered.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connections;
use crate::clock::{BootTime, Clock};
use crate::observe::metrics::{CONTENT_TYPE as OPEN_METRICS, Metrics};

/// The supervising task beats far more often; without a beat for so long it is stuck.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// An answer of this address. Boxed, so that a guard's verdict is small.
pub type Page = Box<Response<Full<Bytes>>>;

/// Whether the daemon lives (its supervising task beats) and is ready (every part it waited
/// for at start has arrived). Ready is for good: a role that fails later is a matter for
/// metrics, and no reason to take the daemon out of service.
#[derive(Debug)]
pub struct Health {
    clock: Arc<dyn Clock>,
    /// Milliseconds on the boot clock.
    beat: AtomicU64,
    missing: Mutex<BTreeSet<String>>,
}

impl Health {
    /// Alive now, and ready once each of these parts has arrived.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, parts: impl IntoIterator<Item = String>) -> Self {
        let health = Self {
            clock,
            beat: AtomicU64::new(0),
            missing: Mutex::new(parts.into_iter().collect()),
        };
        health.beat();
        health
    }

    /// For the supervising task, each time around its loop.
    pub fn beat(&self) {
        let now = self.clock.boot().since_boot().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.beat.store(now, Ordering::Relaxed);
    }

    /// Whether the supervising task did not miss its beat.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let beat = BootTime::new(Duration::from_millis(self.beat.load(Ordering::Relaxed)));
        self.clock.boot().since(beat) <= LONGEST_SILENCE
    }

    /// This part is there, or has failed for a first time: either way it is not waited for.
    pub fn arrived(&self, part: &str) {
        self.parts(|missing| missing.remove(part));
    }

    /// Nothing is waited for any longer.
    pub fn declare_ready(&self) {
        self.parts(BTreeSet::clear);
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts(|missing| missing.is_empty())
    }

    /// What has not arrived yet, in alphabetical order.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.parts(|missing| missing.iter().cloned().collect())
    }

    fn parts<T>(&self, work: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        work(&mut self.missing.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The answer to a request that was let in.
#[must_use]
pub fn respond(method: &Method, path: &str, metrics: &Metrics, health: &Health) -> Page {
    let known = matches!(path, "/metrics" | "/livez" | "/readyz");
    if !known {
        return error(StatusCode::NOT_FOUND, "not-found", "there is nothing here");
    }
    if *method != Method::GET && *method != Method::HEAD {
        let mut page = error(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "the method is GET",
        );
        page.headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return page;
    }
    match path {
        "/metrics" => match metrics.encode() {
            Ok(text) => page(StatusCode::OK, OPEN_METRICS, text),
            Err(_) => error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the metrics cannot be written: this is a bug in credvend",
            ),
        },
        "/livez" if health.is_live() => ok(),
        "/livez" => error(
            StatusCode::SERVICE_UNAVAILABLE,
            "stuck",
            "the supervising task missed its beat",
        ),
        _ if health.is_ready() => ok(),
        _ => not_ready(&health.missing()),
    }
}

fn ok() -> Page {
    page(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into())
}

fn not_ready(missing: &[String]) -> Page {
    let body = json!({
        "error": {
            "code": "not-ready",
            "message": format!("not ready: waiting for {}", missing.join(", ")),
        },
        "missing": missing,
    });
    page(
        StatusCode::SERVICE_UNAVAILABLE,
        "application/json",
        body.to_string(),
    )
}

/// An error in our own shape; for guards, too.
#[must_use]
pub fn error(status: StatusCode, code: &str, message: &str) -> Page {
    let body = json!({"error": {"code": code, "message": message}});
    page(status, "application/json", body.to_string())
}

fn page(status: StatusCode, content_type: &'static str, body: String) -> Page {
    let mut page = Box::new(Response::new(Full::new(Bytes::from(body))));
    *page.status_mut() = status;
    let headers = page.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}

/// Serves until `stop`, then lets answers finish. `guard` sees the peer's address and the head
/// of each request, and hands back the refusal of one that it does not let in.
pub async fn serve<G>(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    guard: G,
    stop: CancellationToken,
) where
    G: Fn(SocketAddr, &Parts) -> Result<(), Page> + Send + Sync + 'static,
{
    let guard = Arc::new(guard);
    let accept = async move || {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, peer))
    };
    let handler = move |peer, request: Request<Incoming>| {
        let (head, _) = request.into_parts();
        std::future::ready(match guard(peer, &head) {
            Ok(()) => *respond(&head.method, head.uri.path(), &metrics, &health),
            Err(refusal) => *refusal,
        })
    };
    connections::serve("metrics", accept, handler, stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::TestClock;

    fn health(parts: &[&str]) -> (Arc<TestClock>, Health) {
        let clock = Arc::new(TestClock::start());
        let parts = parts.iter().map(|part| (*part).to_owned());
        (Arc::clone(&clock), Health::new(clock, parts))
    }

    #[tokio::test(start_paused = true)]
    async fn a_supervisor_that_stands_still_is_not_alive() {
        let (clock, health) = health(&[]);
        assert!(health.is_live());
        clock.suspend(LONGEST_SILENCE + Duration::from_millis(1));
        assert!(!health.is_live());
        let metrics = Metrics::new();
        let page = respond(&Method::GET, "/livez", &metrics, &health);
        assert_eq!(page.status(), 503);
        health.beat();
        let page = respond(&Method::GET, "/livez", &metrics, &health);
        assert_eq!(page.status(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn ready_is_when_every_part_has_arrived_and_stays_so() {
        let (_, health) = health(&["role app", "role web"]);
        health.arrived("role web");
        let metrics = Metrics::new();
        let page = respond(&Method::GET, "/readyz", &metrics, &health);
        assert_eq!(page.status(), 503);
        assert_eq!(health.missing(), ["role app"]);
        health.arrived("role app");
        let page = respond(&Method::HEAD, "/readyz", &metrics, &health);
        assert_eq!(page.status(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn other_paths_and_methods_are_refused() {
        let (_, health) = health(&[]);
        let metrics = Metrics::new();
        for (method, path, status) in [
            (Method::GET, "/", 404),
            (Method::GET, "/metrics/", 404),
            (Method::POST, "/metrics", 405),
            (Method::GET, "/metrics", 200),
        ] {
            let page = respond(&method, path, &metrics, &health);
            assert_eq!(page.status(), status, "{method} {path}");
        }
    }
}
