//! No secret in any log line, at any level.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use super::scripted::{CANARY, HOUR, MINUTE, Step, pass, start};
use crate::provider::error::Class;

thread_local! {
    /// libtest gives each test a thread, and `#[tokio::test]` keeps its tasks on it.
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct ToThread;

impl Write for ToThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// For the whole process, not for a thread: tracing caches per call site whether anybody
/// listens, and another test's thread without a subscriber would switch ours off.
fn capture_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(|| ToThread)
            .init();
    });
}

#[tokio::test(start_paused = true)]
async fn secrets_stay_out_of_the_logs_and_of_debug() {
    capture_logs();
    let running = start([
        Step::Give("AK1", HOUR),
        Step::Fail(Class::Transient),
        Step::Give("AK2", HOUR),
    ]);
    pass(12 * MINUTE).await;
    let shown = format!("{:?} {:?}", running.role.view(), running.role);
    let text = LOGGED.with_borrow(|logged| String::from_utf8(logged.clone()).unwrap());
    assert!(
        text.contains("AK1") && text.contains("AK2"),
        "the run was logged:\n{text}"
    );
    assert!(!text.contains(CANARY), "a secret was logged:\n{text}");
    assert!(shown.contains("AK2") && !shown.contains(CANARY), "{shown}");
}
