//! Where a listening socket comes from: opened before we ran, or bound now.
//!
//! Two kinds of sockets are there before us. Those of a socket unit belong to the service
//! manager: one that is not what the configuration says is a mistake, and its listener fails.
//! Those *kept* are our own: an earlier process bound them and handed them to the manager so
//! that they stay open over a restart; where the configuration changed since, they are given
//! up and bound anew. Whatever is bound here is handed over in turn.

mod matching;

use std::fmt::Debug;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};

use super::bind::{self, BindError, OwnPath};
use crate::config::model::{Address, Listener, SocketAccess, belongs_on_loopback_device};
use crate::directory;
use matching::{Expected, Found};

/// Keeps sockets that we bound ourselves open beyond the life of this process.
pub trait KeepSockets: Debug + Send + Sync + 'static {
    /// Hands one over. Whether it is kept: if so, its path must outlive us as well.
    fn keep(&self, name: &str, socket: BorrowedFd<'_>) -> bool;

    /// The socket of that name is not needed any more.
    fn release(&self, name: &str);
}

/// A listening socket.
#[derive(Debug)]
pub enum Socket {
    Tcp(StdTcpListener),
    Unix(StdUnixListener),
}

/// Who opened a socket before we ran.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The service manager, for a socket unit.
    Unit,
    /// An earlier process of this daemon.
    Kept,
}

/// Sockets that were open before we ran, by the name of their listener, and the way to keep
/// others. The originals stay here, so that an address can be given up and taken again.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Inherit>,
    keeper: Option<Arc<dyn KeepSockets>>,
}

#[derive(Debug)]
struct Inherit {
    name: String,
    origin: Origin,
    socket: Socket,
}

/// The file of a Unix socket that is ours to remove. Left alone when dropped, if the socket
/// outlives us.
#[derive(Debug)]
pub struct SocketFile {
    path: Option<OwnPath>,
    is_kept: bool,
}

impl SocketFile {
    /// The process ends, the socket may not: only what nobody keeps is removed.
    pub fn leave(self) {
        if let Some(path) = self.path
            && self.is_kept
        {
            path.leave();
        }
    }
}

impl Inherited {
    /// Nothing was open; nothing is kept.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing was open; what is bound is handed to `keeper`.
    #[must_use]
    pub fn with_keeper(keeper: Arc<dyn KeepSockets>) -> Self {
        Self {
            sockets: Vec::new(),
            keeper: Some(keeper),
        }
    }

    /// One more that is open.
    pub fn add(&mut self, name: &str, origin: Origin, socket: Socket) {
        self.sockets.push(Inherit {
            name: name.to_owned(),
            origin,
            socket,
        });
    }

    /// The TCP socket of that listener, inherited or bound. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// One sentence: why there is none, and what to do.
    pub fn tcp(&mut self, name: &str, address: SocketAddr) -> Result<TcpListener, BindError> {
        let expected = Expected::Tcp {
            address,
            on_loopback_device: belongs_on_loopback_device(address.ip()),
        };
        if let Some(inherited) = self.claim(name, |_| expected)?
            && let Socket::Tcp(socket) = &inherited.socket
        {
            return socket
                .try_clone()
                .and_then(TcpListener::from_std)
                .map_err(unusable);
        }
        let listener = bind::tcp(address)?;
        self.keep(name, listener.as_fd());
        Ok(listener)
    }

    /// The same for a Unix socket.
    ///
    /// # Errors
    /// One sentence: why there is none, and what to do.
    pub fn unix(
        &mut self,
        name: &str,
        path: &Path,
        access: &SocketAccess,
    ) -> Result<(UnixListener, SocketFile), BindError> {
        let expected = |origin| Expected::unix(path, access, origin);
        if let Some(inherited) = self.claim(name, expected)?
            && let Socket::Unix(socket) = &inherited.socket
        {
            let is_kept = inherited.origin == Origin::Kept;
            trust_the_way(path, inherited.origin)?;
            let file = SocketFile {
                path: is_kept
                    .then(|| OwnPath::of(path))
                    .transpose()
                    .map_err(unusable)?,
                is_kept,
            };
            let listener = socket
                .try_clone()
                .and_then(UnixListener::from_std)
                .map_err(unusable)?;
            return Ok((listener, file));
        }
        let (listener, path) = bind::unix(path, access)?;
        let is_kept = self.keep(name, listener.as_fd());
        let listener = UnixListener::from_std(listener).map_err(unusable)?;
        let file = SocketFile {
            path: Some(path),
            is_kept,
        };
        Ok((listener, file))
    }

    /// Whether a unit's socket, if a unit opened one for this listener, is what the configuration
    /// says of it by now: a mode that is written out must hold there, too.
    #[must_use]
    pub fn fits(&self, listener: &Listener) -> bool {
        let Address::Unix(path) = &listener.address else {
            return true;
        };
        let expected = Expected::unix(path, &listener.access, Origin::Unit);
        let mut of_the_unit = self.sockets.iter().filter(|inherited| {
            inherited.name == listener.name.as_str() && inherited.origin == Origin::Unit
        });
        let fits = |it: &Inherit| Found::about(&it.socket).difference(expected).is_none();
        match of_the_unit.next() {
            None => true,
            Some(first) => fits(first) || of_the_unit.any(fits),
        }
    }

    /// The listener of that name is gone, or is to listen elsewhere: what was kept for it is not
    /// needed any more. A socket unit's stays the manager's.
    pub fn release(&mut self, name: &str) {
        self.sockets
            .retain(|inherited| inherited.name != name || inherited.origin == Origin::Unit);
        if let Some(keeper) = &self.keeper {
            keeper.release(name);
        }
    }

    /// Closes every socket for which `has_listener` knows no listener. One sentence for each
    /// that a socket unit opened.
    #[must_use]
    pub fn close_strays(&mut self, has_listener: impl Fn(&str) -> bool) -> Vec<String> {
        let mut closed = Vec::new();
        let strays = self
            .sockets
            .extract_if(.., |inherited| !has_listener(&inherited.name));
        for stray in strays {
            let name = stray.name.escape_default();
            match stray.origin {
                Origin::Unit => closed.push(format!(
                    "the service manager opened {} for a listener `{name}`, which is not \
                     configured; closed: add [listener.{name}] or disable its socket unit",
                    Found::about(&stray.socket),
                )),
                Origin::Kept => {
                    if let Some(keeper) = &self.keeper {
                        keeper.release(&stray.name);
                    }
                }
            }
        }
        closed
    }

    /// Splits off the sockets of this name, with the same keeper.
    #[must_use]
    pub fn split_off(&mut self, name: &str) -> Self {
        Self {
            sockets: self
                .sockets
                .extract_if(.., |inherited| inherited.name == name)
                .collect(),
            keeper: self.keeper.clone(),
        }
    }

    /// The inherited socket of that name that is as expected. Of two, the one that fits.
    fn claim<'a>(
        &mut self,
        name: &str,
        expected: impl Fn(Origin) -> Expected<'a>,
    ) -> Result<Option<&Inherit>, BindError> {
        let mut difference = None;
        let mut fitting = None;
        let mut outdated = false;
        for (index, inherited) in self.sockets.iter().enumerate() {
            if inherited.name != name {
                continue;
            }
            // Looked at anew for each attempt: a file's mode may have been mended meanwhile.
            let found = Found::about(&inherited.socket);
            let origin = inherited.origin;
            match (found.difference(expected(origin)), origin) {
                (None, _) => fitting = fitting.or(Some(index)),
                (Some(sentence), Origin::Unit) => difference = difference.or(Some(sentence)),
                (Some(_), Origin::Kept) => outdated = true,
            }
        }
        match (fitting, difference) {
            (Some(index), _) => Ok(self.sockets.get(index)),
            (None, Some(sentence)) => Err(BindError(sentence)),
            (None, None) => {
                if outdated {
                    self.release(name);
                }
                Ok(None)
            }
        }
    }

    fn keep(&self, name: &str, socket: BorrowedFd<'_>) -> bool {
        self.keeper
            .as_ref()
            .is_some_and(|keeper| keeper.keep(name, socket))
    }
}

/// Its directory may have changed since the socket was bound. Whose socket a unit opens, and
/// where, is its author's to decide: that is only said.
fn trust_the_way(path: &Path, origin: Origin) -> Result<(), BindError> {
    let own = rustix::process::geteuid().as_raw();
    let parent = path.parent().unwrap_or(path);
    match (directory::check(parent, own), origin) {
        (Ok(_), _) => Ok(()),
        (Err(unsafe_way), Origin::Kept) => Err(BindError(unsafe_way.to_string())),
        (Err(unsafe_way), Origin::Unit) => {
            tracing::warn!(socket = %path.display(), "of a socket unit: {unsafe_way}");
            Ok(())
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape `map_err` asks for"
)]
fn unusable(error: io::Error) -> BindError {
    BindError(format!("the socket is unusable: {error}"))
}

#[cfg(test)]
mod tests;
