//! The data plane: every socket that vends credentials, on one thread of its own.
//!
//! Nothing here contacts a cloud, reads a configuration file or refreshes anything: a request is
//! judged, looked up in the store and answered from bytes that are ready. What this module
//! promises:
//!
//! 1. A held, unexpired set is answered at once, whatever else the daemon is doing.
//! 2. Nothing expired leaves it: each request checks the boot clock itself.
//! 3. Who is not let in gets a refusal that says why, and never a byte of a credential.
//! 4. Listeners fail alone: one that cannot bind is shown as failed and tried again.
//! 5. A reload touches only what it changes.
//!
//! A request passes through `accept` (who is at the other end) → `exchange` with `wire` and the HTTP
//! library → `connection` → `session`, which asks `access`, `guard` and `protocol`, all three pure.

mod accept;
pub mod access;
pub(crate) mod answer;
pub mod bind;
mod board;
mod connection;
pub(crate) mod exchange;
pub mod guard;
pub mod host;
mod inherited;
pub(crate) mod line;
mod live;
mod metadata;
pub mod metadata_token;
pub(crate) mod origin;
mod places;
mod plane;
mod protocol;
mod refuse;
mod rules;
mod session;
pub mod sock_diag;
pub mod token;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

use std::io;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::config::model::Listener;
use crate::name::Name;
use crate::observe::audit::Audit;
use crate::observe::metrics::Metrics;
use crate::store::Store;
use board::Board;
pub use inherited::{Inherited, KeepSockets, Origin, Socket, SocketFile};
pub use metadata_token::MetadataTokens;
use plane::{Command, Plane};
use sock_diag::SockDiag;
use token::Tokens;

/// What every listener needs from the rest of the daemon.
#[derive(Debug)]
pub struct Context {
    pub store: Arc<Store>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub audit: Arc<Audit>,
    /// Makes and checks the tokens of metadata protocols, with a key of this run's own unless
    /// another is put in its place.
    pub metadata_tokens: MetadataTokens,
    /// The token files of listeners.
    pub tokens: Arc<Tokens>,
    /// Asked who is at the other end of a TCP connection.
    kernel: Mutex<SockDiag>,
}

impl Context {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        audit: Arc<Audit>,
    ) -> Self {
        Self {
            store,
            tokens: Arc::new(Tokens::new(Arc::clone(&clock), Arc::default())),
            clock,
            metrics,
            audit,
            metadata_tokens: MetadataTokens::random(),
            kernel: Mutex::default(),
        }
    }
}

/// How one listener stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListenerState {
    pub name: Name,
    /// Where it listens, or should.
    pub address: String,
    pub state: State,
    /// Why it failed.
    pub error: Option<String>,
    pub connections: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    Listening,
    /// Tried again every 2 s.
    Failed,
}

impl State {
    /// As shown in `status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Failed => "failed",
        }
    }
}

/// The thread that serves has ended, which is a defect of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the data plane has ended")]
pub struct Ended;

/// The handle to the serving thread. Dropping it closes every listener at once.
#[derive(Debug)]
pub struct DataPlane {
    commands: mpsc::Sender<Command>,
    board: Arc<Board>,
}

impl DataPlane {
    /// Starts the thread. Nothing listens before [`Self::apply`].
    pub fn start(context: Arc<Context>, inherited: Inherited) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (commands, received) = mpsc::channel(8);
        let board = Arc::new(Board::default());
        let plane = Plane::new(context, inherited, Arc::clone(&board));
        thread::Builder::new()
            .name("data-plane".to_owned())
            .spawn(move || runtime.block_on(plane.run(received)))?;
        Ok(Self { commands, board })
    }

    /// Makes the listeners be these and returns when each has been tried: new ones are bound,
    /// missing ones closed; one whose address, mode or owner changed is bound anew; a changed
    /// `allow` ends its connections; everything else changes under open connections.
    pub async fn apply(&self, desired: Vec<Listener>) -> Result<(), Ended> {
        let (done, finished) = oneshot::channel();
        let command = Command::Apply { desired, done };
        self.commands.send(command).await.map_err(|_| Ended)?;
        finished.await.map_err(|_| Ended)
    }

    /// How each listener stands, in the order of their names.
    #[must_use]
    pub fn state(&self) -> Vec<ListenerState> {
        self.board.states()
    }

    /// Whether at least one of them works.
    #[must_use]
    pub fn any_listening(&self) -> bool {
        self.state()
            .iter()
            .any(|listener| listener.state == State::Listening)
    }

    /// Stops accepting, ends idle connections at once, lets answers under way finish for at most
    /// `grace`, then cuts what is left and ends the thread.
    pub async fn drain(&self, grace: Duration) {
        let (done, finished) = oneshot::channel();
        let command = Command::Drain { grace, done };
        if self.commands.send(command).await.is_ok() {
            // An error means that the thread ended earlier: then there is nothing to drain.
            finished.await.ok();
        }
    }

    /// Resolves when the thread has ended, which only happens by itself if it panicked.
    pub async fn ended(&self) {
        self.commands.closed().await;
    }
}
