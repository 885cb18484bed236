//! `fixtures/clients/*.http` hold the requests as `tests/interop/run --record` saw them, one file per
//! client and protocol: `### SHAPE` begins a request and says what its answer has to look like.
//! Each is sent again, and each answer held to what that family of clients reads of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::World;
use crate::support::CANARY;

/// One request of a fixture, and what its answer has to be.
#[derive(Debug)]
struct Step {
    shape: String,
    head: String,
    body: String,
}

fn steps(text: &str) -> Vec<Step> {
    text.split("\n### ")
        .skip(1)
        .map(|step| {
            let (shape, request) = step.split_once('\n').expect("a request below its shape");
            let (head, body) = request
                .trim_end()
                .split_once("\n\n")
                .unwrap_or((request, ""));
            Step {
                shape: shape.trim().to_owned(),
                head: head.trim_end().replace('\n', "\r\n"),
                body: body.to_owned(),
            }
        })
        .collect()
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

fn receive(stream: &mut TcpStream) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        head.extend(byte);
    }
    let head = String::from_utf8(head).expect("text");
    let headers: BTreeMap<String, String> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers["content-length"].parse().expect("a length");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    Answer {
        status: head
            .split(' ')
            .nth(1)
            .and_then(|it| it.parse().ok())
            .expect("a status"),
        headers,
        body: String::from_utf8(body).expect("text"),
    }
}

/// The members that each family of clients takes a set from.
fn check(shape: &str, head: &str, answer: &Answer, case: &str) {
    assert_eq!(answer.status, 200, "{case}: {answer:?}");
    assert_eq!(answer.headers["cache-control"], "no-store", "{case}");
    match shape {
        "token" => {
            assert!(!answer.body.contains(char::is_whitespace), "{case}");
            let asked = head
                .lines()
                .find(|line| line.to_ascii_lowercase().contains("-ttl-seconds"));
            let (name, seconds) = asked
                .and_then(|it| it.split_once(": "))
                .expect("a lifetime");
            let echoed = answer.headers.get(&name.to_ascii_lowercase());
            assert_eq!(echoed.map(String::as_str), Some(seconds.trim()), "{case}");
        }
        "list" => assert_eq!(answer.body, "app", "{case}: one name and no line break"),
        shape => {
            let body: Value = serde_json::from_str(&answer.body).expect(case);
            let (id, secret, token, expiry) = match shape {
                "tencent" => ("/TmpSecretId", "/TmpSecretKey", "/Token", "/Expiration"),
                "huawei" => (
                    "/credential/access",
                    "/credential/secret",
                    "/credential/securitytoken",
                    "/credential/expires_at",
                ),
                "huawei-container" => (
                    "/credentials/accessKeyId",
                    "/credentials/secretAccessKey",
                    "/credentials/securityToken",
                    "/credentials/expiration",
                ),
                "aws-imds" | "aws-container" => {
                    ("/AccessKeyId", "/SecretAccessKey", "/Token", "/Expiration")
                }
                "alibaba" => (
                    "/AccessKeyId",
                    "/AccessKeySecret",
                    "/SecurityToken",
                    "/Expiration",
                ),
                other => panic!("{case}: no such shape: {other}"),
            };
            let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
            assert_eq!(text(id), Some("AKIDexample"), "{case}");
            assert_eq!(text(secret), Some(CANARY), "{case}");
            assert_eq!(text(token), Some(&*format!("{CANARY}-token")), "{case}");
            assert!(
                text(expiry).is_some_and(|it| it.ends_with('Z')),
                "{case}: {body}"
            );
            if matches!(shape, "tencent" | "aws-imds" | "alibaba") {
                assert_eq!(text("/Code"), Some("Success"), "{case}");
            }
        }
    }
}

/// The head as it goes out: with what a recording leaves open. Which version of an interpreter
/// or of a system a client names does not matter.
fn filled_in(world: &World, head: &str, metadata_token: &str) -> String {
    let mut head = head
        .replace("{host}", &format!("127.0.0.1:{}", world.port))
        .replace("{address}", "127.0.0.1")
        // Built into a client; here the listener is elsewhere.
        .replace("localhost:2888", &format!("localhost:{}", world.port))
        .replace("{role}", "app")
        .replace("{metadata-token}", metadata_token)
        .replace("{token}", &world.token);
    for of_no_matter in ["{version}", "{arch}", "{vendor}", "{uuid}", "{time}"] {
        head = head.replace(of_no_matter, "1.0");
    }
    assert!(!head.contains(['{', '}']), "filled in: {head}");
    head
}

fn replay(world: &World, name: &str, text: &str) -> usize {
    let address = ("127.0.0.1", world.port);
    let connect = || {
        let stream = TcpStream::connect(address).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a socket");
        stream
    };
    let mut stream = connect();
    let mut metadata_token = String::new();
    let steps = steps(text);
    for step in &steps {
        let head = filled_in(world, &step.head, &metadata_token);
        let case = format!("{name}: {}", step.head.lines().next().unwrap_or_default());
        write!(stream, "{head}\r\n\r\n{}", step.body).expect("sent");
        let answer = receive(&mut stream);
        check(&step.shape, &head, &answer, &case);
        if step.shape == "token" {
            metadata_token.clone_from(&answer.body);
        }
        if head.to_ascii_lowercase().contains("\r\nconnection: close") {
            assert_eq!(answer.headers["connection"], "close", "{case}");
            stream = connect();
        }
    }
    steps.len()
}

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/clients")
}

/// What a recording is called: words of a row of the table, joined by hyphens.
fn file_name(client: &str, protocol: &str, way: &str) -> String {
    let text = format!("{client} {protocol} {way}").to_lowercase();
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!("{}.http", words.join("-"))
}

#[test]
fn each_client_of_the_table_has_its_recording() {
    let table = include_str!("../../../docs/interop.md");
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let &[_, client, version, protocol, way, ..] = cells.as_slice() else {
            panic!("a row with too few cells: {row}");
        };
        // These read a file of ours, or run a program of ours.
        if ["process", "command", "sink"].contains(&protocol) || client.starts_with("---") {
            continue;
        }
        let name = file_name(client, protocol, way);
        let text = fs::read_to_string(recordings().join(&name)).expect(&name);
        let heading = format!("# {client} {version}, {protocol} ({way})\n");
        assert!(text.starts_with(&heading), "{name} is of another version");
        rows += 1;
    }
    assert!(rows >= 55, "{rows} rows");
}

/// Placeholders stand for what must not be kept; and nothing else is long enough to be a key, a
/// token or a signature.
#[test]
fn no_recording_holds_a_secret() {
    let part_of_one = |letter: char| letter.is_ascii_alphanumeric() || "+=_-".contains(letter);
    for entry in fs::read_dir(recordings()).expect("fixtures") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("text");
        for line in text.lines() {
            let (name, value) = line.split_once(": ").unwrap_or(("", line));
            let name = name.to_ascii_lowercase();
            let case = format!("{}: `{name}`", path.display());
            if name == "authorization" {
                assert_eq!(value, "{token}", "{case}");
            }
            if name.starts_with("x-") && name.ends_with("-token") {
                assert_eq!(value, "{metadata-token}", "{case}");
            }
            let longest = value.split(|it| !part_of_one(it)).map(str::len).max();
            assert!(longest < Some(36), "{case}");
        }
    }
}

#[test]
fn what_each_client_was_seen_to_send_is_answered() {
    let world = World::start();
    let mut clients = 0;
    let mut requests = 0;
    for entry in fs::read_dir(recordings()).expect("fixtures") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|it| it == "http") {
            let text = fs::read_to_string(&path).expect("text");
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let count = replay(&world, &name, &text);
            assert!(count > 0, "{name} holds no request");
            clients += 1;
            requests += count;
        }
    }
    assert!(
        clients >= 60 && requests > 150,
        "{clients} clients, {requests} requests"
    );
}
