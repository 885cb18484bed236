//! Where a connection comes from: whose socket is its other end, or else whether that is on this
//! host at all.
//!
//! A listener on a loopback or link-local address is within reach of other hosts and network
//! namespaces where the kernel was told to route such addresses (`route_localnet`, which proxies of
//! containers set). Whoever comes that way has an address that is none of this host's: the kernel
//! drops packets from outside that claim one.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, getsockname, socket_with};

use super::access::Identity;
use super::sock_diag::SockDiag;

/// Who made the connection that `client` and `server` are the ends of, as the server sees them. To
/// be asked right after it was accepted: a client that has gone away cannot be told from one that
/// never was.
pub(crate) fn identify(
    kernel: &Mutex<SockDiag>,
    client: SocketAddr,
    server: SocketAddr,
) -> Identity {
    let answer = kernel
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .owner(client, server);
    Identity::of_owner(answer, || is_of_this_host(client, server))
}

fn is_of_this_host(client: SocketAddr, server: SocketAddr) -> bool {
    let ip = client.ip().to_canonical();
    ip.is_loopback() || ip == server.ip().to_canonical() || is_own_address(client)
}

/// What is sent to an address of this host goes out from the same one. Nothing is sent: connecting
/// a datagram socket only makes the kernel choose.
fn is_own_address(client: SocketAddr) -> bool {
    let mut client = client;
    client.set_ip(client.ip().to_canonical());
    let family = match client {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let chosen = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .and_then(|probe| connect(&probe, &client).and_then(|()| getsockname(&probe)))
        .and_then(SocketAddr::try_from);
    chosen.is_ok_and(|chosen| chosen.ip() == client.ip())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::is_of_this_host;
    use crate::listener::tests::support::skipped;

    #[test]
    fn which_addresses_are_of_this_host() {
        for (client, server, expected) in [
            ("127.0.0.9:5", "127.0.0.1:80", true),
            ("[::ffff:127.0.0.9]:5", "[::ffff:127.0.0.1]:80", true),
            ("[::1]:5", "[::1]:80", true),
            ("169.254.0.23:5", "169.254.0.23:80", true),
            ("192.0.2.1:5", "127.0.0.1:80", false),
            ("[::ffff:192.0.2.1]:5", "127.0.0.1:80", false),
            ("192.0.2.1:5", "169.254.0.23:80", false),
            ("[2001:db8::1]:5", "[::1]:80", false),
            ("[fe80::1%9]:5", "[::1]:80", false),
        ] {
            let found = is_of_this_host(client.parse().unwrap(), server.parse().unwrap());
            assert_eq!(found, expected, "{client} to {server}");
        }
    }

    /// As a client has whose connection was redirected from another address to ours.
    #[test]
    fn an_address_of_a_device_is_of_this_host() {
        let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
        if probe.connect("192.0.2.1:9").is_err() {
            skipped("this host has no route to others");
            return;
        }
        let mut own = probe.local_addr().unwrap();
        own.set_port(5);
        assert!(
            is_of_this_host(own, "127.0.0.1:80".parse().unwrap()),
            "{own}"
        );
    }
}
