//! Whether a file is still the one that was read: told without opening it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What tells one version of a file from the next.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified_ns: i128,
    /// Also of its owner and mode: whoever makes a file readable wants it read.
    changed_ns: i128,
}

impl Stamp {
    /// The version of the file at `path` now; `None` while there is none to be seen.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|meta| Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified_ns: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
            changed_ns: i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec()),
        })
    }
}
