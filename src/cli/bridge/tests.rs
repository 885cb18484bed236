use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::listener::guard::Violation;

fn bridge(socket: &Path, token: Option<&Path>) -> Bridge {
    let emulated = vec!["metadata.tencentyun.com"];
    Bridge {
        socket: Target::Unix(socket.to_owned()),
        hosts: Hosts::at("127.0.0.1:9470".parse().unwrap(), &emulated, &[]),
        emulated,
        token: token.map(|path| Token::open(path, None, Arc::new(SystemClock)).unwrap()),
    }
}

/// `METHOD TARGET`, then a header a line.
fn parts(text: &str) -> Parts {
    let mut lines = text.lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn requests_are_judged_as_a_listener_would() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "a-token-of-20-letters").unwrap();
    let bridge = bridge(Path::new("/nowhere"), Some(&file));
    for (head, path) in [
        ("GET //v1//roles?a=b\nHost: localhost", "/v1/roles?a=b"),
        (
            "GET http://metadata.tencentyun.com/latest\nHost: metadata.tencentyun.com",
            "/latest",
        ),
        (
            "GET /aws/container/app\nHost: 127.0.0.1:9470\nAuthorization: a-token-of-20-letters",
            "/aws/container/app",
        ),
    ] {
        assert_eq!(
            bridge.admit(&parts(head), false).as_deref(),
            Ok(path),
            "{head}"
        );
    }
    for (head, refused) in [
        (
            "GET /v1/roles\nHost: evil.example",
            Refused::Request(Violation::ForeignHost),
        ),
        (
            "GET /v1/roles\nHost: localhost\nOrigin: null",
            Refused::Request(Violation::ForeignHeader("Origin")),
        ),
        (
            "GET /aws/container/app\nHost: localhost",
            Refused::WrongToken,
        ),
        (
            "POST /huawei/container/app\nHost: localhost\nAuthorization: another",
            Refused::WrongToken,
        ),
    ] {
        assert_eq!(bridge.admit(&parts(head), false), Err(refused), "{head}");
    }
}

#[test]
fn without_a_token_no_container_path_is_open() {
    let bridge = bridge(Path::new("/nowhere"), None);
    let head = "GET /aws/container/app\nHost: localhost\nAuthorization: ";
    assert_eq!(bridge.admit(&parts(head), false), Err(Refused::NoToken));
}

/// Answers one connection, or cuts it off after the head.
fn serve_once(listener: UnixListener, cut: bool) -> JoinHandle<(UnixListener, String)> {
    let answer = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 2\r\n\r\nhi";
    answer_once(listener, if cut { "" } else { answer })
}

fn answer_once(listener: UnixListener, answer: &'static str) -> JoinHandle<(UnixListener, String)> {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut some = [0; 1024];
        while !head.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut some).unwrap();
            head.extend_from_slice(&some[..count]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        (listener, String::from_utf8(head).unwrap())
    })
}

#[tokio::test]
async fn a_daemon_that_is_restarted_meanwhile_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let bridge = bridge(&path, None);
    let asking = parts("GET /v1/roles\nHost: localhost\nConnection: close\nIf-None-Match: x");
    let restarted = {
        let path = path.clone();
        async move {
            sleep(TRY_EVERY * 3).await; // nobody is there yet
            let listener = UnixListener::bind(&path).unwrap();
            tokio::task::spawn_blocking(move || {
                let (listener, _) = serve_once(listener, true).join().unwrap();
                serve_once(listener, false).join().unwrap().1
            })
            .await
            .unwrap()
        }
    };
    let no_body = Bytes::new();
    let (answer, head) = tokio::join!(bridge.ask(&asking, "/v1/roles", &no_body), restarted);
    let answer = passed_on(answer.unwrap(), &Method::GET);
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::ETAG], "\"1\"");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let head = head.to_lowercase();
    assert!(head.contains("if-none-match: x"), "{head}");
    assert!(
        head.contains("host: localhost") && !head.contains("connection"),
        "{head}"
    );
}

#[tokio::test]
async fn a_daemon_that_stays_away_is_told_of() {
    let bridge = bridge(Path::new("/nowhere/at/all"), None);
    let asking = parts("GET /v1/roles\nHost: localhost");
    let error = bridge.ask(&asking, "/", &Bytes::new()).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

#[test]
fn refusals_say_what_would_help() {
    let method = Refused::Request(Violation::Method(guard::Methods::Reading));
    let refusal = method.in_the_shape_of(Protocol::Native);
    assert_eq!(refusal.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refusal.headers()[header::ALLOW], "GET, HEAD");
    assert_eq!(refusal.headers()[header::CACHE_CONTROL], "no-store");
    let refusal = Refused::NoToken.in_the_shape_of(Protocol::AwsContainer);
    assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn refusals_have_the_shape_that_the_client_knows() {
    for (head, begins) in [
        ("GET /v1/roles", "{\"error\":{\"code\":\"not-allowed\","),
        ("GET /aws/container/app", "{\"code\":\"Forbidden\","),
        (
            "POST /huawei/container/app",
            "{\"error_code\":\"Forbidden\",",
        ),
        (
            "GET /openstack/latest/securitykey",
            "{\"error_code\":\"Forbidden\",",
        ),
        (
            "GET /latest/meta-data/cam/security-credentials/",
            "{\n  \"Code\": \"Forbidden\",",
        ),
        (
            "GET /latest/meta-data/ram/security-credentials/",
            "{\"Code\":\"Forbidden\",",
        ),
        ("GET /latest/meta-data/iam/info", "<?xml "),
    ] {
        let asking = parts(&format!("{head}\nHost: evil.example"));
        let refused = Refused::Request(Violation::ForeignHost);
        let refusal = refused.in_the_shape_of(meant(&asking));
        assert_eq!(refusal.status(), StatusCode::FORBIDDEN, "{head}");
        let body = refusal.into_body().collect().await.unwrap().to_bytes();
        let body = str::from_utf8(&body).unwrap();
        assert!(body.starts_with(begins), "{head}: {body}");
    }
    let with_token = parts("GET /latest/api/token\nx-aliyun-ecs-metadata-token: x");
    assert_eq!(meant(&with_token), Protocol::Alibaba);
}

/// A bridge at work on a port of its own.
async fn started(bridge: Bridge) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (open, ending) = (TaskTracker::new(), CancellationToken::new());
        accept(&listener, &Arc::new(bridge), &open, &ending).await;
    });
    address
}

/// What is answered until the bridge closes, which it must do by itself.
async fn whole_answer(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(5), stream.read_to_string(&mut answer))
        .await
        .expect("closed")
        .unwrap();
    answer
}

#[tokio::test]
async fn what_is_no_request_is_refused_as_listeners_do() {
    let address = started(bridge(Path::new("/nowhere"), None)).await;
    let head = |lines: &str| format!("GET /v1/roles HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    let length = "Content-Length: 1\r\n";
    for (request, status) in [
        ("GET /v1/roles\r\n\r\n".to_owned(), 400),
        (head(&length.repeat(2)), 400),
        (head("Transfer-Encoding: chunked\r\n"), 400),
        (head("").replace("roles", "%0aroles"), 400),
        (head(&"X: y\r\n".repeat(100)), 431),
        (head(&format!("X: {}\r\n", "y".repeat(17 << 10))), 431),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
    ] {
        let answer = whole_answer(address, &request).await;
        let case = format!("{:.60}: {answer}", request.escape_debug());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{case}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{case}");
        assert!(answer.contains("\r\ncache-control: no-store\r\n"), "{case}");
        assert!(answer.contains("\r\ncontent-type: "), "{case}");
    }
    let answer = whole_answer(address, "GET /v1/roles HTTP/1.1\r\nno colon\r\n\r\n").await;
    assert!(answer.contains("\r\n\r\n{\"error\":{"), "{answer}");
}

#[tokio::test]
async fn who_has_nothing_more_to_say_gets_the_daemons_answer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let serving = thread::spawn(|| {
        thread::park_timeout(Duration::from_millis(200));
        serve_once(listener, false).join().unwrap();
    });
    let address = started(bridge(&path, None)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /v1/roles HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    assert!(answer.ends_with("\r\n\r\nhi"), "{answer}");
    serving.join().unwrap();
}

#[tokio::test]
async fn a_head_says_how_long_the_body_would_be() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let mut listener = UnixListener::bind(&path).unwrap();
    let address = started(bridge(&path, None)).await;
    for (answer, length) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 321\r\n\r\n", "321"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "0"),
    ] {
        let daemon = answer_once(listener, answer);
        let request = "HEAD /v1/roles HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let passed_on = whole_answer(address, request).await;
        listener = daemon.join().unwrap().0;
        let line = format!("\r\ncontent-length: {length}\r\n");
        assert_eq!(passed_on[..12], answer[..12], "{passed_on}");
        assert!(passed_on.contains(&line), "{passed_on}");
        assert!(passed_on.ends_with("\r\n\r\n"), "{passed_on}");
    }
}
