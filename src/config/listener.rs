//! `[listener.NAME]`: one address, and who may have what there in which format.

use std::collections::{BTreeMap, BTreeSet};

use super::access;
use super::address::address;
use super::daemon::not_local;
use super::document::Gaps;
use super::mask::reference;
use super::model::{Address, Instance, Listener, Protocol, Role, is_local};
use super::reader::{Complaint, Table, Value, suggestion};
use super::source::Place;
use super::values;
use crate::credentials::Cloud;
use crate::name::Name;

/// Names that socket units and metrics use for the daemon's own addresses.
const RESERVED: [&str; 2] = ["admin", "metrics"];

/// The roles of a configuration.
#[derive(Debug)]
pub(super) struct Roles<'r, 'd> {
    /// All that are defined, wrong ones included.
    pub(super) places: &'r BTreeMap<Name, Place<'d>>,
    /// Those that are right.
    pub(super) read: &'r BTreeMap<Name, Role>,
    pub(super) gaps: &'r Gaps,
}

/// The metadata protocol that a cloud's SDKs speak.
pub(super) fn metadata_protocol(cloud: Cloud) -> Protocol {
    match cloud {
        Cloud::Huawei => Protocol::Huawei,
        Cloud::Tencent => Protocol::Tencent,
    }
}

pub(super) fn listener(
    name: &Name,
    mut table: Table<'_, '_>,
    roles: &Roles<'_, '_>,
) -> Option<Listener> {
    if RESERVED.contains(&name.as_str()) {
        let text = format!("`{name}` is a reserved name for a listener");
        let hint = format!("its own table is [{name}]; choose another name here");
        table.complain(text, hint);
    }
    let address = table.required(
        "address",
        "such as \"127.0.0.1:9470\" or \"unix:/run/credvend/app.sock\"",
        |value| value.parsed(address),
    );
    let vended = table.required("roles", "the names of what may be vended here", |value| {
        vended(value, roles)
    });
    let chosen = table.get("protocols");
    let protocols = chosen.as_ref().and_then(protocols);
    let allow = table.optional("allow", access::allow);
    let hosts = table.optional("hosts", access::hosts);
    let token = table.optional("token", |value| value.parsed(values::file_reference));
    let access = access::socket(&mut table);
    let allow_remote = table.optional("allow-remote", Value::flag).unwrap_or(false);
    let imds_v1 = table.get("imds-v1");
    let instance = table.optional("instance", instance);

    let are_wrong = chosen.is_some() && protocols.is_none();
    let protocols = match protocols {
        Some(protocols) => protocols,
        None if are_wrong => BTreeSet::new(), // noted
        None => usual(vended.as_deref().unwrap_or_default(), roles, allow_remote),
    };
    let may_be_v1 = imds_v1.as_ref().and_then(Value::flag).unwrap_or(false);
    if may_be_v1
        && !are_wrong
        && !protocols.contains(&Protocol::AwsImds)
        && let Some(value) = &imds_v1
    {
        value.complain(
            Complaint::new("means nothing without the protocol `aws-imds`")
                .hint("name \"aws-imds\" in `protocols`, or take it out"),
        );
    }
    if let Some(address) = &address {
        check_reach(&mut table, address, allow_remote, &protocols);
    }
    table.finish();
    Some(Listener {
        name: name.clone(),
        address: address?,
        protocols,
        roles: vended?,
        allow,
        hosts: hosts.unwrap_or_default(),
        token,
        access,
        allow_remote,
        imds_v1: may_be_v1,
        instance,
    })
}

/// Native, and the metadata protocol of each role's cloud where only this host can reach it.
fn usual(vended: &[Name], roles: &Roles<'_, '_>, allow_remote: bool) -> BTreeSet<Protocol> {
    let clouds = vended.iter().filter_map(|name| roles.read.get(name));
    let metadata = clouds.map(|role| metadata_protocol(role.cloud));
    metadata
        .filter(|protocol| !allow_remote || !protocol.is_metadata())
        .chain([Protocol::Native])
        .collect()
}

/// What hangs on the kind of address: who can reach it, and with what in hand.
fn check_reach(
    table: &mut Table<'_, '_>,
    address: &Address,
    allow_remote: bool,
    protocols: &BTreeSet<Protocol>,
) {
    let has_token = table.get("token").is_some();
    let ip = match address {
        Address::Unix(_) => {
            if allow_remote && let Some(value) = table.get("allow-remote") {
                value.complain(
                    Complaint::new("means nothing for a Unix socket").hint("take it out"),
                );
            }
            return;
        }
        Address::Tcp(address) => address.ip(),
    };
    for key in ["mode", "owner"] {
        if let Some(value) = table.get(key) {
            value.complain(
                Complaint::new("means nothing for a TCP address")
                    .hint("who may connect is said by `allow`"),
            );
        }
    }
    if !has_token && let Some(value) = table.get("group") {
        value.complain(
            Complaint::new("means nothing for a TCP address without a `token`").hint(
                "it is the group that may read the token's file; who may connect is said by \
                 `allow`",
            ),
        );
    }
    if !is_local(ip) && !allow_remote {
        not_local(
            table,
            "`allow-remote = true` and a `token`, and serves only container protocols and `native`",
        );
    }
    if allow_remote && !has_token {
        table.missing(
            "token",
            "`allow-remote = true` requires one: \"file:/PATH\"",
        );
    } else if !has_token && let Some(container) = protocols.iter().find(|it| it.is_container()) {
        let hint = format!(
            "protocol `{}` over TCP requires one: \"file:/PATH\", created if absent",
            container.as_str()
        );
        table.missing("token", &hint);
    }
    if allow_remote
        && let Some(local) = protocols.iter().find(|it| it.is_metadata())
        && let Some(value) = table.get("protocols")
    {
        value.complain(
            Complaint::new(format!(
                "contains `{}`, which has no token and so cannot be served with `allow-remote`",
                local.as_str()
            ))
            .hint("only container protocols and `native` can"),
        );
    }
}

fn protocols(value: &Value<'_, '_>) -> Option<BTreeSet<Protocol>> {
    let protocols = value.list(|item| item.parsed(protocol))?;
    if protocols.is_empty() {
        value.complain(
            Complaint::new("is empty").hint("leave it out for the default, or name a protocol"),
        );
        return None;
    }
    Some(protocols.into_iter().collect())
}

fn protocol(text: &str) -> Result<Protocol, Complaint> {
    let known = Protocol::ALL.into_iter().find(|it| it.as_str() == text);
    known.ok_or_else(|| Complaint {
        text: format!("contains `{}`, which is no protocol", reference(text)),
        hint: suggestion(text, Protocol::ALL.iter().map(|it| it.as_str())),
    })
}

fn vended(value: &Value<'_, '_>, roles: &Roles<'_, '_>) -> Option<Vec<Name>> {
    let items = value.items()?;
    if items.is_empty() {
        value.complain(Complaint::new("is empty, so nothing could be vended here"));
    }
    let mut names: Vec<Name> = Vec::new();
    for item in &items {
        match roles.named(item, "contains") {
            Some(name) if names.contains(&name) => {
                item.complain(Complaint::new(format!("contains `{name}` twice")));
            }
            Some(name) => names.push(name),
            None => {} // wrong, and noted; or in a file that could not be read
        }
    }
    Some(names)
}

impl Roles<'_, '_> {
    /// The role a text names; `names` is the verb for one that is not there.
    pub(super) fn named(&self, value: &Value<'_, '_>, names: &str) -> Option<Name> {
        let text = value.text()?;
        let known = self
            .places
            .get_key_value(text)
            .map(|(name, _)| name.clone());
        if known.is_none() && !self.gaps.may_hold(text) {
            value.complain(Complaint {
                text: format!("{names} `{}`, which is no role", reference(text)),
                hint: suggestion(text, self.places.keys().map(Name::as_str))
                    .or_else(|| Some("define it: [role.NAME]".to_owned())),
            });
        }
        known
    }
}

fn instance(value: &Value<'_, '_>) -> Option<Instance> {
    let mut table = value.table()?;
    let mut read = |key| table.optional(key, |value| value.parsed(one_line));
    let instance = Instance {
        id: read("id"),
        region: read("region"),
        zone: read("zone"),
    };
    table.finish();
    Some(instance)
}

/// Goes into an answer as it is.
fn one_line(text: &str) -> Result<String, Complaint> {
    let is_fine = |b: u8| b.is_ascii_graphic();
    if !text.is_empty() && text.len() <= 128 && text.bytes().all(is_fine) {
        return Ok(text.to_owned());
    }
    Err(Complaint::new(
        "must be 1 to 128 visible characters of ASCII, without spaces",
    ))
}
