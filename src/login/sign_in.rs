//! One sign-in under way: what the person is shown, and how it stands.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::pace::Pace;
use super::portal::{Challenge, Portal, Ticket};
use crate::clock::{Clock, sleep_until};
use crate::observe::audit::Peer;
use crate::provider::error::{Class, foreign};
use crate::provider::identity_center::Approval;
use crate::provider::session::Session;

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
        let fewer = |people: usize| Some(people.saturating_sub(1));
        let before = self
            .people
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        if before.is_ok_and(|people| people <= 1) {
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
    let mut told = false;
    while let Some(next) = pace.next(clock.boot()) {
        sleep_until(clock, next).await;
        match portal.approval(ticket).await {
            Ok(Approval::Granted(session)) => return Ok(session),
            Ok(Approval::Pending(said)) => {
                // Its words for "not yet" are documented nowhere; once is enough to learn them.
                if !told && !said.is_empty() {
                    debug!(said = foreign(&said), "not approved yet");
                    told = true;
                }
            }
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
