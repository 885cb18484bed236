//! The role that another one signs with, as the other one sees it.

use super::command::Handle;
use crate::clock::Clock;
use crate::store::Refresh;

/// How a source stands towards those who wait for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// Holds something to sign with: its set of this generation.
    Ready { generation: u64 },
    /// Holds nothing yet, and nothing has failed: its first attempt is under way or due.
    OnItsWay,
    /// Its last attempt failed; it is tried again.
    Failed,
    /// Nobody but a person can make its next attempt succeed: `Failing` or `NeedsLogin`.
    NeedsSomebody(Refresh),
}

impl Standing {
    /// What it is at this moment.
    pub(super) fn of(source: &Handle, clock: &dyn Clock) -> Self {
        let view = source.role().view();
        if let Some(held) = view.valid(clock.boot()) {
            Self::Ready {
                generation: held.set.generation,
            }
        } else if view.refresh.needs_somebody() {
            Self::NeedsSomebody(view.refresh)
        } else if view.failure.is_some() {
            Self::Failed
        } else {
            Self::OnItsWay
        }
    }

    /// What becomes of a role that has nothing to sign with while its source stands so: it is no
    /// better off than its source.
    pub(super) fn of_dependent(self) -> Refresh {
        match self {
            Self::NeedsSomebody(refresh) => refresh,
            Self::Ready { .. } | Self::OnItsWay | Self::Failed => Refresh::Retrying,
        }
    }
}

/// Resolves when the source stands otherwise than `known`; never without one. Subscribes before
/// looking, so that no change is missed.
pub(super) async fn changes(source: Option<(Handle, Standing)>, clock: &dyn Clock) {
    let Some((source, known)) = source else {
        return std::future::pending().await;
    };
    let mut publications = source.role().subscribe();
    while Standing::of(&source, clock) == known {
        if publications.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
