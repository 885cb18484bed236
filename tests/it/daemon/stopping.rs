//! Signals: a graceful end, an impatient one, and what is left behind.

use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use super::site::{SOON, Site, assumed, base, eventually, exchange, request, socket};
use credvend::emulator::{Fault, FaultKind};

/// A role that never gets anything, beside one that has a set.
fn slow_and_fast(grace: &str) -> String {
    [
        base().replace(
            "[daemon]\n",
            &format!("[daemon]\nshutdown-grace = \"{grace}\"\n"),
        ),
        assumed("app", "ops", "app", ""),
        assumed("slow", "ops", "batch", ""),
        socket("app", &["app", "slow"]),
    ]
    .concat()
}

async fn started(grace: &str) -> (Site, super::site::Daemon) {
    let site = Site::new();
    let hang = Fault {
        role: Some("batch".into()),
        forever: true,
        ..Fault::new(FaultKind::Hang)
    };
    site.cloud.state.push_fault(hang).unwrap();
    site.configure(&slow_and_fast(grace));
    let daemon = site.launch();
    eventually("role app is served", SOON, async || {
        let reply = site.try_get("app", "/v1/roles/app/credentials").await?;
        (reply.status == 200).then_some(())
    })
    .await;
    (site, daemon)
}

/// A request that waits for the first set of role `slow`, for up to a minute.
async fn long_poll(site: &Site) -> Option<super::site::Reply> {
    let stream = UnixStream::connect(site.path("app.sock")).await.unwrap();
    let path = "/v1/roles/slow/credentials?wait=50s";
    exchange(stream, &request(path, "localhost", "")).await
}

#[tokio::test]
async fn sigterm_ends_idle_connections_and_waits_for_answers_as_long_as_the_grace_lasts() {
    let (site, mut daemon) = started("1s").await;
    let waiting = async { long_poll(&site).await };
    let stopping = async {
        sleep(Duration::from_millis(300)).await;
        daemon.signal(Signal::TERM);
        let begun = Instant::now();
        eventually("nobody listens", SOON, async || {
            UnixStream::connect(site.path("app.sock"))
                .await
                .is_err()
                .then_some(())
        })
        .await;
        assert!(
            begun.elapsed() < Duration::from_millis(900),
            "accepting ends first"
        );
        assert_eq!(daemon.end().await, 0, "{}", daemon.log());
        begun.elapsed()
    };
    let (answer, took) = timeout(SOON, async { tokio::join!(waiting, stopping) })
        .await
        .unwrap();
    assert!(answer.is_none(), "cut off: {answer:?}");
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(
        daemon.log().contains("grace period over"),
        "{}",
        daemon.log()
    );
    for left in ["app.sock", "admin.sock"] {
        assert!(!site.path(left).exists(), "{left} is left behind");
    }
}

#[tokio::test]
async fn a_client_that_only_waits_for_news_does_not_hold_up_the_end() {
    let (site, mut daemon) = started("30s").await;
    let etag = site
        .ask("app", "app")
        .await
        .header("etag")
        .unwrap()
        .to_owned();
    let stream = UnixStream::connect(site.path("app.sock")).await.unwrap();
    let mut idle = UnixStream::connect(site.path("app.sock")).await.unwrap();
    idle.write_all(b"GET /v1/roles HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let condition = format!("If-None-Match: {etag}\r\n");
    let asked = request(
        "/v1/roles/app/credentials?wait=50s",
        "localhost",
        &condition,
    );
    let waiting = exchange(stream, &asked);
    let stopping = async {
        sleep(Duration::from_millis(300)).await;
        daemon.signal(Signal::INT);
        daemon.end().await
    };
    let (answer, code) = timeout(SOON, async { tokio::join!(waiting, stopping) })
        .await
        .unwrap();
    assert_eq!(answer.expect("an answer").status, 304);
    assert_eq!(code, 0);
}

#[tokio::test]
async fn a_later_sigterm_cuts_off_what_is_under_way_and_one_told_twice_does_not() {
    let (site, mut daemon) = started("30s").await;
    let waiting = async { long_poll(&site).await };
    let stopping = async {
        sleep(Duration::from_millis(300)).await;
        // As `timeout` does: the process, and then its group.
        daemon.signal(Signal::TERM);
        daemon.signal(Signal::INT);
        eventually("nobody listens", SOON, async || {
            let refused = UnixStream::connect(site.path("app.sock")).await.is_err();
            refused.then_some(())
        })
        .await;
        daemon.signal(Signal::TERM);
        sleep(Duration::from_millis(1200)).await;
        assert_eq!(daemon.ended(), None, "a request is under way");
        daemon.signal(Signal::TERM);
        let begun = Instant::now();
        let code = daemon.end().await;
        (code, begun.elapsed())
    };
    let (_, (code, took)) = timeout(SOON, async { tokio::join!(waiting, stopping) })
        .await
        .unwrap();
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(code, 69, "{}", daemon.log());
    assert!(
        daemon.log().contains("told again to stop"),
        "{}",
        daemon.log()
    );

    site.cloud.state.clear_faults();
    // What it left behind does not stand in the way of the next one.
    let _next = site.start().await;
    site.set("app", "app").await;
}

#[tokio::test]
async fn a_start_and_a_stop_are_one_line_each() {
    let site = Site::new();
    site.configure(
        &[
            base(),
            assumed("app", "ops", "app", ""),
            socket("app", &["app"]),
        ]
        .concat(),
    );
    let mut daemon = site.start().await;
    site.set("app", "app").await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().await, 0);
    let lines: Vec<String> = daemon
        .lines(" INFO ")
        .into_iter()
        .filter(|line| !line.contains("credvend::audit") && !line.contains("role=app"))
        .collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].contains(" started ") && lines[1].contains(" stopped "),
        "{lines:#?}"
    );
}
