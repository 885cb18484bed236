//! The cloud that is emulated: accounts with their long-lived keys, roles and identity
//! providers, and the temporary keys issued so far.
//!
//! Nothing here knows HTTP or a wire format. What is not emulated: the *rights* of a key. A role
//! is assumed by whoever its trust policy names; session policies are checked for their form and
//! otherwise have no effect, because nothing but STS is there to be allowed or denied.

mod instance;
mod issued;
mod providers;
mod trust;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::random::Random;
use crate::secret::Secret;

pub use instance::Instance;
pub use issued::{Caller, IssuedKey};
pub(super) use issued::{Issue, Issued, Ledger};
pub(super) use providers::{HUAWEI_SAML_RECIPIENT, NAME_FORMAT, SAML_RECIPIENT};
pub use providers::{OidcProvider, SamlProvider};
pub use trust::{InvalidTrusted, Trusted};

/// Account of the default world.
pub const ACCOUNT: &str = "100000000001";
/// The sub-user whose key the default world has.
pub const USER: &str = "100000000002";
/// Account of the default world of Huawei Cloud.
pub const HUAWEI_ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
/// The user whose key it has.
pub const HUAWEI_USER: &str = "fedcba9876543210fedcba9876543210";
/// Whose set a `wrong-account` fault hands out.
pub const OTHER_ACCOUNT: &str = "200000000001";
/// Longest session of a role unless it says otherwise: the longest there is.
pub const LONGEST_SESSION: Duration = Duration::from_hours(12);

/// Keys, roles and providers each: far above any test, and a bound.
const MOST_OF_A_KIND: usize = 10_000;

/// A long-lived access key.
#[derive(Debug)]
pub struct LongLivedKey {
    pub id: String,
    pub secret: Secret,
    /// The account (owner uin).
    pub account: String,
    /// The user's uin; equal to the account for a root key.
    pub uin: String,
}

/// A CAM role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Role {
    pub account: String,
    pub name: String,
    /// The cloud's number for it; generated when added.
    pub id: String,
    /// Longer sessions are refused, not clamped.
    pub max_session: Duration,
    pub trust: Vec<Trusted>,
    /// Required from who assumes it, if set.
    pub external_id: Option<String>,
}

impl Role {
    /// A role of `account` that everybody in the account may assume, for up to twelve hours.
    #[must_use]
    pub fn new(account: &str, name: &str) -> Self {
        Self {
            account: account.to_owned(),
            name: name.to_owned(),
            id: String::new(),
            max_session: LONGEST_SESSION,
            trust: vec![Trusted::Account(account.to_owned())],
            external_id: None,
        }
    }

    /// Whether its trust policy names the caller.
    pub(super) fn trusts(&self, caller: &Caller) -> bool {
        self.trust.iter().any(|trusted| trusted.is(self, caller))
    }

    /// As a `RoleArn` parameter names it.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("qcs::cam::uin/{}:roleName/{}", self.account, self.name)
    }

    /// As an agency of Huawei Cloud is named.
    #[must_use]
    pub fn urn(&self) -> String {
        format!("iam::{}:agency:{}", self.account, self.name)
    }
}

/// Everything the emulator believes in.
#[derive(Debug, Default)]
pub struct World {
    keys: BTreeMap<String, LongLivedKey>,
    first_key: Option<String>,
    roles: BTreeMap<(String, String), Role>,
    oidc: BTreeMap<(String, String), OidcProvider>,
    saml: BTreeMap<(String, String), SamlProvider>,
    /// `None`: the metadata service has no role bound, and answers 404.
    pub instance: Option<Instance>,
    pub(super) ledger: Ledger,
}

impl World {
    /// Nobody and nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Account 100000000001 with one sub-user's key, both with generated ids and secrets, roles
    /// `app`, `batch`, `report`, `short` (sessions up to an hour), `partner` (external id
    /// `example-external-id`), `chained` (only for role `app`), `web` (OIDC provider
    /// `example-oidc`) and `staff` (SAML provider `example-saml`). `app` is the instance's role.
    pub fn example() -> io::Result<Self> {
        let mut world = Self::empty();
        world.add_key(LongLivedKey {
            id: format!("AKIDEXAMPLE{}", &short_id()?),
            secret: Random::draw()?.secret().into(),
            account: ACCOUNT.to_owned(),
            uin: USER.to_owned(),
        })?;
        world.add_example_roles(ACCOUNT)?;
        Ok(world)
    }

    fn add_example_roles(&mut self, account: &str) -> io::Result<()> {
        for name in ["app", "batch", "report"] {
            self.add_role(Role::new(account, name))?;
        }
        let hour = Duration::from_hours(1);
        let role = |name| Role::new(account, name);
        let trusting = |name, trusted| Role {
            trust: vec![trusted],
            ..role(name)
        };
        self.add_role(Role {
            max_session: hour,
            ..role("short")
        })?;
        self.add_role(Role {
            external_id: Some("example-external-id".to_owned()),
            ..role("partner")
        })?;
        self.add_role(trusting("chained", Trusted::Role("app".to_owned())))?;
        self.add_role(trusting("web", Trusted::Oidc("example-oidc".to_owned())))?;
        self.add_role(trusting("staff", Trusted::Saml("example-saml".to_owned())))?;
        self.add_oidc_provider(OidcProvider::new(account, "example-oidc")?)?;
        self.add_saml_provider(SamlProvider::new(account, "example-saml"))?;
        self.instance = Some(Instance {
            account: account.to_owned(),
            role: "app".to_owned(),
            session: Duration::from_hours(6),
        });
        Ok(())
    }

    /// The same of Huawei Cloud: account [`HUAWEI_ACCOUNT`] with one user's key, and agencies of
    /// the same names. `deep` is in addition, only for agency `chained`.
    pub fn huawei_example() -> io::Result<Self> {
        let mut world = Self::empty();
        world.add_key(LongLivedKey {
            id: Random::draw()?.huawei_id("HPUA", 20),
            secret: Random::draw()?.secret().into(),
            account: HUAWEI_ACCOUNT.to_owned(),
            uin: HUAWEI_USER.to_owned(),
        })?;
        world.add_example_roles(HUAWEI_ACCOUNT)?;
        world.add_role(Role {
            trust: vec![Trusted::Role("chained".to_owned())],
            ..Role::new(HUAWEI_ACCOUNT, "deep")
        })?;
        Ok(world)
    }

    /// Adds or replaces a long-lived key.
    pub fn add_key(&mut self, key: LongLivedKey) -> io::Result<()> {
        has_room(self.keys.len())?;
        self.first_key.get_or_insert_with(|| key.id.clone());
        self.keys.insert(key.id.clone(), key);
        Ok(())
    }

    /// Adds a key with a generated id and secret; returns the id.
    pub fn generate_key(&mut self, account: &str, uin: &str) -> io::Result<String> {
        let random = Random::draw()?;
        let id = random.long_lived_id();
        self.add_key(LongLivedKey {
            id: id.clone(),
            secret: random.secret().into(),
            account: account.to_owned(),
            uin: uin.to_owned(),
        })?;
        Ok(id)
    }

    /// Recognises a temporary key that was issued elsewhere.
    pub fn add_issued_key(&mut self, id: &str, key: IssuedKey) {
        self.ledger.remember(id.to_owned(), Arc::new(key));
    }

    /// The account of a temporary key that was issued here.
    #[must_use]
    pub fn issued_to(&self, id: &str) -> Option<String> {
        let key = self.ledger.find(id)?;
        Some(key.caller.account().to_owned())
    }

    /// Adds or replaces a role. An empty id is generated; a replaced role keeps its own.
    pub fn add_role(&mut self, mut role: Role) -> io::Result<()> {
        has_room(self.roles.len())?;
        let place = (role.account.clone(), role.name.clone());
        if role.id.is_empty() {
            role.id = self.roles.get(&place).map_or_else(
                || format!("46116860184{:08}", self.roles.len() + 27_000_001),
                |known| known.id.clone(),
            );
        }
        self.roles.insert(place, role);
        Ok(())
    }

    /// Adds or replaces an OIDC provider.
    pub fn add_oidc_provider(&mut self, provider: OidcProvider) -> io::Result<()> {
        has_room(self.oidc.len())?;
        let place = (provider.account.clone(), provider.name.clone());
        self.oidc.insert(place, provider);
        Ok(())
    }

    /// Adds or replaces a SAML provider.
    pub fn add_saml_provider(&mut self, provider: SamlProvider) -> io::Result<()> {
        has_room(self.saml.len())?;
        let place = (provider.account.clone(), provider.name.clone());
        self.saml.insert(place, provider);
        Ok(())
    }

    /// The long-lived key that was added first: in the default world its own.
    #[must_use]
    pub fn first_key(&self) -> Option<&LongLivedKey> {
        self.keys.get(self.first_key.as_ref()?)
    }

    #[must_use]
    pub fn key(&self, id: &str) -> Option<&LongLivedKey> {
        self.keys.get(id)
    }

    /// All long-lived keys, by id.
    pub fn keys(&self) -> impl Iterator<Item = &LongLivedKey> {
        self.keys.values()
    }

    #[must_use]
    pub fn role(&self, account: &str, name: &str) -> Option<&Role> {
        self.roles.get(&(account.to_owned(), name.to_owned()))
    }

    /// A role by the cloud's number for it.
    #[must_use]
    pub fn role_by_id(&self, account: &str, id: &str) -> Option<&Role> {
        self.roles().find(|r| r.account == account && r.id == id)
    }

    /// All roles, by account and name.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values()
    }

    #[must_use]
    pub fn oidc_provider(&self, account: &str, name: &str) -> Option<&OidcProvider> {
        self.oidc.get(&(account.to_owned(), name.to_owned()))
    }

    /// All OIDC providers, by account and name.
    pub fn oidc_providers(&self) -> impl Iterator<Item = &OidcProvider> {
        self.oidc.values()
    }

    #[must_use]
    pub fn saml_provider(&self, account: &str, name: &str) -> Option<&SamlProvider> {
        self.saml.get(&(account.to_owned(), name.to_owned()))
    }

    /// All SAML providers, by account and name.
    pub fn saml_providers(&self) -> impl Iterator<Item = &SamlProvider> {
        self.saml.values()
    }

    /// Whether anything at all belongs to this account.
    #[must_use]
    pub fn has_account(&self, account: &str) -> bool {
        self.keys.values().any(|key| key.account == account)
            || self.roles.values().any(|role| role.account == account)
    }
}

fn short_id() -> io::Result<String> {
    let id = Random::draw()?.long_lived_id();
    Ok(id.chars().skip(4).take(21).collect())
}

fn has_room(count: usize) -> io::Result<()> {
    if count < MOST_OF_A_KIND {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "the emulator holds {MOST_OF_A_KIND} of these already; restart it"
        )))
    }
}
