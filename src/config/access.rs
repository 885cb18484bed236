//! Who may connect, and as whom a socket is created.

use super::model::{Allow, SocketAccess};
use super::reader::{Complaint, Table, Value};
use super::users;
use super::values;

/// A socket unless set otherwise: its owner's alone.
pub(super) const SOCKET: SocketAccess = SocketAccess {
    mode: 0o600,
    mode_is_set: false,
    owner: None,
    group: None,
};

/// Takes `mode`, `owner` and `group` out of a table.
pub(super) fn socket(table: &mut Table<'_, '_>) -> SocketAccess {
    let mode = table.optional("mode", values::mode);
    SocketAccess {
        mode: mode.unwrap_or(SOCKET.mode),
        mode_is_set: mode.is_some(),
        owner: table.optional("owner", users::user),
        group: table.optional("group", users::group),
    }
}

/// `"any-local"`, or a table of users and groups.
pub(super) fn allow(value: &Value<'_, '_>) -> Option<Allow> {
    const HINT: &str = "write \"any-local\" or a table: { users = [\"app\"], groups = [\"web\"] }";
    if value.is_table() {
        return users::principals(value).map(Allow::Only);
    }
    if value.as_text() == Some("any-local") {
        return Some(Allow::AnyLocal);
    }
    value.complain(Complaint::new("does not say who may connect").hint(HINT));
    None
}

/// Extra names to accept as `Host`, in lower case.
pub(super) fn hosts(value: &Value<'_, '_>) -> Option<Vec<String>> {
    value.list(|host| host.parsed(host_name))
}

fn host_name(text: &str) -> Result<String, Complaint> {
    let is_fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let bracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_address = bracketed.is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
    if is_address || (!text.is_empty() && text.len() <= 253 && text.bytes().all(is_fine)) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Complaint::new("contains something that is no host name")
        .hint("write names without scheme, port or path: \"metadata.example\""))
}
