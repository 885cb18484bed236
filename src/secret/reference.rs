//! Secrets that live outside the configuration: `file:PATH`, `env:NAME`, `systemd:NAME`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

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

#[cfg(test)]
mod tests {
    use super::{InvalidSecretRef, SecretRef};

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
}
