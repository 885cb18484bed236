//! STS AssumeRole, signed by a key or by another role.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::request::{ASSUME_ROLE, GET_CALLER_IDENTITY};
use super::sts::Sts;
use crate::config::model::TencentAssumeRole;
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::context::BuildContext;
use crate::provider::error::ProviderError;
use crate::provider::service::Identify as _;
use crate::provider::service::ladder::Ladder;
use crate::provider::service::request::url_encoded;
use crate::provider::signer::Signer;
use crate::provider::{CallSite, Provider};

/// A role's credentials for whoever its trust policy names.
#[derive(Debug)]
pub(in crate::provider) struct AssumeRole {
    sts: Sts,
    signer: Signer,
    ladder: Ladder,
    settings: TencentAssumeRole,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    role_arn: &'a str,
    role_session_name: &'a str,
    duration_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag<'a> {
    key: &'a str,
    value: &'a str,
}

impl AssumeRole {
    pub(in crate::provider) fn new(settings: &TencentAssumeRole, context: &BuildContext) -> Self {
        Self {
            sts: Sts::new(&settings.sts, &[ASSUME_ROLE, GET_CALLER_IDENTITY], context),
            signer: context.signer(&settings.source),
            ladder: Ladder::new(settings.duration),
            settings: settings.clone(),
        }
    }
}

fn parameters(settings: &TencentAssumeRole, duration_seconds: u64) -> Parameters<'_> {
    Parameters {
        role_arn: &settings.role_arn,
        role_session_name: &settings.session_name,
        duration_seconds,
        policy: settings.policy.as_deref().map(url_encoded),
        external_id: settings.external_id.as_deref(),
        tags: tags(&settings.tags),
        source_identity: settings.source_identity.as_deref(),
    }
}

fn tags(tags: &BTreeMap<String, String>) -> Vec<Tag<'_>> {
    tags.iter().map(|(key, value)| Tag { key, value }).collect()
}

impl Provider for AssumeRole {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            let keys = self.signer.keys()?;
            let seconds = self.ladder.seconds();
            self.sts
                .mint(
                    ASSUME_ROLE,
                    &parameters(&self.settings, seconds),
                    (&keys).into(),
                    &[],
                    (&self.ladder, seconds),
                    &self.settings.role_arn,
                )
                .await
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        self.sts.call_site(ASSUME_ROLE)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::parameters;
    use crate::config::model::{Service, Source, TencentAssumeRole, Upstream};

    fn settings() -> TencentAssumeRole {
        TencentAssumeRole {
            sts: Service {
                region: "ap-guangzhou".into(),
                endpoint: "https://sts.tencentcloudapi.com".into(),
                fallback_endpoint: None,
                upstream: Upstream {
                    proxy: None,
                    ca_file: None,
                    timeout: Duration::from_secs(10),
                    connect_timeout: Duration::from_secs(3),
                },
            },
            source: Source::Key("ops".parse().unwrap()),
            role_arn: "qcs::cam::uin/100000000001:roleName/app".into(),
            session_name: "app".into(),
            duration: Duration::from_hours(2),
            policy: None,
            external_id: None,
            tags: BTreeMap::new(),
            source_identity: None,
        }
    }

    #[test]
    fn only_what_is_configured_is_sent() {
        let json = serde_json::to_string(&parameters(&settings(), 7200)).unwrap();
        assert_eq!(
            json,
            r#"{"RoleArn":"qcs::cam::uin/100000000001:roleName/app","RoleSessionName":"app","DurationSeconds":7200}"#
        );
    }

    #[test]
    fn every_parameter_has_its_place() {
        let full = TencentAssumeRole {
            policy: Some(r#"{"a":1}"#.into()),
            external_id: Some("ext".into()),
            tags: BTreeMap::from([("k1".into(), "v1".into()), ("k2".into(), "v2".into())]),
            source_identity: Some("100000000002".into()),
            ..settings()
        };
        let json = serde_json::to_string(&parameters(&full, 900)).unwrap();
        assert!(
            json.ends_with(
                r#""DurationSeconds":900,"Policy":"%7B%22a%22%3A1%7D","ExternalId":"ext","Tags":[{"Key":"k1","Value":"v1"},{"Key":"k2","Value":"v2"}],"SourceIdentity":"100000000002"}"#
            ),
            "{json}"
        );
    }
}
