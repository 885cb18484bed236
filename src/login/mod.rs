//! Signing in: who is signed in where, since when and until when, and how it is kept.
//!
//! ```text
//! operator ──► Logins ──► Login ──► SignIn ──► portal (device page, user portal)
//!                           │ session             │ approved by a person
//!            roles ◄────────┴──── store ◄─────────┘
//! ```
//!
//! Promises:
//!
//! 1. At most one sign-in per login at a time; whoever asks meanwhile joins it.
//! 2. A session is on disk before anybody uses it, in a file only we can read; a file that is
//!    torn, foreign or not ours alone is reported and ignored. One with `state = "memory"` never
//!    is: it stays on the `Shelf`, which the daemon carries over a restart.
//! 3. The cloud decides when a session has ended, in its own words: no page of somebody on the way
//!    there does, and our clock only warns ahead of it.
//! 4. One thing at a time changes which session there is: a sign-in, a sign-out or a renewal. A
//!    renewal that was begun is finished, whoever asked for it; a stop waits for that.
//! 5. What could not be read is not written over, except by a new session.
//! 6. A session with a refresh token is renewed ahead of its end, and nobody is warned of one that
//!    will not come.
//! 7. No token, device code, state or assertion is in any log, error or status.
//!
//! The wire is `provider::identity_center`; what roles see of all this is
//! `provider::session`.

mod adopt;
mod ahead;
mod document;
mod kept;
mod logins;
mod news;
mod operations;
mod pace;
mod place;
mod portal;
mod renew;
mod renew_ahead;
mod seal;
mod shelf;
mod sign_in;
mod store;
mod watched;

pub use kept::Login;
pub use logins::Logins;
pub use portal::Challenge;
pub use shelf::Shelf;
pub use sign_in::{SignIn, Stage};
pub use watched::Overview;
