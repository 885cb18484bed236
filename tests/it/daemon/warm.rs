//! Under a service manager: a restart that keeps everything.

use std::fs;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use credvend::clock::{Clock as _, SystemClock};
use credvend::emulator::Decision;
use rustix::process::Signal;
use serde_json::Value;

use super::manager::Manager;
use super::site::{Daemon, SOON, Site, assumed, base, eventually, socket};
use crate::support::CANARY;
use credvend::emulator::{Fault, FaultKind};

pub(super) fn configure(site: &Site) {
    let text = [
        base(),
        assumed("app", "ops", "app", ""),
        assumed("batch", "ops", "batch", ""),
        socket("app", &["app", "batch"]),
    ]
    .concat();
    site.configure(&text);
}

pub(super) fn launch(site: &Site, manager: &Manager) -> Daemon {
    site.launch_as(|command| {
        command
            .env("NOTIFY_SOCKET", &manager.socket)
            .env("WATCHDOG_USEC", "400000");
    })
}

/// As the manager starts the next process: with what it kept as descriptor 3.
pub(super) fn relaunch(site: &Site, manager: &Manager) -> Daemon {
    let (name, path) = manager.hand_over_state();
    site.launch_as(|command| {
        let program = command.get_program().to_owned();
        *command = Command::new("sh");
        command
            .args(["-c", "exec \"$0\" run 3<\"$KEPT\""])
            .arg(program)
            .env("KEPT", path)
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", name)
            .env("NOTIFY_SOCKET", &manager.socket)
            .env("CREDVEND_CONFIG", site.config())
            .env("RUNTIME_DIRECTORY", site.dir())
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(site.path("log")).unwrap());
    })
}

fn cloud_down(site: &Site) {
    let fault = Fault {
        forever: true,
        ..Fault::new(FaultKind::Reset)
    };
    site.cloud.state.push_fault(fault).unwrap();
}

#[tokio::test]
async fn a_restart_serves_at_once_what_was_held_while_the_cloud_is_down() {
    let site = Site::new();
    configure(&site);
    let manager = Manager::start(site.dir());
    let mut first = launch(&site, &manager);
    manager.told("READY=1", 0).await;
    let held = site.set("app", "app").await;
    for name in ["kept@admin", "kept@app", "kept@metrics"] {
        assert!(
            manager.names().contains(&name.to_owned()),
            "{:?}",
            manager.names()
        );
    }
    first.signal(Signal::TERM);
    assert_eq!(first.end().await, 0, "{}", first.log());
    assert!(
        site.path("app.sock").exists(),
        "its socket is kept, so its file stays"
    );

    cloud_down(&site);
    let before = manager.count();
    let second = relaunch(&site, &manager);
    let ready = manager.told("READY=1", before).await;
    assert_eq!(manager.datagram(ready)[1], "STATUS=2 of 2 roles fresh");
    assert_eq!(
        site.set("app", "app").await,
        held,
        "the same to the last byte"
    );
    assert!(!second.log().contains(CANARY), "{}", second.log());
}

#[tokio::test]
async fn what_was_forgotten_or_redefined_does_not_come_back() {
    let site = Site::new();
    configure(&site);
    let manager = Manager::start(site.dir());
    let mut first = launch(&site, &manager);
    manager.told("READY=1", 0).await;
    cloud_down(&site);
    site.says(&["forget", "app"], 0).await;
    first.signal(Signal::KILL);
    first.end().await;

    // Another name for the one only: a change to both would drop the forgotten one's set as well,
    // had it come back.
    let text = fs::read_to_string(site.config()).unwrap();
    let (of_app, of_batch) = text.split_once("[role.batch.").unwrap();
    let redefined = of_batch.replace("session-name = \"it\"", "session-name = \"me\"");
    assert_ne!(redefined, of_batch);
    site.write("config.toml", &format!("{of_app}[role.batch.{redefined}"));
    let second = relaunch(&site, &manager);
    second.logs("is dropped: the role is another one").await;
    second.logs("started").await;
    let dropped = second.log().matches("is dropped").count();
    assert_eq!(dropped, 1, "batch's alone: {}", second.log());
    site.role_becomes("app", "none", "retrying").await;
    site.role_becomes("batch", "none", "retrying").await;
}

/// A login that is never written to a disk, and two roles behind it.
fn configure_login(site: &Site) {
    let role = |name: &str| {
        format!(
            "[role.{name}.provider.huawei-identity-center]\nlogin = \"corp\"\n\
             account-id = \"0a1b2c3d4e5f60718293a4b5c6d7e8f0\"\npermission-set = \"{name}\"\n"
        )
    };
    let text = [
        base(),
        "[login.corp.huawei-identity-center]\nstart-url = \"{cloud}/portal/start\"\n\
         region = \"cn-north-4\"\noidc-endpoint = \"{cloud}\"\n\
         portal-endpoint = \"{cloud}\"\nstate = \"memory\"\n"
            .to_owned(),
        role("read-only"),
        role("admin"),
        socket("app", &["read-only", "admin"]),
    ]
    .concat();
    site.configure(&text);
}

/// Somebody signs in with the command line.
async fn sign_in(site: &Site) {
    let approved = eventually("somebody waits for an approval", SOON, async || {
        let waiting = site
            .cloud
            .state
            .with_portal(|portal| portal.waiting(SystemClock.boot()).pop())?;
        Some(site.cloud.state.decide(&waiting, Decision::Approve))
    });
    let (said, approved) = tokio::join!(site.says(&["login", "corp"], 0), approved);
    assert!(approved && said.contains("signed in to corp"), "{said}");
}

/// The secrets of the login in the newest state the manager keeps.
fn kept_secrets(manager: &Manager) -> Option<Vec<String>> {
    let (_, path) = manager.hand_over_state();
    let state: Value = serde_json::from_slice(&fs::read(path).ok()?).unwrap();
    let document = BASE64_STANDARD
        .decode(state["logins"]["corp"].as_str()?)
        .unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    let secrets = [
        &document["session"]["token"],
        &document["session"]["refresh_token"],
        &document["client"]["secret"],
    ];
    let texts = secrets.iter().filter_map(|it| it.as_str());
    Some(texts.map(ToOwned::to_owned).collect())
}

#[tokio::test]
async fn a_sign_in_in_memory_outlives_a_crash_and_ends_with_a_logout() {
    let site = Site::new();
    configure_login(&site);
    let manager = Manager::start(site.dir());
    let mut first = launch(&site, &manager);
    manager.told("READY=1", 0).await;
    sign_in(&site).await;
    for role in ["read-only", "admin"] {
        site.role_becomes(role, "fresh", "idle").await;
    }
    let secrets = eventually("the manager keeps the session", SOON, async || {
        kept_secrets(&manager).filter(|it| it.len() >= 2)
    })
    .await;
    first.signal(Signal::KILL);
    first.end().await;
    let mut written = first.log();

    let before = manager.count();
    let mut second = relaunch(&site, &manager);
    manager.told("READY=1", before).await;
    assert_eq!(site.status().await["logins"][0]["state"], "signed-in");
    // Not what was held: dropped, it can only come back by the session.
    let held = site.set("app", "admin").await;
    site.says(&["forget", "admin"], 0).await;
    site.role_becomes("admin", "fresh", "idle").await;
    let anew = site.set("app", "admin").await;
    assert_ne!(anew["access_key_id"], held["access_key_id"]);
    site.says(&["refresh", "read-only"], 0).await;

    site.says(&["logout", "corp"], 0).await;
    assert_eq!(kept_secrets(&manager), None, "gone before we said so");
    second.signal(Signal::KILL);
    second.end().await;
    written.push_str(&second.log());
    let before = manager.count();
    let third = relaunch(&site, &manager);
    manager.told("READY=1", before).await;
    assert_eq!(site.status().await["logins"][0]["state"], "needs-login");
    written.push_str(&third.log());

    for secret in &secrets {
        assert!(!written.contains(secret), "a log holds a secret");
        for entry in fs::read_dir(site.dir()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                assert!(!text.contains(secret), "{} holds it", path.display());
            }
        }
    }
}

#[tokio::test]
async fn a_state_nobody_wrote_is_named_and_ignored() {
    let site = Site::new();
    configure(&site);
    site.write("foreign", "canary-not-a-state");
    let daemon = site.launch_as(|command| {
        let program = command.get_program().to_owned();
        *command = Command::new("sh");
        command
            .args(["-c", "exec \"$0\" run 3<\"$KEPT\" 4<\"$KEPT\""])
            .arg(program)
            .env("KEPT", site.path("foreign"))
            .env("LISTEN_FDS", "2")
            .env("LISTEN_FDNAMES", "state@7:something")
            .env("CREDVEND_CONFIG", site.config())
            .env("RUNTIME_DIRECTORY", site.dir())
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .stderr(fs::File::create(site.path("log")).unwrap());
    });
    daemon.logs("the kept state `state@7` is not used").await;
    daemon
        .logs("kept a descriptor `something` that credvend does not know")
        .await;
    daemon.logs("started").await;
    site.role_becomes("app", "fresh", "idle").await;
    assert!(
        !daemon.log().contains("canary-not-a-state"),
        "{}",
        daemon.log()
    );
    let descriptors = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap();
    let open: Vec<_> = descriptors
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .collect();
    assert!(!open.contains(&site.path("foreign")), "{open:?}");
}
