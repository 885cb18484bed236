//! What becomes of a session that the cloud refused: renewed, taken from the adopted profile, or
//! ended.

use std::sync::Arc;

use tracing::{info, warn};

use super::kept::Login;
use crate::clock::BootTime;
use crate::provider::error::{Class, ProviderError};
use crate::provider::session::{AfterRefusal, Session};
use crate::secret::Secret;

impl Login {
    /// The cloud refused `session`. What is done about it is done to its end even if this is
    /// dropped: a refresh token that was used up must bring its session.
    pub(super) async fn refused(self: &Arc<Self>, session: &Arc<Session>) -> AfterRefusal {
        let (login, session) = (Arc::clone(self), Arc::clone(session));
        let asked = self.clock.boot();
        let task = tokio::spawn(async move { login.replace(&session, asked).await });
        task.await.unwrap_or_else(|error| {
            let message = "a bug in credvend ended the renewal of a session";
            AfterRefusal::NotNow(ProviderError::new(Class::Transient, message).caused_by(error))
        })
    }

    async fn replace(self: &Arc<Self>, session: &Arc<Session>, asked: BootTime) -> AfterRefusal {
        let _alone = self.changing.lock().await;
        let Some(login) = self.heir() else {
            return AfterRefusal::Ended;
        };
        if let Some(settled) = login.settled(session, asked) {
            return settled;
        }
        let client = login.held().client.clone();
        let renewal = login.portal.renew(client.as_deref(), session).await;
        // A reload may have come in between.
        let Some(login) = login.heir() else {
            return AfterRefusal::Ended;
        };
        match renewal {
            Some(Ok(renewed)) => login.renewed(session, renewed),
            Some(Err(error)) if error.class != Class::NeedsLogin => login.not_now(&error),
            Some(Err(_)) | None => login.ended(session),
        }
    }

    /// What is known about the refused session already.
    fn settled(&self, session: &Arc<Session>, asked: BootTime) -> Option<AfterRefusal> {
        let held = self.held();
        match held.in_force() {
            // Somebody else was told before us.
            Some(current) if !Arc::ptr_eq(current, session) => return Some(AfterRefusal::Another),
            None => return Some(AfterRefusal::Ended),
            Some(_) => {}
        }
        if self.borrowing {
            return Some(self.left_to_the_daemon(session));
        }
        let (at, class, message) = held.not_renewed.as_ref()?;
        // Whoever waited for a renewal that failed does not begin the next one.
        (*at >= asked).then(|| AfterRefusal::NotNow(ProviderError::new(*class, message.clone())))
    }

    fn left_to_the_daemon(&self, session: &Session) -> AfterRefusal {
        if session.refresh_token.is_none() {
            return AfterRefusal::Ended;
        }
        let name = &self.settings.name;
        let message = format!(
            "the session of `{name}` was refused, and only the daemon renews it: \
             `credvend status` says how it went there"
        );
        AfterRefusal::NotNow(ProviderError::new(Class::NeedsLogin, message))
    }

    pub(super) fn renewed(&self, session: &Arc<Session>, renewed: Session) -> AfterRefusal {
        let is_current = {
            let held = self.held();
            held.in_force()
                .is_some_and(|current| Arc::ptr_eq(current, session))
        };
        if !is_current {
            // A profile was adopted meanwhile.
            return AfterRefusal::Another;
        }
        info!(login = %self.settings.name, "the session was renewed");
        self.accept(Arc::new(renewable(renewed, session)));
        AfterRefusal::Another
    }

    pub(super) fn not_now(&self, error: &ProviderError) -> AfterRefusal {
        let name = &self.settings.name;
        warn!(login = %name, error = error.report(), "cannot renew now");
        let message = format!(
            "the session of `{name}` cannot be renewed now: {}",
            error.report()
        );
        let again = (self.clock.boot(), error.class, message.clone());
        self.held().not_renewed = Some(again);
        AfterRefusal::NotNow(ProviderError::new(error.class, message))
    }

    fn ended(&self, session: &Arc<Session>) -> AfterRefusal {
        {
            let mut held = self.held();
            let is_current = held
                .session
                .as_ref()
                .is_some_and(|it| Arc::ptr_eq(it, session));
            if !is_current {
                return AfterRefusal::Another;
            }
            held.ended = true;
            // What the profile holds may be newer, even if it seemed to end earlier.
            held.profile = None;
        }
        if self.adopt() {
            return AfterRefusal::Another;
        }
        let name = &self.settings.name;
        warn!(login = %name, "the session has ended; run `credvend login {name}`");
        let (_, client) = self.known();
        self.keep(None, client.as_deref());
        AfterRefusal::Ended
    }
}

/// A refresh token that is not replaced stays good (RFC 6749, section 6).
fn renewable(renewed: Session, before: &Session) -> Session {
    let same = || before.refresh_token.as_ref().map(Secret::expose);
    Session {
        refresh_token: renewed.refresh_token.or_else(|| same().map(Secret::from)),
        ..renewed
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::{Secret, Session, renewable};

    #[test]
    fn a_refresh_token_lives_until_it_is_replaced() {
        let session = |token: Option<&str>| Session {
            token: Secret::from("t"),
            refresh_token: token.map(Secret::from),
            zone: None,
            signed_in_at: SystemTime::UNIX_EPOCH,
            ends_at: SystemTime::UNIX_EPOCH,
            end_is_estimate: false,
        };
        for (before, after, expected) in [
            (Some("one"), None, Some("one")),
            (Some("one"), Some("two"), Some("two")),
            (None, None, None),
        ] {
            let kept = renewable(session(after), &session(before)).refresh_token;
            assert_eq!(kept.as_ref().map(Secret::expose), expected);
        }
    }
}
