//! STS v5 AssumeAgency, signed by a key or by another role.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::answer::Assumed;
use super::api::{Api, Ask, Operation};
use super::caller_identity::GET_CALLER_IDENTITY;
use crate::config::model::{HuaweiAssumeAgency, LONGEST_CHAINED, Source};
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError};
use crate::provider::service::ladder::Ladder;
use crate::provider::service::{Action, Identify as _};
use crate::provider::signer::Signer;
use crate::provider::{CallSite, Provider};
use crate::secret::{Secret, SecretSource};

const ASSUME_AGENCY: Operation = Operation {
    action: Action {
        name: "AssumeAgency",
        limit: "assume-agency",
    },
    path: "/v5/agencies/assume",
};

/// An agency's credentials for whoever it trusts.
#[derive(Debug)]
pub(in crate::provider) struct AssumeAgency {
    sts: Api,
    signer: Signer,
    ladder: Ladder,
    mfa: Option<(String, Arc<SecretSource>)>,
    contexts: Vec<(String, Arc<SecretSource>)>,
    settings: HuaweiAssumeAgency,
}

#[derive(Serialize)]
struct Parameters<'a> {
    agency_urn: &'a str,
    agency_session_name: &'a str,
    duration_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    policy_ids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transitive_tag_keys: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    provided_contexts: Vec<Context<'a>>,
}

#[derive(Serialize)]
struct Tag<'a> {
    key: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct Context<'a> {
    context_provider_urn: &'a str,
    context_assertion: &'a str,
}

/// What a call presents besides its signature, read anew for each.
struct Presented {
    code: Option<Arc<Secret>>,
    assertions: Vec<Arc<Secret>>,
}

impl AssumeAgency {
    pub(in crate::provider) fn new(settings: &HuaweiAssumeAgency, context: &BuildContext) -> Self {
        let with_secret =
            |(name, reference): &(String, _)| (name.clone(), context.secret(reference));
        Self {
            sts: Api::new(
                &settings.sts,
                &[ASSUME_AGENCY, GET_CALLER_IDENTITY],
                context,
            ),
            signer: context.signer(&settings.source),
            ladder: Ladder::new(longest(settings)),
            mfa: settings.mfa.as_ref().map(with_secret),
            contexts: settings.provided_contexts.iter().map(with_secret).collect(),
            settings: settings.clone(),
        }
    }

    fn presented(&self) -> Result<Presented, ProviderError> {
        let read = |what: &str, source: &SecretSource| {
            source.read().map_err(|error| {
                ProviderError::new(Class::Final, format!("the {what} cannot be read"))
                    .caused_by(error)
                    .not_sent()
            })
        };
        let code = self.mfa.as_ref().map(|(_, code)| read("token code", code));
        let assertions = self
            .contexts
            .iter()
            .map(|(_, assertion)| read("context assertion", assertion));
        Ok(Presented {
            code: code.transpose()?,
            assertions: assertions.collect::<Result<_, _>>()?,
        })
    }

    fn secrets(&self) -> impl Iterator<Item = &Arc<SecretSource>> {
        let contexts = self.contexts.iter().map(|(_, source)| source);
        self.mfa.iter().map(|(_, source)| source).chain(contexts)
    }
}

/// What to ask for at first.
fn longest(settings: &HuaweiAssumeAgency) -> Duration {
    match settings.source {
        Source::Key(_) => settings.duration,
        Source::Role(_) => settings.duration.min(LONGEST_CHAINED),
    }
}

fn parameters<'a>(
    settings: &'a HuaweiAssumeAgency,
    presented: &'a Presented,
    duration_seconds: u64,
) -> Parameters<'a> {
    let contexts = settings.provided_contexts.iter().zip(&presented.assertions);
    Parameters {
        agency_urn: &settings.agency_urn,
        agency_session_name: &settings.session_name,
        duration_seconds,
        policy: settings.restrictions.policy.as_deref(),
        policy_ids: &settings.restrictions.policy_ids,
        external_id: settings.external_id.as_deref(),
        source_identity: settings.source_identity.as_deref(),
        tags: settings
            .tags
            .iter()
            .map(|(key, value)| Tag { key, value })
            .collect(),
        transitive_tag_keys: settings
            .transitive_tag_keys
            .iter()
            .map(|it| &**it)
            .collect(),
        serial_number: settings.mfa.as_ref().map(|(serial, _)| &**serial),
        token_code: presented.code.as_ref().map(|code| code.expose()),
        provided_contexts: contexts
            .map(|((provider, _), assertion)| Context {
                context_provider_urn: provider,
                context_assertion: assertion.expose(),
            })
            .collect(),
    }
}

impl Provider for AssumeAgency {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            let keys = self.signer.keys()?;
            let presented = self.presented()?;
            let confidential: Vec<&Secret> = presented
                .assertions
                .iter()
                .chain(&presented.code)
                .map(|secret| &**secret)
                .collect();
            let seconds = self.ladder.seconds();
            let ask = Ask {
                operation: ASSUME_AGENCY,
                auth: (&keys).into(),
                confidential: &confidential,
            };
            self.sts
                .mint::<Assumed>(
                    ask,
                    &parameters(&self.settings, &presented, seconds),
                    (&self.ladder, seconds),
                    &self.settings.agency_urn,
                )
                .await
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        self.sts.call_site(ASSUME_AGENCY)
    }

    fn identity_call(&self) -> CallSite {
        self.sts.identity_call()
    }

    fn reread_source(&self) -> bool {
        let keys_differ = self.signer.reread();
        // Each is read again, whatever the others are.
        self.secrets()
            .fold(keys_differ, |differs, source| source.reread() || differs)
    }

    fn reset_ladder(&self) {
        self.ladder.reset();
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        let mut files = [self.signer.watched_files(), self.sts.files()].concat();
        files.extend(self.secrets().filter_map(|source| source.file()));
        files
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{LONGEST_CHAINED, Presented, longest, parameters};
    use crate::config::model::{HuaweiAssumeAgency, HuaweiRestrictions, Service, Source, Upstream};
    use crate::secret::{Secret, SecretRef};

    fn settings() -> HuaweiAssumeAgency {
        HuaweiAssumeAgency {
            sts: Service {
                region: "cn-north-4".to_owned(),
                endpoint: "https://sts.cn-north-4.myhuaweicloud.com".to_owned(),
                fallback_endpoint: None,
                upstream: Upstream {
                    proxy: None,
                    ca_file: None,
                    timeout: Duration::from_secs(10),
                    connect_timeout: Duration::from_secs(3),
                },
            },
            source: Source::Key("ops".parse().unwrap()),
            agency_urn: "iam::0123:agency:app".to_owned(),
            session_name: "app".to_owned(),
            duration: Duration::from_hours(2),
            restrictions: HuaweiRestrictions::default(),
            external_id: None,
            tags: [].into(),
            transitive_tag_keys: [].into(),
            source_identity: None,
            mfa: None,
            provided_contexts: Vec::new(),
        }
    }

    #[test]
    fn what_is_not_configured_is_not_sent() {
        let nothing = Presented {
            code: None,
            assertions: Vec::new(),
        };
        let sent = serde_json::to_value(parameters(&settings(), &nothing, 7200)).unwrap();
        assert_eq!(
            sent,
            serde_json::json!({
                "agency_urn": "iam::0123:agency:app",
                "agency_session_name": "app",
                "duration_seconds": 7200,
            })
        );
    }

    #[test]
    fn every_parameter_has_its_name_on_the_wire() {
        let reference = SecretRef::Env("X".to_owned());
        let full = HuaweiAssumeAgency {
            restrictions: HuaweiRestrictions {
                policy: Some("{}".to_owned()),
                policy_ids: vec!["p".to_owned()],
            },
            external_id: Some("e".to_owned()),
            tags: [("k".to_owned(), "v".to_owned())].into(),
            transitive_tag_keys: ["k".to_owned()].into(),
            source_identity: Some("me".to_owned()),
            mfa: Some(("iam::0123:mfa:x".to_owned(), reference.clone())),
            provided_contexts: vec![("iam::0123:provider:x".to_owned(), reference)],
            ..settings()
        };
        let presented = Presented {
            code: Some(Arc::new(Secret::from("123456"))),
            assertions: vec![Arc::new(Secret::from("assertion"))],
        };
        let sent = serde_json::to_value(parameters(&full, &presented, 900)).unwrap();
        assert_eq!(
            sent,
            serde_json::json!({
                "agency_urn": "iam::0123:agency:app",
                "agency_session_name": "app",
                "duration_seconds": 900,
                "policy": "{}",
                "policy_ids": ["p"],
                "external_id": "e",
                "source_identity": "me",
                "tags": [{"key": "k", "value": "v"}],
                "transitive_tag_keys": ["k"],
                "serial_number": "iam::0123:mfa:x",
                "token_code": "123456",
                "provided_contexts": [{
                    "context_provider_urn": "iam::0123:provider:x",
                    "context_assertion": "assertion",
                }],
            })
        );
    }

    #[test]
    fn a_chained_session_is_an_hour_at_most() {
        let chained = HuaweiAssumeAgency {
            source: Source::Role("base".parse().unwrap()),
            ..settings()
        };
        assert_eq!(longest(&settings()), Duration::from_hours(2));
        assert_eq!(longest(&chained), LONGEST_CHAINED);
        let short = HuaweiAssumeAgency {
            duration: Duration::from_mins(15),
            ..chained
        };
        assert_eq!(longest(&short), Duration::from_mins(15));
    }
}
