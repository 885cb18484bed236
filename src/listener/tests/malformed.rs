//! What the HTTP library cannot read: refused in the shape of the listener's clients all the same.

use std::net::SocketAddr;

use super::support::{CANARY, Plane, Response, any_port, listener, only, tcp, unix};
use crate::config::model::{Address, Protocol};

/// Requests that are none, each with its name and the status of the refusal.
fn malformed() -> Vec<(&'static str, String, u16)> {
    let head = |lines: &str| format!("GET / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    vec![
        ("no target", "GET\r\n\r\n".to_owned(), 400),
        ("three words", "GET /a b HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("another version", "GET / HTTP/3.0\r\n\r\n".to_owned(), 400),
        (
            "a control character",
            "GET /\u{1} HTTP/1.1\r\n\r\n".to_owned(),
            400,
        ),
        ("no text", "\u{16}\u{3}\u{1}\u{2}\r\n\r\n".to_owned(), 400),
        ("no colon", head("Accept\r\n"), 400),
        (
            "a control character in a value",
            head("X: a\u{1}b\r\n"),
            400,
        ),
        (
            "two lengths",
            head("Content-Length: 0\r\nContent-Length: 1\r\n"),
            400,
        ),
        ("101 headers", head(&"X: y\r\n".repeat(100)), 431),
        (
            "a head of 17 KB",
            head(&format!("X: {}\r\n", "y".repeat(17 << 10))),
            431,
        ),
        (
            "a URI of 70 KB",
            format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(70 << 10)),
            431,
        ),
        (
            "a URI of 700 KB",
            format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(700 << 10)),
            431,
        ),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
    ]
}

/// Sends `request` and reads an answer that has to be the last.
fn ask(address: SocketAddr, request: &str) -> Response {
    let mut client = tcp(address);
    client.send(request);
    let answer = client.receive(true);
    assert!(client.is_closed(), "{answer:?}");
    answer
}

/// The code in an error of this protocol's shape.
fn code(protocol: Protocol, answer: &Response) -> String {
    let page = protocol == Protocol::AwsImds;
    assert_eq!(answer.header("server").is_some(), page, "{answer:?}");
    if page {
        assert_eq!(answer.header("content-type"), Some("text/html"));
        let (_, rest) = answer.body.split_once("<title>").unwrap();
        return rest.split_once("</title>").unwrap().0.to_owned();
    }
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    let code = match protocol {
        Protocol::Alibaba | Protocol::Tencent => &json["Code"],
        Protocol::AwsContainer => &json["code"],
        Protocol::Huawei | Protocol::HuaweiContainer => &json["error_code"],
        Protocol::Native => &json["error"]["code"],
        Protocol::AwsImds => unreachable!("a page"),
    };
    code.as_str().unwrap().to_owned()
}

#[test]
fn each_protocol_refuses_in_its_own_shape() {
    let plane = Plane::start();
    for protocol in Protocol::ALL {
        let mut serving = listener(protocol.as_str(), any_port());
        serving.protocols = [protocol].into_iter().collect();
        plane.apply(vec![serving]);
        let address = plane.port(protocol.as_str());
        let cases = malformed();
        for (case, request, status) in &cases {
            let answer = ask(address, request);
            let case = format!("{} {case}: {answer:?}", protocol.as_str());
            assert_eq!(answer.status, *status, "{case}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{case}");
            assert_eq!(answer.header("connection"), Some("close"), "{case}");
            let expected = match (protocol, status) {
                (Protocol::AwsImds, 400) => "400 - Bad Request",
                (Protocol::AwsImds, _) => "431 - Request Header Fields Too Large",
                (Protocol::Native, 400) => "bad-request",
                (Protocol::Native, _) => "too-large",
                (_, 400) => "BadRequest",
                (_, _) => "RequestHeaderTooLarge",
            };
            assert_eq!(code(protocol, &answer), expected, "{case}");
        }
        let text = plane.context.metrics.encode().unwrap();
        let labels = format!(
            "{{listener=\"{0}\",protocol=\"{0}\",code=",
            protocol.as_str()
        );
        for status in [400, 431] {
            let count = cases.iter().filter(|case| case.2 == status).count();
            let line = format!("credvend_requests_total{labels}\"{status}\"}} {count}");
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        let denied = format!(
            "credvend_denied_total{{listener=\"{}\",reason=\"request\"}} {}",
            protocol.as_str(),
            cases.len()
        );
        assert!(text.contains(&denied), "{denied} is not in\n{text}");
    }
}

#[test]
fn where_many_are_served_the_path_tells_whose_shape_it_is() {
    let (_plane, address) = Plane::on_tcp();
    for (path, protocol) in [
        ("/v1/roles", Protocol::Native),
        ("/aws/container/app", Protocol::AwsContainer),
        ("/openstack/latest/securitykey", Protocol::Huawei),
        ("/latest/api/token", Protocol::AwsImds),
        ("/accesskey", Protocol::Tencent),
    ] {
        let answer = ask(address, &format!("GET {path} HTTP/1.1\r\nno colon\r\n\r\n"));
        assert_eq!(answer.status, 400, "{path}");
        code(protocol, &answer);
    }
}

#[test]
fn good_requests_before_it_are_answered() {
    let (plane, address) = Plane::on_tcp();
    let good = "GET /v1/roles/app/credentials HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (case, request, status) in malformed() {
        // One after the other, then both at once; but two lengths taint all that came with them.
        for at_once in [false, true] {
            if at_once && case == "two lengths" {
                continue;
            }
            let mut client = tcp(address);
            if at_once {
                client.send(&format!("{good}{request}"));
            } else {
                client.send(good);
            }
            let answer = client.receive(true);
            assert_eq!(answer.status, 200, "{case}");
            assert!(answer.body.contains(CANARY), "{case}");
            if !at_once {
                client.send(&request);
            }
            let answer = client.receive(true);
            assert_eq!(answer.status, status, "{case}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{case}");
            assert!(!answer.body.contains(CANARY), "{case}");
            assert!(client.is_closed(), "{case}");
        }
    }
    assert_eq!(tcp(address).get("/v1/roles", "").status, 200);
    drop(plane);
}

#[test]
fn old_clients_and_connect_are_refused_in_shape_too() {
    let (_plane, address) = Plane::on_tcp();
    let mut client = tcp(address);
    client.send("GET /v1/roles HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.receive(true).status, 200);
    client.send("GET /v1/roles HTTP/1.0\r\nno colon\r\n\r\n");
    let answer = client.receive(true);
    assert_eq!(answer.status, 400);
    assert_eq!(code(Protocol::Native, &answer), "bad-request");
    assert!(client.is_closed());

    let mut client = tcp(address);
    client.send("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = client.receive(true);
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn strangers_learn_that_they_are_strangers() {
    let own = rustix::process::geteuid().as_raw();
    let plane = Plane::start();
    let path = plane.path("s");
    let mut serving = listener("s", Address::Unix(path.clone()));
    serving.allow = Some(only(&[own + 1]));
    plane.apply(vec![serving]);
    let mut client = unix(&path);
    client.send("GET /v1/roles\r\n\r\n");
    let answer = client.receive(true);
    assert_eq!(answer.status, 403);
    assert_eq!(code(Protocol::Native, &answer), "not-allowed");
    assert!(client.is_closed());
}
