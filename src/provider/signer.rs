//! What upstream calls are signed with: a long-lived key, or the set another role holds.

use std::sync::Arc;

use super::error::{Class, ProviderError};
use crate::credentials::{CredentialSet, HoldsCredentials};
use crate::name::Name;
use crate::secret::{Secret, SecretSource};

/// A `source` of the configuration, ready to sign.
#[derive(Clone, Debug)]
pub enum Signer {
    /// A `[key.NAME]`: both parts are secret references, read when needed.
    Key {
        name: Name,
        id: Arc<SecretSource>,
        secret: Arc<SecretSource>,
    },
    /// A `[role.NAME]`, for chaining.
    Role {
        name: Name,
        holder: Arc<dyn HoldsCredentials>,
    },
}

/// One reading of a [`Signer`]. Of a role it is one set, whole. The two parts of a key come from
/// two files: whoever replaces both is given the time for it, since a changed file is acted upon
/// only once it has been quiet for a moment.
#[derive(Clone, Debug)]
pub enum SigningKeys {
    LongLived {
        id: Arc<Secret>,
        secret: Arc<Secret>,
    },
    Temporary(Arc<CredentialSet>),
}

impl Signer {
    /// What to sign with now.
    ///
    /// # Errors
    /// A missing or empty secret is final until its file changes; a source role without a valid
    /// set is worth waiting for.
    pub fn keys(&self) -> Result<SigningKeys, ProviderError> {
        match self {
            Self::Key { name, id, secret } => {
                let read = |what: &str, source: &SecretSource| {
                    source.read().map_err(|error| {
                        ProviderError::new(
                            Class::Final,
                            format!("the {what} of key `{name}` cannot be read"),
                        )
                        .caused_by(error)
                        .not_sent()
                    })
                };
                Ok(SigningKeys::LongLived {
                    id: read("id", id)?,
                    secret: read("secret", secret)?,
                })
            }
            Self::Role { name, holder } => holder
                .valid_set()
                .map(SigningKeys::Temporary)
                .ok_or_else(|| {
                    ProviderError::new(
                        Class::SourceUnavailable,
                        format!("its source, role `{name}`, holds nothing valid yet"),
                    )
                    .not_sent()
                }),
        }
    }

    /// Reads the files behind it again. Whether a key is another one now; what becomes of a role
    /// is not known here.
    #[must_use]
    pub fn reread(&self) -> bool {
        match self {
            Self::Key { id, secret, .. } => {
                let id_differs = id.reread();
                secret.reread() || id_differs
            }
            Self::Role { .. } => false,
        }
    }

    /// The files behind it.
    #[must_use]
    pub fn watched_files(&self) -> Vec<std::path::PathBuf> {
        match self {
            Self::Key { id, secret, .. } => {
                [id, secret].into_iter().filter_map(|s| s.file()).collect()
            }
            Self::Role { .. } => Vec::new(),
        }
    }
}

impl SigningKeys {
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::LongLived { id, .. } => id.expose(),
            Self::Temporary(set) => &set.keys.access_key_id,
        }
    }

    #[must_use]
    pub fn secret(&self) -> &Secret {
        match self {
            Self::LongLived { secret, .. } => secret,
            Self::Temporary(set) => &set.keys.secret_access_key,
        }
    }

    #[must_use]
    pub fn token(&self) -> Option<&Secret> {
        match self {
            Self::LongLived { .. } => None,
            Self::Temporary(set) => Some(&set.keys.session_token),
        }
    }
}
