//! Files that are kept up to date for clients that only read files.
//!
//! ```text
//! content   what is to be in a file, from what is in it and the newest set: pure
//! ini       the same for files with sections
//! replace   whether a path may be written, and the atomic replacement
//! turns     who may change a file at a time, where several sinks share it
//! keeper    the loop around them: one task per sink
//! notes     what is wrong with any of them
//! ```
//!
//! 1. A reader finds the old content or the new one, never a part: files are replaced by rename.
//! 2. What others wrote into a shared file stays, down to its comments.
//! 3. Nothing is written where somebody else could put a file in the way.
//! 4. Sinks that share a file never undo each other's changes.
//! 5. An unchanged file is not written, and nobody is notified of it.
//!
//! A file that holds an ended set is left as it is: its readers learn from their cloud that it
//! is over, as they would without us.

pub mod content;
mod ini;
pub mod keeper;
mod notes;
pub mod replace;
mod turns;

pub use keeper::{Forget, Keeper};
pub use notes::Notes;
pub use turns::{Turn, Turns};
