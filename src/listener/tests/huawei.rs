//! Huawei's metadata service and its container credentials, as their clients ask for them.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use super::support::{Client, Plane, Response, any_port, listener, tcp};

const CREDENTIALS: &str = "/openstack/latest/securitykey";
const TOKEN: &str = "/meta-data/latest/api/token";

fn ask(address: SocketAddr, request_line: &str, headers: &str, body: &str) -> Response {
    let mut client = tcp(address);
    client.send(&format!(
        "{request_line} HTTP/1.1\r\nHost: 169.254.169.254\r\n{headers}\r\n{body}"
    ));
    client.receive(true)
}

fn token(address: SocketAddr, headers: &str) -> Response {
    ask(address, &format!("PUT {TOKEN}"), headers, "")
}

fn with_token(address: SocketAddr, name: &str, token: &str) -> u16 {
    let header = format!("{name}: {token}\r\n");
    ask(address, &format!("GET {CREDENTIALS}"), &header, "").status
}

#[test]
fn credentials_are_answered_without_a_token() {
    let (_plane, address) = Plane::on_tcp();
    for target in [
        CREDENTIALS.to_owned(),
        format!("{CREDENTIALS}/"),
        format!("/{CREDENTIALS}"),
        format!("{CREDENTIALS}?"),
        format!("http://169.254.169.254{CREDENTIALS}"),
    ] {
        let answer = ask(address, &format!("GET {target}"), "", "");
        assert_eq!(answer.status, 200, "{target}");
        let credential = &answer.json()["credential"];
        assert_eq!(credential["access"], "AKID-app-1");
        let expiry = credential["expires_at"].as_str().unwrap();
        assert!(expiry.ends_with(".000000Z"), "{expiry}");
    }
}

#[test]
fn both_spellings_of_a_token_are_known() {
    let (_plane, address) = Plane::on_tcp();
    for (asked_with, shown_with) in [
        ("X-Metadata-Token-Ttl-Seconds", "X-Metadata-Token"),
        ("X-securitykey-Token-Ttl-Seconds", "X-securitykey-Token"),
    ] {
        let got = token(address, &format!("{asked_with}: 21600\r\n"));
        assert_eq!(got.status, 200);
        assert_eq!(got.header(asked_with), Some("21600"), "echoed");
        assert_eq!(got.header("content-type"), Some("text/plain"));
        assert!(!got.body.contains('\n'));
        for name in ["X-Metadata-Token", "x-securitykey-token", shown_with] {
            assert_eq!(with_token(address, name, &got.body), 200, "{name}");
        }
    }
}

/// A PUT has no length in some clients, and one in others.
#[test]
fn a_put_needs_no_length() {
    let (_plane, address) = Plane::on_tcp();
    let ttl = "X-Metadata-Token-Ttl-Seconds: 60\r\n";
    for length in ["", "Content-Length: 0\r\n"] {
        assert_eq!(token(address, &format!("{ttl}{length}")).status, 200);
    }
    let proxied = ask(
        address,
        &format!("PUT http://169.254.169.254{TOKEN}"),
        ttl,
        "",
    );
    assert_eq!(proxied.status, 200);
}

#[test]
fn a_token_that_is_not_good_is_refused_in_words_the_sdks_ask_again_on() {
    let plane = Plane::start();
    plane.apply(vec![
        listener("one", any_port()),
        listener("other", any_port()),
    ]);
    let (one, other) = (plane.port("one"), plane.port("other"));
    let foreign = token(other, "X-Metadata-Token-Ttl-Seconds: 60\r\n").body;
    let brief = token(one, "X-Metadata-Token-Ttl-Seconds: 1\r\n").body;
    assert_eq!(with_token(one, "X-Metadata-Token", &brief), 200);
    // The end is counted in whole seconds of the boot clock.
    let (_sender, never) = mpsc::channel::<()>();
    let is_over = (0..50).any(|_| {
        let _nothing = never.recv_timeout(Duration::from_millis(100));
        with_token(one, "X-Metadata-Token", &brief) == 401
    });
    assert!(is_over, "it never ends");
    for token in [
        foreign.as_str(),
        brief.as_str(),
        "",
        "guess",
        &"x".repeat(54),
    ] {
        let header = format!("X-Metadata-Token: {token}\r\n");
        let refused = ask(one, &format!("GET {CREDENTIALS}"), &header, "");
        assert_eq!(refused.status, 401, "{token}");
        let body = refused.json();
        assert_eq!(body["error_code"], "Unauthorized");
        let message = body["error_msg"].as_str().unwrap();
        assert!(!message.contains("Cloud Service Agency"), "{message}");
        assert!(body.get("credential").is_none());
    }
}

#[test]
fn a_lifetime_that_no_token_has_is_refused() {
    let (_plane, address) = Plane::on_tcp();
    for headers in [
        "",
        "X-Metadata-Token-Ttl-Seconds: 0\r\n",
        "X-Metadata-Token-Ttl-Seconds: 21601\r\n",
        "X-Metadata-Token-Ttl-Seconds: soon\r\n",
    ] {
        let refused = token(address, headers);
        assert_eq!(refused.status, 400, "{headers}");
        assert!(refused.body.contains("1 to 21600"), "{}", refused.body);
    }
}

#[test]
fn each_path_says_which_methods_it_takes() {
    let (_plane, address) = Plane::on_tcp();
    for (line, allowed) in [
        (format!("GET {TOKEN}"), "PUT"),
        (format!("POST {TOKEN}"), "PUT"),
        (format!("PUT {CREDENTIALS}"), "GET, HEAD"),
        (format!("POST {CREDENTIALS}"), "GET, HEAD"),
        ("GET /huawei/container/app".to_owned(), "POST"),
        ("PUT /nowhere".to_owned(), "GET, HEAD"),
    ] {
        let refused = ask(address, &line, "Content-Length: 0\r\n", "");
        assert_eq!(refused.status, 405, "{line}");
        assert_eq!(refused.header("allow"), Some(allowed), "{line}");
    }
}

#[test]
fn a_role_that_holds_nothing_is_answered_with_an_error_of_the_cloud() {
    let plane = Plane::start();
    let mut cold = listener("tcp", any_port());
    cold.roles = vec!["cold".parse().unwrap()];
    plane.apply(vec![cold]);
    let refused = ask(plane.port("tcp"), &format!("GET {CREDENTIALS}"), "", "");
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.json()["error_code"], "Unavailable");
    assert!(refused.json().get("credential").is_none());
}

#[test]
fn a_container_posts_and_shows_its_token() {
    let plane = Plane::start();
    let mut tasks = listener("tasks", any_port());
    tasks.token = Some(plane.path("token"));
    plane.apply(vec![tasks]);
    let address = plane.port("tasks");
    let token = std::fs::read_to_string(plane.path("token")).unwrap();
    let post = |path: &str, authorization: &str| {
        let headers = format!(
            "Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n{authorization}"
        );
        ask(address, &format!("POST {path}"), &headers, "{}").keep()
    };
    let shown = format!("Authorization: {token}\r\n");
    let (status, body) = post("/huawei/container/app", &shown);
    assert_eq!(status, 200);
    let credentials = &body["credentials"];
    assert_eq!(credentials["accessKeyId"], "AKID-app-1");
    let expiry = credentials["expiration"].as_str().unwrap();
    assert!(expiry.ends_with(".000000Z"), "{expiry}");

    for wrong in ["", "Authorization: guess\r\n"] {
        let (status, body) = post("/huawei/container/app", wrong);
        assert_eq!(status, 401);
        assert_eq!(body["error_code"], "Unauthorized");
    }
    assert_eq!(post("/huawei/container/other", &shown).0, 404);
    assert_eq!(
        post("/huawei/container/", &shown).0,
        405,
        "no such path, and a POST"
    );
}

impl Response {
    fn keep(self) -> (u16, serde_json::Value) {
        (self.status, self.json())
    }
}

/// Keep-alive goes on over all of it.
#[test]
fn one_connection_serves_a_whole_client() {
    let (_plane, address) = Plane::on_tcp();
    let Client(stream) = tcp(address);
    let mut client = Client(stream);
    for _ in 0..3 {
        client.send(&format!(
            "PUT {TOKEN} HTTP/1.1\r\nHost: 169.254.169.254\r\n\
             X-Metadata-Token-Ttl-Seconds: 21600\r\nContent-Length: 0\r\n\r\n"
        ));
        let token = client.receive(true).body;
        let header = format!("X-Metadata-Token: {token}\r\n");
        assert_eq!(client.get(CREDENTIALS, &header).status, 200);
    }
}
