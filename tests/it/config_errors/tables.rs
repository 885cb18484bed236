//! Each table by itself: what it does not know, and values that cannot be.

use super::{ARN, mistakes, provider};

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
