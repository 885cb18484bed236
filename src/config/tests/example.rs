//! The example file, held to the code: `# ` begins prose or an example, `#key = value` shows a
//! default.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{config, host, listener, read_on, role};
use crate::config::diff::diff;
use crate::config::model::{Provider, SamlAssertion};

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// `#key = value`, a default.
fn default_line(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| is_setting(rest))
}

/// `# key = value`, an example.
fn example_line(line: &str) -> Option<&str> {
    line.strip_prefix("# ").filter(|rest| is_setting(rest))
}

fn is_setting(text: &str) -> bool {
    text.split_once(" = ").is_some_and(|(key, _)| {
        !key.is_empty()
            && key
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}

fn uncommented(pick: impl Fn(&str) -> Option<&str>) -> String {
    EXAMPLE
        .lines()
        .flat_map(|line| [pick(line).unwrap_or(line), "\n"])
        .collect()
}

#[test]
fn the_example_is_valid_and_its_commented_out_values_are_the_defaults() {
    let as_is = config(EXAMPLE);
    let spelled_out = uncommented(default_line);
    let changed = EXAMPLE
        .lines()
        .zip(spelled_out.lines())
        .filter(|(a, b)| a != b);
    assert!(changed.count() > 30, "defaults were found");
    let spelled_out = config(&spelled_out);
    assert!(
        as_is == spelled_out,
        "a commented-out value differs from the default"
    );
    assert_eq!(
        diff(&as_is, &spelled_out),
        Vec::<String>::new(),
        "writing a default out is no change"
    );
}

#[test]
fn the_examples_in_the_example_are_valid_too() {
    let text = uncommented(|line| default_line(line).or_else(|| example_line(line)));
    let config = config(&text);
    let app = role(&config, "app");
    assert_eq!(app.refresh_ahead, Some(Duration::from_hours(1)));
    let saml = role(&config, "staff-by-program");
    assert!(matches!(
        &saml.provider,
        Provider::TencentAssumeRoleWithSaml(it)
            if matches!(it.assertion, SamlAssertion::Command(_))
    ));
    assert!(listener(&config, "metadata").instance.is_some());
}

/// Each table is asked which keys it knows, by putting an unknown one in; each of them must be
/// written somewhere in the example in a table of that kind.
#[test]
fn the_example_has_every_key() {
    const UNKNOWN: &str = "no-such-key-anywhere-near";
    let kind = |header: &str| {
        let mut parts: Vec<&str> = header.trim_matches(['[', ']']).split('.').collect();
        if let ["role" | "key" | "listener" | "login" | "sink", name, ..] = parts.as_mut_slice() {
            *name = "NAME";
        }
        parts.join(".")
    };
    let mut probe = String::new();
    let mut kinds: Vec<String> = Vec::new(); // per line of the probe
    let mut written: BTreeSet<(String, String)> = BTreeSet::new();
    let mut current = String::new();
    for line in EXAMPLE.lines() {
        probe.push_str(line);
        probe.push('\n');
        kinds.push(current.clone());
        if line.starts_with('[') {
            current = kind(line);
            let mut rest = current.as_str();
            while let Some((table, key)) = rest.rsplit_once('.') {
                written.insert((table.to_owned(), key.to_owned()));
                rest = table;
            }
            probe.push_str(UNKNOWN);
            probe.push_str(" = 1\n");
            kinds.push(current.clone());
        }
        let setting = default_line(line)
            .or_else(|| example_line(line))
            .unwrap_or(line);
        if is_setting(setting)
            && let Some((key, _)) = setting.split_once(" = ")
        {
            written.insert((current.clone(), key.to_owned()));
        }
    }
    let report = read_on(&probe, &host()).expect_err("unknown keys");
    let mut asked = 0;
    for mistake in report.mistakes() {
        assert!(mistake.text().contains(UNKNOWN), "{mistake}");
        let at = mistake.line().expect("a line") - 1;
        let table = kinds.get(at).expect("a table");
        let known = mistake
            .hint()
            .and_then(|hint| hint.strip_prefix("known here: "));
        for key in known.expect("all keys").split(", ") {
            let key = key.trim_matches('`');
            let is_inherited = table.contains(".provider.")
                && ["proxy", "ca-file", "timeout", "connect-timeout"].contains(&key)
                || table.starts_with("sink.") && ["owner", "group", "notify"].contains(&key);
            assert!(
                is_inherited || written.contains(&(table.clone(), key.to_owned())),
                "`{key}` of [{table}] is not in the example"
            );
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked}");
}
