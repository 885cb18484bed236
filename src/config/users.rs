//! Users and groups by the user database of this host, at the time of loading.
//!
//! Names are looked up the way every program does it (name service switch). Members of a group
//! are those the group lists and those whose primary group it is; the latter can only be told
//! from `/etc/passwd`, other databases do not list everybody.

use std::collections::BTreeSet;

use nix::unistd::{Gid, Group, User};

use super::model::Principals;
use super::reader::{Complaint, Value};

/// A name, or a number that need not exist.
enum Who<'t> {
    Name(&'t str),
    Number(u32),
}

fn who<'d>(value: &Value<'_, 'd>) -> Option<Who<'d>> {
    if value.is_number() {
        let number = value
            .as_integer()
            .and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            value.complain(Complaint::new("is not a user or group number"));
        }
        return number.map(Who::Number);
    }
    let text = value.text()?;
    Some(match text.parse() {
        Ok(number) => Who::Number(number),
        Err(_) => Who::Name(text),
    })
}

/// A user's number.
pub(super) fn user(value: &Value<'_, '_>) -> Option<u32> {
    let name = match who(value)? {
        Who::Number(number) => return Some(number),
        Who::Name(name) => name,
    };
    match User::from_name(name) {
        Ok(Some(user)) => Some(user.uid.as_raw()),
        Ok(None) => unknown(value, "user", name),
        Err(error) => unanswered(value, "user", name, error),
    }
}

/// A group's number.
pub(super) fn group(value: &Value<'_, '_>) -> Option<u32> {
    let name = match who(value)? {
        Who::Number(number) => return Some(number),
        Who::Name(name) => name,
    };
    match Group::from_name(name) {
        Ok(Some(group)) => Some(group.gid.as_raw()),
        Ok(None) => unknown(value, "group", name),
        Err(error) => unanswered(value, "group", name, error),
    }
}

fn unknown(value: &Value<'_, '_>, kind: &str, name: &str) -> Option<u32> {
    value.complain(
        Complaint::new(format!(
            "names the {kind} `{name}`, which does not exist here"
        ))
        .hint(format!("create the {kind}, or write its number")),
    );
    None
}

fn unanswered(value: &Value<'_, '_>, kind: &str, name: &str, error: nix::Error) -> Option<u32> {
    value.complain(Complaint::new(format!(
        "names the {kind} `{name}`, which the user database could not look up: {}",
        error.desc()
    )));
    None
}

/// A table `{ users = […], groups = […] }`.
pub(super) fn principals(value: &Value<'_, '_>) -> Option<Principals> {
    let mut table = value.table()?;
    let users = table.optional("users", |list| list.list(user));
    let groups = table.optional("groups", |list| list.list(group));
    table.finish();

    let groups: BTreeSet<u32> = groups.unwrap_or_default().into_iter().collect();
    let mut users: BTreeSet<u32> = users.unwrap_or_default().into_iter().collect();
    if !groups.is_empty() {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        for gid in &groups {
            users.extend(listed_members(*gid));
            users.extend(primary_members(&passwd, *gid));
        }
    }
    Some(Principals { users, groups })
}

/// Members that the group itself lists. A group or member that is not there admits nobody.
fn listed_members(gid: u32) -> Vec<u32> {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    let names = group.map(|group| group.mem).unwrap_or_default();
    names
        .iter()
        .filter_map(|name| User::from_name(name).ok().flatten())
        .map(|user| user.uid.as_raw())
        .collect()
}

/// Users of a passwd(5) file whose primary group this is.
fn primary_members(passwd: &str, gid: u32) -> Vec<u32> {
    passwd
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':').skip(2);
            let uid = fields.next()?.parse::<u32>().ok()?;
            let primary = fields.next()?.parse::<u32>().ok()?;
            (primary == gid).then_some(uid)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::primary_members;

    #[test]
    fn primary_members_are_read_from_the_third_and_fourth_field() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1001:33:::\nweb:x:33:33::/:/bin/sh\n\
                      odd line\nno:x:number:33:::\n";
        assert_eq!(primary_members(passwd, 33), [1001, 33]);
        assert_eq!(primary_members(passwd, 0), [0]);
        assert!(primary_members(passwd, 7).is_empty());
    }
}
