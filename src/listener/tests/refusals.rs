//! What is refused, and what a refused client sees.

use super::support::{CANARY, Plane, any_port, listener, tcp, unix};
use crate::config::model::Address;

/// Sends one request head (its lines after the first in `rest`) and reads the answer.
fn ask(plane: &Plane, first: &str, rest: &str) -> (super::support::Response, bool) {
    let mut client = tcp(plane.port("tcp"));
    client.send(&format!("{first}\r\n{rest}\r\n"));
    let answer = client.receive(!first.starts_with("HEAD"));
    let closes = answer.header("connection") == Some("close");
    if closes {
        assert!(client.is_closed(), "{first}");
    }
    (answer, closes)
}

/// A path of each protocol, and what may be done to it.
const PATHS: [(&str, &str, &str); 7] = [
    (
        "/latest/meta-data/iam/security-credentials/app",
        "GET",
        "GET, HEAD",
    ),
    (
        "/latest/meta-data/ram/security-credentials/app",
        "GET",
        "GET, HEAD",
    ),
    ("/openstack/latest/securitykey", "GET", "GET, HEAD"),
    (
        "/latest/meta-data/cam/security-credentials/app",
        "GET",
        "GET, HEAD",
    ),
    ("/aws/container/app", "GET", "GET, HEAD"),
    ("/huawei/container/app", "POST", "POST"),
    ("/v1/roles/app/credentials", "GET", "GET, HEAD"),
];

#[test]
fn strangers_requests_are_refused_in_every_protocols_shape() {
    let (plane, _) = Plane::on_tcp();
    for (path, its_method, allowed) in PATHS {
        for (method, more, status, closes) in [
            ("GET", "Host: evil.example", 403, false),
            ("GET", "X: no host", 403, false),
            ("GET", "Host: localhost\r\nHost: localhost", 403, false),
            ("GET", "Host: localhost\r\nOrigin: http://a", 403, false),
            ("GET", "Host: localhost\r\nReferer: http://a/", 403, false),
            (
                "GET",
                "Host: localhost\r\nX-Forwarded-For: 1.2.3.4",
                403,
                false,
            ),
            ("GET", "Host: localhost\r\nForwarded: for=a", 403, false),
            ("GET", "Host: localhost\r\nVia: 1.1 a", 403, false),
            (
                "GET",
                "Host: localhost\r\nSec-Fetch-Site: cross-site",
                403,
                false,
            ),
            ("GET http://evil.example", "Host: localhost", 403, false),
            ("OPTIONS", "Host: localhost", 405, false),
            ("DELETE", "Host: localhost", 405, false),
            ("PUT", "Host: localhost\r\nContent-Length: 0", 405, false),
            ("GET /%0a", "Host: localhost", 400, true),
            (
                "GET",
                "Host: localhost\r\nTransfer-Encoding: chunked",
                400,
                true,
            ),
            (
                "GET",
                "Host: localhost\r\nContent-Length: 0\r\nContent-Length: 0",
                400,
                true,
            ),
            ("GET", "Host: localhost\r\nContent-Length: 4097", 413, true),
        ] {
            let space = if method.contains(' ') { "" } else { " " };
            let method = method.replace("GET", its_method);
            let first = format!("{method}{space}{path} HTTP/1.1");
            let (answer, closed) = ask(&plane, &first, &format!("{more}\r\n"));
            let case = format!("{first}, {more}: {answer:?}");
            assert_eq!((answer.status, closed), (status, closes), "{case}");
            assert!(!answer.body.contains(CANARY), "{case}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{case}");
            // AWS has pages for this, all others an object.
            if answer.header("server") == Some("EC2ws") {
                assert!(answer.body.contains("<title>"), "{case}");
            } else {
                assert!(answer.json().is_object(), "{case}");
            }
            let allow = (status == 405).then_some(allowed);
            assert_eq!(answer.header("allow"), allow, "{case}");
        }
    }
}

#[test]
fn ninety_nine_headers_and_a_small_body_are_fine() {
    let (plane, address) = Plane::on_tcp();
    let many = format!("Host: localhost\r\n{}", "X: y\r\n".repeat(98));
    assert_eq!(ask(&plane, "GET /v1/roles HTTP/1.1", &many).0.status, 200);
    let mut client = tcp(address);
    for _ in 0..2 {
        client.send("GET /v1/roles HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4096\r\n\r\n");
        client.send(&"x".repeat(4096));
        assert_eq!(client.receive(true).status, 200);
    }
    client.send("GET /v1/roles HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(client.receive(false).status, 100);
    client.send("{}");
    assert_eq!(client.receive(true).status, 200);
}

#[test]
fn hosts_that_are_ours_and_absolute_targets_of_emulated_ones() {
    let (plane, address) = Plane::on_tcp();
    let port = address.port();
    for host in [
        format!("127.0.0.1:{port}"),
        "127.0.0.1".to_owned(),
        format!("LocalHost:{port}"),
        "metadata.tencentyun.com".to_owned(),
        "bm.metadata.tencentyun.com:80".to_owned(),
        "metaserver.tencentemr.com:9998".to_owned(),
        "169.254.0.23".to_owned(),
        "169.254.170.2".to_owned(),
        "[fd00:ec2::23]".to_owned(),
        "metadata.example".to_owned(),
    ] {
        let (answer, _) = ask(
            &plane,
            "GET /accesskey HTTP/1.1",
            &format!("Host: {host}\r\n"),
        );
        assert_eq!(answer.status, 200, "{host}");
    }
    for target in [
        "http://metadata.tencentyun.com/accesskey",
        "http://169.254.0.23:80//accesskey",
    ] {
        let (answer, _) = ask(
            &plane,
            &format!("GET {target} HTTP/1.1"),
            "Host: metadata.tencentyun.com\r\nProxy-Connection: keep-alive\r\n",
        );
        assert_eq!(answer.body, "app", "{target}");
        let (answer, _) = ask(
            &plane,
            &format!("GET {target} HTTP/1.1"),
            "Host: evil.example\r\n",
        );
        assert_eq!(answer.status, 403, "the header counts as well");
    }
}

#[test]
fn a_unix_socket_takes_any_host_but_no_browser() {
    let plane = Plane::start();
    let path = plane.path("s");
    plane.apply(vec![listener("s", Address::Unix(path.clone()))]);
    let mut client = unix(&path);
    client.send("GET /v1/roles HTTP/1.1\r\nHost: whatever.example\r\n\r\n");
    assert_eq!(client.receive(true).status, 200);
    client.send("GET /v1/roles HTTP/1.1\r\n\r\n");
    assert_eq!(client.receive(true).status, 200);
    assert_eq!(client.get("/v1/roles", "Origin: http://a\r\n").status, 403);
    assert_eq!(client.get("http://evil.example/v1/roles", "").status, 403);
}

#[test]
fn garbage_is_answered_with_no_credentials() {
    let (plane, address) = Plane::on_tcp();
    for garbage in [
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{0}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = tcp(address);
        client.send(garbage);
        client.0.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = client.receive(true);
        assert_eq!(answer.status, 400, "{garbage:?}: {answer:?}");
        assert!(!answer.body.contains(CANARY), "{garbage:?}: {answer:?}");
        assert!(client.is_closed(), "{garbage:?}: nothing else came");
    }
    assert_eq!(
        tcp(address).get("/v1/roles", "").status,
        200,
        "and nobody else minds"
    );
    drop(plane);
}

#[test]
fn refusals_are_counted() {
    let plane = Plane::start();
    plane.apply(vec![listener("tcp", any_port())]);
    ask(&plane, "GET /v1/roles HTTP/1.1", "Host: evil.example\r\n");
    ask(
        &plane,
        "GET /v1/roles HTTP/1.1",
        "Host: localhost\r\nVia: a\r\n",
    );
    ask(&plane, "GET /v1/roles HTTP/1.1", "Host: localhost\r\n");
    let text = plane.context.metrics.encode().unwrap();
    for line in [
        "credvend_denied_total{listener=\"tcp\",reason=\"host\"} 1",
        "credvend_denied_total{listener=\"tcp\",reason=\"header\"} 1",
        "credvend_requests_total{listener=\"tcp\",protocol=\"native\",code=\"403\"} 2",
        "credvend_requests_total{listener=\"tcp\",protocol=\"native\",code=\"200\"} 1",
        "credvend_listener_up{listener=\"tcp\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
