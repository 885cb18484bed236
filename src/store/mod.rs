//! The newest credentials of every role: one writer each (its refresher), many readers.
//!
//! A reader loads one pointer, checks expiry on the boot clock, and has everything it needs:
//! the set, what is shown about it, and the bodies ready to send. Nothing expired leaves the
//! store even if every refresher is stuck, since the check is on the reading side.

pub mod role;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::name::Name;
pub use role::{Failure, Held, Refresh, Role, Snapshot, View};

/// All roles by name. Replaced whole at a reload.
#[derive(Debug, Default)]
pub struct Store {
    roles: ArcSwap<BTreeMap<Name, Arc<Role>>>,
}

impl Store {
    /// The role of that name, if it is configured.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<Arc<Role>> {
        self.roles.load().get(name).map(Arc::clone)
    }

    /// Every role, in the order of their names.
    #[must_use]
    pub fn roles(&self) -> Arc<BTreeMap<Name, Arc<Role>>> {
        self.roles.load_full()
    }

    /// Swaps in another set of roles.
    pub fn replace(&self, roles: BTreeMap<Name, Arc<Role>>) {
        self.roles.store(Arc::new(roles));
    }
}
