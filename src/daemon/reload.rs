//! A new configuration applied as a difference; a wrong one changes nothing.

use std::sync::Arc;

use tracing::{error, info, warn};

use super::parts::Daemon;
use crate::config::{self, Loaded, model::Config};
use crate::observe::audit::{self, Peer};

impl Daemon {
    /// Reads the files again and applies them as a difference. Wrong files change nothing.
    ///
    /// # Errors
    /// The whole report.
    pub(super) async fn reload_configuration(&self) -> Result<(Vec<String>, Vec<String>), String> {
        let _one_at_a_time = self.reloading.lock().await;
        self.manager.reloading();
        let loaded = self.read_configuration().await.inspect_err(|_| {
            self.reload_ended(false);
        })?;
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
        info!(changes = changes.len(), "configuration reloaded");
        Ok((changes, warnings))
    }

    /// Files may be on a slow disk, and users in a directory service that is slow to answer or
    /// does not; refreshing must not wait for either.
    async fn read_configuration(&self) -> Result<Loaded, String> {
        let file = self.config_file.clone();
        let read = tokio::task::spawn_blocking(move || config::load(&file));
        match read.await {
            Ok(loaded) => loaded.map_err(|report| report.to_string()),
            Err(_) => Err("reading the configuration ended by a bug".to_owned()),
        }
    }

    pub(super) async fn reload_by_signal(&self) {
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
