//! What several of the modules need: the real program, captured logs, and the canary that must
//! not turn up anywhere.

use std::cell::RefCell;
use std::io;
use std::process::{Child, Output, Stdio};
use std::sync::Once;

use assert_cmd::Command;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub(crate) use crate::left_out::skipped;

/// Part of every made-up secret. Whatever prints it where nobody asked leaks.
pub(crate) const CANARY: &str = "canary-Zq7wv3";

/// Where daemons leave word of themselves that have no directory of their own, not where those of
/// this host do.
pub(crate) const RUNTIME_DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");

/// The program with these arguments and an environment without settings of ours.
pub(crate) fn credvend(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("credvend"));
    command
        .args(arguments)
        .env_remove("CREDVEND_CONFIG")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env("RUNTIME_DIRECTORY", RUNTIME_DIRECTORY)
        .timeout(std::time::Duration::from_secs(30));
    command
}

/// How the program ended and what it printed, as text.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("it can be started");
    Ended {
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("text"),
        stderr: String::from_utf8(stderr).expect("text"),
    }
}

/// The program running beside a test, ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Started(pub(crate) Child);

impl Started {
    /// Starts it with a pipe at its stdout.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("credvend"))
            .args(arguments)
            .env_remove("CREDVEND_CONFIG")
            .env("RUNTIME_DIRECTORY", RUNTIME_DIRECTORY)
            .stdout(Stdio::piped())
            .spawn();
        Self(child.expect("it can be started"))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

thread_local! {
    /// libtest gives each test a thread, and `#[tokio::test]` keeps its tasks on it.
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// From here on the log of this test's thread can be read with [`logged`], at every level and
/// in the daemon's own text format.
///
/// Installed for the process, not for a thread: tracing caches per call site whether anybody
/// listens, and another test's thread without a subscriber would switch ours off.
pub(crate) fn capture_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let text = credvend::observe::logging::text_layer(|| ToThread, false);
        tracing_subscriber::registry()
            .with(LevelFilter::TRACE)
            .with(text)
            .init();
    });
}

/// What this test's thread has logged so far.
pub(crate) fn logged() -> String {
    LOGGED.with_borrow(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

struct ToThread;

impl io::Write for ToThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
