//! The tables about the daemon itself: `[daemon]`, `[admin]`, `[metrics]`.

use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::access;
use super::address::{socket_address, socket_path};
use super::host::Host;
use super::model::{Admin, Allow, Daemon, LogFormat, Metrics, is_local};
use super::reader::{Complaint, Table, Value};
use super::users;
use super::values;

const STATE_DIRECTORY: &str = "/var/lib/credvend";
const LOG: &str = "info";
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
const ADMIN_SOCKET: &str = "/run/credvend/admin.sock";

/// `[daemon]`; absent, its defaults.
pub(super) fn daemon(mut table: Option<Table<'_, '_>>, host: &Host) -> Daemon {
    let mut state_directory = None;
    let mut log = None;
    let mut log_format = None;
    let mut shutdown_grace = None;
    if let Some(table) = &mut table {
        state_directory = table.optional("state-directory", |value| value.parsed(values::path));
        log = table.optional("log", |value| value.parsed(log_filter));
        log_format = table.optional("log-format", |value| value.parsed(log_format_of));
        shutdown_grace = table.optional("shutdown-grace", values::duration);
    }
    if let Some(table) = table {
        table.finish();
    }
    Daemon {
        state_directory: state_directory.unwrap_or_else(|| default_state_directory(host)),
        log: log.unwrap_or_else(|| LOG.to_owned()),
        log_format: log_format.unwrap_or(LogFormat::Auto),
        shutdown_grace: shutdown_grace.unwrap_or(SHUTDOWN_GRACE),
    }
}

/// The first directory that systemd made for us, or the usual place.
fn default_state_directory(host: &Host) -> PathBuf {
    let listed = host.variable("STATE_DIRECTORY").unwrap_or_default();
    let first = listed.split(':').next().unwrap_or_default();
    values::path(first).unwrap_or_else(|_| STATE_DIRECTORY.into())
}

/// A level or a list of `TARGET=LEVEL`. The filter's own parser takes a misspelt level for a
/// target to be traced, so bare words are checked first.
fn log_filter(text: &str) -> Result<String, Complaint> {
    let hint = "a level (error, warn, info, debug, trace, off) or \"info,credvend=debug\"";
    for word in text.split(',').filter(|word| !word.contains('=')) {
        if word.trim().is_empty() || word.trim().parse::<LevelFilter>().is_err() {
            return Err(Complaint::new("contains something that is no level").hint(hint));
        }
    }
    match text.parse::<Targets>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Complaint::new("is not a log filter").hint(hint)),
    }
}

fn log_format_of(text: &str) -> Result<LogFormat, Complaint> {
    Ok(match text {
        "auto" => LogFormat::Auto,
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        "journald" => LogFormat::Journald,
        _ => {
            return Err(Complaint::new("is not a log format we know")
                .hint("\"auto\", \"text\", \"json\" or \"journald\""));
        }
    })
}

/// `[admin]`; absent, its defaults.
pub(super) fn admin(table: Option<Table<'_, '_>>) -> Admin {
    let Some(mut table) = table else {
        return Admin {
            socket: ADMIN_SOCKET.into(),
            access: access::SOCKET,
            operators: super::model::Principals::default(),
        };
    };
    let socket = table.optional("socket", |value| value.parsed(admin_socket));
    let access = access::socket(&mut table);
    let operators = table.optional("operators", users::principals);
    table.finish();
    Admin {
        socket: socket.unwrap_or_else(|| ADMIN_SOCKET.into()),
        access,
        operators: operators.unwrap_or_default(),
    }
}

/// A path, with or without the `unix:` that listeners need.
fn admin_socket(text: &str) -> Result<PathBuf, Complaint> {
    socket_path(text.strip_prefix("unix:").unwrap_or(text))
}

/// `[metrics]`; off unless it has an address.
pub(super) fn metrics(table: Option<Table<'_, '_>>) -> Option<Metrics> {
    let mut table = table?;
    let address = table.required(
        "address",
        "metrics are off unless [metrics] has one, such as \"127.0.0.1:9471\"",
        metrics_address,
    );
    let allow = table.optional("allow", access::allow);
    let hosts = table.optional("hosts", access::hosts);
    let token = table.optional("token", |value| value.parsed(values::file_reference));
    let has_token = table.get("token").is_some();
    let allow_remote = table.optional("allow-remote", Value::flag).unwrap_or(false);
    let metrics = address.map(|address| {
        if !is_local(address.ip()) && !allow_remote {
            not_local(&mut table, "`allow-remote = true` and a `token`");
        }
        Metrics {
            address,
            allow: allow.unwrap_or(Allow::AnyLocal),
            hosts: hosts.unwrap_or_default(),
            token,
            allow_remote,
        }
    });
    if allow_remote && !has_token {
        table.missing(
            "token",
            "`allow-remote = true` requires one: \"file:/PATH\"",
        );
    }
    table.finish();
    metrics
}

fn metrics_address(value: &Value<'_, '_>) -> Option<std::net::SocketAddr> {
    if value
        .as_text()
        .is_some_and(|text| text.starts_with("unix:"))
    {
        value.complain(
            Complaint::new("must be an IP address and port")
                .hint("metrics are served over TCP, as in \"127.0.0.1:9471\""),
        );
        return None;
    }
    value.parsed(socket_address)
}

/// Notes that an address can be reached from other hosts.
pub(super) fn not_local(table: &mut Table<'_, '_>, wanted: &str) {
    if let Some(value) = table.get("address") {
        value.complain(
            Complaint::new("can be reached from other hosts").hint(format!(
                "use a loopback address, 127.0.0.1 or [::1]; if it must be reached, it needs \
                 {wanted}"
            )),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, STATE_DIRECTORY, default_state_directory, log_filter};

    #[test]
    fn a_misspelt_level_is_no_target() {
        for right in [
            "info",
            "INFO",
            "info,credvend=debug",
            "credvend::refresh=trace",
        ] {
            assert!(log_filter(right).is_ok(), "{right}");
        }
        for wrong in ["inof", "", "info,", "info,credvend=dbg", "a=b=c"] {
            assert!(log_filter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_state_directory_is_systemds_first_or_the_usual_one() {
        let mut host = Host::default();
        assert_eq!(
            default_state_directory(&host).to_str(),
            Some(STATE_DIRECTORY)
        );
        host.variables
            .insert("STATE_DIRECTORY", "/var/lib/a:/var/lib/b".into());
        assert_eq!(default_state_directory(&host).to_str(), Some("/var/lib/a"));
    }
}
