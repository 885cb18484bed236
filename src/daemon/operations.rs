//! What operators ask for over the admin socket.

use std::sync::Arc;
use std::time::SystemTime;

use super::parts::Daemon;
use super::roles::Managed;
use super::status;
use crate::admin::Operations;
use crate::admin::api::{
    Answer, Forgotten, LoggedOut, LoginListing, LoginProgress, LoginQuestion, LoginStarted,
    RefreshOutcome, Refreshed, Refusal, RefusalCode, Reloaded, RoleQuestion, RoleSelection, Status,
    Whose,
};
use crate::clock::rfc3339_seconds;
use crate::future::BoxFuture;
use crate::name::Name;
use crate::observe::audit::Peer;
use crate::refresh::RefreshReply;
use crate::refresh::calls::{Calls, Progress};
use crate::store::Held;

/// Version of every document sent.
pub(super) const VERSION: u32 = 1;

/// The daemon as operators see it.
#[derive(Debug)]
pub(super) struct Operator(pub(super) Arc<Daemon>);

impl Operations for Operator {
    fn status(&self) -> Status {
        let now = self.0.clock.boot();
        let wall = self.0.clock.wall();
        Status {
            version: VERSION,
            credvend: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: rfc3339_seconds(self.0.started_at),
            config_file: self.0.config_file.display().to_string(),
            last_reload_successful: self.0.last_reload_succeeded(),
            roles: self
                .0
                .roles
                .all()
                .iter()
                .map(|managed| status::role(managed, now, wall))
                .collect(),
            listeners: self.0.listener_states(),
            logins: self.0.login_states(),
            sinks: self.0.sinks.states(),
            notes: self.0.notes(),
        }
    }

    fn refresh(&self, request: RoleSelection) -> BoxFuture<'_, Answer<Refreshed>> {
        Box::pin(async move {
            let selected = if request.roles.is_empty() {
                self.0.roles.all()
            } else {
                self.0.select(&request.roles)?
            };
            // All at once: the budgets upstream spread the calls.
            let running: Vec<_> = selected
                .into_iter()
                .map(|managed| {
                    // Whoever asks may have raised what bounded the last session.
                    managed.provider.reset_ladder();
                    let handle = managed.handle.clone();
                    let task = tokio::spawn(async move { handle.refresh().await });
                    (managed, task)
                })
                .collect();
            let mut roles = Vec::with_capacity(running.len());
            for (managed, task) in running {
                let reply = task
                    .await
                    .unwrap_or_else(|error| RefreshReply::Failed(error.to_string()));
                let now = self.0.clock.boot();
                let view = managed.handle.role().view();
                let held = view.valid(now).map(|held| held.shown_expiry);
                roles.push(outcome(managed.config.name.to_string(), reply, held));
            }
            Ok(Refreshed {
                version: VERSION,
                roles,
            })
        })
    }

    fn reload(&self) -> BoxFuture<'_, Answer<Reloaded>> {
        Box::pin(async move {
            match self.0.reload_configuration().await {
                Ok((changes, warnings)) => Ok(Reloaded {
                    version: VERSION,
                    changes,
                    warnings,
                }),
                Err(report) => Err(Refusal::new(RefusalCode::Misconfigured, report.to_string())),
            }
        })
    }

    fn forget(&self, request: RoleSelection) -> BoxFuture<'_, Answer<Forgotten>> {
        Box::pin(async move {
            let selected = match (request.all, request.roles.is_empty()) {
                (true, _) => self.0.roles.all(),
                (false, false) => self.0.select(&request.roles)?,
                (false, true) => {
                    let message = "name the roles to forget, or ask for all of them";
                    return Err(Refusal::new(RefusalCode::BadRequest, message));
                }
            };
            let now = self.0.clock.boot();
            let roles = selected
                .iter()
                .filter(|it| it.handle.role().view().held(now) != Held::None)
                .map(|it| it.config.name.to_string())
                .collect();
            let names: Vec<Name> = selected.into_iter().map(|it| it.config.name).collect();
            self.0.forget(&names).await?;
            Ok(Forgotten {
                version: VERSION,
                roles,
            })
        })
    }

    fn login(&self, request: LoginQuestion, peer: Peer) -> BoxFuture<'_, Answer<LoginStarted>> {
        Box::pin(self.0.sign_in(request.login, peer))
    }

    fn login_wait(&self, request: LoginQuestion) -> BoxFuture<'_, Answer<LoginProgress>> {
        Box::pin(self.0.sign_in_progress(request.login))
    }

    fn login_cancel(&self, request: LoginQuestion) -> BoxFuture<'_, Answer<LoginProgress>> {
        Box::pin(self.0.leave_sign_in(request.login))
    }

    fn login_list(&self, request: LoginQuestion) -> BoxFuture<'_, Answer<LoginListing>> {
        Box::pin(self.0.list_login(request.login))
    }

    fn logout(&self, request: LoginQuestion) -> BoxFuture<'_, Answer<LoggedOut>> {
        Box::pin(self.0.sign_out(request.login))
    }

    fn whoami(&self, request: RoleQuestion) -> BoxFuture<'_, Answer<Whose>> {
        Box::pin(async move {
            let managed = self.0.find(&request.role)?;
            let set = {
                let now = self.0.clock.boot();
                let view = managed.handle.role().view();
                view.valid(now).map(|held| Arc::clone(&held.set))
            };
            let Some(set) = set else {
                let message = format!("role `{}` holds nothing valid at the moment", request.role);
                return Err(Refusal::new(RefusalCode::Unavailable, message));
            };
            let identity = Calls {
                role: managed.config.name.clone(),
                provider: managed.provider,
                source: None,
                clock: Arc::clone(&self.0.clock),
                metrics: Arc::clone(&self.0.metrics),
            }
            .identity(&set.keys, &mut Progress::default())
            .await
            .map_err(|error| Refusal::new(RefusalCode::Unavailable, error.report()))?;
            Ok(Whose {
                version: VERSION,
                role: request.role,
                account: identity.account,
                user: identity.user,
                arn: identity.arn,
                kind: identity.kind,
            })
        })
    }
}

impl Daemon {
    /// Drops what these roles hold: in memory, in files, at the service manager.
    async fn forget(&self, names: &[Name]) -> Answer<()> {
        // Sources first, or a role would at once be obtained anew with what is to be forgotten.
        for managed in self.roles.sources_first() {
            if names.contains(&managed.config.name) {
                managed.handle.forget().await;
            }
        }
        let (mut left, nothing_kept) =
            tokio::join!(self.sinks.forget(names), self.keeper.flush(&self.roles));
        if !nothing_kept {
            left.push(
                "the service manager may still keep a copy (`systemctl stop` the daemon to drop it)"
                    .to_owned(),
            );
        }
        if left.is_empty() {
            return Ok(());
        }
        let message = format!(
            "forgotten in memory, but not everywhere: {}; this is tried on",
            left.join("; ")
        );
        Err(Refusal::new(RefusalCode::Unavailable, message))
    }

    fn select(&self, names: &[String]) -> Answer<Vec<Managed>> {
        names.iter().map(|name| self.find(name)).collect()
    }

    fn find(&self, name: &str) -> Answer<Managed> {
        self.roles.get(name).ok_or_else(|| {
            let known: Vec<String> = self
                .roles
                .all()
                .iter()
                .map(|managed| format!("`{}`", managed.config.name))
                .collect();
            let message = format!(
                "there is no role `{}`; there is {}",
                crate::provider::error::foreign(name),
                if known.is_empty() {
                    "none at all".to_owned()
                } else {
                    known.join(", ")
                }
            );
            Refusal::new(RefusalCode::UnknownRole, message)
        })
    }
}

/// How it went with one role; `held` is the shown expiry of what is held now, failed or not.
fn outcome(role: String, reply: RefreshReply, held: Option<SystemTime>) -> RefreshOutcome {
    let (result, message) = match reply {
        RefreshReply::Refreshed { .. } => ("refreshed", None),
        RefreshReply::Unchanged { why, .. } => ("refreshed", Some(why)),
        RefreshReply::Failed(why) => ("failed", Some(why)),
        RefreshReply::TooSoon(wait) => (
            "too-soon",
            Some(format!(
                "asked for again too soon; wait {} s",
                wait.as_secs() + 1
            )),
        ),
    };
    RefreshOutcome {
        role,
        result: result.to_owned(),
        message,
        expires_at: held.map(rfc3339_seconds),
    }
}
