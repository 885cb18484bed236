//! Commands find the daemon where it is, also while the configuration says something else.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::site::{SOON, Site, assumed, base, eventually, socket};
use crate::support::{Ended, credvend, run};

fn config() -> String {
    [
        base(),
        assumed("app", "ops", "app", ""),
        socket("app", &["app"]),
    ]
    .concat()
}

/// A command in the environment of the unit, to its end.
async fn in_the_unit(site: &Site, arguments: &[&str]) -> Ended {
    let mut command = credvend(arguments);
    command
        .env("CREDVEND_CONFIG", site.config())
        .env("RUNTIME_DIRECTORY", site.path("run"));
    tokio::task::spawn_blocking(move || run(&mut command))
        .await
        .unwrap()
}

#[tokio::test]
async fn the_daemon_is_found_where_it_is_and_not_only_where_the_file_says() {
    let site = Site::new();
    fs::create_dir(site.path("run")).unwrap();
    fs::set_permissions(site.path("run"), Permissions::from_mode(0o755)).unwrap();
    site.configure(&config());
    let mut daemon = site.launch_as(|command| {
        command.env("RUNTIME_DIRECTORY", site.path("run"));
    });
    eventually("the daemon is there", SOON, async || {
        site.try_get("admin", "/admin/v1/status").await
    })
    .await;

    // A file that nobody can read: the daemon hears of it and says where it is wrong.
    site.configure(&format!("{}[role.app\n", config()));
    let line = config().lines().count() + 1;
    let ended = in_the_unit(&site, &["reload"]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let place = format!("config.toml:{line}:");
    assert!(ended.stderr.contains(&place), "{}", ended.stderr);
    assert_eq!(site.status().await["last_reload_successful"], false);
    let ended = in_the_unit(&site, &["status", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Where the daemon cannot be found either, the mistake is told all the same.
    let ended = site.run(&["reload"]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains(&place), "{}", ended.stderr);
    assert!(ended.stderr.contains("no daemon was asked"), "{ended:?}");

    // Another admin socket is applied through the one that is open.
    site.configure(&config().replace("/admin.sock", "/moved.sock"));
    let ended = in_the_unit(&site, &["reload"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(site.get("moved", "/admin/v1/status").await.status, 200);
    assert!(site.try_get("admin", "/admin/v1/status").await.is_none());

    // And back, without a trace at the end.
    site.configure(&config());
    let ended = in_the_unit(&site, &["reload"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(site.get("admin", "/admin/v1/status").await.status, 200);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().await, 0);
    assert_eq!(fs::read_dir(site.path("run")).unwrap().count(), 0);
}
