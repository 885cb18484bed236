//! Where credentials are vended, in which formats, and to whom.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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

/// Addresses of metadata services that clients have built in and that are not link-local.
const EMULATED: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

/// Whether an address has to be tied to the loopback device, since the kernel would otherwise
/// answer for it on every device: link-local ones and those that are emulated.
#[must_use]
pub fn belongs_on_loopback_device(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    is_link_local || EMULATED.contains(&address)
}

/// Whether nobody outside this host can reach an address, once it is tied to the loopback device
/// where that is needed.
#[must_use]
pub fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback() || belongs_on_loopback_device(address)
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
