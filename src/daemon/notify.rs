//! What we tell the service manager: ready, reloading, stopping, alive, and one line for people.
//!
//! Outside a service manager (no `NOTIFY_SOCKET`) every call does nothing. A manager that cannot
//! be reached is logged once per kind of message and otherwise no trouble of ours: the watchdog
//! and the start time-out are there for that.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tracing::warn;

use crate::store::{Held, Refresh};

/// Longest wait for the manager to have read our messages.
const SETTLE: Duration = Duration::from_secs(5);
/// Roles and listeners named in the status line; more are counted.
const NAMED: usize = 3;

/// The way to the service manager. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServiceManager {
    is_present: bool,
    watchdog: Option<Duration>,
    /// How many descriptors are kept, where the manager says (`FDSTORE`, systemd 254).
    fd_store: Option<u64>,
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
            warned: Arc::default(),
        }
    }

    /// One that hears nothing.
    #[must_use]
    pub fn absent() -> Self {
        Self {
            is_present: false,
            watchdog: None,
            fd_store: None,
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

    /// The start, or a reload, is over.
    pub fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
    }

    /// A reload begins. The timestamp travels in the same datagram: without it a manager of
    /// version 253 or newer waits for it until its time-out (`Type=notify-reload`).
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => self.complain(&error),
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
    /// manager does not tell.
    pub fn store(&self, name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        if !self.is_present {
            return Ok(());
        }
        sd_notify::notify_with_fds(
            &[NotifyState::FdStore, NotifyState::FdName(name)],
            &[descriptor],
        )
    }

    /// Takes every descriptor of that name out of the manager's store.
    pub fn discard(&self, name: &str) {
        self.tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
    }

    /// Waits until everything told so far was read: the manager closes the other end when it
    /// gets there. Gives up after 5 s.
    pub async fn settle(&self) {
        if !self.is_present {
            return;
        }
        let settled = async {
            let (mut ours, theirs) = UnixStream::pair()?;
            sd_notify::notify_with_fds(&[NotifyState::Custom("BARRIER=1")], &[theirs.as_fd()])?;
            drop(theirs);
            ours.read(&mut [0]).await
        };
        match tokio::time::timeout(SETTLE, settled).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => self.complain(&error),
            Err(_elapsed) => self.complain(&io::ErrorKind::TimedOut.into()),
        }
    }

    /// What it lacks, for `status`.
    #[must_use]
    pub fn shortcomings(&self) -> Vec<String> {
        match self.fd_store {
            _ if !self.is_present => Vec::new(),
            Some(0) => vec![
                "the unit keeps no descriptors, so a restart forgets all credentials: set \
                 FileDescriptorStoreMax=256"
                    .to_owned(),
            ],
            Some(_) => Vec::new(),
            None => vec![
                "the service manager (systemd before 254) does not say whether it keeps \
                 descriptors: a restart is invisible only if the unit sets \
                 FileDescriptorStoreMax=256"
                    .to_owned(),
            ],
        }
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

/// One role as the status line needs it.
#[derive(Clone, Copy, Debug)]
pub struct RoleWord<'a> {
    pub name: &'a str,
    pub held: Held,
    pub refresh: Refresh,
}

/// "7 of 8 roles fresh, corp needs login": what is well is counted, what is not is named.
#[must_use]
pub fn status_line<'a>(
    roles: impl IntoIterator<Item = RoleWord<'a>>,
    failed_listeners: &[&str],
) -> String {
    let (mut fresh, mut in_use, mut resting) = (0_usize, 0_usize, 0_usize);
    let mut troubles: Vec<String> = Vec::new();
    for role in roles {
        if role.refresh == Refresh::Resting {
            resting += 1;
            continue;
        }
        in_use += 1;
        fresh += usize::from(role.held == Held::Fresh);
        if let Some(trouble) = trouble(role) {
            troubles.push(format!("{} {trouble}", role.name));
        }
    }
    for listener in failed_listeners {
        troubles.push(format!("listener {listener} failed"));
    }
    let more = troubles.len().saturating_sub(NAMED);
    let mut parts = vec![format!("{fresh} of {in_use} roles fresh")];
    if resting > 0 {
        parts.push(format!("{resting} resting"));
    }
    parts.extend(troubles.into_iter().take(NAMED));
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    parts.join(", ")
}

fn trouble(role: RoleWord<'_>) -> Option<&'static str> {
    match (role.refresh, role.held) {
        (Refresh::NeedsLogin, _) => Some("needs login"),
        (Refresh::Failing, _) => Some("is refused"),
        (_, Held::Expired) => Some("has expired"),
        (_, Held::Degraded) => Some("is degraded"),
        (Refresh::Retrying, Held::None) => Some("has nothing yet"),
        (Refresh::Retrying, Held::Fresh) => Some("is retrying"),
        (Refresh::Idle | Refresh::Resting, Held::None | Held::Fresh) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, held: Held, refresh: Refresh) -> RoleWord<'_> {
        RoleWord {
            name,
            held,
            refresh,
        }
    }

    #[test]
    fn the_status_line_counts_what_is_well_and_names_what_is_not() {
        let well = role("a", Held::Fresh, Refresh::Idle);
        for (roles, listeners, said) in [
            (vec![], vec![], "0 of 0 roles fresh"),
            (vec![well; 2], vec![], "2 of 2 roles fresh"),
            (
                vec![well, role("corp", Held::None, Refresh::NeedsLogin)],
                vec![],
                "1 of 2 roles fresh, corp needs login",
            ),
            (
                vec![well, role("lazy", Held::None, Refresh::Resting)],
                vec!["metadata"],
                "1 of 1 roles fresh, 1 resting, listener metadata failed",
            ),
            (
                vec![
                    role("b", Held::Degraded, Refresh::Retrying),
                    role("c", Held::Expired, Refresh::Retrying),
                    role("d", Held::None, Refresh::Failing),
                    role("e", Held::None, Refresh::Retrying),
                    role("f", Held::Fresh, Refresh::Retrying),
                ],
                vec![],
                "1 of 5 roles fresh, b is degraded, c has expired, d is refused, 2 more",
            ),
        ] {
            assert_eq!(status_line(roles, &listeners), said);
        }
    }

    #[test]
    fn a_line_break_cannot_start_another_assignment() {
        assert_eq!(one_line("a\nREADY=1\r"), "a READY=1 ");
    }

    #[test]
    fn what_the_manager_lacks_is_told_only_under_one() {
        let mut manager = ServiceManager::absent();
        assert!(manager.shortcomings().is_empty());
        manager.is_present = true;
        for (fd_store, said) in [
            (Some(64), None),
            (Some(0), Some("FileDescriptorStoreMax=256")),
            (None, Some("before 254")),
        ] {
            manager.fd_store = fd_store;
            let told = manager.shortcomings().join("; ");
            assert!(
                said.map_or(told.is_empty(), |said| told.contains(said)),
                "{told}"
            );
            assert_eq!(manager.keeps_descriptors(), fd_store != Some(0));
        }
    }
}
