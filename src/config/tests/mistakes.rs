//! One mistake hides no other, and none is blamed on what is right.

use super::{BASE, host, pod, read_on};
use crate::config::host::{Host, Reader};

/// Mistakes as `LINE: MESSAGE`.
fn mistakes_on(text: &str, host: &Host) -> Vec<String> {
    let Err(report) = read_on(text, host) else {
        return Vec::new();
    };
    let line =
        |it: &crate::config::Message| format!("{}: {}", it.line().unwrap_or_default(), it.text());
    report.mistakes().iter().map(line).collect()
}

fn mistakes(text: &str) -> Vec<String> {
    mistakes_on(text, &host())
}

#[test]
fn a_wrong_item_does_not_hide_the_next() {
    let listener = BASE.replace("[\"app\", \"chained\"]", "[1, \"nobody\", 2]");
    assert_eq!(
        mistakes(&listener),
        [
            "14: `roles` must be text in quotes, not a whole number",
            "14: `roles` contains `nobody`, which is no role",
            "14: `roles` must be text in quotes, not a whole number",
        ]
    );

    let header = "[role.app.provider.tencent-assume-role]\n";
    let tags = format!("{header}tags = {{ a = 1, b = true }}\n");
    assert_eq!(
        mistakes(&BASE.replace(header, &tags)),
        [
            "7: `a` must be text in quotes, not a whole number",
            "7: `b` must be text in quotes, not true or false",
        ]
    );
    let keys = "[key.hw]\ncloud = \"huawei\"\nid = \"env:PATH\"\nsecret = \"env:PATH\"\n";
    assert_eq!(
        mistakes(&format!(
            "{keys}[role.a.provider.huawei-assume-agency]\nsource = \"hw\"\n\
             agency-urn = \"iam::1:agency:a\"\ntags = {{ a = 1, b = \"!\" }}\n"
        )),
        [
            "8: `a` must be text in quotes, not a whole number",
            "8: `b` may not contain '!'",
        ]
    );
}

#[test]
fn of_keys_that_go_together_each_is_read() {
    let text = "[key.hw]\ncloud = \"huawei\"\nid = \"env:PATH\"\nsecret = \"env:PATH\"\n\
                [role.a.provider.huawei-agency-credentials]\nsource = \"hw\"\n\
                agency-name = \"a\"\ndomain-id = \"!\"\ndomain-name = \"?\"\n\
                [role.b.provider.huawei-assume-agency]\nsource = \"hw\"\n\
                agency-urn = \"iam::1:agency:a\"\nserial-number = \"1\"\n\
                [role.c.provider.tencent-assume-role-with-saml]\n\
                principal-arn = \"qcs::cam::uin/1:saml-provider/x\"\n\
                role-arn = \"qcs::cam::uin/1:roleName/app\"\n\
                saml-assertion = \"x\"\nsaml-command = [\"x\", 1]\n\
                [sink.a.json]\nrole = \"a\"\npath = \"/a/b\"\nnotify = [\"./x\", 1]\n";
    assert_eq!(
        mistakes(text),
        [
            "8: `domain-id` may not contain '!'",
            "9: `domain-id` and `domain-name` are both set",
            "9: `domain-name` may not contain '?'",
            "10: `token-code` is missing in [role.b.provider.huawei-assume-agency]",
            "13: `serial-number` must have 9 to 256 characters",
            "17: `saml-assertion` must be a reference to a secret, never the secret itself",
            "18: `saml-assertion` and `saml-command` are both set",
            "18: `saml-command` must begin with the absolute path of a program",
            "18: `saml-command` must be text in quotes, not a whole number",
            "22: `notify` must begin with the name of a program or its absolute path",
            "22: `notify` must be text in quotes, not a whole number",
        ]
    );
}

#[test]
fn a_wrong_value_makes_no_other_key_wrong() {
    let login = "[login.corp.tencent-identity-center]\nportal-url = \"https://a.example/login\"\n";
    assert_eq!(
        mistakes(&format!(
            "{login}state = \"seald\"\nstate-key = \"env:PATH\"\n"
        )),
        ["3: `state` is no place we know"]
    );
    let protocols = BASE.replace(
        "roles = [",
        "protocols = [\"aws-imsd\"]\nimds-v1 = true\nroles = [",
    );
    assert_eq!(
        mistakes(&protocols),
        ["14: `protocols` contains `aws-imsd`, which is no protocol"]
    );
}

#[test]
fn a_second_portal_hides_nothing_of_the_first() {
    assert_eq!(
        mistakes("[login.corp.huawei-identity-centre]\n"),
        ["1: unknown table `huawei-identity-centre` in [login.corp]"]
    );
    assert_eq!(
        mistakes(
            "[login.corp.tencent-identity-center]\nmint = \"both\"\n\
             portal-url = \"https://a.example/login\"\n[login.corp.huawei-identity-center]\n\
             start-url = \"https://a.example/portal\"\nregion = \"cn-north-4\"\n"
        ),
        [
            "2: `mint` is no way we know",
            "4: a login has one portal, and this is its second",
        ]
    );
}

#[test]
fn a_variable_that_is_not_needed_may_be_anything() {
    let table = "[role.pod.provider.tencent-assume-role-with-web-identity]\n";
    let mut odd = pod();
    odd.variables.insert("TKE_REGION", "No Region".to_owned());
    assert_eq!(
        mistakes_on(table, &odd),
        ["1: `$TKE_REGION` in the environment is not the name of a region"]
    );
    let own = format!("{table}region = \"ap-beijing\"\n");
    assert_eq!(mistakes_on(&own, &odd), [""; 0]);
}

#[test]
fn absurd_numbers_are_mistakes() {
    for (text, mistake) in [
        (
            "[daemon]\nshutdown-grace = \"9000000000000000000s\"\n",
            "2: `shutdown-grace` is longer than ten years",
        ),
        (
            "[upstream]\ntimeout = \"87601h\"\n",
            "2: `timeout` is longer than ten years",
        ),
        (
            "[limits]\nfleet-size = 4294967295\n",
            "2: `fleet-size` must be the number of hosts, from 1 to 1000000",
        ),
        (
            "[limits.huawei]\ndefault = \"1e300/s\"\n",
            "2: `default` is more than a million calls per second",
        ),
    ] {
        assert_eq!(mistakes(text), [mistake]);
    }
    assert_eq!(mistakes("[daemon]\nshutdown-grace = \"87600h\"\n"), [""; 0]);
}

#[test]
fn the_owner_of_a_sink_is_judged_by_the_daemon_alone() {
    let text = format!(
        "{BASE}[sink.x.json]\nrole = \"app\"\npath = \"/a/b\"\nowner = 4711\nmode = \"0600\"\n"
    );
    let reads = |reader, uid| Host {
        reader,
        uid,
        ..host()
    };
    assert_eq!(
        mistakes_on(&text, &reads(Reader::Daemon, 990)),
        ["18: `owner` is neither root nor the daemon's own user"]
    );
    let warnings = |host| -> Vec<String> {
        let loaded = read_on(&text, &host).expect("no mistake");
        loaded
            .warnings
            .iter()
            .map(|it| it.text().to_owned())
            .collect()
    };
    assert_eq!(warnings(reads(Reader::Daemon, 4711)), [""; 0]);
    assert_eq!(warnings(reads(Reader::Other, 4711)), [""; 0]);
    assert_eq!(
        warnings(reads(Reader::Other, 990)),
        ["`owner` is uid 4711, which is neither root nor uid 990, the user that reads this here"]
    );
}

/// Must be in no message.
const CANARY: &str = "hunter2-Xyzzy";

#[test]
fn arguments_of_programs_are_not_shown() {
    let role = "[role.a.provider.command]\ncloud = \"tencent\"\n";
    let saml = "[role.a.provider.tencent-assume-role-with-saml]\n";
    let login = "[login.a.tencent-identity-center]\nportal-url = \"https://a.example/login\"\n";
    let sink = "[sink.a.json]\nrole = \"a\"\npath = \"/a/b\"\n";
    for (table, key) in [
        (role, "command"),
        (role, "comand"),
        (saml, "saml-command"),
        (login, "warn-command"),
        (sink, "notify"),
    ] {
        for words in [
            "[\"./x\", \"--password\", \"hunter2-Xyzzy\"]",
            "[\"./x\", [\"hunter2-Xyzzy\"]]",
            "\"./x hunter2-Xyzzy\"",
            "[\"./x\", \"hunter2-Xyzzy\"",
            "[\n  \"./x\"\n  \"hunter2-Xyzzy\"",
        ] {
            let text = format!("{table}{key} = {words}\n");
            let report = read_on(&text, &host()).expect_err(&text);
            assert!(!report.to_string().contains(CANARY), "{text}\n{report}");
            assert!(!format!("{report:?}").contains(CANARY), "{text}");
        }
    }
    for (words, expected) in [
        ("[\"/x\", \"y\"]", "[\"/x\", ***]"),
        ("[\"./x\", \"y\"]", "[***, ***]"),
        ("[\"/x --password=y\"]", "[***]"),
    ] {
        let report = read_on(&format!("{role}comand = {words}\n"), &host());
        let shown = report.expect_err("an unknown key").to_string();
        assert!(shown.contains(&format!("comand = {expected}")), "{shown}");
    }
}

#[test]
fn what_names_nothing_is_shown_only_if_it_looks_like_a_name() {
    const SECRET: &str = "4Zx8hNq0T7v2kPcR5mYb9sLd3fGj6wUe";
    let arn = "role-arn = \"qcs::cam::uin/1:roleName/app\"\n";
    let login = "account-id = \"1\"\npermission-set = \"a\"\n";
    for text in [
        format!("[role.a.provider.tencent-assume-role]\n{arn}source = \"{SECRET}\"\n"),
        format!("[role.a.provider.tencent-identity-center]\n{login}login = \"{SECRET}\"\n"),
        format!("[listener.a]\naddress = \"127.0.0.1:1\"\nroles = [\"{SECRET}\"]\n"),
        format!("[sink.a.json]\npath = \"/a/b\"\nrole = \"{SECRET}\"\n"),
        format!("[role.a.provider.tencent-assume-role]\n{arn}source = {SECRET}\n"),
        format!("[role.a.provider.tencent-assume-role]\n{arn}sorce = \"{SECRET}\"\n"),
    ] {
        let report = read_on(&text, &host()).expect_err(&text).to_string();
        assert!(report.contains("***"), "{report}");
        assert!(!report.contains(SECRET), "{report}");
    }
    let long = "payments-production-readonly";
    let text = BASE
        .replace("role.chained", &format!("role.{long}"))
        .replace("\"chained\"]", &format!("\"{long}\", \"typo\"]"));
    let report = read_on(&text, &host()).expect_err("a typo").to_string();
    assert!(
        report.contains("contains `typo`, which is no role"),
        "{report}"
    );
    assert!(
        report.contains(&format!("roles = [\"app\", \"{long}\", \"typo\"]")),
        "a name that is there may be shown: {report}"
    );
}
