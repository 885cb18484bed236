//! Where credentials are vended, in which formats, and to whom.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::SocketAccess;
use crate::name::Name;

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
    /// For Unix sockets; the `group` also for the token's file.
    pub access: SocketAccess,
    pub allow_remote: bool,
    /// Whether `aws-imds` answers requests without a token.
    pub imds_v1: bool,
    /// What clients are told that ask what they run on; `None`: they are not told.
    pub instance: Option<Instance>,
}

impl Listener {
    /// Whether one socket does for both. On TCP the `group` is the token file's alone.
    #[must_use]
    pub fn shares_socket_with(&self, other: &Self) -> bool {
        let is_tcp = matches!(self.address, Address::Tcp(_));
        self.address == other.address && (is_tcp || self.access == other.access)
    }
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
