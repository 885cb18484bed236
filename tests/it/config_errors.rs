//! What a person reads about a configuration: messages, lines, hints, and nothing secret.

mod files;
mod listeners;
mod providers;
mod secrets;
mod tables;
mod unwise;

use credvend::config::{self, Loaded, Message, Report};
use tempfile::TempDir;

/// Must be in no message.
const CANARY: &str = "hunter2-Xyzzy";

/// A directory with a `config.toml`.
fn directory(text: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("config.toml"), text).expect("writable");
    dir
}

fn load(dir: &TempDir) -> Result<Loaded, Report> {
    config::load(&dir.path().join("config.toml"))
}

/// The mistakes in a text, as `LINE: MESSAGE`, with the hint behind ` | `.
fn mistakes(text: &str) -> Vec<String> {
    match load(&directory(text)) {
        Ok(_) => Vec::new(),
        Err(report) => report.mistakes().iter().map(shown).collect(),
    }
}

/// The warnings about a correct text.
fn warnings(text: &str) -> Vec<String> {
    let loaded = load(&directory(text)).expect(text);
    loaded.warnings.iter().map(shown).collect()
}

fn shown(message: &Message) -> String {
    let line = message
        .line()
        .map_or_else(|| "-".to_owned(), |line| line.to_string());
    match message.hint() {
        Some(hint) => format!("{line}: {} | {hint}", message.text()),
        None => format!("{line}: {}", message.text()),
    }
}

const KEY: &str = "[key.ops]\ncloud = \"tencent\"\nid = \"env:PATH\"\nsecret = \"env:PATH\"\n";

const ARN: &str = "role-arn = \"qcs::cam::uin/1:roleName/app\"\n";

/// A whole configuration around the keys of one provider; they begin in line 7.
fn provider(kind: &str, keys: &str) -> String {
    format!("{KEY}[role.app]\n[role.app.provider.{kind}]\n{keys}")
}

/// A whole configuration around the keys of one listener; they begin in line 10.
fn listener(keys: &str) -> String {
    let role = provider("tencent-assume-role", &format!("source = \"ops\"\n{ARN}"));
    format!("{role}[listener.x]\n{keys}")
}

#[test]
fn ten_mistakes_are_ten_messages_with_their_lines() {
    let text = r#"[daemon]
log = "inof"
shutdown-grace = 5

[key.ops]
cloud = "tencent"
id = "AKIDhunter2-Xyzzy"
sercet = "hunter2-Xyzzy"

[role.app]
refresh_ahead = "60m"
[role.app.provider.tencent-assume-role]
source = "nobody"
role-arn = "qcs::cam::uin/1:roleName/app"
duration = "13h"

[role.other.provider.tencent-assume-roles]

[listener.metadata]
address = "localhost:9470"
roles = ["ap"]
"#;
    let dir = directory(text);
    let report = load(&dir).expect_err("ten mistakes");
    let lines: Vec<String> = report.mistakes().iter().map(shown).collect();
    let expected = [
        "2: `log` contains something that is no level",
        "3: `shutdown-grace` is a duration without a unit",
        "7: `id` must be a reference to a secret, never the secret itself",
        "8: unknown key `sercet` in [key.ops] | did you mean `secret`?",
        "11: unknown key `refresh_ahead` in [role.app] | did you mean `refresh-ahead`?",
        "13: `source` names `nobody`, which is no key and no role | known here: `ops`, `other`",
        "15: `duration` is longer than this action allows | at most 12h",
        "17: unknown provider `tencent-assume-roles` | did you mean `tencent-assume-role`?",
        "20: `address` is not an address | write \"127.0.0.1:9470\" or \"[::1]:9470\"",
        "21: `roles` contains `ap`, which is no role | did you mean `app`?",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }

    let whole = report.to_string();
    let path = dir.path().join("config.toml");
    let pointed = format!(
        "error: `duration` is longer than this action allows\n  \
           --> {}:15:12\n   \
            |\n\
         15 | duration = \"13h\"\n   \
            |            ^^^^^\n   \
            |\n   \
            = help: at most 12h\n",
        path.display()
    );
    assert!(whole.contains(&pointed), "{whole}");
    assert!(whole.contains("8 | sercet = ***"), "{whole}");
    assert!(
        whole.ends_with("10 mistakes in the configuration"),
        "{whole}"
    );
    assert!(!whole.contains('\u{1b}'), "no colour unless asked for");
    assert!(report.render(true).contains('\u{1b}'));
    assert!(!whole.contains(CANARY), "{whole}");
}

#[test]
fn a_cycle_is_told_whole_and_once() {
    const ROLE: &str = "[role.ROLE.provider.tencent-assume-role]\nsource = \"SOURCE\"\n\
                        role-arn = \"qcs::cam::uin/1:roleName/app\"\n";
    let mut text = String::new();
    for (role, source) in [
        ("c", "a"),
        ("a", "b"),
        ("b", "c"),
        ("out", "a"),
        ("self", "self"),
    ] {
        text.push_str(&ROLE.replace("ROLE", role).replace("SOURCE", source));
    }
    text.push_str("[role.wrong]\n"); // a mistake elsewhere does not hide it
    let found = mistakes(&text);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[0].starts_with("5: the sources of roles form a cycle: `a` → `b` → `c` → `a`"),
        "{found:#?}"
    );
    assert!(found[1].starts_with("14: the sources of roles form a cycle: `self` → `self`"));
}

#[test]
fn sources_must_be_of_the_same_cloud() {
    let text = "[key.hw]\ncloud = \"huawei\"\nid = \"env:PATH\"\nsecret = \"env:PATH\"\n\
                [role.printed.provider.command]\ncommand = [\"/x\"]\ncloud = \"huawei\"\n\
                [role.a.provider.tencent-assume-role]\nsource = \"hw\"\nrole-arn = \"qcs::cam::uin/1:roleName/a\"\n\
                [role.b.provider.tencent-assume-role]\nsource = \"printed\"\nrole-arn = \"qcs::cam::uin/1:roleName/b\"\n";
    let found = mistakes(text);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("9: `source` names a key of huawei"),
        "{found:#?}"
    );
    assert!(
        found[1].starts_with("12: `source` names a role of huawei"),
        "{found:#?}"
    );
}
