//! The metrics address: whom it answers, what it shows, how many it has a place for.

use std::sync::Arc;
use std::time::Duration;

use credvend::admin::health::Health;
use credvend::admin::metrics_server::{Shown, serve};
use credvend::admin::{Denials, MetricsAccess};
use credvend::clock::SystemClock;
use credvend::config::model::{Allow, Metrics as MetricsSettings, Principals};
use credvend::listener::token::Tokens;
use credvend::observe::metrics::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::fake::{FakeOperations, Running, audit, healthy};

/// The metrics address of a configuration, on an address of its own, and its port.
pub(super) async fn start_metrics(
    listen: &str,
    allow: Allow,
    health: Arc<Health>,
    stop: CancellationToken,
) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::new());
    let settings = MetricsSettings {
        address,
        allow,
        hosts: vec![],
        token: None,
        allow_remote: address.ip().is_unspecified(),
    };
    let denials = Denials::of_metrics(Arc::clone(&metrics), audit());
    let tokens = Tokens::new(Arc::new(SystemClock), Arc::default());
    let access = MetricsAccess::new(&settings, &tokens, denials).unwrap();
    let operations = Arc::new(FakeOperations {
        status: healthy(),
        ..FakeOperations::default()
    });
    let shown = Shown {
        metrics,
        health,
        operations,
    };
    let server = tokio::spawn(serve(listener, shown, Arc::new(access), stop));
    (address.port(), server)
}

async fn ask_metrics(port: u16, line: &str, headers: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let request =
        format!("{line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_metrics_address_answers_whom_its_guard_lets_in() {
    let health = Arc::new(Health::new(Arc::new(SystemClock), ["role app".to_owned()]));
    let stop = CancellationToken::new();
    let (port, server) = start_metrics(
        "127.0.0.1:0",
        Allow::AnyLocal,
        Arc::clone(&health),
        stop.clone(),
    )
    .await;
    let ask =
        async |path: &str, headers: &str| ask_metrics(port, &format!("GET {path}"), headers).await;
    let page = ask("/metrics", "").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(
        page.contains(
            "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
        ),
        "{page}"
    );
    assert!(page.contains("\ncredvend_build_info{version=\""), "{page}");
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(
        ask("/metrics", "Origin: x\r\n")
            .await
            .starts_with("HTTP/1.1 403 ")
    );
    assert!(ask("/nowhere", "").await.starts_with("HTTP/1.1 404 "));
    assert!(ask("/livez", "").await.starts_with("HTTP/1.1 200 "));
    let page = ask("/readyz", "").await;
    assert!(page.starts_with("HTTP/1.1 503 "), "{page}");
    assert!(page.ends_with("\"missing\":[\"role app\"]}"), "{page}");
    health.declare_ready();
    assert!(ask("/readyz", "").await.starts_with("HTTP/1.1 200 "));
    stop.cancel();
    server.await.unwrap();
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_status_page_is_for_people_and_nobody_else_can_use_it() {
    let health = Arc::new(Health::new(Arc::new(SystemClock), []));
    let stop = CancellationToken::new();
    let (port, _server) = start_metrics("127.0.0.1:0", Allow::AnyLocal, health, stop.clone()).await;
    let page = ask_metrics(port, "GET /", "Sec-Fetch-Site: same-origin\r\n").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    for part in [
        "content-type: text/html; charset=utf-8\r\n",
        "cache-control: no-store\r\n",
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "referrer-policy: no-referrer\r\n",
        "<td>app</td>",
        "AKIDabcd…wxyz",
        "127.0.0.1:9470",
        "Version 0.1.0",
        "http-equiv=\"refresh\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(
        !page.contains("<script") && !page.contains("http://"),
        "{page}"
    );
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    let length = format!("content-length: {}", body.len());
    assert!(head.contains(&length), "{head}");
    let headed = ask_metrics(port, "HEAD /", "").await;
    assert!(
        headed.contains(&length) && headed.ends_with("\r\n\r\n"),
        "{headed}"
    );
    for refused in [
        "Sec-Fetch-Site: cross-site",
        "Referer: http://x/",
        "Origin: http://x",
    ] {
        let page = ask_metrics(port, "GET /", &format!("{refused}\r\n")).await;
        assert!(page.starts_with("HTTP/1.1 403 "), "{refused}: {page}");
        assert!(!page.contains("AKID"), "{refused}: {page}");
    }
    let posted = ask_metrics(port, "POST /", "").await;
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    stop.cancel();
}

#[tokio::test]
async fn a_wildcard_metrics_address_knows_who_asks_and_says_what_would_let_them_in() {
    let own = rustix::process::geteuid().as_raw();
    let only = |uid: u32| {
        Allow::Only(Principals {
            users: [uid].into(),
            ..Principals::default()
        })
    };
    let stop = CancellationToken::new();
    let health = || Arc::new(Health::new(Arc::new(SystemClock), []));
    let (port, _let_in) = start_metrics("0.0.0.0:0", only(own), health(), stop.clone()).await;
    let page = ask_metrics(port, "GET /livez", "").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    let (port, _kept_out) = start_metrics("0.0.0.0:0", only(own + 1), health(), stop.clone()).await;
    let page = ask_metrics(port, "GET /livez", "").await;
    assert!(page.starts_with("HTTP/1.1 403 "), "{page}");
    assert!(
        page.contains(&format!("uid {own} is not allowed"))
            && page.contains("allow = { users = [...] } of [metrics]"),
        "{page}"
    );
    stop.cancel();
}

#[tokio::test]
async fn a_connection_without_a_place_is_closed_and_counted() {
    let running = Running::start(healthy());
    let mut open = Vec::new();
    let head = "GET /admin/v1/status HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut some = [0; 64];
    loop {
        let mut stream = UnixStream::connect(running.socket()).await.unwrap();
        // Closed already, it may refuse what is written.
        let written = stream.write_all(head.as_bytes()).await;
        let is_answered = written.is_ok() && stream.read(&mut some).await.is_ok_and(|it| it > 0);
        if !is_answered {
            break;
        }
        open.push(stream);
        assert!(open.len() <= 64, "no bound at all");
    }
    let metrics = running.metrics.encode().unwrap();
    let counted = "credvend_denied_total{listener=\"admin\",reason=\"limit\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
    drop(open);
    let request = head.replace("Host: x", "Host: x\r\nConnection: close");
    for _ in 0..100 {
        let mut stream = UnixStream::connect(running.socket()).await.unwrap();
        let written = stream.write_all(request.as_bytes()).await;
        if written.is_ok() && stream.read(&mut some).await.is_ok_and(|it| it > 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the places are not free again");
}
