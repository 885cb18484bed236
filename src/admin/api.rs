//! What travels over the admin socket, as the daemon writes it and the commands read it.
//! Fields are only ever added.

use serde::{Deserialize, Serialize};

/// `status --json` prints this as it is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Status {
    /// Version of this document: 1. Grows only if a field changes its meaning.
    pub version: u32,
    /// Version of the program.
    pub credvend: String,
    pub pid: u32,
    /// RFC 3339.
    pub started_at: String,
    pub config_file: String,
    /// Whether the last reload was applied; true before the first.
    pub last_reload_successful: bool,
    pub roles: Vec<RoleStatus>,
    pub listeners: Vec<ListenerStatus>,
    #[serde(default)]
    pub logins: Vec<LoginStatus>,
    #[serde(default)]
    pub sinks: Vec<SinkStatus>,
    /// Things worth knowing that are no failure, e.g. what an old service manager lacks.
    #[serde(default)]
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct RoleStatus {
    pub name: String,
    pub cloud: String,
    /// `none`, `fresh`, `degraded`, `expired`.
    pub held: String,
    /// `idle`, `retrying`, `failing`, `needs-login`, `resting`.
    pub refresh: String,
    /// Shortened.
    pub access_key_id: Option<String>,
    /// The expiry everybody is told; RFC 3339.
    pub expires_at: Option<String>,
    pub expires_in_seconds: Option<u64>,
    /// The real one, the only place where it is shown.
    pub real_expires_at: Option<String>,
    pub min_remaining_seconds: u64,
    pub generation: Option<u64>,
    pub next_refresh_at: Option<String>,
    pub next_refresh_in_seconds: Option<u64>,
    pub last_success_at: Option<String>,
    pub consecutive_failures: u32,
    pub last_error: Option<LastError>,
    /// Whether a role is lazy, so that resting is no trouble.
    pub lazy: bool,
    /// Kind of provider, as in the configuration.
    pub provider: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LastError {
    pub class: String,
    pub message: String,
    pub code: Option<String>,
    pub request_id: Option<String>,
    pub at: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ListenerStatus {
    pub name: String,
    pub address: String,
    /// `listening` or `failed`.
    pub state: String,
    pub error: Option<String>,
    pub protocols: Vec<String>,
    pub roles: Vec<String>,
    pub connections: u64,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LoginStatus {
    pub name: String,
    pub cloud: String,
    /// `signed-in`, `ending`, `overdue` (it should have ended, and the cloud has not said so),
    /// `signing-in`, `needs-login`.
    pub state: String,
    /// RFC 3339.
    pub ends_at: Option<String>,
    pub ends_in_seconds: Option<u64>,
    /// The cloud does not say when it ends; this is what its own tools assume.
    pub end_is_estimate: bool,
    /// What is wrong with keeping it.
    pub trouble: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct SinkStatus {
    pub name: String,
    /// As in the configuration: `tccli-profile`, `json`, …
    pub kind: String,
    pub role: String,
    pub path: String,
    /// What is in the way of the file, or of the program that is told of it.
    pub error: Option<String>,
}

/// One login to act on.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LoginQuestion {
    pub login: String,
}

/// A sign-in under way. Its address is for the person alone: of one cloud it redeems the session.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
pub struct LoginStarted {
    pub version: u32,
    pub login: String,
    pub url: String,
    /// What the page shows, to be compared.
    pub code: Option<String>,
    pub expires_in_seconds: u64,
    /// Somebody else began it.
    pub joined: bool,
    /// Whoever knows the address can take the session.
    #[serde(default)]
    pub url_is_secret: bool,
}

impl std::fmt::Debug for LoginStarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginStarted")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LoginProgress {
    pub version: u32,
    pub login: String,
    /// `waiting`, `signed-in`, `denied`, `expired`, `cancelled`, `failed`.
    pub state: String,
    /// Why it failed.
    pub message: Option<String>,
    /// RFC 3339.
    pub ends_at: Option<String>,
    pub end_is_estimate: bool,
    /// Roles that are obtained through it.
    pub roles: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LoginListing {
    pub version: u32,
    pub login: String,
    /// The kind of provider for roles behind it.
    pub provider: String,
    pub accounts: Vec<ListedAccount>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ListedAccount {
    pub id: String,
    pub name: String,
    pub permission_sets: Vec<ListedPermissionSet>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ListedPermissionSet {
    pub name: String,
    pub description: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LoggedOut {
    pub version: u32,
    pub login: String,
    /// How it went, in a sentence.
    pub message: String,
}

/// Roles to act on. `refresh`: none means all. `forget`: all only if `all` says so.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RoleSelection {
    #[serde(default)]
    pub roles: Vec<String>,
    #[serde(default)]
    pub all: bool,
}

/// One role to ask about.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RoleQuestion {
    pub role: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Refreshed {
    pub version: u32,
    pub roles: Vec<RefreshOutcome>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct RefreshOutcome {
    pub role: String,
    /// `refreshed`, `failed`, or `too-soon` (the last one was less than 10 s ago).
    pub result: String,
    /// Why it failed, or when it may be asked for again.
    pub message: Option<String>,
    pub expires_at: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Reloaded {
    pub version: u32,
    /// One sentence per change, e.g. "role `app` added". Empty: nothing changed.
    pub changes: Vec<String>,
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Forgotten {
    pub version: u32,
    /// The roles whose sets were dropped.
    pub roles: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Whose {
    pub version: u32,
    pub role: String,
    pub account: String,
    pub user: String,
    pub arn: String,
    pub kind: String,
}

/// A result, or why there is none.
pub type Answer<T> = Result<T, Refusal>;

/// Why an operation was not carried out: `{"error":{"code":…,"message":…}}` on the wire.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Refusal {
    pub code: RefusalCode,
    pub message: String,
}

/// A [`Refusal`] as it travels.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RefusalBody {
    pub error: Refusal,
}

/// The error of any of our JSON protocols, for readers that only want the sentence.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct ErrorBody {
    pub error: ErrorMessage,
}

/// See [`ErrorBody`].
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct ErrorMessage {
    pub message: String,
}

/// What the reader should do; decides the HTTP status and the exit code of the command.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// 404, exit 64.
    UnknownRole,
    /// 400, exit 64.
    BadRequest,
    /// 403, exit 77.
    NotAllowed,
    /// 503, exit 69.
    Unavailable,
    /// 422, exit 78: the configuration is wrong; the message holds the whole report.
    Misconfigured,
    /// 500, exit 70.
    Internal,
}

impl Refusal {
    /// A refusal with its sentence.
    #[must_use]
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl RefusalCode {
    /// The HTTP status it travels with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::UnknownRole => 404,
            Self::BadRequest => 400,
            Self::NotAllowed => 403,
            Self::Unavailable => 503,
            Self::Misconfigured => 422,
            Self::Internal => 500,
        }
    }
}
