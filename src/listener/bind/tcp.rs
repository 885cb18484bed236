//! TCP sockets.
//!
//! `SO_REUSEADDR` lets a restart bind at once; `SO_REUSEPORT` is never set, since with it a second
//! daemon would silently take half of the connections. Link-local and emulated addresses are
//! tied to the loopback device: the kernel would otherwise answer for them on every device, and
//! a neighbour could route them here.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpSocket};

use super::{BACKLOG, BindError};
use crate::config::model::belongs_on_loopback_device;

/// Binds and listens. Needs a tokio runtime around it.
pub fn tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    bind(address).map_err(|error| BindError(explain(address, &error)))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    if belongs_on_loopback_device(address.ip()) {
        socket.bind_device(Some(b"lo"))?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG.unsigned_abs())
}

/// What happened and what to do about it.
fn explain(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match Errno::from_io_error(error) {
        Some(Errno::ADDRINUSE) => format!(
            "{address} is in use by another program: `ss -ltnp 'sport = :{port}'` shows which"
        ),
        Some(Errno::ADDRNOTAVAIL) if belongs_on_loopback_device(address.ip()) => {
            let length = if address.is_ipv4() { 32 } else { 128 };
            format!(
                "{} is not an address of this host: run `ip address add {}/{length} dev lo`",
                address.ip(),
                address.ip()
            )
        }
        Some(Errno::ADDRNOTAVAIL) => {
            format!("{} is not an address of this host", address.ip())
        }
        Some(Errno::ACCESS) => {
            format!(
                "port {port} is below 1024 and needs CAP_NET_BIND_SERVICE: add it to the unit's \
                 AmbientCapabilities=, use a socket unit, or take a higher port"
            )
        }
        Some(Errno::PERM) => format!(
            "{address} must be tied to the loopback device, which this kernel allows only with \
             CAP_NET_RAW: use a socket unit with BindToDevice=lo"
        ),
        _ => format!("cannot listen on {address}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{explain, tcp};
    use crate::config::model::belongs_on_loopback_device;

    #[test]
    fn which_addresses_are_tied_to_the_loopback_device() {
        for (address, tied) in [
            ("169.254.0.23", true),
            ("fe80::1", true),
            ("100.100.100.200", true),
            ("fd00:ec2::254", true),
            ("fd00:ec2::23", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("192.0.2.1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(belongs_on_loopback_device(address), tied, "{address}");
        }
    }

    #[tokio::test]
    async fn an_occupied_port_is_said_to_be_occupied() {
        let first = tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let taken = first.local_addr().unwrap();
        let text = tcp(taken).unwrap_err().to_string();
        assert!(text.contains("in use by another program"), "{text}");
        assert!(
            text.contains(&format!("sport = :{}", taken.port())),
            "{text}"
        );
        drop(first);
        assert!(tcp(taken).is_ok(), "free again at once");
    }

    #[tokio::test]
    async fn a_foreign_address_comes_with_the_command_that_adds_it() {
        let text = tcp("169.254.99.99:9".parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("ip address add 169.254.99.99/32 dev lo"),
            "{text}"
        );
        let text = tcp("192.0.2.1:9".parse().unwrap()).unwrap_err().to_string();
        assert!(text.contains("not an address of this host"), "{text}");
    }

    #[test]
    fn a_low_port_without_privilege_names_the_capability() {
        let denied = io::Error::from_raw_os_error(13);
        let text = explain("127.0.0.1:80".parse().unwrap(), &denied);
        assert!(
            text.contains("port 80") && text.contains("CAP_NET_BIND_SERVICE"),
            "{text}"
        );
    }
}
