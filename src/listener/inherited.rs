//! Sockets that were open before we ran: taken if they are what the configuration says.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;

use tokio::net::{TcpListener, UnixListener};

use super::InheritedSocket;
use super::accept::Socket;
use crate::config::model::Address;

/// A socket that was open before we ran, if it is what the configuration says. The original is
/// kept, so that the address can be given up and taken again.
pub(super) fn adopt(
    inherited: &InheritedSocket,
    address: &Address,
) -> Result<(Socket, Option<SocketAddr>), String> {
    let unusable = |error: io::Error| format!("the inherited socket is unusable: {error}");
    match (inherited, address) {
        (InheritedSocket::Tcp(socket), Address::Tcp(address)) => {
            let bound = socket.local_addr().map_err(unusable)?;
            if bound != *address {
                return Err(format!(
                    "the inherited socket is bound to {bound} and not to {address}: make the \
                     socket unit and the configuration agree"
                ));
            }
            let socket = socket.try_clone().map_err(unusable)?;
            socket.set_nonblocking(true).map_err(unusable)?;
            let listener = TcpListener::from_std(socket).map_err(unusable)?;
            Ok((Socket::Tcp(listener), Some(bound)))
        }
        (InheritedSocket::Unix(socket), Address::Unix(path)) => {
            adopt_unix(socket, path).map(|listener| (Socket::Unix(listener), None))
        }
        (InheritedSocket::Tcp(_), Address::Unix(_)) => {
            Err("the inherited socket is a TCP one, the configuration names a path".to_owned())
        }
        (InheritedSocket::Unix(_), Address::Tcp(_)) => {
            Err("the inherited socket is a Unix one, the configuration names a port".to_owned())
        }
    }
}

fn adopt_unix(socket: &StdUnixListener, path: &Path) -> Result<UnixListener, String> {
    let unusable = |error: io::Error| format!("the inherited socket is unusable: {error}");
    let bound = socket.local_addr().map_err(unusable)?;
    if bound.as_pathname() != Some(path) {
        return Err(format!(
            "the inherited socket is not bound to `{}`: make the socket unit and the \
             configuration agree",
            path.display()
        ));
    }
    let socket = socket.try_clone().map_err(unusable)?;
    socket.set_nonblocking(true).map_err(unusable)?;
    UnixListener::from_std(socket).map_err(unusable)
}
