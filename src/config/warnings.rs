//! What is legal but unwise.

mod budgets;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::findings::Findings;
use super::host::Host;
use super::listener::metadata_protocol;
use super::model::{Address, Allow, Config, Listener, Protocol, Role, Sink, SinkKind, Source};
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
        open_socket(listener, findings);
        stands_in(listener, host, findings);
        for role in listener
            .roles
            .iter()
            .filter_map(|name| config.roles.get(name))
        {
            short_sessions(listener, role, findings);
            foreign_protocol(listener, role, findings);
        }
    }
    for sink in config.sinks.values() {
        sinks_of_another_cloud(sink, config, findings);
    }
    budgets::all(config, findings);
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

/// An address at which the programs of this host find a real metadata service now.
fn stands_in(listener: &Listener, host: &Host, findings: &Findings<'_>) {
    if let Address::Tcp(address) = &listener.address
        && let Some(evidence) = host.services.real_service(address.ip())
    {
        findings.warning_at(
            &[&format!("listener.{}.address", listener.name)],
            format!(
                "listener `{}` takes the address of a real metadata service ({evidence}): every \
                 program of this host will get its answers instead",
                listener.name
            ),
            "give the address to one application, in a network namespace of its own".to_owned(),
        );
    }
}

/// A socket that whoever is on this host may use.
fn open_socket(listener: &Listener, findings: &Findings<'_>) {
    let is_unix = matches!(listener.address, Address::Unix(_));
    let is_narrowed = matches!(listener.allow, Some(Allow::Only(_)));
    if is_unix && !is_narrowed && listener.access.mode & 0o002 != 0 {
        findings.warning_at(
            &[&format!("listener.{}.mode", listener.name)],
            format!(
                "every user of this host may connect to listener `{}`",
                listener.name
            ),
            "use \"0660\" with a `group`, or name those meant in `allow`".to_owned(),
        );
    }
}

/// The life below which clients of a protocol ask again at every use, or (botocore on instance
/// metadata) take a set for longer-lived than it is: the most eager client counts.
fn window(protocol: Protocol) -> Option<Duration> {
    match protocol {
        Protocol::Huawei | Protocol::HuaweiContainer => Some(Duration::from_mins(40)),
        Protocol::Tencent => Some(Duration::from_mins(10)),
        Protocol::Alibaba | Protocol::AwsContainer => Some(Duration::from_mins(15)),
        Protocol::AwsImds => Some(Duration::from_mins(25)),
        Protocol::Native => None,
    }
}

fn short_sessions(listener: &Listener, role: &Role, findings: &Findings<'_>) {
    let Some(life) = role.provider.duration() else {
        return;
    };
    let shown = shown_at_least(life, role.refresh_ahead);
    let longest = listener
        .protocols
        .iter()
        .filter_map(|protocol| Some((window(*protocol)?, *protocol)))
        .max_by_key(|(window, _)| *window);
    if let Some((window, protocol)) = longest
        && shown < window
    {
        findings.warning_at(
            &[
                &format!(
                    "role.{}.provider.{}.duration",
                    role.name,
                    role.provider.kind()
                ),
                &format!("role.{}", role.name),
            ],
            format!(
                "sessions of {} are short for clients of listener `{}`: before a refresh they \
                 show {}, and clients of `{}` ask again at every use below {}",
                spoken(life),
                listener.name,
                spoken(shown),
                protocol.as_str(),
                spoken(window)
            ),
            "a `duration` of 1h or more suits all clients".to_owned(),
        );
    }
}

fn foreign_protocol(listener: &Listener, role: &Role, findings: &Findings<'_>) {
    for cloud in Cloud::ALL {
        let protocol = metadata_protocol(cloud);
        if cloud != role.cloud && listener.protocols.contains(&protocol) {
            findings.warning_at(
                &[
                    &format!("listener.{}.protocols", listener.name),
                    &format!("listener.{}.roles", listener.name),
                ],
                format!(
                    "listener `{}` serves role `{}` of {} in the format of {cloud}'s metadata",
                    listener.name, role.name, role.cloud
                ),
                "its clients will take the keys for those of the other cloud".to_owned(),
            );
        }
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
