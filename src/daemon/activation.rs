//! Descriptors that the service manager opened for us: listening sockets, and the files of the
//! descriptor store.
//!
//! Taken once, before any thread exists, from `LISTEN_FDS`; a socket's name (`FileDescriptorName=`)
//! is the name of its listener. A socket is used only if it is what the configuration says: the
//! configuration is what people read, and a socket unit that says otherwise is a mistake of one
//! of them. Every descriptor ends up with somebody who owns it, so nothing leaks into children.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use socket2::SockRef;

/// Everything inherited that nobody claimed yet.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<InheritedSocket>,
    files: Vec<InheritedFile>,
}

#[derive(Debug)]
struct InheritedSocket {
    name: String,
    socket: Socket,
    found: Found,
}

/// A listening socket, not blocking.
#[derive(Debug)]
pub enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A descriptor that is no listening socket. Closed when dropped.
#[derive(Debug)]
pub struct InheritedFile {
    name: String,
    descriptor: RawFd,
}

/// What the kernel says about an inherited socket.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Found {
    address: Option<FoundAddress>,
    /// The network device it is tied to.
    device: Option<String>,
    listens: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum FoundAddress {
    Tcp(SocketAddr),
    Unix {
        path: PathBuf,
        /// `None`: nothing is there any more, or something that is no socket.
        file: Option<Ownership>,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Ownership {
    mode: u32,
    owner: u32,
    group: u32,
}

/// What a listener's socket has to be.
#[derive(Clone, Copy, Debug)]
pub enum Expected<'a> {
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

impl Inherited {
    /// Takes what the environment announces. Once, and before the first thread: the variables
    /// are removed, so that no child takes them for its own.
    #[must_use]
    pub fn take() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut descriptors = ListenFd::from_env();
        let mut inherited = Self::default();
        for index in 0..descriptors.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let socket = if let Ok(Some(socket)) = descriptors.take_tcp_listener(index) {
                Socket::Tcp(socket)
            } else if let Ok(Some(socket)) = descriptors.take_unix_listener(index) {
                Socket::Unix(socket)
            } else {
                if let Ok(Some(descriptor)) = descriptors.take_raw_fd(index) {
                    inherited.files.push(InheritedFile { name, descriptor });
                }
                continue;
            };
            let found = Found::about(&socket);
            inherited.sockets.push(InheritedSocket {
                name,
                socket,
                found,
            });
        }
        inherited
    }

    /// The descriptors that are no sockets.
    #[must_use]
    pub fn take_files(&mut self) -> Vec<InheritedFile> {
        std::mem::take(&mut self.files)
    }

    /// The socket of that name. `None`: none was inherited, bind one. A socket that is not what
    /// is expected stays unclaimed: another configuration may fit it.
    ///
    /// # Errors
    /// One sentence: how the socket differs and what to do.
    pub fn claim(&mut self, name: &str, expected: Expected<'_>) -> Option<Result<Socket, String>> {
        let mut difference = None;
        let mut fitting = None;
        for (index, inherited) in self.sockets.iter().enumerate() {
            if inherited.name != name {
                continue;
            }
            match inherited.found.difference(expected) {
                None => fitting = fitting.or(Some(index)),
                Some(sentence) => difference = difference.or(Some(sentence)),
            }
        }
        if let Some(index) = fitting {
            let socket = self.sockets.swap_remove(index).socket;
            return Some(Ok(socket));
        }
        difference.map(Err)
    }

    /// Closes every socket for which `has_listener` knows no listener. One sentence each.
    #[must_use]
    pub fn close_strays(&mut self, has_listener: impl Fn(&str) -> bool) -> Vec<String> {
        let mut closed = Vec::new();
        self.sockets.retain(|inherited| {
            let stays = has_listener(&inherited.name);
            if !stays {
                closed.push(format!(
                    "the service manager opened {} for a listener `{}`, which is not configured; \
                     closed: add [listener.{}] or disable its socket unit",
                    inherited.found,
                    inherited.name.escape_default(),
                    inherited.name.escape_default(),
                ));
            }
            stays
        });
        closed
    }
}

impl InheritedFile {
    /// Its name at the service manager.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Open for as long as this value lives.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }
}

impl Drop for InheritedFile {
    fn drop(&mut self) {
        // Only an invalid number fails here, and then there is nothing to close.
        let _invalid = nix::unistd::close(self.descriptor);
    }
}

impl Found {
    fn about(socket: &Socket) -> Self {
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
    fn difference(&self, expected: Expected<'_>) -> Option<String> {
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
    use std::os::fd::IntoRawFd;

    use super::*;

    fn inherit(name: &str, socket: Socket) -> InheritedSocket {
        InheritedSocket {
            name: name.to_owned(),
            found: Found::about(&socket),
            socket,
        }
    }

    fn tcp() -> (TcpListener, SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn at(address: SocketAddr) -> Expected<'static> {
        Expected::Tcp {
            address,
            on_loopback_device: false,
        }
    }

    #[test]
    fn sockets_are_claimed_once_by_name_and_the_rest_is_closed() {
        let (one, one_at) = tcp();
        let (two, two_at) = tcp();
        let (stray, _) = tcp();
        let mut inherited = Inherited {
            sockets: vec![
                inherit("a", Socket::Tcp(one)),
                inherit("a", Socket::Tcp(two)),
                inherit("stray", Socket::Tcp(stray)),
            ],
            files: Vec::new(),
        };
        assert!(inherited.claim("b", at(one_at)).is_none(), "bind your own");
        // Two of one name: the one that fits is taken.
        assert!(matches!(
            inherited.claim("a", at(two_at)),
            Some(Ok(Socket::Tcp(_)))
        ));
        let text = inherited.claim("a", at(two_at)).unwrap().unwrap_err();
        assert!(text.contains(&format!("`{one_at}`")), "{text}");
        assert!(text.contains("ListenStream="), "{text}");
        // Not lost: another configuration may fit it.
        assert!(matches!(inherited.claim("a", at(one_at)), Some(Ok(_))));
        let closed = inherited.close_strays(|name| name == "a");
        assert!(
            closed.len() == 1 && closed[0].contains("[listener.stray]"),
            "{closed:?}"
        );
        assert!(inherited.sockets.is_empty());
    }

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
        let path = Path::new("/run/a.sock");
        let unix = Expected::Unix {
            path,
            mode: None,
            owner: None,
            group: None,
        };
        for (found, expected, said) in [
            (found(address, Some("lo"), true), on_loopback, None),
            (found(address, None, true), at(address), None),
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
                at(address),
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
        let socket = UnixListener::bind(&path).unwrap();
        let mut inherited = Inherited {
            sockets: vec![inherit("a", Socket::Unix(socket))],
            files: Vec::new(),
        };
        let expected = Expected::Unix {
            path: &path,
            mode: Some(0o7777),
            owner: None,
            group: None,
        };
        let text = inherited.claim("a", expected).unwrap().unwrap_err();
        assert!(text.contains("SocketMode="), "{text}");
        std::fs::remove_file(&path).unwrap();
        let found = Found::about(&inherited.sockets[0].socket);
        let text = found.difference(expected).unwrap();
        assert!(text.contains("is gone"), "{text}");
    }

    #[test]
    fn a_file_is_closed_when_it_is_dropped() {
        let descriptor = tempfile::tempfile().unwrap().into_raw_fd();
        let path = format!("/proc/self/fd/{descriptor}");
        let shown = std::fs::read_link(&path).unwrap();
        drop(InheritedFile {
            name: "state-1".to_owned(),
            descriptor,
        });
        // Another test may have been given the number meanwhile, but not this file.
        assert!(std::fs::read_link(&path).map_or(true, |now| now != shown));
    }
}
