//! What is legal but unwise about a listener: whom it lets in, and what its clients will make of
//! what they get.

use std::time::Duration;

use crate::config::findings::Findings;
use crate::config::host::Host;
use crate::config::listener::metadata_protocol;
use crate::config::model::{Address, Allow, Config, Listener, Protocol, Role};
use crate::config::values::spoken;
use crate::credentials::Cloud;
use crate::schedule::shown_at_least;

pub(super) fn all(listener: &Listener, config: &Config, host: &Host, findings: &Findings<'_>) {
    open_socket(listener, findings);
    token_not_asked_for(listener, findings);
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

/// A token that keeps nobody out, since the same keys are to be had without it.
fn token_not_asked_for(listener: &Listener, findings: &Findings<'_>) {
    let is_open = matches!(listener.address, Address::Tcp(_))
        && listener.allow == Some(Allow::AnyLocal)
        && !listener.allow_remote;
    if listener.token.is_none() || !is_open {
        return;
    }
    let without: Vec<String> = listener
        .protocols
        .iter()
        .filter(|protocol| !protocol.is_container())
        .map(|protocol| format!("`{}`", protocol.as_str()))
        .collect();
    if !without.is_empty() {
        findings.warning_at(
            &[
                &format!("listener.{}.protocols", listener.name),
                &format!("listener.{}.token", listener.name),
            ],
            format!(
                "every user of this host gets the roles of listener `{}` without its token, through \
                 what does not ask for it: {}",
                listener.name,
                without.join(", ")
            ),
            "name those meant in `allow`, or serve them at a listener of their own".to_owned(),
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
    let Some((window, protocol)) = longest.filter(|(window, _)| shown < *window) else {
        return;
    };
    let consequence = format!(
        "for clients of listener `{}`: before a refresh they show {}, and clients of `{}` ask again \
         at every use below {}",
        listener.name,
        spoken(shown),
        protocol.as_str(),
        spoken(window)
    );
    let ahead = format!("role.{}.refresh-ahead", role.name);
    // Whoever could be helped by replacing sets earlier need not ask for longer sessions.
    if role.refresh_ahead.is_some() && shown_at_least(life, None) >= window {
        findings.warning_at(
            &[&ahead],
            format!("with this `refresh-ahead` sessions are short {consequence}"),
            format!(
                "leave it out, or raise it by {}",
                spoken(window.saturating_sub(shown))
            ),
        );
        return;
    }
    findings.warning_at(
        &[
            &format!(
                "role.{}.provider.{}.duration",
                role.name,
                role.provider.kind()
            ),
            &format!("role.{}", role.name),
        ],
        format!("sessions of {} are short {consequence}", spoken(life)),
        "a `duration` of 1h or more suits all clients".to_owned(),
    );
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
