//! Identities of roles, and differences of whole configurations.

use super::{BASE, config, role};
use crate::config::diff::{Difference, ListenerChange, RoleChange, diff};

/// One change of the base text and what it does to `app` and `chained`.
#[test]
fn fingerprints_change_with_the_identity_and_nothing_else() {
    use RoleChange::{Identity, Tuned};
    let header = "[role.app.provider.tencent-assume-role]\n";
    let add = |key: &str| (header.to_owned(), format!("{header}{key}\n"));
    let to = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    for ((old, new), app, chained) in [
        (add("duration = \"1h\""), Some(Tuned), None),
        (add("region = \"ap-beijing\""), Some(Tuned), None),
        (add("endpoint = \"http://127.0.0.1:1\""), Some(Tuned), None),
        (add("timeout = \"1s\""), Some(Tuned), None),
        (add("proxy = \"http://p:1\""), Some(Tuned), None),
        (
            to("[role.app.", "[role.app]\nlazy = true\n[role.app."),
            Some(Tuned),
            None,
        ),
        (
            to(
                "[role.app.",
                "[role.app]\nmin-remaining = \"1m\"\n[role.app.",
            ),
            Some(Tuned),
            None,
        ),
        (
            to(
                "[role.app.",
                "[role.app]\nexpected-account = \"1\"\n[role.app.",
            ),
            Some(Identity),
            Some(Identity),
        ),
        (
            to("roleName/app", "roleName/app2"),
            Some(Identity),
            Some(Identity),
        ),
        (
            add("session-name = \"other\""),
            Some(Identity),
            Some(Identity),
        ),
        (add("external-id = \"ex\""), Some(Identity), Some(Identity)),
        (
            add("source-identity = \"1\""),
            Some(Identity),
            Some(Identity),
        ),
        (add("tags = { a = \"b\" }"), Some(Identity), Some(Identity)),
        (
            add("policy = '{\"version\":\"2.0\"}'"),
            Some(Identity),
            Some(Identity),
        ),
        (
            to("secret = \"env:PATH\"", "secret = \"env:HOME\""),
            Some(Identity),
            Some(Identity),
        ),
        (
            to("roleName/chained", "roleName/chained2"),
            None,
            Some(Identity),
        ),
        (
            to("source = \"app\"", "source = \"ops\""),
            None,
            Some(Identity),
        ),
        (to("9470", "9471"), None, None),
    ] {
        assert!(BASE.contains(&old), "{old}");
        let after = config(&BASE.replace(&old, &new));
        let difference = Difference::between(&config(BASE), &after);
        assert_eq!(difference.roles.get("app").copied(), app, "{new}");
        assert_eq!(difference.roles.get("chained").copied(), chained, "{new}");
    }
    let base = config(BASE);
    let print = &role(&base, "app").fingerprint;
    assert_eq!(print.len(), 64);
    assert!(print.bytes().all(|b| b.is_ascii_hexdigit()));
}

#[test]
fn the_layout_of_a_policy_is_not_its_content() {
    let with = |policy: &str| {
        let header = "[role.app.provider.tencent-assume-role]\n";
        config(&BASE.replace(header, &format!("{header}policy = '{policy}'\n")))
    };
    let one = with("{\"a\": 1, \"b\": [2]}");
    let same = with("{ \"b\":[2],\"a\":1 }");
    let other = with("{\"a\": 1, \"b\": [3]}");
    assert_eq!(
        role(&one, "app").fingerprint,
        role(&same, "app").fingerprint
    );
    assert_ne!(
        role(&one, "app").fingerprint,
        role(&other, "app").fingerprint
    );
}

#[test]
fn a_reload_is_told_in_sentences() {
    let old = config(BASE);
    assert!(diff(&old, &config(BASE)).is_empty());
    assert!(Difference::between(&old, &config(BASE)).is_empty());

    let new = BASE
        .replace("chained", "renamed")
        .replace("roleName/app", "roleName/other")
        .replace("roles = [\"app\", \"renamed\"]", "roles = [\"app\"]")
        + "[daemon]\nlog = \"debug\"\n";
    assert_eq!(
        diff(&old, &config(&new)),
        [
            "role `app` changed: its identity, so its set is dropped",
            "role `chained` removed",
            "role `renamed` added",
            "listener `x` changed",
            "[daemon] changed",
        ]
    );
    for (old_text, new_text, change) in [
        ("127.0.0.1", "127.0.0.2", ListenerChange::Socket),
        (
            "roles = [",
            "allow = \"any-local\"\nroles = [",
            ListenerChange::Access,
        ),
        (
            "roles = [",
            "hosts = [\"h\"]\nroles = [",
            ListenerChange::Content,
        ),
        (
            "roles = [",
            "token = \"file:/t\"\ngroup = 1\nroles = [",
            ListenerChange::Content,
        ),
        ("listener.x", "listener.y", ListenerChange::Removed),
    ] {
        let difference = Difference::between(&old, &config(&BASE.replace(old_text, new_text)));
        assert_eq!(difference.listeners.get("x"), Some(&change), "{new_text}");
    }
}
