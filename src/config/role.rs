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
    let expected_account = table.optional("expected-account", account);
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

/// Digits, as text: account numbers are names, not quantities.
fn account(value: &Value<'_, '_>) -> Option<String> {
    if let Some(number) = value.as_integer() {
        value.complain(
            Complaint::new("must be text in quotes, not a number")
                .hint(format!("write \"{number}\"")),
        );
        return None;
    }
    value.parsed(|text| {
        if !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(text.to_owned());
        }
        Err(Complaint::new("must be the digits of an account").hint("as in \"100000000001\""))
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
    for role in roles.values() {
        if role.expected_account.is_some() && role.cloud != Cloud::Tencent {
            findings.mistake_at(
                &[&format!("role.{}.expected-account", role.name)],
                "`expected-account` cannot be checked for this cloud by this version",
                None,
            );
        }
    }
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
