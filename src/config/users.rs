//! Users and groups by the user database of this host, at the time of loading.
//!
//! Names are looked up the way every program does it (name service switch). Members of a group
//! are those the group lists and those whose primary group it is; the latter can only be told
//! from `/etc/passwd`, other databases do not list everybody.
//!
//! "There is none" and "no answer" are different: a group or member that is not there admits
//! nobody, while a database that cannot be asked now (a directory service that is down) is a
//! mistake. Else a reload at the wrong moment would lock people out.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, User};

use super::mask::quotable;
use super::model::Principals;
use super::reader::{Complaint, Value};

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";
const NO_ANSWER: &str =
    "whoever serves users and groups here (`/etc/nsswitch.conf` says who) must answer";

/// What the database has of somebody; `Ok(None)` is its word that there is none.
type Answer<T> = Result<Option<T>, Errno>;

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
    match user_named(name) {
        Ok(Some(uid)) => Some(uid),
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
    match settled(Group::from_name(name), GROUPS) {
        Ok(Some(group)) => Some(group.gid.as_raw()),
        Ok(None) => unknown(value, "group", name),
        Err(error) => unanswered(value, "group", name, error),
    }
}

fn unknown(value: &Value<'_, '_>, kind: &str, name: &str) -> Option<u32> {
    value.complain(
        Complaint::new(format!(
            "names the {kind} `{}`, which does not exist here",
            quotable(name)
        ))
        .hint(format!("create the {kind}, or write its number")),
    );
    None
}

fn unanswered(value: &Value<'_, '_>, kind: &str, name: &str, error: Errno) -> Option<u32> {
    value.complain(
        Complaint::new(format!(
            "names the {kind} `{}`, which the user database could not look up: {}",
            quotable(name),
            error.desc()
        ))
        .hint(NO_ANSWER),
    );
    None
}

/// A table `{ users = […], groups = […] }`.
pub(super) fn principals(value: &Value<'_, '_>) -> Option<Principals> {
    let mut table = value.table()?;
    let users = table.optional("users", |list| list.list(user));
    let list = table.get("groups");
    let groups = list.as_ref().and_then(|list| list.list(group));
    table.finish();

    let groups: BTreeSet<u32> = groups.unwrap_or_default().into_iter().collect();
    let mut users: BTreeSet<u32> = users.unwrap_or_default().into_iter().collect();
    for gid in &groups {
        match members(*gid, listed_members, user_named, passwd) {
            Ok(members) => users.extend(members),
            Err(error) => {
                if let Some(list) = &list {
                    list.complain(
                        Complaint::new(format!(
                            "names group {gid}, whose members the user database could not look \
                             up: {error}"
                        ))
                        .hint(NO_ANSWER),
                    );
                }
            }
        }
    }
    Some(Principals { users, groups })
}

/// Everybody in a group.
fn members(
    gid: u32,
    listed: impl Fn(u32) -> Answer<Vec<String>>,
    uid: impl Fn(&str) -> Answer<u32>,
    passwd: impl Fn() -> io::Result<String>,
) -> io::Result<BTreeSet<u32>> {
    let mut members: BTreeSet<u32> = primary_members(&passwd()?, gid).into_iter().collect();
    for name in listed(gid)?.unwrap_or_default() {
        members.extend(uid(&name)?);
    }
    Ok(members)
}

fn listed_members(gid: u32) -> Answer<Vec<String>> {
    let group = settled(Group::from_gid(Gid::from_raw(gid)), GROUPS)?;
    Ok(group.map(|group| group.mem))
}

fn user_named(name: &str) -> Answer<u32> {
    let user = settled(User::from_name(name), USERS)?;
    Ok(user.map(|user| user.uid.as_raw()))
}

fn passwd() -> io::Result<String> {
    match std::fs::read(USERS) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// The C library has two ways to say that there is nobody: no error, and (getpwnam(3)) `ESRCH` or
/// `ENOENT`. The latter also comes from a service that is not running; then it is an answer only
/// where the file that every host with users has is missing as well, as in a bare container.
fn settled<T>(answer: Answer<T>, file: &str) -> Answer<T> {
    match answer {
        Err(Errno::ESRCH) => Ok(None),
        Err(Errno::ENOENT) if !Path::new(file).exists() => Ok(None),
        answer => answer,
    }
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
    use std::io;

    use nix::errno::Errno;

    use super::{Answer, members, primary_members, settled};

    const PASSWD: &str = "app:x:1001:33:::\n";

    fn answer<T>(is_down: bool, found: Option<T>) -> Answer<T> {
        if is_down {
            Err(Errno::ECONNREFUSED)
        } else {
            Ok(found)
        }
    }

    /// The members of a group where some of the three (groups, users, the list of all users) may
    /// be down.
    fn found(gid: u32, down: [bool; 3]) -> io::Result<Vec<u32>> {
        let [groups, users, list] = down;
        let listed = |gid| {
            let names = || vec!["web".to_owned(), "gone".to_owned()];
            answer(groups, (gid == 33).then(names))
        };
        let uid = |name: &str| answer(users, (name == "web").then_some(7));
        let passwd = || Ok(answer(list, Some(PASSWD.to_owned()))?.unwrap_or_default());
        members(gid, listed, uid, passwd).map(Vec::from_iter)
    }

    #[test]
    fn who_is_not_there_is_no_member() {
        assert_eq!(found(33, [false; 3]).unwrap(), [7, 1001]);
        assert_eq!(found(34, [false; 3]).unwrap(), [0; 0]);
    }

    #[test]
    fn a_database_without_an_answer_does_not_empty_a_group() {
        for down in [
            [true, false, false],
            [false, true, false],
            [false, false, true],
        ] {
            let error = found(33, down).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{down:?}");
        }
    }

    #[test]
    fn no_such_entry_is_told_from_no_such_service() {
        let answer = |errno| settled::<u32>(Err(errno), "/proc/self/status");
        assert_eq!(answer(Errno::ESRCH), Ok(None));
        assert_eq!(answer(Errno::ENOENT), Err(Errno::ENOENT));
        assert_eq!(answer(Errno::EIO), Err(Errno::EIO));
        assert_eq!(settled(Ok(Some(7)), "/proc/self/status"), Ok(Some(7)));
        assert_eq!(
            settled::<u32>(Err(Errno::ENOENT), "/no/such/file"),
            Ok(None)
        );
    }

    #[test]
    fn primary_members_are_read_from_the_third_and_fourth_field() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1001:33:::\nweb:x:33:33::/:/bin/sh\n\
                      odd line\nno:x:number:33:::\n";
        assert_eq!(primary_members(passwd, 33), [1001, 33]);
        assert_eq!(primary_members(passwd, 0), [0]);
        assert!(primary_members(passwd, 7).is_empty());
    }
}
