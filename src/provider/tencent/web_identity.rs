//! STS `AssumeRoleWithWebIdentity`: an OIDC token, such as a TKE pod's, instead of a signature.
//!
//! The token is read again at each attempt, since whoever issues it replaces its file. One that
//! has expired by our clock is sent all the same: our clock may be the one that is wrong, and
//! the answer tells.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::ladder::Ladder;
use super::request::{Action, Auth};
use super::sts::Sts;
use crate::config::model::TencentAssumeRoleWithWebIdentity;
use crate::credentials::{Identity, Keys, Obtained};
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError};
use crate::provider::secrets::SecretSource;
use crate::provider::{BoxFuture, CallSite, Provider};

const ACTION: Action = Action::AssumeRoleWithWebIdentity;

/// A role's credentials for the bearer of a token.
#[derive(Debug)]
pub(in crate::provider) struct AssumeRoleWithWebIdentity {
    sts: Sts,
    token: Arc<SecretSource>,
    ladder: Ladder,
    settings: TencentAssumeRoleWithWebIdentity,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    provider_id: &'a str,
    web_identity_token: &'a str,
    role_arn: &'a str,
    role_session_name: &'a str,
    duration_seconds: u64,
}

impl AssumeRoleWithWebIdentity {
    pub(in crate::provider) fn new(
        settings: &TencentAssumeRoleWithWebIdentity,
        context: &BuildContext,
    ) -> Self {
        Self {
            sts: Sts::new(&settings.sts, &[ACTION, Action::GetCallerIdentity], context),
            token: context.secret(&settings.web_identity_token),
            ladder: Ladder::new(settings.duration),
            settings: settings.clone(),
        }
    }
}

impl Provider for AssumeRoleWithWebIdentity {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            let token = self.token.read().map_err(|error| {
                ProviderError::new(Class::Final, "the web identity token cannot be read")
                    .caused_by(error)
            })?;
            let seconds = self.ladder.seconds();
            let parameters = Parameters {
                provider_id: &self.settings.provider_id,
                web_identity_token: token.expose(),
                role_arn: &self.settings.role_arn,
                role_session_name: &self.settings.session_name,
                duration_seconds: seconds,
            };
            let minted = self
                .sts
                .mint(
                    ACTION,
                    &parameters,
                    Auth::Unsigned,
                    &[&token],
                    (&self.ladder, seconds),
                    &self.settings.role_arn,
                )
                .await;
            minted.map_err(|mut error| {
                if error.class == Class::StaleSource
                    && let Some(expired) = expired_for(token.expose(), self.sts.now())
                {
                    error.message = format!(
                        "the token in `{}` expired {} s ago and has to be renewed; {}",
                        self.token.reference(),
                        expired.as_secs(),
                        error.message
                    );
                }
                error
            })
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        Box::pin(self.sts.identify(keys))
    }

    fn mint_call(&self) -> CallSite {
        self.sts.call_site(ACTION)
    }

    fn identity_call(&self) -> CallSite {
        self.sts.identity_call()
    }

    fn reread_source(&self) {
        self.token.forget();
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        let mut files = self.sts.watched_files();
        files.extend(self.token.file());
        files
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
