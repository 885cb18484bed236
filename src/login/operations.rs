//! What operators do with a login: sign in, list what is behind it, sign out.

use std::sync::Arc;

use tracing::{info, warn};

use super::kept::Login;
use super::portal::{Begun, Ticket};
use super::sign_in::{SignIn, Stage, wait_for_approval};
use crate::clock::rfc3339_seconds;
use crate::observe::audit::{self, Peer};
use crate::provider::error::{Class, ProviderError};
use crate::provider::identity_center::{Account, HoldsSession as _, PermissionSet, Session};

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
        if let Ticket::Huawei { client, .. } = &begun.ticket {
            self.remember_client(client);
        }
        let pace = begun.pace();
        let Begun {
            challenge, ticket, ..
        } = begun;
        let sign_in = Arc::new(SignIn::new(challenge, peer));
        *current = Some(Arc::clone(&sign_in));
        self.held().waiting = true;
        info!(login = %self.settings.name, "waiting for somebody to sign in");
        let (login, shared) = (Arc::clone(self), Arc::clone(&sign_in));
        drop(tokio::spawn(async move {
            let waiting = wait_for_approval(&login.portal, &ticket, pace, &*login.clock);
            let outcome = shared
                .abandoned
                .run_until_cancelled(waiting)
                .await
                .unwrap_or(Err(Stage::Cancelled));
            login.conclude(&shared, outcome);
        }));
        Ok((sign_in, false))
    }

    fn conclude(&self, sign_in: &SignIn, outcome: Result<Session, Stage>) {
        self.held().waiting = false;
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
                self.accept(Arc::new(session));
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
    pub async fn list(&self) -> Result<Vec<(Account, Vec<PermissionSet>)>, ProviderError> {
        let session = self.session().ok_or_else(|| self.needs_login())?;
        match self.list_with(&session).await {
            Err(error) if error.class == Class::NeedsLogin => {
                if !self.refused(&session).await {
                    return Err(error);
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
        for account in self.portal.accounts(session).await? {
            let sets = self.portal.permission_sets(session, &account).await?;
            listed.push((account, sets));
        }
        Ok(listed)
    }

    fn needs_login(&self) -> ProviderError {
        let name = &self.settings.name;
        let message = format!("nobody is signed in to `{name}`; run `credvend login {name}`");
        ProviderError::new(Class::NeedsLogin, message)
    }

    /// Ends the session, at the cloud too where that is possible, and forgets it. Says how it
    /// went, in a sentence.
    ///
    /// # Errors
    /// Nobody is signed in.
    pub async fn log_out(&self) -> Result<String, ProviderError> {
        if let Some(sign_in) = self.current().await {
            sign_in.abandoned.cancel();
        }
        let Some(session) = self.held().session.take() else {
            return Err(self.needs_login());
        };
        let client = self.held().client.clone();
        self.keep(None, client.as_deref());
        info!(login = %self.settings.name, "signed out");
        self.tell_roles();
        Ok(match self.portal.log_out(&session).await {
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
}
