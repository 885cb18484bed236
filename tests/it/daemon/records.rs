//! What is kept for those who ask later: audit events, metrics, health.

use rustix::process::{Signal, geteuid};
use serde_json::Value;
use tokio::net::UnixStream;

use super::site::{Daemon, Reply, SOON, Site, assumed, base, eventually, exchange, socket};

fn configured(site: &Site) {
    let json = "[daemon]\nlog-format = \"json\"\n";
    site.configure(
        &[
            base().replace("[daemon]\n", json),
            assumed("app", "ops", "app", ""),
            assumed("bad", "ops", "nowhere", ""),
            socket("app", &["app", "bad"]),
            "[listener.tcp]\naddress = \"{ip}:9470\"\nroles = [\"app\"]\n\
             allow = \"any-local\"\n[listener.nobody]\naddress = \"{ip}:9473\"\n\
             roles = [\"app\"]\nallow = {}\n"
                .into(),
        ]
        .concat(),
    );
}

/// Audit events of one action.
fn events(daemon: &Daemon, action: &str) -> Vec<Value> {
    let lines = daemon.lines("credvend::audit");
    let events = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["action"] == action).collect()
}

#[tokio::test]
async fn every_hand_out_denial_and_operation_is_an_event_with_its_user() {
    let site = Site::new();
    configured(&site);
    let mut daemon = site.start().await;
    let own = geteuid().as_raw();
    let set = site.set("app", "app").await;
    for _ in 0..9 {
        site.set("app", "app").await;
    }
    site.tcp(9470, "/latest/meta-data/cam/security-credentials/app", "")
        .await;
    assert_eq!(
        site.tcp(9473, "/v1/roles/app/credentials", "").await.status,
        403
    );
    let origin = "Origin: http://evil.example\r\n";
    assert_eq!(
        site.tcp(9470, "/v1/roles/app/credentials", origin)
            .await
            .status,
        403
    );
    assert_eq!(
        site.tcp(9471, "/metrics", "Via: 1.1 x\r\n").await.status,
        403
    );
    site.says(&["refresh", "app"], 0).await;
    site.says(&["forget", "bad"], 0).await;
    site.says(&["reload"], 0).await;
    daemon.signal(Signal::HUP);
    daemon.logs("\"applied\"").await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().await, 0);

    let refreshed = daemon.lines("\"credentials refreshed\"");
    let refreshed: Value = serde_json::from_str(&refreshed[0]).unwrap();
    let life = refreshed["expires_in_secs"].as_u64().unwrap();
    assert!((6_800..=6_900).contains(&life), "as shown: {refreshed}");

    let handed = events(&daemon, "hand-out");
    let first = &handed[0];
    assert_eq!(first["listener"], "app", "{first}");
    assert_eq!(first["protocol"], "native");
    assert_eq!(first["role"], "app");
    assert_eq!(first["uid"], own);
    assert_eq!(first["pid"], std::process::id());
    assert_eq!(first["access_key_id"], set["access_key_id"], "the whole id");
    assert!(first["remaining_secs"].as_u64() > Some(6_000), "{first}");
    let on_socket = |event: &&Value| event["listener"] == "app";
    let counts: Vec<u64> = handed
        .iter()
        .filter(on_socket)
        .map(|event| event["count"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [1, 9], "the first at once, the others in one");
    let over_tcp = handed
        .iter()
        .find(|event| event["listener"] == "tcp")
        .unwrap();
    assert_eq!(
        (&over_tcp["protocol"], &over_tcp["uid"]),
        (&"tencent".into(), &Value::from(own))
    );

    let denied = events(&daemon, "denied");
    let of = |listener: &str| {
        let event = denied.iter().find(|event| event["listener"] == listener);
        event
            .unwrap_or_else(|| panic!("no denial of {listener} in {denied:#?}"))
            .clone()
    };
    assert_eq!(
        (&of("nobody")["reason"], &of("nobody")["uid"]),
        (&"peer".into(), &own.into())
    );
    assert_eq!(of("tcp")["reason"], "header");
    assert_eq!(of("metrics")["reason"], "header");
    for (action, subject) in [("refresh", "app"), ("forget", "bad"), ("reload", "")] {
        let event = events(&daemon, action).into_iter().next().unwrap();
        assert_eq!(
            (&event["uid"], &event["subject"]),
            (&own.into(), &subject.into()),
            "{event}"
        );
        assert_eq!(event["result"], "done", "{event}");
    }
    assert_eq!(events(&daemon, "reload").len(), 2, "the signal's, too");
}

#[tokio::test]
async fn a_connection_too_many_is_an_event_with_its_user() {
    let site = Site::new();
    configured(&site);
    let daemon = site.start().await;
    let mut held = Vec::new();
    for _ in 0..256 {
        held.push(UnixStream::connect(site.path("app.sock")).await.unwrap());
    }
    let closed = site.try_get("app", "/v1/roles").await;
    assert!(closed.is_none(), "{closed:?}");
    let event = eventually("the denial is an event", SOON, async || {
        let denied = events(&daemon, "denied").into_iter();
        denied.into_iter().find(|event| event["reason"] == "limit")
    })
    .await;
    assert_eq!(event["listener"], "app");
    assert_eq!(event["uid"], geteuid().as_raw());
    assert_eq!(event["pid"], std::process::id());
    let sample = "credvend_denied_total{listener=\"app\",reason=\"limit\"}";
    assert_eq!(site.metric(sample).await, Some(1.0));
}

#[tokio::test]
async fn every_documented_metric_is_there_after_some_traffic() {
    let site = Site::new();
    configured(&site);
    let daemon = site.start().await;
    site.set("app", "app").await;
    site.tcp(9473, "/v1/roles", "").await;
    assert_eq!(site.ask("app", "bad").await.status, 503);
    let text = site.tcp(9471, "/metrics", "").await.body;
    let endpoint = format!("endpoint=\"{}:9480\"", site.ip);
    for sample in [
        "credvend_role_expiry_timestamp_seconds{role=\"app\"} 1",
        "credvend_role_refresh_timestamp_seconds{role=\"app\"} 1",
        "credvend_role_last_success_timestamp_seconds{role=\"app\"} 1",
        "credvend_role_up{role=\"app\"} 1",
        "credvend_role_up{role=\"bad\"} 0",
        "credvend_role_degraded{role=\"app\"} 0",
        "credvend_role_consecutive_failures{role=\"app\"} 0",
        "credvend_role_consecutive_failures{role=\"bad\"} 1",
        "credvend_refresh_total{role=\"app\",result=\"success\"} 1",
        "credvend_refresh_total{role=\"bad\",result=\"refused\"} 1",
        "credvend_refresh_duration_seconds_count{role=\"app\"} 1",
        "credvend_requests_total{listener=\"app\",protocol=\"native\",code=\"200\"} 1",
        "credvend_requests_total{listener=\"app\",protocol=\"native\",code=\"503\"} 1",
        "credvend_served_remaining_seconds_count{listener=\"app\"} 1",
        "credvend_denied_total{listener=\"nobody\",reason=\"peer\"} 1",
        "credvend_listener_up{listener=\"app\"} 1",
        "credvend_upstream_calls_total{ENDPOINT,action=\"AssumeRole\",result=\"success\"} 1",
        "credvend_upstream_calls_total{ENDPOINT,action=\"AssumeRole\",result=\"refused\"} 1",
        "credvend_config_last_reload_successful 1",
        "credvend_build_info{version=",
        "process_resident_memory_bytes ",
        "process_open_fds ",
    ] {
        let sample = sample.replace("ENDPOINT", &endpoint);
        assert!(
            text.lines().any(|line| line.starts_with(&sample)),
            "{sample} in\n{text}"
        );
    }

    // A clock that differs is corrected at once, and shown.
    site.cloud.state.set_clock_offset(3_600);
    site.says(&["refresh", "app"], 0).await;
    let skew = format!("credvend_upstream_clock_skew_seconds{{{endpoint}}}");
    eventually("the gauge shows it", SOON, async || {
        let shown = site.metric(&skew).await?;
        ((shown - 3_600.0).abs() < 5.0).then_some(())
    })
    .await;
    let set = site.set("app", "app").await;
    let end: jiff::Timestamp = set["expires_at"].as_str().unwrap().parse().unwrap();
    let now: jiff::Timestamp = credvend::clock::Clock::wall(&credvend::clock::SystemClock)
        .try_into()
        .unwrap();
    let life = end.as_second() - now.as_second();
    assert!(
        (6_800..=6_900).contains(&life),
        "in this host's clock: {life}"
    );
    daemon
        .logs("this host's clock differs from the cloud's")
        .await;

    // What is forgotten has no expiry that a dashboard could show.
    site.cloud.pause().await;
    site.says(&["forget", "app"], 0).await;
    let expiry = "credvend_role_expiry_timestamp_seconds{role=\"app\"}";
    assert_eq!(site.metric(expiry).await, None);
    assert_eq!(
        site.metric("credvend_role_up{role=\"app\"}").await,
        Some(0.0)
    );
}

#[tokio::test]
async fn ready_is_when_every_role_has_a_set_or_a_first_error() {
    let site = Site::new();
    site.cloud
        .state
        .push_fault(credvend::emulator::Fault {
            role: Some("app".into()),
            delay_ms: Some(1_500),
            ..credvend::emulator::Fault::new(credvend::emulator::FaultKind::Delay)
        })
        .unwrap();
    configured(&site);
    let daemon = site.launch();
    let reply = eventually("the metrics address answers", SOON, async || {
        let stream = tokio::net::TcpStream::connect((site.ip, 9471)).await.ok()?;
        drop(stream);
        Some(site.tcp(9471, "/readyz", "").await)
    })
    .await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.body.contains("role app"), "{reply:?}");
    assert_eq!(site.tcp(9471, "/livez", "").await.status, 200);
    eventually("it is ready", SOON, async || {
        (site.tcp(9471, "/readyz", "").await.status == 200).then_some(())
    })
    .await;
    site.set("app", "app").await;
    drop(daemon);
}

#[tokio::test]
async fn a_refresh_is_told_as_it_went_with_each_role() {
    let site = Site::new();
    configured(&site);
    let mut daemon = site.start().await;
    site.says(&["refresh"], 69).await;
    site.says(&["refresh", "app"], 0).await; // too soon is no failure
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().await, 0);
    let told: Vec<(Value, Value)> = events(&daemon, "refresh")
        .into_iter()
        .map(|event| (event["result"].clone(), event["subject"].clone()))
        .collect();
    let expected = [("done", "app"), ("failed", "bad"), ("too-soon", "app")];
    assert_eq!(
        told,
        expected.map(|(result, subject)| (result.into(), subject.into()))
    );
}

/// A request that is whole, and one that is none.
const REFUSED: [(&str, u16, &str); 2] = [
    (
        "DELETE {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        405,
        "method",
    ),
    ("GET {path} HTTP/1.1\r\nno header\r\n\r\n", 400, "request"),
];

#[tokio::test]
async fn what_is_refused_is_counted_and_told_alike_at_every_way_in() {
    let site = Site::new();
    configured(&site);
    let mut daemon = site.start().await;
    let ways_in = [
        ("tcp", "/v1/roles"),
        ("metrics", "/metrics"),
        ("admin", "/admin/v1/status"),
    ];
    for (name, path) in ways_in {
        for (request, status, _) in REFUSED {
            let request = request.replace("{path}", path);
            let reply: Option<Reply> = if name == "admin" {
                let stream = UnixStream::connect(site.path("admin.sock"));
                exchange(stream.await.unwrap(), &request).await
            } else {
                let port = if name == "tcp" { 9470 } else { 9471 };
                let stream = tokio::net::TcpStream::connect((site.ip, port));
                exchange(stream.await.unwrap(), &request).await
            };
            let reply = reply.unwrap_or_else(|| panic!("{name}: {request}"));
            assert_eq!(reply.status, status, "{name}: {request}");
        }
    }
    let expected = ways_in.map(|(name, _)| REFUSED.map(|(_, _, reason)| (name, reason)));
    for (name, reason) in expected.into_iter().flatten() {
        let counted = format!("credvend_denied_total{{listener=\"{name}\",reason=\"{reason}\"}}");
        eventually(&counted, SOON, async || {
            (site.metric(&counted).await == Some(1.0)).then_some(())
        })
        .await;
    }
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().await, 0);
    let denied = events(&daemon, "denied");
    for (name, reason) in expected.into_iter().flatten() {
        let told = denied
            .iter()
            .filter(|event| event["listener"] == name && event["reason"] == reason);
        assert_eq!(told.count(), 1, "{name}, {reason} in {denied:#?}");
    }
}

#[tokio::test]
async fn the_role_is_in_every_line_whatever_the_filter_is_and_was() {
    for (format, bad, app) in [
        ("text", "role=bad", "role=app"),
        ("json", "\"role\":\"bad\"", "\"role\":\"app\""),
    ] {
        let site = Site::new();
        let log = |filter: &str| {
            let daemon = format!("[daemon]\nlog-format = \"{format}\"\nlog = \"{filter}\"\n");
            site.configure(
                &[
                    base().replace("[daemon]\n", &daemon),
                    assumed("app", "ops", "app", ""),
                    assumed("bad", "ops", "nowhere", ""),
                    socket("app", &["app", "bad"]),
                ]
                .concat(),
            );
        };
        log("warn,credvend::audit=info");
        let daemon = site.start().await;
        let line = daemon.logs("refresh failed").await;
        assert!(line.contains(bad), "{line}");
        assert!(daemon.lines("credentials refreshed").is_empty());
        log("info");
        site.says(&["reload"], 0).await;
        site.says(&["refresh", "app"], 0).await;
        let line = daemon.logs("credentials refreshed").await;
        assert!(line.contains(app), "{line}");
    }
}
