//! One role as its readers see it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{Notify, watch};

use crate::clock::{BootTime, Clock};
use crate::credentials::{Cloud, CredentialSet, HoldsCredentials};
use crate::formats::Bodies;
use crate::name::Name;

/// One role: what is held, how refreshing goes, and the means to wait for a change.
pub struct Role {
    name: Name,
    cloud: Cloud,
    clock: Arc<dyn Clock>,
    view: ArcSwap<View>,
    /// Counts publications, for those who wait for one.
    changes: watch::Sender<u64>,
    /// Pulled by readers that found nothing valid, and by every reader of a resting role.
    pub(crate) demand: Notify,
    /// Boot-clock second of the last read, for lazy roles.
    last_read: AtomicU64,
}

/// Everything about a role at one moment, swapped whole.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The adopted set; it may have expired since, so ask [`View::valid`].
    pub held: Option<Arc<Snapshot>>,
    pub refresh: Refresh,
    /// Shown life below which the role is degraded.
    pub min_remaining: Duration,
    /// The last failure since the last success.
    pub failure: Option<Failure>,
    /// Failures in a row since the last success.
    pub consecutive_failures: u32,
    /// When the next attempt is planned.
    pub next_attempt: Option<BootTime>,
    pub last_attempt: Option<SystemTime>,
    pub last_success: Option<SystemTime>,
}

/// An adopted set with what is shown about it.
#[derive(Debug)]
pub struct Snapshot {
    pub set: Arc<CredentialSet>,
    /// The expiry everybody is told: the margin before the real one, in the host's wall clock.
    pub shown_expiry: SystemTime,
    /// When the set was issued, and never a moment that the host's clock has not reached.
    pub issued_at: SystemTime,
    /// What was taken off the real expiry to get there.
    pub margin: Duration,
    /// The real expiry in the host's wall clock; for `status` alone.
    pub real_expiry: SystemTime,
    /// Answers ready to send, one per wire format.
    pub bodies: Bodies,
    /// The same set shown without a margin, ready for the moment when the shown life is over:
    /// no reader is ever told an expiry that has passed, even if the refresher is late.
    pub bare: Option<Arc<Self>>,
}

impl Snapshot {
    /// Life left as shown.
    #[must_use]
    pub fn shown_remaining(&self, now: BootTime) -> Duration {
        self.set.remaining(now).saturating_sub(self.margin)
    }

    /// Life left until the expiry that is told, which is in whole seconds: what is told must not
    /// lie in the past of whoever reads it.
    #[must_use]
    pub fn told_remaining(&self, now: BootTime) -> Duration {
        let since_epoch = self.shown_expiry.duration_since(SystemTime::UNIX_EPOCH);
        let fraction = since_epoch.map_or(0, |since| since.subsec_nanos());
        self.shown_remaining(now)
            .saturating_sub(Duration::from_nanos(fraction.into()))
    }
}

/// How refreshing stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Refresh {
    /// Nothing to do until the next planned attempt.
    #[default]
    Idle,
    Retrying,
    /// Refused for good: somebody must act.
    Failing,
    NeedsLogin,
    /// A lazy role nobody uses.
    Resting,
}

impl Refresh {
    /// As shown in `status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Retrying => "retrying",
            Self::Failing => "failing",
            Self::NeedsLogin => "needs-login",
            Self::Resting => "resting",
        }
    }

    /// Whether nobody but a person can make the next attempt succeed.
    #[must_use]
    pub fn needs_somebody(self) -> bool {
        matches!(self, Self::Failing | Self::NeedsLogin)
    }
}

/// What is held, in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    None,
    Fresh,
    /// Valid, but shows less than `min-remaining`.
    Degraded,
    Expired,
}

impl Held {
    /// As shown in `status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fresh => "fresh",
            Self::Degraded => "degraded",
            Self::Expired => "expired",
        }
    }
}

/// The last failed attempt, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The class's label.
    pub class: &'static str,
    /// One line, safe to print.
    pub message: String,
    pub code: Option<String>,
    pub request_id: Option<String>,
    pub at: SystemTime,
}

impl View {
    /// The snapshot, if it may be served now.
    #[must_use]
    pub fn valid(&self, now: BootTime) -> Option<&Arc<Snapshot>> {
        let held = self.held.as_ref()?;
        [Some(held), held.bare.as_ref()]
            .into_iter()
            .flatten()
            .find(|shown| !shown.told_remaining(now).is_zero())
    }

    /// Whether a reader learns nothing from the other one that this one does not tell.
    #[must_use]
    pub fn tells_the_same_as(&self, other: &Self) -> bool {
        let Self {
            held,
            refresh,
            min_remaining,
            failure,
            consecutive_failures,
            next_attempt,
            last_attempt,
            last_success,
        } = self;
        held.as_ref().map(Arc::as_ptr) == other.held.as_ref().map(Arc::as_ptr)
            && *refresh == other.refresh
            && *min_remaining == other.min_remaining
            && *failure == other.failure
            && *consecutive_failures == other.consecutive_failures
            && *next_attempt == other.next_attempt
            && *last_attempt == other.last_attempt
            && *last_success == other.last_success
    }

    /// What is held, in one word.
    #[must_use]
    pub fn held(&self, now: BootTime) -> Held {
        match (&self.held, self.valid(now)) {
            (None, _) => Held::None,
            (Some(_), None) => Held::Expired,
            (Some(_), Some(valid)) if valid.shown_remaining(now) < self.min_remaining => {
                Held::Degraded
            }
            (Some(_), Some(_)) => Held::Fresh,
        }
    }
}

impl Role {
    /// A role that holds nothing yet.
    #[must_use]
    pub fn new(name: Name, cloud: Cloud, clock: Arc<dyn Clock>) -> Self {
        Self {
            name,
            cloud,
            last_read: AtomicU64::new(0),
            clock,
            view: ArcSwap::from_pointee(View::default()),
            changes: watch::Sender::new(0),
            demand: Notify::new(),
        }
    }

    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    #[must_use]
    pub fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// The role at this moment. Never blocks.
    #[must_use]
    pub fn view(&self) -> Guard<Arc<View>> {
        self.view.load()
    }

    /// A client's read: the role at this moment, noted as use of a lazy role, and as demand
    /// where nothing valid is held.
    #[must_use]
    pub fn read(&self, now: BootTime) -> Guard<Arc<View>> {
        self.note_use(now);
        let view = self.view.load();
        if view.refresh == Refresh::Resting || view.valid(now).is_none() {
            self.demand.notify_one();
        }
        view
    }

    /// Somebody lives on it who is told of each change, such as a sink: a lazy role is woken, or
    /// does not come to rest. Demands nothing of a role that is awake, unlike [`Self::read`]: what
    /// it has nothing to show for is already being worked on.
    pub fn keep_awake(&self, now: BootTime) {
        self.note_use(now);
        if self.view.load().refresh == Refresh::Resting {
            self.demand.notify_one();
        }
    }

    /// Notes use of a lazy role.
    pub(crate) fn note_use(&self, now: BootTime) {
        self.last_read
            .store(now.since_boot().as_secs(), Ordering::Relaxed);
    }

    /// When it was last used.
    #[must_use]
    pub fn last_read(&self) -> BootTime {
        BootTime::new(Duration::from_secs(self.last_read.load(Ordering::Relaxed)))
    }

    /// Resolves at each later publication. Subscribe first, then look, then wait.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Another role has taken its place, or none: wakes everybody who waits.
    pub(crate) fn superseded(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Swaps in another view and wakes everybody who waits. For the role's refresher alone.
    pub(crate) fn publish(&self, view: View) {
        self.view.store(Arc::new(view));
        self.changes.send_modify(|count| *count += 1);
    }
}

impl HoldsCredentials for Role {
    fn valid_set(&self) -> Option<Arc<CredentialSet>> {
        let now = self.clock.boot();
        self.read(now).valid(now).map(|held| Arc::clone(&held.set))
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
