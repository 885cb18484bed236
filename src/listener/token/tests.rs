use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{KeptToken, Token, TokenError, Tokens};
use crate::clock::testing::TestClock;
use crate::clock::{Clock, SystemClock};
use crate::listener::tests::support::skipped;

fn open(path: &Path, clock: &Arc<TestClock>) -> Result<Token, TokenError> {
    Token::open(path, None, Arc::<TestClock>::clone(clock))
}

/// In the way that keeps the file whole.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_missing_file_is_made() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run/token");
    let clock = Arc::new(TestClock::start());
    let token = open(&path, &clock).unwrap();
    let text = fs::read(&path).unwrap();
    assert_eq!(text.len(), 43);
    assert!(
        text.iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o440
    );
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    assert!(token.accepts(&text) && !token.accepts(b"") && !token.accepts(&text[1..]));
    let again = open(&path, &clock).unwrap();
    assert!(again.accepts(&text), "an existing file is kept");
    assert!(!format!("{token:?}").contains(str::from_utf8(&text).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_counts_and_the_token_before_it_for_ten_minutes() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("token");
    replace(&path, "first-0123456789\n");
    let clock = Arc::new(TestClock::start());
    let token = open(&path, &clock).unwrap();
    assert!(
        token.accepts(b"first-0123456789"),
        "the line break is none of it"
    );

    replace(&path, "second-0123456789");
    tokio::time::advance(Duration::from_millis(100)).await;
    assert!(
        token.accepts(b"second-0123456789"),
        "looked again, since it was unknown"
    );
    replace(&path, "third-0123456789");
    tokio::time::advance(Duration::from_secs(2)).await;
    for each in ["first-0123456789", "second-0123456789", "third-0123456789"] {
        assert!(token.accepts(each.as_bytes()), "{each}");
    }
    tokio::time::advance(Duration::from_mins(10)).await;
    assert!(!token.accepts(b"first-0123456789") && !token.accepts(b"second-0123456789"));
    assert!(token.accepts(b"third-0123456789"));
}

/// The tokens of a process that knows this much of an earlier one.
fn tokens(clock: &Arc<TestClock>, kept: BTreeMap<PathBuf, KeptToken>) -> Tokens {
    let tokens = Tokens::new(Arc::<TestClock>::clone(clock), Arc::default());
    tokens.restore(kept);
    tokens
}

#[tokio::test(start_paused = true)]
async fn the_ten_minutes_begin_with_the_change_and_go_on_in_the_next_process() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("token");
    replace(&path, "first-0123456789");
    let clock = Arc::new(TestClock::start());
    let first = tokens(&clock, BTreeMap::new());
    first.open(&path, None).unwrap();
    replace(&path, "second-0123456789");
    first.look();
    tokio::time::advance(Duration::from_mins(6)).await;
    let token = first.open(&path, None).unwrap();
    assert!(
        token.accepts(b"first-0123456789"),
        "bound anew, by another listener"
    );

    let second = tokens(&clock, first.kept());
    assert_eq!(second.kept(), first.kept(), "opened or not");
    let token = second.open(&path, None).unwrap();
    assert!(token.accepts(b"first-0123456789") && token.accepts(b"second-0123456789"));
    tokio::time::advance(Duration::from_mins(4)).await;
    assert!(!token.accepts(b"first-0123456789"), "asked for only now");
    assert!(token.accepts(b"second-0123456789"));
    assert!(second.kept()[&path].previous.is_empty());

    second.retain(&BTreeSet::new());
    assert!(second.kept().is_empty(), "no configuration names it");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_replaced_between_two_processes_has_its_ten_minutes() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("token");
    replace(&path, "first-0123456789");
    let clock = Arc::new(TestClock::start());
    let first = tokens(&clock, BTreeMap::new());
    first.open(&path, None).unwrap();

    replace(&path, "short");
    let second = tokens(&clock, first.kept());
    second.open(&path, None).unwrap_err();
    replace(&path, "second-0123456789");
    let token = second.open(&path, None).unwrap();
    assert!(token.accepts(b"first-0123456789") && token.accepts(b"second-0123456789"));
    tokio::time::advance(Duration::from_mins(10)).await;
    assert!(!token.accepts(b"first-0123456789") && token.accepts(b"second-0123456789"));

    let third = tokens(&clock, second.kept());
    let token = third.open(&path, None).unwrap();
    assert!(!token.accepts(b"first-0123456789"), "for good");
}

#[tokio::test(start_paused = true)]
async fn no_token_of_before_is_good_for_longer_than_ten_minutes() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("token");
    replace(&path, "second-0123456789");
    let clock = Arc::new(TestClock::start());
    let value = zeroize::Zeroizing::new(b"first-0123456789".to_vec());
    let kept = KeptToken {
        current: None,
        previous: vec![(value, clock.boot() + Duration::from_hours(9))],
    };
    let tokens = tokens(&clock, BTreeMap::from([(path.clone(), kept)]));
    let token = tokens.open(&path, None).unwrap();
    assert!(token.accepts(b"first-0123456789"));
    tokio::time::advance(Duration::from_mins(10)).await;
    assert!(!token.accepts(b"first-0123456789"));
}

#[tokio::test(start_paused = true)]
async fn a_new_token_counts_at_once_however_short_ago_the_last_look_was() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("token");
    replace(&path, "first-0123456789");
    let clock = Arc::new(TestClock::start());
    let token = open(&path, &clock).unwrap();
    assert!(!token.accepts(b"second-0123456789"), "a look");
    for each in ["second-0123456789", "third-0123456789"] {
        replace(&path, each);
        assert!(token.accepts(each.as_bytes()), "{each}");
    }
    tokio::time::advance(Duration::from_secs(599)).await;
    for each in ["first-0123456789", "second-0123456789", "third-0123456789"] {
        assert!(token.accepts(each.as_bytes()), "{each} has its ten minutes");
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!token.accepts(b"first-0123456789") && !token.accepts(b"second-0123456789"));
}

/// The times of a file are no finer than a tick of the kernel, and neither size nor inode change.
#[test]
fn a_file_that_is_written_over_within_a_moment_is_read_each_time() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("token");
    let text = |number: u32| format!("token-{number:02}-0123456789");
    fs::write(&path, text(0)).unwrap();
    let token = Token::open(&path, None, Arc::new(SystemClock)).unwrap();
    for number in 1..50 {
        fs::write(&path, text(number)).unwrap();
        assert!(token.accepts(text(number).as_bytes()), "{number}");
        assert!(token.accepts(text(number - 1).as_bytes()), "the one before");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_short_lets_nobody_in() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("token");
    let clock = Arc::new(TestClock::start());
    fs::write(&path, "short").unwrap();
    let text = open(&path, &clock).unwrap_err().to_string();
    assert!(text.contains("fewer than 16 bytes"), "{text}");

    replace(&path, "good-0123456789abc");
    let token = open(&path, &clock).unwrap();
    replace(&path, "short");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(!token.accepts(b"short"));
    assert!(token.accepts(b"good-0123456789abc"), "for ten minutes");
    tokio::time::advance(Duration::from_mins(11)).await;
    assert!(!token.accepts(b"good-0123456789abc"));
}

#[tokio::test(start_paused = true)]
async fn strangers_files_are_no_tokens() {
    if rustix::process::geteuid().as_raw() != 0 {
        skipped("not root");
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("token");
    replace(&path, "good-0123456789abc");
    std::os::unix::fs::chown(&path, Some(1234), None).unwrap();
    let text = open(&path, &Arc::new(TestClock::start()))
        .unwrap_err()
        .to_string();
    assert!(text.contains("belongs to uid 1234"), "{text}");
}
