//! The client side of the native protocol, `get` and `wait`, against a made-up listener.

mod exec;

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{CANARY, Ended, credvend, run};

/// A listener that gives each of these answers once, the last one for ever, and keeps the heads
/// it was sent.
struct FakeListener {
    dir: tempfile::TempDir,
    heads: Arc<Mutex<Vec<String>>>,
}

impl FakeListener {
    fn start(answers: Vec<(u16, String)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let listener = UnixListener::bind(dir.path().join("app.sock")).unwrap();
        let seen = Arc::clone(&heads);
        std::thread::spawn(move || {
            let mut answers = answers.into_iter().peekable();
            while let Ok((mut stream, _)) = listener.accept() {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                seen.lock().unwrap().push(String::from_utf8(head).unwrap());
                let (status, body) = answers.next().expect("an answer is left");
                if answers.peek().is_none() {
                    answers = vec![(status, body.clone())].into_iter().peekable();
                }
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nETag: \"e1\"\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        Self { dir, heads }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("app.sock")
    }

    fn ask(&self, arguments: &[&str]) -> Ended {
        let socket = self.socket();
        run(credvend(arguments).arg("--socket").arg(&socket))
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn credentials(expires_at: &str) -> (u16, String) {
    let body = json!({
        "role": "app", "cloud": "tencent", "access_key_id": "AKIDexample",
        "secret_access_key": format!("secret-{CANARY}"),
        "session_token": format!("token-{CANARY}"),
        "expires_at": expires_at, "issued_at": "2020-01-02T01:04:05Z", "generation": 7,
    });
    (200, body.to_string())
}

fn error(status: u16, message: &str) -> (u16, String) {
    let body = json!({"error": {"code": "some-code", "message": message}});
    (status, body.to_string())
}

const FAR: &str = "2999-01-02T03:04:05Z";

const PAST: &str = "2020-01-02T03:04:05Z";

#[test]
fn get_prints_credentials_and_nothing_else() {
    let listener = FakeListener::start(vec![credentials(FAR)]);
    for (format, key) in [
        ("json", "secret_access_key"),
        ("process", "SecretAccessKey"),
        ("tencent", "TmpSecretKey"),
        ("aws", "SecretAccessKey"),
    ] {
        let ended = listener.ask(&["get", "app", "--format", format]);
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{format}"
        );
        let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(printed[key], format!("secret-{CANARY}"), "{format}");
    }
    let env = listener.ask(&["get", "app", "--format", "env"]).stdout;
    assert!(
        env.contains("\nTENCENTCLOUD_SECRET_ID=AKIDexample\n"),
        "{env}"
    );
    let head = &listener.heads()[0];
    assert!(
        head.starts_with("GET /v1/roles/app/credentials HTTP/1.1\r\n"),
        "{head}"
    );
}

#[test]
fn get_fails_with_the_code_of_the_answer_and_prints_no_secret() {
    let (_, whole) = credentials(FAR);
    let cut_off: String = whole.chars().take(whole.len() - 20).collect();
    let incomplete = whole.replace("AKIDexample", "");
    let steering = whole.replace("AKIDexample", "AKID\\u001b[2J\\nA=b");
    for (case, answer, code) in [
        ("refused", error(403, "uid 12 is not in `allow`"), 77),
        ("no token", error(401, "a token is needed"), 77),
        ("no such role", error(404, "no role `app` here"), 64),
        ("nothing held", error(503, "the cloud\nrefused"), 69),
        ("a bug over there", error(500, "a bug"), 69),
        ("cut off", (200, cut_off), 69),
        ("incomplete", (200, incomplete), 69),
        ("steers", (200, steering), 69),
        (
            "another role's",
            (200, whole.replace("\"app\"", "\"web\"")),
            69,
        ),
    ] {
        let listener = FakeListener::start(vec![answer]);
        for format in ["json", "process"] {
            let ended = listener.ask(&["get", "app", "--format", format]);
            assert_eq!(ended.code, Some(code), "{case}: {ended:?}");
            assert_eq!(ended.stdout, "", "{case}");
            assert!(
                ended.stderr.starts_with("credvend: "),
                "{case}: {}",
                ended.stderr
            );
            assert!(!ended.stderr.contains(CANARY), "{case}: {}", ended.stderr);
            if format == "process" {
                assert_eq!(ended.stderr.lines().count(), 1, "{case}: {}", ended.stderr);
            }
        }
    }
}

#[test]
fn get_finds_the_listener_and_its_token_through_the_configuration() {
    let listener = FakeListener::start(vec![credentials(FAR)]);
    let config = listener.dir.path().join("config.toml");
    let token = listener.dir.path().join("token");
    std::fs::write(&token, format!("token-{CANARY}\n")).unwrap();
    std::fs::write(
        &config,
        format!(
            "[role.app]\n[listener.gone]\naddress = \"unix:/nonexistent/x.sock\"\n\
             roles = [\"app\"]\n[listener.here]\naddress = \"unix:{}\"\nroles = [\"app\"]\n\
             token = \"file:{}\"\n",
            listener.socket().display(),
            token.display()
        ),
    )
    .unwrap();
    let get = |role| run(credvend(&["get", role, "--config"]).arg(&config));
    let ended = get("app");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let head = &listener.heads()[0];
    assert!(
        head.contains(&format!("authorization: token-{CANARY}\r\n")),
        "{head}"
    );

    let ended = get("nobody");
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(
        ended.stderr.contains("there is no role `nobody`"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("\nhint: there is `app`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn without_a_daemon_or_a_configuration_get_says_which_file_it_missed() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("none.sock");
    let ended = run(credvend(&["get", "app", "--socket"]).arg(&socket));
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(
        ended.stderr.contains(socket.to_str().unwrap()),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("systemctl status credvend"),
        "{}",
        ended.stderr
    );

    let config = dir.path().join("none.toml");
    let ended = run(credvend(&["get", "app", "--config"]).arg(&config));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(
        ended.stderr.contains(config.to_str().unwrap()),
        "{}",
        ended.stderr
    );
}

#[test]
fn wait_returns_when_what_is_served_is_good_for_long_enough() {
    let listener = FakeListener::start(vec![
        error(503, "nothing yet"),
        credentials(PAST),
        (304, String::new()),
        credentials(FAR),
    ]);
    let ended = listener.ask(&["wait", "app", "--timeout", "20s"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    let heads = listener.heads();
    assert!(
        heads[1].starts_with("GET /v1/roles/app/credentials HTTP"),
        "{heads:?}"
    );
    assert!(
        heads[2].starts_with("GET /v1/roles/app/credentials?wait=10s HTTP"),
        "{heads:?}"
    );
    assert!(heads[2].contains("if-none-match: \"e1\"\r\n"), "{heads:?}");
    assert!(
        !heads[3].contains("if-none-match"),
        "looked at afresh: {heads:?}"
    );
}

#[test]
fn wait_gives_up_in_time_and_says_what_was_missing() {
    let listener = FakeListener::start(vec![credentials(PAST)]);
    let ended = listener.ask(&["wait", "app", "--timeout", "1s"]);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert_eq!(
        ended.stderr,
        "credvend: gave up on `app` after 1 s: what is served is good for 0 s, not for 1800 s\n\
         hint: `--min-remaining` says how long is long enough\n"
    );
    let unknown = FakeListener::start(vec![error(404, "no role `app` here")]);
    assert_eq!(
        unknown.ask(&["wait", "app"]).code,
        Some(64),
        "nothing to wait for"
    );
    let socket = Path::new("/nonexistent/x.sock");
    let absent = run(credvend(&["wait", "app", "--timeout", "1s", "--socket"]).arg(socket));
    assert_eq!(absent.code, Some(69), "{absent:?}");
}
