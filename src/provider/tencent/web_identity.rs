//! STS `AssumeRoleWithWebIdentity`: an OIDC token, such as a TKE pod's, instead of a signature.

use std::path::PathBuf;

use serde::Serialize;

use super::request::{ASSUME_ROLE_WITH_WEB_IDENTITY, GET_CALLER_IDENTITY};
use super::sts::Sts;
use crate::config::model::TencentAssumeRoleWithWebIdentity;
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::context::BuildContext;
use crate::provider::error::ProviderError;
use crate::provider::service::Identify as _;
use crate::provider::service::ladder::Ladder;
use crate::provider::service::request::Auth;
use crate::provider::service::web_token::WebToken;
use crate::provider::{CallSite, Provider};

/// A role's credentials for the bearer of a token.
#[derive(Debug)]
pub(in crate::provider) struct AssumeRoleWithWebIdentity {
    sts: Sts,
    token: WebToken,
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
            sts: Sts::new(
                &settings.sts,
                &[ASSUME_ROLE_WITH_WEB_IDENTITY, GET_CALLER_IDENTITY],
                context,
            ),
            token: WebToken::new(context.secret(&settings.web_identity_token)),
            ladder: Ladder::new(settings.duration),
            settings: settings.clone(),
        }
    }
}

impl Provider for AssumeRoleWithWebIdentity {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            let token = self.token.read()?;
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
                    ASSUME_ROLE_WITH_WEB_IDENTITY,
                    &parameters,
                    Auth::Unsigned,
                    &[&token],
                    (&self.ladder, seconds),
                    &self.settings.role_arn,
                )
                .await;
            minted.map_err(|error| self.token.judge(error, &token, self.sts.now()))
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        self.sts.call_site(ASSUME_ROLE_WITH_WEB_IDENTITY)
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
