//! More calls than `[limits]` lets through: of one action, or of all of an endpoint together.

use std::collections::BTreeMap;

use crate::config::findings::Findings;
use crate::config::model::{Config, Provider, Role};
use crate::credentials::Cloud;
use crate::schedule;

/// Calls of one action at one endpoint, or of all there.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Kind<'a> {
    cloud: Cloud,
    endpoint: &'a str,
    action: Option<&'a str>,
}

/// What keeping roles fresh takes.
#[derive(Debug, Default)]
struct Wanted {
    per_second: f64,
    roles: usize,
}

pub(super) fn all(config: &Config, findings: &Findings<'_>) {
    wider_than_their_endpoint(config, findings);
    let mut all: BTreeMap<Kind<'_>, Wanted> = BTreeMap::new();
    for role in config.roles.values() {
        let Some((whole, per_second, actions)) = calls(role) else {
            continue;
        };
        for (nth, action) in actions.into_iter().enumerate() {
            let of_action = Kind {
                action: Some(action),
                ..whole
            };
            let wanted = all.entry(of_action).or_default();
            wanted.per_second += per_second;
            wanted.roles += 1;
            let wanted = all.entry(whole).or_default();
            wanted.per_second += per_second;
            wanted.roles += usize::from(nth == 0);
        }
    }
    let is_too_much = |kind: &Kind<'_>, wanted: &Wanted| {
        let limits = config.limits.of(kind.cloud);
        let budget = match kind.action {
            Some(action) => limits.per_second(action),
            None => limits.default,
        };
        (wanted.per_second > budget).then_some(budget)
    };
    for (kind, wanted) in &all {
        let Some(budget) = is_too_much(kind, wanted) else {
            continue;
        };
        // Where one action is too much by itself, the sum is no other news.
        let is_said = kind.action.is_none()
            && all.iter().any(|(other, wanted)| {
                let is_part = (other.cloud, other.endpoint) == (kind.cloud, kind.endpoint);
                is_part && other.action.is_some() && is_too_much(other, wanted).is_some()
            });
        if !is_said {
            warn(config, findings, *kind, wanted, budget);
        }
    }
}

fn warn(config: &Config, findings: &Findings<'_>, kind: Kind<'_>, wanted: &Wanted, budget: f64) {
    let Kind {
        cloud,
        endpoint,
        action,
    } = kind;
    let own = action.map(|action| format!("limits.{cloud}.{action}"));
    let first = config.roles.keys().next();
    let places: Vec<String> = own
        .into_iter()
        .chain([
            format!("limits.{cloud}.default"),
            "limits.fleet-size".to_owned(),
        ])
        .chain(first.map(|name| format!("role.{name}")))
        .collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    let of = action
        .map(|action| format!(" of {action}"))
        .unwrap_or_default();
    findings.warning_at(
        &places,
        format!(
            "keeping {} role(s) fresh takes {:.3} calls per second{of} at {endpoint}, and the \
             budget is {budget:.3}",
            wanted.roles, wanted.per_second
        ),
        format!("ask for longer sessions, or raise [limits.{cloud}]"),
    );
}

/// An action's own budget lies within that of its endpoint.
fn wider_than_their_endpoint(config: &Config, findings: &Findings<'_>) {
    for cloud in Cloud::ALL {
        let limits = config.limits.of(cloud);
        for (action, per_second) in &limits.actions {
            if *per_second > limits.default {
                // Only where it was written down: nobody has to lower a default.
                findings.warning_at(
                    &[&format!("limits.{cloud}.{action}")],
                    format!(
                        "{action} gets no more than `default`, which bounds all calls of an \
                         endpoint together"
                    ),
                    format!("raise `default` in [limits.{cloud}], too"),
                );
            }
        }
    }
}

/// Where a role's calls go, how often it makes each of them, and which.
fn calls(role: &Role) -> Option<(Kind<'_>, f64, Vec<&'static str>)> {
    let life = role.provider.duration()?;
    let every = life
        .saturating_sub(schedule::ahead(life, role.refresh_ahead))
        .as_secs_f64()
        .max(1.0);
    let whole = Kind {
        cloud: role.cloud,
        endpoint: role.provider.sts().endpoint.as_str(),
        action: None,
    };
    let identity = role.expected_account.as_ref();
    let actions = [
        Some(action(&role.provider)?),
        identity.map(|_| "get-caller-identity"),
    ];
    Some((whole, 1.0 / every, actions.into_iter().flatten().collect()))
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
