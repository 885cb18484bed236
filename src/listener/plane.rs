//! The data plane's own thread: brings listeners up, keeps trying those that failed, applies
//! reloads as differences, drains.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::Context;
use super::accept::{Socket, accept};
use super::board::{Board, Entry};
use super::inherited::{Inherited, SocketFile};
use super::live::Live;
use super::rules::Rules;
use super::token::{Token, TokenError};
use crate::config::model::{Address, Allow, Listener, Principals};
use crate::name::Name;
use crate::observe::metrics::ListenerLabels;

/// Between two attempts at a listener that failed.
const RETRY_EVERY: Duration = Duration::from_secs(2);
/// Between two looks for audit windows that are over.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// What the control plane asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Apply {
        desired: Vec<Listener>,
        done: oneshot::Sender<()>,
    },
    Drain {
        grace: Duration,
        done: oneshot::Sender<()>,
    },
}

/// Everything the thread owns.
#[derive(Debug)]
pub(crate) struct Plane {
    context: Arc<Context>,
    inherited: Inherited,
    board: Arc<Board>,
    listeners: BTreeMap<Name, Running>,
    /// Gone from the configuration, with connections that finish their answers.
    leaving: Vec<Arc<Live>>,
}

#[derive(Debug)]
struct Running {
    config: Listener,
    up: Option<Up>,
}

#[derive(Debug)]
struct Up {
    live: Arc<Live>,
    bound: Option<SocketAddr>,
    accepting: JoinHandle<()>,
    path: Option<SocketFile>,
}

/// What a reload means for one listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change {
    Nothing,
    /// Sockets and connections stay.
    Rules,
    /// The socket stays, connections end.
    Admission,
    /// Another socket.
    Socket,
}

fn change(old: &Listener, new: &Listener) -> Change {
    if !old.shares_socket_with(new) {
        Change::Socket
    } else if old.allow != new.allow {
        Change::Admission
    } else if old != new {
        Change::Rules
    } else {
        Change::Nothing
    }
}

impl Plane {
    pub(crate) fn new(context: Arc<Context>, inherited: Inherited, board: Arc<Board>) -> Self {
        Self {
            context,
            inherited,
            board,
            listeners: BTreeMap::new(),
            leaving: Vec::new(),
        }
    }

    /// Runs until drained, or until nobody is left to command.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut retry = tokio::time::interval(RETRY_EVERY);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flush = tokio::time::interval(FLUSH_EVERY);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Apply { desired, done }) => {
                        self.apply(desired).await;
                        done.send(()).ok();
                    }
                    Some(Command::Drain { grace, done }) => {
                        self.drain(grace).await;
                        done.send(()).ok();
                        return;
                    }
                    None => return,
                },
                _ = retry.tick() => {
                    self.context.tokens.look();
                    self.retry().await;
                }
                _ = flush.tick() => self.context.audit.flush(),
            }
        }
    }

    async fn apply(&mut self, desired: Vec<Listener>) {
        let desired: BTreeMap<Name, Listener> = desired
            .into_iter()
            .map(|listener| (listener.name.clone(), listener))
            .collect();
        for stray in self
            .inherited
            .close_strays(|name| desired.contains_key(name))
        {
            tracing::warn!("{stray}");
        }
        // First everything that frees an address, then everything that takes one.
        let known: Vec<Name> = self.listeners.keys().cloned().collect();
        for name in known {
            let new = desired.get(&name);
            let is_over = self.listeners.get(&name).is_some_and(|running| {
                new.is_none_or(|new| {
                    let written = |it: &Listener| it.access.mode_is_set;
                    change(&running.config, new) == Change::Socket
                        || (written(&running.config) != written(new) && !self.inherited.fits(new))
                })
            });
            if is_over {
                self.remove(&name, new).await;
            }
        }
        for (name, new) in desired {
            match self.listeners.remove(&name) {
                Some(running) => self.update(running, new).await,
                None => self.bring_up(new),
            }
        }
    }

    async fn update(&mut self, running: Running, new: Listener) {
        let Some(up) = running.up else {
            return self.bring_up(new);
        };
        let change = change(&running.config, &new);
        if change != Change::Nothing {
            match self.token(&new) {
                Ok(token) => {
                    let rules = Rules::new(&new, up.bound, token);
                    up.live.rules.store(Arc::new(rules));
                    if change == Change::Admission {
                        up.live.close_connections();
                    }
                }
                Err(error) => {
                    self.take_down(up).await;
                    // Or our own copy would hold the address, and its clients would hang.
                    self.inherited.release(new.name.as_str());
                    return self.failed(new, error.to_string());
                }
            }
        }
        let running = Running {
            config: new,
            up: Some(up),
        };
        self.listeners.insert(running.config.name.clone(), running);
    }

    async fn retry(&mut self) {
        self.leaving.retain(|live| live.connections() > 0);
        let down: Vec<Name> = self
            .listeners
            .iter()
            .filter(|(_, running)| {
                let up = running.up.as_ref();
                up.is_none_or(|up| up.accepting.is_finished())
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in down {
            if let Some(running) = self.listeners.remove(&name) {
                if let Some(up) = running.up {
                    self.take_down(up).await;
                    self.inherited.release(name.as_str());
                }
                self.bring_up(running.config);
            }
        }
    }

    fn bring_up(&mut self, config: Listener) {
        match self.try_up(&config) {
            Ok(up) => {
                let address = shown(&config.address, up.bound);
                tracing::debug!(listener = %config.name, address, "listening");
                let entry = Entry {
                    address,
                    standing: Ok(Arc::clone(&up.live)),
                };
                self.board.set(&config.name, entry);
                self.gauge(&config.name, 1);
                let name = config.name.clone();
                self.listeners.insert(
                    name,
                    Running {
                        config,
                        up: Some(up),
                    },
                );
            }
            Err(error) => self.failed(config, error),
        }
    }

    fn try_up(&mut self, config: &Listener) -> Result<Up, String> {
        // The token first: a listener without one must not open its address, not even briefly.
        let token = self.token(config).map_err(|error| error.to_string())?;
        let (socket, bound, path) = self.socket(config)?;
        let rules = Rules::new(config, bound, token);
        let live = Arc::new(Live::new(
            config.name.clone(),
            rules,
            Arc::clone(&self.context),
        ));
        let accepting = tokio::spawn(accept(Arc::clone(&live), socket));
        Ok(Up {
            live,
            bound,
            accepting,
            path,
        })
    }

    /// The token that a listener names.
    fn token(&self, config: &Listener) -> Result<Option<Arc<Token>>, TokenError> {
        let tokens = &self.context.tokens;
        let path = config.token.as_ref();
        path.map(|path| tokens.open(path, config.access.group))
            .transpose()
    }

    fn socket(
        &mut self,
        config: &Listener,
    ) -> Result<(Socket, Option<SocketAddr>, Option<SocketFile>), String> {
        let name = config.name.as_str();
        match &config.address {
            Address::Tcp(address) => {
                let listener = self.inherited.tcp(name, *address);
                let listener = listener.map_err(|error| error.to_string())?;
                let bound = listener.local_addr().map_err(|error| error.to_string())?;
                Ok((Socket::Tcp(listener), Some(bound), None))
            }
            Address::Unix(path) => {
                let opened = self.inherited.unix(name, path, &config.access);
                let (listener, file) = opened.map_err(|error| error.to_string())?;
                Ok((Socket::Unix(listener), None, Some(file)))
            }
        }
    }

    fn failed(&mut self, config: Listener, error: String) {
        if self.board.error(&config.name).as_ref() != Some(&error) {
            tracing::warn!(listener = %config.name, error, "listener failed; trying on");
        }
        let entry = Entry {
            address: shown(&config.address, None),
            standing: Err(error),
        };
        self.board.set(&config.name, entry);
        self.gauge(&config.name, 0);
        let name = config.name.clone();
        self.listeners.insert(name, Running { config, up: None });
    }

    /// `new` is what takes its place, if anything does.
    async fn remove(&mut self, name: &Name, new: Option<&Listener>) {
        let Some(running) = self.listeners.remove(name) else {
            return;
        };
        if let Some(up) = running.up {
            if new.is_none_or(|new| new.allow != running.config.allow) {
                shut_out_everybody(running.config, &up);
            }
            self.take_down(up).await;
            tracing::debug!(listener = %name, "no longer listening");
        }
        self.inherited.release(name.as_str());
        self.board.remove(name);
        self.context.metrics.listener_up.remove(&labels(name));
    }

    /// Closes the socket, before this returns, and ends the connections.
    async fn take_down(&mut self, up: Up) {
        up.accepting.abort();
        let ended = up.accepting.await;
        debug_assert!(ended.is_err(), "accepting never ends by itself");
        up.live.close_connections();
        self.leaving.push(up.live);
    }

    /// Idle connections end at once, answers under way are finished while `grace` lasts.
    async fn drain(&mut self, grace: Duration) {
        for (name, running) in std::mem::take(&mut self.listeners) {
            if let Some(mut up) = running.up {
                let path = up.path.take();
                up.live.drain_connections();
                self.take_down(up).await;
                if let Some(path) = path {
                    path.leave();
                }
            }
            self.board.remove(&name);
            self.context.metrics.listener_up.remove(&labels(&name));
        }
        let leaving = std::mem::take(&mut self.leaving);
        let all = async {
            for live in &leaving {
                live.idle().await;
            }
        };
        if tokio::time::timeout(grace, all).await.is_err() {
            let open: u64 = leaving.iter().map(|live| live.connections()).sum();
            tracing::warn!(connections = open, "grace period over; closing the rest");
        }
        self.context.audit.finish();
    }

    fn gauge(&self, name: &Name, up: i64) {
        self.context
            .metrics
            .listener_up
            .get_or_create(&labels(name))
            .set(up);
    }
}

/// Whoever still waits for credentials on this listener must not get them.
fn shut_out_everybody(config: Listener, up: &Up) {
    let nobody = Listener {
        allow: Some(Allow::Only(Principals::default())),
        ..config
    };
    up.live
        .rules
        .store(Arc::new(Rules::new(&nobody, up.bound, None)));
}

fn labels(name: &Name) -> ListenerLabels {
    ListenerLabels {
        listener: name.to_string(),
    }
}

fn shown(address: &Address, bound: Option<SocketAddr>) -> String {
    match address {
        Address::Tcp(address) => bound.unwrap_or(*address).to_string(),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}
