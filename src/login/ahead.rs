//! When a session is renewed ahead of its end, where the cloud gave a refresh token.
//!
//! Nobody is told of an end that will not come: while renewing may still succeed in time, people
//! hear of it only when it failed and half of the time for it is over, which after a long stop may
//! be at once. A refusal is no end either, since the session is good until the cloud says otherwise;
//! but from then on they hear of it as of any other.

use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;

use crate::clock::BootTime;
use crate::provider::session::Session;

/// However late people want to be told, renewing needs some time for a second attempt.
const SHORTEST_LEAD: Duration = Duration::from_mins(5);

/// How renewing goes, for one session.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    pub(super) task: Option<JoinHandle<()>>,
    pub(super) failures: u32,
    /// Not tried again before.
    pub(super) not_before: Option<BootTime>,
    /// It brings nothing: the cloud said no, or gave a session with the same end.
    pub(super) is_useless: bool,
}

impl Ahead {
    pub(super) fn may_begin(&self, now: BootTime) -> bool {
        let is_under_way = self.task.as_ref().is_some_and(|task| !task.is_finished());
        !is_under_way && self.not_before.is_none_or(|at| at <= now)
    }
}

/// Life left at which a session is renewed: a fifth, or as much as people want to be told ahead if
/// that is less.
pub(super) fn lead(session: &Session, warn_before: Duration) -> Duration {
    (life(session) / 5).min(warn_before.max(SHORTEST_LEAD))
}

pub(super) fn life(session: &Session) -> Duration {
    let life = session.ends_at.duration_since(session.signed_in_at);
    life.unwrap_or_default()
}

/// Life left at which people are told.
pub(super) fn told_at(session: &Session, warn_before: Duration, can_renew: bool) -> Duration {
    if can_renew {
        warn_before.min(lead(session, warn_before) / 2)
    } else {
        warn_before
    }
}

pub(super) fn left(session: &Session, now: SystemTime) -> Duration {
    session.ends_at.duration_since(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn renewing_comes_before_anybody_is_told_and_leaves_time_to_act() {
        for (case, life, warn_before, renewed, told_if_not, told_at_once) in [
            ("a working day, the default", 480, 120, 96, 48, 120),
            ("told late", 480, 30, 30, 15, 30),
            ("never told ahead", 480, 0, 5, 0, 0),
            ("an hour, the default", 60, 120, 12, 6, 120),
        ] {
            let session = Session {
                token: Secret::from("t"),
                refresh_token: None,
                zone: None,
                signed_in_at: SystemTime::UNIX_EPOCH,
                ends_at: SystemTime::UNIX_EPOCH + life * MINUTE,
                end_is_estimate: false,
            };
            let warn_before = warn_before * MINUTE;
            assert_eq!(lead(&session, warn_before), renewed * MINUTE, "{case}");
            let told = |can_renew| told_at(&session, warn_before, can_renew);
            assert_eq!(told(true), told_if_not * MINUTE, "{case}");
            assert_eq!(told(false), told_at_once * MINUTE, "{case}");
        }
    }
}
