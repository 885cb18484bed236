//! Keeps what the descriptor store holds in step with what the roles hold: after each adoption,
//! each `forget`, each reload, and with what else is kept.
//!
//! Changes that come while one state is being stored are stored together next time, so two
//! hundred roles that rotate at once cost a few states and not two hundred.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Mutex, Notify};
use tokio::time::sleep;
use tracing::warn;

use super::{Besides, DescriptorStore, Held, Here, boot_id};
use crate::clock::Clock;
use crate::daemon::roles::Roles;
use crate::listener::token::Tokens;
use crate::login::Shelf;
use crate::name::Name;
use crate::refresh::state::Moment;
use crate::store::Snapshot;

/// Least time between two states, unless somebody waits for one.
const PAUSE: Duration = Duration::from_millis(100);
/// Until a state that could not be stored is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Enough of a state to see that another would be the same.
#[derive(Debug, PartialEq)]
struct Summary {
    sets: Vec<SetSummary>,
    besides: Besides,
}

/// Whatever of a set's entry can change: a dropped margin or a stepped clock changes how the same
/// set is shown, and has to outlive a restart, too.
#[derive(Debug, Eq, PartialEq)]
struct SetSummary {
    role: Name,
    fingerprint: String,
    generation: u64,
    real_expiry: SystemTime,
    margin_dropped: bool,
}

/// The one who writes states.
#[derive(Debug)]
pub struct Keeper {
    clock: Arc<dyn Clock>,
    boot_id: String,
    shelf: Arc<Shelf>,
    tokens: Arc<Tokens>,
    /// Pulled by whatever has something new to keep.
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
        tokens: Arc<Tokens>,
        clock: Arc<dyn Clock>,
        changed: Arc<Notify>,
    ) -> Self {
        Self {
            shelf,
            tokens,
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
        let besides = Besides {
            logins: self.shelf.documents(),
            tokens: self.tokens.kept(),
            clocks: roles.learned_clocks(),
        };
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
                .map(|(managed, held, _)| {
                    SetSummary::of(&managed.config.name, &managed.config.fingerprint, held)
                })
                .collect(),
            besides,
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
        let kept = inner.store.keep(sets, &summary.besides, self.here()).await;
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

impl SetSummary {
    fn of(role: &Name, fingerprint: &str, held: &Snapshot) -> Self {
        Self {
            role: role.clone(),
            fingerprint: fingerprint.to_owned(),
            generation: held.set.generation,
            real_expiry: held.real_expiry,
            margin_dropped: held.margin.is_zero(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, SetSummary, SystemTime};
    use crate::clock::SystemClock;
    use crate::listener::tests::support::{context, publish};
    use crate::refresh::show::Shown;

    #[tokio::test]
    async fn a_set_that_is_shown_otherwise_is_stored_again() {
        let clock: std::sync::Arc<dyn crate::clock::Clock> = std::sync::Arc::new(SystemClock);
        let context = context(&clock);
        let hour = Duration::from_hours(1);
        publish(&context.store, &SystemClock, "app", 1, hour);
        let role = context.store.role("app").unwrap();
        let set = std::sync::Arc::clone(&role.view().held.as_ref().unwrap().set);
        let shown = |margin_mins, stepped_secs| {
            let shown = Shown {
                margin: Duration::from_mins(margin_mins),
                wall_at_boot: SystemTime::UNIX_EPOCH
                    + 500_000 * hour
                    + Duration::from_secs(stepped_secs),
            };
            SetSummary::of(role.name(), "f", &shown.snapshot(&role, &set))
        };
        assert_eq!(shown(5, 0), shown(5, 0));
        assert_ne!(shown(5, 0), shown(0, 0), "the margin was dropped");
        assert_ne!(shown(5, 0), shown(5, 60), "the clock was stepped");
    }
}
