//! More calls than `[limits]` lets through: of one action, or of all of an endpoint together.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::findings::Findings;
use crate::config::model::{Config, Provider, Role};
use crate::credentials::Cloud;
use crate::name::Name;
use crate::schedule;

/// Calls of one action at one endpoint, or of all there.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Kind<'a> {
    cloud: Cloud,
    endpoint: &'a str,
    action: Option<&'a str>,
}

/// What keeping roles fresh takes.
#[derive(Debug)]
struct Wanted<'a> {
    per_second: f64,
    roles: BTreeSet<&'a Name>,
}

pub(super) fn all(config: &Config, findings: &Findings<'_>) {
    wider_than_their_endpoint(config, findings);
    let mut all: BTreeMap<Kind<'_>, Wanted<'_>> = BTreeMap::new();
    for role in config.roles.values() {
        let Some((per_second, kinds)) = calls(role) else {
            continue;
        };
        for of_action in kinds {
            let whole = Kind {
                action: None,
                ..of_action
            };
            for kind in [of_action, whole] {
                let wanted = all.entry(kind).or_insert_with(|| Wanted {
                    per_second: 0.0,
                    roles: BTreeSet::new(),
                });
                wanted.per_second += per_second;
                wanted.roles.insert(&role.name);
            }
        }
    }
    let is_too_much = |kind: &Kind<'_>, wanted: &Wanted<'_>| {
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
            warn(findings, *kind, wanted, budget);
        }
    }
}

fn warn(findings: &Findings<'_>, kind: Kind<'_>, wanted: &Wanted<'_>, budget: f64) {
    let Kind {
        cloud,
        endpoint,
        action,
    } = kind;
    let own = action.map(|action| format!("limits.{cloud}.{action}"));
    let first = wanted.roles.first();
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
            "keeping {} role(s) fresh takes {} calls per second{of} at {endpoint}, and the budget \
             is {}",
            wanted.roles.len(),
            significant(wanted.per_second),
            significant(budget)
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

/// How often a role makes its calls, and which go where.
fn calls(role: &Role) -> Option<(f64, Vec<Kind<'_>>)> {
    let life = role.provider.duration()?;
    let every = life
        .saturating_sub(schedule::ahead(life, role.refresh_ahead))
        .as_secs_f64()
        .max(1.0);
    let at = |endpoint, action| Kind {
        cloud: role.cloud,
        endpoint,
        action: Some(action),
    };
    let mint = at(role.provider.minting_endpoint(), action(&role.provider)?);
    let identity = || at(&role.provider.sts().endpoint, "get-caller-identity");
    let identity = role.expected_account.is_some().then(identity);
    Some((
        1.0 / every,
        [Some(mint), identity].into_iter().flatten().collect(),
    ))
}

/// Three significant digits, and no zeros behind them: budgets of large fleets are small numbers.
fn significant(rate: f64) -> String {
    let mut decimals = 2;
    let mut shifted = rate;
    while shifted < 1.0 && decimals < 12 {
        shifted *= 10.0;
        decimals += 1;
    }
    let text = format!("{rate:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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

#[cfg(test)]
mod tests {
    use super::significant;

    #[test]
    fn small_rates_keep_their_digits() {
        for (rate, text) in [
            (50.0, "50"),
            (0.25, "0.25"),
            (2.0 / 3.0, "0.667"),
            (1.0 / 3600.0, "0.000278"),
            (0.000_05, "0.00005"),
            (12.345_6, "12.35"),
            (0.0, "0"),
        ] {
            assert_eq!(significant(rate), text);
        }
    }
}
