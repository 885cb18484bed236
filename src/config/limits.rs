//! `[limits]`: how many calls per second each endpoint gets from this host.

use std::collections::BTreeMap;

use super::document::defined_twice;
use super::findings::Findings;
use super::model::{CloudLimits, Limits};
use super::reader::{Complaint, Table, Value};
use super::source::Place;
use super::values;

/// Actions of Tencent's STS that may have a budget of their own, with the default where it is
/// not the general one (documented for the service: 600/s AssumeRole, 200/s SAML).
const TENCENT_ACTIONS: [(&str, Option<f64>); 5] = [
    ("assume-role", None),
    ("assume-role-with-saml", None),
    ("assume-role-with-web-identity", Some(20.0)),
    ("get-caller-identity", Some(20.0)),
    ("get-federation-token", None),
];
/// The same for Huawei Cloud's STS and IAM, which document no quotas.
const HUAWEI_ACTIONS: [(&str, Option<f64>); 6] = [
    ("assume-agency", None),
    ("assume-agency-with-oidc", None),
    ("assume-agency-with-saml", None),
    ("create-temporary-access-key-by-agency", None),
    ("get-agency-credentials", None),
    ("get-caller-identity", None),
];
const TENCENT_DEFAULT: f64 = 50.0;
const HUAWEI_DEFAULT: f64 = 10.0;
const LARGEST_FLEET: u32 = 1_000_000;

/// The budgets of one host: the account's, divided by the hosts that share it. The table of each
/// cloud, and what stands in `[limits]` itself, may come from different files.
pub(super) fn limits<'d>(tables: Vec<Table<'_, 'd>>, findings: &Findings<'d>) -> Limits {
    let mut fleet_size = None;
    let mut tencent: Option<Table<'_, 'd>> = None;
    let mut huawei: Option<Table<'_, 'd>> = None;
    let mut own: Option<Place<'d>> = None;
    for mut table in tables {
        if table.has_values() {
            match &own {
                Some(first) => defined_twice(findings, table.path(), table.place(), first),
                None => own = Some(table.place().clone()),
            }
        }
        let size = table.optional("fleet-size", fleet_size_of);
        fleet_size = fleet_size.or(size);
        for (key, cloud) in [("tencent", &mut tencent), ("huawei", &mut huawei)] {
            match (table.optional(key, Value::table), &cloud) {
                (Some(second), Some(first)) => {
                    defined_twice(findings, second.path(), second.place(), first.place());
                }
                (Some(first), None) => *cloud = Some(first),
                (None, _) => {}
            }
        }
        table.finish();
    }
    let hosts = fleet_size.unwrap_or(1.0);
    Limits {
        tencent: cloud(tencent, TENCENT_DEFAULT, &TENCENT_ACTIONS, hosts),
        huawei: cloud(huawei, HUAWEI_DEFAULT, &HUAWEI_ACTIONS, hosts),
    }
}

fn fleet_size_of(value: &Value<'_, '_>) -> Option<f64> {
    match u32::try_from(value.integer()?) {
        Ok(hosts) if (1..=LARGEST_FLEET).contains(&hosts) => Some(f64::from(hosts)),
        Ok(_) | Err(_) => {
            value.complain(Complaint::new(format!(
                "must be the number of hosts, from 1 to {LARGEST_FLEET}"
            )));
            None
        }
    }
}

fn cloud(
    mut table: Option<Table<'_, '_>>,
    usual: f64,
    known: &[(&'static str, Option<f64>)],
    hosts: f64,
) -> CloudLimits {
    let mut read = |key| {
        let table = table.as_mut()?;
        table.optional(key, |value| value.parsed(values::rate))
    };
    let default = read("default").unwrap_or(usual) / hosts;
    let mut actions = BTreeMap::new();
    for (action, its_default) in known {
        let rate = read(action).or(*its_default).map(|rate| rate / hosts);
        actions.insert((*action).to_owned(), rate.unwrap_or(default));
    }
    if let Some(table) = table {
        table.finish();
    }
    CloudLimits { default, actions }
}
