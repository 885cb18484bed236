//! How a test says that this host cannot run it. Shared by the unit tests and `tests/it`.

use std::io::Write;

/// Says on stderr what was left out; with `CI=true`, where everything has to run, fails instead.
///
/// Not by `eprintln!`: the test harness keeps what a passing test prints to itself, and nobody
/// would ever learn that a check was none.
///
/// # Panics
/// With `CI=true`.
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!is_ci, "{test} cannot run here: {why}");
    let line = format!("left out: {test}: {why}\n");
    // Without a stderr there is nobody to tell.
    drop(std::io::stderr().lock().write_all(line.as_bytes()));
}
