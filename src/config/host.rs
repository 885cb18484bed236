//! What a configuration takes from the host it is read on, besides its files and users.

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

/// Facts of a host, gathered once so that a reading is a function of its input.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) variables: BTreeMap<&'static str, String>,
    /// What it shows of real metadata services.
    pub(super) services: Surroundings,
}

impl Host {
    /// The host and environment of this process.
    pub(super) fn this() -> Self {
        let variables = VARIABLES
            .into_iter()
            .filter_map(|name| Some((name, std::env::var(name).ok()?)))
            .filter(|(_, value)| !value.is_empty());
        Self {
            name: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            variables: variables.collect(),
            services: Surroundings::this(),
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}
