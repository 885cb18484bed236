//! Commands at their edges: readers that go away, peers that never answer, files that say nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::site::{SOON, Site, assumed, base, eventually, socket};
use crate::support::{Started, credvend, run};

fn config() -> String {
    [
        base(),
        assumed("app", "ops", "app", ""),
        assumed("away", "ops", "nobody-knows-it", ""),
        socket("app", &["app", "away"]),
    ]
    .concat()
}

#[tokio::test]
async fn watching_ends_with_its_reader() {
    let site = Site::new();
    site.configure(&config());
    let _daemon = site.start().await;
    let watching = Command::new(assert_cmd::cargo::cargo_bin!("credvend"))
        .args(["status", "--watch"])
        .env("CREDVEND_CONFIG", site.config())
        .stdout(Stdio::piped())
        .spawn();
    let mut watching = Started(watching.unwrap());
    let mut lines = BufReader::new(watching.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("credvend "), "{first}");
    let row = lines.find_map(|line| line.unwrap().strip_prefix("app\t").map(str::to_owned));
    assert!(row.unwrap().starts_with("fresh\tidle\t"), "tabs, no table");
    drop(lines);
    let code = eventually("it ends", SOON, async || {
        watching.0.try_wait().unwrap().map(|status| status.code())
    })
    .await;
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn what_was_not_held_is_not_said_to_be_forgotten() {
    let site = Site::new();
    site.configure(&config());
    let _daemon = site.start().await;
    let text = site.says(&["forget", "app", "away"], 0).await;
    assert_eq!(text, "app: forgotten\naway: nothing was held\n");
}

#[test]
fn waiting_ends_in_time_whoever_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("silent.sock");
    let _silent = UnixListener::bind(&path).unwrap(); // connections are made, and that is all
    let began = Instant::now();
    let wait = |more: &[&str]| run(credvend(&["wait", "app", "--socket"]).arg(&path).args(more));
    let ended = wait(&["--timeout", "1s"]);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "{ended:?}");

    // Whatever is accepted is waited for, and what nobody can mean is not accepted.
    let absurd = wait(&["--timeout", "9999999999999h"]);
    assert_eq!(absurd.code, Some(64), "{absurd:?}");
    assert!(absurd.stderr.contains("ten years"), "{absurd:?}");
    let answered = dir.path().join("none.sock");
    let mut waiting = Started::new(&[
        "wait",
        "app",
        "--timeout",
        "87000h",
        "--socket",
        answered.to_str().unwrap(),
    ]);
    std::thread::park_timeout(Duration::from_secs(1));
    assert_eq!(waiting.0.try_wait().unwrap(), None, "it waits");
}

#[test]
fn an_empty_variable_names_no_file_and_an_empty_option_is_a_mistake() {
    let ended = run(credvend(&["check"]).env("CREDVEND_CONFIG", ""));
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains("/etc/credvend/config.toml"), "{ended:?}");
    let ended = run(&mut credvend(&["--config", "", "env", "app"]));
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.stderr.contains("names no file"), "{ended:?}");
}

#[test]
fn with_a_file_that_says_nothing_no_other_daemon_is_told_anything() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    let says = |arguments: &[&str]| run(credvend(arguments).env("CREDVEND_CONFIG", &config));
    for command in [
        &["forget", "--all"][..],
        &["refresh"],
        &["reload"],
        &["whoami", "app"],
    ] {
        let ended = says(command);
        assert_eq!(ended.code, Some(78), "{command:?}: {ended:?}");
        assert!(ended.stderr.contains("config.toml"), "{ended:?}");
    }
    fs::write(&config, "[admin]\nsocket =\n").unwrap();
    let ended = says(&["forget", "--all"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("config.toml:2: "), "{ended:?}");
}
