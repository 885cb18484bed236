//! STS GetCallerIdentity: whose credentials a set is.

use serde::{Deserialize, Serialize};

use super::request::Action;
use super::sts::Sts;
use crate::credentials::{Identity, Keys};
use crate::provider::CallSite;
use crate::provider::error::{Class, ProviderError};

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

impl Sts {
    /// Asks whose keys these are.
    pub(in crate::provider) async fn identify(
        &self,
        keys: &Keys,
    ) -> Result<Identity, ProviderError> {
        let identity: CallerIdentity = self
            .ask(Action::GetCallerIdentity, &NoParameters {}, keys.into())
            .await
            .map_err(|mut error| {
                // The keys in question are the ones that were refused: no source can mend that,
                // but one that was just made may not be known everywhere yet.
                if error.class == Class::StaleSource {
                    error.class = Class::Transient;
                }
                error
            })?;
        Ok(Identity {
            account: identity.account_id,
            user: identity.user_id,
            arn: identity.arn,
            kind: identity.kind,
        })
    }

    /// What [`Self::identify`] calls.
    pub(in crate::provider) fn identity_call(&self) -> CallSite {
        self.call_site(Action::GetCallerIdentity)
    }
}
