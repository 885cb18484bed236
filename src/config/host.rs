//! What a configuration takes from the host it is read on, and from who reads it, besides files
//! and users.

use std::collections::BTreeMap;

use super::stand_in::Surroundings;

/// The variables that supply defaults.
const VARIABLES: [&str; 5] = [
    "STATE_DIRECTORY",
    "TKE_PROVIDER_ID",
    "TKE_REGION",
    "TKE_ROLE_ARN",
    "TKE_WEB_IDENTITY_TOKEN_FILE",
];

/// Who reads a configuration.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Reader {
    /// The daemon that will live by it.
    #[default]
    Daemon,
    /// Somebody else, perhaps as another user.
    Other,
}

/// Facts of a host, gathered once so that a reading is a function of its input.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) reader: Reader,
    /// The user of this process.
    pub(super) uid: u32,
    pub(super) variables: BTreeMap<&'static str, String>,
    /// What it shows of real metadata services.
    pub(super) services: Surroundings,
}

impl Host {
    /// The host and environment of this process.
    pub(super) fn this(reader: Reader) -> Self {
        let variables = VARIABLES
            .into_iter()
            .filter_map(|name| Some((name, std::env::var(name).ok()?)))
            .filter(|(_, value)| !value.is_empty());
        Self {
            name: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            reader,
            uid: rustix::process::geteuid().as_raw(),
            variables: variables.collect(),
            services: Surroundings::this(),
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}
