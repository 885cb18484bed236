//! Roles behind a sign-in, of both clouds.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::shared::{duration, session_name};
use super::{Surroundings, huawei, tencent};
use crate::config::mask::reference;
use crate::config::model::{
    HuaweiIdentityCenter, Login, Portal, Provider, Site, TencentIdentityCenter,
};
use crate::config::reader::{Complaint, Table, suggestion};
use crate::config::values::worded;
use crate::credentials::Cloud;
use crate::name::Name;

const LOGIN: &str = "the [login.*] it is reached through";
const PERMISSION_SET: &str = "as `credvend login NAME --list` shows it";
/// The default and the longest; where the permission set allows less, the next lower step is
/// found.
const SESSION: Duration = Duration::from_hours(2);
const SESSIONS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(12);

pub(super) fn huawei(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let sts = huawei::sts(table, surroundings, "endpoint");
    let login = login(table, surroundings, Cloud::Huawei);
    let account_id = table.required("account-id", "the account's id, as text", |value| {
        value.parsed(|text| worded(text, "-", 1..=64))
    });
    let permission_set = permission_set(table);
    let login = login?;
    let Portal::Huawei(portal) = &login.portal else {
        return None;
    };
    Some((
        Cloud::Huawei,
        Provider::HuaweiIdentityCenter(HuaweiIdentityCenter {
            login: login.name.clone(),
            portal: portal.clone(),
            account_id: account_id?,
            permission_set: permission_set?,
            sts,
        }),
    ))
}

pub(super) fn tencent(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let has_endpoint = table.get("endpoint").is_some() || table.get("site").is_some();
    let mut sts = tencent::sts(table, surroundings, None, "endpoint");
    let login = login(table, surroundings, Cloud::Tencent);
    let account_id = table.required("account-id", "the account's number, as text", |value| {
        value.parsed(|text| {
            text.parse::<u64>()
                .ok()
                .filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
                .ok_or_else(|| {
                    Complaint::new("must be the digits of an account")
                        .hint("as in \"100000000001\"")
                })
        })
    });
    let permission_set = permission_set(table);
    let session_name = session_name(table, surroundings);
    let duration = duration(table, SESSION, SESSIONS);
    let login = login?;
    let Portal::Tencent(portal) = &login.portal else {
        return None;
    };
    if portal.site == Site::Intl && !has_endpoint {
        tencent::ENDPOINT_INTL.clone_into(&mut sts.endpoint);
    }
    Some((
        Cloud::Tencent,
        Provider::TencentIdentityCenter(TencentIdentityCenter {
            login: login.name.clone(),
            portal: portal.clone(),
            account_id: account_id?,
            permission_set: permission_set?,
            session_name: session_name?,
            duration: duration?,
            sts,
        }),
    ))
}

fn permission_set(table: &mut Table<'_, '_>) -> Option<String> {
    table.required("permission-set", PERMISSION_SET, |value| {
        value.parsed(|text| worded(text, "+=,.@-", 1..=128))
    })
}

fn login<'s>(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'s, '_>,
    cloud: Cloud,
) -> Option<&'s Login> {
    table.required("login", LOGIN, |value| {
        let text = value.text()?;
        match surroundings.logins.get(text) {
            Some(Some(login)) if login.cloud() == cloud => Some(login),
            Some(Some(login)) => {
                value.complain(Complaint::new(format!(
                    "names a login of {}, and this provider is {cloud}'s",
                    login.cloud()
                )));
                None
            }
            None if !surroundings.gaps.may_hold(text) => {
                let known = surroundings.logins.keys().map(Name::as_str);
                let hint = suggestion(text, known)
                    .unwrap_or_else(|| format!("define it: [login.NAME.{cloud}-identity-center]"));
                let wrong = reference(text);
                value.complain(
                    Complaint::new(format!("names `{wrong}`, which is no login")).hint(hint),
                );
                None
            }
            // What is wrong with it was said there, or its file could not be read.
            Some(None) | None => None,
        }
    })
}
