//! Commands tell the daemon from whoever has taken its place.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use super::alone::unprivileged;
use super::site::{DAEMON, KEY, METRICS, SOON, Site, assumed, eventually};
use crate::support::{Ended, credvend, run, skipped};

const TASKS: &str = "[listener.tasks]\naddress = \"{ip}:9470\"\nroles = [\"app\"]\n\
                     allow = \"any-local\"\ntoken = \"file:{dir}/tasks.token\"\n";

async fn with(config: &std::path::Path, arguments: &[&str]) -> Ended {
    let mut command = credvend(arguments);
    command.env("CREDVEND_CONFIG", config);
    tokio::task::spawn_blocking(move || run(&mut command))
        .await
        .unwrap()
}

/// Another user's daemon stands in for somebody who holds a port and a socket: to those who name
/// his files it is theirs, to those who only meet him there he is a stranger.
#[tokio::test]
async fn nothing_is_sent_to_a_stranger_and_nothing_he_says_is_believed() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can run a daemon as another user");
        return;
    }
    let site = Site::new();
    let public = site.path("public");
    fs::create_dir(&public).unwrap();
    let config = [
        DAEMON,
        "[admin]\nsocket = \"{dir}/public/admin.sock\"\n",
        METRICS,
        KEY,
        &assumed("app", "ops", "app", ""),
        TASKS,
    ]
    .concat();
    site.configure(&config);
    let change = unprivileged(&site);
    chown(&public, Some(0), Some(0)).unwrap();
    fs::set_permissions(&public, Permissions::from_mode(0o1777)).unwrap();
    let _daemon = site.launch_as(change);
    eventually("credentials are served", SOON, async || {
        let ended = site.run(&["get", "app"]).await;
        (ended.code == Some(0)).then_some(())
    })
    .await;

    // The same port and the same socket in the configuration of a daemon that is down.
    let down = tempfile::tempdir().unwrap();
    let own = down.path().join("config.toml");
    let text = config.replace("file:{dir}", &format!("file:{}", down.path().display()));
    fs::write(&own, site.filled(&text)).unwrap();
    fs::write(down.path().join("tasks.token"), "0123456789abcdef").unwrap();
    let port = format!("{}:9470", site.ip);
    let socket = public.join("admin.sock").display().to_string();
    for (arguments, place) in [
        (&["get", "app"][..], &port),
        (&["wait", "app", "--timeout", "1s"], &port),
        (&["status"], &socket),
        (&["forget", "--all"], &socket),
        (&["reload"], &socket),
        (&["whoami", "app"], &socket),
    ] {
        let ended = with(&own, arguments).await;
        assert_eq!(ended.code, Some(69), "{arguments:?}: {ended:?}");
        let said = format!("{place} is held by uid 54321, who is not known to be the daemon");
        assert!(ended.stderr.contains(&said), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }

    // A directory that is nobody else's tells its owner, unless he could have made it himself.
    chown(&public, Some(54_321), Some(54_321)).unwrap();
    fs::set_permissions(&public, Permissions::from_mode(0o755)).unwrap();
    for arguments in [&["get", "app"][..], &["status"], &["forget", "--all"]] {
        let ended = with(&own, arguments).await;
        assert!(
            ended.stderr.contains("is held by"),
            "{arguments:?}: {ended:?}"
        );
        let ended = with(&site.config(), arguments).await;
        assert!(
            !ended.stderr.contains("is held by"),
            "{arguments:?}: {ended:?}"
        );
    }
}
