//! Tables with a wrong, taken or unquoted name: told once, and the mistakes in them with it.

use super::{BASE, host, read_files, read_on};
use crate::config::report::Report;

/// Mistakes as `LINE: MESSAGE`.
fn mistakes(texts: &[&str]) -> Vec<String> {
    let lines = |report: Report| {
        let mistakes = report.mistakes().iter();
        mistakes
            .map(|it| format!("{}: {}", it.line().unwrap_or_default(), it.text()))
            .collect()
    };
    read_files(texts, &host())
        .err()
        .map_or_else(Vec::new, lines)
}

fn hints(text: &str) -> Vec<String> {
    let report = read_on(text, &host()).expect_err(text);
    let mistakes = report.mistakes().iter();
    mistakes
        .map(|it| it.hint().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_wrong_name_hides_no_mistake_and_makes_none() {
    let text = "[key.\"o ps\"]\ncloud = \"aws\"\nid = \"env:PATH\"\nsecret = \"env:PATH\"\n\
                [role.\"a b\"]\nlazi = true\n[role.\"a b\".provider.tencent-assume-role]\n\
                source = \"o ps\"\nrole-arn = \"x\"\n\
                [listener.\"x y\"]\naddress = \"127.0.0.1\"\nroles = [\"a b\", \"nobody\"]\n\
                [sink.\"s s\".json]\nrole = \"a b\"\npath = \"x\"\n\
                [login.\"l l\".huawei-identity-center]\nstart-url = \"https://a.example/portal\"\n\
                [role.c.provider.huawei-identity-center]\nlogin = \"l l\"\naccount-id = \"1\"\n\
                permission-set = \"\"\n";
    assert_eq!(
        mistakes(&[text]),
        [
            "1: `o ps` is not a name for a key",
            "2: `cloud` is not a cloud we know",
            "5: `a b` is not a name for a role",
            "6: unknown key `lazi` in [role.a b]",
            "9: `role-arn` is not the name of a role",
            "10: `x y` is not a name for a listener",
            "11: `address` is not an address",
            "12: `roles` contains `nobody`, which is no role",
            "13: `s s` is not a name for a sink",
            "15: `path` must be an absolute path",
            "16: `region` is missing in [login.l l.huawei-identity-center]",
            "16: `l l` is not a name for a login",
            "21: `permission-set` must have 1 to 128 characters",
        ]
    );
}

#[test]
fn a_role_in_two_files_is_defined_twice_and_nothing_else() {
    let header = "[role.app.provider.tencent-assume-role]\n";
    let first = BASE
        .replace(header, "[role.app]\nlazy = true\n[role.other]\n")
        .replace(
            "source = \"ops\"\nrole-arn = \"qcs::cam::uin/1:roleName/app\"\n",
            "",
        );
    let provider =
        format!("{header}source = \"ops\"\nrole-arn = \"qcs::cam::uin/1:roleName/app\"\n");
    assert_eq!(
        mistakes(&[&first, &provider]),
        [
            "8: `provider` is missing in [role.other]",
            "1: [role.app] is defined twice",
        ]
    );
    assert_eq!(
        mistakes(&[
            "[login.a]\n",
            "[login.a.huawei-identity-center]\nregion = \"\"\n"
        ]),
        [
            "1: `start-url` is missing in [login.a.huawei-identity-center]",
            "1: [login.a] is defined twice",
            "2: `region` is not the name of a region",
        ]
    );
}

#[test]
fn a_name_with_a_dot_needs_quotes() {
    let text = "[role.my.app.provider.command]\ncommand = [\"/bin/true\"]\ncloud = \"tencnt\"\n\
                [listener.my.l]\naddress = \"127.0.0.1:1\"\nroles = [\"my.app\"]\n";
    assert_eq!(
        mistakes(&[text]),
        [
            "1: `my.app` is a name with a dot, which needs quotes",
            "3: `cloud` is not a cloud we know",
            "4: `my.l` is a name with a dot, which needs quotes",
        ]
    );
    let hints = hints(text);
    assert!(
        hints.contains(&"write [role.\"my.app\".provider.command]".to_owned()),
        "{hints:?}"
    );
    assert!(
        hints.contains(&"write [listener.\"my.l\"]".to_owned()),
        "{hints:?}"
    );
    let both = BASE.replace("[role.chained.", "[role.app.too.");
    assert_eq!(
        mistakes(&[&both]),
        [
            "9: `app.too` is a name with a dot, which needs quotes",
            "14: `roles` contains `chained`, which is no role",
        ]
    );
}

#[test]
fn a_source_that_is_a_login_or_the_role_itself_is_not_suggested() {
    let login = "[login.corp.huawei-identity-center]\nstart-url = \"https://a.example/portal\"\n\
                 region = \"cn-north-4\"\n";
    let role = "[role.deploy.provider.huawei-assume-agency]\nagency-urn = \"iam::1:agency:a\"\n";
    let text = format!("{login}{role}source = \"corp\"\n");
    assert_eq!(
        mistakes(&[&text]),
        ["6: `source` names `corp`, which is a login"]
    );
    assert_eq!(
        hints(&text),
        ["name a [role.*] whose provider is `huawei-identity-center` with `login = \"corp\"`"]
    );
    let text = format!("{login}{role}source = \"deplo\"\n");
    assert_eq!(hints(&text), ["define it: [key.NAME] or [role.NAME]"]);
}

#[test]
fn examples_are_of_the_right_kind() {
    let saml = "[role.a.provider.huawei-assume-agency-with-saml]\nagency-urn = \"iam::1:agency:a\"\n\
                saml-assertion = \"env:PATH\"\nregion = \"\"\n";
    let hints = hints(saml);
    assert!(
        hints.iter().any(|hint| hint.contains(":saml-provider:")),
        "{hints:?}"
    );
    assert!(
        hints.contains(&"as in \"cn-north-4\"".to_owned()),
        "{hints:?}"
    );
}
