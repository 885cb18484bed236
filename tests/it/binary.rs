//! The real program from its command line: arguments, exit codes, texts, and the client side of
//! the native protocol against a made-up listener.

mod exec;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{CANARY, Ended, Started, credvend, run};

fn says(arguments: &[&str]) -> Ended {
    run(&mut credvend(arguments))
}

#[test]
fn wrong_arguments_end_with_64_and_a_message_on_stderr() {
    for (arguments, part) in [
        (
            &["--no-such-flag"][..],
            "unexpected argument '--no-such-flag'",
        ),
        (&["no-such-command"][..], "unrecognized subcommand"),
        (&["get"][..], "<ROLE>"),
        (&["get", "a/b"][..], "a name has 1 to 64 letters"),
        (
            &["get", "app", "--format", "yaml"][..],
            "[possible values: json,",
        ),
        (
            &["wait", "app", "--timeout", "90"][..],
            "a duration without a unit",
        ),
        (&["forget"][..], "<ROLE|--all"),
        (&["forget", "app", "--all"][..], "cannot be used with"),
        (&["status", "--watch", "--check"][..], "cannot be used with"),
    ] {
        let ended = says(arguments);
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(
            ended.stderr.starts_with("credvend: "),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains(part),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}

#[test]
fn no_command_at_all_shows_the_help_as_a_message() {
    let ended = says(&[]);
    assert_eq!(ended.code, Some(64));
    assert_eq!(ended.stdout, "");
    assert!(
        ended.stderr.contains("Usage: credvend [OPTIONS] <COMMAND>"),
        "{}",
        ended.stderr
    );
}

#[test]
fn help_and_version_are_results() {
    let ended = says(&["--help"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for command in [
        "run",
        "check",
        "dev",
        "bridge",
        "emulator",
        "status",
        "get",
        "wait",
        "env",
        "exec",
        "refresh",
        "reload",
        "forget",
        "whoami",
        "login",
        "logout",
        "completions",
        "man",
    ] {
        assert!(
            ended.stdout.contains(&format!("\n  {command} ")),
            "{command} is not in:\n{}",
            ended.stdout
        );
        let help = says(&[command, "--help"]);
        assert_eq!(help.code, Some(0), "{command}");
        assert!(
            help.stdout.contains("--config <FILE>"),
            "{command}: {}",
            help.stdout
        );
    }
    assert!(
        ended.stdout.contains("[env: CREDVEND_CONFIG=]"),
        "{}",
        ended.stdout
    );
    let version = says(&["--version"]).stdout;
    assert_eq!(version, format!("credvend {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_and_man_pages_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = says(&["completions", shell]);
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{shell}"
        );
        assert!(ended.stdout.contains("whoami"), "{shell}");
    }
    let page = says(&["man"]);
    assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""));
    assert!(page.stdout.contains(".TH credvend 1"), "{}", page.stdout);

    let dir = tempfile::tempdir().unwrap();
    let ended = says(&["man", "--directory", dir.path().to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    for name in ["credvend.1", "credvend-get.1", "credvend-status.1"] {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(text.contains(".SH \"EXIT STATUS\""), "{name}");
        assert!(text.contains(".SH FILES"), "{name}");
    }
    let missing = dir.path().join("missing");
    let ended = says(&["man", "--directory", missing.to_str().unwrap()]);
    assert_eq!(ended.code, Some(69), "{ended:?}");
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = std::process::Command::new(assert_cmd::cargo::cargo_bin!("credvend"))
        .args(["completions", "bash"])
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

#[test]
fn the_emulator_says_how_to_call_it_and_answers() {
    let mut emulator = Started::new(&["emulator", "--listen", "127.0.0.1:0"]);
    let mut lines = BufReader::new(emulator.0.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    let first = next();
    let address = first
        .strip_prefix("endpoint = \"http://")
        .and_then(|it| it.strip_suffix('"'))
        .unwrap_or_else(|| panic!("no endpoint: {first}"))
        .to_owned();
    assert!(next().starts_with("# TENCENTCLOUD_SECRET_ID=AKID"));
    let mut stream = TcpStream::connect(&address).unwrap();
    let request =
        format!("GET /_emulator/calls HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let pid = rustix::process::Pid::from_child(&emulator.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(
        emulator.0.wait().unwrap().code(),
        Some(0),
        "it takes the signal"
    );

    let ended = says(&["emulator", "--listen", "192.0.2.1:1"]);
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(
        ended.stderr.contains("loopback addresses only"),
        "{}",
        ended.stderr
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = says(&["emulator", "--listen", &address]);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.stderr.contains(&address), "{}", ended.stderr);
}

#[test]
fn the_bridge_takes_a_token_file_of_this_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut bridge = std::process::Command::new(assert_cmd::cargo::cargo_bin!("credvend"))
        .args([
            "bridge",
            "x.sock",
            "--listen",
            "127.0.0.1:0",
            "--token",
            "token",
        ])
        .current_dir(dir.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .map(Started)
        .unwrap();
    let mut line = String::new();
    BufReader::new(bridge.0.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.ends_with(" leads to x.sock\n"), "{line}");
    let token = std::fs::read_to_string(dir.path().join("token")).unwrap();
    assert_eq!(token.len(), 43);
}

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
    for (case, answer, code) in [
        ("refused", error(403, "uid 12 is not in `allow`"), 77),
        ("no token", error(401, "a token is needed"), 77),
        ("no such role", error(404, "no role `app` here"), 64),
        ("nothing held", error(503, "the cloud\nrefused"), 69),
        ("a bug over there", error(500, "a bug"), 69),
        ("cut off", (200, cut_off), 69),
        ("incomplete", (200, incomplete), 69),
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

const GOOD: &str = r#"
[key.ops]
cloud = "tencent"
id = "env:NO_SUCH_ID"
secret = "env:NO_SUCH_SECRET"
[role.app.provider.tencent-assume-role]
source = "ops"
role-arn = "qcs::cam::uin/100000000001:roleName/app"
session-name = "app"
region = "ap-guangzhou"
[listener.app]
address = "unix:/run/credvend/app/credvend.sock"
roles = ["app"]
"#;

#[test]
fn check_counts_what_is_there_or_reports_every_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    let check = || run(credvend(&["check", "--config"]).arg(&config));

    std::fs::write(&config, GOOD).unwrap();
    let ended = check();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = format!("{}: 1 role, 1 listener, no mistakes, ", config.display());
    assert!(ended.stdout.starts_with(&summary), "{ended:?}");
    assert!(ended.stderr.contains("NO_SUCH_SECRET"), "{}", ended.stderr);

    let bad = GOOD
        .replace("\"app\"]", "\"nobody\"]")
        .replace("region", "regoin");
    std::fs::write(&config, bad).unwrap();
    let ended = check();
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("`nobody`"), "{}", ended.stderr);
    assert!(ended.stderr.contains("`regoin`"), "{}", ended.stderr);
    assert!(ended.stderr.contains("config.toml:10:"), "{}", ended.stderr);
}
