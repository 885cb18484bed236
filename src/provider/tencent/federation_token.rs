//! STS `GetFederationToken`: a copy of a long-lived key's rights, cut down by a policy.

use std::path::PathBuf;

use serde::Serialize;

use super::request::{GET_CALLER_IDENTITY, GET_FEDERATION_TOKEN};
use super::sts::Sts;
use crate::config::model::TencentGetFederationToken;
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::context::BuildContext;
use crate::provider::error::ProviderError;
use crate::provider::service::Identify as _;
use crate::provider::service::ladder::Ladder;
use crate::provider::service::request::url_encoded;
use crate::provider::signer::Signer;
use crate::provider::{CallSite, Provider};

/// A federated user's credentials.
#[derive(Debug)]
pub(in crate::provider) struct GetFederationToken {
    sts: Sts,
    signer: Signer,
    ladder: Ladder,
    name: String,
    /// URL-encoded.
    policy: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    name: &'a str,
    policy: &'a str,
    duration_seconds: u64,
}

impl GetFederationToken {
    pub(in crate::provider) fn new(
        settings: &TencentGetFederationToken,
        context: &BuildContext,
    ) -> Self {
        Self {
            sts: Sts::new(
                &settings.sts,
                &[GET_FEDERATION_TOKEN, GET_CALLER_IDENTITY],
                context,
            ),
            signer: context.signer(&settings.source),
            ladder: Ladder::new(settings.duration),
            name: settings.session_name.clone(),
            policy: url_encoded(&settings.policy),
        }
    }
}

impl Provider for GetFederationToken {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            let keys = self.signer.keys()?;
            let seconds = self.ladder.seconds();
            let parameters = Parameters {
                name: &self.name,
                policy: &self.policy,
                duration_seconds: seconds,
            };
            self.sts
                .mint(
                    GET_FEDERATION_TOKEN,
                    &parameters,
                    (&keys).into(),
                    &[],
                    (&self.ladder, seconds),
                    "this key",
                )
                .await
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        self.sts.call_site(GET_FEDERATION_TOKEN)
    }

    fn identity_call(&self) -> CallSite {
        self.sts.identity_call()
    }

    fn reread_source(&self) -> bool {
        self.signer.reread()
    }

    fn reset_ladder(&self) {
        self.ladder.reset();
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        [self.signer.watched_files(), self.sts.files()].concat()
    }
}
