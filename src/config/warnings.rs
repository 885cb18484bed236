//! What is legal but unwise.

mod budgets;
mod files;
mod listeners;

use super::findings::Findings;
use super::host::Host;
use super::model::{Config, Role, Sink, SinkKind, Source};
use super::provider::account_of;
use super::values::spoken;
use crate::credentials::Cloud;
use crate::schedule::{self, shown_at_least};

pub(super) use files::secrets;

/// Everything unwise about a correct configuration.
pub(super) fn all(config: &Config, host: &Host, findings: &Findings<'_>) {
    for role in config.roles.values() {
        timing(role, findings);
        account(role, findings);
        vended_nowhere(role, config, findings);
    }
    for listener in config.listeners.values() {
        listeners::all(listener, config, host, findings);
    }
    for sink in config.sinks.values() {
        sinks_of_another_cloud(sink, config, findings);
        files::open_sink(sink, findings);
    }
    for login in config.logins.values() {
        files::state_key(login, findings);
        files::open_profile(login, findings);
    }
    files::ca_files(config, findings);
    files::state_directory(config, host, findings);
    budgets::all(config, findings);
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
    if let Some(least) = schedule::too_late(life, role.refresh_ahead) {
        findings.warning_at(
            &[&format!("role.{}.refresh-ahead", role.name)],
            format!(
                "`refresh-ahead` is so little that sessions of {} look expired, or nearly so, \
                 before their replacement is there",
                spoken(life)
            ),
            format!("more than {}", spoken(least)),
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
    if let (Some(expected), Some(actual)) = (&role.expected_account, account_of(&role.provider))
        && *expected != actual
    {
        findings.warning_at(
            &[&format!("role.{}.expected-account", role.name)],
            format!("its provider is of account {actual}, so nothing will ever be adopted"),
            "correct one of the two".to_owned(),
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
