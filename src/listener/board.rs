//! How the listeners stand: written by the data plane's thread, read by everybody else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::live::Live;
use super::{ListenerState, State};
use crate::name::Name;

/// How the listeners stand, for whoever wants to know.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<BTreeMap<Name, Entry>>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) address: String,
    pub(crate) standing: Result<Arc<Live>, String>,
}

impl Board {
    pub(crate) fn states(&self) -> Vec<ListenerState> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .iter()
            .map(|(name, entry)| ListenerState {
                name: name.clone(),
                address: entry.address.clone(),
                state: match &entry.standing {
                    Ok(_) => State::Listening,
                    Err(_) => State::Failed,
                },
                error: entry.standing.as_ref().err().cloned(),
                connections: entry.standing.as_ref().map_or(0, |live| live.connections()),
            })
            .collect()
    }

    pub(crate) fn set(&self, name: &Name, entry: Entry) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.insert(name.clone(), entry);
    }

    pub(crate) fn remove(&self, name: &Name) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(name);
    }

    /// Why it failed, if it did.
    pub(crate) fn error(&self, name: &Name) -> Option<String> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(name)?.standing.as_ref().err().cloned()
    }
}
