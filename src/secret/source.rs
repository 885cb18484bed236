//! Reads the secret that a reference names.
//!
//! Files are read again when they change (told by inode, size and the times of the last changes), so a
//! rotated key is picked up without a reload. The environment is read once, at start.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::{Secret, SecretRef};
use crate::regular_file::{ReadError, RegularFile};
use crate::stamp::Stamp;

/// No secret we know of is longer; a larger file is a wrong path.
const LARGEST: u64 = 256 * 1024;

/// Why a secret is not to be had. Says where it was looked for, never what was found.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("`{reference}` is empty")]
    Empty { reference: SecretRef },
    #[error("`{reference}` names an environment variable that is not set")]
    EnvMissing { reference: SecretRef },
    #[error(
        "`{reference}` needs $CREDENTIALS_DIRECTORY, which systemd sets for units with \
         `LoadCredential=`"
    )]
    NoCredentialsDirectory { reference: SecretRef },
    #[error("`{reference}` is not text")]
    NotText { reference: SecretRef },
    #[error("cannot read `{reference}`")]
    Unreadable {
        reference: SecretRef,
        #[source]
        source: ReadError,
    },
}

/// A [`SecretRef`] that can be read, and read again when its file changes.
#[derive(Debug)]
pub struct SecretSource {
    reference: SecretRef,
    /// For `systemd:` the file it stands for; for `file:` the path itself.
    file: Option<PathBuf>,
    cached: Mutex<Option<(Stamp, Arc<Secret>)>>,
}

impl SecretSource {
    /// Ready to be read; reads nothing yet.
    #[must_use]
    pub fn new(reference: SecretRef) -> Self {
        let file = match &reference {
            SecretRef::File(path) => Some(path.clone()),
            SecretRef::Systemd(name) => {
                std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| Path::new(&dir).join(name))
            }
            SecretRef::Env(_) => None,
        };
        Self {
            reference,
            file,
            cached: Mutex::new(None),
        }
    }

    /// The reference as configured.
    #[must_use]
    pub fn reference(&self) -> &SecretRef {
        &self.reference
    }

    /// The file behind it, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        self.file.clone()
    }

    /// The secret without white space around it, from memory while its file is unchanged.
    ///
    /// # Errors
    /// One sentence with the reference; the operating system's word as the cause.
    pub fn read(&self) -> Result<Arc<Secret>, SecretError> {
        let stamp = match &self.file {
            Some(path) => Stamp::of(path).unwrap_or_default(),
            None => Stamp::default(),
        };
        {
            let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, secret)) = &*cached
                && *at == stamp
            {
                return Ok(Arc::clone(secret));
            }
        }
        let secret = Arc::new(self.read_now()?);
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((stamp, Arc::clone(&secret)));
        Ok(secret)
    }

    /// Reads the file again, even if it looks unchanged. Whether it holds another secret than the
    /// one that was read last; never so for one that cannot be read, or that is in no file.
    pub fn reread(&self) -> bool {
        if self.file.is_none() {
            return false;
        }
        let before = self
            .cached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match (self.read(), before) {
            (Ok(now), Some((_, before))) => now.expose() != before.expose(),
            (Ok(_), None) => true,
            (Err(_), _) => false,
        }
    }

    fn read_now(&self) -> Result<Secret, SecretError> {
        let reference = || self.reference.clone();
        let secret = match (&self.reference, &self.file) {
            (SecretRef::Env(name), _) => match std::env::var(name).map(Zeroizing::new) {
                Ok(text) => Secret::from(text.trim()),
                Err(std::env::VarError::NotPresent) => {
                    return Err(SecretError::EnvMissing {
                        reference: reference(),
                    });
                }
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(SecretError::NotText {
                        reference: reference(),
                    });
                }
            },
            (SecretRef::File(_) | SecretRef::Systemd(_), Some(path)) => self.read_file(path)?,
            (SecretRef::File(_) | SecretRef::Systemd(_), None) => {
                return Err(SecretError::NoCredentialsDirectory {
                    reference: reference(),
                });
            }
        };
        if secret.is_empty() {
            return Err(SecretError::Empty {
                reference: reference(),
            });
        }
        Ok(secret)
    }

    fn read_file(&self, path: &Path) -> Result<Secret, SecretError> {
        let bytes = RegularFile::open(path)
            .and_then(|file| file.read(LARGEST))
            .map_err(|source| SecretError::Unreadable {
                reference: self.reference.clone(),
                source,
            })?;
        match str::from_utf8(&bytes) {
            Ok(text) => Ok(Secret::from(text.trim())),
            Err(_) => Err(SecretError::NotText {
                reference: self.reference.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::{SecretRef, SecretSource};

    #[test]
    fn a_changed_file_is_read_again_and_an_empty_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let source = SecretSource::new(SecretRef::File(path.clone()));
        assert!(
            source
                .read()
                .unwrap_err()
                .to_string()
                .contains("cannot read")
        );

        std::fs::write(&path, "first\n").unwrap();
        assert_eq!(source.read().unwrap().expose(), "first");
        std::fs::write(&path, "the second\n").unwrap();
        assert!(source.reread());
        assert!(!source.reread(), "it is the same one");
        assert_eq!(source.read().unwrap().expose(), "the second");
        std::fs::write(&path, " \n").unwrap();
        assert!(!source.reread(), "there is no other one to try with");
        assert!(source.read().unwrap_err().to_string().contains("is empty"));
    }

    /// Each would be waited for, or never end.
    #[test]
    fn what_is_no_file_is_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for path in [pipe, "/dev/zero".into()] {
            let error = SecretSource::new(SecretRef::File(path)).read().unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(cause, "it is no regular file", "{error}");
        }
    }

    #[test]
    fn systemd_references_need_the_credentials_directory() {
        let source = SecretSource::new(SecretRef::Systemd("id".into()));
        if source.file().is_none() {
            let error = source.read().unwrap_err().to_string();
            assert!(error.contains("LoadCredential="), "{error}");
        }
    }
}
