//! Start, supervise, stop.
//!
//! Two threads do the work. The data plane serves local clients from memory and never waits
//! for anybody. This one, the control plane, refreshes, answers operators and takes signals.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

use super::roles::Roles;
use super::signals::{Request, Signals};
use super::surfaces::Surfaces;
use super::{files, hardening};
use crate::admin::api::ListenerStatus;
use crate::admin::metrics_server::Health;
use crate::clock::{Clock, SystemClock, jumps};
use crate::config::model::{Config, Listener, Principals};
use crate::config::{self, Loaded};
use crate::listener::metadata_token::TokenKey;
use crate::listener::{Context, DataPlane, Ended, Inherited};
use crate::observe::audit::{self, Audit, Peer};
use crate::observe::logging::{self, Logging};
use crate::observe::metrics::Metrics;
use crate::refresh::Shared;
use crate::store::{Held, Refresh, Store};

/// READY is announced after this long even if a role has neither credentials nor an error: a
/// cloud that hangs must not keep a machine's boot waiting.
const LONGEST_START: Duration = Duration::from_secs(15);
/// How often the supervisor looks around.
const SUPERVISION: Duration = Duration::from_secs(5);

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
    pub(super) metrics: Arc<Metrics>,
    plane: DataPlane,
    surfaces: Surfaces,
    health: Arc<Health>,
    logging: Logging,
    operators: Arc<ArcSwap<Principals>>,
    config: Mutex<Arc<Config>>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    last_reload_succeeded: AtomicBool,
}

/// Runs the daemon until it is told to stop; calls `when_ready` once every role has credentials
/// or a first error.
///
/// # Errors
/// A wrong configuration, nothing that could be served, or a bug.
pub fn run(config_file: &Path, when_ready: impl FnOnce()) -> Result<(), RunError> {
    let loaded =
        config::load(config_file).map_err(|report| RunError::Misconfigured(report.to_string()))?;
    let logging = logging::init(&loaded.config.daemon.log, loaded.config.daemon.log_format)
        .map_err(|error| RunError::Internal(error.to_string()))?;
    hardening::apply();
    hardening::raise_descriptor_limit();
    runtime()?.block_on(Daemon::start_and_supervise(
        config_file,
        loaded,
        logging,
        when_ready,
    ))
}

/// The control plane's runtime: one thread is plenty for a call per role and hour.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::Internal(format!("cannot start a runtime: {error}")))
}

/// A key nobody else knows, so that an `ETag` tells nothing about the keys behind it.
pub(super) fn random_key() -> io::Result<Arc<[u8]>> {
    let mut key = [0_u8; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    Ok(Arc::from(key))
}

/// A key for the metadata tokens.
fn token_key() -> io::Result<TokenKey> {
    let mut key = TokenKey::default();
    getrandom::fill(key.as_mut_slice()).map_err(io::Error::other)?;
    Ok(key)
}

impl Daemon {
    async fn start_and_supervise(
        config_file: &Path,
        loaded: Loaded,
        logging: Logging,
        when_ready: impl FnOnce(),
    ) -> Result<(), RunError> {
        let mut signals = Signals::take()
            .map_err(|error| RunError::Internal(format!("cannot take signals: {error}")))?;
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let (jumped, jump_seen) = watch::channel(0);
        let daemon = Arc::new(Self::build(config_file, loaded.config, logging, jump_seen)?);
        let config = daemon.config();
        daemon.open_listeners(&config).await?;
        daemon.roles.apply(&config).await;
        daemon.surfaces.apply(&daemon, &config).await;
        check_state_directory(&config);
        info!(
            version = env!("CARGO_PKG_VERSION"),
            roles = config.roles.len(),
            listeners = config.listeners.len(),
            "started"
        );
        let clock = Arc::clone(&daemon.clock);
        let background = async {
            tokio::join!(
                jumps::watch(clock, jumped),
                files::watch(&daemon.roles),
                daemon.announce_readiness(when_ready),
            );
        };
        let result = tokio::select! {
            result = daemon.supervise(&mut signals) => result,
            () = background => Err(RunError::Internal("a background task ended".into())),
        };
        daemon.stop().await;
        result
    }

    fn build(
        config_file: &Path,
        config: Config,
        logging: Logging,
        jump_seen: watch::Receiver<u64>,
    ) -> Result<Self, RunError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Arc::new(Metrics::new());
        let store = Arc::new(Store::default());
        let internal = |error: io::Error| RunError::Internal(error.to_string());
        let shared = Shared {
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            etag_key: random_key().map_err(internal)?,
            jumps: jump_seen,
            draw: fastrand::f64,
        };
        let context = Context::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&metrics),
            Arc::new(Audit::new(Arc::clone(&clock))),
            token_key().map_err(internal)?,
        );
        let plane = DataPlane::start(Arc::new(context), Inherited::new()).map_err(internal)?;
        let waits_for = config
            .roles
            .keys()
            .map(|name| format!("role {name}"))
            .collect::<Vec<_>>();
        Ok(Self {
            started_at: clock.wall(),
            config_file: config_file.to_owned(),
            roles: Roles::new(store, shared, &config),
            plane,
            surfaces: Surfaces::default(),
            health: Arc::new(Health::new(Arc::clone(&clock), waits_for)),
            logging,
            operators: Arc::new(ArcSwap::from_pointee(config.admin.operators.clone())),
            config: Mutex::new(Arc::new(config)),
            reloading: tokio::sync::Mutex::default(),
            last_reload_succeeded: AtomicBool::new(true),
            metrics,
            clock,
        })
    }

    /// Each listener works or fails alone; only if none works there is no point in going on.
    async fn open_listeners(&self, config: &Config) -> Result<(), RunError> {
        let wanted: Vec<Listener> = config.listeners.values().cloned().collect();
        self.plane.apply(wanted).await.map_err(plane_ended)?;
        if config.listeners.is_empty() || self.plane.any_listening() {
            return Ok(());
        }
        let reasons: Vec<String> = self
            .listener_states()
            .into_iter()
            .map(|state| {
                let why = state.error.unwrap_or_default();
                format!("listener `{}`: {why}", state.name)
            })
            .collect();
        Err(RunError::Unavailable(format!(
            "no listener could be opened; {}",
            reasons.join("; ")
        )))
    }

    async fn supervise(self: &Arc<Self>, signals: &mut Signals) -> Result<(), RunError> {
        loop {
            self.health.beat();
            tokio::select! {
                request = signals.next() => match request {
                    Request::Stop => {
                        info!("asked to stop");
                        return Ok(());
                    }
                    Request::Reload => self.reload_by_signal().await,
                },
                failure = self.roles.failure() => {
                    error!(%failure, "a refresher ended by a bug");
                    return Err(RunError::Internal("a refresher ended by a bug".into()));
                }
                () = self.plane.ended() => return Err(plane_ended(Ended)),
                () = sleep(SUPERVISION) => {}
            }
        }
    }

    /// Stops accepting, lets answers finish within the grace period, then lets go of everything.
    async fn stop(&self) {
        let grace = self.config().daemon.shutdown_grace;
        info!(grace_secs = grace.as_secs_f64(), "stopping");
        let begun = Instant::now();
        self.surfaces.stop();
        self.plane.drain(grace).await;
        info!(took_ms = begun.elapsed().as_millis(), "stopped");
    }

    /// Ready once every role has credentials or a first error, rests, or took too long.
    async fn announce_readiness(&self, when_ready: impl FnOnce()) {
        let all = async {
            for managed in self.roles.all() {
                let role = managed.handle.role();
                let mut changes = role.subscribe();
                loop {
                    let settled = {
                        let view = role.view();
                        view.held(self.clock.boot()) != Held::None
                            || view.failure.is_some()
                            || view.refresh == Refresh::Resting
                    };
                    if settled || changes.changed().await.is_err() {
                        break;
                    }
                }
                self.health.arrived(&format!("role {}", role.name()));
            }
        };
        let in_time = timeout(LONGEST_START, all).await.is_ok();
        self.health.declare_ready();
        info!(in_time, "ready");
        when_ready();
        std::future::pending::<()>().await;
    }

    // === reload ===

    /// Reads the files again and applies them as a difference. Wrong files change nothing.
    ///
    /// # Errors
    /// The whole report.
    pub(super) async fn reload_configuration(
        self: &Arc<Self>,
    ) -> Result<(Vec<String>, Vec<String>), String> {
        let _one_at_a_time = self.reloading.lock().await;
        let loaded = config::load(&self.config_file).map_err(|report| {
            self.reload_ended(false);
            report.to_string()
        })?;
        let old = self.config();
        let new = Arc::new(loaded.config);
        let mut changes = config::diff(&old, &new);
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        if let Err(error) = self.logging.set_filter(&new.daemon.log) {
            warn!(%error, "the log filter stays as it was");
        }
        self.operators.store(Arc::new(new.admin.operators.clone()));
        // Roles first: a listener must find the roles it is to vend.
        self.roles.apply(&new).await;
        let listeners = new.listeners.values().cloned().collect();
        if let Err(ended) = self.plane.apply(listeners).await {
            error!(%ended, "the listeners stay as they were"); // the supervisor ends us
        }
        self.surfaces.apply(self, &new).await;
        changes.extend(needs_restart(&old, &new));
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        self.reload_ended(true);
        info!(changes = changes.len(), "configuration reloaded");
        Ok((changes, warnings))
    }

    async fn reload_by_signal(self: &Arc<Self>) {
        let subject = self.config_file.display().to_string();
        match self.reload_configuration().await {
            Ok((changes, warnings)) => {
                for change in &changes {
                    info!("{change}");
                }
                for warning in &warnings {
                    warn!("{warning}");
                }
                audit::operator("reload", &Peer::default(), &subject, &"applied");
            }
            Err(report) => {
                error!("the configuration is wrong; nothing was changed:\n{report}");
                audit::operator("reload", &Peer::default(), &subject, &"refused");
            }
        }
    }

    fn reload_ended(&self, well: bool) {
        self.last_reload_succeeded.store(well, Ordering::Relaxed);
        self.metrics
            .config_last_reload_successful
            .set(i64::from(well));
    }

    // === for others ===

    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn last_reload_succeeded(&self) -> bool {
        self.last_reload_succeeded.load(Ordering::Relaxed)
    }

    pub(super) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    pub(super) fn operators(&self) -> &Arc<ArcSwap<Principals>> {
        &self.operators
    }

    pub(super) fn notes(&self) -> Vec<String> {
        self.surfaces.troubles()
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
}

fn plane_ended(ended: Ended) -> RunError {
    RunError::Internal(ended.to_string())
}

/// What a reload cannot change.
fn needs_restart(old: &Config, new: &Config) -> Option<String> {
    let fixed = |config: &Config| {
        (
            config.daemon.log_format,
            config.daemon.state_directory.clone(),
        )
    };
    (fixed(old) != fixed(new))
        .then(|| "`log-format` and `state-directory` change with the next restart".to_owned())
}

/// A state directory that cannot be used is said at start, not when it is needed first.
fn check_state_directory(config: &Config) {
    let directory = &config.daemon.state_directory;
    let writable = rustix::fs::access(directory, rustix::fs::Access::WRITE_OK);
    match writable {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => warn!(
            directory = %directory.display(),
            %error,
            "the state directory cannot be written; nothing will be kept there"
        ),
    }
}
