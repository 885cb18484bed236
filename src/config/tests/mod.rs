//! Defaults of whole configurations, and what the other tests read them with.

mod changes;
mod example;
mod files;
mod huawei;
mod mistakes;
mod names;
mod unwise;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::files::Files;
use super::host::Host;
use super::model::{
    Address, Allow, Config, Listener, LogFormat, Protocol, Provider, Role,
    TencentAssumeRoleWithWebIdentity,
};
use super::report::Report;
use super::source::SourceFile;
use super::{Loaded, interpret};
use crate::name::Name;
use crate::secret::SecretRef;

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
    read_files(&[text], host)
}

/// As several files.
fn read_files(texts: &[&str], host: &Host) -> Result<Loaded, Report> {
    let mut files = Files::default();
    for (number, text) in texts.iter().enumerate() {
        let path = PathBuf::from(format!("{number}.toml"));
        files.paths.push(path.clone());
        files.read.push(SourceFile::new(path, (*text).to_owned()));
    }
    interpret(&files, host)
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
