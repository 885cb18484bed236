//! What an earlier process left to this one at the service manager: sockets, state, keys.

use std::io;
use std::sync::Arc;

use super::activation::{self, Taken};
use super::fdstore::{self, DescriptorStore, SocketKeeper};
use super::notify::ServiceManager;
use crate::listener::Inherited;

/// All of it, and the way to the manager.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) manager: ServiceManager,
    pub(super) sockets: Inherited,
    pub(super) store: DescriptorStore,
    pub(super) state: fdstore::Left,
    /// What could not be used, in sentences to be logged once there is a log.
    pub(super) notes: Vec<String>,
}

impl Left {
    /// Takes it, once and before the first thread.
    ///
    /// # Errors
    /// The kernel has no random numbers to give.
    pub(super) fn take() -> io::Result<Self> {
        let manager = ServiceManager::from_env();
        let keeper = Arc::new(SocketKeeper(manager.clone()));
        let Taken {
            sockets,
            kept,
            files,
        } = activation::take(Inherited::with_keeper(keeper));
        manager.has_stored_sockets(kept);
        let mut notes = Vec::new();
        let (store, state) = DescriptorStore::take(manager.clone(), files, &mut notes)
            .map_err(|error| io::Error::other(format!("no random numbers: {error}")))?;
        Ok(Self {
            manager,
            sockets,
            store,
            state,
            notes,
        })
    }
}
