//! An OIDC token that a provider presents instead of a signature.
//!
//! It is read again at each attempt, since whoever issues it replaces its file. One that has
//! expired by our clock is sent all the same: our clock may be the one that is wrong, and the
//! answer tells.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::provider::error::{Class, ProviderError};
use crate::secret::{Secret, SecretSource};

/// Where the token is.
#[derive(Debug)]
pub(in crate::provider) struct WebToken(Arc<SecretSource>);

impl WebToken {
    pub(in crate::provider) fn new(source: Arc<SecretSource>) -> Self {
        Self(source)
    }

    pub(in crate::provider) fn read(&self) -> Result<Arc<Secret>, ProviderError> {
        self.0.read().map_err(|error| {
            ProviderError::new(Class::Final, "the web identity token cannot be read")
                .caused_by(error)
                .not_sent()
        })
    }

    /// Says of a refusal as stale how long ago the token expired, if it did.
    pub(in crate::provider) fn judge(
        &self,
        mut error: ProviderError,
        token: &Secret,
        now: SystemTime,
    ) -> ProviderError {
        if error.class == Class::StaleSource
            && let Some(expired) = expired_for(token.expose(), now)
        {
            error.message = format!(
                "the token in `{}` expired {} s ago and has to be renewed; {}",
                self.0.reference(),
                expired.as_secs(),
                error.message
            );
        }
        error
    }

    /// Reads it again. Whether it is another one now.
    pub(in crate::provider) fn reread(&self) -> bool {
        self.0.reread()
    }

    /// The file behind it, if there is one.
    pub(in crate::provider) fn file(&self) -> Option<PathBuf> {
        self.0.file()
    }
}

/// How long ago a JSON web token expired. We do not verify it, the cloud does; `None` too if it
/// is none or has no expiry.
fn expired_for(token: &str, now: SystemTime) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        exp: u64,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(exp))?;
    now.duration_since(end).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::expired_for;

    #[test]
    fn the_expiry_of_a_token_is_read_without_trusting_it() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        for (token, expired) in [
            (token(r#"{"sub":"x","exp":910}"#), Some(90)),
            (token(r#"{"exp":1001}"#), None),
            (token(r#"{"exp":18446744073709551615}"#), None),
            (token(r#"{"sub":"x"}"#), None),
            (token("not JSON"), None),
            ("e30.!!.c2ln".to_owned(), None),
            ("opaque".to_owned(), None),
            (String::new(), None),
        ] {
            let expected = expired.map(Duration::from_secs);
            assert_eq!(expired_for(&token, now), expected, "{token}");
        }
    }
}
