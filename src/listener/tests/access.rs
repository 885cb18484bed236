//! Who is let in, with real users where the tests run as root.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::support::{CANARY, Plane, any_port, listener, only, skipped, tcp, unix};
use crate::config::model::{Address, Allow};

/// A user that owns nothing here.
const STRANGER: u32 = 54321;

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// What curl, run as somebody else, gets: status and body.
fn curl_as(uid: u32, arguments: &[&str]) -> Option<(u16, String)> {
    if own() != 0 {
        skipped("not root");
        return None;
    }
    let run = Command::new("curl")
        .args(["-s", "--max-time", "10", "-w", "\n%{http_code}"])
        .args(arguments)
        .uid(uid)
        .gid(uid)
        .current_dir("/")
        .output();
    let Ok(output) = run else {
        skipped("no curl");
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    Some((status.parse().unwrap(), body.to_owned()))
}

#[test]
fn without_allow_tcp_is_for_root_and_ourselves() {
    let plane = Plane::start();
    let mut config = listener("tcp", any_port());
    config.allow = None;
    plane.apply(vec![config]);
    let address = plane.port("tcp");
    assert_eq!(
        tcp(address).get("/v1/roles/app/credentials", "").status,
        200
    );
    for path in [
        "/v1/roles/app/credentials",
        "/latest/meta-data/cam/security-credentials/app",
        "/aws/container/app",
        "/nothing/here",
    ] {
        let url = format!("http://{address}{path}");
        let Some((status, body)) = curl_as(STRANGER, &[&url]) else {
            return;
        };
        assert_eq!(status, 403, "{path}");
        assert!(body.contains("uid 54321"), "{body}");
        assert!(
            body.contains("listener `tcp`") && body.contains("allow = { users ="),
            "{body}"
        );
        assert!(!body.contains(CANARY));
    }
}

#[test]
fn allow_means_what_it_says() {
    let plane = Plane::start();
    let mut config = listener("tcp", any_port());
    config.allow = Some(only(&[STRANGER]));
    plane.apply(vec![config]);
    let address = plane.port("tcp");
    let mut client = tcp(address);
    let refused = client.get("/v1/roles/app/credentials", "");
    assert_eq!(refused.status, 403, "root, too");
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(client.is_closed());
    let url = format!("http://{address}/v1/roles/app/credentials");
    if let Some((status, body)) = curl_as(STRANGER, &[&url]) {
        assert_eq!(status, 200, "{body}");
        assert!(body.contains("AKID-app-1"));
    }
}

#[test]
fn an_empty_allow_admits_nobody_and_any_local_everybody() {
    let plane = Plane::start();
    let (tcp_any, unix_none) = (listener("any", any_port()), plane.path("none"));
    let mut nobody = listener("none", Address::Unix(unix_none.clone()));
    nobody.allow = Some(only(&[]));
    plane.apply(vec![tcp_any, nobody]);
    assert_eq!(unix(&unix_none).get("/v1/roles", "").status, 403);
    let url = format!("http://{}/v1/roles", plane.port("any"));
    if let Some((status, _)) = curl_as(STRANGER, &[&url]) {
        assert_eq!(status, 200);
    }
}

#[test]
fn a_unix_socket_lets_in_whom_its_mode_lets_in_and_allow_narrows_that() {
    let plane = Plane::start();
    let directory = plane.directory.path();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory, permissions).unwrap();
    let socket = |name: &str, mode, allow: Option<Allow>| {
        let mut config = listener(name, Address::Unix(plane.path(name)));
        config.access.mode = mode;
        config.allow = allow;
        config
    };
    plane.apply(vec![
        socket("open", 0o666, None),
        socket("closed", 0o600, None),
        socket("narrowed", 0o666, Some(only(&[own()]))),
    ]);
    for name in ["open", "closed", "narrowed"] {
        assert_eq!(
            unix(&plane.path(name)).get("/v1/roles", "").status,
            200,
            "{name}"
        );
    }
    for (name, expected) in [("open", 200), ("closed", 0), ("narrowed", 403)] {
        let path = plane.path(name);
        let arguments = ["--unix-socket", path.to_str().unwrap(), "http://x/v1/roles"];
        let Some((status, body)) = curl_as(STRANGER, &arguments) else {
            return;
        };
        assert_eq!(status, expected, "{name}: {body}");
        assert_eq!(body.contains("uid 54321"), expected == 403, "{body}");
    }
}
