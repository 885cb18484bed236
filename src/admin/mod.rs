//! The admin socket, HTTP with JSON under `/admin/v1/`, and the metrics address. Nothing here
//! vends credentials.
//!
//! ```text
//! GET  /admin/v1/status    whoever can connect
//! POST /admin/v1/refresh   operators
//! POST /admin/v1/reload    operators
//! POST /admin/v1/forget    operators
//! POST /admin/v1/whoami    operators
//! POST /admin/v1/login, login-wait, login-cancel, login-list, logout    operators
//!
//! GET  /metrics, /livez, /readyz, /    whoever [metrics] lets in
//! ```

pub mod api;
mod connections;
mod denials;
pub mod health;
mod metrics_access;
pub mod metrics_server;
mod operation;
mod page;
mod places;
mod routes;
pub mod server;
mod status_page;
pub mod whereabouts;

use std::fmt::Debug;

pub use denials::Denials;
pub use metrics_access::MetricsAccess;
pub use page::Page;

use crate::future::BoxFuture;
use crate::observe::audit::Peer;

/// What the daemon does on an operator's behalf. The server knows only this.
pub trait Operations: Debug + Send + Sync + 'static {
    /// Everything `credvend status` shows.
    fn status(&self) -> api::Status;

    /// Refreshes these roles now (all of them if empty), at most once per role in 10 s.
    fn refresh(&self, request: api::RoleSelection) -> BoxFuture<'_, api::Answer<api::Refreshed>>;

    /// Reads the configuration again.
    fn reload(&self) -> BoxFuture<'_, api::Answer<api::Reloaded>>;

    /// Drops held sets everywhere at once.
    fn forget(&self, request: api::RoleSelection) -> BoxFuture<'_, api::Answer<api::Forgotten>>;

    /// Asks the cloud whose credentials a role holds.
    fn whoami(&self, request: api::RoleQuestion) -> BoxFuture<'_, api::Answer<api::Whose>>;

    /// Begins a sign-in on behalf of `peer`, or joins the one under way.
    fn login(
        &self,
        request: api::LoginQuestion,
        peer: Peer,
    ) -> BoxFuture<'_, api::Answer<api::LoginStarted>>;

    /// How the sign-in stands; holds for some seconds while nothing happens.
    fn login_wait(
        &self,
        request: api::LoginQuestion,
    ) -> BoxFuture<'_, api::Answer<api::LoginProgress>>;

    /// Somebody stops waiting; the last one ends the sign-in.
    fn login_cancel(
        &self,
        request: api::LoginQuestion,
    ) -> BoxFuture<'_, api::Answer<api::LoginProgress>>;

    /// What the signed-in person may use.
    fn login_list(
        &self,
        request: api::LoginQuestion,
    ) -> BoxFuture<'_, api::Answer<api::LoginListing>>;

    /// Ends a session and forgets it.
    fn logout(&self, request: api::LoginQuestion) -> BoxFuture<'_, api::Answer<api::LoggedOut>>;
}
