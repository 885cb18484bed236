//! What we tell the service manager: ready, reloading, stopping, alive, and one line for people.
//!
//! Outside a service manager (no `NOTIFY_SOCKET`) every call does nothing. A manager that cannot
//! be reached is logged once per kind of message and otherwise no trouble of ours: the watchdog
//! and the start time-out are there for that.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tracing::warn;

/// Longest wait for the manager to have read our messages.
const SETTLE: Duration = Duration::from_secs(5);
/// Descriptors of a state: the newest, and the one before until that is removed.
const STATES: usize = 2;

/// The way to the service manager. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServiceManager {
    is_present: bool,
    watchdog: Option<Duration>,
    /// How many descriptors are kept, where the manager says (`FDSTORE`, systemd 254).
    fd_store: Option<usize>,
    /// Names of the sockets it keeps for us.
    sockets: Arc<Mutex<BTreeSet<String>>>,
    /// Whether the start is over as far as it knows.
    is_ready: Arc<AtomicBool>,
    warned: Arc<AtomicBool>,
}

impl ServiceManager {
    /// As the environment says.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            is_present: std::env::var_os("NOTIFY_SOCKET").is_some(),
            watchdog: sd_notify::watchdog_enabled(),
            fd_store: std::env::var("FDSTORE")
                .ok()
                .and_then(|text| text.parse().ok()),
            ..Self::absent()
        }
    }

    /// One that hears nothing.
    #[must_use]
    pub fn absent() -> Self {
        Self {
            is_present: false,
            watchdog: None,
            fd_store: None,
            sockets: Arc::default(),
            is_ready: Arc::default(),
            warned: Arc::default(),
        }
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.is_present
    }

    /// Whether it may keep descriptors for us. One before systemd 254 does not say.
    #[must_use]
    pub fn keeps_descriptors(&self) -> bool {
        self.is_present && self.fd_store != Some(0)
    }

    /// How often [`Self::alive`] must be called: half of what the manager waits. `None`: no
    /// watchdog.
    #[must_use]
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// The start is over.
    pub fn ready(&self, status: &str) {
        self.is_ready.store(true, Ordering::Relaxed);
        self.tell(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
    }

    /// A reload begins. The timestamp travels in the same datagram: without it a manager of
    /// version 253 or newer waits for it until its time-out (`Type=notify-reload`). During the
    /// start it is no matter of the manager's.
    pub fn reloading(&self) {
        if !self.is_ready.load(Ordering::Relaxed) {
            return;
        }
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => self.complain(&error),
        }
    }

    /// A reload is over. One during the start does not end that.
    pub fn reloaded(&self, status: &str) {
        if self.is_ready.load(Ordering::Relaxed) {
            self.ready(status);
        } else {
            self.status(status);
        }
    }

    /// The stop begins.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// The line `systemctl status` shows.
    pub fn status(&self, text: &str) {
        self.tell(&[NotifyState::Status(&one_line(text))]);
    }

    /// A sign of life. For the task that supervises all others: sent by a timer of its own it
    /// would prove nothing.
    pub fn alive(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// The start (or stop) takes this much longer, counted from now. Must be repeated before
    /// that is over.
    pub fn extend(&self, longer: Duration) {
        let microseconds = u32::try_from(longer.as_micros()).unwrap_or(u32::MAX);
        self.tell(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
    }

    /// Hands a descriptor over under a name, to be given to the next process of this unit.
    ///
    /// # Errors
    /// The manager cannot be reached. A store that is full or switched off is no error: the
    /// manager does not tell ([`Self::shortcomings`] does).
    pub fn store(&self, name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        if !self.is_present {
            return Ok(());
        }
        sd_notify::notify_with_fds(
            &[NotifyState::FdStore, NotifyState::FdName(name)],
            &[descriptor],
        )
    }

    /// The same for a listening socket; those are counted.
    ///
    /// # Errors
    /// As above.
    pub fn store_socket(&self, name: &str, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.store(name, socket)?;
        self.sockets().insert(name.to_owned());
        Ok(())
    }

    /// Sockets of these names came from the store, where they still are.
    pub fn has_stored_sockets(&self, names: impl IntoIterator<Item = String>) {
        self.sockets().extend(names);
    }

    /// Takes every descriptor of that name out of the manager's store.
    ///
    /// # Errors
    /// The manager cannot be reached, so it may still have them.
    pub fn discard(&self, name: &str) -> io::Result<()> {
        self.sockets().remove(name);
        if !self.is_present {
            return Ok(());
        }
        sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)])
            .inspect_err(|error| self.complain(error))
    }

    /// Waits until everything told so far was read: the manager closes the other end when it
    /// gets there.
    ///
    /// # Errors
    /// It cannot be reached, or did not get there within 5 s.
    pub async fn settle(&self) -> io::Result<()> {
        if !self.is_present {
            return Ok(());
        }
        let settled = async {
            let (mut ours, theirs) = UnixStream::pair()?;
            sd_notify::notify_with_fds(&[NotifyState::Custom("BARRIER=1")], &[theirs.as_fd()])?;
            drop(theirs);
            ours.read(&mut [0]).await.map(drop)
        };
        tokio::time::timeout(SETTLE, settled)
            .await
            .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
            .inspect_err(|error| self.complain(error))
    }

    /// What it lacks, for `status`.
    #[must_use]
    pub fn shortcomings(&self) -> Vec<String> {
        let note = match self.fd_store {
            _ if !self.is_present => return Vec::new(),
            Some(0) => "the unit keeps no descriptors, so a restart forgets all credentials: set \
                        FileDescriptorStoreMax=256"
                .to_owned(),
            Some(room) if room < self.needs() => format!(
                "the unit keeps {room} descriptors and {} are needed (two for the state, one for \
                 each socket that no socket unit opens), so a restart may forget all \
                 credentials: set FileDescriptorStoreMax=256",
                self.needs()
            ),
            Some(_) => return Vec::new(),
            None => "the service manager (systemd before 254) does not say whether it keeps \
                     descriptors: a restart is invisible only if the unit sets \
                     FileDescriptorStoreMax=256"
                .to_owned(),
        };
        vec![note]
    }

    /// The worst of that, for the line that `systemctl status` shows.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        let is_too_small = self.is_present && self.fd_store.is_some_and(|room| room < self.needs());
        is_too_small.then_some("FileDescriptorStoreMax= too small for a restart")
    }

    /// How many descriptors it must have room for.
    fn needs(&self) -> usize {
        self.sockets().len() + STATES
    }

    fn sockets(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: &[NotifyState<'_>]) {
        if self.is_present
            && let Err(error) = sd_notify::notify(state)
        {
            self.complain(&error);
        }
    }

    fn complain(&self, error: &io::Error) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn!(%error, "the service manager cannot be reached at NOTIFY_SOCKET");
        }
    }
}

/// A line break would start another assignment.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_cannot_start_another_assignment() {
        assert_eq!(one_line("a\nREADY=1\r"), "a READY=1 ");
    }

    #[test]
    fn what_the_manager_lacks_is_told_only_under_one() {
        let mut manager = ServiceManager::absent();
        assert!(manager.shortcomings().is_empty());
        manager.is_present = true;
        manager.has_stored_sockets(["kept@a".to_owned(), "kept@b".to_owned()]);
        for (fd_store, said) in [
            (Some(64), None),
            (Some(4), None),
            (Some(3), Some("keeps 3 descriptors and 4 are needed")),
            (Some(0), Some("FileDescriptorStoreMax=256")),
            (None, Some("before 254")),
        ] {
            manager.fd_store = fd_store;
            let is_too_small = fd_store.is_some_and(|room| room < 4);
            assert_eq!(manager.warning().is_some(), is_too_small, "{fd_store:?}");
            let told = manager.shortcomings().join("; ");
            assert!(
                said.map_or(told.is_empty(), |said| told.contains(said)),
                "{told}"
            );
            assert_eq!(manager.keeps_descriptors(), fd_store != Some(0));
        }
    }
}
