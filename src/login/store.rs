//! Where one login is kept: in one place only, so that ending a session ends it everywhere.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::place::{Place, StoreError};
use super::seal;
use super::shelf::Shelf;
use crate::config::model::Keep;
use crate::name::Name;
use crate::secret::{SecretSource, WipedBuffer};
use crate::stamp::Stamp;

/// The place of one login, and those where another `state` may have left something of it.
pub(super) struct Store {
    login: Name,
    keeps: Keeps,
    others: Vec<Place>,
}

enum Keeps {
    File(Place),
    Sealed(Place, SecretSource),
    Memory(Arc<Shelf>),
}

/// What tells whether reading again may go better: the file, and its key's.
pub(super) type Version = (Option<Stamp>, Option<Stamp>);

impl Store {
    pub(super) fn new(keep: &Keep, directory: &Path, shelf: &Arc<Shelf>, login: &Name) -> Self {
        let plain = Place::new(directory, login, "json");
        let sealed = Place::new(directory, login, "sealed");
        let (keeps, others) = match keep {
            Keep::File => (Keeps::File(plain), vec![sealed]),
            Keep::Sealed(key) => (
                Keeps::Sealed(sealed, SecretSource::new(key.clone())),
                vec![plain],
            ),
            Keep::Memory => (Keeps::Memory(Arc::clone(shelf)), vec![plain, sealed]),
        };
        Self {
            login: login.clone(),
            keeps,
            others,
        }
    }

    /// What was kept; `None` if nothing was.
    pub(super) fn load(&self) -> Result<Option<Arc<WipedBuffer>>, StoreError> {
        match &self.keeps {
            Keeps::Memory(memory) => Ok(memory.load(&self.login)),
            Keeps::File(place) => Ok(place.read()?.map(Arc::new)),
            Keeps::Sealed(place, key) => {
                let Some(content) = place.read()? else {
                    return Ok(None);
                };
                let key = key.read().map_err(StoreError::Key)?;
                seal::open(&key, self.login.as_str(), content.as_ref())
                    .map(|opened| Some(Arc::new(opened)))
                    .map_err(|source| place.unsealed(source))
            }
        }
    }

    /// What [`Self::load`] would read now.
    pub(super) fn version(&self) -> Version {
        match &self.keeps {
            Keeps::Memory(_) => (None, None),
            Keeps::File(place) => (place.stamp(), None),
            Keeps::Sealed(place, key) => {
                let key = key.file().and_then(|path| Stamp::of(&path));
                (place.stamp(), key)
            }
        }
    }

    /// Whether it is lost with the process, unless somebody keeps its memory.
    pub(super) fn is_memory(&self) -> bool {
        matches!(self.keeps, Keeps::Memory(_))
    }

    /// Keeps this instead of what was kept.
    pub(super) fn save(&self, content: &[u8]) -> Result<(), StoreError> {
        match &self.keeps {
            Keeps::Memory(memory) => {
                memory.save(&self.login, content);
                Ok(())
            }
            Keeps::File(place) => place.write(content),
            Keeps::Sealed(place, key) => {
                let key = key.read().map_err(StoreError::Key)?;
                let sealed = seal::seal(&key, self.login.as_str(), content)
                    .map_err(|source| place.unsealed(source))?;
                place.write(&sealed)
            }
        }
    }

    /// Drops what was kept, read or not; true if there was something.
    pub(super) fn remove(&self) -> Result<bool, StoreError> {
        match &self.keeps {
            Keeps::Memory(memory) => Ok(memory.discard(&self.login)),
            Keeps::File(place) | Keeps::Sealed(place, _) => place.remove(),
        }
    }

    /// Drops what another `state` left; true if there was something.
    pub(super) fn remove_others(&self) -> Result<bool, StoreError> {
        let mut found = false;
        for place in &self.others {
            found |= place.remove()?;
        }
        Ok(found)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match &self.keeps {
            Keeps::File(place) | Keeps::Sealed(place, _) => Some(place.path()),
            Keeps::Memory(_) => None,
        };
        f.debug_tuple("Store").field(&path).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::secret::SecretRef;

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
    fn a_directory_that_others_could_have_made_is_neither_written_nor_read() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        let theirs = dir.path().join("theirs");
        let session = store(&theirs, &Keep::File);
        session.save(b"CANARY").unwrap();
        let version = session.version();
        mode(&theirs, 0o777);
        assert_ne!(session.version(), version, "looked at again");
        let complaint = session.load().unwrap_err().to_string();
        assert!(complaint.contains("`state-directory`"), "{complaint}");
        assert!(complaint.contains("written by others"), "{complaint}");
        mode(&theirs, 0o755);
        assert_eq!(session.version(), version);
        assert!(session.load().is_ok());
        if !rustix::process::geteuid().is_root() {
            return; // only root can make what is somebody else's
        }
        mode(dir.path(), 0o1777);
        let link = dir.path().join("link");
        symlink(&theirs, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(54_321), None).unwrap();
        let through = store(&link, &Keep::File);
        for complaint in [through.save(b"x").unwrap_err(), through.load().unwrap_err()] {
            let complaint = complaint.to_string();
            assert!(complaint.contains("symlink of uid 54321"), "{complaint}");
        }
        let planted = dir.path().join("made");
        std::fs::create_dir(&planted).unwrap();
        std::os::unix::fs::chown(&planted, Some(54_321), None).unwrap();
        let complaint = store(&planted, &Keep::File).save(b"x").unwrap_err();
        let complaint = complaint.to_string();
        assert!(complaint.contains("belongs to uid 54321"), "{complaint}");
        assert_eq!(std::fs::read_dir(&planted).unwrap().count(), 0);
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

    #[test]
    fn what_another_state_left_is_found_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        std::fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
        let sealed = Keep::Sealed(SecretRef::File(key));
        let there = |name: &str| dir.path().join(name).exists();
        for (before, left, now) in [
            (&Keep::File, "login-corp.json", &sealed),
            (&sealed, "login-corp.sealed", &Keep::File),
            (&Keep::File, "login-corp.json", &Keep::Memory),
            (&sealed, "login-corp.sealed", &Keep::Memory),
        ] {
            store(dir.path(), before).save(b"one").unwrap();
            let store = store(dir.path(), now);
            assert!(there(left));
            assert!(store.remove_others().unwrap(), "{left}");
            assert!(!there(left) && !store.remove_others().unwrap());
            store.save(b"two").unwrap();
            assert!(store.remove().unwrap() && !store.remove().unwrap());
            assert_eq!(loaded(&store), None);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "the key");
    }
}
