//! Huawei Cloud's providers and protocols as the configuration reads them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{config, host, listener, read_on, role};
use crate::config::model::{HuaweiDomain, Protocol, Provider, Source};

const KEYS: &str = r#"
[key.hw]
cloud = "huawei"
id = "env:PATH"
secret = "env:PATH"
[key.tx]
cloud = "tencent"
id = "env:PATH"
secret = "env:PATH"
"#;

const AGENCY: &str = "agency-urn = \"iam::0a1b:agency:app\"\n";

/// A role whose provider table of this kind holds these lines.
fn with(kind: &str, lines: &str) -> String {
    format!("{KEYS}[role.app.provider.{kind}]\n{lines}")
}

fn mistakes(text: &str) -> Vec<String> {
    match read_on(text, &host()) {
        Ok(_) => Vec::new(),
        Err(report) => report
            .mistakes()
            .iter()
            .map(|mistake| mistake.text().to_owned())
            .collect(),
    }
}

#[test]
fn defaults_of_assume_agency() {
    let text = with(
        "huawei-assume-agency",
        &format!("source = \"hw\"\n{AGENCY}"),
    );
    let config = config(&text);
    let Provider::HuaweiAssumeAgency(it) = &role(&config, "app").provider else {
        panic!("{config:?}");
    };
    assert_eq!(it.sts.region, "cn-north-4");
    assert_eq!(it.sts.endpoint, "https://sts.cn-north-4.myhuaweicloud.com");
    assert_eq!(
        it.sts.fallback_endpoint.as_deref(),
        Some("https://sts.cn-east-3.myhuaweicloud.com")
    );
    assert_eq!(it.duration, Duration::from_hours(2));
    assert_eq!(it.session_name, "credvend-web1");
    assert_eq!(it.source, Source::Key("hw".parse().unwrap()));
    assert!(it.mfa.is_none() && it.provided_contexts.is_empty());
}

#[test]
fn a_second_region_stands_in_only_for_the_usual_endpoint() {
    for (lines, endpoint, fallback) in [
        (
            "region = \"ap-southeast-1\"\n",
            "https://sts.ap-southeast-1.myhuaweicloud.com",
            Some("https://sts.ap-southeast-3.myhuaweicloud.com"),
        ),
        (
            "region = \"eu-west-101\"\n",
            "https://sts.eu-west-101.myhuaweicloud.com",
            None,
        ),
        (
            "endpoint = \"https://sts.example\"\n",
            "https://sts.example",
            None,
        ),
        (
            "endpoint = \"https://a.example\"\nfallback-endpoint = \"https://b.example\"\n",
            "https://a.example",
            Some("https://b.example"),
        ),
    ] {
        let lines = format!("source = \"hw\"\n{AGENCY}{lines}");
        let config = config(&with("huawei-assume-agency", &lines));
        let sts = role(&config, "app").provider.sts();
        assert_eq!(sts.endpoint, endpoint);
        assert_eq!(sts.fallback_endpoint.as_deref(), fallback);
    }
}

#[test]
fn a_chained_session_is_an_hour() {
    let chained = |lines: &str| {
        format!(
            "{}[role.next.provider.huawei-assume-agency]\nsource = \"app\"\n{AGENCY}{lines}",
            with(
                "huawei-assume-agency",
                &format!("source = \"hw\"\n{AGENCY}duration = \"12h\"\n")
            )
        )
    };
    let config = config(&chained(""));
    let duration = role(&config, "next").provider.duration();
    assert_eq!(duration, Some(Duration::from_hours(1)));
    for (lines, expected) in [
        (
            "duration = \"61m\"\n",
            "`duration` is longer than the cloud allows where `source` is a role",
        ),
        (
            "duration = \"13h\"\n",
            "`duration` is longer than this action allows",
        ),
        (
            "duration = \"14m\"\n",
            "`duration` is shorter than this action allows",
        ),
        (
            "duration = 3600\n",
            "`duration` is a duration without a unit",
        ),
    ] {
        assert_eq!(mistakes(&chained(lines)), [expected]);
    }
}

#[test]
fn every_parameter_is_read() {
    let lines = format!(
        r#"source = "hw"
{AGENCY}policy = '{{"Version":"5.0"}}'
policy-ids = ["p-1"]
external-id = "e/1"
tags = {{ team = "web" }}
transitive-tag-keys = ["team"]
source-identity = "ci"
serial-number = "iam::0a1b:mfa:ops"
token-code = "env:PATH"
provided-contexts = [{{ context-provider-urn = "iam::0a1b:cp:x", context-assertion = "env:PATH" }}]
"#
    );
    let config = config(&with("huawei-assume-agency", &lines));
    let Provider::HuaweiAssumeAgency(it) = &role(&config, "app").provider else {
        panic!("{config:?}");
    };
    assert_eq!(it.restrictions.policy_ids, ["p-1"]);
    assert!(it.restrictions.policy.is_some());
    assert_eq!(it.external_id.as_deref(), Some("e/1"));
    assert_eq!(it.tags.get("team").map(String::as_str), Some("web"));
    assert!(it.transitive_tag_keys.contains("team"));
    assert_eq!(it.source_identity.as_deref(), Some("ci"));
    assert!(it.mfa.is_some());
    assert_eq!(it.provided_contexts.len(), 1);
}

#[test]
fn agency_credentials_have_two_services() {
    let lines = "source = \"hw\"\nagency-name = \"app\"\ndomain-name = \"corp\"\n";
    let config = config(&with("huawei-agency-credentials", lines));
    let Provider::HuaweiAgencyCredentials(it) = &role(&config, "app").provider else {
        panic!("{config:?}");
    };
    assert_eq!(it.iam.endpoint, "https://iam.cn-north-4.myhuaweicloud.com");
    assert_eq!(
        it.iam.fallback_endpoint.as_deref(),
        Some("https://iam.myhuaweicloud.com")
    );
    assert_eq!(it.sts.endpoint, "https://sts.cn-north-4.myhuaweicloud.com");
    assert_eq!(it.delegating, HuaweiDomain::Name("corp".to_owned()));
    assert_eq!(it.session_name, None);
}

/// A kind, lines of its table, and its one mistake.
#[test]
fn what_is_wrong_is_said() {
    const OIDC: &str = "huawei-assume-agency-with-oidc";
    const SAML: &str = "huawei-assume-agency-with-saml";
    const V3: &str = "huawei-agency-credentials";
    for (kind, lines, expected) in [
        (
            "huawei-assume-agency",
            "source = \"hw\"\nagency-urn = \"qcs::cam::uin/1:roleName/app\"\n",
            "`agency-urn` is not the URN of an agency",
        ),
        (
            "huawei-assume-agency",
            "source = \"tx\"\nagency-urn = \"iam::1:agency:a\"\n",
            "`source` names a key of tencent, and this provider is huawei's",
        ),
        (
            "huawei-assume-agency",
            "source = \"hw\"\nagency-urn = \"iam::1:agency:a\"\ntoken-code = \"env:PATH\"\n",
            "`serial-number` is missing in [role.app.provider.huawei-assume-agency]",
        ),
        (
            "huawei-assume-agency",
            "source = \"hw\"\nagency-urn = \"iam::1:agency:a\"\nprovided-contexts = []\n",
            "`provided-contexts` must have 1 to 5 entries",
        ),
        (
            "huawei-assume-agency",
            "source = \"hw\"\nagency-urn = \"iam::1:agency:a\"\ntags = { _sys_x = \"1\" }\n",
            "the key of a tag may not begin with `_sys_`",
        ),
        (
            OIDC,
            "provider-urn = \"ci\"\nagency-urn = \"iam::1:agency:a\"\nid-token = \"env:PATH\"\n",
            "`provider-urn` is not a URN",
        ),
        (
            OIDC,
            "provider-urn = \"iam::1:x:ci\"\nagency-urn = \"iam::1:agency:a\"\nid-token = \"eyJ\"\n",
            "`id-token` must be a reference to a secret, never the secret itself",
        ),
        (
            SAML,
            "provider-urn = \"iam::1:x:c\"\nagency-urn = \"iam::1:agency:a\"\nsaml-assertion = \"env:PATH\"\nsession-name = \"x\"\n",
            "unknown key `session-name` in [role.app.provider.huawei-assume-agency-with-saml]",
        ),
        (
            V3,
            "source = \"hw\"\nagency-name = \"app\"\n",
            "`domain-id` is missing in [role.app.provider.huawei-agency-credentials]",
        ),
        (
            V3,
            "source = \"hw\"\nagency-name = \"app\"\ndomain-id = \"1\"\ndomain-name = \"corp\"\n",
            "`domain-id` and `domain-name` are both set",
        ),
        (
            V3,
            "source = \"hw\"\nagency-name = \"app\"\ndomain-id = \"1\"\nduration = \"25h\"\n",
            "`duration` is longer than this action allows",
        ),
        (
            "huawei-instance-metadata",
            "endpoint = \"http://169.254.0.23\"\n",
            "`endpoint` must begin with `https://`",
        ),
    ] {
        assert_eq!(mistakes(&with(kind, lines)), [expected], "{kind}\n{lines}");
    }
}

#[test]
fn sources_of_another_cloud_are_refused_both_ways() {
    let text = format!(
        "{KEYS}[role.hw.provider.huawei-assume-agency]\nsource = \"hw\"\n{AGENCY}\
         [role.tx.provider.tencent-assume-role]\nsource = \"tx\"\nrole-arn = \"qcs::cam::uin/1:roleName/a\"\n\
         [role.a.provider.huawei-assume-agency]\nsource = \"tx-role\"\n{AGENCY}\
         [role.b.provider.tencent-assume-role]\nsource = \"hw\"\nrole-arn = \"qcs::cam::uin/1:roleName/b\"\n"
    )
    .replace("[role.tx.", "[role.tx-role.")
    .replace("[role.hw.", "[role.hw-role.")
    .replace("source = \"hw\"\nrole-arn", "source = \"hw-role\"\nrole-arn");
    let mut found = mistakes(&text);
    found.sort();
    assert_eq!(
        found,
        [
            "`source` names a role of huawei, and this provider is tencent's",
            "`source` names a role of tencent, and this provider is huawei's",
        ]
    );
}

#[test]
fn a_listener_speaks_the_metadata_protocols_of_its_roles() {
    let text = format!(
        "{}[role.tx.provider.tencent-assume-role]\nsource = \"tx\"\nrole-arn = \"qcs::cam::uin/1:roleName/a\"\n\
         [listener.both]\naddress = \"127.0.0.1:9470\"\nroles = [\"app\", \"tx\"]\n\
         [listener.hw]\naddress = \"127.0.0.1:9471\"\nroles = [\"app\"]\n\
         [listener.away]\naddress = \"10.0.0.1:9470\"\nallow-remote = true\ntoken = \"file:/run/t\"\nroles = [\"app\"]\n",
        with("huawei-assume-agency", &format!("source = \"hw\"\n{AGENCY}"))
    )
    .replace("[role.tx.", "[role.tx-role.")
    .replace("\"app\", \"tx\"", "\"app\", \"tx-role\"");
    let config = config(&text);
    let protocols = |name| listener(&config, name).protocols.clone();
    let usual = BTreeSet::from([Protocol::Huawei, Protocol::Native]);
    assert_eq!(protocols("hw"), usual);
    assert_eq!(
        protocols("both"),
        BTreeSet::from([Protocol::Huawei, Protocol::Native, Protocol::Tencent])
    );
    assert_eq!(protocols("away"), BTreeSet::from([Protocol::Native]));
}

#[test]
fn what_is_asked_for_identifies_a_role_and_tuning_does_not() {
    let print = |lines: &str| {
        let lines = format!("source = \"hw\"\n{AGENCY}{lines}");
        let config = config(&with("huawei-assume-agency", &lines));
        role(&config, "app").fingerprint.clone()
    };
    let usual = print("");
    for tuning in [
        "duration = \"1h\"\n",
        "region = \"cn-south-1\"\n",
        "endpoint = \"https://sts.example\"\n",
        "timeout = \"3s\"\n",
    ] {
        assert_eq!(print(tuning), usual, "{tuning}");
    }
    for identity in [
        "session-name = \"other\"\n",
        "policy-ids = [\"p\"]\n",
        "policy = '{}'\n",
        "external-id = \"ee\"\n",
        "tags = { a = \"b\" }\n",
        "transitive-tag-keys = [\"a\"]\n",
        "source-identity = \"me\"\n",
    ] {
        assert_ne!(print(identity), usual, "{identity}");
    }
}
