//! The daemon: builds the parts, lets them run, applies new configurations, drains.
//!
//! ```text
//! run         start, supervise, stop
//! reload      a new configuration, applied as a difference
//! parts       everything that runs, for whoever acts on it
//! roles       the refreshers, and a new configuration applied to them
//! operations  what operators ask for over the admin socket
//! status      what `status` shows
//! surfaces    the admin socket and the metrics address
//! files       notices changed secrets
//! sinks       the files that are kept up to date
//! signals     SIGTERM, SIGINT, SIGHUP
//! hardening   what the process gives up at start
//! trial       `check --online`: one attempt per role, and nothing served
//! ```

mod files;
mod hardening;
mod metrics_access;
mod operations;
mod parts;
mod reload;
mod roles;
mod run;
mod signals;
mod sinks;
mod status;
mod surfaces;
mod trial;

pub use parts::RunError;
pub use run::run;
pub use trial::{Trial, try_roles};
