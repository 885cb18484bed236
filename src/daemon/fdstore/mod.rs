//! What survives a restart without touching a disk: held sets, random keys, and what else only
//! memory knows, in a sealed memory file that the service manager keeps for us (`FileDescriptorStoreMax=`).
//!
//! A sealed file cannot be rewritten, so each state is a new file under a new name, `state@N`.
//! The new one is handed over before the old one is removed: killed at any moment, a process
//! leaves at least one whole state behind, and the highest number counts. The manager forgets
//! them all when the unit stops; only a restart keeps them.
//!
//! `state` is the text and the rules for believing it, `memfd` the files, `keeper` when to write;
//! this module knows the names and the order of things.

mod keeper;
mod memfd;
mod state;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;

use crate::daemon::activation::{InheritedFile, KEPT};
use crate::daemon::notify::ServiceManager;
use crate::listener::KeepSockets;
use crate::listener::token::KeptToken;
use crate::name::Name;
use crate::provider::endpoint_clock::Learned;
use crate::refresh::state::Resumed;
use crate::secret::WipedBuffer;
pub use keeper::Keeper;
pub use state::{Held, Here, Keyring};

/// Before the number of a state. No name of a listener holds an `@`, so none can be taken for
/// the other.
const STATE: &str = "state@";

/// What an earlier process left, and the way to leave something ourselves.
#[derive(Debug)]
pub struct DescriptorStore {
    manager: ServiceManager,
    /// Of the newest state ever stored.
    sequence: u64,
    /// Names under which the manager may hold files now.
    stored: Vec<String>,
    keyring: Keyring,
}

/// An earlier process's state, not believed yet.
pub struct Left(Option<state::Document>);

impl std::fmt::Debug for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Left").field(&self.0.is_some()).finish()
    }
}

impl DescriptorStore {
    /// Takes over the files an earlier process left; every one of them is read once and closed.
    /// What cannot be used is said in `notes` and removed at the manager.
    ///
    /// # Errors
    /// The kernel has no random numbers to give.
    pub fn take(
        manager: ServiceManager,
        files: Vec<InheritedFile>,
        notes: &mut Vec<String>,
    ) -> io::Result<(Self, Left)> {
        let mut newest: Option<state::Document> = None;
        let mut sequence = 0;
        let mut stored = Vec::new();
        for file in files {
            let Some(number) = sequence_of(file.name()) else {
                notes.push(format!(
                    "the service manager kept a descriptor `{}` that credvend does not know; \
                     closed",
                    file.name().escape_default()
                ));
                // It stays there until the next restart tries again.
                manager.discard(file.name()).ok();
                continue;
            };
            sequence = sequence.max(number);
            stored.push(file.name().to_owned());
            match memfd::read(file.descriptor()).and_then(|text| state::decode(&text)) {
                Ok(document) => {
                    if newest
                        .as_ref()
                        .is_none_or(|newest| newest.sequence < document.sequence)
                    {
                        newest = Some(document);
                    }
                }
                Err(why) => notes.push(format!(
                    "the kept state `{}` is not used: {why}",
                    file.name()
                )),
            }
        }
        let keyring = match &newest {
            Some(document) => document.keyring.clone(),
            None => Keyring::generate().map_err(io::Error::other)?,
        };
        let store = Self {
            manager,
            sequence,
            stored,
            keyring,
        };
        Ok((store, Left(newest)))
    }

    /// The kept keys, or new ones if none were kept.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Leaves these sets and what is besides them, and nothing else, to whoever comes after us; returns when
    /// the manager has it, and nothing older. A message of a process that is gone already is not
    /// counted, and one that was not read yet does not make a `forget` true.
    ///
    /// # Errors
    /// The file cannot be made, or the manager not be reached in time: it may have the older
    /// state, this one, or both.
    pub async fn keep<'a>(
        &mut self,
        sets: impl Iterator<Item = Held<'a>>,
        besides: &Besides,
        here: Here<'_>,
    ) -> io::Result<()> {
        if !self.manager.keeps_descriptors() {
            return Ok(());
        }
        let sequence = self.sequence + 1;
        let name = format!("{STATE}{sequence}");
        let text = state::encode(sets, besides, &self.keyring, sequence, here)?;
        let file = memfd::sealed(&name, text.as_ref())?;
        self.manager.store(&name, file.as_fd())?;
        self.sequence = sequence;
        // What cannot be taken out stays on the list, to be taken out with the next state.
        let mut failed = None;
        self.stored.retain(|old| match self.manager.discard(old) {
            Ok(()) => false,
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        self.stored.push(name);
        failed.map_or(Ok(()), Err)?;
        self.manager.settle().await
    }
}

/// The documents of logins that are kept in memory only.
pub type Logins = BTreeMap<Name, Arc<WipedBuffer>>;

/// What is kept besides sets and keys.
#[derive(Debug, Default)]
pub struct Besides {
    pub logins: Logins,
    pub tokens: BTreeMap<PathBuf, KeptToken>,
    /// By the endpoints' hosts.
    pub clocks: BTreeMap<String, Learned>,
}

/// A changed document is another one.
impl PartialEq for Besides {
    fn eq(&self, other: &Self) -> bool {
        self.tokens == other.tokens
            && self.clocks == other.clocks
            && self.logins.len() == other.logins.len()
            && self.logins.iter().all(|(name, document)| {
                let known = other.logins.get(name.as_str());
                known.is_some_and(|known| Arc::ptr_eq(known, document))
            })
    }
}

impl Left {
    /// Logins that were kept in memory only. They check themselves what they are good for.
    #[must_use]
    pub fn logins(&self) -> Logins {
        self.0
            .as_ref()
            .map(state::Document::logins)
            .unwrap_or_default()
    }

    /// What was known of token files, if that was on this boot.
    #[must_use]
    pub fn tokens(&self, here: Here<'_>) -> BTreeMap<PathBuf, KeptToken> {
        let document = self.0.as_ref();
        document.map_or_else(BTreeMap::new, |document| document.tokens(here))
    }

    /// What was learned about the clocks of endpoints, if that was on this boot.
    #[must_use]
    pub fn clocks(&self, here: Here<'_>) -> BTreeMap<String, Learned> {
        let document = self.0.as_ref();
        document.map_or_else(BTreeMap::new, |document| document.clocks(here))
    }

    /// The sets that may be served at once. `fingerprint` tells what a configured role's is.
    #[must_use]
    pub fn restore(
        self,
        fingerprint: impl Fn(&str) -> Option<String>,
        here: Here<'_>,
        notes: &mut Vec<String>,
    ) -> BTreeMap<Name, Resumed> {
        self.0.map_or_else(BTreeMap::new, |document| {
            document.restore(fingerprint, here, notes)
        })
    }
}

/// Sockets that we bound ourselves stay open over a restart: the manager keeps them like the
/// state.
#[derive(Debug)]
pub struct SocketKeeper(pub ServiceManager);

impl KeepSockets for SocketKeeper {
    fn keep(&self, name: &str, socket: BorrowedFd<'_>) -> bool {
        if !self.0.keeps_descriptors() {
            return false;
        }
        self.release(name); // an address that was taken anew leaves the old socket there
        match self.0.store_socket(&format!("{KEPT}{name}"), socket) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(listener = name, %error, "the socket will not outlive a restart");
                false
            }
        }
    }

    fn release(&self, name: &str) {
        // One that stays there is told from the right one by the next process.
        self.0.discard(&format!("{KEPT}{name}")).ok();
    }
}

fn sequence_of(name: &str) -> Option<u64> {
    name.strip_prefix(STATE)?.parse().ok()
}

/// Which boot this is: boot times are comparable within one only. Empty if the kernel does not
/// tell; then no two are taken for the same.
#[must_use]
pub fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}
