//! What a person reads about a configuration: messages, lines, hints, and nothing secret.

use std::path::Path;

use credvend::config::{self, Loaded, Message, Report};
use proptest::prelude::*;
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

/// A whole text, and how its only mistake begins.
const TABLES: &[(&str, &str)] = &[
    (
        "[daemon]\nlog-format = \"xml\"\n",
        "2: `log-format` is not a log format we know",
    ),
    (
        "[daemon]\nstate-directory = \"x\"\n",
        "2: `state-directory` must be an absolute path",
    ),
    (
        "[daemon]\nshutdown-grace = \"5\"\n",
        "2: `shutdown-grace` is a duration without a unit",
    ),
    (
        "daemon = 1\n",
        "1: `daemon` must be a table, not a whole number",
    ),
    (
        "[demon]\n",
        "1: unknown table `demon` | did you mean `daemon`?",
    ),
    (
        "[admin]\nmode = 660\n",
        "2: `mode` must be text, or 660 would not mean 0660",
    ),
    ("[admin]\nmode = \"999\"\n", "2: `mode` is not a file mode"),
    (
        "[admin]\nsocket = \"@x\"\n",
        "2: `socket` names an abstract Unix socket",
    ),
    (
        "[admin]\noperators = [\"root\"]\n",
        "2: `operators` must be a table, not a list",
    ),
    (
        "[admin]\ngroup = \"no-such-group\"\n",
        "2: `group` names the group `no-such-group`, which",
    ),
    (
        "[admin]\noperators = { user = [] }\n",
        "2: unknown key `user` in [admin.operators] | did",
    ),
    ("[metrics]\n", "1: `address` is missing in [metrics]"),
    (
        "[metrics]\naddress = \"unix:/x\"\n",
        "2: `address` must be an IP address and port",
    ),
    (
        "[metrics]\naddress = \"10.0.0.1:1\"\n",
        "2: `address` can be reached from other hosts",
    ),
    (
        "[metrics]\naddress = \"10.0.0.1:1\"\nallow-remote = true\n",
        "1: `token` is missing in [metrics] | `allow-remote = true` requires one",
    ),
    (
        "[upstream]\nproxy = \"http://u:p@h:1\"\n",
        "2: `proxy` may not contain a user name",
    ),
    (
        "[upstream]\ntimeout = \"0s\"\n",
        "2: `timeout` must be longer than nothing",
    ),
    (
        "[limits]\nfleet-size = 0\n",
        "2: `fleet-size` must be the number of hosts",
    ),
    (
        "[limits.tencent]\ndefault = \"50\"\n",
        "2: `default` is not a rate",
    ),
    (
        "[limits.tencent]\nasume-role = \"1/s\"\n",
        "2: unknown key `asume-role` in [limits.tencent]",
    ),
    (
        "[key.\"a b\"]\n",
        "1: `a b` is not a name for a key | a name has 1 to 64",
    ),
    (
        "[key.ops]\ncloud = \"aws\"\nid = \"env:A\"\nsecret = \"env:B\"\n",
        "2: `cloud` is not a cloud",
    ),
    (
        "[login.corp]\n",
        "1: login `corp` does not say where to sign in",
    ),
    (
        "[login.corp.huawei-identity-center]\nstart-url = \"https://a.example/portal\"\n",
        "1: `region` is missing in [login.corp.huawei-identity-center]",
    ),
    (
        "[login.corp.huawei-identity-center]\nstart-url = \"http://a.example/portal\"\nregion = \"cn-north-4\"\n",
        "2: `start-url` must begin with `https://`",
    ),
    (
        "[login.corp.tencent-identity-center]\nportal-url = \"https://a.example/login\"\nwarn-before = \"800h\"\n",
        "3: `warn-before` is longer than any session lives | at most \"720h\"",
    ),
    (
        "[login.corp.tencent-identity-center]\nportal-url = \"https://a.example/login\"\nstate = \"sealed\"\n",
        "1: `state-key` is missing in [login.corp.tencent-identity-center]",
    ),
    (
        "[login.corp.tencent-identity-center]\nportal-url = \"https://a.example/login\"\nstate-key = \"env:HOME\"\n",
        "3: `state-key` has no use with this `state`",
    ),
    (
        "[login.corp.tencent-identity-center]\nportal-url = \"https://a.example/login\"\nmint = \"both\"\n",
        "3: `mint` is no way we know",
    ),
    (
        "[login.corp.tencent-identity-center]\nportal-url = \"https://a.example/login\"\n[key.corp]\ncloud = \"tencent\"\nid = \"env:HOME\"\nsecret = \"env:HOME\"\n",
        "1: `corp` is the name of a login and of a key",
    ),
    (
        "[login.corp.tencent-identity-center]\nportal-url = \"https://a.example/login\"\n[role.a.provider.huawei-identity-center]\nlogin = \"corp\"\naccount-id = \"1\"\npermission-set = \"a\"\n",
        "4: `login` names a login of tencent, and this provider is huawei's",
    ),
    (
        "[role.a.provider.huawei-identity-center]\nlogin = \"corp\"\naccount-id = \"1\"\npermission-set = \"a\"\n",
        "2: `login` names `corp`, which is no login",
    ),
    (
        "[login.corp.tencent-identity-center]\nportal-url = \"https://a.example/login\"\n[role.a.provider.tencent-identity-center]\nlogin = \"corp\"\naccount-id = \"12a\"\npermission-set = \"a\"\n",
        "5: `account-id` must be the digits of an account",
    ),
    (
        "[sink.x]\n",
        "1: a sink needs to say what kind of file it is",
    ),
    (
        "[sink.x.env-fil]\n",
        "1: unknown table `env-fil` in [sink.x] | did you mean `env-file`?",
    ),
    ("[role.app]\n", "1: `provider` is missing in [role.app]"),
    (
        "[role.app.provider]\n",
        "1: `provider` says nothing of where the credentials come from",
    ),
    (
        "[role.app]\nexpected-account = \"a b\"\n[role.app.provider.command]\ncommand = [\"/x\"]\ncloud = \"huawei\"\n",
        "2: `expected-account` must be the id of an account, in letters and digits",
    ),
    (
        "[role.a.provider.tencent-instance-metadata]\n[role.a.provider.command]\n",
        "2: a role has one provider, and this is its second",
    ),
    (
        "[role.app]\nexpected-account = 1\n[role.app.provider.command]\ncommand = [\"/x\"]\ncloud = \"tencent\"\n",
        "2: `expected-account` must be text in quotes, not a number | write \"1\"",
    ),
];

#[test]
fn each_table_refuses_what_it_does_not_know() {
    for (text, expected) in TABLES {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(found[0].starts_with(expected), "{text}\n{found:#?}");
    }
}

/// Keys from line 10 on, and how the mistake in them begins.
const SINKS: &[(&str, &str)] = &[
    (
        "role = \"nobody\"\npath = \"/a/b\"\n",
        "10: `role` names `nobody`, which is no role",
    ),
    ("role = \"app\"\n", "9: `path` is missing in [sink.x.json]"),
    (
        "role = \"app\"\npath = \"b\"\n",
        "11: `path` must be an absolute path",
    ),
    (
        "{fine}profile = \"a\"\n",
        "12: unknown key `profile` in [sink.x.json]",
    ),
    (
        "{fine}owner = 4711\n",
        "12: `owner` is neither root nor the daemon's own user",
    ),
    (
        "{fine}notify = [\"./reload\"]\n",
        "12: `notify` must begin with the name of a program",
    ),
    (
        "{fine}[sink.x.env-file]\n{fine}",
        "12: a sink is one file, and this is its second",
    ),
    (
        "{fine}[sink.y.env-file]\n{fine}",
        "14: sink `y` has the file of sink `x`",
    ),
];

#[test]
fn sinks_are_files_of_roles() {
    let role = provider("tencent-assume-role", &format!("source = \"ops\"\n{ARN}"));
    for (keys, expected) in SINKS {
        let keys = keys.replace("{fine}", "role = \"app\"\npath = \"/a/b\"\n");
        let text = format!("{role}[sink.x.json]\n{keys}");
        let found = mistakes(&text);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(found[0].starts_with(expected), "{text}\n{found:#?}");
    }
}

/// A kind, keys from line 7 on, and how the mistake in them begins.
const PROVIDERS: &[(&str, &str, &str)] = &[
    ("tencent-assume-role", "{arn}", "6: `source` is missing in"),
    (
        "tencent-assume-role",
        "{source}",
        "6: `role-arn` is missing in",
    ),
    (
        "tencent-assume-role",
        "{role}duration = 7200\n",
        "9: `duration` is a duration without a unit",
    ),
    (
        "tencent-assume-role",
        "{role}duration = \"0s\"\n",
        "9: `duration` must be longer",
    ),
    (
        "tencent-assume-role",
        "{role}duration = \"1500ms\"\n",
        "9: `duration` must be in whole",
    ),
    (
        "tencent-assume-role",
        "{role}session-name = \"a\"\n",
        "9: `session-name` must have 2 to 128",
    ),
    (
        "tencent-assume-role",
        "{role}session-name = \"a/b\"\n",
        "9: `session-name` may not contain '/'",
    ),
    (
        "tencent-assume-role",
        "{role}session-name = \"%h\"\n",
        "9: `session-name` has a `%`",
    ),
    (
        "tencent-assume-role",
        "{role}external-id = \"a b\"\n",
        "9: `external-id` may not contain ' '",
    ),
    (
        "tencent-assume-role",
        "{role}tags = { a = 1 }\n",
        "9: `a` must be text in quotes",
    ),
    (
        "tencent-assume-role",
        "{role}site = \"eu\"\n",
        "9: `site` is not a site we know",
    ),
    (
        "tencent-assume-role",
        "{role}region = \"\"\n",
        "9: `region` is not the name of a region",
    ),
    (
        "tencent-assume-role",
        "{role}endpoint = \"http://sts.example\"\n",
        "9: `endpoint` must begin with `https://`",
    ),
    (
        "tencent-assume-role",
        "{role}endpoint = \"https://sts.example/x\"\n",
        "9: `endpoint` may not have a path",
    ),
    (
        "tencent-assume-role",
        "{role}policy = \"file:/no/such/policy\"\n",
        "9: `policy` is in `/no/such/policy`, which cannot be read",
    ),
    (
        "tencent-assume-role",
        "{role}policy = \"x\"\n",
        "9: `policy` must be JSON or a reference",
    ),
    (
        "tencent-assume-role",
        "{role}policy = '{\"statement\": [{\"principal\": 1}]}'\n",
        "9: `policy` has a `principal`",
    ),
    (
        "tencent-get-federation-token",
        "{source}",
        "6: `policy` is missing in",
    ),
    (
        "tencent-get-federation-token",
        "source = \"app\"\n{policy}",
        "7: `source` names a role",
    ),
    (
        "tencent-get-federation-token",
        "{source}{policy}session-name = \"a-b\"\n",
        "9: `session-name` must be letters only",
    ),
    (
        "tencent-get-federation-token",
        "{source}{policy}duration = \"37h\"\n",
        "9: `duration` is longer than this action allows | at most 36h",
    ),
    (
        "tencent-assume-role-with-web-identity",
        "{arn}web-identity-token = \"env:PATH\"\n",
        "6: `provider-id` is missing in",
    ),
    (
        "tencent-assume-role-with-web-identity",
        "{arn}provider-id = \"x\"\n",
        "6: `web-identity-token` is missing in",
    ),
    (
        "tencent-assume-role-with-saml",
        "{arn}principal-arn = \"qcs::cam::uin/1:saml-provider/x\"\n",
        "6: `saml-assertion` is missing in",
    ),
    (
        "tencent-assume-role-with-saml",
        "{arn}principal-arn = \"qcs::cam::uin/1:saml-provider/x\"\nsaml-assertion = \"env:PATH\"\nsaml-command = [\"/x\"]\n",
        "10: `saml-assertion` and `saml-command` are both set",
    ),
    (
        "tencent-assume-role-with-saml",
        "{arn}principal-arn = \"x\"\nsaml-command = [\"/x\"]\n",
        "8: `principal-arn` is not the name of a SAML provider",
    ),
    (
        "tencent-instance-metadata",
        "endpoint = \"http://169.254.169.254\"\n",
        "7: `endpoint` must begin with `https://` | `http://` is accepted to loopback addresses and to metadata.tencentyun.com",
    ),
    (
        "command",
        "command = [\"x\"]\ncloud = \"tencent\"\n",
        "7: `command` must begin with the absolute path",
    ),
    (
        "command",
        "command = []\ncloud = \"tencent\"\n",
        "7: `command` must name a program",
    ),
    (
        "command",
        "command = [\"/x\"]\n",
        "6: `cloud` is missing in",
    ),
];

#[test]
fn providers_refuse_what_their_action_would() {
    for (kind, keys, expected) in PROVIDERS {
        let keys = keys
            .replace("{role}", "{source}{arn}")
            .replace("{source}", "source = \"ops\"\n")
            .replace("{arn}", ARN)
            .replace("{policy}", "policy = '{}'\n");
        let text = provider(kind, &keys);
        let found: Vec<String> = mistakes(&text);
        assert!(
            found.iter().any(|line| line.starts_with(expected)),
            "{text}\n{expected}\n{found:#?}"
        );
        // A role that signs with itself, to be refused for it, is a cycle besides.
        assert!(
            found.len() == 1 || keys.contains("\"app\""),
            "{text}\n{found:#?}"
        );
    }
}

/// Keys from line 10 on, and how the only mistake in them begins.
const LISTENERS: &[(&str, &str)] = &[
    (
        "roles = [\"app\"]\n",
        "9: `address` is missing in [listener.x]",
    ),
    (
        "address = \"127.0.0.1:9470\"\n",
        "9: `roles` is missing in [listener.x]",
    ),
    (
        "address = \"127.0.0.1:0\"\nroles = [\"app\"]\n",
        "10: `address` has port 0",
    ),
    (
        "address = \"127.0.0.1:1\"\nroles = []\n",
        "11: `roles` is empty",
    ),
    (
        "address = \"127.0.0.1:1\"\nroles = [\"app\", \"app\"]\n",
        "11: `roles` contains `app` twice",
    ),
    ("{remote}", "10: `address` can be reached from other hosts"),
    (
        "{remote}allow-remote = true\n",
        "9: `token` is missing in [listener.x] | `allow-remote",
    ),
    (
        "{remote}allow-remote = true\ntoken = \"file:/t\"\nprotocols = [\"tencent\"]\n",
        "14: `protocols` contains `tencent`, which has no token",
    ),
    (
        "{unix}allow-remote = true\n",
        "12: `allow-remote` means nothing for a Unix socket",
    ),
    (
        "{tcp}protocols = [\"aws-container\"]\n",
        "9: `token` is missing in [listener.x] | protocol `aws-container` over TCP",
    ),
    (
        "{tcp}protocols = [\"tencnt\"]\n",
        "12: `protocols` contains `tencnt`, which is no protocol | did you mean `tencent`?",
    ),
    ("{tcp}protocols = []\n", "12: `protocols` is empty"),
    (
        "{tcp}imds-v1 = true\n",
        "12: `imds-v1` means nothing without the protocol `aws-imds`",
    ),
    (
        "{tcp}mode = \"0660\"\n",
        "12: `mode` means nothing for a TCP address",
    ),
    (
        "{tcp}group = \"root\"\n",
        "12: `group` means nothing for a TCP address without a `token`",
    ),
    (
        "{tcp}allow = \"anybody\"\n",
        "12: `allow` does not say who may connect",
    ),
    (
        "{tcp}allow = { users = [\"no-such-user\"] }\n",
        "12: `users` names the user `no-such-user`, which does not exist",
    ),
    (
        "{tcp}token = \"/t\"\n",
        "12: `token` must be a reference to a file",
    ),
    (
        "{tcp}token = \"file:t\"\n",
        "12: `token` must be an absolute path",
    ),
    (
        "{tcp}hosts = [\"http://x\"]\n",
        "12: `hosts` contains something that is no host name",
    ),
    (
        "{tcp}instance = { zone = \"a b\" }\n",
        "12: `zone` must be 1 to 128",
    ),
    (
        "{tcp}[listener.y]\n{tcp}",
        "13: listener `y` has the address of [listener.x]",
    ),
    (
        "{tcp}[metrics]\naddress = \"127.0.0.1:9470\"\n",
        "10: listener `x` has the address of [metrics]",
    ),
    (
        "address = \"unix:/run/credvend/admin.sock\"\nroles = [\"app\"]\n",
        "10: listener `x` has the address of [admin]",
    ),
];

#[test]
fn listeners_refuse_what_would_let_the_wrong_ones_in() {
    let tcp = "address = \"127.0.0.1:9470\"\nroles = [\"app\"]\n";
    let unix = "address = \"unix:/run/x.sock\"\nroles = [\"app\"]\n";
    let remote = "address = \"10.0.0.1:9470\"\nroles = [\"app\"]\n";
    for (keys, expected) in LISTENERS {
        let keys = keys
            .replace("{tcp}", tcp)
            .replace("{unix}", unix)
            .replace("{remote}", remote);
        let text = listener(&keys);
        let found = mistakes(&text);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(
            found[0].starts_with(expected),
            "{text}\n{expected}\n{found:#?}"
        );
    }
    let reserved = listener(tcp).replace("[listener.x]", "[listener.admin]");
    assert!(mistakes(&reserved)[0].starts_with("9: `admin` is a reserved name for a listener"));
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

#[test]
fn tables_may_be_spread_over_files_but_not_defined_twice() {
    let dir = directory(&listener(
        "address = \"127.0.0.1:9470\"\nroles = [\"app\", \"more\"]\n",
    ));
    let beside = dir.path().join("conf.d");
    std::fs::create_dir(&beside).unwrap();
    let more = format!(
        "[role.more.provider.tencent-assume-role]\nsource = \"ops\"\n{ARN}[daemon]\nlog = \"debug\"\n"
    );
    std::fs::write(beside.join("10-more.toml"), &more).unwrap();
    std::fs::write(beside.join("notes.txt"), "not TOML").unwrap();
    std::fs::write(beside.join(".10-more.toml"), "not TOML").unwrap();
    let loaded = load(&dir).unwrap();
    assert_eq!(loaded.files.len(), 2);
    assert_eq!(loaded.config.roles.len(), 2);
    assert_eq!(loaded.config.daemon.log, "debug");

    std::fs::write(beside.join("20-again.toml"), format!("\n{KEY}[daemon]\n")).unwrap();
    let report = load(&dir).unwrap_err();
    let found: Vec<String> = report.mistakes().iter().map(shown).collect();
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("2: [key.ops] is defined twice"),
        "{found:#?}"
    );
    assert!(
        found[1].starts_with("6: [daemon] is defined twice"),
        "{found:#?}"
    );
    let whole = report.to_string();
    for place in [
        "config.toml:1:1",
        "20-again.toml:2:1",
        "10-more.toml:4:1",
        "20-again.toml:6:1",
    ] {
        assert!(whole.contains(place), "{place}\n{whole}");
    }
    assert!(whole.contains("first defined here"), "{whole}");

    let clash =
        format!("{KEY}[role.ops.provider.command]\ncommand = [\"/x\"]\ncloud = \"tencent\"\n");
    assert_eq!(
        mistakes(&clash),
        [
            "5: `ops` is the name of a role and of a key | choose another name for one: they share \
          one namespace"
        ]
    );
}

#[test]
fn a_syntax_error_stands_alone_in_its_file() {
    let dir = directory("[daemon]\nlog = debug\nunknown = 1\n");
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    // Refers to what may stand in the broken file: no mistake. Its own mistakes are told.
    let other = "[listener.x]\naddress = \"127.0.0.1:1\"\nroles = [\"app\"]\nmode = \"0600\"\n";
    std::fs::write(dir.path().join("conf.d/x.toml"), other).unwrap();
    let report = load(&dir).unwrap_err();
    let found: Vec<String> = report.mistakes().iter().map(shown).collect();
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("2: not valid TOML: string values must be quoted"),
        "{found:#?}"
    );
    assert!(
        found[1].starts_with("4: `mode` means nothing for a TCP address"),
        "{found:#?}"
    );
    assert!(report.to_string().contains("2 | log = debug\n"), "{report}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let sentence = |path: &Path| {
        let report = config::load(path).unwrap_err();
        assert_eq!(report.mistakes().len(), 1, "{report}");
        assert_eq!(report.mistakes()[0].line(), None);
        report.mistakes()[0].text().to_owned()
    };
    let missing = sentence(&dir.path().join("none.toml"));
    assert!(
        missing.starts_with("cannot read the configuration `"),
        "{missing}"
    );
    assert!(missing.contains("No such file or directory"), "{missing}");
    assert!(sentence(dir.path()).contains("it is no regular file"));
    std::fs::write(dir.path().join("latin1.toml"), b"# \xe4\n").unwrap();
    assert!(sentence(&dir.path().join("latin1.toml")).contains("line 1 is not text in UTF-8"));
}

#[test]
fn what_is_unwise_is_warned_about() {
    let role = |more: &str, keys: &str| {
        format!(
            "{KEY}[role.app]\n{more}[role.app.provider.tencent-assume-role]\nsource = \"ops\"\n{ARN}{keys}"
        )
    };
    let vended = "[listener.x]\naddress = \"127.0.0.1:9470\"\nroles = [\"app\"]\n";
    assert_eq!(warnings(&(role("", "") + vended)), Vec::<String>::new());
    let guarded = "token = \"file:/t\"\ngroup = \"root\"\n";
    for more in [
        guarded.to_owned(),
        format!("{guarded}allow = {{ users = [\"root\"] }}\n"),
        format!("{guarded}allow = \"any-local\"\nprotocols = [\"aws-container\"]\n"),
    ] {
        let text = role("", "") + vended + &more;
        assert_eq!(warnings(&text), Vec::<String>::new(), "{text}");
    }

    let huawei = "[role.hw.provider.command]\ncommand = [\"/x\"]\ncloud = \"huawei\"\n\
                  [listener.x]\naddress = \"127.0.0.1:9470\"\nroles = [\"hw\"]\nprotocols = [\"tencent\"]\n";
    let limited = "[limits]\nfleet-size = 1000000\n";
    for (text, expected) in [
        (
            role("", ""),
            "5: role `app` is kept fresh but vended nowhere",
        ),
        (
            role("refresh-ahead = \"110m\"\n", "") + vended,
            "6: `refresh-ahead` is more than sessions of 2h leave room for, so 1h 40m is used",
        ),
        (
            role("min-remaining = \"1h\"\n", "") + vended,
            "6: `min-remaining` cannot always be kept: before each refresh sessions of 2h show no more than 53m",
        ),
        (
            role("expected-account = \"2\"\n", "") + vended,
            "6: its provider is of account 1, so nothing will ever be adopted",
        ),
        (
            role("", "duration = \"15m\"\n") + vended,
            "9: sessions of 15m are short for clients of listener `x`: before a refresh they show 8m 30s, and clients of `tencent` ask again at every use below 10m",
        ),
        (
            role("", "ca-file = \"/no/such.pem\"\n") + vended,
            "9: role `app` cannot reach its cloud: cannot read ca-file `/no/such.pem`",
        ),
        (
            role("", "") + vended + limited,
            "13: keeping 1 role(s) fresh takes 0.000278 calls per second of assume-role at https://sts.tencentcloudapi.com, and the budget is 0.00005",
        ),
        (
            role("expected-account = \"1\"\n", "")
                + vended
                // 1/3600 s of either action: little enough for each, and too much for both
                + "[limits.tencent]\ndefault = \"0.0004/s\"\n",
            "14: keeping 1 role(s) fresh takes 0.000556 calls per second at https://sts",
        ),
        (
            role("", "") + vended + "[limits.tencent]\ndefault = \"8/s\"\nassume-role = \"9/s\"\n",
            "14: assume-role gets no more than `default`",
        ),
        (
            role("refresh-ahead = \"5m\"\n", "") + vended + "protocols = [\"native\"]\n",
            "6: `refresh-ahead` is so little that sessions of 2h look expired, or nearly so, before their replacement is there",
        ),
        (
            role("", "")
                + "[listener.s]\naddress = \"unix:/run/s\"\nroles = [\"app\"]\nmode = \"0666\"\n",
            "12: every user of this host may connect to listener `s`",
        ),
        (
            role("", "") + vended + "token = \"file:/t\"\nallow = \"any-local\"\n",
            "12: every user of this host gets the roles of listener `x` without its token, through what does not ask for it: `native`, `tencent`",
        ),
        (
            huawei.to_owned(),
            "7: listener `x` serves role `hw` of huawei in the format of tencent's metadata",
        ),
        (
            role("", "")
                + vended
                + "[key.gone]\ncloud = \"tencent\"\nid = \"env:PATH\"\nsecret = \"file:/no/such/secret\"\n",
            "15: a secret cannot be read from here: cannot read `file:/no/such/secret`",
        ),
    ] {
        let found = warnings(&text);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(
            found[0].starts_with(expected),
            "{text}\n{expected}\n{found:#?}"
        );
    }
}

#[test]
fn a_key_that_others_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, CANARY).unwrap();
    let text = format!(
        "[key.ops]\ncloud = \"tencent\"\nid = \"env:PATH\"\nsecret = \"file:{}\"\n",
        path.display()
    );
    for (mode, is_warned) in [(0o644, true), (0o640, true), (0o600, false), (0o400, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let found = warnings(&text);
        assert_eq!(found.len(), usize::from(is_warned), "{mode:o} {found:#?}");
        if is_warned {
            assert!(
                found[0].starts_with("4: others can read or change `file:"),
                "{found:#?}"
            );
            assert!(found[0].contains(&format!("{mode:04o}")), "{found:#?}");
        }
    }
}

#[test]
fn misplaced_secrets_are_not_shown() {
    const HEAD: &str = "[key.ops]\ncloud = \"tencent\"\n";
    for line in [
        "secret = \"hunter2-Xyzzy\"",
        "id = 'hunter2-Xyzzy'",
        "secert = \"hunter2-Xyzzy\"",
        "secret-key = \"hunter2-Xyzzy\"",
        "password = [\"hunter2-Xyzzy\"]",
        "token = { value = \"hunter2-Xyzzy\" }",
        "secret = \"\"\"hunter2-Xyzzy\"\"\"",
        "secret.value = \"hunter2-Xyzzy\"",
        "secret = hunter2-Xyzzy",
        "secret = \"hunter2-Xyzzy",
        "secret = \"ok\" \"hunter2-Xyzzy\"",
        "secret: \"hunter2-Xyzzy\"",
        "secret = \"file:hunter2-Xyzzy\"",
        "\"secret\" \"hunter2-Xyzzy\"",
        "secret = [\n  \"hunter2-Xyzzy\n",
        "secret = \"\"\"\nhunter2-Xyzzy\n",
        "extra = { id = \"x\", secret = \"hunter2-Xyzzy\" }",
        "extra = \"AKIDhunter2-Xyzzy\"",
        "[role.a.provider.tencent-assume-role]\nsource = \"AKIDhunter2-Xyzzy\"",
        "[listener.a]\nroles = [\"AKIDhunter2-Xyzzy\"]",
        "[[key]]\nsecret = \"hunter2-Xyzzy\"",
        "[key]\nsecret = \"hunter2-Xyzzy\"",
        "proxy = \"http://user:hunter2-Xyzzy@proxy:1\"",
        "id = \"x\"\nid = \"hunter2-Xyzzy\"",
        "cloud = \"hunter2-Xyzzy\"",
        "whatever = \"hunter2-Xyzzy\"",
        "whatever = hunter2-Xyzzy",
        "secret = \"env:NOT_SET\" # hunter2-Xyzzy\nx = 1",
        "secret.\"hunter2-Xyzzy\" = 1",
        "hunter2Xyzzy0123456789 = \"env:PATH\"",
        "sk = hunter2-Xyzzy",
        "[upstream]\npass = \"hunter2-Xyzzy\"",
        "[upstream]\npass = hunter2-Xyzzy",
        "[upstream]\nproxy = \"user:hunter2-Xyzzy@proxy:3128\"",
        "[upstream]\nproxy = \"http:/user:hunter2-Xyzzy@proxy\"",
        "[upstream]\nproxy = \"http://proxy:3128?x=hunter2-Xyzzy\"",
        "[upstream]\nproxy = user:hunter2-Xyzzy@proxy:3128",
        "[role.a.provider.command]\ncommand = [\"x -p hunter2-Xyzzy\"]",
        "[role.a.provider.command]\ncommand = [[\"/x\", \"hunter2-Xyzzy\"]]",
        "[role.a.provider.command]\ncommand = [\"/x -p hunter2-Xyzzy\", 1]",
    ] {
        let dir = directory(&format!(
            "{}{line}\n",
            if line.contains("[key]") { "" } else { HEAD }
        ));
        let report = load(&dir).expect_err(line);
        for text in [
            report.to_string(),
            format!("{report:?}"),
            report.render(true),
        ] {
            assert!(!text.contains("hunter2"), "{line}\n{text}");
        }
    }
    let shown = load(&directory("[daemon]\nlogg = \"debug\"\n"))
        .unwrap_err()
        .to_string();
    assert!(
        shown.contains("2 | logg = \"debug\""),
        "other lines are: {shown}"
    );
    for line in [
        "duration = \"2 hous\"",
        "duration = 2 hours",
        "endpoint = \"sts.tencentcloudapi.com\" # as told",
        "session-name = \"a b@example\"",
    ] {
        let table = "[role.a.provider.tencent-assume-role]";
        let shown = load(&directory(&format!("{table}\n{line}\n"))).unwrap_err();
        assert!(
            shown.to_string().contains(&format!("2 | {line}")),
            "{shown}"
        );
    }
}

/// Where somebody may write a secret: a table, and how its keys are called.
fn secret_places() -> impl Strategy<Value = String> {
    let any_key = "[a-z]{1,12}(-[a-z]{1,8})?";
    let secret = prop_oneof![
        Just("secret"),
        Just("sk"),
        Just("ak"),
        Just("pass"),
        Just("db-pwd"),
        Just("passphrase"),
        Just("auth"),
        Just("private_value"),
        Just("api-key"),
        Just("tokn"),
        Just("userPass"),
        Just("saml-assertion"),
        Just("command"),
        Just("warn-command"),
        Just("state-key"),
    ];
    let tables = prop_oneof![
        Just("[upstream]"),
        Just("[login.corp.huawei-identity-center]"),
        Just("[login.corp.tencent-identity-center]"),
        Just("[role.app.provider.tencent-assume-role]"),
        Just("[role.app.provider.command]"),
    ];
    prop_oneof![
        any_key.prop_map(|key| format!("[key.ops]\ncloud = \"tencent\"\n{key}")),
        (tables, secret).prop_map(|(table, key)| format!("{table}\ntimeout = \"2\"\n{key}")),
    ]
}

/// How somebody may write it, rightly or wrongly.
fn secret_values() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("\"hunter2-Xyzzy\""),
        Just("'hunter2-Xyzzy'"),
        Just("hunter2-Xyzzy"),
        Just("\"hunter2-Xyzzy"),
        Just("[\"hunter2-Xyzzy\"]"),
        Just("[\"x\", \"hunter2-Xyzzy\"]"),
        Just("[[\"hunter2-Xyzzy\"]]"),
        Just("{ x = \"hunter2-Xyzzy\" }"),
        Just("{ x = { y = [\"hunter2-Xyzzy\"] } }"),
        Just("\"\"\"\nhunter2-Xyzzy\n\"\"\""),
        Just("\"\"\"\nhunter2-Xyzzy\n"),
        Just("\n\"hunter2-Xyzzy\""),
        Just("[\n  hunter2-Xyzzy\n]"),
        Just("\"file:hunter2-Xyzzy\""),
        Just("\"x\" \"hunter2-Xyzzy\""),
        Just("\"x\" # hunter2-Xyzzy"),
        Just("\"env:NOT_SET\" # hunter2-Xyzzy"),
        Just("\"AKIDhunter2-Xyzzy\" x"),
        Just("\"hunter2-Xyzzy\"\nsecret = \"hunter2-Xyzzy\""),
    ]
}

/// URLs with more in them than a place.
fn guarded_urls() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("[upstream]\nproxy"),
        Just("[upstream]\nprox"),
        Just("[daemon]\nhttps_proxy"),
        Just("[role.app.provider.tencent-assume-role]\nendpoint"),
        Just("[role.app.provider.tencent-assume-role]\nfallback-endpoint"),
        Just("[login.corp.huawei-identity-center]\nstart-url"),
        Just("[login.corp.tencent-identity-center]\nportal-url"),
    ];
    let url = prop_oneof![
        Just("http://u:hunter2-Xyzzy@p:1"),
        Just("hunter2-Xyzzy@p"),
        Just("u:hunter2-Xyzzy@p:3128"),
        Just("http:/u:hunter2-Xyzzy@h"),
        Just("//u:hunter2-Xyzzy@h"),
        Just("http//u:hunter2-Xyzzy@h"),
        Just("http://u:hunter2-Xyzzy#x@p"),
        Just("https://p/?token=hunter2-Xyzzy"),
        Just("https://p#hunter2-Xyzzy"),
        Just("u%3ahunter2-Xyzzy%40p"),
    ];
    let quotes = prop_oneof![
        Just(("\"", "\"")),
        Just(("", "")),
        Just(("\"", "")),
        Just(("[\"", "\"]")),
        Just(("{ x = \"", "\" }"))
    ];
    (key, url, quotes).prop_map(|(key, url, (open, close))| format!("{key} = {open}{url}{close}\n"))
}

/// Everything that may be printed about a text.
fn all_that_is_said(text: &str) -> String {
    let (report, warnings) = match load(&directory(text)) {
        Ok(loaded) => (String::new(), loaded.warnings),
        Err(report) => (format!("{report}{report:?}"), report.warnings().to_vec()),
    };
    let mut said = format!("{report}{warnings:?}");
    for warning in warnings {
        said += &warning.render(false);
    }
    said
}

proptest! {
    #[test]
    fn no_secret_is_quoted(
        before in prop_oneof![Just(""), Just("[daemon]\nlogg = 1\n"), Just("x = \n")],
        place in secret_places(),
        value in secret_values(),
    ) {
        let text = format!("{before}{place} = {value}\n");
        let said = all_that_is_said(&text);
        prop_assert!(!said.contains("hunter2"), "{text}\n{said}");
    }

    #[test]
    fn no_password_in_a_url_is_quoted(text in guarded_urls()) {
        let said = all_that_is_said(&text);
        prop_assert!(!said.contains("hunter2"), "{text}\n{said}");
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        check_sanity(&text)?;
    }

    #[test]
    fn no_toml_like_text_makes_the_parser_panic(
        words in proptest::collection::vec(
            prop_oneof![
                Just("[role.a]\n"), Just("[role.a.provider.tencent-assume-role]\n"),
                Just("[listener.l]\n"), Just("[key.k]\n"), Just("[limits.tencent]\n"),
                Just("[daemon]\n"), Just("[metrics]\n"), Just("[admin]\n"), Just("[upstream]\n"),
                Just("source = "), Just("roles = "), Just("address = "), Just("allow = "),
                Just("duration = "), Just("mode = "), Just("provider = "), Just("tags = "),
                Just("policy = "), Just("fleet-size = "), Just("default = "), Just("secret = "),
                Just("\"a\"\n"), Just("\"127.0.0.1:1\"\n"), Just("[\"a\", 1]\n"), Just("{ x = 1 }\n"),
                Just("1\n"), Just("-9223372036854775808\n"), Just("true\n"), Just("\"2h\"\n"),
                Just("\"ä\u{1f600}\"\n"), Just("'{}'\n"), Just("1979-05-27\n"), Just("nan\n"),
                Just("[]\n"), Just("\"\"\"\n"), Just("\n"), Just("# ö\r\n"),
            ],
            0..30,
        )
    ) {
        check_sanity(&words.concat())?;
    }
}

/// Whatever the text, the answer is a configuration or at least one mistake within the text.
fn check_sanity(text: &str) -> Result<(), TestCaseError> {
    if let Err(report) = load(&directory(text)) {
        prop_assert!(!report.mistakes().is_empty());
        let lines = text.matches('\n').count() + 1;
        for mistake in report.mistakes() {
            prop_assert!(
                mistake
                    .line()
                    .is_some_and(|line| (1..=lines).contains(&line))
            );
        }
        prop_assert!(report.to_string().ends_with("in the configuration"));
    }
    Ok(())
}
