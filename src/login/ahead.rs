//! Renewing a session ahead of its end, where the cloud gave a refresh token.
//!
//! Nobody is told of an end that will not come: while renewing may still succeed in time, people
//! hear of it only when it failed and half of the time for it is over, which after a long stop may
//! be at once. A refusal is no end either, since the session is good until the cloud says otherwise;
//! but from then on they hear of it as of any other.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tracing::warn;

use super::kept::{Held, Login};
use crate::clock::BootTime;
use crate::provider::error::{Class, ProviderError};
use crate::provider::session::Session;
use crate::schedule;

/// However late people want to be told, renewing needs some time for a second attempt.
const SHORTEST_LEAD: Duration = Duration::from_mins(5);
/// Two ends that are told this close to each other are the same one.
const SAME: Duration = Duration::from_secs(5);

/// How renewing goes, for one session.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    task: Option<JoinHandle<()>>,
    failures: u32,
    /// Not tried again before.
    not_before: Option<BootTime>,
    /// It brings nothing: the cloud said no, or gave a session with the same end.
    is_useless: bool,
}

impl Ahead {
    fn may_begin(&self, now: BootTime) -> bool {
        let is_under_way = self.task.as_ref().is_some_and(|task| !task.is_finished());
        !is_under_way && self.not_before.is_none_or(|at| at <= now)
    }
}

/// Life left at which a session is renewed: a fifth, or as much as people want to be told ahead if
/// that is less.
fn lead(session: &Session, warn_before: Duration) -> Duration {
    (life(session) / 5).min(warn_before.max(SHORTEST_LEAD))
}

fn life(session: &Session) -> Duration {
    let life = session.ends_at.duration_since(session.signed_in_at);
    life.unwrap_or_default()
}

/// Life left at which people are told.
fn told_at(session: &Session, warn_before: Duration, can_renew: bool) -> Duration {
    if can_renew {
        warn_before.min(lead(session, warn_before) / 2)
    } else {
        warn_before
    }
}

impl Held {
    fn can_renew(&self, session: &Session) -> bool {
        session.refresh_token.is_some() && self.client.is_some() && !self.ahead.is_useless
    }

    /// Whether people should know that the session ends.
    pub(super) fn is_near(
        &self,
        session: &Session,
        warn_before: Duration,
        now: SystemTime,
    ) -> bool {
        let can_renew = self.can_renew(session);
        let has_failed = self.ahead.failures > 0;
        (has_failed || !can_renew) && left(session, now) <= told_at(session, warn_before, can_renew)
    }
}

fn left(session: &Session, now: SystemTime) -> Duration {
    session.ends_at.duration_since(now).unwrap_or_default()
}

impl Login {
    /// Begins to renew the session if it is time to; to be called every few seconds.
    pub(super) fn renew_ahead(self: &Arc<Self>) {
        let (now, wall) = (self.clock.boot(), self.clock.wall());
        let mut held = self.held();
        let Some(session) = held.in_force().cloned() else {
            return;
        };
        let is_time = left(&session, wall) <= lead(&session, self.settings.warn_before);
        if is_time && held.can_renew(&session) && held.ahead.may_begin(now) {
            let login = Arc::clone(self);
            // A task of its own, and never dropped half-way: what a refresh token was used up for
            // must be kept.
            held.ahead.task = Some(tokio::spawn(async move { login.renew_now(&session).await }));
        }
    }

    async fn renew_now(self: &Arc<Self>, session: &Arc<Session>) {
        let _alone = self.changing.lock().await;
        let Some(login) = self.heir().filter(|it| it.holds(session)) else {
            return;
        };
        let client = login.held().client.clone();
        let renewal = login.portal.renew(client.as_deref(), session).await;
        // A reload may have come in between.
        let Some(login) = self.heir().filter(|it| it.holds(session)) else {
            return;
        };
        match renewal {
            Some(Ok(renewed)) => {
                let gained = renewed.ends_at > session.ends_at + SAME;
                let pause = schedule::shortest_pause(life(&renewed));
                login.renewed(session, renewed);
                let again = login.clock.boot() + pause;
                let mut held = login.held();
                held.ahead.not_before = Some(again);
                held.ahead.is_useless = !gained;
            }
            Some(Err(error)) if error.class == Class::NeedsLogin => {
                let name = &login.settings.name;
                warn!(login = %name, error = error.report(), "the session cannot be renewed");
                login.held().ahead.is_useless = true;
            }
            Some(Err(error)) => login.try_again_later(&error, session),
            None => login.held().ahead.is_useless = true,
        }
    }

    fn try_again_later(&self, error: &ProviderError, session: &Session) {
        self.not_now(error);
        let life = Some(left(session, self.clock.wall()));
        let mut held = self.held();
        held.ahead.failures = held.ahead.failures.saturating_add(1);
        let (throttled, asked) = match error.class {
            Class::Throttled { retry_after } => (true, retry_after),
            Class::Clock { .. }
            | Class::DurationTooLong
            | Class::Final
            | Class::NeedsLogin
            | Class::SourceUnavailable
            | Class::StaleSource
            | Class::Transient => (false, None),
        };
        let asked = asked.map(|asked| schedule::honoured(asked, life));
        let own = schedule::backoff(held.ahead.failures, throttled, life, fastrand::f64());
        let pause = own.max(asked.unwrap_or_default());
        held.ahead.not_before = Some(self.clock.boot() + pause);
    }

    fn holds(&self, session: &Arc<Session>) -> bool {
        let held = self.held();
        held.in_force().is_some_and(|it| Arc::ptr_eq(it, session))
    }
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
