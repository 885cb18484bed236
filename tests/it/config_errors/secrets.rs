//! What no text may do: show a secret in a message, or make the parser panic.

use super::{directory, load};
use proptest::prelude::*;

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
