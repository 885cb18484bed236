//! What each protocol answers.

use std::time::Duration;

use super::support::{Plane, any_port, listener, tcp, unix};
use crate::config::model::Address;

#[test]
fn tencents_tree_in_every_spelling() {
    let (_plane, address) = Plane::on_tcp();
    let mut client = tcp(address);
    for list in [
        "/latest/meta-data/cam/security-credentials/",
        "/latest/meta-data/cam/security-credentials",
        "/meta-data/cam/security-credentials/",
        "/1.0/meta-data/cam/service-role-security-credentials",
        "/2017-09-19//meta-data//cam/security-credentials/",
        "//latest/meta-data/cam/security-credentials/?",
        "/accesskey",
        "/accesskey/",
    ] {
        let answer = client.get(list, "");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "app"),
            "{list}"
        );
    }
    for role in [
        "/latest/meta-data/cam/security-credentials/app",
        "/accesskey/app",
    ] {
        let answer = client.get(role, "");
        let body = answer.json();
        assert_eq!(body["TmpSecretId"], "AKID-app-1", "{role}");
        assert_eq!(body["Code"], "Success");
        assert!(body["ExpiredTime"].is_u64());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(answer.header("transfer-encoding"), None);
    }
    for missing in [
        "/latest/meta-data/cam/security-credentials/other",
        "/latest/meta-data/",
        "/",
        "/latest/meta-data/cam/security-credentials/app/",
    ] {
        assert_eq!(client.get(missing, "").status, 404, "{missing}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let (_plane, address) = Plane::on_tcp();
    let mut client = tcp(address);
    let path = "/latest/meta-data/cam/security-credentials/app";
    let got = client.get(path, "");
    client.send(&format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let headed = client.receive(false);
    assert_eq!(headed.status, 200);
    assert_eq!(
        headed.header("content-length"),
        got.header("content-length")
    );
    assert_eq!(
        client.get(path, "").body,
        got.body,
        "nothing of a body came before"
    );
}

#[test]
fn connections_are_kept_until_the_client_says_otherwise() {
    let (_plane, address) = Plane::on_tcp();
    let mut client = tcp(address);
    for _ in 0..100 {
        assert_eq!(client.get("/v1/roles", "").status, 200);
    }
    let last = client.get("/v1/roles", "Connection: close\r\n");
    assert_eq!(last.header("connection"), Some("close"));
    assert!(client.is_closed());
    let mut old = tcp(address);
    old.send("GET /v1/roles HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert_eq!(old.receive(true).status, 200);
    assert!(old.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_turn() {
    let (_plane, address) = Plane::on_tcp();
    let mut client = tcp(address);
    client.send(&"GET /accesskey HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20));
    for _ in 0..20 {
        assert_eq!(client.receive(true).body, "app");
    }
}

#[test]
fn the_container_path_wants_the_token_on_tcp() {
    let plane = Plane::start();
    let mut config = listener("tasks", any_port());
    let path = plane.path("token");
    config.token = Some(path.clone());
    plane.apply(vec![config.clone()]);
    let token = std::fs::read_to_string(&path).unwrap();
    let mut client = tcp(plane.port("tasks"));
    for (case, header, status) in [
        ("none", String::new(), 401),
        ("wrong", "Authorization: nope\r\n".to_owned(), 401),
        (
            "a scheme",
            format!("Authorization: Bearer {token}\r\n"),
            401,
        ),
        ("right", format!("Authorization: {token}\r\n"), 200),
    ] {
        let answer = client.get("/aws/container/app", &header);
        assert_eq!(answer.status, status, "{case}");
        match status {
            200 => assert_eq!(answer.json()["AccessKeyId"], "AKID-app-1"),
            _ => assert_eq!(answer.json()["code"], "Unauthorized", "{case}"),
        }
    }
    let double = client.get(
        "//aws/container/app",
        &format!("Authorization: {token}\r\n"),
    );
    assert_eq!(double.status, 200);
    let unknown = client.get("/aws/container/nobody", "");
    assert_eq!(
        unknown.status, 401,
        "strangers cannot find out which roles there are"
    );

    // A new token in the file counts soon, the old one stays good.
    let renewed = path.with_extension("new");
    std::fs::write(&renewed, "renewed-0123456789").unwrap();
    std::fs::rename(&renewed, &path).unwrap();
    std::thread::park_timeout(Duration::from_millis(60));
    let with = |client: &mut super::support::Client<_>, token: &str| {
        client
            .get("/aws/container/app", &format!("Authorization: {token}\r\n"))
            .status
    };
    assert_eq!(with(&mut client, "renewed-0123456789"), 200);
    assert_eq!(with(&mut client, &token), 200);
    // A reload in between forgets neither.
    config.hosts.clear();
    plane.apply(vec![config]);
    assert_eq!(with(&mut client, &token), 200);
    assert_eq!(with(&mut client, "renewed-01234567890"), 401);
}

#[test]
fn on_a_unix_socket_the_container_path_wants_a_token_only_if_there_is_one() {
    let plane = Plane::start();
    let without = plane.path("without");
    let with = plane.path("with");
    let mut guarded = listener("with", Address::Unix(with.clone()));
    guarded.token = Some(plane.path("token"));
    plane.apply(vec![
        listener("without", Address::Unix(without.clone())),
        guarded,
    ]);
    assert_eq!(unix(&without).get("/aws/container/app", "").status, 200);
    assert_eq!(unix(&with).get("/aws/container/app", "").status, 401);
}

#[test]
fn without_a_token_on_tcp_the_container_path_lets_nobody_in() {
    let (_plane, address) = Plane::on_tcp();
    let answer = tcp(address).get("/aws/container/app", "Authorization: \r\n");
    assert_eq!(answer.status, 401);
}

#[test]
fn the_native_protocol() {
    let (plane, address) = Plane::on_tcp();
    let mut client = tcp(address);
    let list = client.get("/v1/roles/", "").json();
    assert_eq!(list["roles"][0]["role"], "app");
    assert_eq!(list["roles"][1]["role"], "cold");
    assert_eq!(
        list["roles"][2],
        serde_json::Value::Null,
        "`other` is not served here"
    );

    let answer = client.get("/v1/roles/app/credentials", "");
    assert_eq!(answer.header("etag"), Some("\"app-1\""));
    assert_eq!(answer.json()["access_key_id"], "AKID-app-1");
    let same = client.get("/v1/roles/app/credentials", "If-None-Match: \"app-1\"\r\n");
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    assert_eq!(same.header("etag"), Some("\"app-1\""));
    plane.publish("app", 2, Duration::from_hours(1));
    let newer = client.get("/v1/roles/app/credentials", "If-None-Match: \"app-1\"\r\n");
    assert_eq!(
        (newer.status, newer.header("etag")),
        (200, Some("\"app-2\""))
    );

    let status = client.get("/v1/roles/app/status", "");
    assert_eq!(status.json()["held"], "fresh");
    assert_eq!(status.json()["refresh"], "idle");
    assert!(status.json()["expires_at"].is_string());
    assert!(!status.body.contains("AKID"), "no keys");
    let nobody = client.get("/v1/roles/other/credentials", "");
    assert_eq!(nobody.status, 404);
    assert_eq!(nobody.json()["error"]["code"], "not-found");
    assert_eq!(
        client.get("/v1/roles/app/credentials?wait=30", "").status,
        400
    );
    assert_eq!(client.get("/v1/roles/app", "").status, 404);
}

#[test]
fn a_client_that_waits_for_news_gets_them_at_once() {
    let (plane, address) = Plane::on_tcp();
    let mut client = tcp(address);
    let started = tokio::time::Instant::now();
    let same = client.get(
        "/v1/roles/app/credentials?wait=200ms",
        "If-None-Match: \"app-1\"\r\n",
    );
    assert_eq!(same.status, 304);
    assert!(started.elapsed() >= Duration::from_millis(200));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            client.get(
                "/v1/roles/app/credentials?wait=30s",
                "If-None-Match: \"app-1\"\r\n",
            )
        });
        std::thread::park_timeout(Duration::from_millis(100));
        plane.publish("app", 2, Duration::from_hours(1));
        assert_eq!(waiting.join().unwrap().json()["generation"], 2);
    });
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn only_the_protocols_of_a_listener_are_spoken() {
    let plane = Plane::start();
    let mut config = listener("native", any_port());
    config.protocols = [crate::config::model::Protocol::Native].into();
    plane.apply(vec![config]);
    let mut client = tcp(plane.port("native"));
    assert_eq!(client.get("/v1/roles", "").status, 200);
    let answer = client.get("/accesskey", "");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["error"]["code"], "not-found");
}

#[test]
fn an_address_that_others_reach_serves_only_behind_the_token() {
    let plane = Plane::start();
    let mut config = listener("remote", any_port());
    config.allow_remote = true;
    config.token = Some(plane.path("token"));
    plane.apply(vec![config]);
    let token = std::fs::read_to_string(plane.path("token")).unwrap();
    let mut client = tcp(plane.port("remote"));
    assert_eq!(
        client
            .get("/latest/meta-data/cam/security-credentials/app", "")
            .status,
        404
    );
    for path in [
        "/v1/roles",
        "/v1/roles/app/credentials",
        "/v1/roles/app/status",
    ] {
        assert_eq!(client.get(path, "").status, 401, "{path}");
        let bearer = format!("Authorization: Bearer {token}\r\n");
        assert_eq!(client.get(path, &bearer).status, 200, "{path}");
        let bare = format!("Authorization: {token}\r\n");
        assert_eq!(client.get(path, &bare).status, 200, "{path}");
    }
}
