//! A server of the admin socket with made-up operations behind it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use credvend::admin::api::{
    Answer, Forgotten, ListenerStatus, LoggedOut, LoginListing, LoginProgress, LoginQuestion,
    LoginStarted, RefreshOutcome, Refreshed, Refusal, RefusalCode, Reloaded, RoleQuestion,
    RoleSelection, RoleStatus, Status, Whose,
};
use credvend::admin::{Denials, Operations, server};
use credvend::clock::SystemClock;
use credvend::config::model::Principals;
use credvend::future::BoxFuture;
use credvend::observe::audit::{Audit, Peer};
use credvend::observe::metrics::Metrics;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::support::{CANARY, Ended, credvend, run};

#[derive(Debug, Default)]
pub(super) struct FakeOperations {
    pub(super) status: Status,
    pub(super) forgets_finished: AtomicUsize,
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

pub(super) fn healthy() -> Status {
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
pub(super) struct Running {
    pub(super) dir: TempDir,
    pub(super) operations: Arc<FakeOperations>,
    pub(super) operators: Arc<ArcSwap<Principals>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: CancellationToken,
}

pub(super) fn audit() -> Arc<Audit> {
    Arc::new(Audit::new(Arc::new(SystemClock)))
}

impl Running {
    /// Must be called on a runtime; serves on it.
    pub(super) fn start(status: Status) -> Self {
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

    pub(super) fn socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    /// The status line, and the body as JSON where it is.
    pub(super) async fn ask(&self, request: &str) -> (String, Value) {
        exchange(&self.socket(), request).await
    }

    /// Runs the program against this server.
    pub(super) async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = credvend(arguments);
        command.env("CREDVEND_CONFIG", self.config());
        tokio::task::spawn_blocking(move || run(&mut command))
            .await
            .unwrap()
    }
}

pub(super) async fn exchange(socket: &Path, request: &str) -> (String, Value) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default().to_owned();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

pub(super) fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
