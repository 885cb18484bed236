//! What clients of the world send, replayed against the real program; and the ways in which
//! programs are pointed at it.
//!
//! `fixtures/clients/*.http` hold the requests as they were seen, one file per client: `### SHAPE`
//! begins a request and says what its answer has to look like.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::{CANARY, Ended, Started, credvend, run};

/// The real program with one role, every protocol on one port, and a sink.
struct World {
    directory: tempfile::TempDir,
    port: u16,
    token: String,
    _daemon: Started,
}

impl World {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        let program = at("credentials");
        let script = format!(
            "#!/bin/sh\nend=$(date -u -d \"@$(($(date +%s) + 7200))\" +%Y-%m-%dT%H:%M:%SZ)\n\
             printf '{{\"Version\": 1, \"AccessKeyId\": \"AKIDexample\", \"SecretAccessKey\": \
             \"{CANARY}\", \"SessionToken\": \"{CANARY}-token\", \"Expiration\": \"%s\"}}' \
             \"$end\"\n"
        );
        fs::write(&program, script).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("executable");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let config = format!(
            r#"
[daemon]
state-directory = "{state}"
log = "warn"
[admin]
socket = "{admin}"
[role.app.provider.command]
command = ["{program}"]
cloud = "tencent"
[listener.all]
address = "127.0.0.1:{port}"
protocols = ["tencent", "huawei", "huawei-container", "aws-imds", "aws-container", "alibaba", "native"]
roles = ["app"]
token = "file:{token}"
allow = "any-local"
[sink.file.tccli-profile]
role = "app"
path = "{file}"
"#,
            state = at("state"),
            admin = at("admin.sock"),
            token = at("token"),
            file = at("default.credential"),
        );
        fs::write(directory.path().join("config.toml"), config).expect("written");
        let daemon = Started::new(&["--config", &at("config.toml"), "run"]);
        let mut world = Self {
            port,
            token: String::new(),
            _daemon: daemon,
            directory,
        };
        let path = world.directory.path().join("token");
        let is_there = (0..300).any(|_| {
            std::thread::park_timeout(Duration::from_millis(50));
            path.exists()
        });
        assert!(is_there, "the daemon makes the token");
        world.token = fs::read_to_string(path).expect("a token");
        let waited = world.says(&["wait", "app", "--min-remaining", "1m", "--timeout", "20s"]);
        assert_eq!(waited.code, Some(0), "{waited:?}");
        world
    }

    fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let config = self.directory.path().join("config.toml");
        let mut all = vec!["--config", config.to_str().expect("text")];
        all.extend(arguments);
        credvend(&all)
    }

    fn says(&self, arguments: &[&str]) -> Ended {
        run(&mut self.command(arguments))
    }
}

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
        let head = step
            .head
            .replace("{host}", &format!("127.0.0.1:{}", world.port))
            .replace("{address}", "127.0.0.1")
            .replace("{metadata-token}", &metadata_token)
            .replace("{token}", &world.token);
        let case = format!("{name}: {}", step.head.lines().next().unwrap_or_default());
        write!(stream, "{head}\r\n\r\n{}", step.body).expect("sent");
        let answer = receive(&mut stream);
        check(&step.shape, &head, &answer, &case);
        if step.shape == "token" {
            metadata_token.clone_from(&answer.body);
        }
        if head.contains("Connection: close") {
            assert_eq!(answer.headers["connection"], "close", "{case}");
            stream = connect();
        }
    }
    steps.len()
}

#[test]
fn what_each_client_was_seen_to_send_is_answered() {
    let world = World::start();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/clients");
    let mut clients = 0;
    let mut requests = 0;
    for entry in fs::read_dir(directory).expect("fixtures") {
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
        clients >= 33 && requests > 70,
        "{clients} clients, {requests} requests"
    );
}

#[test]
fn programs_are_pointed_here_and_files_are_written() {
    let world = World::start();
    let env = world.says(&["env", "app"]);
    assert_eq!(env.code, Some(0), "{env:?}");
    let uri = format!("http://127.0.0.1:{}/aws/container/app", world.port);
    assert!(
        env.stdout.contains(&format!(
            "export AWS_CONTAINER_CREDENTIALS_FULL_URI={uri}\n"
        )),
        "{env:?}"
    );
    assert!(
        env.stdout
            .contains("\nunset AWS_CONTAINER_AUTHORIZATION_TOKEN\n")
    );
    assert!(
        env.stdout.contains("\nexport TENCENTCLOUD_TOKEN="),
        "no live path for tccli here"
    );
    assert!(env.stdout.contains("is not renewed"), "{env:?}");
    let unknown = world.says(&["env", "nobody"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(64), ""));

    let mut exec = world.command(&[
        "exec",
        "app",
        "--",
        "/bin/sh",
        "-c",
        "echo \"$AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_ACCESS_KEY_ID $NO_PROXY \
         $TENCENTCLOUD_SECRET_ID $TENCENTCLOUD_ROLE_ARN\"; exit 7",
    ]);
    exec.env("AWS_ACCESS_KEY_ID", "static")
        .env("NO_PROXY", "example.com")
        .env("TENCENTCLOUD_SECRET_ID", "another")
        .env("TENCENTCLOUD_ROLE_ARN", "another");
    let ended = run(&mut exec);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert_eq!(
        ended.stdout,
        format!("{uri}  example.com,127.0.0.1 AKIDexample \n")
    );
    let caution = "credvend: for the tools without a way to fetch: a set that ends at ";
    assert!(ended.stderr.starts_with(caution), "{ended:?}");
    assert!(ended.stderr.ends_with(" and is not renewed\n"), "{ended:?}");
    let missing = world.says(&["exec", "app", "--", "/no/such/program"]);
    assert_eq!(missing.code, Some(64));
    assert!(
        missing.stderr.contains("cannot run `/no/such/program`"),
        "{missing:?}"
    );
    // The program takes our place, so it is the one that a signal reaches.
    let killed = world.says(&["exec", "app", "--", "/bin/sh", "-c", "kill -TERM $$"]);
    assert_eq!(killed.code, None, "ended by the signal: {killed:?}");

    let file = world.directory.path().join("default.credential");
    let written: Value = serde_json::from_slice(&fs::read(&file).expect("written")).expect("JSON");
    assert_eq!(written["secretId"], "AKIDexample");
    assert_eq!(written["token"], format!("{CANARY}-token"));
    let mode = fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
