//! Where credentials come from: one attempt per call, and no retrying inside.
//!
//! A [`Provider`] asks its cloud once and says what happened. The refresher owns everything
//! around that: budget, time-out, retry, expected account, adoption. To add a cloud, add a
//! folder here, its kinds to `config::model::Provider`, and its arms to `kinds` and `clouds`.

pub mod budget;
pub mod budgets;
pub mod context;
pub mod endpoint_clock;
pub mod error;
pub mod huawei;
pub mod identity_center;
pub mod key_pair;
pub mod meter;
pub mod program;
pub mod session;
pub mod signer;
pub mod tencent;
pub mod upstream;

mod clouds;
mod command;
mod kinds;
mod service;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use budget::Budget;
pub use context::{BuildContext, Logins, SourceRoles};
use error::ProviderError;
pub use kinds::build;

/// One upstream call as the refresher accounts for it.
#[derive(Clone, Debug)]
pub struct CallSite {
    /// Host (and port) called, a metric label. For programs, `command`.
    pub endpoint: String,
    /// The cloud's name of the action, a metric label.
    pub action: &'static str,
    /// Taken before each call; `None` where nobody upstream counts.
    pub budget: Option<Arc<Budget>>,
}

/// How one role's credentials are obtained.
///
/// Every future must be safe to drop half-way: time-outs, reloads and shutdown do that.
pub trait Provider: Debug + Send + Sync + 'static {
    /// One attempt at a new set.
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>>;

    /// Asks the cloud whose keys these are.
    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>>;

    /// What [`Self::provide`] calls, for budget and metrics.
    fn mint_call(&self) -> CallSite;

    /// What [`Self::identify`] calls, for budget and metrics.
    fn identity_call(&self) -> CallSite;

    /// Whether each success is a new set. Sources that hand out a shared set (instance metadata,
    /// programs) may repeat one, which is no failure.
    fn mints(&self) -> bool {
        true
    }

    /// Reads again what the attempt signs with or presents, and uses what is there. Whether that is another one now, so
    /// that one more try is worth while; always so where each attempt gets a new one by itself.
    /// Refreshing a source *role* is the refresher's part.
    fn reread_source(&self) -> bool {
        true
    }

    /// Forgets which session lengths were refused as too long: somebody may have raised the cap.
    fn reset_ladder(&self) {}

    /// Files whose change makes a new attempt worth while at once.
    fn watched_files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}
