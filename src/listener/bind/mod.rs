//! Getting a listening socket, or one sentence that says why not and what to do.
//!
//! Used by everything that listens: the listeners of the configuration, the admin socket, the
//! metrics address. Nothing here accepts.

mod tcp;
mod unix;

pub use tcp::tcp;
pub use unix::{OwnPath, unix};

/// Connections that may wait to be accepted: a storm of clients queues instead of failing.
const BACKLOG: i32 = 1024;

/// Why there is no socket. The sentence names the address and what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct BindError(pub(crate) String);
