//! STS v5 GetCallerIdentity: whose credentials a set is. Keys of IAM v3.0 and of an instance can
//! ask it as well.

use std::path::PathBuf;

use serde::Deserialize;

use super::api::{Api, Ask, Operation};
use crate::config::model;
use crate::credentials::{Identity, Keys};
use crate::future::BoxFuture;
use crate::provider::CallSite;
use crate::provider::context::BuildContext;
use crate::provider::error::ProviderError;
use crate::provider::service::{Action, Identify, of_the_keys_themselves};

pub(super) const GET_CALLER_IDENTITY: Operation = Operation {
    action: Action {
        name: "GetCallerIdentity",
        limit: "get-caller-identity",
    },
    path: "/v5/caller-identity",
};

#[derive(Deserialize)]
struct CallerIdentity {
    account_id: String,
    principal_urn: String,
    principal_id: String,
}

/// STS for the question alone.
pub(in crate::provider) fn identity_service(
    settings: &model::Service,
    context: &BuildContext,
) -> Api {
    Api::new(settings, &[GET_CALLER_IDENTITY], context)
}

impl Identify for Api {
    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        Box::pin(async {
            let ask = Ask {
                operation: GET_CALLER_IDENTITY,
                auth: keys.into(),
                confidential: &[],
            };
            let identity: CallerIdentity = self.get(ask).await.map_err(of_the_keys_themselves)?;
            Ok(Identity {
                account: identity.account_id,
                user: identity.principal_id,
                kind: kind_in(&identity.principal_urn),
                arn: identity.principal_urn,
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

/// `assumed-agency` of `sts::ACCOUNT:assumed-agency:AGENCY/SESSION`; the answer has no field of
/// its own for it.
fn kind_in(urn: &str) -> String {
    urn.split(':').nth(3).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::kind_in;

    #[test]
    fn the_kind_of_identity_is_the_fourth_part_of_its_name() {
        for (urn, kind) in [
            ("sts::0123:assumed-agency:app/web-1", "assumed-agency"),
            ("iam::0123:user:deploy", "user"),
            ("odd", ""),
        ] {
            assert_eq!(kind_in(urn), kind, "{urn}");
        }
    }
}
