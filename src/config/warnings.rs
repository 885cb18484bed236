//! What is legal but unwise.

mod listeners;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use super::findings::Findings;
use super::host::Host;
use super::model::{Config, Provider, Role, Sink, SinkKind, Source};
use super::provider::account_of;
use super::values::spoken;
use crate::credentials::Cloud;
use crate::provider::secrets::{SecretRef, SecretSource};
use crate::schedule::{self, shown_at_least};

/// Everything unwise about a correct configuration.
pub(super) fn all(config: &Config, host: &Host, findings: &Findings<'_>) {
    for role in config.roles.values() {
        timing(role, findings);
        account(role, findings);
        ca_file(role, findings);
        vended_nowhere(role, config, findings);
    }
    for listener in config.listeners.values() {
        listeners::all(listener, config, host, findings);
    }
    for sink in config.sinks.values() {
        sinks_of_another_cloud(sink, config, findings);
    }
    budgets(config, findings);
}

/// Secrets that are not to be had from here, or that others can have too.
pub(super) fn secrets(findings: &Findings<'_>) {
    for (reference, place) in findings.secrets() {
        let mode = match &reference {
            SecretRef::File(path) => std::fs::metadata(path)
                .ok()
                .map(|it| it.permissions().mode()),
            SecretRef::Env(_) | SecretRef::Systemd(_) => None,
        };
        if let Err(error) = SecretSource::new(reference.clone()).read() {
            let cause = std::error::Error::source(&error)
                .map(|cause| format!(": {cause}"))
                .unwrap_or_default();
            findings.warning(
                &place,
                format!("a secret cannot be read from here: {error}{cause}"),
                "what needs it fails until it can be; the rest works".to_owned(),
            );
        } else if let Some(mode) = mode.filter(|mode| mode & 0o077 != 0) {
            findings.warning(
                &place,
                format!(
                    "others can read or change `{reference}`: its mode is {:04o}",
                    mode & 0o7777
                ),
                "make it 0600 or 0400, owned by the daemon's user".to_owned(),
            );
        }
    }
}

fn timing(role: &Role, findings: &Findings<'_>) {
    let Some(life) = role.provider.duration() else {
        return;
    };
    let most = schedule::most_ahead(life);
    if role.refresh_ahead.is_some_and(|ahead| ahead > most) {
        findings.warning_at(
            &[&format!("role.{}.refresh-ahead", role.name)],
            format!(
                "`refresh-ahead` is more than sessions of {} leave room for, so {} is used",
                spoken(life),
                spoken(most)
            ),
            "a new set is used for a while before the next one is asked for".to_owned(),
        );
    }
    let shown = shown_at_least(life, role.refresh_ahead);
    if role.min_remaining.is_some_and(|wanted| wanted > shown) {
        findings.warning_at(
            &[&format!("role.{}.min-remaining", role.name)],
            format!(
                "`min-remaining` cannot always be kept: before each refresh sessions of {} show \
                 no more than {}",
                spoken(life),
                spoken(shown)
            ),
            "lower it, or raise `duration` or `refresh-ahead`".to_owned(),
        );
    }
}

fn account(role: &Role, findings: &Findings<'_>) {
    if let (Some(expected), Some(actual)) =
        (role.expected_account.as_deref(), account_of(&role.provider))
        && expected != actual
    {
        findings.warning_at(
            &[&format!("role.{}.expected-account", role.name)],
            format!("its provider is of account {actual}, so nothing will ever be adopted"),
            "correct one of the two".to_owned(),
        );
    }
}

fn ca_file(role: &Role, findings: &Findings<'_>) {
    if let Some(path) = &role.provider.sts().upstream.ca_file
        && let Err(error) = std::fs::File::open(path)
    {
        let own = format!(
            "role.{}.provider.{}.ca-file",
            role.name,
            role.provider.kind()
        );
        findings.warning_at(
            &[&own, "upstream.ca-file"],
            format!(
                "role `{}` cannot reach its cloud: `{}`: {error}",
                role.name,
                path.display()
            ),
            None,
        );
    }
}

fn vended_nowhere(role: &Role, config: &Config, findings: &Findings<'_>) {
    let is_vended = config
        .listeners
        .values()
        .any(|it| it.roles.contains(&role.name))
        || config.sinks.values().any(|it| it.role == role.name);
    let is_source = config.roles.values().any(
        |other| matches!(other.provider.source(), Some(Source::Role(name)) if *name == role.name),
    );
    if !is_vended && !is_source {
        findings.warning_at(
            &[&format!("role.{}", role.name)],
            format!("role `{}` is kept fresh but vended nowhere", role.name),
            "name it in the `roles` of a listener, or in a sink".to_owned(),
        );
    }
}

/// A file whose readers will sign with keys that their cloud does not know.
fn sinks_of_another_cloud(sink: &Sink, config: &Config, findings: &Findings<'_>) {
    let cloud = match sink.kind {
        SinkKind::TccliProfile => Cloud::Tencent,
        SinkKind::HuaweiCredentials => Cloud::Huawei,
        SinkKind::AwsCredentials | SinkKind::EnvFile | SinkKind::Json => return,
    };
    let role = config.roles.get(&sink.role);
    if role.is_some_and(|role| role.cloud != cloud) {
        let kind = sink.kind.as_str();
        findings.warning_at(
            &[&format!("sink.{}.{kind}.role", sink.name)],
            format!(
                "role `{}` is not of {cloud}, whose tools read this file",
                sink.role
            ),
            "they will be refused with these keys".to_owned(),
        );
    }
}

/// More refreshes than an endpoint's budget lets through.
fn budgets(config: &Config, findings: &Findings<'_>) {
    let mut wanted: BTreeMap<(Cloud, &str, &str), (f64, usize)> = BTreeMap::new();
    for role in config.roles.values() {
        let (Some(life), Some(action)) = (role.provider.duration(), action(&role.provider)) else {
            continue;
        };
        let every = life
            .saturating_sub(schedule::ahead(life, role.refresh_ahead))
            .as_secs_f64()
            .max(1.0);
        let endpoint = role.provider.sts().endpoint.as_str();
        let identity = role
            .expected_account
            .is_some()
            .then_some("get-caller-identity");
        for action in [Some(action), identity].into_iter().flatten() {
            let (rate, roles) = wanted.entry((role.cloud, endpoint, action)).or_default();
            *rate += 1.0 / every;
            *roles += 1;
        }
    }
    for ((cloud, endpoint, action), (rate, roles)) in wanted {
        let budget = config.limits.of(cloud).per_second(action);
        if rate > budget {
            let first = config
                .roles
                .keys()
                .next()
                .map(|name| format!("role.{name}"));
            findings.warning_at(
                &[
                    &format!("limits.{cloud}.{action}"),
                    &format!("limits.{cloud}.default"),
                    "limits.fleet-size",
                    first.as_deref().unwrap_or_default(),
                ],
                format!(
                    "keeping {roles} role(s) fresh takes {rate:.3} calls per second of {action} \
                     at {endpoint}, and the budget is {budget:.3}"
                ),
                format!("ask for longer sessions, or raise [limits.{cloud}]"),
            );
        }
    }
}

/// The action that mints a role's sets, as `[limits]` names it.
fn action(provider: &Provider) -> Option<&'static str> {
    match provider {
        Provider::HuaweiAgencyCredentials(_) => Some("create-temporary-access-key-by-agency"),
        Provider::HuaweiAssumeAgency(_) => Some("assume-agency"),
        Provider::HuaweiAssumeAgencyWithOidc(_) => Some("assume-agency-with-oidc"),
        Provider::HuaweiAssumeAgencyWithSaml(_) => Some("assume-agency-with-saml"),
        Provider::TencentAssumeRole(_) => Some("assume-role"),
        Provider::TencentAssumeRoleWithWebIdentity(_) => Some("assume-role-with-web-identity"),
        Provider::TencentAssumeRoleWithSaml(_) | Provider::TencentIdentityCenter(_) => {
            Some("assume-role-with-saml")
        }
        Provider::TencentGetFederationToken(_) => Some("get-federation-token"),
        Provider::HuaweiIdentityCenter(_)
        | Provider::HuaweiInstanceMetadata(_)
        | Provider::TencentInstanceMetadata(_)
        | Provider::Command(_) => None,
    }
}
