//! Everything that runs, for whoever acts on it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tracing::warn;

use super::fdstore::Keeper;
use super::left::Left;
use super::notify::ServiceManager;
use super::roles::Roles;
use super::sinks::Sinks;
use super::status_line::{RoleWord, status_line};
use super::surfaces::Surfaces;
use crate::admin::api::ListenerStatus;
use crate::admin::health::Health;
use crate::clock::{Clock, SystemClock};
use crate::config::model::{Config, Principals};
use crate::listener::token::Tokens;
use crate::listener::{Context, DataPlane, Ended, MetadataTokens, State};
use crate::login::{Logins, Shelf};
use crate::observe::audit::Audit;
use crate::observe::logging::Logging;
use crate::observe::metrics::Metrics;
use crate::refresh::Shared;
use crate::store::Store;

/// Why the daemon ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The whole report on a wrong configuration.
    #[error("{0}")]
    Misconfigured(String),
    /// Nothing could be served.
    #[error("{0}")]
    Unavailable(String),
    /// A bug of ours.
    #[error("{0}")]
    Internal(String),
}

/// Everything that runs, for whoever acts on it.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config_file: PathBuf,
    pub(super) started_at: SystemTime,
    pub(super) roles: Roles,
    /// How many came with what they held before a restart.
    pub(super) resumed_roles: usize,
    pub(super) sinks: Sinks,
    pub(super) logins: Arc<Logins>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) audit: Arc<Audit>,
    pub(super) plane: DataPlane,
    pub(super) tokens: Arc<Tokens>,
    pub(super) surfaces: Surfaces,
    pub(super) keeper: Keeper,
    pub(super) manager: ServiceManager,
    pub(super) health: Arc<Health>,
    pub(super) logging: Logging,
    pub(super) operators: Arc<ArcSwap<Principals>>,
    config: Mutex<Arc<Config>>,
    /// One reload at a time.
    pub(super) reloading: tokio::sync::Mutex<()>,
    last_reload_succeeded: AtomicBool,
}

impl From<Ended> for RunError {
    fn from(ended: Ended) -> Self {
        Self::Internal(ended.to_string())
    }
}

/// A key nobody else knows, so that an `ETag` tells nothing about the keys behind it.
pub(super) fn random_key() -> io::Result<Arc<[u8]>> {
    let mut key = [0_u8; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    Ok(Arc::from(key))
}

impl Daemon {
    /// Puts the parts together; nothing listens or refreshes yet.
    pub(super) fn build(
        config_file: &Path,
        config: Config,
        logging: Logging,
        left: Left,
        jump_seen: watch::Receiver<u64>,
    ) -> Result<Self, RunError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Arc::new(Metrics::new());
        let store = Arc::new(Store::default());
        let internal = |error: io::Error| RunError::Internal(error.to_string());
        let Left {
            manager,
            mut sockets,
            store: kept,
            state,
            mut notes,
        } = left;
        let changed = Arc::new(Notify::new());
        let shared = Shared {
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            etag_key: Arc::from(kept.keyring().etag.as_slice()),
            changed: Arc::clone(&changed),
            jumps: jump_seen,
            draw: fastrand::f64,
        };
        let audit = Arc::new(Audit::new(Arc::clone(&clock)));
        let mut context = Context::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&metrics),
            Arc::clone(&audit),
        );
        context.metadata_tokens = MetadataTokens::with_key(kept.keyring().token.clone());
        let shelf = Arc::new(Shelf::new(state.logins(), Arc::clone(&changed)));
        let tokens = Arc::new(Tokens::new(Arc::clone(&clock), Arc::clone(&changed)));
        context.tokens = Arc::clone(&tokens);
        let keeper = Keeper::new(
            kept,
            Arc::clone(&shelf),
            Arc::clone(&tokens),
            Arc::clone(&clock),
            changed,
        );
        tokens.restore(state.tokens(keeper.here()));
        let roles = Roles::new(store, shared, &config);
        let fingerprint = |name: &str| config.roles.get(name).map(|it| it.fingerprint.clone());
        let clocks = state.clocks(keeper.here());
        let restored = state.restore(fingerprint, keeper.here(), &mut notes);
        for note in notes {
            warn!("{note}");
        }
        let resumed_roles = restored.len();
        roles.restore(restored, clocks);
        let surfaces = Surfaces::new(&mut sockets);
        let plane = DataPlane::start(Arc::new(context), sockets).map_err(internal)?;
        let waits_for = config
            .roles
            .keys()
            .map(|name| format!("role {name}"))
            .collect::<Vec<_>>();
        let logins = Logins::new(
            Arc::clone(&clock),
            Arc::clone(&metrics),
            config.daemon.state_directory.clone(),
        );
        let logins = Arc::new(logins.keeping_in(shelf).within(roles.budgets()));
        roles.find_logins_in(&logins);
        Ok(Self {
            started_at: clock.wall(),
            config_file: config_file.to_owned(),
            roles,
            resumed_roles,
            logins,
            sinks: Sinks::new(Arc::clone(&clock), Arc::clone(&metrics)),
            plane,
            tokens,
            surfaces,
            keeper,
            manager,
            health: Arc::new(Health::new(Arc::clone(&clock), waits_for)),
            logging,
            operators: Arc::new(ArcSwap::from_pointee(config.admin.operators.clone())),
            config: Mutex::new(Arc::new(config)),
            reloading: tokio::sync::Mutex::default(),
            last_reload_succeeded: AtomicBool::new(true),
            metrics,
            audit,
            clock,
        })
    }

    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn last_reload_succeeded(&self) -> bool {
        self.last_reload_succeeded.load(Ordering::Relaxed)
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = self.surfaces.troubles();
        notes.extend(self.sinks.troubles());
        notes.extend(self.logins.notices());
        notes.extend(self.manager.shortcomings());
        notes
    }

    pub(super) fn listener_states(&self) -> Vec<ListenerStatus> {
        let config = self.config();
        self.plane
            .state()
            .into_iter()
            .map(|state| {
                let listener = config.listeners.get(state.name.as_str());
                let protocols = listener.map(|it| it.protocols.iter());
                let roles = listener.map(|it| it.roles.iter());
                ListenerStatus {
                    protocols: protocols
                        .into_iter()
                        .flatten()
                        .map(|protocol| protocol.as_str().to_owned())
                        .collect(),
                    roles: roles
                        .into_iter()
                        .flatten()
                        .map(ToString::to_string)
                        .collect(),
                    name: state.name.to_string(),
                    address: state.address,
                    state: state.state.as_str().to_owned(),
                    error: state.error,
                    connections: state.connections,
                }
            })
            .collect()
    }

    /// The configuration in force.
    pub(super) fn set_config(&self, config: Arc<Config>) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// What `systemctl status` shows in one line.
    pub(super) fn status_line(&self) -> String {
        let now = self.clock.boot();
        let roles = self.roles.all();
        let views: Vec<_> = roles.iter().map(|it| it.handle.role().view()).collect();
        let words = roles.iter().zip(&views).map(|(managed, view)| RoleWord {
            name: managed.config.name.as_str(),
            held: view.held(now),
            refresh: view.refresh,
        });
        let listeners = self.plane.state();
        let failed: Vec<&str> = listeners
            .iter()
            .filter(|listener| listener.state == State::Failed)
            .map(|listener| listener.name.as_str())
            .collect();
        let mut line = vec![status_line(words, &failed)];
        line.extend(self.logins.notices());
        line.extend(self.manager.warning().map(ToOwned::to_owned));
        line.join(", ")
    }

    pub(super) fn reload_ended(&self, well: bool) {
        self.manager.reloaded(&self.status_line());
        self.last_reload_succeeded.store(well, Ordering::Relaxed);
        self.metrics
            .config_last_reload_successful
            .set(i64::from(well));
    }
}
