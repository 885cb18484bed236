//! Where a role's credentials come from: one struct per kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{HuaweiIdentityCenter, Mint, TencentIdentityCenter, Upstream};
use crate::credentials::Cloud;
use crate::name::Name;
use crate::secret::SecretRef;

/// The table `[role.NAME.provider.KIND]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Provider {
    HuaweiAgencyCredentials(HuaweiAgencyCredentials),
    HuaweiAssumeAgency(HuaweiAssumeAgency),
    HuaweiAssumeAgencyWithOidc(HuaweiAssumeAgencyWithOidc),
    HuaweiAssumeAgencyWithSaml(HuaweiAssumeAgencyWithSaml),
    HuaweiIdentityCenter(HuaweiIdentityCenter),
    HuaweiInstanceMetadata(HuaweiInstanceMetadata),
    TencentAssumeRole(TencentAssumeRole),
    TencentAssumeRoleWithWebIdentity(TencentAssumeRoleWithWebIdentity),
    TencentAssumeRoleWithSaml(TencentAssumeRoleWithSaml),
    TencentGetFederationToken(TencentGetFederationToken),
    TencentIdentityCenter(TencentIdentityCenter),
    TencentInstanceMetadata(TencentInstanceMetadata),
    Command(Command),
}

impl Provider {
    /// What it signs with, if it signs.
    #[must_use]
    pub fn source(&self) -> Option<&Source> {
        match self {
            Self::HuaweiAgencyCredentials(it) => Some(&it.source),
            Self::HuaweiAssumeAgency(it) => Some(&it.source),
            Self::TencentAssumeRole(it) => Some(&it.source),
            Self::TencentGetFederationToken(it) => Some(&it.source),
            Self::HuaweiAssumeAgencyWithOidc(_)
            | Self::HuaweiAssumeAgencyWithSaml(_)
            | Self::HuaweiIdentityCenter(_)
            | Self::HuaweiInstanceMetadata(_)
            | Self::TencentAssumeRoleWithWebIdentity(_)
            | Self::TencentAssumeRoleWithSaml(_)
            | Self::TencentIdentityCenter(_)
            | Self::TencentInstanceMetadata(_)
            | Self::Command(_) => None,
        }
    }

    /// The login whose session it uses, if it does.
    #[must_use]
    pub fn login(&self) -> Option<&Name> {
        match self {
            Self::HuaweiIdentityCenter(it) => Some(&it.login),
            Self::TencentIdentityCenter(it) => Some(&it.login),
            Self::HuaweiAgencyCredentials(_)
            | Self::HuaweiAssumeAgency(_)
            | Self::HuaweiAssumeAgencyWithOidc(_)
            | Self::HuaweiAssumeAgencyWithSaml(_)
            | Self::HuaweiInstanceMetadata(_)
            | Self::TencentAssumeRole(_)
            | Self::TencentAssumeRoleWithWebIdentity(_)
            | Self::TencentAssumeRoleWithSaml(_)
            | Self::TencentGetFederationToken(_)
            | Self::TencentInstanceMetadata(_)
            | Self::Command(_) => None,
        }
    }

    /// The name of its table.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::HuaweiAgencyCredentials(_) => "huawei-agency-credentials",
            Self::HuaweiAssumeAgency(_) => "huawei-assume-agency",
            Self::HuaweiAssumeAgencyWithOidc(_) => "huawei-assume-agency-with-oidc",
            Self::HuaweiAssumeAgencyWithSaml(_) => "huawei-assume-agency-with-saml",
            Self::HuaweiIdentityCenter(_) => "huawei-identity-center",
            Self::HuaweiInstanceMetadata(_) => "huawei-instance-metadata",
            Self::TencentAssumeRole(_) => "tencent-assume-role",
            Self::TencentAssumeRoleWithWebIdentity(_) => "tencent-assume-role-with-web-identity",
            Self::TencentAssumeRoleWithSaml(_) => "tencent-assume-role-with-saml",
            Self::TencentGetFederationToken(_) => "tencent-get-federation-token",
            Self::TencentIdentityCenter(_) => "tencent-identity-center",
            Self::TencentInstanceMetadata(_) => "tencent-instance-metadata",
            Self::Command(_) => "command",
        }
    }

    /// The lifetime asked for, where one is.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        match self {
            Self::HuaweiAgencyCredentials(it) => Some(it.duration),
            Self::HuaweiAssumeAgency(it) => Some(it.duration),
            Self::HuaweiAssumeAgencyWithOidc(it) => Some(it.duration),
            Self::HuaweiAssumeAgencyWithSaml(it) => Some(it.duration),
            Self::TencentAssumeRole(it) => Some(it.duration),
            Self::TencentAssumeRoleWithWebIdentity(it) => Some(it.duration),
            Self::TencentAssumeRoleWithSaml(it) => Some(it.duration),
            Self::TencentGetFederationToken(it) => Some(it.duration),
            Self::TencentIdentityCenter(it) => Some(it.duration),
            Self::HuaweiIdentityCenter(_)
            | Self::HuaweiInstanceMetadata(_)
            | Self::TencentInstanceMetadata(_)
            | Self::Command(_) => None,
        }
    }

    /// Where its sets come from: the endpoint that is asked first.
    #[must_use]
    pub fn minting_endpoint(&self) -> &str {
        match self {
            Self::HuaweiAgencyCredentials(it) => &it.iam.endpoint,
            Self::HuaweiInstanceMetadata(it) => &it.endpoint,
            Self::TencentInstanceMetadata(it) => &it.endpoint,
            Self::TencentIdentityCenter(it) if it.portal.mint == Mint::Gateway => {
                &it.portal.gateway_endpoint
            }
            Self::HuaweiIdentityCenter(it) => &it.portal.portal_endpoint,
            Self::HuaweiAssumeAgency(_)
            | Self::HuaweiAssumeAgencyWithOidc(_)
            | Self::HuaweiAssumeAgencyWithSaml(_)
            | Self::TencentAssumeRole(_)
            | Self::TencentAssumeRoleWithWebIdentity(_)
            | Self::TencentAssumeRoleWithSaml(_)
            | Self::TencentGetFederationToken(_)
            | Self::TencentIdentityCenter(_)
            | Self::Command(_) => &self.sts().endpoint,
        }
    }

    /// How the cloud's STS is reached.
    #[must_use]
    pub fn sts(&self) -> &Service {
        match self {
            Self::HuaweiAgencyCredentials(it) => &it.sts,
            Self::HuaweiAssumeAgency(it) => &it.sts,
            Self::HuaweiAssumeAgencyWithOidc(it) => &it.sts,
            Self::HuaweiAssumeAgencyWithSaml(it) => &it.sts,
            Self::HuaweiIdentityCenter(it) => &it.sts,
            Self::HuaweiInstanceMetadata(it) => &it.sts,
            Self::TencentAssumeRole(it) => &it.sts,
            Self::TencentAssumeRoleWithWebIdentity(it) => &it.sts,
            Self::TencentAssumeRoleWithSaml(it) => &it.sts,
            Self::TencentGetFederationToken(it) => &it.sts,
            Self::TencentIdentityCenter(it) => &it.sts,
            Self::TencentInstanceMetadata(it) => &it.sts,
            Self::Command(it) => &it.sts,
        }
    }
}

/// What an upstream call is signed with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    Key(Name),
    Role(Name),
}

/// Where a cloud's API is and how to reach it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Part of the endpoint's name, or sent along, as the cloud has it.
    pub region: String,
    /// `https://host[:port]`, or `http://` to a loopback address; no path.
    pub endpoint: String,
    /// Used after repeated transport failures of the first.
    pub fallback_endpoint: Option<String>,
    pub upstream: Upstream,
}

/// IAM v3.0 `securitytokens` by agency, signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HuaweiAgencyCredentials {
    pub iam: Service,
    pub source: Source,
    pub agency_name: String,
    pub delegating: HuaweiDomain,
    /// The enterprise user the session is for.
    pub session_name: Option<String>,
    pub duration: Duration,
    /// JSON text of a policy of version 1.1, which covers object storage only.
    pub policy: Option<String>,
    /// For `expected-account` and `whoami`.
    pub sts: Service,
}

/// The account that created an agency.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HuaweiDomain {
    Id(String),
    Name(String),
}

/// Longest session for a caller that is itself temporary, whatever the agency allows. Source: the
/// definition of AssumeAgency.
pub const LONGEST_CHAINED: Duration = Duration::from_hours(1);

/// STS v5 AssumeAgency, signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HuaweiAssumeAgency {
    pub sts: Service,
    pub source: Source,
    pub agency_urn: String,
    /// `%H` already replaced by the host name.
    pub session_name: String,
    /// At most an hour if the source is a role.
    pub duration: Duration,
    pub restrictions: HuaweiRestrictions,
    pub external_id: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub transitive_tag_keys: BTreeSet<String>,
    pub source_identity: Option<String>,
    /// Serial number of a device, and where the code it shows is to be read.
    pub mfa: Option<(String, SecretRef)>,
    /// Assertions about the caller, each with the provider that made it.
    pub provided_contexts: Vec<(String, SecretRef)>,
}

/// What a session may do less than its agency.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HuaweiRestrictions {
    /// JSON text.
    pub policy: Option<String>,
    pub policy_ids: Vec<String>,
}

/// STS v5 `AssumeAgencyWithOIDC`, unsigned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HuaweiAssumeAgencyWithOidc {
    pub sts: Service,
    pub provider_urn: String,
    pub agency_urn: String,
    pub session_name: String,
    pub duration: Duration,
    pub restrictions: HuaweiRestrictions,
    pub id_token: SecretRef,
}

/// STS v5 `AssumeAgencyWithSAML`, unsigned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HuaweiAssumeAgencyWithSaml {
    pub sts: Service,
    pub provider_urn: String,
    pub agency_urn: String,
    pub duration: Duration,
    pub restrictions: HuaweiRestrictions,
    pub assertion: SamlAssertion,
}

/// The real agency of the ECS this host is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HuaweiInstanceMetadata {
    /// `http://169.254.169.254` unless set; no path.
    pub endpoint: String,
    pub upstream: Upstream,
    /// For `expected-account` and `whoami`.
    pub sts: Service,
}

/// STS AssumeRole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TencentAssumeRole {
    pub sts: Service,
    pub source: Source,
    pub role_arn: String,
    /// `%H` already replaced by the host name.
    pub session_name: String,
    pub duration: Duration,
    /// JSON text of the session policy, not yet URL-encoded.
    pub policy: Option<String>,
    pub external_id: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub source_identity: Option<String>,
}

/// STS `AssumeRoleWithWebIdentity`, unsigned. In a TKE pod the variables of the pod's identity
/// (`TKE_PROVIDER_ID`, `TKE_ROLE_ARN`, `TKE_WEB_IDENTITY_TOKEN_FILE`, `TKE_REGION`) were the
/// defaults when this was parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TencentAssumeRoleWithWebIdentity {
    pub sts: Service,
    pub provider_id: String,
    pub role_arn: String,
    pub session_name: String,
    pub duration: Duration,
    pub web_identity_token: SecretRef,
}

/// STS `AssumeRoleWithSAML`, unsigned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TencentAssumeRoleWithSaml {
    pub sts: Service,
    pub principal_arn: String,
    pub role_arn: String,
    pub session_name: String,
    pub duration: Duration,
    pub assertion: SamlAssertion,
}

/// Where a SAML assertion (base64) comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SamlAssertion {
    Secret(SecretRef),
    /// Program and arguments; prints the assertion.
    Command(Vec<String>),
}

/// STS `GetFederationToken`, signed by a long-lived key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TencentGetFederationToken {
    pub sts: Service,
    pub source: Source,
    /// The federated user's name: the table's `session-name`.
    pub session_name: String,
    pub duration: Duration,
    /// Required here: the caller's rights are cut down to it.
    pub policy: String,
}

/// The real role of the CVM this host is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TencentInstanceMetadata {
    /// `http://metadata.tencentyun.com` unless set; no path.
    pub endpoint: String,
    /// `None`: the one the service lists.
    pub role_name: Option<String>,
    pub upstream: Upstream,
    /// For `expected-account` and `whoami`.
    pub sts: Service,
}

/// Any program that prints `credential_process` JSON or a cloud's own shape.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    pub command: Vec<String>,
    pub cloud: Cloud,
    /// For `expected-account` and `whoami`.
    pub sts: Service,
}
