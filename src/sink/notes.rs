//! What is wrong with the sinks, for whoever asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::name::Name;

/// What is wrong now, by sink.
#[derive(Debug, Default)]
pub struct Notes(Mutex<BTreeMap<Name, String>>);

impl Notes {
    /// One sentence per sink that cannot be written.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sentence = |(name, error): (&Name, &String)| format!("sink `{name}`: {error}");
        notes.iter().map(sentence).collect()
    }

    /// What is wrong with this one.
    #[must_use]
    pub fn of(&self, sink: &Name) -> Option<String> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.get(sink).cloned()
    }

    /// Forgets what was wrong.
    pub fn clear(&self, sink: &Name) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.remove(sink);
    }

    /// Whether this is news.
    pub(super) fn set(&self, sink: &Name, error: &str) -> bool {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.insert(sink.clone(), error.to_owned()).as_deref() != Some(error)
    }
}
