//! The admin socket, from both ends: its server with made-up operations behind it, and the real
//! program in front of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use credvend::admin::api::{
    Answer, Forgotten, LastError, ListenerStatus, LoggedOut, LoginListing, LoginProgress,
    LoginQuestion, LoginStarted, RefreshOutcome, Refreshed, Refusal, RefusalCode, Reloaded,
    RoleQuestion, RoleSelection, RoleStatus, Status, Whose,
};
use credvend::admin::health::Health;
use credvend::admin::metrics_server::{Shown, serve};
use credvend::admin::{Denials, MetricsAccess, Operations, server};
use credvend::clock::SystemClock;
use credvend::config::model::{Allow, Metrics as MetricsSettings, Principals};
use credvend::listener::token::Tokens;
use credvend::observe::audit::{Audit, Peer};
use credvend::observe::metrics::Metrics;
use credvend::provider::BoxFuture;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::support::{CANARY, Ended, capture_logs, credvend, logged, run, skipped};

#[derive(Debug, Default)]
struct FakeOperations {
    status: Status,
    forgets_finished: AtomicUsize,
}

impl Operations for FakeOperations {
    fn status(&self) -> Status {
        self.status.clone()
    }

    fn refresh(&self, request: RoleSelection) -> BoxFuture<'_, Answer<Refreshed>> {
        Box::pin(async move {
            if let Some(role) = request.roles.iter().find(|role| *role != "app") {
                return Err(Refusal::new(
                    RefusalCode::UnknownRole,
                    format!("there is no role `{}`", role.escape_debug()),
                ));
            }
            Ok(Refreshed {
                version: 1,
                roles: vec![RefreshOutcome {
                    role: "app".into(),
                    result: "failed".into(),
                    message: Some("the cloud is away".into()),
                    expires_at: None,
                }],
            })
        })
    }

    fn reload(&self) -> BoxFuture<'_, Answer<Reloaded>> {
        Box::pin(async {
            Err(Refusal::new(
                RefusalCode::Misconfigured,
                "config.toml:3: unknown key `rolse`\n  3 | rolse = []",
            ))
        })
    }

    fn forget(&self, request: RoleSelection) -> BoxFuture<'_, Answer<Forgotten>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.forgets_finished.fetch_add(1, Ordering::SeqCst);
            Ok(Forgotten {
                version: 1,
                roles: if request.all {
                    vec!["app".into(), "web".into()]
                } else {
                    request.roles
                },
            })
        })
    }

    fn login(&self, request: LoginQuestion, _peer: Peer) -> BoxFuture<'_, Answer<LoginStarted>> {
        Box::pin(async move {
            Ok(LoginStarted {
                version: 1,
                login: request.login,
                url: format!("https://a.example/?state={CANARY}"),
                code: Some("ABCD".into()),
                expires_in_seconds: 600,
                joined: false,
                url_is_secret: false,
            })
        })
    }

    fn login_wait(&self, request: LoginQuestion) -> BoxFuture<'_, Answer<LoginProgress>> {
        let state = match request.login.as_str() {
            "corp" => "signed-in",
            "denied" => "denied",
            _ => "expired",
        };
        Box::pin(async move {
            Ok(LoginProgress {
                version: 1,
                login: request.login,
                state: state.into(),
                ends_at: Some("2030-01-02T03:04:05Z".into()),
                roles: vec!["app".into()],
                ..LoginProgress::default()
            })
        })
    }

    fn login_cancel(&self, request: LoginQuestion) -> BoxFuture<'_, Answer<LoginProgress>> {
        self.login_wait(request)
    }

    fn login_list(&self, request: LoginQuestion) -> BoxFuture<'_, Answer<LoginListing>> {
        Box::pin(async move {
            let message = format!("nobody is signed in to `{}`", request.login);
            Err(Refusal::new(RefusalCode::Unavailable, message))
        })
    }

    fn logout(&self, request: LoginQuestion) -> BoxFuture<'_, Answer<LoggedOut>> {
        Box::pin(async move {
            Ok(LoggedOut {
                version: 1,
                login: request.login,
                message: "forgotten".into(),
            })
        })
    }

    fn whoami(&self, request: RoleQuestion) -> BoxFuture<'_, Answer<Whose>> {
        assert_ne!(request.role, "bug", "asked for a panic");
        Box::pin(async move {
            Ok(Whose {
                version: 1,
                role: request.role,
                account: "100000000001".into(),
                user: "4611686018".into(),
                arn: "qcs::sts:::assumed-role/4611686018".into(),
                kind: "CAMRole".into(),
            })
        })
    }
}

fn healthy() -> Status {
    Status {
        version: 1,
        credvend: "0.1.0".into(),
        pid: 4711,
        started_at: "2030-01-02T03:04:05Z".into(),
        config_file: "/etc/credvend/config.toml".into(),
        last_reload_successful: true,
        roles: vec![RoleStatus {
            name: "app".into(),
            cloud: "tencent".into(),
            held: "fresh".into(),
            refresh: "idle".into(),
            access_key_id: Some("AKIDabcd…wxyz".into()),
            expires_in_seconds: Some(3725),
            ..RoleStatus::default()
        }],
        listeners: vec![ListenerStatus {
            name: "metadata".into(),
            address: "127.0.0.1:9470".into(),
            state: "listening".into(),
            ..ListenerStatus::default()
        }],
        ..Status::default()
    }
}

/// A server on a socket of its own, for as long as it is kept.
struct Running {
    dir: TempDir,
    operations: Arc<FakeOperations>,
    operators: Arc<ArcSwap<Principals>>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

fn audit() -> Arc<Audit> {
    Arc::new(Audit::new(Arc::new(SystemClock)))
}

impl Running {
    /// Must be called on a runtime; serves on it.
    fn start(status: Status) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("admin.sock")).unwrap();
        let running = Self {
            operations: Arc::new(FakeOperations {
                status,
                ..FakeOperations::default()
            }),
            operators: Arc::default(),
            metrics: Arc::new(Metrics::new()),
            stop: CancellationToken::new(),
            dir,
        };
        std::fs::write(
            running.config(),
            format!("[admin]\nsocket = \"{}\"\n", running.socket().display()),
        )
        .unwrap();
        let operations: Arc<dyn Operations> = running.operations.clone();
        tokio::spawn(server::serve(
            listener,
            operations,
            Arc::clone(&running.operators),
            Denials::of_admin(Arc::clone(&running.metrics), audit()),
            running.stop.clone(),
        ));
        running
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    /// The status line, and the body as JSON where it is.
    async fn ask(&self, request: &str) -> (String, Value) {
        exchange(&self.socket(), request).await
    }

    /// Runs the program against this server.
    async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = credvend(arguments);
        command.env("CREDVEND_CONFIG", self.config());
        tokio::task::spawn_blocking(move || run(&mut command))
            .await
            .unwrap()
    }
}

async fn exchange(socket: &Path, request: &str) -> (String, Value) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default().to_owned();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

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
    let (code, stderr) = as_stranger(&["forget", "--all"]).await.unwrap();
    assert_eq!(code, Some(77), "{stderr}");
    assert_eq!(
        stderr,
        "credvend: not allowed: uid 54321 is not among [admin] operators\n"
    );
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

/// The metrics address of a configuration, on an address of its own, and its port.
async fn start_metrics(
    listen: &str,
    allow: Allow,
    health: Arc<Health>,
    stop: CancellationToken,
) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::new());
    let settings = MetricsSettings {
        address,
        allow,
        hosts: vec![],
        token: None,
        allow_remote: address.ip().is_unspecified(),
    };
    let denials = Denials::of_metrics(Arc::clone(&metrics), audit());
    let tokens = Tokens::new(Arc::new(SystemClock), Arc::default());
    let access = MetricsAccess::new(&settings, &tokens, denials).unwrap();
    let operations = Arc::new(FakeOperations {
        status: healthy(),
        ..FakeOperations::default()
    });
    let shown = Shown {
        metrics,
        health,
        operations,
    };
    let server = tokio::spawn(serve(listener, shown, Arc::new(access), stop));
    (address.port(), server)
}

async fn ask_metrics(port: u16, line: &str, headers: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let request =
        format!("{line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_metrics_address_answers_whom_its_guard_lets_in() {
    let health = Arc::new(Health::new(Arc::new(SystemClock), ["role app".to_owned()]));
    let stop = CancellationToken::new();
    let (port, server) = start_metrics(
        "127.0.0.1:0",
        Allow::AnyLocal,
        Arc::clone(&health),
        stop.clone(),
    )
    .await;
    let ask =
        async |path: &str, headers: &str| ask_metrics(port, &format!("GET {path}"), headers).await;
    let page = ask("/metrics", "").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(
        page.contains(
            "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
        ),
        "{page}"
    );
    assert!(page.contains("\ncredvend_build_info{version=\""), "{page}");
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(
        ask("/metrics", "Origin: x\r\n")
            .await
            .starts_with("HTTP/1.1 403 ")
    );
    assert!(ask("/nowhere", "").await.starts_with("HTTP/1.1 404 "));
    assert!(ask("/livez", "").await.starts_with("HTTP/1.1 200 "));
    let page = ask("/readyz", "").await;
    assert!(page.starts_with("HTTP/1.1 503 "), "{page}");
    assert!(page.ends_with("\"missing\":[\"role app\"]}"), "{page}");
    health.declare_ready();
    assert!(ask("/readyz", "").await.starts_with("HTTP/1.1 200 "));
    stop.cancel();
    server.await.unwrap();
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_status_page_is_for_people_and_nobody_else_can_use_it() {
    let health = Arc::new(Health::new(Arc::new(SystemClock), []));
    let stop = CancellationToken::new();
    let (port, _server) = start_metrics("127.0.0.1:0", Allow::AnyLocal, health, stop.clone()).await;
    let page = ask_metrics(port, "GET /", "Sec-Fetch-Site: same-origin\r\n").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    for part in [
        "content-type: text/html; charset=utf-8\r\n",
        "cache-control: no-store\r\n",
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "referrer-policy: no-referrer\r\n",
        "<td>app</td>",
        "AKIDabcd…wxyz",
        "127.0.0.1:9470",
        "Version 0.1.0",
        "http-equiv=\"refresh\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(
        !page.contains("<script") && !page.contains("http://"),
        "{page}"
    );
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    let length = format!("content-length: {}", body.len());
    assert!(head.contains(&length), "{head}");
    let headed = ask_metrics(port, "HEAD /", "").await;
    assert!(
        headed.contains(&length) && headed.ends_with("\r\n\r\n"),
        "{headed}"
    );
    for refused in [
        "Sec-Fetch-Site: cross-site",
        "Referer: http://x/",
        "Origin: http://x",
    ] {
        let page = ask_metrics(port, "GET /", &format!("{refused}\r\n")).await;
        assert!(page.starts_with("HTTP/1.1 403 "), "{refused}: {page}");
        assert!(!page.contains("AKID"), "{refused}: {page}");
    }
    let posted = ask_metrics(port, "POST /", "").await;
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    stop.cancel();
}

#[tokio::test]
async fn a_wildcard_metrics_address_knows_who_asks_and_says_what_would_let_them_in() {
    let own = rustix::process::geteuid().as_raw();
    let only = |uid: u32| {
        Allow::Only(Principals {
            users: [uid].into(),
            ..Principals::default()
        })
    };
    let stop = CancellationToken::new();
    let health = || Arc::new(Health::new(Arc::new(SystemClock), []));
    let (port, _let_in) = start_metrics("0.0.0.0:0", only(own), health(), stop.clone()).await;
    let page = ask_metrics(port, "GET /livez", "").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    let (port, _kept_out) = start_metrics("0.0.0.0:0", only(own + 1), health(), stop.clone()).await;
    let page = ask_metrics(port, "GET /livez", "").await;
    assert!(page.starts_with("HTTP/1.1 403 "), "{page}");
    assert!(
        page.contains(&format!("uid {own} is not allowed"))
            && page.contains("allow = { users = [...] } of [metrics]"),
        "{page}"
    );
    stop.cancel();
}

#[tokio::test]
async fn a_connection_without_a_place_is_closed_and_counted() {
    let running = Running::start(healthy());
    let mut open = Vec::new();
    let head = "GET /admin/v1/status HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut some = [0; 64];
    loop {
        let mut stream = UnixStream::connect(running.socket()).await.unwrap();
        // Closed already, it may refuse what is written.
        let written = stream.write_all(head.as_bytes()).await;
        let is_answered = written.is_ok() && stream.read(&mut some).await.is_ok_and(|it| it > 0);
        if !is_answered {
            break;
        }
        open.push(stream);
        assert!(open.len() <= 64, "no bound at all");
    }
    let metrics = running.metrics.encode().unwrap();
    let counted = "credvend_denied_total{listener=\"admin\",reason=\"limit\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
    drop(open);
    let request = head.replace("Host: x", "Host: x\r\nConnection: close");
    for _ in 0..100 {
        let mut stream = UnixStream::connect(running.socket()).await.unwrap();
        let written = stream.write_all(request.as_bytes()).await;
        if written.is_ok() && stream.read(&mut some).await.is_ok_and(|it| it > 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the places are not free again");
}
