//! STS `AssumeRoleWithSAML`: an identity provider's assertion instead of a signature.

use std::path::PathBuf;

use serde::Serialize;

use super::request::{ASSUME_ROLE_WITH_SAML, GET_CALLER_IDENTITY};
use super::sts::Sts;
use crate::config::model::{self, TencentAssumeRoleWithSaml};
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::context::BuildContext;
use crate::provider::error::ProviderError;
use crate::provider::service::Identify;
use crate::provider::service::assertion::Assertion;
use crate::provider::service::ladder::Ladder;
use crate::provider::service::request::Auth;
use crate::provider::{CallSite, Provider};
use crate::secret::Secret;

/// A role's credentials for the bearer of an assertion.
#[derive(Debug)]
pub(in crate::provider) struct AssumeRoleWithSaml {
    sts: Exchange,
    assertion: Assertion,
    ladder: Ladder,
    settings: TencentAssumeRoleWithSaml,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(rename = "SAMLAssertion")]
    saml_assertion: &'a str,
    principal_arn: &'a str,
    role_arn: &'a str,
    role_session_name: &'a str,
    duration_seconds: u64,
}

/// The action itself, for whoever has an assertion.
#[derive(Debug)]
pub(in crate::provider) struct Exchange(Sts);

/// What an assertion is exchanged for.
#[derive(Clone, Copy, Debug)]
pub(in crate::provider) struct Wanted<'a> {
    pub(in crate::provider) principal_arn: &'a str,
    pub(in crate::provider) role_arn: &'a str,
    pub(in crate::provider) session_name: &'a str,
}

impl Exchange {
    pub(in crate::provider) fn new(settings: &model::Service, context: &BuildContext) -> Self {
        let actions = [ASSUME_ROLE_WITH_SAML, GET_CALLER_IDENTITY];
        Self(Sts::new(settings, &actions, context))
    }

    /// One call; a session refused as too long steps `ladder` down.
    pub(in crate::provider) async fn mint(
        &self,
        assertion: &Secret,
        wanted: Wanted<'_>,
        ladder: &Ladder,
    ) -> Result<Obtained, ProviderError> {
        let seconds = ladder.seconds();
        let parameters = Parameters {
            saml_assertion: assertion.expose(),
            principal_arn: wanted.principal_arn,
            role_arn: wanted.role_arn,
            role_session_name: wanted.session_name,
            duration_seconds: seconds,
        };
        self.0
            .mint(
                ASSUME_ROLE_WITH_SAML,
                &parameters,
                Auth::Unsigned,
                &[assertion],
                (ladder, seconds),
                wanted.role_arn,
            )
            .await
    }

    pub(in crate::provider) fn mint_call(&self) -> CallSite {
        self.0.call_site(ASSUME_ROLE_WITH_SAML)
    }
}

impl Identify for Exchange {
    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.0.identify(keys)
    }

    fn identity_call(&self) -> CallSite {
        self.0.identity_call()
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        Identify::watched_files(&self.0)
    }
}

impl AssumeRoleWithSaml {
    pub(in crate::provider) fn new(
        settings: &TencentAssumeRoleWithSaml,
        context: &BuildContext,
    ) -> Self {
        Self {
            sts: Exchange::new(&settings.sts, context),
            assertion: Assertion::new(&settings.assertion, context),
            ladder: Ladder::new(settings.duration),
            settings: settings.clone(),
        }
    }
}

impl Provider for AssumeRoleWithSaml {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            let assertion = self.assertion.get().await?;
            let wanted = Wanted {
                principal_arn: &self.settings.principal_arn,
                role_arn: &self.settings.role_arn,
                session_name: &self.settings.session_name,
            };
            self.sts.mint(&assertion, wanted, &self.ladder).await
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        self.sts.mint_call()
    }

    fn identity_call(&self) -> CallSite {
        self.sts.identity_call()
    }

    fn reread_source(&self) -> bool {
        self.assertion.reread()
    }

    fn reset_ladder(&self) {
        self.ladder.reset();
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        let mut files = self.sts.watched_files();
        files.extend(self.assertion.file());
        files
    }
}
