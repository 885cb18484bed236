//! Signing in and out on an operator's behalf.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::operations::VERSION;
use super::parts::Daemon;
use crate::admin::api::{
    Answer, ListedAccount, ListedPermissionSet, LoggedOut, LoginListing, LoginProgress,
    LoginStarted, LoginStatus, Refusal, RefusalCode,
};
use crate::clock::rfc3339_seconds;
use crate::config::model::Keep;
use crate::login::{Login, SignIn, Stage};
use crate::observe::audit::Peer;
use crate::provider::error::{ProviderError, foreign};

/// How long an answer on a sign-in's progress is held while nothing happens.
const HOLD: Duration = Duration::from_secs(5);

impl Daemon {
    pub(super) async fn sign_in(&self, name: String, peer: Peer) -> Answer<LoginStarted> {
        let login = self.login(&name)?;
        let (sign_in, joined) = login.sign_in(peer).await.map_err(unavailable)?;
        Ok(LoginStarted {
            version: VERSION,
            login: name,
            url: sign_in.challenge.url.expose().to_owned(),
            code: sign_in.challenge.code.clone(),
            expires_in_seconds: self
                .clock
                .boot()
                .until(sign_in.challenge.expires_at)
                .as_secs(),
            joined,
            url_is_secret: sign_in.challenge.url_is_secret,
        })
    }

    pub(super) async fn sign_in_progress(&self, name: String) -> Answer<LoginProgress> {
        let sign_in = self.current_sign_in(&name).await?;
        let stage = within_hold(&sign_in).await.unwrap_or(Stage::Waiting);
        Ok(self.progress(name, stage))
    }

    pub(super) async fn leave_sign_in(&self, name: String) -> Answer<LoginProgress> {
        let login = self.login(&name)?;
        login.give_up().await;
        let sign_in = self.current_sign_in(&name).await?;
        // The approval may have come first; then that is how it ended.
        let stage = if sign_in.is_waiting() {
            Stage::Waiting
        } else {
            within_hold(&sign_in).await.unwrap_or(Stage::Cancelled)
        };
        Ok(self.progress(name, stage))
    }

    pub(super) async fn list_login(&self, name: String) -> Answer<LoginListing> {
        let login = self.login(&name)?;
        let listed = login.list().await.map_err(unavailable)?;
        let accounts = listed.into_iter().map(|(account, sets)| ListedAccount {
            id: account.id,
            name: account.name,
            permission_sets: sets
                .into_iter()
                .map(|set| ListedPermissionSet {
                    name: set.name,
                    description: set.description,
                })
                .collect(),
        });
        let config = self.config();
        let settings = config.logins.get(name.as_str());
        Ok(LoginListing {
            version: VERSION,
            provider: settings.map_or("", |it| it.kind()).to_owned(),
            login: name,
            accounts: accounts.collect(),
        })
    }

    pub(super) async fn sign_out(&self, name: String) -> Answer<LoggedOut> {
        let login = self.login(&name)?;
        let outcome = login.log_out().await;
        let config = self.config();
        let settings = config.logins.get(name.as_str());
        let in_memory = settings.is_some_and(|it| it.keep == Keep::Memory);
        // The service manager's copy is gone, too, before we say so.
        if in_memory && !self.keeper.flush(&self.roles).await {
            let message = "signed out here, but the service manager still keeps a copy: \
                           `systemctl stop` the daemon to drop it";
            return Err(Refusal::new(RefusalCode::Unavailable, message));
        }
        let message = outcome.map_err(unavailable)?;
        Ok(LoggedOut {
            version: VERSION,
            login: name,
            message,
        })
    }

    pub(super) fn login_states(&self) -> Vec<LoginStatus> {
        let config = self.config();
        let now = self.clock.wall();
        let state = |(name, login): (crate::name::Name, Arc<Login>)| {
            let overview = login.overview();
            let left = overview
                .ends_at
                .and_then(|end| end.duration_since(now).ok());
            LoginStatus {
                cloud: config
                    .logins
                    .get(&name)
                    .map_or("", |it| it.cloud().as_str())
                    .to_owned(),
                name: name.to_string(),
                state: overview.state.to_owned(),
                ends_at: overview.ends_at.map(rfc3339_seconds),
                ends_in_seconds: left.map(|left| left.as_secs()),
                end_is_estimate: overview.end_is_estimate,
                trouble: overview.trouble,
            }
        };
        self.logins.all().into_iter().map(state).collect()
    }

    fn login(&self, name: &str) -> Answer<Arc<Login>> {
        self.logins.get(name).ok_or_else(|| {
            let known: Vec<String> = self
                .logins
                .all()
                .iter()
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            let known = if known.is_empty() {
                "none at all".to_owned()
            } else {
                known.join(", ")
            };
            let message = format!("there is no login `{}`; there is {known}", foreign(name));
            Refusal::new(RefusalCode::UnknownRole, message)
        })
    }

    async fn current_sign_in(&self, name: &str) -> Answer<Arc<SignIn>> {
        self.login(name)?.current().await.ok_or_else(|| {
            let message = format!("nobody is signing in to `{name}`");
            Refusal::new(RefusalCode::Unavailable, message)
        })
    }

    fn progress(&self, login: String, stage: Stage) -> LoginProgress {
        let word = stage.as_str().to_owned();
        let (message, ends_at, end_is_estimate) = match stage {
            Stage::SignedIn { ends_at, estimate } => {
                (None, Some(rfc3339_seconds(ends_at)), estimate)
            }
            Stage::Failed(why) => (Some(why), None, false),
            Stage::Waiting | Stage::Denied | Stage::Expired | Stage::Cancelled => {
                (None, None, false)
            }
        };
        let roles = self.roles.all();
        let behind = roles.iter().filter(|managed| {
            let its = managed.config.provider.login();
            its.is_some_and(|its| its.as_str() == login)
        });
        LoginProgress {
            version: VERSION,
            state: word,
            message,
            ends_at,
            end_is_estimate,
            roles: behind
                .map(|managed| managed.config.name.to_string())
                .collect(),
            login,
        }
    }
}

/// How it ended, if it does while an answer is held.
async fn within_hold(sign_in: &SignIn) -> Option<Stage> {
    let mut news = sign_in.watch();
    let ended = news.wait_for(|stage| *stage != Stage::Waiting);
    let stage = timeout(HOLD, ended).await.ok()?.ok()?;
    Some(stage.clone())
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` calls it")]
fn unavailable(error: ProviderError) -> Refusal {
    Refusal::new(RefusalCode::Unavailable, error.report())
}
