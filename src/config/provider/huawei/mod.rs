//! Huawei Cloud's providers, one reader per kind. What their parameters may be is in
//! [`parameters`].

mod parameters;
mod regions;

use std::ops::RangeInclusive;
use std::time::Duration;

use super::shared::{duration, saml_assertion, session_name};
use super::{Surroundings, policy, source};
use crate::config::endpoint;
use crate::config::model::{
    HuaweiAgencyCredentials, HuaweiAssumeAgency, HuaweiAssumeAgencyWithOidc,
    HuaweiAssumeAgencyWithSaml, HuaweiDomain, HuaweiInstanceMetadata, HuaweiRestrictions,
    LONGEST_CHAINED, Provider, Service, Source,
};
use crate::config::reader::{Complaint, Table};
use crate::config::upstream;
use crate::config::values::{self, worded};
use crate::credentials::Cloud;
use parameters::{
    AGENCY_URN, OIDC_PROVIDER_URN, SAML_PROVIDER_URN, agency_urn, mfa, policy_id,
    provided_contexts, session_user, tags, transitive_tag_keys, urn,
};

pub(in crate::config) use parameters::account_of;

const ENDPOINT_METADATA: &str = "http://169.254.169.254";
/// One IAM for all regions.
const ENDPOINT_IAM: &str = "https://iam.myhuaweicloud.com";
/// One of the regions', as an example.
const ENDPOINT_STS: &str = "https://sts.cn-north-4.myhuaweicloud.com";
/// Where the official Python SDK goes if nothing was configured.
const REGION: &str = "cn-north-4";

/// Our default; the cloud's is an hour, and 15 minutes with IAM v3.0.
const SESSION: Duration = Duration::from_hours(2);
const SHORTEST_SESSION: Duration = Duration::from_mins(15);
/// STS v5. The agency's own cap may be lower, which the ladder finds out.
const SESSIONS: RangeInclusive<Duration> = SHORTEST_SESSION..=Duration::from_hours(12);
/// IAM v3.0 `securitytokens`.
const SECURITY_TOKENS: RangeInclusive<Duration> = SHORTEST_SESSION..=Duration::from_hours(24);

pub(super) fn assume_agency(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let sts = sts(table, surroundings, "endpoint");
    let source = required_source(table, surroundings);
    let agency_urn = table.required("agency-urn", AGENCY_URN, |value| value.parsed(agency_urn));
    let session_name = session_name(table, surroundings);
    let duration = match source {
        Some(Source::Role(_)) => chained_duration(table),
        Some(Source::Key(_)) | None => duration(table, SESSION, SESSIONS),
    };
    let restrictions = restrictions(table);
    let external_id = table.optional("external-id", |value| {
        value.parsed(|text| worded(text, "+=,.@:/-", 2..=1224))
    });
    let tags = table.optional("tags", tags);
    let transitive_tag_keys = table.optional("transitive-tag-keys", transitive_tag_keys);
    let source_identity = table.optional("source-identity", |value| {
        value.parsed(|text| worded(text, "+=,.@-", 2..=64))
    });
    let mfa = mfa(table);
    let provided_contexts = table.optional("provided-contexts", provided_contexts);
    Some((
        Cloud::Huawei,
        Provider::HuaweiAssumeAgency(HuaweiAssumeAgency {
            sts,
            source: source?,
            agency_urn: agency_urn?,
            session_name: session_name?,
            duration: duration?,
            restrictions,
            external_id,
            tags: tags.unwrap_or_default(),
            transitive_tag_keys: transitive_tag_keys.unwrap_or_default(),
            source_identity,
            mfa,
            provided_contexts: provided_contexts.unwrap_or_default(),
        }),
    ))
}

pub(super) fn with_oidc(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let sts = sts(table, surroundings, "endpoint");
    let provider_urn = table.required("provider-urn", OIDC_PROVIDER_URN, |value| value.parsed(urn));
    let agency_urn = table.required("agency-urn", AGENCY_URN, |value| value.parsed(agency_urn));
    let session_name = session_name(table, surroundings);
    let duration = duration(table, SESSION, SESSIONS);
    let restrictions = restrictions(table);
    let id_token = table.required(
        "id-token",
        "a reference to the provider's token: \"file:/PATH\"",
        values::secret,
    );
    Some((
        Cloud::Huawei,
        Provider::HuaweiAssumeAgencyWithOidc(HuaweiAssumeAgencyWithOidc {
            sts,
            provider_urn: provider_urn?,
            agency_urn: agency_urn?,
            session_name: session_name?,
            duration: duration?,
            restrictions,
            id_token: id_token?,
        }),
    ))
}

pub(super) fn with_saml(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let sts = sts(table, surroundings, "endpoint");
    let provider_urn = table.required("provider-urn", SAML_PROVIDER_URN, |value| value.parsed(urn));
    let agency_urn = table.required("agency-urn", AGENCY_URN, |value| value.parsed(agency_urn));
    let duration = duration(table, SESSION, SESSIONS);
    let restrictions = restrictions(table);
    let assertion = saml_assertion(table);
    Some((
        Cloud::Huawei,
        Provider::HuaweiAssumeAgencyWithSaml(HuaweiAssumeAgencyWithSaml {
            sts,
            provider_urn: provider_urn?,
            agency_urn: agency_urn?,
            duration: duration?,
            restrictions,
            assertion: assertion?,
        }),
    ))
}

/// `endpoint` is IAM's; that of STS, which is asked whose the credentials are, is `sts-endpoint`.
pub(super) fn agency_credentials(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let region = region(table);
    let upstream = upstream::read(table, surroundings.upstream);
    let endpoint = table.optional("endpoint", |value| {
        value.parsed(endpoint::service(ENDPOINT_IAM))
    });
    let fallback = table.optional("fallback-endpoint", |value| {
        value.parsed(endpoint::service(ENDPOINT_IAM))
    });
    let usual_fallback = endpoint.is_none().then(|| ENDPOINT_IAM.to_owned());
    let iam = Service {
        endpoint: endpoint.unwrap_or_else(|| format!("https://iam.{region}.myhuaweicloud.com")),
        fallback_endpoint: fallback.or(usual_fallback),
        region: region.clone(),
        upstream: upstream.clone(),
    };
    let sts_endpoint = table.optional("sts-endpoint", |value| {
        value.parsed(endpoint::service(ENDPOINT_STS))
    });
    let sts = regional_sts(region, sts_endpoint, None, upstream);

    let source = required_source(table, surroundings);
    let agency_name = table.required("agency-name", "the name of the agency", |value| {
        value.parsed(|text| worded(text, " -", 1..=64))
    });
    let delegating = domain(table);
    let session_name = table.optional("session-name", |value| {
        value.parsed(|text| session_user(text, &surroundings.host.name))
    });
    let duration = duration(table, SESSION, SECURITY_TOKENS);
    let policy = table.optional("policy", policy::policy);
    Some((
        Cloud::Huawei,
        Provider::HuaweiAgencyCredentials(HuaweiAgencyCredentials {
            iam,
            source: source?,
            agency_name: agency_name?,
            delegating: delegating?,
            session_name,
            duration: duration?,
            policy,
            sts,
        }),
    ))
}

/// `endpoint` is the metadata service's; that of STS, which is asked whose the credentials are,
/// is `sts-endpoint`.
#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of providers have one type"
)]
pub(super) fn instance_metadata(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let sts = sts(table, surroundings, "sts-endpoint");
    let endpoint = table.optional("endpoint", |value| value.parsed(endpoint::huawei_metadata));
    Some((
        Cloud::Huawei,
        Provider::HuaweiInstanceMetadata(HuaweiInstanceMetadata {
            endpoint: endpoint.unwrap_or_else(|| ENDPOINT_METADATA.to_owned()),
            upstream: sts.upstream.clone(),
            sts,
        }),
    ))
}

/// Takes the keys about STS itself out of a provider's table.
pub(super) fn sts(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
    endpoint_key: &'static str,
) -> Service {
    let region = region(table);
    let endpoint = table.optional(endpoint_key, |value| {
        value.parsed(endpoint::service(ENDPOINT_STS))
    });
    let fallback = table.optional("fallback-endpoint", |value| {
        value.parsed(endpoint::service(ENDPOINT_STS))
    });
    let upstream = upstream::read(table, surroundings.upstream);
    regional_sts(region, endpoint, fallback, upstream)
}

fn region(table: &mut Table<'_, '_>) -> String {
    let region = table.optional("region", |value| value.parsed(values::region(REGION)));
    region.unwrap_or_else(|| REGION.to_owned())
}

/// Any region's STS issues keys that are good everywhere, so unless told otherwise a second
/// region stands in for the first.
fn regional_sts(
    region: String,
    endpoint: Option<String>,
    fallback: Option<String>,
    upstream: crate::config::model::Upstream,
) -> Service {
    let at = |region: &str| format!("https://sts.{region}.myhuaweicloud.com");
    let second = match endpoint {
        None => regions::second(&region).map(at),
        Some(_) => None,
    };
    Service {
        endpoint: endpoint.unwrap_or_else(|| at(&region)),
        fallback_endpoint: fallback.or(second),
        region,
        upstream,
    }
}

fn required_source(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<Source> {
    table.required("source", "a [key.*] or another [role.*]", |value| {
        source(value, surroundings, Cloud::Huawei)
    })
}

/// A caller that is itself temporary gets no more than an hour.
fn chained_duration(table: &mut Table<'_, '_>) -> Option<Duration> {
    let asked = duration(table, LONGEST_CHAINED, SESSIONS)?;
    if asked <= LONGEST_CHAINED {
        return Some(asked);
    }
    if let Some(value) = table.get("duration") {
        value.complain(
            Complaint::new("is longer than the cloud allows where `source` is a role")
                .hint("at most 1h; only a [key.*] gets more"),
        );
    }
    None
}

fn restrictions(table: &mut Table<'_, '_>) -> HuaweiRestrictions {
    let policy = table.optional("policy", policy::policy);
    let policy_ids = table.optional("policy-ids", |value| {
        let ids = value.list(|item| item.parsed(policy_id))?;
        if ids.len() > 20 {
            value.complain(Complaint::new("has more than 20 entries"));
            return None;
        }
        Some(ids)
    });
    HuaweiRestrictions {
        policy,
        policy_ids: policy_ids.unwrap_or_default(),
    }
}

/// `domain-id` or `domain-name`.
fn domain(table: &mut Table<'_, '_>) -> Option<HuaweiDomain> {
    let id = table.get("domain-id");
    let name = table.get("domain-name");
    match (&id, &name) {
        (Some(_), Some(name)) => table.findings().mistake(
            name.key_place(),
            "`domain-id` and `domain-name` are both set",
            "keep one; it is the account that created the agency".to_owned(),
        ),
        (None, None) => table.missing(
            "domain-id",
            "the account that created the agency, or its `domain-name`",
        ),
        (Some(_), None) | (None, Some(_)) => {}
    }
    let id = id.and_then(|id| id.parsed(|text| worded(text, "", 1..=64)));
    let name = name.and_then(|name| name.parsed(|text| worded(text, "-", 1..=64)));
    id.map(HuaweiDomain::Id)
        .or_else(|| name.map(HuaweiDomain::Name))
}
