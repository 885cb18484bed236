//! A new configuration applied as a difference; a wrong one changes nothing.

use std::sync::Arc;

use tracing::{error, info, warn};

use super::parts::Daemon;
use crate::config::{self, Report, model::Config};
use crate::observe::audit::{self, Peer};

impl Daemon {
    /// Reads the files again and applies them as a difference: sentences on what changed, and
    /// warnings. Wrong files change nothing.
    ///
    /// # Errors
    /// The whole report.
    pub(super) async fn reload_configuration(&self) -> Result<(Vec<String>, Vec<String>), Report> {
        let _one_at_a_time = self.reloading.lock().await;
        self.manager.reloading();
        let loaded = config::load(&self.config_file).inspect_err(|_| self.reload_ended(false))?;
        let old = self.config();
        let new = Arc::new(loaded.config);
        let mut changes = config::diff(&old, &new);
        self.set_config(Arc::clone(&new));
        if let Err(error) = self.logging.set_filter(&new.daemon.log) {
            warn!(%error, "the log filter stays as it was");
        }
        self.operators.store(Arc::new(new.admin.operators.clone()));
        // Roles first: a listener must find the roles it is to vend.
        self.logins.apply(&new);
        self.roles.apply(&new).await;
        self.sinks.apply(&new, &self.roles);
        let listeners = new.listeners.values().cloned().collect();
        if let Err(ended) = self.plane.apply(listeners).await {
            error!(%ended, "the listeners stay as they were"); // the supervisor ends us
        }
        self.surfaces.apply(&new).await;
        // What a changed role held must not come back at a restart.
        self.keeper.flush(&self.roles).await;
        changes.extend(needs_restart(&old, &new));
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        self.reload_ended(true);
        info!(changes = changes.join("; "), "configuration reloaded");
        Ok((changes, warnings))
    }

    pub(super) async fn reload_by_signal(&self) {
        let subject = self.config_file.display().to_string();
        match self.reload_configuration().await {
            Ok((_, warnings)) => {
                for warning in &warnings {
                    warn!("{warning}");
                }
                audit::operator("reload", &Peer::default(), &subject, &"applied");
            }
            Err(report) => {
                for mistake in report.mistakes() {
                    error!(%mistake, "the configuration is wrong; nothing was changed");
                }
                audit::operator("reload", &Peer::default(), &subject, &"refused");
            }
        }
    }
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
