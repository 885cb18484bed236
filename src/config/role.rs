//! `[role.NAME]`: what is vended, and the checks that need all roles at once.

use std::collections::BTreeMap;

use super::findings::Findings;
use super::fingerprint;
use super::model::{Key, Role, Source};
use super::provider::{self, Surroundings};
use super::reader::{Complaint, Table, Value};
use super::source::Place;
use super::values;
use crate::credentials::Cloud;
use crate::name::Name;

/// What is known of a role even if its table is wrong elsewhere.
#[derive(Debug)]
pub(super) struct Read<'d> {
    /// Its fingerprint is still missing.
    pub(super) role: Option<Role>,
    /// The name it gives as its source.
    pub(super) source: Option<(&'d str, Place<'d>)>,
}

pub(super) fn role<'d>(
    name: &Name,
    mut table: Table<'_, 'd>,
    surroundings: &Surroundings<'_, 'd>,
) -> Read<'d> {
    let refresh_ahead = table.optional("refresh-ahead", values::positive_duration);
    let min_remaining = table.optional("min-remaining", values::duration);
    let expected_account = table.get("expected-account");
    let lazy = table.optional("lazy", Value::flag).unwrap_or(false);
    let provider = table.get("provider");
    if provider.is_none() {
        let hint = format!(
            "add a table such as [{}.provider.tencent-assume-role]",
            table.path()
        );
        table.missing("provider", &hint);
    }
    let source = provider.as_ref().and_then(provider::raw_source);
    let read = provider.and_then(|value| provider::provider(&value, surroundings));
    let cloud = read.as_ref().map(|(cloud, _)| *cloud);
    let expected_account = expected_account.and_then(|value| account(&value, cloud));
    table.finish();
    let role = read.map(|(cloud, provider)| Role {
        name: name.clone(),
        cloud,
        refresh_ahead,
        min_remaining,
        expected_account,
        lazy,
        provider,
        fingerprint: String::new(),
    });
    Read { role, source }
}

/// Text, digits only or not: account numbers are names, not quantities.
fn account(value: &Value<'_, '_>, cloud: Option<Cloud>) -> Option<String> {
    if let Some(number) = value.as_integer() {
        value.complain(
            Complaint::new("must be text in quotes, not a number")
                .hint(format!("write \"{number}\"")),
        );
        return None;
    }
    let (is_part, what, example): (fn(u8) -> bool, _, _) = match cloud {
        Some(Cloud::Huawei) => (
            |b| b.is_ascii_alphanumeric(),
            "must be the id of an account, in letters and digits",
            "as in \"0123456789abcdef0123456789abcdef\"",
        ),
        Some(Cloud::Tencent) | None => (
            |b| b.is_ascii_digit(),
            "must be the digits of an account",
            "as in \"100000000001\"",
        ),
    };
    value.parsed(|text| {
        // Of a provider that could not be read the cloud is not known, so nothing is wrong.
        if cloud.is_none() || (1..=32).contains(&text.len()) && text.bytes().all(is_part) {
            return Ok(text.to_owned());
        }
        Err(Complaint::new(what).hint(example))
    })
}

/// Checks what roles say of each other, then completes their fingerprints.
pub(super) fn connect<'d>(
    read: BTreeMap<Name, Read<'d>>,
    keys: &BTreeMap<Name, Key>,
    findings: &Findings<'d>,
) -> BTreeMap<Name, Role> {
    let cyclic = cycles(&read, findings);
    let mut roles: BTreeMap<Name, Role> = read
        .into_iter()
        .filter_map(|(name, read)| Some((name, read.role?)))
        .collect();
    foreign_sources(&roles, findings);
    if !cyclic {
        let prints: BTreeMap<Name, String> = roles
            .keys()
            .map(|name| (name.clone(), fingerprint::of(name, &roles, keys)))
            .collect();
        for (name, print) in prints {
            if let Some(role) = roles.get_mut(&name) {
                role.fingerprint = print;
            }
        }
    }
    roles
}

fn source_path(role: &Role) -> String {
    format!(
        "role.{}.provider.{}.source",
        role.name,
        role.provider.kind()
    )
}

fn source_role<'r>(role: &'r Role, roles: &'r BTreeMap<Name, Role>) -> Option<&'r Role> {
    match role.provider.source() {
        Some(Source::Role(name)) => roles.get(name),
        Some(Source::Key(_)) | None => None,
    }
}

/// A source role must be of the cloud whose call it signs.
fn foreign_sources(roles: &BTreeMap<Name, Role>, findings: &Findings<'_>) {
    for role in roles.values() {
        if let Some(source) = source_role(role, roles)
            && source.cloud != role.cloud
        {
            findings.mistake_at(
                &[&source_path(role)],
                format!(
                    "`source` names a role of {}, and this provider is {}'s",
                    source.cloud, role.cloud
                ),
                None,
            );
        }
    }
}

/// Notes each cycle once, at the role in it that comes first; true if there is one.
fn cycles<'d>(read: &BTreeMap<Name, Read<'d>>, findings: &Findings<'d>) -> bool {
    let next = |name: &Name| {
        let (source, place) = read.get(name)?.source.as_ref()?;
        Some((read.get_key_value(*source)?.0, place))
    };
    let mut found = false;
    for start in read.keys() {
        let mut way = vec![start];
        let mut last = next(start);
        while let Some((name, _)) = last.filter(|(name, _)| !way.contains(name)) {
            way.push(name);
            last = next(name);
        }
        let closes = last.is_some_and(|(name, _)| name == start);
        if !closes || way.iter().any(|name| *name < start) {
            continue;
        }
        found = true;
        let names: Vec<String> = way
            .iter()
            .chain([&start])
            .map(|it| format!("`{it}`"))
            .collect();
        if let Some((_, place)) = next(start) {
            findings.mistake(
                place,
                format!("the sources of roles form a cycle: {}", names.join(" → ")),
                "one of them must be signed by a key, or come from elsewhere".to_owned(),
            );
        }
    }
    found
}
