//! The real program: a daemon, `credvend login` in front of it, and the emulator behind.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use credvend::emulator::Decision;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::setup::World;
use crate::support::{RUNTIME_DIRECTORY, credvend, run};

const PATIENCE: Duration = Duration::from_secs(40);

/// A child that is ended with the test.
struct Ours(Child);

impl Drop for Ours {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An emulator that answers from a thread of its own, until the guard is dropped: commands
/// block the test's thread.
fn driven() -> (World, DropGuard) {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let (started, world) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            started.send(World::start()).unwrap();
            stopped.cancelled().await;
        });
    });
    (world.recv().unwrap(), stop.drop_guard())
}

fn start(config: &str, arguments: &[&str], output: &std::path::Path) -> Ours {
    let file = std::fs::File::create(output).unwrap();
    let child = Command::new(assert_cmd::cargo::cargo_bin!("credvend"))
        .args(["--config", config])
        .args(arguments)
        .env_remove("CREDVEND_CONFIG")
        .env("RUNTIME_DIRECTORY", RUNTIME_DIRECTORY)
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn();
    Ours(child.unwrap())
}

async fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "in time: {what}");
        sleep(Duration::from_millis(100)).await;
    }
}

fn status(config: &str) -> Option<Value> {
    let ended = run(&mut credvend(&["--config", config, "status", "--json"]));
    serde_json::from_str(&ended.stdout).ok()
}

fn roles_fresh(config: &str) -> usize {
    let status = status(config).unwrap_or_default();
    let roles = status["roles"].as_array().cloned().unwrap_or_default();
    roles.iter().filter(|role| role["held"] == "fresh").count()
}

#[tokio::test]
async fn a_login_through_the_daemon_brings_all_its_roles_and_outlives_a_restart() {
    let (world, _driven) = driven();
    let socket = world.dir.path().join("app.sock");
    let text = format!(
        "{}\n[listener.app]\naddress = \"unix:{}\"\n\
         roles = [\"a-read\", \"a-admin\", \"b-read\", \"b-admin\", \"c-read\"]\n",
        world.huawei(""),
        socket.display()
    );
    let path = world.write("config.toml", &text);
    let config = path.to_str().unwrap();
    let log = world.dir.path().join("log");
    let said = world.dir.path().join("said");
    let daemon = start(config, &["run"], &log);
    until("needs-login", || {
        let status = status(config)?;
        let role = &status["roles"][0];
        (status["logins"][0]["state"] == "needs-login" && role["refresh"] == "needs-login")
            .then_some(())
    })
    .await;
    let list = run(&mut credvend(&[
        "--config", config, "login", "corp", "--list",
    ]));
    assert_eq!(list.code, Some(69), "{list:?}");
    let unknown = run(&mut credvend(&["--config", config, "login", "copr"]));
    assert_eq!(unknown.code, Some(64), "{unknown:?}");

    let mut login = start(config, &["login", "corp"], &said);
    let code = until("a code", || {
        world
            .cloud
            .state
            .with_portal(|portal| portal.waiting(now()).pop())
    })
    .await;
    until("the invitation", || {
        let text = std::fs::read_to_string(&said).unwrap();
        text.contains(&format!("shows this code: {code}"))
            .then_some(())
    })
    .await;
    assert!(world.cloud.state.decide(&code, Decision::Approve));
    let ended = until("an end", || login.0.try_wait().unwrap()).await;
    let text = std::fs::read_to_string(&said).unwrap();
    assert_eq!(ended.code(), Some(0), "{text}");
    assert!(text.contains("signed in to corp until "), "{text}");
    assert!(
        !text.contains('\u{2580}'),
        "no picture where there is no terminal"
    );
    until("five fresh roles", || {
        (roles_fresh(config) == 5).then_some(())
    })
    .await;

    // Whoever gives up after the approval hears that it came.
    let socket = world.dir.path().join("admin.sock");
    let answer = post(&socket, "login-cancel", r#"{"login":"corp"}"#);
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["state"], "signed-in", "{body}");

    let toml = run(&mut credvend(&[
        "--config", config, "login", "corp", "--list", "--toml",
    ]));
    assert_eq!(toml.stdout.matches("[role.").count(), 5, "{toml:?}");

    // Ends are told, and a restart begins signed in.
    drop(daemon);
    let kept = std::fs::read_to_string(world.state_directory().join("login-corp.json")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let token = kept["session"]["token"].as_str().unwrap();
    let log_text = std::fs::read_to_string(&log).unwrap();
    assert!(
        !log_text.contains(token) && !log_text.contains(&code),
        "{log_text}"
    );
    assert!(log_text.contains("signed in"), "{log_text}");
    let _daemon = start(config, &["run"], &log);
    until("five fresh roles again", || {
        (roles_fresh(config) == 5).then_some(())
    })
    .await;

    let kept = world.state_directory().join("login-corp.json");
    assert!(kept.exists());
    let out = run(&mut credvend(&["--config", config, "logout", "corp"]));
    assert_eq!(out.code, Some(0), "{out:?}");
    assert!(!kept.exists(), "nothing is left of it");
    until("all that they need somebody", || {
        let status = status(config)?;
        let roles = status["roles"].as_array().cloned().unwrap();
        roles
            .iter()
            .all(|role| role["refresh"] == "needs-login")
            .then_some(())
    })
    .await;
    let check = run(&mut credvend(&["--config", config, "status", "--check"]));
    assert_eq!(check.code, Some(69), "{check:?}");
    assert_eq!(status(config).unwrap()["logins"][0]["state"], "needs-login");
    assert_eq!(roles_fresh(config), 5, "what is held is served on");
    let get = run(&mut credvend(&["--config", config, "get", "c-read"]));
    assert_eq!(get.code, Some(0), "{}", get.stderr);
}

/// What the admin socket answers.
fn post(socket: &std::path::Path, operation: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = format!(
        "POST /admin/v1/{operation} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn now() -> credvend::clock::BootTime {
    credvend::clock::Clock::boot(&credvend::clock::SystemClock)
}

#[tokio::test]
async fn a_denied_and_a_cancelled_login_end_with_their_codes() {
    let (world, _driven) = driven();
    let path = world.write("config.toml", &world.tencent(""));
    let config = path.to_str().unwrap();
    let log = world.dir.path().join("log");
    let said = world.dir.path().join("said");
    let _daemon = start(config, &["run"], &log);
    until("a daemon", || status(config)).await;

    // Ctrl-C, and a terminal that is closed.
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::HUP] {
        let mut login = start(config, &["login", "corp"], &said);
        invitation(&said).await;
        let pid = rustix::process::Pid::from_child(&login.0);
        rustix::process::kill_process(pid, signal).unwrap();
        let ended = until("an end", || login.0.try_wait().unwrap()).await;
        let text = std::fs::read_to_string(&said).unwrap();
        assert_eq!(ended.code(), Some(69), "{text}");
        assert!(text.contains("cancelled"), "{text}");
        let state = status(config).unwrap()["logins"][0]["state"].clone();
        assert_eq!(state, "needs-login");
    }

    let other = world.write(
        "huawei.toml",
        &world.huawei("").replace("admin.sock", "other.sock"),
    );
    let config = other.to_str().unwrap();
    let _other = start(config, &["run"], &log);
    until("a daemon", || status(config)).await;
    let mut login = start(config, &["login", "corp"], &said);
    let code = until("a code", || {
        world
            .cloud
            .state
            .with_portal(|portal| portal.waiting(now()).pop())
            .filter(|it| it.len() == 16)
    })
    .await;
    assert!(world.cloud.state.decide(&code, Decision::Deny));
    let ended = until("an end", || login.0.try_wait().unwrap()).await;
    assert_eq!(
        ended.code(),
        Some(77),
        "{}",
        std::fs::read_to_string(&said).unwrap()
    );
}

async fn invitation(said: &std::path::Path) {
    until("the invitation", || {
        let text = std::fs::read_to_string(said).unwrap();
        text.contains("open this address").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_daemon_that_ends_while_somebody_waits_is_named_as_the_reason() {
    let (world, _driven) = driven();
    let path = world.write("config.toml", &world.tencent(""));
    let config = path.to_str().unwrap();
    let log = world.dir.path().join("log");
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::KILL] {
        let said = world.dir.path().join("said");
        let mut daemon = start(config, &["run"], &log);
        until("a daemon", || status(config)).await;
        let mut login = start(config, &["login", "corp"], &said);
        invitation(&said).await;
        sleep(Duration::from_millis(300)).await;
        let pid = rustix::process::Pid::from_child(&daemon.0);
        rustix::process::kill_process(pid, signal).unwrap();
        let ended = until("an end", || login.0.try_wait().unwrap()).await;
        let text = std::fs::read_to_string(&said).unwrap();
        assert_eq!(ended.code(), Some(69), "{text}");
        assert!(text.contains("ended before it answered"), "{text}");
        until("the daemon's end", || daemon.0.try_wait().unwrap()).await;
    }
}
