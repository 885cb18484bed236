//! Files that are kept up to date for clients that only read files.
//!
//! ```text
//! content   what is to be in a file, from what is in it and the newest set: pure
//! ini       the same for files with sections
//! replace   whether a path may be written, and the atomic replacement
//! keeper    the loop around them: one task per sink
//! ```
//!
//! 1. A reader finds the old content or the new one, never a part: files are replaced by rename.
//! 2. What others wrote into a shared file stays, down to its comments.
//! 3. Nothing is written where somebody else could put a file in the way.
//! 4. An unchanged file is not written, and nobody is notified of it.
//!
//! A file that holds an ended set is left as it is: its readers learn from their cloud that it
//! is over, as they would without us.

pub mod content;
mod ini;
pub mod keeper;
pub mod replace;

pub use keeper::{Keeper, Notes};
