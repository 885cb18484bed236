//! Whoever reaches a loopback address from outside this host, as they do where the kernel routes
//! such addresses.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::support::{CANARY, Plane, any_port, listener, skipped, tcp};

/// A host of its own at the other end of a cable, which is plugged in at our end first. Says when
/// it is there, and is told when to go on.
const NEIGHBOUR: &str = "echo here; read plugged_in
    ip address add 192.0.2.2/24 dev theirs && ip link set theirs up
    echo 1 >/proc/sys/net/ipv4/conf/theirs/route_localnet
    ip route add 127.0.0.1 via 192.0.2.1
    exec curl -s --max-time 10 -w '\n%{http_code}' \"$1\"";

#[test]
fn a_loopback_address_is_for_this_host_though_others_reach_it() {
    if !is_in_own_network() {
        return;
    }
    let plane = Plane::start();
    plane.apply(vec![listener("any", any_port())]);
    let address = plane.port("any");
    let url = format!("http://{address}/v1/roles/app/credentials");
    let mut neighbour = Command::new("unshare")
        .args(["--net", "sh", "-c", NEIGHBOUR, "sh", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut theirs = BufReader::new(neighbour.stdout.take().unwrap());
    let mut said = String::new();
    theirs.read_line(&mut said).unwrap();
    let plug_in = format!(
        "ip link add ours type veth peer name theirs netns {} && ip link set ours up
         ip address add 192.0.2.1/24 dev ours
         echo 1 >/proc/sys/net/ipv4/conf/ours/route_localnet",
        neighbour.id()
    );
    let plugged_in = Command::new("sh").args(["-c", &plug_in]).status().unwrap();
    let mut to_them = neighbour.stdin.take().unwrap();
    to_them.write_all(b"\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut theirs, &mut answer).unwrap();
    let ended = neighbour.wait().unwrap();
    if !plugged_in.success() || ended.code() == Some(127) {
        skipped("no virtual devices, or no curl");
        return;
    }
    let (body, status) = answer.rsplit_once('\n').unwrap();
    assert_eq!(status, "403", "{answer}");
    assert!(body.contains("from outside this host"), "{answer}");
    assert!(
        !body.contains(CANARY) && !body.contains("any-local"),
        "{answer}"
    );
    let here = tcp(address).get("/v1/roles/app/credentials", "");
    assert_eq!(here.status, 200, "{here:?}");
}

/// Whether the test runs in a network of its own, where it may add addresses. If not, it is run
/// again inside one.
pub(super) fn is_in_own_network() -> bool {
    const INSIDE: &str = "CREDVEND_TEST_IN_OWN_NETWORK";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let own_name = std::thread::current().name().unwrap().to_owned();
    let run = Command::new("unshare")
        .args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && exec \"$@\"",
            "sh",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &own_name, "--nocapture"])
        .env(INSIDE, "1")
        .output();
    let Ok(output) = run else {
        skipped("no unshare");
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("1 passed") {
        return false;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("running"), "{text}{errors}");
    skipped(&format!("no network of our own ({errors})"));
    false
}
