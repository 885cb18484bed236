//! What the control API adds to the world, and what it asks of it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Mistake, read};
use crate::emulator::state::State;
use crate::emulator::world::{
    ACCOUNT, HUAWEI_ACCOUNT, HUAWEI_USER, Instance, LONGEST_SESSION, LongLivedKey, OidcProvider,
    Role, SamlProvider, USER, World,
};

/// Life of tokens and assertions, unless asked for another.
const PROOF_LIFETIME: u64 = 300;

/// Which cloud something is added to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Of {
    Huawei,
    #[default]
    Tencent,
}

impl Of {
    /// How the cloud names a role, and what it calls such a name.
    pub(super) fn role(self, role: &Role) -> (&'static str, String) {
        match self {
            Self::Huawei => ("urn", role.urn()),
            Self::Tencent => ("arn", role.arn()),
        }
    }

    pub(super) fn saml_provider(self, provider: &SamlProvider) -> (&'static str, String) {
        match self {
            Self::Huawei => ("urn", provider.urn()),
            Self::Tencent => ("arn", provider.arn()),
        }
    }

    pub(super) fn with_world<T>(self, state: &State, work: impl FnOnce(&mut World) -> T) -> T {
        match self {
            Self::Huawei => state.with_huawei(work),
            Self::Tencent => state.with_world(work),
        }
    }

    fn account(self, given: Option<String>) -> Result<String, Mistake> {
        match self {
            Self::Huawei => identifier(given, HUAWEI_ACCOUNT, "account"),
            Self::Tencent => number(given, ACCOUNT, "account"),
        }
    }

    fn user(self, given: Option<String>) -> Result<String, Mistake> {
        match self {
            Self::Huawei => identifier(given, HUAWEI_USER, "uin"),
            Self::Tencent => number(given, USER, "uin"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    #[serde(default)]
    cloud: Of,
    account: Option<String>,
    uin: Option<String>,
    id: Option<String>,
    secret: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRole {
    #[serde(default)]
    cloud: Of,
    name: String,
    account: Option<String>,
    max_session_seconds: Option<u64>,
    trust: Option<Vec<String>>,
    external_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
enum NewProvider {
    Oidc {
        #[serde(default)]
        cloud: Of,
        name: String,
        account: Option<String>,
        issuer: Option<String>,
        audiences: Option<Vec<String>>,
        subjects: Option<Vec<String>>,
        key: Option<String>,
    },
    Saml {
        #[serde(default)]
        cloud: Of,
        name: String,
        account: Option<String>,
        issuer: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewInstance {
    #[serde(default)]
    cloud: Of,
    account: Option<String>,
    /// `null`: no role is bound.
    role: Option<String>,
    session_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    #[serde(default)]
    cloud: Of,
    provider: String,
    account: Option<String>,
    subject: Option<String>,
    lifetime_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAssertion {
    #[serde(default)]
    cloud: Of,
    provider: String,
    account: Option<String>,
    role: String,
    session_name: Option<String>,
    lifetime_seconds: Option<u64>,
}

/// The one answer with a secret in it: who asks for a key wants to use it.
pub(super) fn key(state: &State, body: &[u8]) -> Result<Value, Mistake> {
    let new: NewKey = read(body)?;
    let account = new.cloud.account(new.account)?;
    let uin = new.cloud.user(new.uin)?;
    if new.id.is_some() != new.secret.is_some() {
        return Err(mistake(
            "`id` and `secret` go together; leave out both and they are generated",
        ));
    }
    new.cloud.with_world(state, |world| {
        let id = match (new.id, new.secret) {
            (Some(id), Some(secret)) => {
                if !is_plain(&id) || secret.is_empty() {
                    return Err(mistake(
                        "`id` has 1 to 128 letters, digits, `-` and `_`, and `secret` is not empty",
                    ));
                }
                let secret = secret.into();
                world.add_key(LongLivedKey {
                    id: id.clone(),
                    secret,
                    account,
                    uin,
                })?;
                id
            }
            _ => world.generate_key(&account, &uin)?,
        };
        let key = world.key(&id).ok_or_else(|| mistake("the key is gone"))?;
        Ok(json!({
            "id": key.id,
            "secret": key.secret.expose(),
            "account": key.account,
            "uin": key.uin,
        }))
    })
}

pub(super) fn role(state: &State, body: &[u8]) -> Result<Value, Mistake> {
    let new: NewRole = read(body)?;
    let account = new.cloud.account(new.account)?;
    let mut role = Role::new(&account, &name(new.name)?);
    if let Some(seconds) = new.max_session_seconds {
        role.max_session = session(seconds, "max_session_seconds")?;
    }
    if let Some(trust) = new.trust {
        role.trust = trust
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()?;
    }
    role.external_id = new.external_id;
    new.cloud.with_world(state, |world| {
        let (account, name) = (role.account.clone(), role.name.clone());
        world.add_role(role)?;
        let role = world.role(&account, &name);
        let role = role.ok_or_else(|| mistake("the role is gone"))?;
        let (called, its_name) = new.cloud.role(role);
        Ok(json!({ called: its_name, "id": role.id }))
    })
}

pub(super) fn provider(state: &State, body: &[u8]) -> Result<Value, Mistake> {
    match read(body)? {
        NewProvider::Oidc {
            cloud,
            name: new_name,
            account,
            issuer,
            audiences,
            subjects,
            key,
        } => {
            let account = cloud.account(account)?;
            let mut provider = OidcProvider::new(&account, &name(new_name)?)?;
            provider.issuer = issuer.unwrap_or(provider.issuer);
            provider.audiences = audiences.unwrap_or(provider.audiences);
            provider.subjects = subjects.unwrap_or(provider.subjects);
            provider.key = key.map_or(provider.key, Into::into);
            let shown = json!({ "name": provider.name, "issuer": provider.issuer });
            cloud.with_world(state, |world| world.add_oidc_provider(provider))?;
            Ok(shown)
        }
        NewProvider::Saml {
            cloud,
            name: new_name,
            account,
            issuer,
        } => {
            let account = cloud.account(account)?;
            let mut provider = SamlProvider::new(&account, &name(new_name)?);
            provider.issuer = issuer.unwrap_or(provider.issuer);
            let (called, its_name) = cloud.saml_provider(&provider);
            let shown = json!({ called: its_name, "issuer": provider.issuer });
            cloud.with_world(state, |world| world.add_saml_provider(provider))?;
            Ok(shown)
        }
    }
}

pub(super) fn instance(state: &State, body: &[u8]) -> Result<Value, Mistake> {
    const DEFAULT: u64 = 6 * 3_600;
    let new: NewInstance = read(body)?;
    let account = new.cloud.account(new.account)?;
    let session = session(new.session_seconds.unwrap_or(DEFAULT), "session_seconds")?;
    new.cloud.with_world(state, |world| {
        if let Some(role) = &new.role
            && world.role(&account, role).is_none()
        {
            return Err(mistake("there is no such role; add it first"));
        }
        world.instance = new.role.map(|role| Instance {
            account,
            role,
            session,
        });
        Ok(json!({}))
    })
}

pub(super) fn web_identity_token(state: &State, body: &[u8]) -> Result<Value, Mistake> {
    let new: NewToken = read(body)?;
    let account = new.cloud.account(new.account)?;
    let subject = new
        .subject
        .as_deref()
        .unwrap_or("system:serviceaccount:default:example");
    let lifetime = proof_lifetime(new.lifetime_seconds);
    let now = state.now();
    new.cloud.with_world(state, |world| {
        let provider = world.oidc_provider(&account, &new.provider);
        let provider = provider.ok_or_else(|| mistake("there is no such OIDC provider"))?;
        Ok(json!({ "token": provider.token(subject, now, lifetime) }))
    })
}

pub(super) fn saml_assertion(state: &State, body: &[u8]) -> Result<Value, Mistake> {
    let new: NewAssertion = read(body)?;
    let account = new.cloud.account(new.account)?;
    let session = new.session_name.as_deref().unwrap_or("example");
    let lifetime = proof_lifetime(new.lifetime_seconds);
    let now = state.now();
    new.cloud.with_world(state, |world| {
        let provider = world.saml_provider(&account, &new.provider);
        let provider = provider.ok_or_else(|| mistake("there is no such SAML provider"))?;
        let role = Role::new(&account, &new.role);
        let (_, its_name) = new.cloud.role(&role);
        let assertion = match new.cloud {
            Of::Huawei => provider.huawei_assertion(&its_name, session, now, lifetime)?,
            Of::Tencent => provider.assertion(&its_name, session, now, lifetime)?,
        };
        Ok(json!({ "assertion": assertion }))
    })
}

/// Zero makes one that is expired already.
fn proof_lifetime(seconds: Option<u64>) -> Duration {
    Duration::from_secs(seconds.unwrap_or(PROOF_LIFETIME)).min(LONGEST_SESSION)
}

fn session(seconds: u64, name: &str) -> Result<Duration, Mistake> {
    let session = Duration::from_secs(seconds);
    if session.is_zero() || session > LONGEST_SESSION {
        return Err(Mistake(format!("`{name}` lies between 1 and 43200")));
    }
    Ok(session)
}

fn number(text: Option<String>, default: &str, name: &str) -> Result<String, Mistake> {
    let text = text.unwrap_or_else(|| default.to_owned());
    if (1..=24).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(Mistake(format!("`{name}` has 1 to 24 digits, as text")))
    }
}

fn identifier(text: Option<String>, default: &str, name: &str) -> Result<String, Mistake> {
    let text = text.unwrap_or_else(|| default.to_owned());
    if (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(text)
    } else {
        Err(Mistake(format!("`{name}` has 1 to 64 letters and digits")))
    }
}

fn name(text: String) -> Result<String, Mistake> {
    if is_plain(&text) {
        Ok(text)
    } else {
        Err(mistake("`name` has 1 to 128 letters, digits, `-` and `_`"))
    }
}

fn is_plain(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn mistake(sentence: &str) -> Mistake {
    Mistake(sentence.to_owned())
}
