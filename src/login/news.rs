//! Which logins have something to tell their roles.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::name::Name;

/// Logins whose roles should try again.
#[derive(Debug, Default)]
pub(super) struct News {
    names: Mutex<BTreeSet<Name>>,
    arrived: Notify,
}

impl News {
    pub(super) fn tell(&self, name: &Name) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.clone());
        self.arrived.notify_one();
    }

    pub(super) fn take(&self) -> Option<Name> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.pop_first()
    }

    /// Resolves when there may be one.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}
