//! Clients that take their time.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use super::bench::Bench;

#[tokio::test(start_paused = true)]
async fn slow_heads_slow_bodies_and_idle_connections_end_after_30_seconds() {
    let bench = Bench::new();
    let whole = "GET /accesskey HTTP/1.1\r\nHost: localhost\r\n";
    for (case, sent, answered) in [
        ("nothing", String::new(), 0),
        ("half a head", whole.to_owned(), 0),
        ("idle after an answer", format!("{whole}\r\n"), 200),
        (
            "half a body",
            format!("{whole}Content-Length: 9\r\n\r\nabc"),
            408,
        ),
    ] {
        let started = Instant::now();
        let mut client = bench.connect();
        client.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(started.elapsed().as_secs(), 30, "{case}");
        match answered {
            0 => assert_eq!(answer, "", "{case}"),
            status => assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{case}: {answer}"
            ),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_trickle_of_head_bytes_does_not_keep_a_connection() {
    let bench = Bench::new();
    let started = Instant::now();
    let mut client = bench.connect();
    client.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    while client.write_all(b"y").await.is_ok() {
        sleep(Duration::from_secs(1)).await;
        assert!(started.elapsed() < Duration::from_secs(40));
    }
    assert!(started.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_cut_off_and_costs_no_memory() {
    // Both ends of the pipe, and what a connection may hold on its way from one to the other.
    const BOUND: usize = 2 * 64 * 1024 + 64 * 1024;
    let bench = Bench::new();
    let mut client = bench.connect();
    let request = "GET /accesskey/app HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(64);
    let started = Instant::now();
    let mut taken = 0;
    while let Ok(count) = client.write(request.as_bytes()).await {
        taken += count;
        assert!(taken < BOUND, "answers pile up for who does not read them");
        assert!(started.elapsed() < Duration::from_mins(1), "still taken");
    }
    assert!(taken > 64 * 1024, "the pipe was full, not closed: {taken}");
    assert_eq!(started.elapsed().as_secs(), 30);
}
