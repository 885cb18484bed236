//! Who may assume a role: one principal of its trust policy.

use std::fmt;
use std::str::FromStr;

use super::{Caller, Role};

/// Written as `account:UIN`, `user:UIN`, `role:NAME`, `oidc:NAME` or `saml:NAME`; roles and
/// providers are those of the trusting role's own account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trusted {
    /// Every user and role of this account.
    Account(String),
    Oidc(String),
    Role(String),
    Saml(String),
    /// One user, by uin.
    User(String),
}

impl Trusted {
    /// Whether this principal of the role's trust policy is the caller.
    pub(in crate::emulator) fn is(&self, role: &Role, caller: &Caller) -> bool {
        match self {
            Self::Account(account) => caller.account() == account,
            Self::Role(name) => caller.account() == role.account && caller.role() == Some(name),
            Self::User(uin) => caller.role().is_none() && caller.uin() == uin,
            Self::Oidc(_) | Self::Saml(_) => false,
        }
    }
}

impl FromStr for Trusted {
    type Err = InvalidTrusted;

    fn from_str(text: &str) -> Result<Self, InvalidTrusted> {
        let refuse = || InvalidTrusted(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(refuse)?;
        if name.is_empty() {
            return Err(refuse());
        }
        let name = name.to_owned();
        match kind {
            "account" => Ok(Self::Account(name)),
            "oidc" => Ok(Self::Oidc(name)),
            "role" => Ok(Self::Role(name)),
            "saml" => Ok(Self::Saml(name)),
            "user" => Ok(Self::User(name)),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(uin) => write!(f, "account:{uin}"),
            Self::Oidc(name) => write!(f, "oidc:{name}"),
            Self::Role(name) => write!(f, "role:{name}"),
            Self::Saml(name) => write!(f, "saml:{name}"),
            Self::User(uin) => write!(f, "user:{uin}"),
        }
    }
}

/// A text that names no principal.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{}` trusts nobody: write `account:UIN`, `user:UIN`, `role:NAME`, `oidc:NAME` or `saml:NAME`",
    .0.escape_debug()
)]
pub struct InvalidTrusted(String);
