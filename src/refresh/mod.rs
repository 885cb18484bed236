//! Keeps every role's credentials fresh: one task per role, and one loop that owns retry,
//! time-outs and jitter.
//!
//! ```text
//! adopt     whether a result becomes what we serve: pure
//! show      what is told about a set, and when that changes: pure
//! state     where a role stands, and what each event makes of it
//! command   what a refresher is told, and the way to tell it
//! source    how the role that another one signs with stands towards it
//! attempt   one attempt: obtained, judged, its account verified
//! calls     the upstream calls of an attempt: budget, time limit, immediate corrections
//! refresher the loop around them; the role's only writer
//! ```

pub mod adopt;
pub mod attempt;
pub mod calls;
pub mod command;
mod gauges;
pub mod refresher;
pub mod show;
mod source;
pub mod state;

#[cfg(test)]
mod tests;

pub use command::{Command, Handle, RefreshReply, Settings, SignedIn};
pub use refresher::{Refresher, Shared};
