//! The configuration file: read whole, every mistake at once, each with its line.
//!
//! ```text
//! files ──► document (each table once) ──► one reader per table ──► model::Config
//!                                              │ findings: mistakes, warnings, places
//! ```
//!
//! [`load`] (for `run` and `reload`) and [`check`] are the only parts that read the host (files,
//! environment, user database). What they promise alike:
//!
//! 1. All mistakes of all files are in one [`Report`]; only a file that is no TOML or cannot be
//!    read is reported for that alone.
//! 2. No value that may be a secret is in a message, not even in the quoted line.
//! 3. What it returns is complete and consistent: every reference resolves, defaults are in.
//!
//! Secrets themselves are not part of a configuration; one that cannot be read is a warning.

mod access;
mod address;
mod daemon;
mod diff;
mod document;
mod dotted;
mod endpoint;
mod files;
mod findings;
mod fingerprint;
mod host;
mod key;
mod limits;
mod listener;
mod login;
mod mask;
pub mod model;
mod provider;
mod reader;
mod report;
mod role;
mod sink;
mod source;
mod stand_in;
#[cfg(test)]
mod tests;
mod upstream;
mod users;
mod values;
mod warnings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use diff::{Difference, ListenerChange, RoleChange, diff, listener_change, role_change};
pub(crate) use files::{is_configuration, text};
pub use report::{Message, Report, Severity};

use crate::credentials::Cloud;
use crate::name::Name;
use document::{Document, Parsed};
use files::Files;
use findings::Findings;
use host::{Host, Reader};
use model::{Address, Config, Key, Listener, Login, Sink};
use source::Place;

/// A correct configuration and what came with it.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// Legal but unwise, in the order of files and lines.
    pub warnings: Vec<Message>,
    /// The files that were read, the main one first.
    pub files: Vec<PathBuf>,
}

/// Reads a file and `conf.d/*.toml` beside it, for the daemon that this process is.
///
/// # Errors
/// Everything that is wrong, in one report.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    interpret(&Files::read(path), &Host::this(Reader::Daemon))
}

/// The same for somebody who only wants to know: what depends on the user that the daemon runs
/// as is warned about, since that may be another one.
///
/// # Errors
/// Everything that is wrong, in one report.
pub fn check(path: &Path) -> Result<Loaded, Report> {
    interpret(&Files::read(path), &Host::this(Reader::Other))
}

/// A duration as it is written in the files, for the command line.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    values::parse_duration(text).map_err(|complaint| {
        let hint = complaint.hint.unwrap_or_default();
        format!("it {}: {hint}", complaint.text)
    })
}

/// A function of the files, the host's facts, and (for warnings, policies and names) of the
/// file system and user database.
fn interpret(files: &Files, host: &Host) -> Result<Loaded, Report> {
    let parsed = Parsed::all(&files.read);
    let findings = Findings::default();
    for message in files.mistakes.iter().chain(&files.open) {
        findings.add(message.clone());
    }
    let document = Document::gather(&parsed, files.mistakes.is_empty(), &findings);
    let config = read(document, host, &findings);
    warnings::secrets(&findings);
    if !findings.has_mistakes() {
        warnings::all(&config, host, &findings);
    }
    let rank = |path: &Path| files.paths.iter().position(|file| file == path);
    let last = files.paths.len();
    let (mistakes, warnings) = findings.into_messages(|path| rank(path).unwrap_or(last));
    if !mistakes.is_empty() {
        return Err(Report::new(mistakes, warnings));
    }
    Ok(Loaded {
        config,
        warnings,
        files: files.paths.clone(),
    })
}

/// Complete and consistent if nothing was found wrong; else not to be used.
fn read<'d>(mut document: Document<'_, 'd>, host: &Host, findings: &Findings<'d>) -> Config {
    let gaps = std::mem::take(&mut document.gaps);
    let daemon = daemon::daemon(document.single("daemon"), host);
    let admin = daemon::admin(document.single("admin"));
    let metrics = daemon::metrics(document.single("metrics"));
    let limits = limits::limits(document.limits(), findings);
    let mut upstream = upstream::defaults();
    if let Some(mut table) = document.single("upstream") {
        upstream = upstream::read(&mut table, &upstream);
        table.finish();
    }

    let role_places = document.names("role");
    let login_places = document.names("login");
    shared_names(
        &document.names("key"),
        &login_places,
        &role_places,
        findings,
    );
    let mut clouds: BTreeMap<Name, Option<Cloud>> = BTreeMap::new();
    let mut keys: BTreeMap<Name, Key> = BTreeMap::new();
    for (name, table) in document.named("key") {
        let read = key::key(table);
        clouds.insert(name.clone(), read.cloud);
        if let Some(key) = read.key {
            keys.insert(name, key);
        }
    }
    let mut logins: BTreeMap<Name, Option<Login>> = BTreeMap::new();
    for (name, table) in document.named("login") {
        let login = login::login(&name, table, &upstream);
        logins.insert(name, login);
    }
    let surroundings = provider::Surroundings {
        host,
        upstream: &upstream,
        keys: &clouds,
        roles: &role_places,
        logins: &logins,
        gaps: &gaps,
    };
    let mut read: BTreeMap<Name, role::Read<'d>> = BTreeMap::new();
    for (name, table) in document.named("role") {
        let role = role::role(&name, table, &surroundings);
        read.insert(name, role);
    }
    let stray = stray();
    for table in document.strays("key") {
        key::key(table);
    }
    for table in document.strays("login") {
        login::login(&stray, table, &upstream);
    }
    for table in document.strays("role") {
        role::role(&stray, table, &surroundings);
    }
    let roles = role::connect(read, &keys, findings);
    let known = listener::Roles {
        places: &role_places,
        read: &roles,
        gaps: &gaps,
    };
    let mut listeners: BTreeMap<Name, Listener> = BTreeMap::new();
    for (name, table) in document.named("listener") {
        if let Some(listener) = listener::listener(&name, table, &known) {
            listeners.insert(name, listener);
        }
    }
    let mut sinks: BTreeMap<Name, Sink> = BTreeMap::new();
    for (name, table) in document.named("sink") {
        if let Some(sink) = sink::sink(&name, table, &known, host) {
            sinks.insert(name, sink);
        }
    }
    for table in document.strays("listener") {
        listener::listener(&stray, table, &known);
    }
    for table in document.strays("sink") {
        sink::sink(&stray, table, &known, host);
    }
    sink::shared_paths(&sinks, findings);
    let config = Config {
        daemon,
        admin,
        metrics,
        keys,
        logins: logins
            .into_iter()
            .filter_map(|(name, login)| Some((name, login?)))
            .collect(),
        roles,
        listeners,
        sinks,
        limits,
    };
    shared_addresses(&config, findings);
    config
}

/// The name under which a table without a usable one is read; nothing is made of it.
fn stray() -> Name {
    "stray".parse().expect("letters are a name")
}

/// Roles, keys and logins are told apart by nothing but their names.
fn shared_names<'d>(
    keys: &BTreeMap<Name, Place<'d>>,
    logins: &BTreeMap<Name, Place<'d>>,
    roles: &BTreeMap<Name, Place<'d>>,
    findings: &Findings<'d>,
) {
    let pairs = [
        (roles, "role", keys, "key"),
        (roles, "role", logins, "login"),
        (logins, "login", keys, "key"),
    ];
    for (ones, one, others, other) in pairs {
        for (name, place) in ones {
            if let Some(taken) = others.get(name) {
                let text = format!("`{name}` is the name of a {one} and of a {other}");
                let hint = "choose another name for one: they share one namespace".to_owned();
                findings.add(
                    Message::at(Severity::Mistake, place, text, Some(hint))
                        .and(&format!("the {other} is here"), taken),
                );
            }
        }
    }
}

/// Two sockets cannot have one address.
fn shared_addresses(config: &Config, findings: &Findings<'_>) {
    let mut taken: Vec<(String, Address)> = Vec::new();
    taken.push((
        "admin.socket".to_owned(),
        Address::Unix(config.admin.socket.clone()),
    ));
    if let Some(metrics) = &config.metrics {
        taken.push(("metrics.address".to_owned(), Address::Tcp(metrics.address)));
    }
    for listener in config.listeners.values() {
        let path = format!("listener.{}.address", listener.name);
        let other = taken
            .iter()
            .find(|(_, address)| address::collide(address, &listener.address));
        if let (Some((other, _)), Some(place)) = (other, findings.place(&[&path])) {
            let text = format!(
                "listener `{}` has the address of [{}]",
                listener.name,
                other
                    .rsplit_once('.')
                    .map_or(other.as_str(), |(table, _)| table)
            );
            let hint = "give each its own port or path".to_owned();
            let mistake = Message::at(Severity::Mistake, &place, text, Some(hint));
            findings.add(match findings.place(&[other]) {
                Some(first) => mistake.and("taken here", &first),
                None => mistake,
            });
        }
        taken.push((path, listener.address.clone()));
    }
}
