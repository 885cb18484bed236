use hyper::http::{Method, Request};
use proptest::prelude::*;

use super::{Admitted, Head, Methods, Rules, Violation, check};
use crate::listener::host::Hosts;

const EMULATED: [&str; 1] = ["metadata.tencentyun.com"];

/// `METHOD TARGET`, then a header a line.
fn judge(text: &str, hosts: &Hosts) -> Result<(String, Option<String>), Violation> {
    let mut lines = text.lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let head = Head {
        method: &parts.method,
        uri: &parts.uri,
        headers: &parts.headers,
        ambiguous_length: false,
        local: None,
    };
    let rules = Rules {
        hosts,
        emulated: &EMULATED,
        same_origin: false,
    };
    check(head, rules)
        .map(|Admitted { path, query }| (path.into_owned(), query.map(ToOwned::to_owned)))
}

fn tcp() -> Hosts {
    Hosts::at("127.0.0.1:9470".parse().unwrap(), &EMULATED, &[])
}

#[test]
fn a_path_answers_to_its_own_methods() {
    for (methods, right) in [
        (Methods::Post, vec![Method::POST]),
        (Methods::Put, vec![Method::PUT]),
        (Methods::Reading, vec![Method::GET, Method::HEAD]),
    ] {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::OPTIONS,
            Method::POST,
            Method::PUT,
        ] {
            let refused = methods.check(&method).is_err();
            assert_eq!(refused, !right.contains(&method), "{methods:?} {method}");
        }
    }
    let refusal = Violation::Method(Methods::Put).to_string();
    assert_eq!(refusal, "only PUT is answered here");
}

#[test]
fn what_is_refused() {
    use Violation as V;
    for (head, expected) in [
        ("GET /", V::NotOneHost),
        ("GET /\nhost: 127.0.0.1\nhost: 127.0.0.1", V::NotOneHost),
        ("GET /\nhost: evil.example", V::ForeignHost),
        ("GET /\nhost: evil.example\norigin: null", V::ForeignHost),
    ] {
        assert_eq!(judge(head, &tcp()), Err(expected), "{head}");
    }
    for (head, expected) in [
        ("GET /\norigin: null", V::ForeignHeader("Origin")),
        ("GET /\nreferer: http://a/", V::ForeignHeader("Referer")),
        (
            "GET /\nx-forwarded-for: a",
            V::ForeignHeader("X-Forwarded-For"),
        ),
        ("GET /\nforwarded: for=a", V::ForeignHeader("Forwarded")),
        ("GET /\nvia: 1.1 a", V::ForeignHeader("Via")),
        (
            "GET /\nsec-fetch-site: cross-site",
            V::ForeignHeader("Sec-Fetch-Site"),
        ),
        (
            "GET /\nsec-fetch-site: same-origin",
            V::ForeignHeader("Sec-Fetch-Site"),
        ),
        ("CONNECT a.example:443", V::Method(Methods::Reading)),
        ("GET http://a.example/", V::ForeignTarget),
        ("GET http://127.0.0.1:9470/", V::ForeignTarget),
        ("GET https://metadata.tencentyun.com/", V::ForeignTarget),
        ("GET http://u@metadata.tencentyun.com/", V::ForeignTarget),
        ("GET metadata.tencentyun.com", V::ForeignTarget),
        ("GET /\ntransfer-encoding: chunked", V::AmbiguousLength),
        ("GET /\ncontent-length: 4097", V::BodyTooLong),
        ("GET /\ncontent-length: +", V::BodyTooLong),
        ("GET /a%00", V::ControlCharacter),
        ("GET /%1Ba", V::ControlCharacter),
        ("GET /%7f", V::ControlCharacter),
    ] {
        let head = format!("{head}\nhost: 127.0.0.1:9470");
        assert_eq!(judge(&head, &tcp()), Err(expected), "{head}");
    }
}

#[test]
fn what_is_answered() {
    for (head, path, query) in [
        ("GET /v1/roles", "/v1/roles", None),
        ("HEAD /", "/", None),
        ("GET //aws/container/a", "/aws/container/a", None),
        ("GET /a//b///", "/a/b/", None),
        ("GET /a?", "/a", Some("")),
        ("GET /a?b=//c", "/a", Some("b=//c")),
        ("GET /\nsec-fetch-site: none", "/", None),
        ("GET /\ncontent-length: 4096", "/", None),
        (
            "GET http://metadata.tencentyun.com/latest//a",
            "/latest/a",
            None,
        ),
        ("GET /%20%7e%80%7", "/%20%7e%80%7", None),
    ] {
        let head = format!("{head}\nhost: metadata.tencentyun.com");
        let expected = Ok((path.to_owned(), query.map(ToOwned::to_owned)));
        assert_eq!(judge(&head, &tcp()), expected, "{head}");
    }
}

#[test]
fn on_a_unix_socket_any_host_but_no_browser() {
    for (head, expected) in [
        ("GET /a", None),
        ("GET /a\nhost: a\nhost: b", None),
        (
            "GET /a\norigin: http://a",
            Some(Violation::ForeignHeader("Origin")),
        ),
        ("GET http://a.example/", Some(Violation::ForeignTarget)),
    ] {
        assert_eq!(judge(head, &Hosts::any()).err(), expected, "{head}");
    }
}

proptest! {
    #[test]
    fn collapsed_paths_keep_everything_but_slashes(path in "(/|[a-z%.]){0,40}") {
        let collapsed = super::collapse(&path);
        prop_assert!(!collapsed.contains("//"));
        prop_assert_eq!(collapsed.replace('/', ""), path.replace('/', ""));
    }
}
