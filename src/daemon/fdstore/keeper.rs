//! Keeps what the descriptor store holds in step with what the roles hold: after each adoption,
//! each `forget`, each reload.
//!
//! Changes that come while one state is being stored are stored together next time, so two
//! hundred roles that rotate at once cost a few states and not two hundred.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::sleep;
use tracing::warn;

use super::{DescriptorStore, Held, Here, Logins, boot_id};
use crate::clock::Clock;
use crate::daemon::roles::{Managed, Roles};
use crate::login::Shelf;
use crate::name::Name;
use crate::refresh::state::Moment;

/// Least time between two states, unless somebody waits for one.
const PAUSE: Duration = Duration::from_millis(100);
/// Until a state that could not be stored is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Enough of a state to see that another would be the same.
#[derive(Debug)]
struct Summary {
    /// Role, fingerprint, generation.
    sets: Vec<(Name, String, u64)>,
    /// A changed document is another one.
    logins: Logins,
}

impl PartialEq for Summary {
    fn eq(&self, other: &Self) -> bool {
        self.sets == other.sets
            && self.logins.len() == other.logins.len()
            && self.logins.iter().all(|(name, document)| {
                let known = other.logins.get(name.as_str());
                known.is_some_and(|known| Arc::ptr_eq(known, document))
            })
    }
}

/// The one who writes states.
#[derive(Debug)]
pub struct Keeper {
    clock: Arc<dyn Clock>,
    boot_id: String,
    shelf: Arc<Shelf>,
    /// Pulled by the refreshers.
    changed: Arc<Notify>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: DescriptorStore,
    /// What the newest state holds. `None`: not known.
    stored: Option<Summary>,
}

impl Keeper {
    /// Nothing is written before [`Self::run`] or [`Self::flush`].
    #[must_use]
    pub fn new(
        store: DescriptorStore,
        shelf: Arc<Shelf>,
        clock: Arc<dyn Clock>,
        changed: Arc<Notify>,
    ) -> Self {
        Self {
            shelf,
            clock,
            boot_id: boot_id(),
            changed,
            inner: Mutex::new(Inner {
                store,
                stored: None,
            }),
        }
    }

    /// The moment, on this boot.
    #[must_use]
    pub fn here(&self) -> Here<'_> {
        Here {
            at: Moment {
                now: self.clock.boot(),
                wall: self.clock.wall(),
            },
            boot_id: &self.boot_id,
        }
    }

    /// Follows the roles until dropped.
    pub(in crate::daemon) async fn run(&self, roles: &Roles) {
        loop {
            let pause = if self.flush(roles).await {
                PAUSE
            } else {
                RETRY
            };
            sleep(pause).await;
            self.changed.notified().await;
        }
    }

    /// Returns when the manager holds what the roles hold, and nothing besides. Whether it does.
    pub(in crate::daemon) async fn flush(&self, roles: &Roles) -> bool {
        let mut inner = self.inner.lock().await;
        let roles = roles.all();
        let now = self.clock.boot();
        let views: Vec<_> = roles
            .iter()
            .filter_map(|managed| {
                let view = managed.handle.role().view();
                let held = view.held.as_ref().filter(|held| held.set.is_valid(now))?;
                Some((managed, Arc::clone(held), view.last_success))
            })
            .collect();
        let summary = Summary {
            sets: views
                .iter()
                .map(|(managed, held, _)| summary(managed, held.set.generation))
                .collect(),
            logins: self.shelf.documents(),
        };
        if inner.stored.as_ref() == Some(&summary) {
            return true;
        }
        let sets = views.iter().map(|(managed, held, last_success)| Held {
            role: &managed.config.name,
            fingerprint: &managed.config.fingerprint,
            set: &held.set,
            real_expiry: held.real_expiry,
            margin_dropped: held.margin.is_zero(),
            last_success: *last_success,
        });
        let kept = inner.store.keep(sets, &summary.logins, self.here()).await;
        if let Err(error) = kept {
            warn!(
                %error,
                "what the service manager keeps may not be what is held; trying again"
            );
            inner.stored = None;
            self.changed.notify_one();
            return false;
        }
        inner.stored = Some(summary);
        true
    }
}

fn summary(managed: &Managed, generation: u64) -> (Name, String, u64) {
    let config = &managed.config;
    (config.name.clone(), config.fingerprint.clone(), generation)
}
