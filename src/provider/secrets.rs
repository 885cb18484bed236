//! Secrets that live outside the configuration: `file:PATH`, `env:NAME`, `systemd:NAME`.
//!
//! Files are read again when they change (told by inode, size and the times of the last changes), so a
//! rotated key is picked up without a reload. The environment is read once, at start.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroize;

use crate::secret::Secret;

/// No secret we know of is longer; a larger file is a wrong path.
const LARGEST: u64 = 256 * 1024;

/// Where a secret is, as the configuration names it. Holds no secret itself.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum SecretRef {
    File(PathBuf),
    Env(String),
    Systemd(String),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// Why a text is no reference to a secret. Never repeats the text: it may be the secret itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSecretRef {
    #[error("must be a reference to a secret, never the secret itself")]
    NoScheme,
    #[error("must name its file by an absolute path")]
    RelativePath,
    #[error("does not name an environment variable")]
    BadVariable,
    #[error("does not name a credential of the unit")]
    BadCredential,
}

impl FromStr for SecretRef {
    type Err = InvalidSecretRef;

    fn from_str(text: &str) -> Result<Self, InvalidSecretRef> {
        let is_plain = |name: &str| !name.is_empty() && !name.contains(['/', '=', '\0']);
        match text.split_once(':') {
            Some(("file", path)) if path.starts_with('/') && !path.contains('\0') => {
                Ok(Self::File(path.into()))
            }
            Some(("file", _)) => Err(InvalidSecretRef::RelativePath),
            Some(("env", name)) if is_plain(name) => Ok(Self::Env(name.to_owned())),
            Some(("env", _)) => Err(InvalidSecretRef::BadVariable),
            // A name is one file in a directory, so nothing that leads out of it.
            Some(("systemd", name)) if is_plain(name) && !matches!(name, "." | "..") => {
                Ok(Self::Systemd(name.to_owned()))
            }
            Some(("systemd", _)) => Err(InvalidSecretRef::BadCredential),
            Some(_) | None => Err(InvalidSecretRef::NoScheme),
        }
    }
}

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
    #[error("`{reference}` is larger than 256 KiB")]
    TooLarge { reference: SecretRef },
    #[error("cannot read `{reference}`")]
    Unreadable {
        reference: SecretRef,
        #[source]
        source: io::Error,
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
        let mut text = match (&self.reference, &self.file) {
            (SecretRef::Env(name), _) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => SecretError::EnvMissing {
                    reference: reference(),
                },
                std::env::VarError::NotUnicode(_) => SecretError::NotText {
                    reference: reference(),
                },
            })?,
            (SecretRef::File(_) | SecretRef::Systemd(_), Some(path)) => self.read_file(path)?,
            (SecretRef::File(_) | SecretRef::Systemd(_), None) => {
                return Err(SecretError::NoCredentialsDirectory {
                    reference: reference(),
                });
            }
        };
        let secret = Secret::from(text.trim());
        text.zeroize();
        if secret.is_empty() {
            return Err(SecretError::Empty {
                reference: reference(),
            });
        }
        Ok(secret)
    }

    fn read_file(&self, path: &Path) -> Result<String, SecretError> {
        let unreadable = |source| SecretError::Unreadable {
            reference: self.reference.clone(),
            source,
        };
        let meta = std::fs::metadata(path).map_err(unreadable)?;
        if meta.len() > LARGEST {
            return Err(SecretError::TooLarge {
                reference: self.reference.clone(),
            });
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        String::from_utf8(bytes).map_err(|error| {
            error.into_bytes().zeroize();
            SecretError::NotText {
                reference: self.reference.clone(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidSecretRef, SecretRef, SecretSource};

    #[test]
    fn references_are_told_from_secrets() {
        assert_eq!("file:/a/b".parse(), Ok(SecretRef::File("/a/b".into())));
        assert_eq!("env:NAME".parse(), Ok(SecretRef::Env("NAME".into())));
        assert_eq!("systemd:ops".parse(), Ok(SecretRef::Systemd("ops".into())));
        for (text, error) in [
            ("hunter2", InvalidSecretRef::NoScheme),
            ("https://x", InvalidSecretRef::NoScheme),
            ("file:relative", InvalidSecretRef::RelativePath),
            ("env:", InvalidSecretRef::BadVariable),
            ("env:A=B", InvalidSecretRef::BadVariable),
            ("systemd:../x", InvalidSecretRef::BadCredential),
            ("systemd:..", InvalidSecretRef::BadCredential),
        ] {
            assert_eq!(text.parse::<SecretRef>(), Err(error), "{text}");
        }
    }

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

    #[test]
    fn systemd_references_need_the_credentials_directory() {
        let source = SecretSource::new(SecretRef::Systemd("id".into()));
        if source.file().is_none() {
            let error = source.read().unwrap_err().to_string();
            assert!(error.contains("LoadCredential="), "{error}");
        }
    }
}
