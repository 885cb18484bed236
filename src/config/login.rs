//! `[login.NAME.KIND]`: where somebody signs in, and what becomes of the session.

use std::time::Duration;

use super::endpoint;
use super::mask::quotable;
use super::model::{HuaweiPortal, Keep, Login, Mint, Portal, Site, TencentPortal, Upstream};
use super::reader::{Complaint, Table, Value};
use super::report::{Message, Severity};
use super::upstream;
use super::values;
use crate::name::Name;

const HUAWEI: &str = "huawei-identity-center";
const TENCENT: &str = "tencent-identity-center";
const START_URL: &str = "the portal's address: \"https://idcenter.huaweicloud.com/d-…/portal\"";
const PORTAL_URL: &str = "the portal's address: \"https://tencentcloudsso.com/…/login\"";
const HUAWEI_PAGE: &str = "https://idcenter.huaweicloud.com/d-xxxxxxxxxx/portal";
const TENCENT_PAGE: &str = "https://tencentcloudsso.com/example/login";
const OIDC: &str = "https://oidc.cn-north-4.myhuaweicloud.com";
const PORTAL_API: &str = "https://portal-identitycenter.myhuaweicloud.com";
const GATEWAY: &str = "https://cli.cloud.tencent.com";
const WARN_BEFORE: Duration = Duration::from_hours(2);
/// No session lives nearly as long.
const LONGEST_WARN_BEFORE: Duration = Duration::from_hours(30 * 24);

/// Reads one login, if its table says whose.
pub(super) fn login(name: &Name, mut table: Table<'_, '_>, outer: &Upstream) -> Option<Login> {
    let huawei = table.get(HUAWEI);
    let tencent = table.get(TENCENT);
    if let (Some(one), Some(other)) = (&huawei, &tencent) {
        let (first, second) = if one.place().span.start < other.place().span.start {
            (one, other)
        } else {
            (other, one)
        };
        table.findings().add(
            Message::at(
                Severity::Mistake,
                second.key_place(),
                "a login has one portal, and this is its second",
                Some("make it a login of its own".to_owned()),
            )
            .and("the first is here", first.key_place()),
        );
    }
    let portal = |value: &Value<'_, '_>, portal: PortalReader| {
        let table = value.table()?;
        read(name, table, outer, portal)
    };
    let huawei = huawei.map(|value| portal(&value, huawei_portal));
    let tencent = tencent.map(|value| portal(&value, tencent_portal));
    let read = huawei.or(tencent);
    if table.is_empty() && table.is_whole() {
        let hint = format!("as in [{}.{HUAWEI}]", table.path());
        let called = quotable(table.path().trim_start_matches("login."));
        table.complain(
            format!("login `{called}` does not say where to sign in"),
            hint,
        );
    }
    table.finish();
    read.flatten()
}

type PortalReader = fn(&mut Table<'_, '_>, &Upstream) -> Option<Portal>;

fn read(
    name: &Name,
    mut table: Table<'_, '_>,
    outer: &Upstream,
    portal: PortalReader,
) -> Option<Login> {
    let upstream = upstream::read(&mut table, outer);
    let portal = portal(&mut table, &upstream);
    let keep = keep(&mut table);
    let warn_before = table.optional("warn-before", warn_before);
    let warn_command = table.optional("warn-command", values::program);
    table.finish();
    Some(Login {
        name: name.clone(),
        keep: keep?,
        warn_before: warn_before.unwrap_or(WARN_BEFORE),
        warn_command,
        portal: portal?,
    })
}

fn huawei_portal(table: &mut Table<'_, '_>, upstream: &Upstream) -> Option<Portal> {
    let start_url = table.required("start-url", START_URL, |value| {
        value.parsed(endpoint::page(HUAWEI_PAGE))
    });
    let region = table.required(
        "region",
        "where the Identity Center is: \"cn-north-4\"",
        |value| value.parsed(values::region("cn-north-4")),
    );
    let oidc = table.optional("oidc-endpoint", |value| {
        value.parsed(endpoint::service(OIDC))
    });
    let portal = table.optional("portal-endpoint", |value| {
        value.parsed(endpoint::service(PORTAL_API))
    });
    let region = region?;
    Some(Portal::Huawei(HuaweiPortal {
        start_url: start_url?,
        oidc_endpoint: oidc.unwrap_or_else(|| format!("https://oidc.{region}.myhuaweicloud.com")),
        region,
        portal_endpoint: portal.unwrap_or_else(|| PORTAL_API.to_owned()),
        upstream: upstream.clone(),
    }))
}

fn tencent_portal(table: &mut Table<'_, '_>, upstream: &Upstream) -> Option<Portal> {
    let portal_url = table.required("portal-url", PORTAL_URL, |value| {
        value.parsed(endpoint::page(TENCENT_PAGE))
    });
    let site = table.optional("site", |value| value.parsed(site));
    let gateway = table.optional("gateway-endpoint", |value| {
        value.parsed(endpoint::service(GATEWAY))
    });
    let mint = table.optional("mint", |value| value.parsed(mint));
    let adopt = table.optional("adopt-tccli-profile", |value| value.parsed(values::path));
    Some(Portal::Tencent(TencentPortal {
        portal_url: portal_url?,
        site: site.unwrap_or(Site::Cn),
        gateway_endpoint: gateway.unwrap_or_else(|| GATEWAY.to_owned()),
        mint: mint.unwrap_or(Mint::Gateway),
        adopt,
        upstream: upstream.clone(),
    }))
}

fn warn_before(value: &Value<'_, '_>) -> Option<Duration> {
    let duration = values::duration(value)?;
    if duration > LONGEST_WARN_BEFORE {
        let hint = format!("at most \"{}\"", values::spoken(LONGEST_WARN_BEFORE));
        value.complain(Complaint::new("is longer than any session lives").hint(hint));
        return None;
    }
    Some(duration)
}

fn site(text: &str) -> Result<Site, Complaint> {
    match text {
        "cn" => Ok(Site::Cn),
        "intl" => Ok(Site::Intl),
        _ => Err(Complaint::new("is not a site we know").hint("\"cn\" or \"intl\"")),
    }
}

fn mint(text: &str) -> Result<Mint, Complaint> {
    match text {
        "gateway" => Ok(Mint::Gateway),
        "sts" => Ok(Mint::Sts),
        _ => Err(Complaint::new("is no way we know").hint("\"gateway\" or \"sts\"")),
    }
}

/// `state` and `state-key`, which go together.
fn keep(table: &mut Table<'_, '_>) -> Option<Keep> {
    let state = table.get("state");
    let key = table.get("state-key");
    let state = match state {
        Some(value) => kept_where(&value)?,
        None => "file",
    };
    match (state, key) {
        ("sealed", Some(key)) => values::secret(&key).map(Keep::Sealed),
        ("sealed", None) => {
            table.missing(
                "state-key",
                "the key to seal with: \"systemd:NAME\" or \"file:/PATH\"",
            );
            None
        }
        (_, Some(key)) => {
            let hint = "write `state = \"sealed\"` as well, or leave it out";
            key.complain(Complaint::new("has no use with this `state`").hint(hint));
            None
        }
        ("memory", None) => Some(Keep::Memory),
        (_, None) => Some(Keep::File),
    }
}

fn kept_where(value: &Value<'_, '_>) -> Option<&'static str> {
    value.parsed(|text| {
        ["file", "sealed", "memory"]
            .into_iter()
            .find(|known| *known == text)
            .ok_or_else(|| {
                Complaint::new("is no place we know").hint("\"file\", \"sealed\" or \"memory\"")
            })
    })
}
