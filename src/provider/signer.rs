//! What upstream calls are signed with: a long-lived key, or the set another role holds.

use std::sync::Arc;

use super::error::{Class, ProviderError};
use super::key_pair::{Halves, KeyPair, Unreadable};
use crate::credentials::{CredentialSet, HoldsCredentials};
use crate::name::Name;
use crate::secret::Secret;

/// A `source` of the configuration, ready to sign.
#[derive(Clone, Debug)]
pub enum Signer {
    /// A `[key.NAME]`: both parts are secret references, read when needed.
    Key { name: Name, pair: Arc<KeyPair> },
    /// A `[role.NAME]`, for chaining.
    Role {
        name: Name,
        holder: Arc<dyn HoldsCredentials>,
    },
}

/// One reading of a [`Signer`]. Of a role it is one set, whole; of a key, two halves that belong
/// together as far as can be told.
#[derive(Clone, Debug)]
pub enum SigningKeys {
    LongLived(Halves),
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
            Self::Key { name, pair } => {
                pair.read()
                    .map(SigningKeys::LongLived)
                    .map_err(|Unreadable { half, error }| {
                        let message = format!("the {half} of key `{name}` cannot be read");
                        ProviderError::new(Class::Final, message)
                            .caused_by(error)
                            .not_sent()
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
            Self::Key { pair, .. } => pair.reread(),
            Self::Role { .. } => false,
        }
    }

    /// The files behind it.
    #[must_use]
    pub fn watched_files(&self) -> Vec<std::path::PathBuf> {
        match self {
            Self::Key { pair, .. } => pair.files(),
            Self::Role { .. } => Vec::new(),
        }
    }
}

impl SigningKeys {
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::LongLived(halves) => halves.id.expose(),
            Self::Temporary(set) => &set.keys.access_key_id,
        }
    }

    #[must_use]
    pub fn secret(&self) -> &Secret {
        match self {
            Self::LongLived(halves) => &halves.secret,
            Self::Temporary(set) => &set.keys.secret_access_key,
        }
    }

    #[must_use]
    pub fn token(&self) -> Option<&Secret> {
        match self {
            Self::LongLived(_) => None,
            Self::Temporary(set) => Some(&set.keys.session_token),
        }
    }
}
