//! The file a login is kept in: written whole or not at all, read only if it is ours alone.
//!
//! The file is made with mode 0600 under another name, flushed to the disk, and renamed; then
//! the directory is flushed. It is opened without following symlinks, and what was opened, not
//! what has the name, is checked: a regular file of our own user that nobody else may touch. The
//! way there must be safe too, or somebody could have us leave the session with him.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;

use super::seal::SealError;
use crate::directory::{self, UnsafeDirectory};
use crate::name::Name;
use crate::secret::{SecretError, WipedBuffer};
use crate::stamp::Stamp;

/// No login is longer, in bytes: the longest token, refresh token and client are 10 KiB each.
const LARGEST: u64 = 256 * 1024;

/// One file in the state directory.
pub(super) struct Place {
    directory: PathBuf,
    path: PathBuf,
    /// What is not whole yet.
    temporary: PathBuf,
}

/// Why a login could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("cannot use `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`state-directory`: {0}")]
    Directory(#[from] UnsafeDirectory),
    #[error("cannot read `state-key`: {0}")]
    Key(SecretError),
    #[error("`{}` is not ours alone: {why}; it is ignored", path.display())]
    NotOurs { path: PathBuf, why: String },
    #[error("`{}`: {source}", path.display())]
    Seal { path: PathBuf, source: SealError },
}

impl Place {
    /// A login's file with this extension.
    pub(super) fn new(directory: &Path, login: &Name, extension: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            path: directory.join(format!("login-{login}.{extension}")),
            temporary: directory.join(format!(".login-{login}.new")),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The version of the file now; none where it is not read, so that it is once it may be.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        directory::check(&self.directory, geteuid().as_raw()).ok()?;
        Stamp::of(&self.path)
    }

    /// Makes sure that it is gone; true if it was there.
    pub(super) fn remove(&self) -> Result<bool, StoreError> {
        let there = remove(&self.path)?;
        let half_written = remove(&self.temporary)?;
        Ok(there || half_written)
    }

    /// What is in it; `None` if there is none.
    pub(super) fn read(&self) -> Result<Option<WipedBuffer>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = match rustix::fs::open(&self.path, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(rustix::io::Errno::LOOP) => return Err(self.not_ours("it is a symbolic link")),
            Err(error) => return Err(unusable(&self.path, error.into())),
        };
        directory::check(&self.directory, geteuid().as_raw())?;
        let mut file = File::from(opened);
        let meta = file
            .metadata()
            .map_err(|error| unusable(&self.path, error))?;
        let own = geteuid().as_raw();
        if !meta.is_file() {
            return Err(self.not_ours("it is no regular file"));
        }
        if meta.uid() != own {
            let why = format!("it belongs to uid {}, and this is uid {own}", meta.uid());
            return Err(self.not_ours(why));
        }
        if meta.mode() & 0o077 != 0 {
            let why = format!(
                "its mode is {:04o}, so others may touch it",
                meta.mode() & 0o7777
            );
            return Err(self.not_ours(why));
        }
        if meta.nlink() != 1 {
            return Err(self.not_ours("it has another name somewhere"));
        }
        if meta.len() > LARGEST {
            return Err(self.not_ours("it is larger than any login"));
        }
        let mut content = WipedBuffer::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
        let mut chunk = zeroize::Zeroizing::new([0_u8; 4096]);
        let mut limited = (&mut file).take(LARGEST);
        loop {
            let count = limited
                .read(&mut *chunk)
                .map_err(|error| unusable(&self.path, error))?;
            match chunk.get(..count) {
                Some([]) | None => return Ok(Some(content)),
                Some(bytes) => content.extend(bytes),
            }
        }
    }

    /// Puts this in its place.
    pub(super) fn write(&self, content: &[u8]) -> Result<(), StoreError> {
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unusable(&self.directory, error)),
        }
        directory::check(&self.directory, geteuid().as_raw())?;
        // What a crash left behind; whoever else put something there must not be written to.
        remove(&self.temporary)?;
        let written = self.write_new(&self.temporary, content);
        if written.is_err() {
            // The error that led here is the one to tell.
            drop(std::fs::remove_file(&self.temporary));
        }
        written
    }

    fn write_new(&self, temporary: &Path, content: &[u8]) -> Result<(), StoreError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::open(temporary, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| unusable(temporary, error.into()))?;
        let mut file = File::from(opened);
        file.write_all(content)
            .and_then(|()| file.sync_all())
            .map_err(|error| unusable(temporary, error))?;
        std::fs::rename(temporary, &self.path).map_err(|error| unusable(&self.path, error))?;
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| unusable(&self.directory, error))
    }

    fn not_ours(&self, why: impl Into<String>) -> StoreError {
        StoreError::NotOurs {
            path: self.path.clone(),
            why: why.into(),
        }
    }

    pub(super) fn unsealed(&self, source: SealError) -> StoreError {
        StoreError::Seal {
            path: self.path.clone(),
            source,
        }
    }
}

fn unusable(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        source,
    }
}

fn remove(path: &Path) -> Result<bool, StoreError> {
    // Looked for first: a read-only file system refuses to remove even what is not there.
    match std::fs::symlink_metadata(path) {
        // A directory was not put there by us, and holds nothing of ours.
        Ok(found) if found.is_dir() => Ok(false),
        Ok(_) => std::fs::remove_file(path)
            .map(|()| true)
            .map_err(|error| unusable(path, error)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(unusable(path, error)),
    }
}
