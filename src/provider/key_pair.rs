//! A long-lived key: an id and a secret, each in a place of its own.
//!
//! Whoever replaces a key writes one file after the other. A call that falls due in between must
//! not be signed with the new half of one and the old half of the other: that is refused, and a
//! few of those may lock the key. So when one half alone is another one, the key that was read
//! before is used a little longer. That ends
//!
//! 1. with the other half;
//! 2. with [`KeyPair::reread`]: whoever watches the files says so once they have been quiet for a
//!    moment, somebody wants what is there to be used, or the former key was refused;
//! 3. in any case after [`PATIENCE`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{BootTime, Clock};
use crate::secret::{Secret, SecretError, SecretSource};

/// Longer than it takes until changed files are found quiet.
const PATIENCE: Duration = Duration::from_secs(10);

/// Both halves, read when needed.
#[derive(Debug)]
pub struct KeyPair {
    id: Arc<SecretSource>,
    secret: Arc<SecretSource>,
    clock: Arc<dyn Clock>,
    last: Mutex<Option<Last>>,
}

/// One reading.
#[derive(Clone, Debug)]
pub struct Halves {
    pub id: Arc<Secret>,
    pub secret: Arc<Secret>,
}

/// What was signed with last.
#[derive(Debug)]
struct Last {
    halves: Halves,
    /// Since when one half alone is another one.
    torn_since: Option<BootTime>,
}

/// The half that cannot be read, and why.
#[derive(Debug)]
pub struct Unreadable {
    pub half: &'static str,
    pub error: SecretError,
}

impl KeyPair {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(id: Arc<SecretSource>, secret: Arc<SecretSource>, clock: Arc<dyn Clock>) -> Self {
        Self {
            id,
            secret,
            clock,
            last: Mutex::default(),
        }
    }

    /// The two halves of one key, as far as can be told.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn read(&self) -> Result<Halves, Unreadable> {
        let read = |half, source: &SecretSource| {
            let failed = |error| Unreadable { half, error };
            source.read().map_err(failed)
        };
        let now = Halves {
            id: read("id", &self.id)?,
            secret: read("secret", &self.secret)?,
        };
        let mut last = self.lock();
        if let Some(last) = &mut *last
            && now.is_torn_from(&last.halves)
        {
            let at = self.clock.boot();
            let since = *last.torn_since.get_or_insert(at);
            if at.since(since) < PATIENCE {
                return Ok(last.halves.clone());
            }
        }
        *last = Some(Last {
            halves: now.clone(),
            torn_since: None,
        });
        Ok(now)
    }

    /// Reads the files behind it again, and takes what is there for the key. Whether it is another
    /// one now.
    pub fn reread(&self) -> bool {
        *self.lock() = None;
        let id_differs = self.id.reread();
        self.secret.reread() || id_differs
    }

    /// The files behind it.
    #[must_use]
    pub fn files(&self) -> Vec<std::path::PathBuf> {
        let halves = [&self.id, &self.secret].into_iter();
        halves.filter_map(|half| half.file()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Halves {
    fn is_torn_from(&self, former: &Self) -> bool {
        let id_differs = self.id.expose() != former.id.expose();
        let secret_differs = self.secret.expose() != former.secret.expose();
        id_differs != secret_differs
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::clock::testing::TestClock;
    use crate::secret::SecretRef;

    struct Files {
        folder: tempfile::TempDir,
        pair: KeyPair,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let source = |name: &str| {
                let reference = SecretRef::File(folder.path().join(name));
                Arc::new(SecretSource::new(reference))
            };
            let clock = Arc::new(TestClock::start());
            let pair = KeyPair::new(source("id"), source("secret"), clock);
            let files = Self { folder, pair };
            files.write("id", "id-1");
            files.write("secret", "secret-1");
            files
        }

        fn write(&self, name: &str, text: &str) {
            let beside = self.folder.path().join("new");
            fs::write(&beside, text).unwrap();
            fs::rename(beside, self.folder.path().join(name)).unwrap();
        }

        fn read(&self) -> String {
            let Halves { id, secret } = self.pair.read().unwrap();
            format!("{} {}", id.expose(), secret.expose())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn between_the_two_writes_the_former_key_signs() {
        for (first, second) in [("id", "secret"), ("secret", "id")] {
            let files = Files::new();
            assert_eq!(files.read(), "id-1 secret-1");
            files.write(first, &format!("{first}-2"));
            assert_eq!(files.read(), "id-1 secret-1", "{first} first");
            files.write(second, &format!("{second}-2"));
            assert_eq!(files.read(), "id-2 secret-2", "at once");
            files.write(first, &format!("{first}-3"));
            assert_eq!(files.read(), "id-2 secret-2", "the next time as well");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_that_changes_alone_counts_once_somebody_says_so_or_after_a_while() {
        let files = Files::new();
        assert_eq!(files.read(), "id-1 secret-1");
        files.write("secret", "secret-2");
        assert_eq!(files.read(), "id-1 secret-1");
        files.pair.reread();
        assert_eq!(files.read(), "id-1 secret-2");

        files.write("id", "id-2");
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(files.read(), "id-1 secret-2", "first seen now");
        tokio::time::advance(PATIENCE * 9 / 10).await;
        assert_eq!(files.read(), "id-1 secret-2");
        tokio::time::advance(PATIENCE / 10).await;
        assert_eq!(files.read(), "id-2 secret-2");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_read_is_named_and_not_made_up_for() {
        let files = Files::new();
        files.read();
        files.write("secret", " ");
        let Unreadable { half, error } = files.pair.read().unwrap_err();
        assert_eq!(half, "secret");
        assert!(error.to_string().ends_with("is empty"), "{error}");
        fs::remove_file(files.folder.path().join("id")).unwrap();
        assert_eq!(files.pair.read().unwrap_err().half, "id");
    }
}
