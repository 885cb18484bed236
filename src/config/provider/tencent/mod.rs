//! Tencent Cloud's providers, one reader per kind. What their parameters may be is in
//! [`parameters`].

mod parameters;

use std::ops::RangeInclusive;
use std::time::Duration;

use super::shared::{duration, saml_assertion, session_name};
use super::{Surroundings, policy, source};
use crate::config::endpoint;
use crate::config::model::{
    Provider, Service, TencentAssumeRole, TencentAssumeRoleWithSaml,
    TencentAssumeRoleWithWebIdentity, TencentGetFederationToken, TencentInstanceMetadata,
};
use crate::config::reader::{Complaint, Table};
use crate::config::upstream;
use crate::config::values::{self, worded};
use crate::credentials::Cloud;
use crate::secret::SecretRef;
use parameters::{PRINCIPAL_ARN, ROLE_ARN, federated_name, principal_arn, role_arn, tags};

pub(in crate::config) use parameters::account_of;

const ENDPOINT_CN: &str = "https://sts.tencentcloudapi.com";
pub(super) const ENDPOINT_INTL: &str = "https://sts.intl.tencentcloudapi.com";
const ENDPOINT_METADATA: &str = "http://metadata.tencentyun.com";
/// What the official SDKs send where nothing was configured.
const REGION: &str = "ap-guangzhou";

/// Our default; the cloud's too, but for 30 minutes with `GetFederationToken`.
const SESSION: Duration = Duration::from_hours(2);
/// AssumeRole and its relatives. No minimum is documented.
const SESSIONS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(12);
/// For a sub-user's key; a root account's gets 2 h.
const FEDERATIONS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(36);

pub(super) fn assume_role(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let sts = sts(table, surroundings, None, "endpoint");
    let source = table.required("source", "a [key.*] or another [role.*]", |value| {
        source(value, surroundings, Cloud::Tencent)
    });
    let role_arn = table.required("role-arn", ROLE_ARN, |value| value.parsed(role_arn));
    let session_name = session_name(table, surroundings);
    let duration = duration(table, SESSION, SESSIONS);
    let policy = table.optional("policy", policy::policy);
    let external_id = table.optional("external-id", |value| {
        value.parsed(|text| worded(text, "+=,.@:/-", 2..=128))
    });
    let tags = table.optional("tags", tags);
    let source_identity = table.optional("source-identity", |value| {
        value.parsed(|text| worded(text, "+=,.@:/-", 1..=128))
    });
    Some((
        Cloud::Tencent,
        Provider::TencentAssumeRole(TencentAssumeRole {
            sts,
            source: source?,
            role_arn: role_arn?,
            session_name: session_name?,
            duration: duration?,
            policy,
            external_id,
            tags: tags.unwrap_or_default(),
            source_identity,
        }),
    ))
}

/// What a pod's own identity supplies (the variables its webhook sets) is taken as default.
pub(super) fn with_web_identity(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let region = match table.get("region") {
        Some(_) => None, // the pod's is not asked for, so it may be anything
        None => from_pod(table, surroundings, "TKE_REGION", values::region(REGION)),
    };
    let sts = sts(table, surroundings, region, "endpoint");
    let provider_id = given_or_from_pod(
        table,
        surroundings,
        "provider-id",
        "TKE_PROVIDER_ID",
        |text| worded(text, "+=,.@-", 1..=128),
    );
    let role_arn = given_or_from_pod(table, surroundings, "role-arn", "TKE_ROLE_ARN", role_arn);
    let session_name = session_name(table, surroundings);
    let duration = duration(table, SESSION, SESSIONS);

    let variable = "TKE_WEB_IDENTITY_TOKEN_FILE";
    let web_identity_token = if let Some(value) = table.get("web-identity-token") {
        values::secret(&value)
    } else if surroundings.host.variable(variable).is_some() {
        from_pod(table, surroundings, variable, values::path).map(SecretRef::File)
    } else {
        missing_in_pod(table, "web-identity-token", variable);
        None
    };
    Some((
        Cloud::Tencent,
        Provider::TencentAssumeRoleWithWebIdentity(TencentAssumeRoleWithWebIdentity {
            sts,
            provider_id: provider_id?,
            role_arn: role_arn?,
            session_name: session_name?,
            duration: duration?,
            web_identity_token: web_identity_token?,
        }),
    ))
}

fn given_or_from_pod(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
    key: &'static str,
    variable: &str,
    parse: impl Fn(&str) -> Result<String, Complaint>,
) -> Option<String> {
    match table.get(key) {
        Some(value) => value.parsed(parse),
        None if surroundings.host.variable(variable).is_some() => {
            from_pod(table, surroundings, variable, parse)
        }
        None => {
            missing_in_pod(table, key, variable);
            None
        }
    }
}

/// The value of a pod's variable; a wrong one is noted at the table that needs it.
fn from_pod<T>(
    table: &Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
    variable: &str,
    parse: impl FnOnce(&str) -> Result<T, Complaint>,
) -> Option<T> {
    match parse(surroundings.host.variable(variable)?) {
        Ok(parsed) => Some(parsed),
        Err(complaint) => {
            let text = format!("`${variable}` in the environment {}", complaint.text);
            table.complain(text, complaint.hint);
            None
        }
    }
}

fn missing_in_pod(table: &mut Table<'_, '_>, key: &'static str, variable: &str) {
    let hint = format!("a TKE pod with an identity of its own has it in ${variable}");
    table.missing(key, &hint);
}

pub(super) fn with_saml(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let sts = sts(table, surroundings, None, "endpoint");
    let principal_arn = table.required("principal-arn", PRINCIPAL_ARN, |value| {
        value.parsed(principal_arn)
    });
    let role_arn = table.required("role-arn", ROLE_ARN, |value| value.parsed(role_arn));
    let session_name = session_name(table, surroundings);
    let duration = duration(table, SESSION, SESSIONS);

    let assertion = saml_assertion(table);
    Some((
        Cloud::Tencent,
        Provider::TencentAssumeRoleWithSaml(TencentAssumeRoleWithSaml {
            sts,
            principal_arn: principal_arn?,
            role_arn: role_arn?,
            session_name: session_name?,
            duration: duration?,
            assertion: assertion?,
        }),
    ))
}

pub(super) fn federation_token(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let sts = sts(table, surroundings, None, "endpoint");
    let source = table.required("source", "a [key.*]", |value| {
        // The action is refused to temporary credentials.
        if value
            .as_text()
            .is_some_and(|name| surroundings.roles.contains_key(name))
        {
            value.complain(
                Complaint::new(
                    "names a role, and GetFederationToken is signed by a long-lived key",
                )
                .hint("name a [key.*]; to go on from a role use tencent-assume-role"),
            );
            return None;
        }
        source(value, surroundings, Cloud::Tencent)
    });
    let session_name = table.get("session-name").map_or_else(
        || Some("credvend".to_owned()),
        |value| value.parsed(|text| federated_name(text, &surroundings.host.name)),
    );
    let duration = duration(table, SESSION, FEDERATIONS);
    let policy = table.required(
        "policy",
        "what the token may do, at most: \"file:/PATH\" of a JSON policy",
        policy::policy,
    );
    Some((
        Cloud::Tencent,
        Provider::TencentGetFederationToken(TencentGetFederationToken {
            sts,
            source: source?,
            session_name: session_name?,
            duration: duration?,
            policy: policy?,
        }),
    ))
}

/// `endpoint` is the metadata service's; that of the STS, which is asked whose the credentials
/// are, is `sts-endpoint`.
#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of providers have one type"
)]
pub(super) fn instance_metadata(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let sts = sts(table, surroundings, None, "sts-endpoint");
    let endpoint = table.optional("endpoint", |value| value.parsed(endpoint::tencent_metadata));
    let role_name = table.optional("role-name", |value| {
        value.parsed(|text| worded(text, "+=,.@-", 1..=128))
    });
    Some((
        Cloud::Tencent,
        Provider::TencentInstanceMetadata(TencentInstanceMetadata {
            endpoint: endpoint.unwrap_or_else(|| ENDPOINT_METADATA.to_owned()),
            role_name,
            upstream: sts.upstream.clone(),
            sts,
        }),
    ))
}

/// Takes the keys about STS itself out of a provider's table.
pub(super) fn sts(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
    region: Option<String>,
    endpoint_key: &'static str,
) -> Service {
    let site = table.optional("site", |value| value.parsed(site));
    let endpoint = table.optional(endpoint_key, |value| {
        value.parsed(endpoint::service(ENDPOINT_CN))
    });
    let fallback_endpoint = table.optional("fallback-endpoint", |value| {
        value.parsed(endpoint::service(ENDPOINT_CN))
    });
    let configured = table.optional("region", |value| value.parsed(values::region(REGION)));
    Service {
        region: configured.or(region).unwrap_or_else(|| REGION.to_owned()),
        endpoint: endpoint.unwrap_or_else(|| site.unwrap_or(ENDPOINT_CN).to_owned()),
        fallback_endpoint,
        upstream: upstream::read(table, surroundings.upstream),
    }
}

/// The default endpoint of a site: accounts of the two are separate.
fn site(text: &str) -> Result<&'static str, Complaint> {
    match text {
        "cn" => Ok(ENDPOINT_CN),
        "intl" => Ok(ENDPOINT_INTL),
        _ => Err(Complaint::new("is not a site we know").hint("\"cn\" or \"intl\"")),
    }
}
