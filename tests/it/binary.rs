//! The real program from its command line: arguments, exit codes, texts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::support::{Ended, Started, credvend, run};

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
