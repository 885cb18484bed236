//! The configuration after it was found correct: typed, complete, defaults filled in.
//!
//! Nothing here can be wrong any more ("parse, don't validate"): durations are durations,
//! references point at something, users and groups are numbers. Holds no secret.

mod login;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::credentials::Cloud;
use crate::name::Name;
use crate::provider::secrets::SecretRef;
pub use login::{
    HuaweiIdentityCenter, HuaweiPortal, Keep, Login, Mint, Portal, Site, TencentIdentityCenter,
    TencentPortal,
};

/// A whole, valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub daemon: Daemon,
    pub admin: Admin,
    pub metrics: Option<Metrics>,
    pub keys: BTreeMap<Name, Key>,
    pub logins: BTreeMap<Name, Login>,
    pub roles: BTreeMap<Name, Role>,
    pub listeners: BTreeMap<Name, Listener>,
    pub sinks: BTreeMap<Name, Sink>,
    pub limits: Limits,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Daemon {
    pub state_directory: PathBuf,
    /// A level or a list such as `info,credvend=debug`.
    pub log: String,
    pub log_format: LogFormat,
    pub shutdown_grace: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// The journal under systemd, text otherwise.
    Auto,
    Text,
    Json,
    Journald,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admin {
    pub socket: PathBuf,
    pub access: SocketAccess,
    /// Who may do more than read status, besides root and the daemon's own user.
    pub operators: Principals,
}

/// Mode and ownership of a Unix socket or file that we create.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SocketAccess {
    /// Permission bits, e.g. `0o660`.
    pub mode: u32,
    /// Whether the configuration says so: an inherited socket must agree only with what is said.
    pub mode_is_set: bool,
    /// `None`: as the process.
    pub owner: Option<u32>,
    pub group: Option<u32>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Metrics {
    pub address: SocketAddr,
    /// `None`: any local peer.
    pub allow: Option<Allow>,
    pub hosts: Vec<String>,
    pub token: Option<PathBuf>,
    pub allow_remote: bool,
}

/// How one upstream is reached. Defaults of `[upstream]`, overridden in a provider.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Upstream {
    /// `None`: the environment decides (`HTTPS_PROXY`, `NO_PROXY`).
    pub proxy: Option<String>,
    /// The only authorities trusted; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// One HTTP call, from connecting to the last byte.
    pub timeout: Duration,
    pub connect_timeout: Duration,
}

/// A long-lived access key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    pub cloud: Cloud,
    pub id: SecretRef,
    pub secret: SecretRef,
}

/// One `[role.NAME]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Role {
    pub name: Name,
    pub cloud: Cloud,
    /// `None`: derived from the lifetime.
    pub refresh_ahead: Option<Duration>,
    /// Shown life below which the role is degraded. `None`: derived.
    pub min_remaining: Option<Duration>,
    pub expected_account: Option<String>,
    pub lazy: bool,
    pub provider: Provider,
    /// Changes when, and only when, sets obtained before must not be served any longer: provider,
    /// source (and everything below it), policy, expected account. Hex.
    pub fingerprint: String,
}

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

/// One `[listener.NAME]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    pub name: Name,
    pub address: Address,
    pub protocols: BTreeSet<Protocol>,
    /// What may be vended here; the first is "the instance role" of the metadata trees.
    pub roles: Vec<Name>,
    /// `None`: the default of the address kind.
    pub allow: Option<Allow>,
    /// Extra `Host` names to accept.
    pub hosts: Vec<String>,
    pub token: Option<PathBuf>,
    /// For Unix sockets.
    pub access: SocketAccess,
    pub allow_remote: bool,
    /// Whether `aws-imds` answers requests without a token.
    pub imds_v1: bool,
    /// What clients are told that ask what they run on; `None`: they are not told.
    pub instance: Option<Instance>,
}

/// The instance a metadata tree pretends to be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Instance {
    pub id: Option<String>,
    pub region: Option<String>,
    pub zone: Option<String>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A wire format clients speak.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    Alibaba,
    AwsContainer,
    AwsImds,
    Huawei,
    HuaweiContainer,
    Native,
    Tencent,
}

impl Protocol {
    /// Every protocol, in the order of their names.
    pub const ALL: [Self; 7] = [
        Self::Alibaba,
        Self::AwsContainer,
        Self::AwsImds,
        Self::Huawei,
        Self::HuaweiContainer,
        Self::Native,
        Self::Tencent,
    ];

    /// Whether it is for a program that was given a URL and a token.
    #[must_use]
    pub fn is_container(self) -> bool {
        match self {
            Self::AwsContainer | Self::HuaweiContainer => true,
            Self::Alibaba | Self::AwsImds | Self::Huawei | Self::Native | Self::Tencent => false,
        }
    }

    /// Whether it imitates the metadata service of an instance. That knows its clients by their
    /// being on this host, so such a protocol never leaves it.
    #[must_use]
    pub fn is_metadata(self) -> bool {
        match self {
            Self::Alibaba | Self::AwsImds | Self::Huawei | Self::Tencent => true,
            Self::AwsContainer | Self::HuaweiContainer | Self::Native => false,
        }
    }

    /// As written in the configuration; a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alibaba => "alibaba",
            Self::AwsContainer => "aws-container",
            Self::AwsImds => "aws-imds",
            Self::Huawei => "huawei",
            Self::HuaweiContainer => "huawei-container",
            Self::Native => "native",
            Self::Tencent => "tencent",
        }
    }
}

/// One `[sink.NAME.KIND]`: a file kept up to date for clients that only read files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sink {
    pub name: Name,
    pub kind: SinkKind,
    pub role: Name,
    pub path: PathBuf,
    /// The section of a file that has sections; `None` where the kind has no profiles.
    pub profile: Option<String>,
    pub access: SocketAccess,
    /// Program and arguments, run after each replacement.
    pub notify: Option<Vec<String>>,
}

/// What a sink's file is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SinkKind {
    /// The INI file of the AWS SDKs.
    AwsCredentials,
    /// Lines of `NAME=VALUE`.
    EnvFile,
    /// The INI file of Huawei's SDKs.
    HuaweiCredentials,
    /// As credvend serves them natively.
    Json,
    /// `~/.tccli/PROFILE.credential`.
    TccliProfile,
}

impl SinkKind {
    /// Every kind, in the order of their names.
    pub const ALL: [Self; 5] = [
        Self::AwsCredentials,
        Self::EnvFile,
        Self::HuaweiCredentials,
        Self::Json,
        Self::TccliProfile,
    ];

    /// As written in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwsCredentials => "aws-credentials",
            Self::EnvFile => "env-file",
            Self::HuaweiCredentials => "huawei-credentials",
            Self::Json => "json",
            Self::TccliProfile => "tccli-profile",
        }
    }

    /// The profile that clients use unless told otherwise, where files have profiles.
    #[must_use]
    pub fn usual_profile(self) -> Option<&'static str> {
        match self {
            Self::AwsCredentials | Self::TccliProfile => Some("default"),
            Self::HuaweiCredentials => Some("basic"),
            Self::EnvFile | Self::Json => None,
        }
    }

    /// Whether one file holds several profiles.
    #[must_use]
    pub fn has_sections(self) -> bool {
        matches!(self, Self::AwsCredentials | Self::HuaweiCredentials)
    }
}

/// Who may connect, by the kernel's word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Allow {
    /// Whoever reaches the address from this host.
    AnyLocal,
    Only(Principals),
}

/// Users and groups as numbers. Groups were resolved with the user database at load: `users`
/// holds the named users and every member of the named groups; `groups` the groups themselves,
/// for peers whose primary group the kernel tells.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Principals {
    pub users: BTreeSet<u32>,
    pub groups: BTreeSet<u32>,
}

impl Principals {
    /// Whether a peer with this uid (and primary gid, where the kernel tells) is among them.
    #[must_use]
    pub fn contains(&self, uid: u32, gid: Option<u32>) -> bool {
        self.users.contains(&uid) || gid.is_some_and(|gid| self.groups.contains(&gid))
    }
}

/// Calls per second and endpoint, already divided by the fleet size.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub tencent: CloudLimits,
    pub huawei: CloudLimits,
}

impl Limits {
    /// The budgets of one cloud.
    #[must_use]
    pub fn of(&self, cloud: Cloud) -> &CloudLimits {
        match cloud {
            Cloud::Huawei => &self.huawei,
            Cloud::Tencent => &self.tencent,
        }
    }
}

/// Budgets of one cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudLimits {
    pub default: f64,
    /// By action, in kebab-case. What is not listed has the default.
    pub actions: BTreeMap<String, f64>,
}

impl CloudLimits {
    /// The budget of one action, in calls per second.
    #[must_use]
    pub fn per_second(&self, action: &str) -> f64 {
        self.actions.get(action).copied().unwrap_or(self.default)
    }
}
