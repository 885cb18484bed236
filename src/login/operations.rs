//! What operators do with a login: sign in, list what is behind it, sign out.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::kept::Login;
use super::portal::{Begun, Ticket};
use super::sign_in::{SignIn, Stage, wait_for_approval};
use crate::clock::{rfc3339_seconds, sleep_until};
use crate::observe::audit::{self, Peer};
use crate::provider::error::{Class, ProviderError};
use crate::provider::identity_center::{Account, PermissionSet};
use crate::provider::session::{AfterRefusal, Session};

/// How often a throttled portal is asked for one page.
const TRIES: u32 = 4;
/// The first pause where it names none; doubled each time.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Login {
    /// Begins a sign-in, or joins the one under way; true if it was joined.
    ///
    /// # Errors
    /// The portal could not be reached or said no.
    pub async fn sign_in(
        self: &Arc<Self>,
        peer: Peer,
    ) -> Result<(Arc<SignIn>, bool), ProviderError> {
        let mut current = self.sign_in.lock().await;
        if let Some(running) = current.as_ref().filter(|it| it.is_waiting()) {
            running.join();
            return Ok((Arc::clone(running), true));
        }
        let now = (self.clock.boot(), self.clock.wall());
        let known = self.held().client.clone();
        let begun = self.portal.begin(known, now).await?;
        let is_current = self.heir().is_some_and(|heir| Arc::ptr_eq(&heir, self));
        if !is_current {
            let message = "the configuration was reloaded meanwhile; try again";
            return Err(ProviderError::new(Class::Transient, message));
        }
        if let Ticket::Huawei { client, .. } = &begun.ticket {
            self.remember_client(client);
        }
        let pace = begun.pace();
        let Begun {
            challenge, ticket, ..
        } = begun;
        let sign_in = Arc::new(SignIn::new(challenge, peer));
        *current = Some(Arc::clone(&sign_in));
        self.held().sign_in = Some(Arc::clone(&sign_in));
        info!(login = %self.settings.name, "waiting for somebody to sign in");
        let (login, shared) = (Arc::clone(self), Arc::clone(&sign_in));
        drop(tokio::spawn(async move {
            let waiting = wait_for_approval(&login.portal, &ticket, pace, &*login.clock);
            let outcome = shared
                .abandoned
                .run_until_cancelled(waiting)
                .await
                .unwrap_or(Err(Stage::Cancelled));
            login.conclude(&shared, outcome).await;
        }));
        Ok((sign_in, false))
    }

    async fn conclude(self: &Arc<Self>, sign_in: &SignIn, outcome: Result<Session, Stage>) {
        let _alone = self.changing.lock().await;
        // Somebody may have signed out, or gone, between the approval and now.
        let outcome = outcome.and_then(|session| {
            let cancelled = sign_in.abandoned.is_cancelled();
            (!cancelled).then_some(session).ok_or(Stage::Cancelled)
        });
        let stage = match outcome {
            Ok(session) => {
                let stage = Stage::SignedIn {
                    ends_at: session.ends_at,
                    estimate: session.end_is_estimate,
                };
                info!(
                    login = %self.settings.name,
                    ends_at = rfc3339_seconds(session.ends_at),
                    "signed in"
                );
                let replaced = self.held().ours();
                self.accept(Arc::new(session));
                self.end_replaced(replaced);
                stage
            }
            Err(stage) => {
                let why = match &stage {
                    Stage::Failed(why) => Some(why.as_str()),
                    Stage::Cancelled
                    | Stage::Denied
                    | Stage::Expired
                    | Stage::SignedIn { .. }
                    | Stage::Waiting => None,
                };
                warn!(login = %self.settings.name, outcome = stage.as_str(), why, "nobody signed in");
                stage
            }
        };
        let name = self.settings.name.as_str();
        audit::operator("sign-in", &sign_in.peer, name, &stage.as_str());
        sign_in.reached(stage);
    }

    /// Nobody uses the session before any more, so it need not live on at the cloud. Not waited for;
    /// whoever is in the middle of a call with it is told that there is another.
    fn end_replaced(self: &Arc<Self>, replaced: Option<Arc<Session>>) {
        let now = self.session();
        let is_another = |it: &Arc<Session>| {
            let token = now.as_ref().map(|now| now.token.expose());
            token != Some(it.token.expose())
        };
        let Some(replaced) = replaced.filter(is_another) else {
            return;
        };
        let login = Arc::clone(self);
        drop(tokio::spawn(async move {
            if let Err(error) = login.portal.log_out(&replaced).await {
                let name = &login.settings.name;
                info!(login = %name, error = error.report(), "the session before ends by itself");
            }
        }));
    }

    /// The sign-in that was begun last.
    pub async fn current(&self) -> Option<Arc<SignIn>> {
        self.sign_in.lock().await.clone()
    }

    /// One of those who wait gives up.
    pub async fn give_up(&self) {
        if let Some(sign_in) = self.current().await {
            sign_in.leave();
        }
    }

    /// Accounts, and what the person may be in each.
    ///
    /// # Errors
    /// Nobody is signed in, or the portal said no.
    pub async fn list(
        self: &Arc<Self>,
    ) -> Result<Vec<(Account, Vec<PermissionSet>)>, ProviderError> {
        let session = self.session().ok_or_else(|| self.needs_login())?;
        match self.list_with(&session).await {
            Err(error) if error.class == Class::NeedsLogin => {
                match self.refused(&session).await {
                    AfterRefusal::Another => {}
                    AfterRefusal::NotNow(error) => return Err(error),
                    AfterRefusal::Ended => return Err(error),
                }
                let session = self.session().ok_or_else(|| self.needs_login())?;
                self.list_with(&session).await
            }
            other => other,
        }
    }

    async fn list_with(
        &self,
        session: &Session,
    ) -> Result<Vec<(Account, Vec<PermissionSet>)>, ProviderError> {
        let mut listed = Vec::new();
        let accounts = self.patiently(|| self.portal.accounts(session)).await?;
        for account in accounts {
            let sets = self
                .patiently(|| self.portal.permission_sets(session, &account))
                .await?;
            listed.push((account, sets));
        }
        Ok(listed)
    }

    /// A person waits, and one page too early is no reason to begin the whole list anew.
    async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match ask().await {
                Err(ProviderError {
                    class: Class::Throttled { retry_after },
                    ..
                }) => {
                    let pause_now = retry_after.unwrap_or(pause).min(LONGEST_PAUSE);
                    sleep_until(&*self.clock, self.clock.boot() + pause_now).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
        ask().await
    }

    /// Ends the session, at the cloud too where that is possible, and forgets it. Says how it
    /// went, in a sentence.
    ///
    /// # Errors
    /// Nobody is signed in, or what was kept of the session cannot be removed.
    pub async fn log_out(self: &Arc<Self>) -> Result<String, ProviderError> {
        let waiting = self.current().await.filter(|it| it.is_waiting());
        if let Some(sign_in) = &waiting {
            sign_in.abandoned.cancel();
        }
        let (login, session, forgotten) = {
            let _alone = self.changing.lock().await;
            let login = self.heir().ok_or_else(|| self.needs_login())?;
            let session = login.session();
            let forgotten = login.forget();
            (login, session, forgotten)
        };
        let name = &login.settings.name;
        let Some(session) = session else {
            return match (forgotten, waiting) {
                (Err(trouble), _) => Err(login.still_there(&trouble)),
                (Ok(_), Some(_)) => Ok("nobody was signed in; the sign-in is cancelled".to_owned()),
                (Ok(true), None) => {
                    Ok("nobody was signed in; what was kept of it is removed".to_owned())
                }
                (Ok(false), None) => Err(login.needs_login()),
            };
        };
        info!(login = %name, "signed out");
        login.tell_roles();
        let told = login.portal.log_out(&session).await;
        if let Err(trouble) = forgotten {
            return Err(login.still_there(&trouble));
        }
        Ok(match told {
            Ok(true) => "ended at the cloud, and forgotten".to_owned(),
            Ok(false) => {
                "forgotten; this cloud has no way to end a session before its time".to_owned()
            }
            Err(error) => format!(
                "forgotten; the cloud could not be told, so there it ends by itself: {}",
                error.report()
            ),
        })
    }

    fn still_there(&self, trouble: &str) -> ProviderError {
        let name = &self.settings.name;
        let message = format!(
            "`{name}` is signed out here, but what was kept of it is still there: {trouble}; \
             remove it, or a restart signs in with it"
        );
        ProviderError::new(Class::Transient, message)
    }
}
