//! Listeners.
pub mod access;
pub mod guard;
pub mod host;
pub(crate) mod protocol;
pub mod sock_diag;
