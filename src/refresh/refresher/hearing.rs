//! What the loop is told, and what it does about it.

use std::time::Duration;

use tokio::sync::oneshot;
use tracing::info;

use super::Refresher;
use crate::refresh::attempt::Before;
use crate::refresh::command::{Command, RefreshReply, Settings, SignedIn};
use crate::refresh::source::Standing;
use crate::store::Refresh;

/// `refresh` acts on a role at most this often.
const FORCED_PAUSE: Duration = Duration::from_secs(10);

impl Refresher {
    pub(super) fn on_demand(&mut self) {
        let rested = self.state.refresh == Refresh::Resting;
        if self.waits_for_source == Some(Standing::OnItsWay) && !rested {
            return; // whatever becomes of the source is heard of
        }
        self.state.demanded(self.now());
        if rested {
            self.publish();
        }
    }

    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Refresh(reply) => self.on_refresh(reply),
            Command::Forget(reply) => self.on_forget(reply),
            Command::Retune(settings) => self.on_retune(*settings),
            Command::SessionChanged(signed_in) => self.on_session_changed(signed_in),
            Command::SecretChanged => self.on_secret_changed(),
        }
    }

    fn on_refresh(&mut self, reply: oneshot::Sender<RefreshReply>) {
        let now = self.now();
        if let Some(last) = self.last_forced {
            let since = now.since(last);
            if since < FORCED_PAUSE {
                let _gone = reply.send(RefreshReply::TooSoon(FORCED_PAUSE.saturating_sub(since)));
                return;
            }
        }
        self.last_forced = Some(now);
        self.asking.push(reply);
    }

    pub(super) fn on_forget(&mut self, reply: oneshot::Sender<()>) {
        self.before = Before::default();
        self.state.forget(self.now());
        self.publish();
        info!("the held credentials were forgotten");
        let _gone = reply.send(());
    }

    pub(super) fn on_retune(&mut self, settings: Settings) {
        self.settings = settings;
        self.before = Before::default();
        self.waits_for_source = None;
        let timing = self.settings.timing();
        self.state.retune(timing, self.settings.lazy, self.now());
        self.publish();
    }

    /// Signed in, what is fresh needs no other. Signed out, what is held is served on, and an attempt
    /// shows at once that no other will come; it calls nobody.
    pub(super) fn on_session_changed(&mut self, signed_in: SignedIn) {
        let is_over = signed_in == SignedIn::No;
        if is_over || self.state.last_failed() || self.state.set().is_none() {
            self.state.due = self.now();
        }
    }

    pub(super) fn on_secret_changed(&mut self) {
        info!("a file behind the role changed; refreshing");
        self.before = Before::default();
        self.settings.provider.reread_source();
        self.state.due = self.now();
    }
}
