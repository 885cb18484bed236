//! Requests that are none, on the admin socket and the metrics address: refused as listeners do.

use std::sync::Arc;
use std::time::Duration;

use credvend::admin::health::Health;
use credvend::clock::SystemClock;
use credvend::config::model::{Allow, Principals};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use super::fake::{Running, healthy};
use super::metrics::start_metrics;

/// Each with its name and the status of the refusal. `path` is one that is answered.
fn malformed(path: &str) -> Vec<(&'static str, String, u16)> {
    let head = |lines: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    vec![
        ("no target", "GET\r\n\r\n".to_owned(), 400),
        ("no text", "\u{16}\u{3}\u{1}\u{2}\r\n\r\n".to_owned(), 400),
        (
            "equal lengths",
            head("Content-Length: 1\r\nContent-Length: 1\r\n"),
            400,
        ),
        (
            "two lengths",
            head("Content-Length: 0\r\nContent-Length: 1\r\n"),
            400,
        ),
        ("pieces", head("Transfer-Encoding: chunked\r\n"), 400),
        (
            "a control character",
            format!("GET {path}%0a HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            400,
        ),
        ("101 headers", head(&"X: y\r\n".repeat(100)), 431),
        (
            "a head of 17 KB",
            head(&format!("X: {}\r\n", "y".repeat(17 << 10))),
            431,
        ),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
    ]
}

/// What is answered until the other end closes, which it must do by itself.
async fn whole_answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer))
        .await
        .unwrap_or_else(|_| panic!("not closed after {answer}"))
        .unwrap();
    answer
}

fn assert_refused(case: &str, status: u16, answer: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    assert!(
        head.starts_with(&format!("HTTP/1.1 {status} ")),
        "{case}: {answer}"
    );
    for line in ["connection: close", "cache-control: no-store"] {
        assert!(head.lines().any(|it| it == line), "{case}: {answer}");
    }
    let body: Value = serde_json::from_str(body).expect("one answer, in JSON");
    assert!(body["error"]["message"].is_string(), "{case}: {answer}");
}

#[tokio::test]
async fn the_admin_socket_refuses_what_is_no_request_in_its_own_shape() {
    let running = Running::start(healthy());
    let cases = malformed("/admin/v1/status");
    for (case, request, status) in &cases {
        let stream = UnixStream::connect(running.socket()).await.unwrap();
        assert_refused(case, *status, &whole_answer(stream, request).await);
    }
    let metrics = running.metrics.encode().unwrap();
    let counted = format!(
        "credvend_denied_total{{listener=\"admin\",reason=\"request\"}} {}\n",
        cases.len()
    );
    assert!(metrics.contains(&counted), "{metrics}");
}

#[tokio::test]
async fn so_does_the_metrics_address() {
    let health = || Arc::new(Health::new(Arc::new(SystemClock), []));
    let stop = CancellationToken::new();
    let (port, _server) =
        start_metrics("127.0.0.1:0", Allow::AnyLocal, health(), stop.clone()).await;
    for (case, request, status) in malformed("/livez") {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        assert_refused(case, status, &whole_answer(stream, &request).await);
    }

    // Who is not let in learns nothing else.
    let nobody = Allow::Only(Principals::default());
    let (port, _server) = start_metrics("127.0.0.1:0", nobody, health(), stop.clone()).await;
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    assert_refused(
        "a stranger",
        403,
        &whole_answer(stream, "GET\r\n\r\n").await,
    );
    stop.cancel();
}

#[tokio::test]
async fn who_has_nothing_more_to_say_gets_an_answer_all_the_same() {
    let running = Running::start(healthy());
    let mut stream = UnixStream::connect(running.socket()).await.unwrap();
    let body = "{\"all\":true}"; // takes a moment
    let request = format!(
        "POST /admin/v1/forget HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = whole_answer(stream, "").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let health = Arc::new(Health::new(Arc::new(SystemClock), []));
    let stop = CancellationToken::new();
    let (port, _server) = start_metrics("127.0.0.1:0", Allow::AnyLocal, health, stop.clone()).await;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = whole_answer(stream, "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    stop.cancel();
}
