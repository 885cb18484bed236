//! STS v5 `AssumeAgencyWithSAML`: an identity provider's assertion instead of a signature.
//!
//! The assertion may cut the session shorter than was asked for; the answer's expiry tells.

use std::path::PathBuf;

use serde::Serialize;

use super::answer::Assumed;
use super::api::{Api, Ask, Operation};
use super::caller_identity::GET_CALLER_IDENTITY;
use crate::config::model::HuaweiAssumeAgencyWithSaml;
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::context::BuildContext;
use crate::provider::error::ProviderError;
use crate::provider::service::assertion::Assertion;
use crate::provider::service::ladder::Ladder;
use crate::provider::service::request::Auth;
use crate::provider::service::{Action, Identify as _};
use crate::provider::{CallSite, Provider};

const ASSUME_AGENCY_WITH_SAML: Operation = Operation {
    action: Action {
        name: "AssumeAgencyWithSAML",
        limit: "assume-agency-with-saml",
    },
    path: "/v5/agencies/assume-with-saml",
};

/// An agency's credentials for the bearer of an assertion.
#[derive(Debug)]
pub(in crate::provider) struct AssumeAgencyWithSaml {
    sts: Api,
    assertion: Assertion,
    ladder: Ladder,
    settings: HuaweiAssumeAgencyWithSaml,
}

#[derive(Serialize)]
struct Parameters<'a> {
    provider_urn: &'a str,
    agency_urn: &'a str,
    saml_assertion: &'a str,
    duration_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    policy_ids: &'a [String],
}

impl AssumeAgencyWithSaml {
    pub(in crate::provider) fn new(
        settings: &HuaweiAssumeAgencyWithSaml,
        context: &BuildContext,
    ) -> Self {
        let operations = [ASSUME_AGENCY_WITH_SAML, GET_CALLER_IDENTITY];
        Self {
            sts: Api::new(&settings.sts, &operations, context),
            assertion: Assertion::new(&settings.assertion, context),
            ladder: Ladder::new(settings.duration),
            settings: settings.clone(),
        }
    }
}

impl Provider for AssumeAgencyWithSaml {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            let assertion = self.assertion.get().await?;
            let seconds = self.ladder.seconds();
            let parameters = Parameters {
                provider_urn: &self.settings.provider_urn,
                agency_urn: &self.settings.agency_urn,
                saml_assertion: assertion.expose(),
                duration_seconds: seconds,
                policy: self.settings.restrictions.policy.as_deref(),
                policy_ids: &self.settings.restrictions.policy_ids,
            };
            let ask = Ask {
                operation: ASSUME_AGENCY_WITH_SAML,
                auth: Auth::Unsigned,
                confidential: &[&assertion],
            };
            let whose = &self.settings.agency_urn;
            self.sts
                .mint::<Assumed>(ask, &parameters, (&self.ladder, seconds), whose)
                .await
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        self.sts.call_site(ASSUME_AGENCY_WITH_SAML)
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
        let mut files = self.sts.files();
        files.extend(self.assertion.file());
        files
    }
}
