//! Files that somebody named: read whole, if they are files and of a sensible size.
//!
//! A path out of a configuration may lead anywhere. What it opens never makes us wait (a pipe
//! without a writer), never becomes our terminal, and is read only if it is a regular file, up to
//! a limit that holds even where the file's size does not say so. What was opened is judged, not
//! what has the name, and its bytes are wiped when dropped.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

/// Room for files that are longer than they say, as those of /proc are.
const SMALLEST_ROOM: u64 = 4 * 1024;

/// Why a file is not read. Does not name it.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("it is no regular file")]
    NotRegular,
    #[error("it is larger than {} KiB", .0 / 1024)]
    TooLarge(u64),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// An open regular file.
#[derive(Debug)]
pub struct RegularFile {
    file: File,
    metadata: Metadata,
}

impl RegularFile {
    /// Opens a file to read it. Symlinks are followed: credentials are often swapped that way.
    ///
    /// # Errors
    /// It cannot be opened, or is no regular file.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Self::open_with(path, OFlags::empty())
    }

    /// The same, unless the path itself is a symlink (`ELOOP`).
    ///
    /// # Errors
    /// It cannot be opened, or is no regular file.
    pub fn open_itself(path: &Path) -> Result<Self, ReadError> {
        Self::open_with(path, OFlags::NOFOLLOW)
    }

    fn open_with(path: &Path, more: OFlags) -> Result<Self, ReadError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | more;
        let file: File = rustix::fs::open(path, flags, Mode::empty())
            .map_err(io::Error::from)?
            .into();
        let metadata = file.metadata()?;
        if metadata.is_file() {
            Ok(Self { file, metadata })
        } else {
            Err(ReadError::NotRegular)
        }
    }

    /// What was opened.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// All of it.
    ///
    /// # Errors
    /// It has more than `largest` bytes, or reading failed.
    pub fn read(self, largest: u64) -> Result<Zeroizing<Vec<u8>>, ReadError> {
        let size = self.metadata.len();
        if size > largest {
            return Err(ReadError::TooLarge(largest));
        }
        // One allocation, and one byte more: where it has no room a vector moves, and leaves a
        // copy behind that nobody wipes.
        let room = usize::try_from(size.max(SMALLEST_ROOM) + 1).unwrap_or(0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        self.file.take(largest + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > largest {
            return Err(ReadError::TooLarge(largest));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::{ReadError, RegularFile};

    fn read(path: &Path, largest: u64) -> Result<Vec<u8>, ReadError> {
        Ok(RegularFile::open(path)?.read(largest)?.to_vec())
    }

    #[test]
    fn files_are_read_whole_up_to_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, [7; 9000]).unwrap();
        assert_eq!(read(&path, 9000).unwrap(), [7; 9000]);
        assert!(matches!(read(&path, 8999), Err(ReadError::TooLarge(8999))));
        std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
        assert!(read(&dir.path().join("link"), 9000).is_ok());
        assert!(RegularFile::open_itself(&dir.path().join("link")).is_err());
    }

    #[test]
    fn a_file_whose_size_is_not_told_is_limited_too() {
        let path = Path::new("/proc/self/status");
        let whole = read(path, 64 * 1024).unwrap();
        assert!(!whole.is_empty());
        assert!(matches!(read(path, 10), Err(ReadError::TooLarge(10))));
    }

    /// Each would be waited for, or never end.
    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for path in [&pipe, Path::new("/dev/zero"), dir.path()] {
            assert!(
                matches!(read(path, 10), Err(ReadError::NotRegular)),
                "{}",
                path.display()
            );
        }
        let missing = read(&dir.path().join("none"), 10).unwrap_err();
        assert!(missing.to_string().contains("No such file"), "{missing}");
    }
}
