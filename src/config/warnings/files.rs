//! Files that are not to be had from here, or that others can have too.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::authorities;
use crate::config::findings::Findings;
use crate::config::host::{Host, Reader};
use crate::config::model::{Config, Keep, Login, Portal, SHORTEST_STATE_KEY, Sink};
use crate::directory;
use crate::secret::{SecretRef, SecretSource};

/// Secrets that are not to be had from here, or that others can have too.
pub(in crate::config) fn secrets(findings: &Findings<'_>) {
    for (reference, place) in findings.secrets() {
        let mode = match &reference {
            SecretRef::File(path) => std::fs::metadata(path)
                .ok()
                .map(|it| it.permissions().mode()),
            SecretRef::Env(_) | SecretRef::Systemd(_) => None,
        };
        if let Err(error) = SecretSource::new(reference.clone()).read() {
            let cause = std::error::Error::source(&error)
                .map(|cause| format!(": {cause}"))
                .unwrap_or_default();
            findings.warning(
                &place,
                format!("a secret cannot be read from here: {error}{cause}"),
                "what needs it fails until it can be; the rest works".to_owned(),
            );
        } else if let Some(mode) = mode.filter(|mode| mode & 0o077 != 0) {
            findings.warning(
                &place,
                format!(
                    "others can read or change `{reference}`: its mode is {:04o}",
                    mode & 0o7777
                ),
                "make it 0600 or 0400, owned by the daemon's user".to_owned(),
            );
        }
    }
}

/// A place for sessions that others could have made or can change: no login is kept there.
pub(super) fn state_directory(config: &Config, host: &Host, findings: &Findings<'_>) {
    let directory = &config.daemon.state_directory;
    let Some(login) = config.logins.values().find(|it| it.keep != Keep::Memory) else {
        return;
    };
    let Ok(found) = std::fs::symlink_metadata(directory) else {
        return; // it is made when it is needed first
    };
    // Whoever checks may be another user than the daemon, whose directory it then is, unless
    // anybody could have made it.
    let is_public = directory
        .parent()
        .and_then(|parent| std::fs::metadata(parent).ok())
        .is_some_and(|parent| parent.mode() & 0o022 != 0);
    let own = match host.reader {
        Reader::Other if !is_public => found.uid(),
        Reader::Daemon | Reader::Other => host.uid,
    };
    if let Err(error) = directory::check(directory, own) {
        findings.warning_at(
            &["daemon.state-directory", &format!("login.{}", login.name)],
            format!("no login is kept in a `state-directory` that is not safe: {error}"),
            "name a directory of the daemon's user alone".to_owned(),
        );
    }
}

/// A session in somebody's profile that others can have as well. The daemon is not its owner and may
/// have to read it as a member of its group.
pub(super) fn open_profile(login: &Login, findings: &Findings<'_>) {
    let Portal::Tencent(portal) = &login.portal else {
        return;
    };
    let Some(path) = &portal.adopt else { return };
    let Ok(found) = std::fs::metadata(path) else {
        return; // nobody has signed in there yet
    };
    let mode = found.permissions().mode();
    if mode & 0o027 != 0 {
        findings.warning_at(
            &[&format!(
                "login.{}.{}.adopt-tccli-profile",
                login.name,
                login.kind()
            )],
            format!(
                "others can read or change `{}`, which holds a session: its mode is {:04o}",
                path.display(),
                mode & 0o7777
            ),
            "make it 0600, or 0640 with a group of the daemon's user alone".to_owned(),
        );
    }
}

/// Authorities that are not to be had from here.
pub(super) fn ca_files(config: &Config, findings: &Findings<'_>) {
    let roles = config.roles.values().map(|role| {
        let table = format!("role.{}.provider.{}", role.name, role.provider.kind());
        let what = format!("role `{}`", role.name);
        (&role.provider.sts().upstream, table, what)
    });
    let logins = config.logins.values().map(|login| {
        let what = format!("login `{}`", login.name);
        (login.portal.upstream(), table_of(login), what)
    });
    // A fleet of roles has one file, and reading it takes a while.
    let mut judged: BTreeMap<&Path, Option<String>> = BTreeMap::new();
    for (upstream, table, what) in roles.chain(logins) {
        let Some(path) = &upstream.ca_file else {
            continue;
        };
        let wrong = judged
            .entry(path)
            .or_insert_with(|| authorities::read(path).err());
        if let Some(wrong) = wrong {
            findings.warning_at(
                &[&format!("{table}.ca-file"), "upstream.ca-file"],
                format!(
                    "{what} cannot reach its cloud: cannot read ca-file `{}`: {wrong}",
                    path.display()
                ),
                "it must be a file of certificates in PEM format".to_owned(),
            );
        }
    }
}

/// Keys to seal with that will do for none. Those that cannot be read were told of.
pub(super) fn state_key(login: &Login, findings: &Findings<'_>) {
    let Keep::Sealed(reference) = &login.keep else {
        return;
    };
    if let Ok(secret) = SecretSource::new(reference.clone()).read()
        && secret.expose().len() < SHORTEST_STATE_KEY
    {
        findings.warning_at(
            &[&format!("{}.state-key", table_of(login))],
            format!(
                "login `{}` cannot keep its session: `state-key` has fewer than \
                 {SHORTEST_STATE_KEY} characters",
                login.name
            ),
            "make one with `head -c 32 /dev/urandom | base64`".to_owned(),
        );
    }
}

fn table_of(login: &Login) -> String {
    format!("login.{}.{}", login.name, login.kind())
}

/// A file of credentials that more than its owner and the readers in its group can have.
pub(super) fn open_sink(sink: &Sink, findings: &Findings<'_>) {
    let mode = sink.access.mode;
    let what = match (mode & 0o005 != 0, mode & 0o022 != 0) {
        (false, false) => return,
        (false, true) => "change",
        (true, false) => "read",
        (true, true) => "read or change",
    };
    findings.warning_at(
        &[&format!("sink.{}.{}.mode", sink.name, sink.kind.as_str())],
        format!(
            "others can {what} the file of sink `{}`: its mode is {mode:04o}",
            sink.name
        ),
        "use \"0600\", or \"0640\" with the `group` of those who are to read it".to_owned(),
    );
}
