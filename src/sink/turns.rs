//! Who may change a file at a time.
//!
//! Several sinks may keep sections of one file. Each reads it, edits it and puts it back whole,
//! so without turns the slower one would put back what it read before the other wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Locked from reading a file to its replacement.
pub type Turn = Arc<Mutex<()>>;

/// One turn for each file that anybody keeps.
#[derive(Debug, Default)]
pub struct Turns(Mutex<BTreeMap<PathBuf, Weak<Mutex<()>>>>);

impl Turns {
    /// The turn of the file at this path: the same one for all who hold it at a time.
    #[must_use]
    pub fn at(&self, path: &Path) -> Turn {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(path).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Turn::default();
        turns.insert(path.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_turn_for_as_long_as_anybody_holds_it() {
        let turns = Turns::default();
        let one = turns.at(Path::new("/a/file"));
        assert!(Arc::ptr_eq(&one, &turns.at(Path::new("/a//./file"))));
        let other = turns.at(Path::new("/a/other"));
        assert!(!Arc::ptr_eq(&one, &other));
        drop(one);
        drop(turns.at(Path::new("/b")));
        assert_eq!(turns.0.lock().unwrap().len(), 2, "`other` and the newest");
    }
}
