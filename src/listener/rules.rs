//! What one listener serves and to whom: its part of the configuration, ready to be asked.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::access::Admission;
use super::host::Hosts;
use super::token::Token;
use crate::config::model::{Address, Instance, Listener, Protocol};
use crate::name::Name;

/// Replaced whole at a reload; connections ask the newest.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) admission: Admission,
    pub(crate) hosts: Hosts,
    pub(crate) protocols: Vec<Protocol>,
    /// Hosts that these protocols emulate.
    pub(crate) emulated: Vec<&'static str>,
    /// The first is "the instance role".
    pub(crate) roles: Vec<Name>,
    /// The same, to be asked.
    pub(crate) served: BTreeSet<Name>,
    pub(crate) token: Option<Arc<Token>>,
    /// Whether metadata of AWS is answered without its token.
    imds_v1: bool,
    pub(crate) instance: Instance,
    /// Whether other hosts may connect.
    pub(crate) is_remote: bool,
    is_unix: bool,
}

impl Rules {
    /// `bound` is where a TCP listener really is.
    pub(crate) fn new(
        config: &Listener,
        bound: Option<SocketAddr>,
        token: Option<Arc<Token>>,
    ) -> Self {
        let protocols: Vec<Protocol> = config
            .protocols
            .iter()
            .copied()
            .filter(|protocol| !(config.allow_remote && protocol.is_metadata()))
            .collect();
        let emulated: Vec<&'static str> = protocols
            .iter()
            .flat_map(|protocol| protocol.emulated_hosts())
            .copied()
            .collect();
        let own = rustix::process::geteuid().as_raw();
        Self {
            admission: Admission::new(
                config.allow.as_ref(),
                &config.address,
                config.allow_remote,
                own,
            ),
            hosts: bound.map_or_else(Hosts::any, |bound| {
                Hosts::at(bound, &emulated, &config.hosts)
            }),
            protocols,
            emulated,
            roles: config.roles.clone(),
            served: config.roles.iter().cloned().collect(),
            token,
            imds_v1: config.imds_v1,
            instance: config.instance.clone().unwrap_or_default(),
            is_remote: config.allow_remote,
            is_unix: matches!(config.address, Address::Unix(_)),
        }
    }

    /// Whether a protocol's requests have to show the listener's token.
    pub(crate) fn needs_token(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::AwsContainer | Protocol::HuaweiContainer => {
                !self.is_unix || self.token.is_some()
            }
            Protocol::Native => self.is_remote,
            Protocol::Alibaba | Protocol::AwsImds | Protocol::Huawei | Protocol::Tencent => false,
        }
    }

    /// Whether it has to be read with a metadata token; a wrong one is refused in any case.
    pub(crate) fn needs_metadata_token(&self, protocol: Protocol) -> bool {
        protocol == Protocol::AwsImds && !self.imds_v1
    }

    /// Whether an `Authorization` header shows it. Without a token there is nothing to show.
    pub(crate) fn accepts_token(&self, protocol: Protocol, shown: &[u8]) -> bool {
        let Some(token) = &self.token else {
            return false;
        };
        // SDKs send the bare token; our own clients may follow the usual custom.
        let bare = match protocol {
            Protocol::Native => shown.strip_prefix(b"Bearer ").unwrap_or(shown),
            Protocol::Alibaba
            | Protocol::AwsContainer
            | Protocol::AwsImds
            | Protocol::Huawei
            | Protocol::HuaweiContainer
            | Protocol::Tencent => shown,
        };
        token.accepts(bare)
    }
}
