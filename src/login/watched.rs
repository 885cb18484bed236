//! What time does to a login: warnings ahead of its end, a profile that changed, how it stands.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::kept::{Login, Origin};
use crate::clock::rfc3339_seconds;
use crate::provider::program::Program;

/// A login for `status`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Overview {
    /// `signed-in`, `ending` (within `warn-before`), `overdue` (past its end by our clock and not
    /// refused yet), `signing-in`, or `needs-login`.
    pub state: &'static str,
    pub ends_at: Option<SystemTime>,
    pub end_is_estimate: bool,
    pub trouble: Option<String>,
}

impl Login {
    /// Looks at the clock and at the adopted profile; to be called every few seconds.
    pub(super) fn tick(self: &Arc<Self>) {
        if self.borrowing {
            return;
        }
        if self.read_again() | self.adopt() {
            self.tell_roles();
        }
        self.renew_ahead();
        let now = self.clock.wall();
        let due = {
            let mut held = self.held();
            let near = held
                .in_force()
                .filter(|session| held.is_near(session, self.settings.warn_before, now));
            let due = near.map(|session| session.ends_at);
            let due = due.filter(|_| !held.warned);
            held.warned |= due.is_some();
            due
        };
        if let Some(ends_at) = due {
            self.warn(ends_at, now);
            // Once a session, whatever restarts meanwhile.
            let (session, client) = self.known();
            if session.is_some() {
                self.keep(session.as_deref(), client.as_deref());
            }
        }
    }

    /// Tries again what could not be read, once the file or its key is another. True if it brought
    /// a session.
    fn read_again(&self) -> bool {
        let unread = self.held().unread;
        if unread.is_none_or(|tried| tried == self.store.version()) {
            return false;
        }
        let had_none = self.held().session.is_none();
        self.load();
        had_none && self.held().session.is_some()
    }

    fn warn(&self, ends_at: SystemTime, now: SystemTime) {
        let name = &self.settings.name;
        warn!(
            login = %name,
            ends_at = rfc3339_seconds(ends_at),
            ends_in_secs = ends_at.duration_since(now).unwrap_or_default().as_secs(),
            "the session ends soon; run `credvend login {name}`"
        );
        if let Some(command) = self.settings.warn_command.clone() {
            let name = name.clone();
            drop(tokio::spawn(async move {
                if let Err(error) = Program::new(command).run().await {
                    warn!(login = %name, error = error.report(), "`warn-command` failed");
                }
            }));
        }
    }

    /// Takes the session out of the adopted profile, if that changed. True if it is a new one.
    pub(super) fn adopt(&self) -> bool {
        let Some(profile) = &self.profile else {
            return false;
        };
        let stamp = profile.stamp();
        if stamp.is_none() || self.held().profile == stamp {
            return false;
        }
        let read = profile.read(self.clock.wall());
        let mut held = self.held();
        held.profile = stamp;
        held.profile_trouble = None;
        match read {
            Ok(session) => {
                let later = held.session.as_ref().is_none_or(|own| {
                    let same = own.token.expose() == session.token.expose();
                    !same && (held.ended || own.ends_at < session.ends_at)
                });
                if later {
                    held.session = Some(Arc::new(session));
                    held.origin = Origin::Profile;
                    held.ended = false;
                    held.warned = false;
                    info!(login = %self.settings.name, "adopted the session of a tccli profile");
                }
                later
            }
            Err(trouble) => {
                warn!(login = %self.settings.name, "{trouble}");
                held.profile_trouble = Some(trouble);
                false
            }
        }
    }

    /// As `status` shows it.
    #[must_use]
    pub fn overview(&self) -> Overview {
        let now = self.clock.wall();
        let held = self.held();
        let session = held.in_force();
        let is_signing_in = held.sign_in.as_ref().is_some_and(|it| it.is_waiting());
        let is_near = |session| held.is_near(session, self.settings.warn_before, now);
        let state = match session {
            _ if is_signing_in => "signing-in",
            None => "needs-login",
            Some(session) if !is_near(session) => "signed-in",
            Some(session) if session.ends_at <= now => "overdue",
            Some(_) => "ending",
        };
        Overview {
            state,
            ends_at: session.map(|session| session.ends_at),
            end_is_estimate: session.is_some_and(|session| session.end_is_estimate),
            trouble: held
                .trouble
                .clone()
                .or_else(|| held.profile_trouble.clone()),
        }
    }

    /// What people should know, in a sentence; `None` if all is well.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        let name = &self.settings.name;
        let overview = self.overview();
        let left = overview
            .ends_at
            .and_then(|ends_at| ends_at.duration_since(self.clock.wall()).ok())
            .unwrap_or_default();
        match overview.state {
            "needs-login" => Some(format!("login `{name}` needs somebody to sign in")),
            "overdue" => Some(format!("login `{name}` should have ended")),
            "ending" => Some(format!("login `{name}` ends in {}", spoken(left))),
            _ => None,
        }
    }
}

fn spoken(left: Duration) -> String {
    let minutes = left.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
