//! Whether a socket that was opened for us is what the configuration says.
//!
//! The configuration is what people read; a socket that says otherwise is a mistake in one of
//! the two places, and the sentence names both.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::net::sockopt::socket_acceptconn;
use socket2::SockRef;

use super::{Origin, Socket};
use crate::config::model::SocketAccess;

/// What the kernel says about an inherited socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) address: Option<FoundAddress>,
    /// The network device it is tied to.
    device: Option<String>,
    listens: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum FoundAddress {
    Tcp(SocketAddr),
    Unix {
        path: PathBuf,
        /// `None`: nothing is there any more, or something that is no socket.
        file: Option<Ownership>,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ownership {
    mode: u32,
    owner: u32,
    group: u32,
}

/// What a listener's socket has to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected<'a> {
    Tcp {
        address: SocketAddr,
        /// Whether it has to be tied to the loopback device.
        on_loopback_device: bool,
    },
    Unix {
        path: &'a Path,
        /// Permission bits; like the others `None` if the configuration leaves it open.
        mode: Option<u32>,
        owner: Option<u32>,
        group: Option<u32>,
    },
}

impl<'a> Expected<'a> {
    /// A unit's socket has what its unit gave it, wherever the configuration says nothing. One
    /// that we bound has to be as we would bind it now: a `mode` taken out of the configuration
    /// must not live on in a socket that outlived it.
    pub(super) fn unix(path: &'a Path, access: &SocketAccess, origin: Origin) -> Self {
        match origin {
            Origin::Unit => Self::Unix {
                path,
                mode: access.mode_is_set.then_some(access.mode),
                owner: access.owner,
                group: access.group,
            },
            Origin::Kept => Self::Unix {
                path,
                mode: Some(access.mode),
                owner: Some(
                    access
                        .owner
                        .unwrap_or_else(|| rustix::process::geteuid().as_raw()),
                ),
                group: Some(access.group.unwrap_or_else(|| group_of_new_files(path))),
            },
        }
    }
}

/// That of a directory that hands its own on (`inode(7)`, set-group-ID), else ours.
fn group_of_new_files(path: &Path) -> u32 {
    let parent = path.parent().and_then(|parent| parent.metadata().ok());
    parent
        .filter(|directory| directory.mode() & 0o2000 != 0)
        .map_or_else(
            || rustix::process::getegid().as_raw(),
            |directory| directory.gid(),
        )
}

impl Found {
    pub(super) fn about(socket: &Socket) -> Self {
        match socket {
            Socket::Tcp(socket) => Self {
                address: socket.local_addr().ok().map(FoundAddress::Tcp),
                device: SockRef::from(socket)
                    .device()
                    .ok()
                    .flatten()
                    .map(|name| String::from_utf8_lossy(&name).into_owned()),
                listens: listens(socket) && socket.set_nonblocking(true).is_ok(),
            },
            Socket::Unix(socket) => Self {
                address: socket.local_addr().ok().and_then(|address| {
                    let path = address.as_pathname()?.to_owned();
                    let file = Ownership::of(&path).ok();
                    Some(FoundAddress::Unix { path, file })
                }),
                device: None,
                listens: listens(socket) && socket.set_nonblocking(true).is_ok(),
            },
        }
    }

    /// How this differs from what is expected, in a sentence with what to do.
    pub(super) fn difference(&self, expected: Expected<'_>) -> Option<String> {
        if !self.listens {
            return Some(format!(
                "the inherited socket {self} does not listen: write ListenStream= and Accept=no \
                 in its socket unit"
            ));
        }
        match (&self.address, expected) {
            (
                Some(FoundAddress::Tcp(found)),
                Expected::Tcp {
                    address,
                    on_loopback_device,
                },
            ) if *found == address => {
                let is_tied = self.device.as_deref() == Some("lo");
                (on_loopback_device && !is_tied).then(|| {
                    format!(
                        "the inherited socket {self} could be reached from the network: write \
                         BindToDevice=lo in its socket unit"
                    )
                })
            }
            (
                Some(FoundAddress::Unix { path: found, file }),
                Expected::Unix {
                    path,
                    mode,
                    owner,
                    group,
                },
            ) if found == path => match file {
                None => Some(format!(
                    "the file of the inherited socket {self} is gone: restart its socket unit"
                )),
                Some(file) => file
                    .difference(mode, owner, group)
                    .map(|difference| format!("the inherited socket {self} {difference}")),
            },
            (_, expected) => Some(format!(
                "the inherited socket is {self}, the configuration says {expected}: make \
                 ListenStream= of the socket unit and `address` agree"
            )),
        }
    }
}

fn listens(socket: impl AsFd) -> bool {
    socket_acceptconn(socket).unwrap_or(false)
}

impl Ownership {
    fn of(path: &Path) -> io::Result<Self> {
        let found = std::fs::symlink_metadata(path)?;
        if !found.file_type().is_socket() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self {
            mode: found.mode() & 0o7777,
            owner: found.uid(),
            group: found.gid(),
        })
    }

    fn difference(
        self,
        mode: Option<u32>,
        owner: Option<u32>,
        group: Option<u32>,
    ) -> Option<String> {
        if let Some(mode) = mode.filter(|mode| *mode != self.mode) {
            return Some(format!(
                "has mode {:04o}, the configuration says {mode:04o}: make SocketMode= of the \
                 socket unit and `mode` agree",
                self.mode
            ));
        }
        if let Some(owner) = owner.filter(|owner| *owner != self.owner) {
            return Some(format!(
                "belongs to uid {}, the configuration says uid {owner}: make SocketUser= of the \
                 socket unit and `owner` agree",
                self.owner
            ));
        }
        let group = group.filter(|group| *group != self.group)?;
        Some(format!(
            "belongs to gid {}, the configuration says gid {group}: make SocketGroup= of the \
             socket unit and `group` agree",
            self.group
        ))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Some(FoundAddress::Tcp(address)) => write!(f, "`{address}`"),
            Some(FoundAddress::Unix { path, .. }) => write!(f, "`unix:{}`", path.display()),
            None => f.write_str("of no address credvend serves"),
        }
    }
}

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, .. } => write!(f, "`{address}`"),
            Self::Unix { path, .. } => write!(f, "`unix:{}`", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn addresses_and_devices_have_to_agree() {
        let address: SocketAddr = "169.254.0.23:80".parse().unwrap();
        let found = |address, device: Option<&str>, listens| Found {
            address: Some(FoundAddress::Tcp(address)),
            device: device.map(str::to_owned),
            listens,
        };
        let on_loopback = Expected::Tcp {
            address,
            on_loopback_device: true,
        };
        let plain = Expected::Tcp {
            address,
            on_loopback_device: false,
        };
        let path = Path::new("/run/a.sock");
        let unix = Expected::Unix {
            path,
            mode: None,
            owner: None,
            group: None,
        };
        for (found, expected, said) in [
            (found(address, Some("lo"), true), on_loopback, None),
            (found(address, None, true), plain, None),
            (
                found(address, None, true),
                on_loopback,
                Some("BindToDevice=lo"),
            ),
            (
                found(address, Some("lo"), false),
                on_loopback,
                Some("does not listen"),
            ),
            (found(address, None, true), unix, Some("`unix:/run/a.sock`")),
            (
                found("[::1]:80".parse().unwrap(), None, true),
                plain,
                Some("the configuration says `169.254.0.23:80`"),
            ),
        ] {
            let difference = found.difference(expected);
            match said {
                None => assert_eq!(difference, None),
                Some(said) => assert!(
                    difference.as_ref().is_some_and(|it| it.contains(said)),
                    "{difference:?}"
                ),
            }
        }
    }

    #[test]
    fn mode_owner_and_group_count_where_they_are_configured() {
        let ownership = Ownership {
            mode: 0o660,
            owner: 7,
            group: 8,
        };
        for (mode, owner, group, said) in [
            (None, None, None, None),
            (Some(0o660), Some(7), Some(8), None),
            (
                Some(0o600),
                None,
                None,
                Some("has mode 0660, the configuration says 0600"),
            ),
            (None, Some(0), None, Some("SocketUser=")),
            (None, None, Some(0), Some("SocketGroup=")),
        ] {
            let difference = ownership.difference(mode, owner, group);
            match said {
                None => assert_eq!(difference, None),
                Some(said) => assert!(
                    difference.as_ref().is_some_and(|it| it.contains(said)),
                    "{difference:?}"
                ),
            }
        }
    }

    #[test]
    fn a_unix_socket_is_known_by_its_path_and_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let socket = Socket::Unix(UnixListener::bind(&path).unwrap());
        let expected = Expected::Unix {
            path: &path,
            mode: None,
            owner: None,
            group: None,
        };
        assert_eq!(Found::about(&socket).difference(expected), None);
        std::fs::remove_file(&path).unwrap();
        let text = Found::about(&socket).difference(expected).unwrap();
        assert!(text.contains("is gone"), "{text}");
    }
}
