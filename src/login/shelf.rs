//! Logins that must not be written to a disk: kept in memory, where whoever keeps the process's
//! memory over a restart finds them and puts them back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tracing::info;

use crate::name::Name;
use crate::secret::WipedBuffer;

/// One document per login, as it would stand in a file.
#[derive(Default)]
pub struct Shelf {
    documents: Mutex<BTreeMap<Name, Arc<WipedBuffer>>>,
    /// Pulled at each change.
    changed: Arc<Notify>,
}

impl Shelf {
    /// With what was kept before; `changed` is pulled at each change.
    #[must_use]
    pub fn new(documents: BTreeMap<Name, Arc<WipedBuffer>>, changed: Arc<Notify>) -> Self {
        Self {
            documents: Mutex::new(documents),
            changed,
        }
    }

    /// Everything there is, to be kept. Holds secrets.
    #[must_use]
    pub fn documents(&self) -> BTreeMap<Name, Arc<WipedBuffer>> {
        self.lock().clone()
    }

    pub(super) fn load(&self, login: &Name) -> Option<Arc<WipedBuffer>> {
        self.lock().get(login).cloned()
    }

    pub(super) fn save(&self, login: &Name, content: &[u8]) {
        let mut copy = WipedBuffer::with_capacity(content.len());
        copy.extend(content);
        self.lock().insert(login.clone(), Arc::new(copy));
        self.changed.notify_one();
    }

    /// True if there was something.
    pub(super) fn discard(&self, login: &Name) -> bool {
        let removed = self.lock().remove(login);
        self.changed.notify_one();
        removed.is_some()
    }

    /// Drops what no login of the configuration keeps here any more.
    pub(super) fn retain(&self, is_kept: impl Fn(&Name) -> bool) {
        self.lock().retain(|name, _| {
            let stays = is_kept(name);
            if !stays {
                info!(login = %name, "what memory kept of it is dropped: no such login keeps it");
            }
            stays
        });
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Arc<WipedBuffer>>> {
        self.documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lock().keys()).finish()
    }
}
