//! `check --online`: one real attempt per role, sources first, and nothing is served.
//!
//! The daemon may be running beside it, with the same sign-ins: their sessions are used and left as
//! they are, neither renewed, nor ended, nor written.

use std::sync::Arc;

use tokio::sync::watch;

use super::parts::random_key;
use super::roles::Roles;
use crate::clock::{Clock, SystemClock, rfc3339_seconds};
use crate::config::model::{Config, Keep};
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
    let directory = config.daemon.state_directory.clone();
    let logins = Logins::new(clock, metrics, directory).within(roles.budgets());
    let logins = Arc::new(logins.borrowing());
    logins.apply(&config);
    roles.find_logins_in(&logins);
    roles.apply(&config).await;
    let mut trials = Vec::new();
    for managed in roles.sources_first() {
        let login = managed.config.provider.login();
        if let Some(why) = login.and_then(|login| out_of_reach(login, &config, &logins)) {
            trials.push(Trial {
                role: managed.config.name.clone(),
                result: Err(why),
            });
            continue;
        }
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

/// Why the session of a login cannot be tried from here, if it cannot.
fn out_of_reach(login: &Name, config: &Config, logins: &Logins) -> Option<String> {
    let settings = config.logins.get(login)?;
    let overview = logins.get(login.as_str())?.overview();
    if overview.state != "needs-login" {
        return None;
    }
    if settings.keep == Keep::Memory {
        return Some(format!(
            "not tried: the session of `{login}` is in the daemon's memory alone; `credvend status` \
             says how the role fares there"
        ));
    }
    let trouble = overview.trouble?;
    Some(format!(
        "not tried: the session of `{login}` cannot be read from here: {trouble}"
    ))
}
