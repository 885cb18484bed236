//! A service manager's side of `NOTIFY_SOCKET`: reads what the daemon tells it and keeps the
//! descriptors it is given.

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::site::{SOON, eventually};

pub(crate) struct Manager {
    pub(crate) socket: PathBuf,
    /// Whether it reads what it is told, and news of that.
    ears: Arc<(Mutex<bool>, Condvar)>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Datagrams in their order, each with its lines.
    told: Vec<Vec<String>>,
    /// The descriptor store.
    kept: BTreeMap<String, OwnedFd>,
}

impl Manager {
    /// Listens at `{directory}/notify`.
    pub(crate) fn start(directory: &Path) -> Self {
        let socket = directory.join("notify");
        let ours = UnixDatagram::bind(&socket).unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = Arc::clone(&seen);
        let ears = Arc::new((Mutex::new(true), Condvar::new()));
        let its = Arc::clone(&ears);
        // Ends with the test's process: nobody closes a socket that is bound to a path.
        thread::spawn(move || {
            loop {
                let open = its.1.wait_while(its.0.lock().unwrap(), |open| !*open);
                drop(open.unwrap());
                let (lines, descriptors) = receive(&ours);
                noted.lock().unwrap().note(lines, descriptors);
            }
        });
        Self { socket, ears, seen }
    }

    /// Whether to read what comes; of what is not read, the first message still is.
    pub(crate) fn listen(&self, open: bool) {
        *self.ears.0.lock().unwrap() = open;
        self.ears.1.notify_all();
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Waits for a datagram with this line, the first after `after` others; which one it is.
    pub(crate) async fn told(&self, line: &str, after: usize) -> usize {
        eventually(&format!("the manager is told {line:?}"), SOON, async || {
            let seen = self.seen();
            let mut told = seen.told.iter().skip(after);
            Some(after + told.position(|lines| lines.iter().any(|it| it.starts_with(line)))?)
        })
        .await
    }

    /// The lines of one datagram.
    pub(crate) fn datagram(&self, index: usize) -> Vec<String> {
        self.seen().told[index].clone()
    }

    /// How many datagrams there were.
    pub(crate) fn count(&self) -> usize {
        self.seen().told.len()
    }

    /// The names of what is kept.
    pub(crate) fn names(&self) -> Vec<String> {
        self.seen().kept.keys().cloned().collect()
    }

    /// Where the next process finds the kept state, and its name. Kept sockets are closed: they
    /// cannot be opened by a path, and would only be in its way.
    pub(crate) fn hand_over_state(&self) -> (String, PathBuf) {
        let mut seen = self.seen();
        seen.kept.retain(|name, _| !name.starts_with("kept@"));
        let (name, file) = seen
            .kept
            .iter()
            .find(|(name, _)| name.starts_with("state@"))
            .expect("a state is kept");
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        (name.clone(), path.into())
    }
}

impl Seen {
    fn note(&mut self, lines: Vec<String>, mut descriptors: Vec<OwnedFd>) {
        let has = |line: &str| lines.iter().any(|it| it == line);
        let name = lines.iter().find_map(|line| line.strip_prefix("FDNAME="));
        if has("FDSTORE=1") {
            self.kept
                .insert(name.unwrap().to_owned(), descriptors.remove(0));
        } else if has("FDSTOREREMOVE=1") {
            self.kept.remove(name.unwrap());
        }
        // A barrier is answered by closing what came with it.
        drop(descriptors);
        self.told.push(lines);
    }
}

fn receive(socket: &UnixDatagram) -> (Vec<String>, Vec<OwnedFd>) {
    let mut bytes = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .unwrap();
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let text = String::from_utf8(bytes[..received.bytes].to_vec()).unwrap();
    (text.lines().map(ToOwned::to_owned).collect(), descriptors)
}
