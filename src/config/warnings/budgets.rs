//! More refreshes than an endpoint's budget lets through.

use std::collections::BTreeMap;

use crate::config::findings::Findings;
use crate::config::model::{Config, Provider};
use crate::credentials::Cloud;
use crate::name::Name;
use crate::schedule;

/// The calls of one action at one endpoint.
struct Wanted<'c> {
    first: &'c Name,
    roles: usize,
    per_second: f64,
}

/// Compares what the roles take with what `[limits]` gives.
pub(super) fn all(config: &Config, findings: &Findings<'_>) {
    let mut wanted: BTreeMap<(Cloud, &str, &str), Wanted<'_>> = BTreeMap::new();
    for role in config.roles.values() {
        let (Some(life), Some(action)) = (role.provider.duration(), action(&role.provider)) else {
            continue;
        };
        let every = life
            .saturating_sub(schedule::ahead(life, role.refresh_ahead))
            .as_secs_f64()
            .max(1.0);
        let mint = (action, role.provider.minting_endpoint());
        let identity = role
            .expected_account
            .is_some()
            .then(|| ("get-caller-identity", role.provider.sts().endpoint.as_str()));
        for (action, endpoint) in [Some(mint), identity].into_iter().flatten() {
            let wanted = wanted
                .entry((role.cloud, endpoint, action))
                .or_insert(Wanted {
                    first: &role.name,
                    roles: 0,
                    per_second: 0.0,
                });
            wanted.per_second += 1.0 / every;
            wanted.roles += 1;
        }
    }
    for ((cloud, endpoint, action), wanted) in wanted {
        let budget = config.limits.of(cloud).per_second(action);
        if wanted.per_second > budget {
            findings.warning_at(
                &[
                    &format!("limits.{cloud}.{action}"),
                    &format!("limits.{cloud}.default"),
                    "limits.fleet-size",
                    &format!("role.{}", wanted.first),
                ],
                format!(
                    "keeping {} role(s) fresh takes {} calls per second of {action} at {endpoint}, \
                     and the budget is {}",
                    wanted.roles,
                    significant(wanted.per_second),
                    significant(budget)
                ),
                format!("ask for longer sessions, or raise [limits.{cloud}]"),
            );
        }
    }
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
