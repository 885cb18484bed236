//! A new configuration applied as a difference; a wrong one changes nothing. Reading it may take
//! its time, so it goes on beside everything else.

use std::sync::Arc;

use tracing::{error, info, warn};

use super::parts::Daemon;
use crate::config::{self, Loaded, Report, model::Config};
use crate::future::BoxFuture;
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
        let loaded = self
            .read_configuration()
            .await
            .inspect_err(|_| self.reload_ended(false))?;
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
        self.tokens.retain(&new.token_files());
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

    /// Files may be on a slow disk, and users in a directory service that is slow to answer or
    /// does not; refreshing must not wait for either.
    async fn read_configuration(&self) -> Result<Loaded, Report> {
        let file = self.config_file.clone();
        let read = tokio::task::spawn_blocking(move || config::load(&file));
        read.await
            .unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
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

/// Reloads by signal: one at a time, and once more if asked meanwhile, since the files may have
/// changed after they were read.
pub(super) struct Reloads<'d> {
    start: Box<dyn Fn() -> BoxFuture<'d, ()> + Send + 'd>,
    running: Option<BoxFuture<'d, ()>>,
    again: bool,
}

impl<'d> Reloads<'d> {
    pub(super) fn new(start: impl Fn() -> BoxFuture<'d, ()> + Send + 'd) -> Self {
        Self {
            start: Box::new(start),
            running: None,
            again: false,
        }
    }

    /// Wants the files as they are now. Nothing happens before [`Self::go_on`].
    pub(super) fn ask(&mut self) {
        if self.running.is_some() {
            self.again = true;
        } else {
            self.running = Some((self.start)());
        }
    }

    /// Carries out what was asked for; never ends. May be dropped and called again at any time.
    pub(super) async fn go_on(&mut self) {
        loop {
            match &mut self.running {
                Some(running) => running.await,
                None => std::future::pending().await,
            }
            self.running = None;
            if std::mem::take(&mut self.again) {
                self.ask();
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::Reloads;

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_during_a_reload_is_done_once_afterwards() {
        let begun = AtomicUsize::new(0);
        let mut reloads = Reloads::new(|| {
            begun.fetch_add(1, Ordering::Relaxed);
            Box::pin(sleep(Duration::from_mins(1)))
        });
        let mut supervised = 0;
        for (asked, expected) in [(1, 1), (2, 1), (0, 2), (0, 2), (0, 2), (0, 2), (1, 3)] {
            for _ in 0..asked {
                reloads.ask();
            }
            let waited = timeout(Duration::from_secs(25), reloads.go_on()).await;
            supervised += usize::from(waited.is_err());
            assert_eq!(begun.load(Ordering::Relaxed), expected, "{supervised}");
        }
        assert_eq!(supervised, 7, "a reload under way holds nobody up");
    }
}
