//! Where a load goes, and sockets to it that never block.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt,
};

/// `tcp:127.0.0.1:9470` or `unix:/run/x.sock`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        text.strip_prefix("tcp:")
            .and_then(|address| address.parse().ok())
            .map(Self::Tcp)
            .ok_or_else(|| format!("`{text}` is neither tcp:ADDRESS:PORT nor unix:PATH"))
    }
}

impl Target {
    /// What stands in the `Host` header.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }

    /// A connection that is made or under way.
    ///
    /// Over loopback the handshake is over before the kernel returns, so a caller may send at
    /// once and needs to wait for the socket only if that says it would block.
    pub(crate) fn connect(&self) -> Result<OwnedFd, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match self {
            Self::Tcp(address) => {
                let family = if address.is_ipv4() {
                    AddressFamily::INET
                } else {
                    AddressFamily::INET6
                };
                let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
                sockopt::set_tcp_nodelay(&socket, true)?;
                match connect(&socket, address) {
                    Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
                    Err(error) => Err(error),
                }
            }
            Self::Unix(path) => {
                let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
                connect(&socket, &SocketAddrUnix::new(path.as_path())?)?;
                Ok(socket)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn targets_are_told_apart_by_their_prefix() {
        assert_eq!(
            "tcp:127.0.0.1:80".parse(),
            Ok(Target::Tcp(([127, 0, 0, 1], 80).into()))
        );
        assert_eq!("unix:/a:b".parse(), Ok(Target::Unix("/a:b".into())));
        assert!("127.0.0.1:80".parse::<Target>().is_err());
        assert!("tcp:localhost:80".parse::<Target>().is_err());
    }
}
