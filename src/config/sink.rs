//! `[sink.NAME.KIND]`: one file that is kept up to date, and what is in it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::access;
use super::findings::Findings;
use super::host::{Host, Reader};
use super::listener::Roles;
use super::model::{Sink, SinkKind};
use super::reader::{Complaint, Table, Value};
use super::report::{Message, Severity};
use super::values;
use crate::name::Name;

const HINT: &str = "add a table such as [sink.NAME.tccli-profile]; there are also `aws-credentials`, \
     `huawei-credentials`, `env-file` and `json`";

/// The table of a sink, which has one table inside.
pub(super) fn sink(
    name: &Name,
    mut table: Table<'_, '_>,
    roles: &Roles<'_, '_>,
    host: &Host,
) -> Option<Sink> {
    let mut found: Vec<(SinkKind, Value<'_, '_>)> = SinkKind::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, table.get(kind.as_str())?)))
        .collect();
    found.sort_by_key(|(_, value)| value.place().span.start);
    let mut found = found.into_iter();
    let first = found.next();
    if first.is_none() && table.is_empty() && table.is_whole() {
        table.complain(
            "a sink needs to say what kind of file it is",
            HINT.to_owned(),
        );
    }
    if let Some((_, first)) = &first {
        for (_, other) in found {
            table.findings().add(
                Message::at(
                    Severity::Mistake,
                    other.key_place(),
                    "a sink is one file, and this is its second",
                    Some("make it a sink of its own".to_owned()),
                )
                .and("the first is here", first.key_place()),
            );
        }
    }
    table.finish();
    let (kind, value) = first?;
    file(name, kind, value.table()?, roles, host)
}

fn file(
    name: &Name,
    kind: SinkKind,
    mut table: Table<'_, '_>,
    roles: &Roles<'_, '_>,
    host: &Host,
) -> Option<Sink> {
    let role = table.required(
        "role",
        "the role whose credentials are to be there",
        |value| roles.named(value, "names"),
    );
    let path = table.required("path", "the absolute path of the file", |value| {
        value.parsed(path)
    });
    let profile = match kind.usual_profile() {
        Some(usual) => {
            let chosen = table.optional("profile", |value| value.parsed(section));
            Some(chosen.unwrap_or_else(|| usual.to_owned()))
        }
        None => None,
    };
    let access = access::socket(&mut table);
    let notify = table.optional("notify", values::known_program);
    if let Some(owner) = access.owner
        && let Some(value) = table.get("owner")
    {
        check_owner(&value, owner, host);
    }
    table.finish();
    Some(Sink {
        name: name.clone(),
        kind,
        role: role?,
        path: path?,
        profile,
        access,
        notify,
    })
}

/// A file that belongs to somebody else could be changed by them; and only root can give one away.
fn check_owner(value: &Value<'_, '_>, owner: u32, host: &Host) {
    if owner == 0 || owner == host.uid {
        return;
    }
    match host.reader {
        Reader::Daemon => value.complain(
            Complaint::new("is neither root nor the daemon's own user").hint(
                "who else is to read the file is said by `group` and `mode`; or run a credvend \
                 as that user",
            ),
        ),
        Reader::Other => value.findings().warning(
            value.place(),
            format!(
                "`owner` is uid {owner}, which is neither root nor uid {}, the user that reads \
                 this here",
                host.uid
            ),
            format!("fine if the daemon runs as uid {owner}; else it will refuse this"),
        ),
    }
}

fn path(text: &str) -> Result<PathBuf, Complaint> {
    let parsed = values::path(text)?;
    if text.ends_with('/') || parsed.file_name().is_none() {
        return Err(Complaint::new("names a directory, not a file"));
    }
    Ok(parsed)
}

/// A section of an INI file.
fn section(text: &str) -> Result<String, Complaint> {
    values::worded(text, "-. ", 1..=64)
}

/// Two sinks that would undo each other's work.
pub(super) fn shared_paths(sinks: &BTreeMap<Name, Sink>, findings: &Findings<'_>) {
    let mut seen: Vec<&Sink> = Vec::new();
    for sink in sinks.values() {
        let rival = seen.iter().find(|other| {
            let share = other.kind == sink.kind && other.profile != sink.profile;
            other.path == sink.path && !(share && sink.kind.has_sections())
        });
        if let Some(other) = rival {
            findings.mistake_at(
                &[&format!("sink.{}.{}.path", sink.name, sink.kind.as_str())],
                format!("sink `{}` has the file of sink `{}`", sink.name, other.name),
                "give each its own file, or for INI files its own `profile`".to_owned(),
            );
        }
        seen.push(sink);
    }
}
