//! STS `AssumeRoleWithSAML`: an identity provider's assertion instead of a signature.
//!
//! Assertions live for minutes and are meant for one use, so each attempt wants a new one: from
//! a program that asks the identity provider, or from a file that something else replaces.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::ladder::Ladder;
use super::request::{Action, Auth};
use super::sts::Sts;
use crate::config::model::{SamlAssertion, TencentAssumeRoleWithSaml};
use crate::credentials::{Identity, Keys, Obtained};
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError};
use crate::provider::program::Program;
use crate::provider::secrets::SecretSource;
use crate::provider::{BoxFuture, CallSite, Provider};
use crate::secret::Secret;

const ACTION: Action = Action::AssumeRoleWithSaml;

/// A role's credentials for the bearer of an assertion.
#[derive(Debug)]
pub(in crate::provider) struct AssumeRoleWithSaml {
    sts: Sts,
    assertion: Assertion,
    ladder: Ladder,
    settings: TencentAssumeRoleWithSaml,
}

#[derive(Debug)]
enum Assertion {
    Printed(Program),
    Secret(Arc<SecretSource>),
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
            sts: Sts::new(&settings.sts, &[ACTION, Action::GetCallerIdentity], context),
            assertion: match &settings.assertion {
                SamlAssertion::Command(argv) => Assertion::Printed(Program::new(argv.clone())),
                SamlAssertion::Secret(reference) => Assertion::Secret(context.secret(reference)),
            },
            ladder: Ladder::new(settings.duration),
            settings: settings.clone(),
        }
    }
}

impl Assertion {
    async fn get(&self) -> Result<Arc<Secret>, ProviderError> {
        match self {
            Self::Printed(program) => {
                let printed = program.run().await?;
                let assertion = std::str::from_utf8(printed.as_ref())
                    .map(|text| Secret::from(text.trim()))
                    .ok()
                    .filter(|assertion| !assertion.is_empty());
                assertion.map(Arc::new).ok_or_else(|| {
                    ProviderError::new(
                        Class::Transient,
                        format!("{program} printed no SAML assertion"),
                    )
                })
            }
            Self::Secret(source) => source.read().map_err(|error| {
                ProviderError::new(Class::Final, "the SAML assertion cannot be read")
                    .caused_by(error)
            }),
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
                    ACTION,
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
        Box::pin(self.sts.identify(keys))
    }

    fn mint_call(&self) -> CallSite {
        self.sts.call_site(ACTION)
    }

    fn identity_call(&self) -> CallSite {
        self.sts.identity_call()
    }

    fn reread_source(&self) {
        if let Assertion::Secret(source) = &self.assertion {
            source.forget();
        }
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        let mut files = self.sts.watched_files();
        files.extend(match &self.assertion {
            Assertion::Printed(program) => program.file(),
            Assertion::Secret(source) => source.file(),
        });
        files
    }
}
