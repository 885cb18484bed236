//! Start, supervise, stop.
//!
//! Two threads do the work. The data plane serves local clients from memory and never waits
//! for anybody. This one, the control plane, refreshes, answers operators and takes signals.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error, info, warn};

use super::left::Left;
use super::operations::Operator;
use super::parts::{Daemon, RunError};
use super::reload::Reloads;
use super::signals::{Request, Signals};
use super::surfaces::Behind;
use super::{files, hardening};
use crate::clock::jumps;
use crate::config::model::{Config, Listener};
use crate::config::{self, Loaded, Report};
use crate::listener::Ended;
use crate::observe::logging::{self, Logging};
use crate::refresh::SignedIn;
use crate::store::{Held, Refresh};

/// READY is announced after this long even if a role has neither credentials nor an error: a
/// cloud that hangs must not keep a machine's boot waiting.
const LONGEST_START: Duration = Duration::from_secs(15);
/// Longest wait for files that are being written when everything else has ended.
const LETTING_GO: Duration = Duration::from_secs(2);
/// What a stop may take besides the grace period: a state being stored, and another one.
const LAST_WORDS: Duration = Duration::from_secs(15);
/// How often the supervisor looks around.
const SUPERVISION: Duration = Duration::from_secs(5);

/// Runs the daemon until it is told to stop; calls `when_ready` once every role has credentials
/// or a first error.
///
/// # Errors
/// A wrong configuration, nothing that could be served, or a bug.
pub fn run(config_file: &Path, when_ready: impl FnOnce()) -> Result<(), RunError> {
    // Before the first secret, which may be in a kept state.
    let refusals = hardening::apply();
    // Before anything can start a thread: descriptors are taken and variables removed.
    let mut left = Left::take().map_err(|error| RunError::Internal(error.to_string()))?;
    left.notes.extend(refusals);
    let loaded = config::load(config_file)
        .map_err(|report| RunError::Misconfigured(for_the_reader(&report)))?;
    let logging = logging::init(&loaded.config.daemon.log, loaded.config.daemon.log_format)
        .map_err(|error| RunError::Internal(error.to_string()))?;
    hardening::raise_descriptor_limit();
    let runtime = runtime()?;
    let ended = runtime.block_on(Daemon::start_and_supervise(
        config_file,
        loaded,
        logging,
        left,
        when_ready,
    ));
    // A disk that hangs does not keep the process.
    runtime.shutdown_timeout(LETTING_GO);
    ended
}

/// A journal has entries of one line, a terminal has room for the lines in question.
fn for_the_reader(report: &Report) -> String {
    if !logging::stderr_is_the_journal() {
        return report.to_string();
    }
    let mistakes: Vec<String> = report.mistakes().iter().map(ToString::to_string).collect();
    mistakes.join("\n")
}

/// The control plane's runtime: one thread is plenty for a call per role and hour.
fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::Internal(format!("cannot start a runtime: {error}")))
}

impl Daemon {
    async fn start_and_supervise(
        config_file: &Path,
        loaded: Loaded,
        logging: Logging,
        left: Left,
        when_ready: impl FnOnce(),
    ) -> Result<(), RunError> {
        let mut signals = Signals::take()
            .map_err(|error| RunError::Internal(format!("cannot take signals: {error}")))?;
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let (jumped, jump_seen) = watch::channel(0);
        let daemon = Self::build(config_file, loaded.config, logging, left, jump_seen)?;
        let daemon = Arc::new(daemon);
        let config = daemon.config();
        daemon.logins.apply(&config);
        // Roles first: whoever waits in an inherited socket must find the roles and what they
        // held before.
        daemon.roles.apply(&config).await;
        daemon.tokens.retain(&config.token_files());
        daemon.open_listeners(&config).await?;
        daemon.sinks.apply(&config, &daemon.roles);
        daemon.surfaces.open(behind(&daemon), &config).await;
        check_state_directory(&config);
        info!(
            version = env!("CARGO_PKG_VERSION"),
            roles = config.roles.len(),
            resumed_roles = daemon.resumed_roles,
            listeners = config.listeners.len(),
            "started"
        );
        let clock = Arc::clone(&daemon.clock);
        let background = async {
            tokio::join!(
                jumps::watch(clock, jumped),
                files::watch(&daemon.roles),
                daemon.watch_logins(),
                daemon.keeper.run(&daemon.roles),
                daemon.announce_readiness(when_ready),
            );
        };
        let result = tokio::select! {
            result = daemon.supervise(&mut signals) => result,
            () = background => Err(RunError::Internal("a background task ended".into())),
        };
        tokio::select! {
            () = daemon.stop() => result,
            () = signals.insisted() => Err(RunError::Unavailable(
                "told again to stop, so what was still under way was cut off".into(),
            )),
        }
    }

    /// Each listener works or fails alone; only if none works there is no point in going on.
    async fn open_listeners(&self, config: &Config) -> Result<(), RunError> {
        let wanted: Vec<Listener> = config.listeners.values().cloned().collect();
        self.plane.apply(wanted).await?;
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
        let watchdog = self.manager.watchdog_interval();
        let round = watchdog.map_or(SUPERVISION, |interval| interval.min(SUPERVISION));
        let mut told = String::new();
        let mut reloads = Reloads::new(|| Box::pin(self.reload_by_signal()));
        loop {
            self.health.beat();
            if self.sinks.any_ended() {
                return Err(RunError::Internal("a sink's task ended by a bug".into()));
            }
            self.manager.alive();
            self.roles.show_clock_skews();
            let status = self.status_line();
            if status != told && self.health.is_ready() {
                self.manager.status(&status);
                told = status;
            }
            tokio::select! {
                request = signals.next() => match request {
                    Request::Stop => return Ok(()),
                    Request::Reload => reloads.ask(),
                },
                () = reloads.go_on() => {}
                failure = self.roles.failure() => {
                    error!(%failure, "a refresher ended by a bug");
                    return Err(RunError::Internal("a refresher ended by a bug".into()));
                }
                () = self.plane.ended() => return Err(Ended.into()),
                () = sleep(round) => {}
            }
        }
    }

    /// Stops accepting, lets answers finish within the grace period, then lets go of everything.
    async fn stop(&self) {
        let grace = self.config().daemon.shutdown_grace;
        debug!(grace_secs = grace.as_secs_f64(), "stopping");
        self.manager.stopping();
        // The unit's time-out knows nothing of the configured grace.
        self.manager.extend(grace.saturating_add(LAST_WORDS));
        let begun = Instant::now();
        self.surfaces.stop();
        let renewals = timeout(grace, self.logins.settled());
        let ((), _done_or_late) = tokio::join!(self.plane.drain(grace), renewals);
        // A set that arrived meanwhile is kept, too.
        self.keeper.flush(&self.roles).await;
        info!(
            took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "stopped"
        );
    }

    /// Roles of a login whose session changed try again at once.
    async fn watch_logins(&self) {
        loop {
            let name = self.logins.changed().await;
            let login = self.logins.get(name.as_str());
            let signed_in = if login.is_some_and(|login| login.is_signed_in()) {
                SignedIn::Yes
            } else {
                SignedIn::No
            };
            self.roles.login_changed(&name, signed_in).await;
        }
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
        self.manager.extend(LONGEST_START + SUPERVISION);
        let in_time = timeout(LONGEST_START, all).await.is_ok();
        self.health.declare_ready();
        self.manager.ready(&self.status_line());
        debug!(in_time, "ready");
        when_ready();
        std::future::pending::<()>().await;
    }
}

/// What is behind the admin socket and the metrics address.
fn behind(daemon: &Arc<Daemon>) -> Behind {
    Behind {
        operations: Arc::new(Operator(Arc::clone(daemon))),
        operators: Arc::clone(&daemon.operators),
        metrics: Arc::clone(&daemon.metrics),
        health: Arc::clone(&daemon.health),
        tokens: Arc::clone(&daemon.tokens),
        audit: Arc::clone(&daemon.audit),
        config_file: daemon.config_file.clone(),
    }
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
