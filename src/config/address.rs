//! Addresses to listen on, and which of them are local by nature.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::model::Address;
use super::reader::Complaint;

/// Longest path of a Unix socket: `sun_path` has 108 bytes with its NUL (unix(7)).
const LONGEST_SOCKET_PATH: usize = 107;

/// `127.0.0.1:9470`, `[::1]:9470` or `unix:/run/x.sock`.
pub(super) fn address(text: &str) -> Result<Address, Complaint> {
    match text.strip_prefix("unix:") {
        Some(path) => socket_path(path).map(Address::Unix),
        None if text.starts_with('@') => Err(abstract_socket()),
        None if text.starts_with('/') => Err(Complaint::new("is not an address")
            .hint(format!("for a Unix socket write \"unix:{text}\""))),
        None => socket_address(text).map(Address::Tcp),
    }
}

fn abstract_socket() -> Complaint {
    Complaint::new("names an abstract Unix socket, which has no owner and no mode")
        .hint("use a path: \"unix:/run/credvend/app.sock\"")
}

/// The path of a Unix socket.
pub(super) fn socket_path(path: &str) -> Result<PathBuf, Complaint> {
    if path.starts_with('@') || path.contains('\0') {
        return Err(abstract_socket());
    }
    let parsed = super::values::path(path)?;
    if path.ends_with('/') {
        return Err(Complaint::new("names a directory, not a socket"));
    }
    if path.len() > LONGEST_SOCKET_PATH {
        return Err(Complaint::new(format!(
            "is too long for the path of a socket, which has at most {LONGEST_SOCKET_PATH} bytes"
        )));
    }
    Ok(parsed)
}

/// An IP address and port.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Complaint> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            return Err(Complaint::new("has port 0, which clients cannot be told")
                .hint("choose a port, such as 9470"));
        }
        return Ok(match address.ip().to_canonical() {
            IpAddr::V4(mapped) => SocketAddr::new(IpAddr::V4(mapped), address.port()),
            IpAddr::V6(_) => address, // keeps the scope
        });
    }
    let wrong = Complaint::new("is not an address");
    if text.parse::<Ipv4Addr>().is_ok() {
        return Err(wrong.hint(format!("add a port: \"{text}:9470\"")));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Err(wrong.hint(format!("add brackets and a port: \"[{bare}]:9470\"")));
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        return Err(wrong.hint(format!("write \"127.0.0.1:{port}\" or \"[::1]:{port}\"")));
    }
    Err(wrong.hint(
        "write an IP address with a port, \"127.0.0.1:9470\" or \"[::1]:9470\", or \
         \"unix:/PATH\"",
    ))
}

/// Whether both cannot be listened on at once.
pub(super) fn collide(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Unix(one), Address::Unix(other)) => one == other,
        (Address::Tcp(one), Address::Tcp(other)) => {
            let covers = |all: &SocketAddr, one: &SocketAddr| {
                all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4())
            };
            one.port() == other.port()
                && (one.ip() == other.ip() || covers(one, other) || covers(other, one))
        }
        (Address::Unix(_), Address::Tcp(_)) | (Address::Tcp(_), Address::Unix(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, address, collide};
    use crate::config::model::is_local;

    #[test]
    fn three_forms_are_understood() {
        assert!(matches!(address("127.0.0.1:9470"), Ok(Address::Tcp(_))));
        assert!(matches!(address("[::1]:9470"), Ok(Address::Tcp(_))));
        assert!(matches!(address("unix:/run/x.sock"), Ok(Address::Unix(_))));
        assert_eq!(address("[::ffff:127.0.0.1]:80"), address("127.0.0.1:80"));
    }

    #[test]
    fn wrong_forms_get_a_hint() {
        for (text, complaint, hint) in [
            ("localhost:9470", "is not an address", "127.0.0.1:9470"),
            ("127.0.0.1", "is not an address", "\"127.0.0.1:9470\""),
            ("::1", "is not an address", "\"[::1]:9470\""),
            ("127.0.0.1:0", "has port 0", "choose a port"),
            ("/run/x.sock", "is not an address", "\"unix:/run/x.sock\""),
            ("unix:@x", "abstract", "use a path"),
            ("@x", "abstract", "use a path"),
            (
                "unix:x.sock",
                "must be an absolute path",
                "begin it with `/`",
            ),
            ("example.com:80", "is not an address", "write an IP address"),
            (
                "127.0.0.1:99999",
                "is not an address",
                "write an IP address",
            ),
        ] {
            let wrong = address(text).unwrap_err();
            assert!(wrong.text.contains(complaint), "{text}: {wrong:?}");
            assert!(
                wrong.hint.as_ref().unwrap().contains(hint),
                "{text}: {wrong:?}"
            );
        }
        assert!(
            address("unix:/run/")
                .unwrap_err()
                .text
                .contains("directory")
        );
        let long = format!("unix:/{}", "x".repeat(107));
        assert!(address(&long).unwrap_err().text.contains("too long"));
    }

    #[test]
    fn local_addresses_are_told_from_others() {
        for local in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "169.254.0.23",
            "169.254.169.254",
            "fe80::1",
            "100.100.100.200",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_local(local.parse().unwrap()), "{local}");
        }
        for remote in [
            "0.0.0.0",
            "::",
            "10.0.0.1",
            "100.100.100.201",
            "fd00::1",
            "8.8.8.8",
        ] {
            assert!(!is_local(remote.parse().unwrap()), "{remote}");
        }
    }

    #[test]
    fn wildcards_collide_with_what_they_cover() {
        let at = |text: &str| address(text).unwrap();
        assert!(collide(&at("127.0.0.1:80"), &at("127.0.0.1:80")));
        assert!(collide(&at("0.0.0.0:80"), &at("127.0.0.1:80")));
        assert!(collide(&at("127.0.0.1:80"), &at("[::]:80")));
        assert!(!collide(&at("0.0.0.0:80"), &at("[::1]:80")));
        assert!(!collide(&at("127.0.0.1:80"), &at("127.0.0.2:80")));
        assert!(!collide(&at("127.0.0.1:80"), &at("127.0.0.1:81")));
        assert!(!collide(&at("unix:/a"), &at("127.0.0.1:81")));
    }
}
