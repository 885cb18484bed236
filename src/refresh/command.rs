//! What a refresher can be asked to do, and the way to ask.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};

use crate::provider::Provider;
use crate::schedule::Tuning;
use crate::store::Role;

/// Waiting commands per role; whoever sends more waits.
const COMMANDS: usize = 16;

/// What the configuration says about one role, as its refresher needs it.
#[derive(Clone, Debug)]
pub struct Settings {
    pub provider: Arc<dyn Provider>,
    pub tuning: Tuning,
    pub expected_account: Option<String>,
    pub lazy: bool,
    /// The refresher of the role this one signs with.
    pub source: Option<Handle>,
}

impl Settings {
    /// What a plan depends on besides the lifetime.
    #[must_use]
    pub fn timing(&self) -> (Tuning, bool) {
        (self.tuning, self.provider.mints())
    }
}

/// What a refresher is asked to do.
#[derive(Debug)]
pub enum Command {
    /// An attempt now, and its result.
    Refresh(oneshot::Sender<RefreshReply>),
    /// Drop the held set, then obtain another.
    Forget(oneshot::Sender<()>),
    /// Same identity, other tuning: the set stays.
    Retune(Box<Settings>),
    /// A file behind the role changed: an attempt is worth while.
    SecretChanged,
    /// Somebody signed in, or out.
    SessionChanged(SignedIn),
}

/// Whether somebody is signed in to a role's login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignedIn {
    Yes,
    No,
}

/// How a requested refresh went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RefreshReply {
    /// A new set is served; its shown expiry.
    Refreshed {
        shown_expiry: SystemTime,
    },
    /// What was obtained was not adopted, and that is no failure.
    Unchanged {
        shown_expiry: SystemTime,
        why: String,
    },
    Failed(String),
    /// Asked for again too soon; how long to wait.
    TooSoon(Duration),
}

/// The way to one refresher.
#[derive(Clone, Debug)]
pub struct Handle {
    role: Arc<Role>,
    commands: mpsc::Sender<Command>,
}

impl Handle {
    /// A way to the refresher of `role`, and where that one hears.
    #[must_use]
    pub fn new(role: Arc<Role>) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        (Self { role, commands }, receiver)
    }

    #[must_use]
    pub fn role(&self) -> &Arc<Role> {
        &self.role
    }

    /// Asks for an attempt now and waits for its result.
    pub async fn refresh(&self) -> RefreshReply {
        let (reply, answer) = oneshot::channel();
        let stopped = || RefreshReply::Failed("the role was removed meanwhile".into());
        if self.commands.send(Command::Refresh(reply)).await.is_err() {
            return stopped();
        }
        answer.await.unwrap_or_else(|_| stopped())
    }

    /// Drops the held set and waits until nobody can read it any more.
    pub async fn forget(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Forget(reply)).await.is_ok() {
            // An error means that the refresher is gone, and its set with it.
            let _gone = answer.await;
        }
    }

    /// Other tuning, or another provider of the same identity.
    pub async fn retune(&self, settings: Settings) {
        let _gone = self
            .commands
            .send(Command::Retune(Box::new(settings)))
            .await;
    }

    /// Somebody signed in, or out.
    pub async fn session_changed(&self, signed_in: SignedIn) {
        let _gone = self.commands.send(Command::SessionChanged(signed_in)).await;
    }

    /// A file behind the role changed.
    pub async fn secret_changed(&self) {
        let _gone = self.commands.send(Command::SecretChanged).await;
    }
}
