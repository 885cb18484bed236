//! The file a login is kept in: written whole or not at all, read only if it is ours alone.
//!
//! The file is made with mode 0600 under another name, flushed to the disk, and renamed; then
//! the directory is flushed. It is opened without following symlinks, and what was opened, not
//! what has the name, is checked: a regular file of our own user that nobody else may touch.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::seal::{self, SealError};
use super::shelf::Shelf;
use crate::config::model::Keep;
use crate::name::Name;
use crate::provider::secrets::{SecretError, SecretSource};
use crate::provider::upstream::WipedBuffer;
use crate::regular_file::{ReadError, RegularFile};

/// No login is longer, in bytes: the longest token, refresh token and client are 10 KiB each.
const LARGEST: u64 = 256 * 1024;

/// Where one login is kept.
pub(super) enum Store {
    Disk(Place),
    Memory { shelf: Arc<Shelf>, login: Name },
}

pub(super) struct Place {
    login: Name,
    directory: PathBuf,
    path: PathBuf,
    key: Option<SecretSource>,
}

/// Why a login could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("cannot use `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot read `state-key`: {0}")]
    Key(SecretError),
    #[error("`{}` is not ours alone: {why}; it is ignored", path.display())]
    NotOurs { path: PathBuf, why: String },
    #[error("`{}`: {source}", path.display())]
    Seal { path: PathBuf, source: SealError },
}

impl Store {
    pub(super) fn new(keep: &Keep, directory: &Path, shelf: &Arc<Shelf>, login: &Name) -> Self {
        let (key, extension) = match keep {
            Keep::Memory => {
                let (shelf, login) = (Arc::clone(shelf), login.clone());
                return Self::Memory { shelf, login };
            }
            Keep::File => (None, "json"),
            Keep::Sealed(reference) => (Some(SecretSource::new(reference.clone())), "sealed"),
        };
        Self::Disk(Place {
            login: login.clone(),
            directory: directory.to_owned(),
            path: directory.join(format!("login-{login}.{extension}")),
            key,
        })
    }

    /// What was kept; `None` if nothing was.
    pub(super) fn load(&self) -> Result<Option<Arc<WipedBuffer>>, StoreError> {
        let place = match self {
            Self::Disk(place) => place,
            Self::Memory { shelf, login } => return Ok(shelf.load(login)),
        };
        let Some(content) = place.read()? else {
            return Ok(None);
        };
        match &place.key {
            None => Ok(Some(Arc::new(content))),
            Some(source) => {
                let key = source.read().map_err(StoreError::Key)?;
                seal::open(&key, place.login.as_str(), content.as_ref())
                    .map(|opened| Some(Arc::new(opened)))
                    .map_err(|source| place.unsealed(source))
            }
        }
    }

    /// Whether it is lost with the process, unless somebody keeps its memory.
    pub(super) fn is_memory(&self) -> bool {
        matches!(self, Self::Memory { .. })
    }

    /// Drops what memory kept. A file stays, for whoever can tell what is wrong with it.
    pub(super) fn discard_memory(&self) {
        if let Self::Memory { shelf, login } = self {
            shelf.discard(login);
        }
    }

    /// Keeps this instead of what was kept.
    pub(super) fn save(&self, content: &[u8]) -> Result<(), StoreError> {
        let place = match self {
            Self::Disk(place) => place,
            Self::Memory { shelf, login } => {
                shelf.save(login, content);
                return Ok(());
            }
        };
        match &place.key {
            None => place.write(content),
            Some(source) => {
                let key = source.read().map_err(StoreError::Key)?;
                let sealed = seal::seal(&key, place.login.as_str(), content)
                    .map_err(|source| place.unsealed(source))?;
                place.write(&sealed)
            }
        }
    }
}

impl Place {
    fn read(&self) -> Result<Option<WipedBuffer>, StoreError> {
        let file = match RegularFile::open_itself(&self.path) {
            Ok(file) => file,
            Err(ReadError::Io(error)) => {
                return match Errno::from_io_error(&error) {
                    Some(Errno::NOENT) => Ok(None),
                    Some(Errno::LOOP) => Err(self.not_ours("it is a symbolic link")),
                    Some(_) | None => Err(unusable(&self.path, error)),
                };
            }
            Err(error) => return Err(self.not_ours(error.to_string())),
        };
        let meta = file.metadata();
        let own = geteuid().as_raw();
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
        match file.read(LARGEST) {
            Ok(content) => Ok(Some(content.into())),
            Err(ReadError::Io(error)) => Err(unusable(&self.path, error)),
            Err(error) => Err(self.not_ours(error.to_string())),
        }
    }

    fn write(&self, content: &[u8]) -> Result<(), StoreError> {
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unusable(&self.directory, error)),
        }
        let temporary = self.directory.join(format!(".login-{}.new", self.login));
        // What a crash left behind; whoever else put something there must not be written to.
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(unusable(&temporary, error));
            }
            Ok(()) | Err(_) => {}
        }
        let written = self.write_new(&temporary, content);
        if written.is_err() {
            // The error that led here is the one to tell.
            drop(std::fs::remove_file(&temporary));
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

    fn unsealed(&self, source: SealError) -> StoreError {
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

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self {
            Self::Disk(place) => Some(&place.path),
            Self::Memory { .. } => None,
        };
        f.debug_tuple("Store").field(&path).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::provider::secrets::SecretRef;

    fn store(directory: &Path, keep: &Keep) -> Store {
        Store::new(keep, directory, &Arc::default(), &"corp".parse().unwrap())
    }

    fn loaded(store: &Store) -> Option<Vec<u8>> {
        store.load().unwrap().map(|it| (*it).as_ref().to_vec())
    }

    #[test]
    fn a_file_is_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("state");
        let store = store(&directory, &Keep::File);
        assert_eq!(loaded(&store), None);
        store.save(b"one").unwrap();
        store.save(b"two").unwrap();
        assert_eq!(loaded(&store).unwrap(), b"two");
        let path = directory.join("login-corp.json");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(
            std::fs::read_dir(&directory).unwrap().count(),
            1,
            "nothing left over"
        );
    }

    #[test]
    fn a_leftover_of_a_crash_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = dir.path().join("elsewhere");
        std::fs::write(&elsewhere, "untouched").unwrap();
        symlink(&elsewhere, dir.path().join(".login-corp.new")).unwrap();
        let store = store(dir.path(), &Keep::File);
        store.save(b"one").unwrap();
        assert_eq!(loaded(&store).unwrap(), b"one");
        assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "untouched");
    }

    #[test]
    fn what_is_not_ours_alone_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("login-corp.json");
        let store = store(dir.path(), &Keep::File);
        store.save(b"one").unwrap();
        let complaint = || store.load().unwrap_err().to_string();

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(complaint().contains("its mode is 0640"), "{}", complaint());
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();

        std::fs::hard_link(&path, dir.path().join("other-name")).unwrap();
        assert!(complaint().contains("another name"), "{}", complaint());

        std::fs::rename(&path, dir.path().join("moved")).unwrap();
        symlink(dir.path().join("moved"), &path).unwrap();
        assert!(complaint().contains("symbolic link"), "{}", complaint());

        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(complaint().contains("no regular file"), "{}", complaint());
    }

    #[test]
    fn a_sealed_file_shows_nothing_and_needs_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        std::fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
        let store = store(dir.path(), &Keep::Sealed(SecretRef::File(key.clone())));
        store.save(b"CANARY").unwrap();
        let raw = std::fs::read(dir.path().join("login-corp.sealed")).unwrap();
        assert!(!raw.windows(6).any(|window| window == b"CANARY"));
        assert_eq!(loaded(&store).unwrap(), b"CANARY");

        std::fs::write(&key, "another key, just as long as the first").unwrap();
        let error = store.load().unwrap_err().to_string();
        assert!(error.contains("another `state-key`"), "{error}");
        std::fs::remove_file(&key).unwrap();
        assert!(matches!(store.save(b"x"), Err(StoreError::Key(_))));
    }

    #[test]
    fn memory_writes_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), &Keep::Memory);
        assert_eq!(loaded(&store), None);
        store.save(b"one").unwrap();
        assert_eq!(loaded(&store).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
