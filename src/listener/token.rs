//! The token of a listener: a file that clients read and send along.
//!
//! 1. A file that is not there is made, whole or not at all: 43 characters and no line break,
//!    since many clients send what they read as it is.
//! 2. It is read again when it changes; what it held before stays good for ten minutes, because
//!    a client may have it in an environment variable.
//!    Whoever shows what is not known makes us look, so a new token counts from its first use on.
//!    The ten minutes outlive a restart of the process where somebody keeps it (see [`Tokens::kept`]), not
//!    one of the machine.
//! 3. What is too short to be a secret is no token: it lets nobody in.
//!
//! Comparing takes the same time wherever two tokens differ.

mod file;
mod group;
mod tokens;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use subtle::{Choice, ConstantTimeEq};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::clock::{BootTime, Clock};
use crate::directory;
use crate::stamp::Stamp;
pub use file::TokenError;
use file::{create, read};
pub use tokens::{KeptToken, Tokens};

const OVERLAP: Duration = Duration::from_mins(10);
/// Between two looks at the file while only known tokens are shown.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Earlier tokens kept at a time; a file written in pieces makes a few.
const MOST_PREVIOUS: usize = 8;

/// A token, as it is sent.
pub type Value = Zeroizing<Vec<u8>>;

/// The token in a file of root's or of this user.
pub(crate) fn read_file(path: &Path, own: u32) -> Result<Value, TokenError> {
    read(path, own).map(|(value, _)| value)
}

/// The tokens that are good at the moment.
pub struct Token {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// Pulled when another token counts.
    changed: Arc<Notify>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    current: Option<Value>,
    /// Each until a moment on the boot clock.
    previous: Vec<(Value, BootTime)>,
    stamp: Option<Stamp>,
    /// Whether nothing can have happened since that would not have changed it.
    is_settled: bool,
    looked: BootTime,
}

impl Token {
    /// Reads the token of `path`, making the file first if there is none; a new one is readable
    /// for us and `group`.
    pub fn open(
        path: &Path,
        group: Option<u32>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TokenError> {
        let own = rustix::process::geteuid().as_raw();
        let parent = path.parent().unwrap_or(path);
        directory::ensure(parent, own)
            .map_err(|unsafe_way| TokenError(format!("token file: {unsafe_way}")))?;
        let missing =
            fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        if missing {
            create(path, group).map_err(|error| {
                TokenError(format!(
                    "token file `{}` cannot be made: {error}",
                    path.display()
                ))
            })?;
        } else {
            group::give(path, group, own)?;
        }
        let (value, stamp) = read(path, own)?;
        Ok(Self {
            path: path.to_owned(),
            known: Mutex::new(Known {
                current: Some(value),
                previous: Vec::new(),
                stamp: Some(stamp),
                is_settled: false,
                looked: clock.boot(),
            }),
            clock,
            changed: Arc::default(),
        })
    }

    /// What an earlier process knew of the file. If it holds another token now, it was changed
    /// while nobody looked.
    fn remember(&mut self, kept: KeptToken) {
        let now = self.clock.boot();
        let known = self.known.get_mut().unwrap_or_else(PoisonError::into_inner);
        known.remember(kept, now);
    }

    /// Another group may read the file from now on.
    pub(crate) fn give_to(&self, group: Option<u32>) -> Result<(), TokenError> {
        group::give(&self.path, group, rustix::process::geteuid().as_raw())
    }

    /// Where it is read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this is the token, or was until a moment ago.
    #[must_use]
    pub fn accepts(&self, presented: &[u8]) -> bool {
        let now = self.clock.boot();
        let mut known = self.lock();
        let is_recent = now.since(known.looked) < LOOK_EVERY;
        if is_recent && known.holds(presented, now) {
            return true;
        }
        self.look_at_file(&mut known, now);
        known.holds(presented, now)
    }

    /// Reads the file again if it changed.
    fn look(&self) {
        self.look_at_file(&mut self.lock(), self.clock.boot());
    }

    fn look_at_file(&self, known: &mut Known, now: BootTime) {
        if known.look(&self.path, now, self.clock.wall()) {
            self.changed.notify_one();
        }
    }

    fn kept(&self) -> KeptToken {
        let now = self.clock.boot();
        let known = self.lock();
        KeptToken {
            current: known.current.clone(),
            previous: known.good_previous(now).cloned().collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Known {
    fn holds(&self, presented: &[u8], now: BootTime) -> bool {
        let current = self.current.as_ref().map_or_else(
            || Choice::from(0),
            |value| value.as_slice().ct_eq(presented),
        );
        self.good_previous(now)
            .fold(current, |found, (value, _)| {
                found | value.as_slice().ct_eq(presented)
            })
            .into()
    }

    fn good_previous(&self, now: BootTime) -> impl Iterator<Item = &(Value, BootTime)> {
        self.previous.iter().filter(move |(_, until)| now < *until)
    }

    fn remember(&mut self, kept: KeptToken, now: BootTime) {
        let replaced = kept
            .current
            .filter(|value| self.current.as_ref() != Some(value))
            .map(|value| (value, now + OVERLAP));
        let previous = kept.previous.into_iter();
        self.previous = replaced
            .into_iter()
            .chain(previous.map(|(value, until)| (value, until.min(now + OVERLAP))))
            .filter(|(_, until)| now < *until)
            .take(MOST_PREVIOUS)
            .collect();
    }

    /// Reads the file again if it changed; whether another token counts now. A file that is gone
    /// changes nothing: who holds the token may go on.
    fn look(&mut self, path: &Path, now: BootTime, wall: SystemTime) -> bool {
        self.looked = now;
        self.previous.retain(|(_, until)| now < *until);
        let Ok(found) = fs::metadata(path) else {
            return false;
        };
        let stamp = Stamp::from(&found);
        let is_known = self.stamp == Some(stamp);
        if is_known && self.is_settled {
            return false;
        }
        self.stamp = Some(stamp);
        self.is_settled = stamp.is_settled(wall);
        let value = match read(path, rustix::process::geteuid().as_raw()) {
            Ok((value, _)) => Some(value),
            Err(error) => {
                if !is_known {
                    tracing::warn!(%error, "token file unusable; the token it held stays good for 10 min");
                }
                None
            }
        };
        if value == self.current {
            return false;
        }
        if let Some(replaced) = self.current.take() {
            self.previous.insert(0, (replaced, now + OVERLAP));
            self.previous.truncate(MOST_PREVIOUS);
        }
        if value.is_some() {
            tracing::info!(path = %path.display(), "token read again");
        }
        self.current = value;
        true
    }
}

#[cfg(test)]
mod tests;
