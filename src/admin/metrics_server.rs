//! The metrics address: `/metrics`, `/livez`, `/readyz`, and for people the status at `/`.
//!
//! [`respond`] decides; [`serve`] is the wire around it. Who is let in is decided before anything
//! is answered, by [`MetricsAccess`].

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::api::Status;
use super::connections::{Asked, Reception, Visitor as _};
use super::health::Health;
use super::metrics_access::{MetricsAccess, Visitor};
use super::page::{Page, error, page};
use super::places::Guest;
use super::{Operations, connections, status_page};
use crate::observe::metrics::{CONTENT_TYPE as OPEN_METRICS, Metrics};

/// What is shown here.
#[derive(Clone, Debug)]
pub struct Shown {
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    /// For its status alone.
    pub operations: Arc<dyn Operations>,
}

/// The answer to a request that was let in.
#[must_use]
pub fn respond(
    method: &Method,
    path: &str,
    metrics: &Metrics,
    health: &Health,
    status: impl FnOnce() -> Status,
) -> Page {
    let known = matches!(path, "/" | "/metrics" | "/livez" | "/readyz");
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
        "/" => status_of(&status()),
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

fn status_of(status: &Status) -> Page {
    let text = status_page::render(status);
    let mut page = page(StatusCode::OK, "text/html; charset=utf-8", text);
    page.headers_mut().extend(status_page::headers());
    page
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

/// Serves until `stop`, then lets answers finish.
pub async fn serve(
    listener: TcpListener,
    shown: Shown,
    access: Arc<MetricsAccess>,
    stop: CancellationToken,
) {
    let at_the_door = Arc::clone(&access);
    let accept = async move || {
        loop {
            let (stream, client) = listener.accept().await?;
            let ends = stream.set_nodelay(true).and_then(|()| stream.local_addr());
            if let Ok(server) = ends {
                return Ok((stream, at_the_door.identify(client, server)));
            } // gone already
        }
    };
    let denials = access.denials().clone();
    let window = Arc::new(Window { shown, access });
    connections::serve(&denials, accept, window, stop).await;
}

/// What answers requests.
#[derive(Debug)]
struct Window {
    shown: Shown,
    access: Arc<MetricsAccess>,
}

impl Reception for Window {
    type Visitor = Visitor;

    fn guest(&self, visitor: &Visitor) -> Guest {
        self.access.guest(visitor)
    }

    async fn answer(&self, visitor: Visitor, asked: Asked) -> Response<Full<Bytes>> {
        let (head, _) = asked.request.into_parts();
        if let Err(refusal) = self.access.check(&visitor, &head, asked.ambiguous_length) {
            return *refusal;
        }
        let (method, path, shown) = (&head.method, head.uri.path(), &self.shown);
        let status = || shown.operations.status();
        let answer = *respond(method, path, &shown.metrics, &shown.health, status);
        if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
            self.access.denials().note("method", &visitor.peer());
        }
        answer
    }

    fn refuse_head(&self, visitor: &Visitor, status: StatusCode) -> Response<Full<Bytes>> {
        *self.access.refuse_head(visitor, status)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admin::health::LONGEST_SILENCE;
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
        let page = respond(&Method::GET, "/livez", &metrics, &health, Status::default);
        assert_eq!(page.status(), 503);
        health.beat();
        let page = respond(&Method::GET, "/livez", &metrics, &health, Status::default);
        assert_eq!(page.status(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn ready_is_when_every_part_has_arrived_and_stays_so() {
        let (_, health) = health(&["role app", "role web"]);
        health.arrived("role web");
        let metrics = Metrics::new();
        let page = respond(&Method::GET, "/readyz", &metrics, &health, Status::default);
        assert_eq!(page.status(), 503);
        assert_eq!(health.missing(), ["role app"]);
        health.arrived("role app");
        let page = respond(&Method::HEAD, "/readyz", &metrics, &health, Status::default);
        assert_eq!(page.status(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn other_paths_and_methods_are_refused() {
        let (_, health) = health(&[]);
        let metrics = Metrics::new();
        for (method, path, status) in [
            (Method::GET, "/", 200),
            (Method::GET, "/status", 404),
            (Method::GET, "/metrics/", 404),
            (Method::POST, "/metrics", 405),
            (Method::GET, "/metrics", 200),
        ] {
            let page = respond(&method, path, &metrics, &health, Status::default);
            assert_eq!(page.status(), status, "{method} {path}");
        }
    }
}
