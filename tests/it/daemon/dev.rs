//! `credvend dev`: what it prints works when it is pasted, and nothing is left behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{TcpStream, UnixStream};

use super::site::{Reply, eventually, exchange, request};
use crate::support::{Ended, Started};

/// What `curl` would do with such a line: a URL, a socket, a header out of a file.
async fn curl(line: &str) -> Reply {
    let words: Vec<&str> = line.split_whitespace().collect();
    let url = words
        .last()
        .unwrap()
        .strip_prefix("http://")
        .expect("a URL");
    let (host, path) = url.split_once('/').unwrap();
    let headers = line
        .split_once("$(cat ")
        .map_or_else(String::new, |(_, rest)| {
            let (file, _) = rest.split_once(')').unwrap();
            format!("Authorization: {}\r\n", fs::read_to_string(file).unwrap())
        });
    let asked = request(&format!("/{path}"), host, &headers);
    let reply = match words.iter().position(|word| *word == "--unix-socket") {
        Some(at) => exchange(UnixStream::connect(words[at + 1]).await.unwrap(), &asked).await,
        None => exchange(TcpStream::connect(host).await.unwrap(), &asked).await,
    };
    reply.expect("an answer")
}

async fn shell(line: &str) -> Ended {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).env_remove("CREDVEND_CONFIG");
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
async fn every_line_works_when_pasted_and_nothing_is_left_behind() {
    let place = tempfile::tempdir().unwrap();
    let child = Command::new(assert_cmd::cargo::cargo_bin!("credvend"))
        .arg("dev")
        .env("XDG_RUNTIME_DIR", place.path())
        .env("RUNTIME_DIRECTORY", place.path())
        .env_remove("JOURNAL_STREAM")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut dev = Started(child.unwrap());
    let mut output = BufReader::new(dev.0.stdout.take().unwrap()).lines();
    let mut lines = Vec::new();
    while let Some(Ok(line)) = output.next() {
        let is_last = line.contains("Ctrl-C");
        lines.push(line);
        if is_last {
            break;
        }
    }
    let program = assert_cmd::cargo::cargo_bin!("credvend")
        .display()
        .to_string();
    let pasted: Vec<&String> = lines.iter().filter(|line| !line.starts_with('#')).collect();
    assert!(pasted.len() >= 7, "{lines:#?}");
    let mut id = None;
    for line in pasted {
        if line.starts_with("curl ") {
            let reply = curl(line).await;
            assert_eq!(reply.status, 200, "{line}: {reply:?}");
            if line.contains("security-credentials/app") {
                id = reply.json()["TmpSecretId"].as_str().map(ToOwned::to_owned);
            }
        } else {
            assert!(line.starts_with(&program), "{line}");
            let ended = shell(line).await;
            assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
        }
    }
    // One of the lines asked for another set.
    let line = lines
        .iter()
        .find(|line| line.contains("security-credentials/app"))
        .unwrap();
    eventually(
        "another set is served",
        Duration::from_secs(30),
        async || {
            let now = curl(line).await.json()["TmpSecretId"]
                .as_str()
                .map(ToOwned::to_owned);
            (now != id).then_some(())
        },
    )
    .await;

    let pid = Pid::from_raw(i32::try_from(dev.0.id()).unwrap()).unwrap();
    // Told twice within moments, it still tidies up.
    kill_process(pid, Signal::INT).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let code = eventually("it ends", Duration::from_secs(10), async || {
        dev.0.try_wait().unwrap().map(|status| status.code())
    })
    .await;
    assert_eq!(code, Some(0));
    assert_eq!(
        fs::read_dir(place.path()).unwrap().count(),
        0,
        "left behind"
    );
}
