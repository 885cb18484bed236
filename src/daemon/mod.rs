//! The daemon: builds the parts, lets them run, applies new configurations, drains.
//!
//! ```text
//! run         start, supervise, stop
//! reload      a new configuration, applied as a difference
//! parts       everything that runs, for whoever acts on it
//! roles       the refreshers, and a new configuration applied to them
//! operations  what operators ask for over the admin socket
//! status      what `status` shows
//! status_line the same in one line
//! surfaces    the admin socket and the metrics address
//! files       notices changed secrets
//! sinks       the files that are kept up to date
//! sign_in     signing in and out on an operator's behalf
//! activation  descriptors the service manager hands us
//! left        what an earlier process left to this one
//! fdstore     what survives a restart in the manager's descriptor store
//! notify      what we tell the manager
//! signals     SIGTERM, SIGINT, SIGHUP
//! hardening   what the process gives up at start
//! trial       `check --online`: one attempt per role, and nothing served
//! ```

pub mod activation;
pub mod fdstore;
mod files;
mod hardening;
mod left;
pub mod notify;
mod operations;
mod parts;
mod reload;
mod roles;
mod run;
mod sign_in;
pub(crate) mod signals;
mod sinks;
mod status;
mod status_line;
mod surfaces;
mod trial;

pub use hardening::hide_memory;
pub use parts::RunError;
pub use run::run;
pub use trial::{Trial, try_roles};
