//! Under a service manager: what it is told, and a restart that keeps everything.

use std::fs;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::manager::Manager;
use super::site::{Daemon, Site, assumed, base, socket};
use crate::support::CANARY;
use credvend::emulator::{Fault, FaultKind};

fn configure(site: &Site) {
    let text = [
        base(),
        assumed("app", "ops", "app", ""),
        assumed("batch", "ops", "batch", ""),
        socket("app", &["app", "batch"]),
    ]
    .concat();
    site.configure(&text);
}

fn launch(site: &Site, manager: &Manager) -> Daemon {
    site.launch_as(|command| {
        command
            .env("NOTIFY_SOCKET", &manager.socket)
            .env("WATCHDOG_USEC", "400000");
    })
}

/// As the manager starts the next process: with what it kept as descriptor 3.
fn relaunch(site: &Site, manager: &Manager) -> Daemon {
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
async fn the_manager_hears_of_start_reload_life_and_end() {
    let site = Site::new();
    configure(&site);
    let manager = Manager::start(site.dir());
    let mut daemon = launch(&site, &manager);

    let ready = manager.told("READY=1", 0).await;
    let told = manager.datagram(ready);
    assert!(
        told.contains(&"STATUS=2 of 2 roles fresh".to_owned()),
        "{told:?}"
    );
    let alive = manager.told("WATCHDOG=1", 0).await;
    manager.told("WATCHDOG=1", alive + 1).await;

    let before = manager.count();
    daemon.signal(Signal::HUP);
    let reloading = manager.told("RELOADING=1", before).await;
    let told = manager.datagram(reloading);
    assert!(
        told.iter().any(|it| it.starts_with("MONOTONIC_USEC=")),
        "{told:?}"
    );
    manager.told("READY=1", reloading).await;

    // Wrong files end a reload as well: the manager would wait for its time-out.
    site.configure("nonsense = 1\n");
    let before = manager.count();
    daemon.signal(Signal::HUP);
    let reloading = manager.told("RELOADING=1", before).await;
    manager.told("READY=1", reloading).await;

    daemon.signal(Signal::TERM);
    manager.told("STOPPING=1", before).await;
    assert_eq!(daemon.end().await, 0, "{}", daemon.log());
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

    // Another policy: what was obtained under the old definition must not be served.
    let text = fs::read_to_string(site.config()).unwrap();
    site.write(
        "config.toml",
        &text.replace("session-name = \"it\"", "session-name = \"me\""),
    );
    let second = relaunch(&site, &manager);
    second.logs("is dropped: the role is another one").await;
    second.logs("ready").await;
    site.role_becomes("app", "none", "retrying").await;
    site.role_becomes("batch", "none", "retrying").await;
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
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .stderr(fs::File::create(site.path("log")).unwrap());
    });
    daemon.logs("the kept state `state@7` is not used").await;
    daemon
        .logs("kept a descriptor `something` that credvend does not know")
        .await;
    daemon.logs("ready").await;
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
