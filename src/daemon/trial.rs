//! `check --online`: one real attempt per role, sources first, and nothing is served.

use std::sync::Arc;

use tokio::sync::watch;

use super::parts::random_key;
use super::roles::Roles;
use crate::clock::{Clock, SystemClock, rfc3339_seconds};
use crate::config::model::Config;
use crate::credentials::shortened;
use crate::login::Logins;
use crate::name::Name;
use crate::observe::metrics::Metrics;
use crate::refresh::{RefreshReply, Shared};
use crate::store::Store;

/// What one role's attempt brought.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trial {
    pub role: Name,
    /// A sentence on what it would get, or on why it would get nothing.
    pub result: Result<String, String>,
}

/// Makes one attempt per role and reports each, in the order they were made.
///
/// # Errors
/// The kernel has no random numbers.
pub async fn try_roles(config: &Config) -> std::io::Result<Vec<Trial>> {
    // Lazy roles make no attempt by themselves: each is asked for exactly one.
    let mut config = config.clone();
    for role in config.roles.values_mut() {
        role.lazy = true;
    }
    let (_jumps, jumps) = watch::channel(0);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::new());
    let shared = Shared {
        changed: Arc::default(),
        clock: Arc::clone(&clock),
        metrics: Arc::clone(&metrics),
        etag_key: random_key()?,
        jumps,
        draw: fastrand::f64,
    };
    let roles = Roles::new(Arc::new(Store::default()), shared, &config);
    let logins = Arc::new(Logins::new(
        clock,
        metrics,
        config.daemon.state_directory.clone(),
    ));
    logins.apply(&config);
    roles.find_logins_in(&logins);
    roles.apply(&config).await;
    let mut trials = Vec::new();
    for managed in roles.sources_first() {
        let result = match managed.handle.refresh().await {
            RefreshReply::Refreshed { shown_expiry }
            | RefreshReply::Unchanged { shown_expiry, .. } => {
                let view = managed.handle.role().view();
                let id = view
                    .held
                    .as_ref()
                    .map(|held| shortened(&held.set.keys.access_key_id))
                    .unwrap_or_default();
                Ok(format!("{id}, expires {}", rfc3339_seconds(shown_expiry)))
            }
            RefreshReply::Failed(why) => Err(why),
            RefreshReply::TooSoon(_) => Err("asked for twice".into()),
        };
        trials.push(Trial {
            role: managed.config.name.clone(),
            result,
        });
    }
    Ok(trials)
}
