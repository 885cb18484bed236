//! Nothing held yet, and nothing held any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use super::bench::Bench;
use super::support::{CANARY, any_port, listener, only, publish_nothing, publish_with_margin};
use crate::listener::rules::Rules;
use crate::store::Refresh;

const COLD: [&str; 3] = [
    "/latest/meta-data/cam/security-credentials/cold",
    "/accesskey/cold",
    "/v1/roles/cold/credentials",
];

#[tokio::test(start_paused = true)]
async fn a_cold_request_is_held_and_then_told_to_come_again() {
    let bench = Bench::new();
    for path in COLD {
        let started = Instant::now();
        let answer = bench.get(path).await;
        assert_eq!(started.elapsed(), Duration::from_millis(1500), "{path}");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert!(
            body.to_string()
                .contains("`cold` holds no valid credentials"),
            "{body}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_instance_profile_waits_for_a_cold_role_as_its_credentials_do() {
    let bench = Arc::new(Bench::new());
    let mut config = listener("t", any_port());
    config.imds_v1 = true;
    config.roles = vec!["cold".parse().unwrap()];
    let bound = "127.0.0.1:9470".parse().unwrap();
    bench
        .live
        .rules
        .store(Arc::new(Rules::new(&config, Some(bound), None)));
    let role = bench.context.store.role("cold").unwrap();
    let paths = ["iam/info", "iam/security-credentials/cold"]
        .map(|path| format!("/latest/meta-data/{path}"));
    for path in &paths {
        let started = Instant::now();
        let answer = bench.get(path).await;
        assert_eq!(started.elapsed(), Duration::from_millis(300), "{path}");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("retry-after: "), "{answer}");
        tokio::time::timeout(Duration::from_millis(10), role.demand.notified())
            .await
            .expect("it asks for an attempt");
    }
    publish_nothing(&bench.context.store, "cold", Refresh::Failing);
    for path in &paths {
        let started = Instant::now();
        assert!(bench.get(path).await.starts_with("HTTP/1.1 503 "), "{path}");
        assert_eq!(started.elapsed(), Duration::ZERO, "{path}");
    }
    publish_nothing(&bench.context.store, "cold", Refresh::Retrying);
    let waiting = paths.map(|path| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.get(&path).await })
    });
    sleep(Duration::from_millis(200)).await;
    bench.publish("cold", Duration::from_hours(1));
    for answer in waiting {
        let answer = answer.await.unwrap();
        assert!(answer.contains("\"Success\""), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_fetch_releases_every_waiter() {
    let bench = Arc::new(Bench::new());
    let role = bench.context.store.role("cold").unwrap();
    let waiters: Vec<_> = (0..50)
        .map(|number| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.get(COLD[number % COLD.len()]).await })
        })
        .collect();
    tokio::time::timeout(Duration::from_millis(10), role.demand.notified())
        .await
        .expect("a reader that finds nothing asks for an attempt");
    sleep(Duration::from_millis(700)).await;
    let started = Instant::now();
    bench.publish("cold", Duration::from_hours(1));
    for waiter in waiters {
        assert!(waiter.await.unwrap().contains("AKID-cold-1"));
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn where_somebody_has_to_act_nobody_waits() {
    let bench = Bench::new();
    for refresh in [Refresh::Failing, Refresh::NeedsLogin] {
        publish_nothing(&bench.context.store, "cold", refresh);
        for path in COLD {
            let started = Instant::now();
            let answer = bench.get(path).await;
            assert_eq!(started.elapsed(), Duration::ZERO);
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert!(answer.contains("retry-after: 30\r\n"), "{answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_waiting_ends_the_wait() {
    let bench = Bench::new();
    let started = Instant::now();
    let (answer, ()) = tokio::join!(bench.get(COLD[0]), async {
        sleep(Duration::from_millis(400)).await;
        publish_nothing(&bench.context.store, "cold", Refresh::Failing);
    });
    assert!(answer.contains("retry-after: 30\r\n"), "{answer}");
    assert_eq!(started.elapsed(), Duration::from_millis(400));
}

#[tokio::test(start_paused = true)]
async fn who_is_shut_out_while_waiting_gets_nothing() {
    let bench = Bench::new();
    let mut config = listener("t", any_port());
    config.allow = Some(only(&[]));
    let (answer, ()) = tokio::join!(bench.get(COLD[2]), async {
        sleep(Duration::from_millis(400)).await;
        bench
            .live
            .rules
            .store(Arc::new(Rules::new(&config, None, None)));
        bench.live.close_connections();
        bench.publish("cold", Duration::from_hours(1));
    });
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(!answer.contains(CANARY), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn who_is_shut_out_while_waiting_is_told_so_at_once_and_in_the_right_shape() {
    let bench = Bench::new();
    let mut config = listener("t", any_port());
    config.allow = Some(only(&[]));
    let started = Instant::now();
    let path = "/v1/roles/cold/credentials?wait=60s";
    let (answer, ()) = tokio::join!(bench.get(path), async {
        sleep(Duration::from_millis(400)).await;
        bench
            .live
            .rules
            .store(Arc::new(Rules::new(&config, None, None)));
        bench.live.close_connections();
    });
    assert_eq!(started.elapsed(), Duration::from_millis(400));
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("{\"error\":{"), "our own shape: {answer}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_listener_does_not_cut_off_who_waits_for_first_credentials() {
    let bench = Bench::new();
    let (answer, ()) = tokio::join!(bench.get(COLD[2]), async {
        sleep(Duration::from_millis(400)).await;
        bench.live.close_connections();
        sleep(Duration::from_millis(400)).await;
        bench.publish("cold", Duration::from_hours(1));
    });
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_request_on_its_way_when_the_listener_ends_is_answered_as_the_last() {
    let bench = Bench::new();
    let mut client = bench.connect();
    let request = b"GET /v1/roles/app/credentials HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut first = [0; 4096];
    let length = client.read(&mut first).await.unwrap();
    let first = String::from_utf8_lossy(&first[..length]).into_owned();
    assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
    assert!(!first.contains("connection: close"), "{first}");

    bench.live.drain_connections();
    sleep(Duration::from_millis(50)).await;
    client.write_all(request).await.unwrap();
    let mut last = String::new();
    client.read_to_string(&mut last).await.unwrap();
    assert!(last.starts_with("HTTP/1.1 200 "), "{last}");
    assert!(last.contains("connection: close\r\n"), "{last}");

    let started = Instant::now();
    let mut idle = bench.connect();
    sleep(Duration::from_millis(1)).await;
    bench.live.drain_connections();
    assert_eq!(idle.read_to_string(&mut String::new()).await.unwrap(), 0);
    assert_eq!(started.elapsed(), Duration::from_millis(101));
}

#[tokio::test(start_paused = true)]
async fn nothing_expired_is_served_after_a_suspend_either() {
    let bench = Bench::new();
    let paths = [
        "/latest/meta-data/cam/security-credentials/app",
        "/v1/roles/app/credentials",
    ];
    sleep(Duration::from_secs(3599)).await;
    for path in paths {
        assert!(bench.get(path).await.contains("AKID-app-1"), "{path}");
    }
    bench.clock.step_wall_back(Duration::from_hours(24));
    bench.clock.suspend(Duration::from_secs(1));
    for path in paths {
        let answer = bench.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(!answer.contains(CANARY), "{answer}");
    }
    let status = bench.get("/v1/roles/app/status").await;
    assert!(status.contains("\"held\":\"expired\""), "{status}");
    let list = bench.get("/accesskey").await;
    assert!(
        list.ends_with("\r\n\r\napp"),
        "the list does not depend on what is held: {list}"
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_for_news_ends_with_the_listener() {
    let bench = Bench::new();
    let mut client = bench.connect();
    let request = "GET /v1/roles/app/credentials?wait=60s HTTP/1.1\r\nHost: localhost\r\n\
                   If-None-Match: \"app-1\"\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    bench.live.close_connections();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 304 "), "{answer}");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

/// The expiry that an answer of the native protocol tells, in seconds from the test's start.
fn told(answer: &str) -> u64 {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let told: jiff::Timestamp = body["expires_at"].as_str().unwrap().parse().unwrap();
    u64::try_from(told.as_second()).unwrap() - crate::clock::testing::START.as_secs()
}

#[tokio::test(start_paused = true)]
async fn the_margin_is_dropped_in_one_step_under_the_same_etag() {
    const PATH: &str = "/v1/roles/app/credentials";
    let bench = Bench::new();
    let (life, margin) = (Duration::from_mins(12), Duration::from_mins(1));
    publish_with_margin(&bench.context.store, &*bench.clock, "app", 7, life, margin);
    let etag = "etag: \"app-7\"\r\n";
    let before = bench.get(PATH).await;
    assert_eq!(told(&before), 11 * 60);
    assert!(before.contains(etag), "{before}");
    sleep(Duration::from_secs(11 * 60 - 1)).await;
    assert_eq!(bench.get(PATH).await, before, "to the last second of it");

    // Nobody refreshed, and nobody had to publish anything for this.
    sleep(Duration::from_secs(1)).await;
    let after = bench.get(PATH).await;
    assert_eq!(told(&after), 12 * 60);
    assert!(after.contains(etag), "{after}");
    let known = bench.get_with(PATH, "If-None-Match: \"app-7\"\r\n").await;
    assert!(known.starts_with("HTTP/1.1 304 "), "{known}");
    for (path, end) in [
        ("/accesskey/app", "\"ExpiredTime\": 1800000720"),
        (
            "/openstack/latest/securitykey",
            "2027-01-15T08:12:00.000000Z",
        ),
    ] {
        let other = bench.get(path).await;
        assert!(other.contains(end), "{path}: {other}");
    }

    sleep(Duration::from_secs(59)).await;
    assert!(bench.get(PATH).await.starts_with("HTTP/1.1 200 "));
    sleep(Duration::from_secs(1)).await;
    let over = bench.get(PATH).await;
    assert!(over.starts_with("HTTP/1.1 503 "), "{over}");
}
