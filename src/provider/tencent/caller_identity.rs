//! STS GetCallerIdentity: whose credentials a set is.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::request::GET_CALLER_IDENTITY;
use super::sts::Sts;
use crate::config::model;
use crate::credentials::{Identity, Keys};
use crate::future::BoxFuture;
use crate::provider::CallSite;
use crate::provider::context::BuildContext;
use crate::provider::error::ProviderError;
use crate::provider::service::{Identify, of_the_keys_themselves};

#[derive(Serialize)]
struct NoParameters {}

/// `AccountId` is the owner's uin; `UserId` of an assumed role is `roleId:sessionName`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CallerIdentity {
    account_id: String,
    user_id: String,
    arn: String,
    #[serde(rename = "Type")]
    kind: String,
}

/// STS for the question alone.
pub(in crate::provider) fn identity_service(
    settings: &model::Service,
    context: &BuildContext,
) -> Sts {
    Sts::new(settings, &[GET_CALLER_IDENTITY], context)
}

impl Identify for Sts {
    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        Box::pin(async {
            let identity: CallerIdentity = self
                .ask(GET_CALLER_IDENTITY, &NoParameters {}, keys.into())
                .await
                .map_err(of_the_keys_themselves)?;
            Ok(Identity {
                account: identity.account_id,
                user: identity.user_id,
                arn: identity.arn,
                kind: identity.kind,
            })
        })
    }

    fn identity_call(&self) -> CallSite {
        self.call_site(GET_CALLER_IDENTITY)
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        self.files()
    }
}
