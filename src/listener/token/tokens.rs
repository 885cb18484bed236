//! Every token file of a daemon, opened once however many listeners name it.
//!
//! 1. What a file held before outlives its listener: bound anew, or in the next process if
//!    somebody hands over what [`Tokens::kept`] tells.
//! 2. A change is noticed though nobody asks, so the ten minutes begin with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Token, TokenError, Value};
use crate::clock::{BootTime, Clock};

/// What is known of one token file, for the next process.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct KeptToken {
    /// What the file held last, unless that was no token.
    pub current: Option<Value>,
    /// What it held before, each with its end on the boot clock.
    pub previous: Vec<(Value, BootTime)>,
}

impl fmt::Debug for KeptToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptToken(redacted)")
    }
}

/// The tokens of all token files.
#[derive(Debug)]
pub struct Tokens {
    clock: Arc<dyn Clock>,
    /// Pulled when what is to be kept changes.
    changed: Arc<Notify>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    open: BTreeMap<PathBuf, Arc<Token>>,
    /// Of an earlier process, until the file is opened.
    restored: BTreeMap<PathBuf, KeptToken>,
}

impl Tokens {
    /// `changed` is pulled when [`Self::kept`] has something new to tell.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, changed: Arc<Notify>) -> Self {
        Self {
            clock,
            changed,
            inner: Mutex::default(),
        }
    }

    /// What an earlier process of this boot knew.
    pub fn restore(&self, kept: BTreeMap<PathBuf, KeptToken>) {
        self.lock().restored = kept;
    }

    /// The token of a file, which is opened, or made, if it was not yet; readable for `group`.
    ///
    /// # Errors
    /// A sentence on a file that cannot be had or holds no token.
    pub fn open(&self, path: &Path, group: Option<u32>) -> Result<Arc<Token>, TokenError> {
        let mut inner = self.lock();
        if let Some(token) = inner.open.get(path) {
            token.give_to(group)?;
            return Ok(Arc::clone(token));
        }
        let mut token = Token::open(path, group, Arc::clone(&self.clock))?;
        if let Some(kept) = inner.restored.remove(path) {
            token.remember(kept);
        }
        token.changed = Arc::clone(&self.changed);
        let token = Arc::new(token);
        inner.open.insert(path.to_owned(), Arc::clone(&token));
        self.changed.notify_one();
        Ok(token)
    }

    /// Forgets all others: nothing of the configuration names them.
    pub fn retain(&self, named: &BTreeSet<&Path>) {
        let mut inner = self.lock();
        inner.open.retain(|path, _| named.contains(path.as_path()));
        let restored = &mut inner.restored;
        restored.retain(|path, _| named.contains(path.as_path()));
        self.changed.notify_one();
    }

    /// Reads again what changed.
    pub fn look(&self) {
        let open: Vec<_> = self.lock().open.values().cloned().collect();
        for token in open {
            token.look();
        }
    }

    /// Everything there is, to be kept. Holds secrets.
    #[must_use]
    pub fn kept(&self) -> BTreeMap<PathBuf, KeptToken> {
        let inner = self.lock();
        let mut kept = inner.restored.clone();
        let open = inner.open.iter();
        kept.extend(open.map(|(path, token)| (path.clone(), token.kept())));
        kept
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
