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
}

proptest! {
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
