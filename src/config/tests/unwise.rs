//! What is legal but unwise, and what is to be blamed for it.

use std::os::unix::fs::PermissionsExt;

use super::{BASE, config, host, read_on};
use crate::config::model::Allow;

/// Warnings as `LINE: MESSAGE | HINT`.
fn warnings(text: &str) -> Vec<String> {
    let loaded = read_on(text, &host()).expect(text);
    let line = |it: &crate::config::Message| {
        format!(
            "{}: {} | {}",
            it.line().unwrap_or_default(),
            it.text(),
            it.hint().unwrap_or_default()
        )
    };
    loaded.warnings.iter().map(line).collect()
}

#[test]
fn short_sessions_are_blamed_on_their_cause() {
    let header = "[role.app.provider.tencent-assume-role]\n";
    let with = |ahead: &str, duration: &str| {
        let keys = format!("[role.app]\n{ahead}{header}{duration}");
        warnings(&BASE.replace(header, &keys))
    };
    assert_eq!(with("", ""), [""; 0]);
    assert_eq!(
        with("refresh-ahead = \"10m\"\n", ""),
        [
            "7: with this `refresh-ahead` sessions are short for clients of listener `x`: before a \
             refresh they show 3m, and clients of `tencent` ask again at every use below 10m | \
             leave it out, or raise it by 7m"
        ]
    );
    assert_eq!(with("refresh-ahead = \"17m\"\n", ""), [""; 0]);
    let short = with("refresh-ahead = \"5m\"\n", "duration = \"15m\"\n");
    assert_eq!(short.len(), 1, "{short:#?}");
    assert!(
        short[0].starts_with("9: sessions of 15m are short"),
        "no `refresh-ahead` would do: {short:#?}"
    );
}

#[test]
fn budgets_are_those_of_the_endpoint_that_mints() {
    let keys = "[key.hw]\ncloud = \"huawei\"\nid = \"env:PATH\"\nsecret = \"env:PATH\"\n\
                [limits.huawei]\ncreate-temporary-access-key-by-agency = \"1/m\"\n";
    let role = |number| {
        format!(
            "[role.r{number}]\nexpected-account = \"1\"\n\
             [role.r{number}.provider.huawei-agency-credentials]\nsource = \"hw\"\n\
             agency-name = \"a\"\ndomain-id = \"1\"\n"
        )
    };
    let roles: String = (0..80).map(role).collect();
    let names: Vec<String> = (0..80).map(|number| format!("\"r{number}\"")).collect();
    let names = names.join(", ");
    let text =
        format!("{keys}{roles}[listener.x]\naddress = \"127.0.0.1:9470\"\nroles = [{names}]\n");
    assert_eq!(
        warnings(&text),
        [
            "6: keeping 80 role(s) fresh takes 0.0222 calls per second of \
             create-temporary-access-key-by-agency at https://iam.cn-north-4.myhuaweicloud.com, \
             and the budget is 0.0167 | ask for longer sessions, or raise [limits.huawei]"
        ]
    );
}

#[test]
fn sinks_that_others_can_have_are_warned_about() {
    for (mode, what) in [
        ("0600", None),
        ("0640", None),
        ("0644", Some("read")),
        ("0660", Some("change")),
        ("0664", Some("read or change")),
        ("0606", Some("read or change")),
        ("0622", Some("change")),
    ] {
        let text =
            format!("{BASE}[sink.x.json]\nrole = \"app\"\npath = \"/a/b\"\nmode = \"{mode}\"\n");
        let found = warnings(&text);
        let expected: Vec<String> = what
            .map(|what| {
                format!(
                    "18: others can {what} the file of sink `x`: its mode is {mode} | use \
                     \"0600\", or \"0640\" with the `group` of those who are to read it"
                )
            })
            .into_iter()
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn the_account_of_an_identity_center_is_known_beforehand() {
    let text = |account: &str| {
        format!(
            "[login.corp.tencent-identity-center]\nportal-url = \"https://a.example/login\"\n\
             [role.a]\nexpected-account = \"{account}\"\n\
             [role.a.provider.tencent-identity-center]\nlogin = \"corp\"\naccount-id = \"1\"\n\
             permission-set = \"p\"\n[listener.x]\naddress = \"127.0.0.1:1\"\nroles = [\"a\"]\n"
        )
    };
    assert_eq!(warnings(&text("1")), [""; 0]);
    let found = warnings(&text("2"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("4: its provider is of account 1, so nothing"),
        "{found:#?}"
    );
}

#[test]
fn metrics_without_allow_are_for_any_local_peer() {
    let metrics = |more: &str| {
        let text = format!("[metrics]\naddress = \"127.0.0.1:9471\"\n{more}");
        config(&text).metrics.expect("a table").allow
    };
    assert_eq!(metrics(""), Allow::AnyLocal);
    assert_ne!(metrics("allow = {}\n"), Allow::AnyLocal);
}

#[test]
fn a_file_of_authorities_without_one_is_told_once_for_each_that_needs_it() {
    let login = "[login.corp.huawei-identity-center]\nstart-url = \"https://a.example/portal\"\n\
                 region = \"cn-north-4\"\n";
    let upstream = "[upstream]\nca-file = \"/etc/passwd\"\n";
    let found = warnings(&format!("{BASE}{login}{upstream}"));
    let starts = |what: &str| format!("19: {what} cannot reach its cloud: cannot read ca-file");
    assert_eq!(found.len(), 3, "{found:#?}");
    for (line, what) in found
        .iter()
        .zip(["role `app`", "role `chained`", "login `corp`"])
    {
        assert!(line.starts_with(&starts(what)), "{line}");
        assert!(line.contains("it holds no certificate"), "{line}");
    }
}

#[test]
fn a_state_key_that_will_do_for_none_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let text = format!(
        "[login.corp.huawei-identity-center]\nstart-url = \"https://a.example/portal\"\n\
         region = \"cn-north-4\"\nstate = \"sealed\"\nstate-key = \"file:{}\"\n",
        file.display()
    );
    let write = |key: &str| {
        std::fs::write(&file, key).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("too-short");
    let found = warnings(&text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("5: login `corp` cannot keep its session: `state-key` has fewer"),
        "{found:#?}"
    );
    assert!(!found[0].contains("too-short"), "{found:#?}");
    write(&"k".repeat(32));
    assert_eq!(warnings(&text), [""; 0]);
}

#[test]
fn an_adopted_profile_that_others_can_read_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("default.credential");
    let text = format!(
        "{BASE}[login.corp.tencent-identity-center]\nportal-url = \"https://a.example/login\"\n\
         adopt-tccli-profile = \"{}\"\n",
        path.display()
    );
    assert_eq!(warnings(&text), [""; 0], "not there yet");
    for (mode, told) in [(0o600, 0), (0o640, 0), (0o644, 1), (0o660, 1)] {
        std::fs::write(&path, "{}").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let warnings = warnings(&text);
        assert_eq!(warnings.len(), told, "{mode:o}: {warnings:#?}");
        assert!(
            warnings
                .iter()
                .all(|it| it.contains(&format!("its mode is {mode:04o}")))
        );
    }
}

#[test]
fn a_place_for_logins_that_others_could_have_made_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let text = |login: &str| {
        format!(
            "[daemon]\nstate-directory = \"{}\"\n{BASE}{login}",
            state.display()
        )
    };
    let login = "[login.corp.tencent-identity-center]\nportal-url = \"https://a.example/login\"\n";
    assert_eq!(warnings(&text(login)), [""; 0], "not there yet");
    std::fs::create_dir(&state).unwrap();
    for (mode, told) in [(0o700, 0), (0o755, 0), (0o775, 1), (0o777, 1)] {
        std::fs::set_permissions(&state, PermissionsExt::from_mode(mode)).unwrap();
        let found = warnings(&text(login));
        assert_eq!(found.len(), told, "{mode:o}: {found:#?}");
        let begins = "2: no login is kept in a `state-directory` that is not safe: directory";
        assert!(found.iter().all(|it| it.starts_with(begins)), "{found:#?}");
    }
    assert_eq!(warnings(&text("")), [""; 0], "nothing is kept");
    let memory = format!("{login}state = \"memory\"\n");
    assert_eq!(warnings(&text(&memory)), [""; 0], "nothing is kept there");
}
