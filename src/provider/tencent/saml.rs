//! STS `AssumeRoleWithSAML`: an identity provider's assertion instead of a signature.

use std::path::PathBuf;

use serde::Serialize;

use super::request::{ASSUME_ROLE_WITH_SAML, GET_CALLER_IDENTITY};
use super::sts::Sts;
use crate::config::model::TencentAssumeRoleWithSaml;
use crate::credentials::{Identity, Keys, Obtained};
use crate::provider::context::BuildContext;
use crate::provider::error::ProviderError;
use crate::provider::service::Identify as _;
use crate::provider::service::assertion::Assertion;
use crate::provider::service::ladder::Ladder;
use crate::provider::service::request::Auth;
use crate::provider::{BoxFuture, CallSite, Provider};

/// A role's credentials for the bearer of an assertion.
#[derive(Debug)]
pub(in crate::provider) struct AssumeRoleWithSaml {
    sts: Sts,
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

impl AssumeRoleWithSaml {
    pub(in crate::provider) fn new(
        settings: &TencentAssumeRoleWithSaml,
        context: &BuildContext,
    ) -> Self {
        Self {
            sts: Sts::new(
                &settings.sts,
                &[ASSUME_ROLE_WITH_SAML, GET_CALLER_IDENTITY],
                context,
            ),
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
            let seconds = self.ladder.seconds();
            let parameters = Parameters {
                saml_assertion: assertion.expose(),
                principal_arn: &self.settings.principal_arn,
                role_arn: &self.settings.role_arn,
                role_session_name: &self.settings.session_name,
                duration_seconds: seconds,
            };
            self.sts
                .mint(
                    ASSUME_ROLE_WITH_SAML,
                    &parameters,
                    Auth::Unsigned,
                    &[&assertion],
                    (&self.ladder, seconds),
                    &self.settings.role_arn,
                )
                .await
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        self.sts.call_site(ASSUME_ROLE_WITH_SAML)
    }

    fn identity_call(&self) -> CallSite {
        self.sts.identity_call()
    }

    fn reread_source(&self) {
        self.assertion.forget();
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        let mut files = self.sts.files();
        files.extend(self.assertion.file());
        files
    }
}
