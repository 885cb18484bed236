//! IAM v3.0 `securitytokens` by agency: older than STS v5 and known in more regions.
//!
//! The duration is always sent: left out, the service gives 15 minutes.

use std::path::PathBuf;

use serde::Serialize;

use super::answer::SecurityKey;
use super::api::{Api, Ask, Operation};
use super::caller_identity::identity_service;
use crate::config::model::{HuaweiAgencyCredentials, HuaweiDomain};
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::context::BuildContext;
use crate::provider::error::ProviderError;
use crate::provider::service::ladder::Ladder;
use crate::provider::service::{Action, Identify as _};
use crate::provider::signer::Signer;
use crate::provider::{CallSite, Provider};

const SECURITY_TOKENS: Operation = Operation {
    action: Action {
        name: "CreateTemporaryAccessKeyByAgency",
        limit: "create-temporary-access-key-by-agency",
    },
    path: "/v3.0/OS-CREDENTIAL/securitytokens",
};

/// An agency's credentials for the account it is delegated to.
#[derive(Debug)]
pub(in crate::provider) struct AgencyCredentials {
    iam: Api,
    sts: Api,
    signer: Signer,
    ladder: Ladder,
    settings: HuaweiAgencyCredentials,
    policy: Option<serde_json::Value>,
}

#[derive(Serialize)]
struct Parameters<'a> {
    auth: Authentication<'a>,
}

#[derive(Serialize)]
struct Authentication<'a> {
    identity: Delegated<'a>,
}

#[derive(Serialize)]
struct Delegated<'a> {
    methods: [&'static str; 1],
    assume_role: AssumeRole<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a serde_json::Value>,
}

#[derive(Serialize)]
struct AssumeRole<'a> {
    agency_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain_name: Option<&'a str>,
    duration_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_user: Option<SessionUser<'a>>,
}

#[derive(Serialize)]
struct SessionUser<'a> {
    name: &'a str,
}

impl AgencyCredentials {
    pub(in crate::provider) fn new(
        settings: &HuaweiAgencyCredentials,
        context: &BuildContext,
    ) -> Self {
        let json = |policy: &String| {
            serde_json::from_str(policy).expect("the policy of a valid configuration is JSON")
        };
        Self {
            iam: Api::new(&settings.iam, &[SECURITY_TOKENS], context),
            sts: identity_service(&settings.sts, context),
            signer: context.signer(&settings.source),
            ladder: Ladder::new(settings.duration),
            policy: settings.policy.as_ref().map(json),
            settings: settings.clone(),
        }
    }
}

fn parameters<'a>(
    settings: &'a HuaweiAgencyCredentials,
    policy: Option<&'a serde_json::Value>,
    duration_seconds: u64,
) -> Parameters<'a> {
    let (domain_id, domain_name) = match &settings.delegating {
        HuaweiDomain::Id(id) => (Some(&**id), None),
        HuaweiDomain::Name(name) => (None, Some(&**name)),
    };
    let assume_role = AssumeRole {
        agency_name: &settings.agency_name,
        domain_id,
        domain_name,
        duration_seconds,
        session_user: settings
            .session_name
            .as_deref()
            .map(|name| SessionUser { name }),
    };
    Parameters {
        auth: Authentication {
            identity: Delegated {
                methods: ["assume_role"],
                assume_role,
                policy,
            },
        },
    }
}

impl Provider for AgencyCredentials {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            let keys = self.signer.keys()?;
            let seconds = self.ladder.seconds();
            let ask = Ask {
                operation: SECURITY_TOKENS,
                auth: (&keys).into(),
                confidential: &[],
            };
            self.iam
                .mint::<SecurityKey>(
                    ask,
                    &parameters(&self.settings, self.policy.as_ref(), seconds),
                    (&self.ladder, seconds),
                    &format!("agency {}", self.settings.agency_name),
                )
                .await
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        self.iam.call_site(SECURITY_TOKENS)
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
        [self.signer.watched_files(), self.iam.files()].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::parameters;
    use crate::config::model::{HuaweiAgencyCredentials, HuaweiDomain, Service, Source, Upstream};

    fn settings() -> HuaweiAgencyCredentials {
        let service = |endpoint: &str| Service {
            region: "cn-north-4".to_owned(),
            endpoint: endpoint.to_owned(),
            fallback_endpoint: None,
            upstream: Upstream {
                proxy: None,
                ca_file: None,
                timeout: Duration::from_secs(10),
                connect_timeout: Duration::from_secs(3),
            },
        };
        HuaweiAgencyCredentials {
            iam: service("https://iam.cn-north-4.myhuaweicloud.com"),
            source: Source::Key("ops".parse().unwrap()),
            agency_name: "app".to_owned(),
            delegating: HuaweiDomain::Name("corp".to_owned()),
            session_name: None,
            duration: Duration::from_hours(2),
            policy: None,
            sts: service("https://sts.cn-north-4.myhuaweicloud.com"),
        }
    }

    #[test]
    fn the_duration_is_always_sent() {
        let sent = serde_json::to_value(parameters(&settings(), None, 7200)).unwrap();
        assert_eq!(
            sent,
            json!({"auth": {"identity": {
                "methods": ["assume_role"],
                "assume_role": {
                    "agency_name": "app",
                    "domain_name": "corp",
                    "duration_seconds": 7200,
                },
            }}})
        );
    }

    #[test]
    fn the_rest_is_sent_if_it_is_configured() {
        let full = HuaweiAgencyCredentials {
            delegating: HuaweiDomain::Id("0123".to_owned()),
            session_name: Some("web-1".to_owned()),
            ..settings()
        };
        let policy = json!({"Version": "1.1", "Statement": []});
        let sent = serde_json::to_value(parameters(&full, Some(&policy), 900)).unwrap();
        assert_eq!(
            sent,
            json!({"auth": {"identity": {
                "methods": ["assume_role"],
                "assume_role": {
                    "agency_name": "app",
                    "domain_id": "0123",
                    "duration_seconds": 900,
                    "session_user": {"name": "web-1"},
                },
                "policy": {"Version": "1.1", "Statement": []},
            }}})
        );
    }
}
