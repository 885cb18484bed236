use super::*;
use proptest::prelude::*;

use crate::clock::BootTime;

const CANARY: &str = "canary-secret";

fn boot(seconds: u64) -> BootTime {
    BootTime::new(Duration::from_secs(seconds))
}

fn here(boot_id: &str, boot_secs: u64, wall_secs: u64) -> Here<'_> {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + wall_secs);
    Here {
        at: Moment {
            now: boot(boot_secs),
            wall,
        },
        boot_id,
    }
}

/// A set of an hour, obtained at 1000 s after boot.
fn set(token: &str) -> CredentialSet {
    CredentialSet {
        keys: Keys {
            access_key_id: "AKID".into(),
            secret_access_key: Secret::from(CANARY),
            session_token: Secret::from(token),
        },
        issued_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        obtained_at: boot(1000),
        expires_at: boot(4600),
        generation: 42,
        etag: "\"e\"".into(),
    }
}

fn keyring() -> Keyring {
    Keyring::generate().unwrap()
}

/// Written at 1060 s after boot "one", when the wall clock showed 60.
fn written(token: &str) -> Document {
    let set = set(token);
    let name: Name = "app".parse().unwrap();
    let held = Held {
        role: &name,
        fingerprint: "f00d",
        set: &set,
        real_expiry: set.issued_at,
        margin_dropped: true,
        last_success: Some(set.issued_at),
    };
    let text = encode(
        [held].into_iter(),
        &Besides::default(),
        &keyring(),
        7,
        here("one", 1060, 60),
    )
    .unwrap();
    decode(text.as_ref()).unwrap()
}

fn app(name: &str) -> Option<String> {
    (name == "app").then(|| "f00d".to_owned())
}

#[test]
fn everything_comes_back_on_the_same_boot_whatever_the_wall_clock_did() {
    for wall_secs in [0, 100, 90_000] {
        let mut notes = Vec::new();
        let document = written("token");
        assert_eq!(document.sequence, 7);
        let restored = document.restore(app, here("one", 1100, wall_secs), &mut notes);
        let back = &restored["app"];
        assert_eq!(back.set.keys.secret_access_key.expose(), CANARY);
        assert_eq!(back.set.keys.session_token.expose(), "token");
        assert_eq!(back.set.obtained_at, boot(1000));
        assert_eq!(back.set.expires_at, boot(4600));
        assert_eq!((back.set.generation, back.set.etag.as_str()), (42, "\"e\""));
        assert_eq!(back.last_success, Some(back.set.issued_at));
        assert_eq!(back.real_expiry, back.set.issued_at);
        assert!(back.margin_dropped);
        assert!(notes.is_empty(), "{notes:?}");
    }
}

#[test]
fn on_another_boot_life_is_counted_on_the_wall_clock() {
    // 340 s by the wall after writing: obtained 400 s ago, 3200 s of life left.
    let restored = written("t").restore(app, here("two", 500, 400), &mut Vec::new());
    let set = &restored["app"].set;
    assert_eq!((set.obtained_at, set.expires_at), (boot(100), boot(3700)));

    let restored = written("t").restore(app, here("two", 5, 400), &mut Vec::new());
    let set = &restored["app"].set;
    assert_eq!((set.obtained_at, set.expires_at), (boot(0), boot(3205)));
}

#[test]
fn two_boots_without_a_name_are_not_the_same() {
    let mut document = written("t");
    document.boot_id = String::new();
    let restored = document.restore(app, here("", 500, 400), &mut Vec::new());
    let set = &restored["app"].set;
    // As on another boot: 340 s by the wall after writing.
    assert_eq!((set.obtained_at, set.expires_at), (boot(100), boot(3700)));
}

#[test]
fn what_cannot_be_served_is_dropped_with_a_sentence() {
    type Fingerprint = fn(&str) -> Option<String>;
    let gone: Fingerprint = |_| None;
    let other: Fingerprint = |_| Some("beef".to_owned());
    let app: Fingerprint = app;
    for (case, fingerprint, token, place, said) in [
        (
            "removed",
            gone,
            "t",
            here("one", 1100, 100),
            "not configured",
        ),
        (
            "redefined",
            other,
            "t",
            here("one", 1100, 100),
            "another one",
        ),
        ("incomplete", app, "", here("one", 1100, 100), "missing"),
        ("expired", app, "t", here("one", 4600, 100), "expired"),
        (
            "expired meanwhile",
            app,
            "t",
            here("two", 9, 3601),
            "expired",
        ),
        (
            "from the future",
            app,
            "t",
            here("one", 900, 100),
            "contradict",
        ),
        ("clock set back", app, "t", here("two", 9, 59), "set back"),
    ] {
        let mut notes = Vec::new();
        let restored = written(token).restore(fingerprint, place, &mut notes);
        assert!(restored.is_empty(), "{case}");
        assert!(
            notes.len() == 1 && notes[0].contains(said),
            "{case}: {notes:?}"
        );
    }
}

#[test]
fn foreign_torn_and_newer_states_are_named_without_quoting_them() {
    let name: Name = "app".parse().unwrap();
    let set = set("t");
    let held = Held {
        role: &name,
        fingerprint: "f",
        set: &set,
        real_expiry: set.issued_at,
        margin_dropped: true,
        last_success: None,
    };
    let text = encode(
        [held].into_iter(),
        &Besides::default(),
        &keyring(),
        1,
        here("one", 1, 1),
    )
    .unwrap();
    let newer = String::from_utf8(text.as_ref().to_vec()).unwrap().replacen(
        "\"version\":1",
        "\"version\":2",
        1,
    );
    let wrong = newer.replacen(
        "\"version\":2,\"sequence\":1",
        "\"version\":1,\"sequence\":\"x\"",
        1,
    );
    for (case, text, said) in [
        ("empty", &b""[..], "not a state"),
        ("foreign", b"{\"canary-secret\":1}", "not a state"),
        (
            "torn",
            &text.as_ref()[..text.as_ref().len() - 9],
            "not a state",
        ),
        ("newer", newer.as_bytes(), "has version 2"),
        ("damaged", wrong.as_bytes(), "damaged at line 1"),
    ] {
        let Err(sentence) = decode(text) else {
            panic!("{case} was accepted");
        };
        assert!(sentence.contains(said), "{case}: {sentence}");
        assert!(!sentence.contains(CANARY), "{case}: {sentence}");
    }
}

#[test]
fn logins_that_live_in_memory_come_back() {
    let mut document = WipedBuffer::default();
    document.extend(b"{\"session\":\"\\u00e9\"}");
    let besides = Besides {
        logins: BTreeMap::from([("corp".parse().unwrap(), Arc::new(document))]),
        ..Besides::default()
    };
    let text = encode([].into_iter(), &besides, &keyring(), 1, here("one", 1, 1)).unwrap();
    let back = decode(text.as_ref()).unwrap().logins();
    assert_eq!((*back["corp"]).as_ref(), (*besides.logins["corp"]).as_ref());
    assert_eq!(format!("{back:?}"), "{corp: WipedBuffer(20 bytes)}");

    // A state of before there were any, and one with a login that nobody could name.
    let text = String::from_utf8(text.as_ref().to_vec()).unwrap();
    let (before, _) = text.split_once(",\"logins\"").unwrap();
    let before = decode(format!("{before}}}").as_bytes()).unwrap();
    assert!(before.logins().is_empty());
    let foreign = text.replacen("\"corp\"", "\"/corp\"", 1);
    assert!(decode(foreign.as_bytes()).unwrap().logins().is_empty());
    let damaged = text.replacen("\"corp\":\"", "\"corp\":\"*", 1);
    assert!(decode(damaged.as_bytes()).unwrap().logins().is_empty());
}

#[test]
fn tokens_come_back_on_the_same_boot_only() {
    let value = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
    let token = KeptToken {
        current: Some(value("present-\"token\"")),
        previous: vec![(value("former"), boot(1600)), (value("older"), boot(1100))],
    };
    let path = PathBuf::from("/run/credvend/tasks.token");
    let besides = Besides {
        tokens: BTreeMap::from([(path.clone(), token.clone())]),
        ..Besides::default()
    };
    let text = encode(
        [].into_iter(),
        &besides,
        &keyring(),
        1,
        here("one", 1060, 60),
    )
    .unwrap();
    let document = decode(text.as_ref()).unwrap();
    let back = document.tokens(here("one", 2000, 90_000));
    assert_eq!(back, besides.tokens, "whatever the wall clock did");
    assert!(document.tokens(here("two", 1061, 61)).is_empty());
    assert!(!format!("{besides:?}").contains("former"));

    // A state of before there were any.
    let text = String::from_utf8(text.as_ref().to_vec()).unwrap();
    let (before, _) = text.split_once(",\"tokens\"").unwrap();
    let before = decode(format!("{before}}}").as_bytes()).unwrap();
    assert!(before.tokens(here("one", 1061, 61)).is_empty());
    assert!(before.clocks(here("one", 1061, 61)).is_empty());
}

#[test]
fn learned_clocks_come_back_on_the_same_boot_only() {
    let learned = Learned {
        ahead: -3600,
        wall_at_boot: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    };
    let besides = Besides {
        clocks: BTreeMap::from([("sts.example".to_owned(), learned)]),
        ..Besides::default()
    };
    let text = encode(
        [].into_iter(),
        &besides,
        &keyring(),
        1,
        here("one", 1060, 60),
    )
    .unwrap();
    let document = decode(text.as_ref()).unwrap();
    assert_eq!(document.clocks(here("one", 2000, 90)), besides.clocks);
    assert!(document.clocks(here("two", 2000, 90)).is_empty());
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", keyring()), "Keyring(redacted)");
}

proptest! {
    #[test]
    fn reading_never_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode(&text).is_err());
    }

    #[test]
    fn nothing_restored_is_expired_or_longer_lived_than_it_was(
        elapsed in 0_u64..10_000, boot_secs in 0_u64..20_000, same in any::<bool>(),
    ) {
        let place = here(if same { "one" } else { "two" }, boot_secs, 60 + elapsed);
        let restored = written("t").restore(app, place, &mut Vec::new());
        if let Some(back) = restored.get("app") {
            let left = back.set.remaining(place.at.now);
            prop_assert!(!left.is_zero() && left <= Duration::from_hours(1));
            if !same {
                prop_assert_eq!(left, Duration::from_secs(3540 - elapsed));
            }
        }
    }
}
