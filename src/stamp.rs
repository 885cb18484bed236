//! Whether a file is still the one that was read: told without opening it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long a file can change once more without its times telling: for a tick of the kernel, on some
/// file systems for a second.
const SAME_TIMES_WITHIN: Duration = Duration::from_secs(2);

/// What tells one version of a file from the next, but for changes that follow another within a
/// moment.
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
        std::fs::metadata(path).ok().map(|found| Self::from(&found))
    }

    /// Whether the file was left alone for long enough; not while the clock is set to before its
    /// last change.
    #[must_use]
    pub fn is_settled(&self, wall: SystemTime) -> bool {
        let changed =
            Duration::from_secs((self.changed_ns / 1_000_000_000).try_into().unwrap_or(0));
        wall.duration_since(SystemTime::UNIX_EPOCH + changed)
            .is_ok_and(|age| age > SAME_TIMES_WITHIN)
    }
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        let ns = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified_ns: ns(found.mtime(), found.mtime_nsec()),
            changed_ns: ns(found.ctime(), found.ctime_nsec()),
        }
    }
}
