//! The admin socket, from both ends: its server with made-up operations behind it, and the real
//! program in front of it.

mod fake;
mod metrics;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use credvend::admin::api::{LastError, Status};
use credvend::config::model::Principals;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::support::{CANARY, capture_logs, credvend, logged, run, skipped};
use fake::{Running, healthy, post};

#[tokio::test]
async fn status_json_is_the_daemons_document() {
    let running = Running::start(healthy());
    let ended = running.run(&["status", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document: Status = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document, healthy());
    assert_eq!(ended.stderr, "");
}

#[tokio::test]
async fn status_is_plain_text_where_there_is_no_terminal() {
    let running = Running::start(healthy());
    let ended = running.run(&["status"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("1h 02m"), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
}

#[tokio::test]
async fn check_says_what_is_wrong_and_exits_with_69() {
    let running = Running::start(healthy());
    assert_eq!(running.run(&["status", "--check"]).await.code, Some(0));

    let mut status = healthy();
    status.roles[0].held = "expired".into();
    status.roles[0].refresh = "failing".into();
    status.roles[0].last_error = Some(LastError {
        message: "no such role".into(),
        ..LastError::default()
    });
    status.listeners[0].state = "failed".into();
    let running = Running::start(status);
    let ended = running.run(&["status", "--check"]).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert_eq!(
        ended.stderr,
        "credvend: role `app` is expired, failing: no such role\n\
         credvend: listener `metadata` at 127.0.0.1:9470 is failed\n"
    );
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_named_by_its_socket() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    let socket = dir.path().join("none.sock");
    std::fs::write(
        &config,
        format!("[admin]\nsocket = \"{}\"\n", socket.display()),
    )
    .unwrap();
    let ended = run(credvend(&["status"]).env("CREDVEND_CONFIG", &config));
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert_eq!(
        ended.stderr,
        format!(
            "credvend: the daemon is not reachable at {}: there is no such socket\n\
             hint: `systemctl status credvend` says whether it runs\n",
            socket.display()
        )
    );
}

#[tokio::test]
async fn operations_end_with_the_code_of_their_outcome() {
    let running = Running::start(healthy());
    for (arguments, code, printed) in [
        (
            &["refresh", "app"][..],
            69,
            "app: failed: the cloud is away\n",
        ),
        (&["refresh", "nobody"][..], 64, "there is no role `nobody`"),
        (
            &["reload"][..],
            78,
            "config.toml:3: unknown key `rolse`\n  3 |",
        ),
        (&["forget", "app"][..], 0, "app: forgotten\n"),
        (
            &["forget", "--all"][..],
            0,
            "app: forgotten\nweb: forgotten\n",
        ),
        (&["whoami", "app"][..], 0, "account  100000000001\n"),
        (&["whoami", "bug"][..], 70, "a bug in credvend"),
    ] {
        let ended = running.run(arguments).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        let shown = format!("{}{}", ended.stdout, ended.stderr);
        assert!(shown.contains(printed), "{arguments:?}: {ended:?}");
    }
}

#[tokio::test]
async fn an_operation_runs_to_its_end_though_the_asker_hangs_up() {
    let running = Running::start(healthy());
    let mut stream = UnixStream::connect(running.socket()).await.unwrap();
    let request = post("/admin/v1/forget", r#"{"all":true}"#);
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    drop(stream);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        running.operations.forgets_finished.load(Ordering::SeqCst),
        1
    );
}

#[tokio::test]
async fn odd_requests_are_refused_each_in_our_own_shape() {
    let running = Running::start(healthy());
    let long = format!(r#"{{"role":"{}"}}"#, "x".repeat(5000));
    let head = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    for (request, status) in [
        (format!("GET /admin/v1/status {head}\r\n"), "200"),
        (
            format!("GET /admin/v1/status {head}Origin: http://x\r\n\r\n"),
            "403",
        ),
        (
            format!("GET /admin/v1/status {head}Via: 1.1 proxy\r\n\r\n"),
            "403",
        ),
        (format!("DELETE /admin/v1/status {head}\r\n"), "405"),
        (format!("GET /admin/v1/forget {head}\r\n"), "405"),
        (format!("GET /v1/roles/app/credentials {head}\r\n"), "404"),
        (post("/admin/v1/whoami", &long), "400"),
        (post("/admin/v1/whoami", "not json"), "400"),
        (post("/admin/v1/forget", "{}"), "400"),
        (
            post("/admin/v1/forget", r#"{"all":true,"roles":["app"]}"#),
            "400",
        ),
        (post("/admin/v1/forget", r#"{"rolse":["app"]}"#), "400"),
        (
            format!("POST /admin/v1/reload {head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "400",
        ),
    ] {
        let (line, body) = running.ask(&request).await;
        assert!(
            line.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}{line}"
        );
        assert_eq!(
            body["error"]["message"].is_string(),
            status != "200",
            "{body}"
        );
    }
}

#[tokio::test]
async fn operations_and_refusals_are_audited_and_nothing_foreign_forges_a_line() {
    capture_logs();
    let running = Running::start(healthy());
    running
        .ask(&post("/admin/v1/forget", r#"{"roles":["app"]}"#))
        .await;
    let forged = json!({"roles": ["x\n2030-01-01T00:00:00Z  INFO forged: line"]}).to_string();
    running.ask(&post("/admin/v1/refresh", &forged)).await;
    running
        .ask(&post(
            "/admin/v1/whoami",
            &format!("{{\"secret\": \"{CANARY}\""),
        ))
        .await;
    running
        .ask("GET /admin/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\nForwarded: by=x\r\n\r\n")
        .await;

    let text = logged();
    let own_uid = rustix::process::geteuid().as_raw();
    let line = text
        .lines()
        .find(|line| line.contains("action=forget"))
        .unwrap_or_else(|| panic!("not audited:\n{text}"));
    for part in [
        "INFO credvend::audit: operator request",
        &format!(" uid={own_uid} "),
        " subject=app ",
        " result=done",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let denied = text
        .lines()
        .find(|line| line.contains("action=denied"))
        .unwrap_or_else(|| panic!("not audited:\n{text}"));
    for part in [
        " listener=admin ",
        " reason=header",
        &format!(" uid={own_uid} "),
    ] {
        assert!(denied.contains(part), "{part} is not in {denied}");
    }
    assert!(
        text.contains("is not the JSON this operation takes"),
        "{text}"
    );
    let metrics = running.metrics.encode().unwrap();
    let counted = "credvend_denied_total{listener=\"admin\",reason=\"header\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(text.contains("x\\n2030-01-01"), "{text}");
    assert!(
        !text
            .lines()
            .any(|line| line.contains("INFO forged") && !line.contains("audit")),
        "a line was forged:\n{text}"
    );
    assert!(!text.contains(CANARY), "a body was logged:\n{text}");
}

/// Only root can become somebody else; elsewhere the unit tests of the rights have to do.
#[tokio::test]
async fn a_stranger_may_read_status_and_nothing_more() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    const STRANGER: u32 = 54_321;
    if !rustix::process::geteuid().is_root() {
        skipped("only root can become another user");
        return;
    }
    capture_logs();
    let running = Running::start(healthy());
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(running.dir.path(), 0o755);
    open(&running.socket(), 0o666);
    // The build directory may be out of a stranger's reach.
    let program = running.dir.path().join("credvend");
    std::fs::copy(assert_cmd::cargo::cargo_bin!("credvend"), &program).unwrap();
    let as_stranger = |arguments: &'static [&'static str]| {
        let mut command = std::process::Command::new(&program);
        command
            .args(arguments)
            .env("CREDVEND_CONFIG", running.config())
            .uid(STRANGER)
            .gid(STRANGER)
            .current_dir("/");
        tokio::task::spawn_blocking(move || {
            let output = command.output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            (output.status.code(), stderr)
        })
    };
    let (code, stderr) = as_stranger(&["status"]).await.unwrap();
    assert_eq!(code, Some(0), "{stderr}");
    for _ in 0..3 {
        let (code, stderr) = as_stranger(&["forget", "--all"]).await.unwrap();
        assert_eq!(code, Some(77), "{stderr}");
        assert_eq!(
            stderr,
            "credvend: not allowed: uid 54321 is not among [admin] operators\n"
        );
    }
    let text = logged();
    let refused = text.lines().filter(|line| line.contains("action=forget"));
    let refused: Vec<&str> = refused.collect();
    let [first] = refused[..] else {
        panic!("repetitions are only counted: {refused:#?}");
    };
    for part in [
        " uid=54321 ",
        " result=\"refused: not an operator\"",
        " count=1",
        "operator request",
    ] {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    assert_eq!(
        running.operations.forgets_finished.load(Ordering::SeqCst),
        0
    );

    running.operators.store(Arc::new(Principals {
        users: [STRANGER].into(),
        ..Principals::default()
    }));
    let (code, stderr) = as_stranger(&["forget", "--all"]).await.unwrap();
    assert_eq!(code, Some(0), "{stderr}");

    open(&running.socket(), 0o600);
    let (code, stderr) = as_stranger(&["status"]).await.unwrap();
    assert_eq!(code, Some(77), "{stderr}");
}

#[tokio::test]
async fn a_stopped_server_closes_idle_connections_at_once() {
    let running = Running::start(healthy());
    let mut idle = UnixStream::connect(running.socket()).await.unwrap();
    idle.write_all(b"GET /admin/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut some = [0; 64];
    assert!(idle.read(&mut some).await.unwrap() > 0);
    running.stop.cancel();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(2), idle.read_to_end(&mut rest))
        .await
        .expect("closed in time")
        .unwrap();
}
