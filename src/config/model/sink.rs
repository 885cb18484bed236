//! Files kept up to date for clients that only read files.

use std::path::PathBuf;

use super::SocketAccess;
use crate::name::Name;

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
