//! Those who may not: other users, and a second daemon on the same sockets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::site::{ADMIN, Site, assumed, base, socket};
use crate::support::{Ended, skipped};

/// Nobody the tests or the daemon run as.
const STRANGER: u32 = 54_322;

/// The program run by a stranger, who can reach the sockets and read the configuration.
async fn as_stranger(site: &Site, arguments: &[&str]) -> Ended {
    let program = site.path("credvend");
    let built = assert_cmd::cargo::cargo_bin!("credvend");
    if !program.exists() {
        fs::hard_link(built, &program)
            .or_else(|_| fs::copy(built, &program).map(drop))
            .unwrap();
    }
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("CREDVEND_CONFIG", site.config())
        .uid(STRANGER)
        .gid(STRANGER);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[tokio::test]
async fn a_stranger_may_read_the_status_and_nothing_else() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can become another user");
        return;
    }
    let site = Site::new();
    let text = [
        base().replace(ADMIN, &format!("{ADMIN}mode = \"0666\"\n")),
        assumed("app", "ops", "app", ""),
        socket("app", &["app"]) + "mode = \"0666\"\nallow = { users = [\"root\"] }\n",
        "[listener.tcp]\naddress = \"{ip}:9470\"\nroles = [\"app\"]\n".into(),
    ]
    .concat();
    site.configure(&text);
    for path in [site.dir().to_owned(), site.config()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let daemon = site.start().await;
    let status = as_stranger(&site, &["status", "--json"]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(
        serde_json::from_str::<Value>(&status.stdout).is_ok(),
        "{status:?}"
    );
    for command in [
        &["refresh"][..],
        &["reload"],
        &["forget", "--all"],
        &["whoami", "app"],
    ] {
        let ended = as_stranger(&site, command).await;
        assert_eq!(ended.code, Some(77), "{command:?}: {ended:?}");
        assert!(
            ended.stderr.contains(&format!("uid {STRANGER}")),
            "{command:?}: {ended:?}"
        );
        assert_eq!(ended.stdout, "", "{command:?}");
    }
    // Neither of the two listeners lets a stranger in, each by its own rule.
    let get = as_stranger(&site, &["get", "app"]).await;
    assert_eq!(get.code, Some(77), "{get:?}");
    assert!(
        get.stderr
            .contains(&format!("uid {STRANGER} is not allowed")),
        "{get:?}"
    );
    assert_eq!(get.stdout, "");
    site.says(&["get", "app"], 0).await;

    let denied = daemon.lines("credvend::audit");
    let by_stranger = format!("uid={STRANGER}");
    for part in [
        "action=refresh",
        "action=reload",
        "action=forget",
        "action=denied",
    ] {
        assert!(
            denied
                .iter()
                .any(|line| line.contains(part) && line.contains(&by_stranger)),
            "{part} in {denied:#?}"
        );
    }
}

#[tokio::test]
async fn a_token_is_for_the_group_that_the_listener_names() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can become another user");
        return;
    }
    let site = Site::new();
    let tasks = "[listener.tasks]\naddress = \"{ip}:9472\"\nprotocols = [\"aws-container\"]\n\
                 roles = [\"app\"]\ntoken = \"file:{dir}/tasks.token\"\nallow = \"any-local\"\n";
    let text = [base(), assumed("app", "ops", "app", ""), tasks.into()].concat();
    site.configure(&text);
    fs::set_permissions(site.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let _daemon = site.start().await;
    let read = || {
        let mut command = Command::new("cat");
        command.arg(site.path("tasks.token"));
        command.uid(STRANGER).gid(STRANGER).output().unwrap()
    };
    assert!(!read().status.success(), "nobody but us");
    let open = std::net::TcpStream::connect((site.ip, 9472)).unwrap();

    site.configure(&format!("{text}group = {STRANGER}\n"));
    let said = site.says(&["reload"], 0).await;
    assert!(
        said.contains("listener `tasks` changed\n"),
        "its socket stays: {said}"
    );
    let token = read();
    assert!(token.status.success(), "{token:?}");
    let shown = String::from_utf8(token.stdout).unwrap();
    let header = format!("Authorization: {shown}\r\n");
    let reply = site.tcp(9472, "/aws/container/app", &header).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    open.set_nonblocking(true).unwrap();
    let more = std::io::Read::read(&mut &open, &mut [0]).unwrap_err();
    assert_eq!(
        more.kind(),
        std::io::ErrorKind::WouldBlock,
        "it was not closed"
    );
}

#[tokio::test]
async fn a_socket_for_a_group_that_the_daemon_is_not_in_says_so() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can become another user");
        return;
    }
    let site = Site::new();
    let own = site.path("own");
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(STRANGER), Some(STRANGER)).unwrap();
    for (line, told) in [
        (
            "group = 0",
            format!(
                "/own/app.sock` cannot be given to group 0, since the daemon's user (uid \
                 {STRANGER}) is not in it: make the user a member and restart the daemon, or \
                 configure another `group`"
            ),
        ),
        (
            "owner = 0",
            format!("cannot be given to uid 0 by the daemon's user (uid {STRANGER})"),
        ),
    ] {
        site.configure(&format!(
            "[admin]\nsocket = \"{{dir}}/own/admin.sock\"\n\
             [role.app.provider.command]\ncommand = [\"/bin/false\"]\ncloud = \"tencent\"\n\
             [listener.app]\naddress = \"unix:{{dir}}/own/app.sock\"\nroles = [\"app\"]\n{line}\n"
        ));
        for path in [site.dir().to_owned(), site.config()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let ended = as_stranger(&site, &["run"]).await;
        assert_eq!(ended.code, Some(69), "{ended:?}");
        assert!(ended.stderr.contains(&told), "{told}: {ended:?}");
    }
}

#[tokio::test]
async fn nobody_reads_the_memory_of_a_command_that_holds_a_set() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can become another user");
        return;
    }
    let site = Site::new();
    let program = site.path("credvend");
    fs::copy(assert_cmd::cargo::cargo_bin!("credvend"), &program).unwrap();
    fs::set_permissions(site.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let listen = format!("{}:9479", site.ip);
    let child = Command::new(program)
        .args(["bridge", "/nowhere.sock", "--listen", &listen])
        .uid(STRANGER)
        .gid(STRANGER)
        .stderr(std::process::Stdio::null())
        .spawn();
    let bridge = crate::support::Started(child.unwrap());
    // Its files in /proc are root's, not its user's, once it cannot be dumped or traced.
    let status = format!("/proc/{}/status", bridge.0.id());
    super::site::eventually("it is out of reach", super::site::SOON, async || {
        let is_up = tokio::net::TcpStream::connect(&listen).await.is_ok();
        is_up.then_some(())
    })
    .await;
    let uid = std::os::unix::fs::MetadataExt::uid(&fs::metadata(status).unwrap());
    assert_eq!(uid, 0);
}

#[tokio::test]
async fn a_second_daemon_takes_nothing_from_the_first() {
    let site = Site::new();
    site.configure(
        &[
            base(),
            assumed("app", "ops", "app", ""),
            socket("app", &["app"]),
        ]
        .concat(),
    );
    let mut first = site.start().await;
    let ended = site.run(&["run"]).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    let message = ended.stderr.lines().last().unwrap_or_default();
    assert!(message.contains("app.sock"), "{ended:?}");
    assert!(message.contains("in use"), "{ended:?}");
    site.set("app", "app").await;
    site.says(&["status", "--check"], 0).await;

    // Killed without a chance to tidy up, it leaves nothing that stands in the way.
    first.signal(Signal::KILL);
    first.end().await;
    assert!(site.path("app.sock").exists());
    let _next = site.start().await;
    site.set("app", "app").await;
}
