//! Sign-ins, and the roles behind them.

use std::path::PathBuf;
use std::time::Duration;

use super::{Service, Upstream};
use crate::credentials::Cloud;
use crate::name::Name;
use crate::secret::SecretRef;

/// One `[login.NAME.KIND]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    pub name: Name,
    pub keep: Keep,
    /// How long before its end people are told.
    pub warn_before: Duration,
    /// Program and arguments, run once when the warning is due.
    pub warn_command: Option<Vec<String>>,
    pub portal: Portal,
}

/// A shorter secret is no key to seal with: 32 letters or digits hold at least 128 bits.
pub const SHORTEST_STATE_KEY: usize = 32;

/// Where a session is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Keep {
    /// In a file of the state directory that only we can read.
    File,
    /// The same, encrypted with a key that is not in that directory.
    Sealed(SecretRef),
    /// In memory, and over a restart only where the service manager keeps that for us.
    Memory,
}

/// What is signed in to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Portal {
    Huawei(HuaweiPortal),
    Tencent(TencentPortal),
}

/// Huawei's IAM Identity Center.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HuaweiPortal {
    /// The user portal's address.
    pub start_url: String,
    /// Where the Identity Center was opened.
    pub region: String,
    pub oidc_endpoint: String,
    pub portal_endpoint: String,
    pub upstream: Upstream,
}

/// Tencent's Identity Center, by the gateway that its command line uses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TencentPortal {
    pub portal_url: String,
    pub site: Site,
    pub gateway_endpoint: String,
    pub mint: Mint,
    /// A profile file of `tccli` whose session is used as well; never written.
    pub adopt: Option<PathBuf>,
    pub upstream: Upstream,
}

/// Which of the two separate halves of Tencent Cloud.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Site {
    Cn,
    Intl,
}

impl Site {
    /// As the gateway and the configuration have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cn => "cn",
            Self::Intl => "intl",
        }
    }
}

/// Who turns an assertion into keys first; the other one is asked if that fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mint {
    Gateway,
    Sts,
}

impl Login {
    /// The cloud behind it.
    #[must_use]
    pub fn cloud(&self) -> Cloud {
        match &self.portal {
            Portal::Huawei(_) => Cloud::Huawei,
            Portal::Tencent(_) => Cloud::Tencent,
        }
    }

    /// The name of its table.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.portal {
            Portal::Huawei(_) => "huawei-identity-center",
            Portal::Tencent(_) => "tencent-identity-center",
        }
    }

    /// What a session belongs to: one of another portal is none of ours.
    #[must_use]
    pub fn identity(&self) -> String {
        self.portal.identity()
    }
}

impl Portal {
    /// The portal's address and whatever else tells one from another.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Huawei(it) => format!("{} {}", it.start_url, it.oidc_endpoint),
            Self::Tencent(it) => {
                format!(
                    "{} {} {}",
                    it.portal_url,
                    it.site.as_str(),
                    it.gateway_endpoint
                )
            }
        }
    }

    /// How it is reached.
    #[must_use]
    pub fn upstream(&self) -> &Upstream {
        match self {
            Self::Huawei(it) => &it.upstream,
            Self::Tencent(it) => &it.upstream,
        }
    }
}

/// A permission set of an account behind a Huawei login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HuaweiIdentityCenter {
    pub login: Name,
    pub portal: HuaweiPortal,
    pub account_id: String,
    pub permission_set: String,
    /// For `expected-account` and `whoami`.
    pub sts: Service,
}

/// A permission set of an account behind a Tencent login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TencentIdentityCenter {
    pub login: Name,
    pub portal: TencentPortal,
    /// The account's number.
    pub account_id: u64,
    pub permission_set: String,
    pub session_name: String,
    pub duration: Duration,
    /// For minting from an assertion, `expected-account` and `whoami`.
    pub sts: Service,
}
