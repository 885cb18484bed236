//! Renewing a session ahead of its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::warn;

use super::ahead::{lead, left, life, told_at};
use super::kept::{Held, Login};
use crate::provider::error::{Class, ProviderError};
use crate::provider::session::Session;
use crate::schedule;

/// Two ends that are told this close to each other are the same one.
const SAME: Duration = Duration::from_secs(5);

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
