//! One sign-in under way: what the person is shown, and how it stands.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::pace::Pace;
use super::portal::{Begun, Portal, Ticket};
use crate::clock::{BootTime, Clock, sleep_until};
use crate::observe::audit::Peer;
use crate::provider::error::Class;
use crate::provider::identity_center::{Approval, Session};
use crate::secret::Secret;

/// What the person is shown.
pub struct Challenge {
    /// Where to sign in. Of one cloud it redeems the session, so it is never logged.
    pub url: Secret,
    /// What the page shows, to be compared.
    pub code: Option<String>,
    pub expires_at: BootTime,
}

/// Code and address are for the person alone.
impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// How a sign-in stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stage {
    Waiting,
    /// Somebody is signed in until then.
    SignedIn {
        ends_at: SystemTime,
        estimate: bool,
    },
    Denied,
    /// Nobody approved in time.
    Expired,
    Cancelled,
    /// It cannot go on; a sentence.
    Failed(String),
}

impl Stage {
    /// In the audit log and over the admin socket.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::SignedIn { .. } => "signed-in",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Failed(_) => "failed",
        }
    }
}

/// One sign-in, shared by everybody who waits for it.
#[derive(Debug)]
pub struct SignIn {
    pub challenge: Challenge,
    /// Who began it.
    pub peer: Peer,
    stage: watch::Sender<Stage>,
    /// Who would miss it.
    people: AtomicUsize,
    pub(super) abandoned: CancellationToken,
}

impl SignIn {
    pub(super) fn new(challenge: Challenge, peer: Peer) -> Self {
        Self {
            challenge,
            peer,
            stage: watch::Sender::new(Stage::Waiting),
            people: AtomicUsize::new(1),
            abandoned: CancellationToken::new(),
        }
    }

    /// How it stands, and news of that.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Whether it may still succeed.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.abandoned.is_cancelled() && *self.stage.borrow() == Stage::Waiting
    }

    pub(super) fn join(&self) {
        self.people.fetch_add(1, Ordering::Relaxed);
    }

    /// One of those who wait gives up; the last one ends it.
    pub(super) fn leave(&self) {
        if self.people.fetch_sub(1, Ordering::Relaxed) <= 1 {
            self.abandoned.cancel();
        }
    }

    pub(super) fn reached(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }
}

/// Asks at the pace of the service until there is an answer. Network trouble is no answer: the
/// person may approve while we cannot ask.
pub(super) async fn wait_for_approval(
    portal: &Portal,
    ticket: &Ticket,
    pace: Pace,
    clock: &dyn Clock,
) -> Result<Session, Stage> {
    let mut pace = pace;
    while let Some(next) = pace.next(clock.boot()) {
        sleep_until(clock, next).await;
        match portal.approval(ticket).await {
            Ok(Approval::Granted(session)) => return Ok(session),
            Ok(Approval::Pending) => {}
            Ok(Approval::SlowDown) => pace.slow_down(),
            Ok(Approval::Denied) => return Err(Stage::Denied),
            Ok(Approval::Expired) => return Err(Stage::Expired),
            Err(error) => match error.class {
                Class::Throttled { .. } => pace.slow_down(),
                Class::Transient | Class::Clock { .. } => {
                    debug!(error = error.report(), "cannot ask for the approval now");
                }
                Class::DurationTooLong
                | Class::StaleSource
                | Class::SourceUnavailable
                | Class::Final
                | Class::NeedsLogin => return Err(Stage::Failed(error.report())),
            },
        }
    }
    sleep_until(clock, pace.deadline()).await;
    Err(Stage::Expired)
}

impl Begun {
    pub(super) fn pace(&self) -> Pace {
        Pace::new(self.interval, self.challenge.expires_at)
    }
}
