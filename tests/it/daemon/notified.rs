//! Under a service manager: what it is told, and when.

use std::fs;

use rustix::process::Signal;

use super::manager::Manager;
use super::site::{SOON, Site, eventually};
use super::warm::{configure, launch};
use credvend::emulator::{Fault, FaultKind};

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
async fn a_reload_does_not_end_a_start() {
    let site = Site::new();
    let hang = Fault {
        role: Some("batch".into()),
        forever: true,
        ..Fault::new(FaultKind::Hang)
    };
    site.cloud.state.push_fault(hang).unwrap();
    configure(&site);
    let manager = Manager::start(site.dir());
    let daemon = launch(&site, &manager);
    eventually("role app is served", SOON, async || {
        let reply = site.try_get("app", "/v1/roles/app/credentials").await?;
        (reply.status == 200).then_some(())
    })
    .await;
    daemon.signal(Signal::HUP);
    daemon.logs("configuration reloaded").await;
    let alive = manager.told("WATCHDOG=1", manager.count()).await;
    for index in 0..=alive {
        let told = manager.datagram(index);
        let ends_it = |line: &String| line == "READY=1" || line == "RELOADING=1";
        assert!(!told.iter().any(ends_it), "{told:?}");
    }
}

#[tokio::test]
async fn a_long_grace_is_asked_for_before_it_begins() {
    let site = Site::new();
    configure(&site);
    let text = fs::read_to_string(site.config()).unwrap();
    let grace = "[daemon]\nshutdown-grace = \"40s\"\n";
    site.write("config.toml", &text.replace("[daemon]\n", grace));
    let manager = Manager::start(site.dir());
    let mut daemon = launch(&site, &manager);
    manager.told("READY=1", 0).await;
    daemon.signal(Signal::TERM);
    let stopping = manager.told("STOPPING=1", 0).await;
    let extended = manager.told("EXTEND_TIMEOUT_USEC=", stopping).await;
    assert_eq!(manager.datagram(extended), ["EXTEND_TIMEOUT_USEC=55000000"]);
    assert_eq!(daemon.end().await, 0, "{}", daemon.log());
}

#[tokio::test]
async fn a_store_without_room_is_said_where_people_look() {
    let site = Site::new();
    configure(&site);
    let manager = Manager::start(site.dir());
    // Three sockets and two states.
    let _daemon = site.launch_as(|command| {
        command
            .env("NOTIFY_SOCKET", &manager.socket)
            .env("FDSTORE", "4");
    });
    let ready = manager.told("READY=1", 0).await;
    assert_eq!(
        manager.datagram(ready)[1],
        "STATUS=2 of 2 roles fresh, FileDescriptorStoreMax= too small for a restart"
    );
    let notes = site.status().await["notes"].to_string();
    assert!(
        notes.contains("keeps 4 descriptors and 5 are needed"),
        "{notes}"
    );
}

#[tokio::test]
async fn what_the_manager_did_not_confirm_is_not_called_forgotten() {
    let site = Site::new();
    configure(&site);
    let manager = Manager::start(site.dir());
    let _daemon = site.launch_as(|command| {
        command.env("NOTIFY_SOCKET", &manager.socket);
    });
    manager.told("READY=1", 0).await;
    // What was obtained is stored at most a tenth of a second later.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    manager.listen(false);
    let said = site.says(&["forget", "app"], 69).await;
    assert!(
        said.contains("the service manager may still keep"),
        "{said}"
    );
    manager.listen(true);
}
