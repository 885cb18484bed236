//! Defaults, identities and differences of whole configurations.

mod example;
mod huawei;

use std::collections::BTreeSet;
use std::time::Duration;

use super::diff::{Difference, ListenerChange, RoleChange};
use super::host::Host;
use super::model::{
    Address, Allow, Config, Listener, LogFormat, Protocol, Provider, Role,
    TencentAssumeRoleWithWebIdentity,
};
use super::report::Report;
use super::source::SourceFile;
use super::{Loaded, diff, interpret};
use crate::name::Name;
use crate::provider::secrets::SecretRef;

/// A host with the variables of a pod that has an identity.
fn pod() -> Host {
    let variables = [
        ("TKE_PROVIDER_ID", "pod-oidc"),
        ("TKE_REGION", "ap-shanghai"),
        ("TKE_ROLE_ARN", "qcs::cam::uin/1:roleName/pod"),
        ("TKE_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
    ];
    Host {
        name: "web1".to_owned(),
        variables: variables
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect(),
        ..Host::default()
    }
}

fn host() -> Host {
    Host {
        name: "web1".to_owned(),
        ..Host::default()
    }
}

fn read_on(text: &str, host: &Host) -> Result<Loaded, Report> {
    let file = SourceFile::new("config.toml".into(), text.to_owned());
    interpret(&[file], host)
}

fn config(text: &str) -> Config {
    read_on(text, &host()).expect(text).config
}

fn role<'c>(config: &'c Config, name: &str) -> &'c Role {
    config.roles.get(name).expect("a role")
}

fn listener<'c>(config: &'c Config, name: &str) -> &'c Listener {
    config.listeners.get(name).expect("a listener")
}

const BASE: &str = r#"
[key.ops]
cloud = "tencent"
id = "env:PATH"
secret = "env:PATH"
[role.app.provider.tencent-assume-role]
source = "ops"
role-arn = "qcs::cam::uin/1:roleName/app"
[role.chained.provider.tencent-assume-role]
source = "app"
role-arn = "qcs::cam::uin/2:roleName/chained"
[listener.x]
address = "127.0.0.1:9470"
roles = ["app", "chained"]
"#;

#[test]
fn nothing_at_all_is_a_configuration() {
    let config = config("");
    assert_eq!(
        config.daemon.state_directory.to_str(),
        Some("/var/lib/credvend")
    );
    assert_eq!(config.daemon.log, "info");
    assert_eq!(config.daemon.log_format, LogFormat::Auto);
    assert_eq!(config.daemon.shutdown_grace, Duration::from_secs(5));
    assert_eq!(
        config.admin.socket.to_str(),
        Some("/run/credvend/admin.sock")
    );
    assert_eq!(config.admin.access.mode, 0o600);
    assert!(config.admin.operators.users.is_empty());
    assert_eq!(config.metrics, None);
    let limits = &config.limits;
    for (action, rate) in [
        ("assume-role", 50.0),
        ("assume-role-with-web-identity", 20.0),
        ("get-caller-identity", 20.0),
    ] {
        assert!(
            (limits.tencent.per_second(action) - rate).abs() < 1e-9,
            "{action}"
        );
    }
    assert!((limits.huawei.per_second("any") - 10.0).abs() < 1e-9);
}

#[test]
fn defaults_of_a_role_and_a_listener() {
    let config = config(BASE);
    let app = role(&config, "app");
    let Provider::TencentAssumeRole(it) = &app.provider else {
        panic!("{app:?}");
    };
    assert_eq!(it.sts.endpoint, "https://sts.tencentcloudapi.com");
    assert_eq!(it.sts.region, "ap-guangzhou");
    assert_eq!(it.sts.upstream.timeout, Duration::from_secs(10));
    assert_eq!(it.sts.upstream.connect_timeout, Duration::from_secs(3));
    assert_eq!(it.duration, Duration::from_hours(2));
    assert_eq!(it.session_name, "credvend-web1");
    assert!(!app.lazy);

    let listener = listener(&config, "x");
    let usual = BTreeSet::from([Protocol::Native, Protocol::Tencent]);
    assert_eq!(listener.protocols, usual);
    assert_eq!(listener.allow, None);
    assert_eq!(listener.access.mode, 0o600);
    assert!(matches!(listener.address, Address::Tcp(_)));
    assert_eq!(listener.roles.first().map(Name::as_str), Some("app"));
}

#[test]
fn upstream_settings_are_inherited_key_by_key() {
    let text = BASE.replace(
        "[role.chained.provider.tencent-assume-role]\n",
        "[role.chained.provider.tencent-assume-role]\ntimeout = \"20s\"\nsite = \"intl\"\n",
    );
    let config = config(&format!(
        "{text}[upstream]\nproxy = \"http://proxy:3128\"\ntimeout = \"5s\"\n"
    ));
    let app = role(&config, "app").provider.sts();
    assert_eq!(app.upstream.timeout, Duration::from_secs(5));
    assert_eq!(app.upstream.proxy.as_deref(), Some("http://proxy:3128"));
    let chained = role(&config, "chained").provider.sts();
    assert_eq!(chained.upstream.timeout, Duration::from_secs(20));
    assert_eq!(chained.upstream.proxy.as_deref(), Some("http://proxy:3128"));
    assert_eq!(chained.endpoint, "https://sts.intl.tencentcloudapi.com");
}

#[test]
fn a_pods_own_identity_is_the_default() {
    let table = "[role.pod.provider.tencent-assume-role-with-web-identity]\n";
    let read = |text: &str, host: &Host| -> TencentAssumeRoleWithWebIdentity {
        let config = read_on(text, host).expect(text).config;
        let provider = &role(&config, "pod").provider;
        let Provider::TencentAssumeRoleWithWebIdentity(it) = provider else {
            panic!("{provider:?}");
        };
        it.clone()
    };
    let from_pod = read(table, &pod());
    assert_eq!(from_pod.provider_id, "pod-oidc");
    assert_eq!(from_pod.role_arn, "qcs::cam::uin/1:roleName/pod");
    assert_eq!(from_pod.sts.region, "ap-shanghai");
    assert_eq!(
        from_pod.web_identity_token,
        SecretRef::File("/var/run/token".into())
    );

    let own = read(
        &format!("{table}provider-id = \"mine\"\nregion = \"ap-beijing\"\n"),
        &pod(),
    );
    assert_eq!(own.provider_id, "mine");
    assert_eq!(own.sts.region, "ap-beijing");

    let mut odd = pod();
    odd.variables.insert("TKE_ROLE_ARN", "odd".to_owned());
    let report = read_on(table, &odd).expect_err("a wrong variable");
    assert_eq!(report.mistakes().len(), 1, "{report}");
    let text = report
        .mistakes()
        .first()
        .map(|mistake| mistake.text().to_owned());
    assert_eq!(
        text.as_deref(),
        Some("`$TKE_ROLE_ARN` in the environment is not the name of a role")
    );
}

#[test]
fn budgets_are_divided_by_the_fleet() {
    let text =
        "[limits]\nfleet-size = 4\n[limits.tencent]\ndefault = \"8/s\"\nassume-role = \"60/m\"\n";
    let limits = config(text).limits;
    for (action, rate) in [
        ("assume-role", 0.25),
        ("assume-role-with-saml", 2.0),
        ("get-caller-identity", 5.0),
        ("unheard-of", 2.0),
    ] {
        assert!(
            (limits.tencent.per_second(action) - rate).abs() < 1e-9,
            "{action}"
        );
    }
    assert!((limits.huawei.default - 2.5).abs() < 1e-9);
}

#[test]
fn groups_bring_their_members() {
    let text = format!("{BASE}allow = {{ users = [7], groups = [\"root\"] }}\n");
    let allow = listener(&config(&text), "x").allow.clone();
    let Some(Allow::Only(principals)) = allow else {
        panic!("{allow:?}");
    };
    assert!(principals.contains(7, None));
    assert!(principals.contains(0, None), "root's primary group is root");
    assert!(principals.contains(12345, Some(0)));
    assert!(!principals.contains(12345, Some(12345)));

    let nobody = listener(&config(&format!("{BASE}allow = {{}}\n")), "x")
        .allow
        .clone();
    assert_eq!(
        nobody,
        Some(Allow::Only(super::model::Principals::default()))
    );
}

#[test]
fn remote_listeners_serve_what_has_a_token() {
    let text = BASE.replace(
        "address = \"127.0.0.1:9470\"",
        "address = \"192.0.2.1:9470\"\nallow-remote = true\ntoken = \"file:/run/t\"",
    );
    let config = config(&text);
    let listener = listener(&config, "x");
    assert_eq!(listener.protocols, BTreeSet::from([Protocol::Native]));
    assert!(listener.allow_remote);
}

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
