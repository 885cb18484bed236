//! Descriptors that the service manager hands us: listening sockets, and the files of the
//! descriptor store.
//!
//! Taken once, before any thread exists, from `LISTEN_FDS`. A name of the form `kept@LISTENER` is
//! a socket that an earlier process of ours bound; any other socket comes from a socket unit
//! (`FileDescriptorName=`) and has its listener's name. Every descriptor ends up with somebody
//! who owns it, so nothing leaks into children.

use std::os::fd::RawFd;

use listenfd::ListenFd;

use crate::listener::{Inherited, Origin, Socket};

/// Before the name of a listener whose socket we bound. No name of a listener holds an `@`.
pub const KEPT: &str = "kept@";

/// Everything we were handed.
#[derive(Debug)]
pub struct Taken {
    pub sockets: Inherited,
    /// Names at the service manager of those sockets that it keeps for us.
    pub kept: Vec<String>,
    /// What is no listening socket.
    pub files: Vec<InheritedFile>,
}

/// A descriptor that is no listening socket. Closed when dropped.
#[derive(Debug)]
pub struct InheritedFile {
    name: String,
    descriptor: RawFd,
}

/// Takes what the environment announces, into `sockets`. Once, and before the first thread: the
/// variables are removed, so that no child takes them for its own.
#[must_use]
pub fn take(mut sockets: Inherited) -> Taken {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut descriptors = ListenFd::from_env();
    let (mut files, mut kept) = (Vec::new(), Vec::new());
    for index in 0..descriptors.len() {
        let name = names.next().unwrap_or_default();
        let socket = if let Ok(Some(socket)) = descriptors.take_tcp_listener(index) {
            Socket::Tcp(socket)
        } else if let Ok(Some(socket)) = descriptors.take_unix_listener(index) {
            Socket::Unix(socket)
        } else {
            if let Ok(Some(descriptor)) = descriptors.take_raw_fd(index) {
                let name = name.to_owned();
                files.push(InheritedFile { name, descriptor });
            }
            continue;
        };
        match name.strip_prefix(KEPT) {
            Some(listener) => {
                sockets.add(listener, Origin::Kept, socket);
                kept.push(name.to_owned());
            }
            None => sockets.add(name, Origin::Unit, socket),
        }
    }
    Taken {
        sockets,
        kept,
        files,
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

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;

    use super::*;

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
