//! The configuration after it was found correct: typed, complete, defaults filled in.
//!
//! Nothing here can be wrong any more ("parse, don't validate"): durations are durations,
//! references point at something, users and groups are numbers. Holds no secret.

mod limits;
mod listener;
mod login;
mod provider;
mod sink;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::credentials::Cloud;
use crate::name::Name;
use crate::secret::SecretRef;
pub use limits::{CloudLimits, Limits};
pub use listener::{
    Address, Allow, Instance, Listener, Principals, Protocol, belongs_on_loopback_device, is_local,
};
pub use login::{
    HuaweiIdentityCenter, HuaweiPortal, Keep, Login, Mint, Portal, SHORTEST_STATE_KEY, Site,
    TencentIdentityCenter, TencentPortal,
};

pub use provider::{
    Command, HuaweiAgencyCredentials, HuaweiAssumeAgency, HuaweiAssumeAgencyWithOidc,
    HuaweiAssumeAgencyWithSaml, HuaweiDomain, HuaweiInstanceMetadata, HuaweiRestrictions,
    LONGEST_CHAINED, Provider, SamlAssertion, Service, Source, TencentAssumeRole,
    TencentAssumeRoleWithSaml, TencentAssumeRoleWithWebIdentity, TencentGetFederationToken,
    TencentInstanceMetadata,
};
pub use sink::{Sink, SinkKind};

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

impl Config {
    /// The token files of listeners and of the metrics address.
    #[must_use]
    pub fn token_files(&self) -> BTreeSet<&Path> {
        let listeners = self.listeners.values().map(|listener| &listener.token);
        let metrics = self.metrics.iter().map(|metrics| &metrics.token);
        let named = listeners.chain(metrics).flatten();
        named.map(PathBuf::as_path).collect()
    }
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

/// Mode and ownership of a Unix socket or file that we create. Two are equal if they give the same
/// file: a default that is written out is no change.
#[derive(Clone, Debug)]
pub struct SocketAccess {
    /// Permission bits, e.g. `0o660`.
    pub mode: u32,
    /// Whether the configuration says so: an inherited socket must agree only with what is said.
    pub mode_is_set: bool,
    /// `None`: as the process.
    pub owner: Option<u32>,
    pub group: Option<u32>,
}

impl PartialEq for SocketAccess {
    fn eq(&self, other: &Self) -> bool {
        let effective = |it: &Self| (it.mode, it.owner, it.group);
        effective(self) == effective(other)
    }
}

impl Eq for SocketAccess {}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Metrics {
    pub address: SocketAddr,
    /// Any local peer unless set: unlike at a listener, nothing here vends.
    pub allow: Allow,
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
