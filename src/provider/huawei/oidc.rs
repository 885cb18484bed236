//! STS v5 `AssumeAgencyWithOIDC`: an identity provider's token instead of a signature.

use std::path::PathBuf;

use serde::Serialize;

use super::answer::Assumed;
use super::api::{Api, Ask, Operation};
use super::caller_identity::GET_CALLER_IDENTITY;
use crate::config::model::HuaweiAssumeAgencyWithOidc;
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::context::BuildContext;
use crate::provider::error::ProviderError;
use crate::provider::service::ladder::Ladder;
use crate::provider::service::request::Auth;
use crate::provider::service::web_token::WebToken;
use crate::provider::service::{Action, Identify as _};
use crate::provider::{CallSite, Provider};

const ASSUME_AGENCY_WITH_OIDC: Operation = Operation {
    action: Action {
        name: "AssumeAgencyWithOIDC",
        limit: "assume-agency-with-oidc",
    },
    path: "/v5/agencies/assume-with-oidc",
};

/// An agency's credentials for the bearer of a token.
#[derive(Debug)]
pub(in crate::provider) struct AssumeAgencyWithOidc {
    sts: Api,
    token: WebToken,
    ladder: Ladder,
    settings: HuaweiAssumeAgencyWithOidc,
}

#[derive(Serialize)]
struct Parameters<'a> {
    provider_urn: &'a str,
    agency_urn: &'a str,
    agency_session_name: &'a str,
    id_token: &'a str,
    duration_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    policy_ids: &'a [String],
}

impl AssumeAgencyWithOidc {
    pub(in crate::provider) fn new(
        settings: &HuaweiAssumeAgencyWithOidc,
        context: &BuildContext,
    ) -> Self {
        let operations = [ASSUME_AGENCY_WITH_OIDC, GET_CALLER_IDENTITY];
        Self {
            sts: Api::new(&settings.sts, &operations, context),
            token: WebToken::new(context.secret(&settings.id_token)),
            ladder: Ladder::new(settings.duration),
            settings: settings.clone(),
        }
    }
}

impl Provider for AssumeAgencyWithOidc {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            let token = self.token.read()?;
            let seconds = self.ladder.seconds();
            let parameters = Parameters {
                provider_urn: &self.settings.provider_urn,
                agency_urn: &self.settings.agency_urn,
                agency_session_name: &self.settings.session_name,
                id_token: token.expose(),
                duration_seconds: seconds,
                policy: self.settings.restrictions.policy.as_deref(),
                policy_ids: &self.settings.restrictions.policy_ids,
            };
            let ask = Ask {
                operation: ASSUME_AGENCY_WITH_OIDC,
                auth: Auth::Unsigned,
                confidential: &[&token],
            };
            let whose = &self.settings.agency_urn;
            self.sts
                .mint::<Assumed>(ask, &parameters, (&self.ladder, seconds), whose)
                .await
                .map_err(|error| self.token.judge(error, &token, self.sts.now()))
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        self.sts.call_site(ASSUME_AGENCY_WITH_OIDC)
    }

    fn identity_call(&self) -> CallSite {
        self.sts.identity_call()
    }

    fn reread_source(&self) -> bool {
        self.token.reread()
    }

    fn reset_ladder(&self) {
        self.ladder.reset();
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        let mut files = self.sts.files();
        files.extend(self.token.file());
        files
    }
}
