//! Tencent's Identity Center, by the gateway that the official command line signs in with.
//!
//! **Experimental.** No API document describes this gateway; the calls are those of `tccli sso`
//! (3.1.165). So everything is read strictly, certificates are always checked (the tool itself
//! does not for some of its calls), and what the gateway says is shown as it is.
//!
//! Facts that shape it: `TargetUin` is a JSON number; errors come with status 200 and a
//! top-level `Error`, a text or an object; the login token is a bearer secret for everything
//! behind the portal; *the state alone redeems the token*, so it is as secret as one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::wire::{Endpoint, Received, Words};
use super::{Account, Approval, PermissionSet, Session};
use crate::clock::{BootTime, Clock};
use crate::config::model::{Site, TencentPortal};
use crate::credentials::{Keys, Obtained};
use crate::provider::error::{Class, ProviderError};
use crate::provider::service::answer::{moment, obtained, secret};
use crate::provider::service::request::url_encoded;
use crate::provider::upstream::HttpClient;
use crate::secret::Secret;

/// What `tccli` takes a session for; the gateway does not say.
const ASSUMED_SESSION: Duration = Duration::from_hours(12);
/// Accounts or permission sets per page, as the tool asks for.
const PAGE: u32 = 20;
const MOST_PAGES: u32 = 500;
/// Letters and digits of a state.
const STATE_LENGTH: usize = 32;

/// The gateway as one login uses it.
#[derive(Debug)]
pub struct Tencent {
    gateway: Endpoint,
    gateway_url: String,
    portal_url: String,
    site: Site,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CheckLogin<'a> {
    trace_id: String,
    state: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LoginState {
    status: String,
    #[serde(default)]
    token: Option<LoginToken>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LoginToken {
    #[serde(deserialize_with = "secret")]
    state: Secret,
    #[serde(deserialize_with = "secret")]
    token: Secret,
    site: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListAccounts<'a> {
    trace_id: String,
    site: &'a str,
    login_token: &'a str,
    page_num: u32,
    page_size: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Accounts {
    accounts: Vec<WireAccount>,
    total_counts: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireAccount {
    uin: u64,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListRoles<'a> {
    trace_id: String,
    site: &'a str,
    target_uin: u64,
    login_token: &'a str,
    max_results: u32,
    next_token: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Roles {
    #[serde(default)]
    role_configurations_for_account: Vec<WireRole>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireRole {
    role_configuration_id: String,
    role_configuration_name: String,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GenerateSaml<'a> {
    trace_id: String,
    site: &'a str,
    login_token: &'a str,
    login_type: &'a str,
    target_uin: u64,
    user_id: &'a str,
    role_configuration_id: &'a str,
}

#[derive(Deserialize)]
struct SamlAnswer {
    #[serde(rename = "SAMLResponse", deserialize_with = "secret")]
    response: Secret,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Verify<'a> {
    trace_id: String,
    site: &'a str,
    login_skey: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Verified {
    zone_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Assume<'a> {
    trace_id: String,
    site: &'a str,
    #[serde(rename = "SAMLAssertion")]
    saml_assertion: &'a str,
    principal_arn: &'a str,
    role_arn: &'a str,
    role_session_name: &'a str,
    duration_seconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    credentials: WireCredentials,
    #[serde(default)]
    expired_time: Option<u64>,
    #[serde(default)]
    expiration: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireCredentials {
    tmp_secret_id: String,
    #[serde(deserialize_with = "secret")]
    tmp_secret_key: Secret,
    #[serde(deserialize_with = "secret")]
    token: Secret,
}

#[derive(Deserialize)]
struct MaybeError {
    #[serde(rename = "Error", default)]
    error: Option<WireError>,
    #[serde(rename = "RequestId", default)]
    request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireError {
    Text(String),
    Object {
        #[serde(rename = "Code", default)]
        code: String,
        #[serde(rename = "Message", default)]
        message: String,
    },
}

/// What an assertion is to be exchanged for at the gateway.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange<'a> {
    pub(super) principal_arn: &'a str,
    pub(super) role_arn: &'a str,
    pub(super) session_name: &'a str,
    pub(super) seconds: u64,
}

impl Tencent {
    /// Does no I/O.
    #[must_use]
    pub fn new(settings: &TencentPortal, client: &Arc<HttpClient>, clock: &Arc<dyn Clock>) -> Self {
        let url = settings.gateway_endpoint.trim_end_matches('/').to_owned();
        Self {
            gateway: Endpoint::new(Arc::clone(client), Arc::clone(clock), &url),
            gateway_url: url,
            portal_url: settings.portal_url.clone(),
            site: settings.site,
        }
    }

    pub(super) fn host(&self) -> &str {
        self.gateway.host()
    }

    // === signing in ===

    /// A state nobody can guess.
    ///
    /// # Errors
    /// The kernel has no random numbers.
    pub fn new_state() -> Result<Secret, ProviderError> {
        const ALPHABET: &[u8; 62] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut state = zeroize::Zeroizing::new(String::with_capacity(STATE_LENGTH));
        while state.len() < STATE_LENGTH {
            let mut bytes = zeroize::Zeroizing::new([0_u8; 64]);
            random(&mut *bytes)?;
            // Bytes that would make some letters likelier than others are left out.
            let fair = bytes.iter().filter(|byte| **byte < 248);
            let letters = fair.filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
            let missing = STATE_LENGTH - state.len();
            state.extend(letters.take(missing).map(|letter| char::from(*letter)));
        }
        Ok(Secret::from(state.as_str()))
    }

    /// Where the person signs in. Holds the state.
    #[must_use]
    pub fn sign_in_url(&self, state: &Secret) -> Secret {
        let callback = format!(
            "{}/sso?lang=en-US&site={}&state={}",
            self.gateway_url,
            self.site.as_str(),
            state.expose()
        );
        Secret::from(format!(
            "{}?loginType=tccli&callback={}&state={}",
            self.portal_url,
            url_encoded(&callback),
            state.expose()
        ))
    }

    /// Asks once whether the person has signed in.
    ///
    /// # Errors
    /// The network or the gateway failed, which says nothing about the person.
    pub async fn approval(&self, state: &Secret) -> Result<Approval, ProviderError> {
        const CALL: &str = "check_login_state";
        let parameters = CheckLogin {
            trace_id: trace_id()?,
            state: state.expose(),
        };
        let (received, answer): (_, LoginState) = self
            .call(CALL, "/api/sso/check_login_state", &parameters, &[state])
            .await?;
        match (answer.status.as_str(), answer.token) {
            ("NotFound", _) => Ok(Approval::Pending),
            ("Finished", Some(token)) => {
                let same = token
                    .state
                    .expose()
                    .as_bytes()
                    .ct_eq(state.expose().as_bytes());
                if !bool::from(same) || token.site != self.site.as_str() || token.token.is_empty() {
                    let reason = "its token is for another sign-in";
                    return Err(self.gateway.unusable(CALL, reason));
                }
                let now = self.gateway.clock().wall();
                Ok(Approval::Granted(Session {
                    zone: Some(self.verify(&token.token).await?),
                    token: token.token,
                    refresh_token: None,
                    signed_in_at: now,
                    ends_at: received.answer.date.unwrap_or(now) + ASSUMED_SESSION,
                    end_is_estimate: true,
                }))
            }
            _ => Err(self
                .gateway
                .unusable(CALL, "it has a status we do not know")),
        }
    }

    // === in the name of a session ===

    /// The number of the Identity Center, which also shows that the token is good.
    ///
    /// # Errors
    /// `NeedsLogin` if the token is refused.
    pub async fn verify(&self, token: &Secret) -> Result<String, ProviderError> {
        let parameters = Verify {
            trace_id: trace_id()?,
            site: self.site.as_str(),
            login_skey: token.expose(),
        };
        let answer: Result<(_, Verified), _> = self
            .call(
                "verify_login_skey",
                "/api/org/verify_login_skey",
                &parameters,
                &[token],
            )
            .await;
        match answer {
            Ok((_, verified)) => Ok(verified.zone_id),
            Err(mut error) => {
                if error.class == Class::Final {
                    error.class = Class::NeedsLogin;
                }
                Err(error)
            }
        }
    }

    /// Every account the person may use.
    ///
    /// # Errors
    /// `NeedsLogin` if the session is refused.
    pub async fn accounts(&self, token: &Secret) -> Result<Vec<Account>, ProviderError> {
        let mut accounts: Vec<Account> = Vec::new();
        for page_num in 1..=MOST_PAGES {
            let parameters = ListAccounts {
                trace_id: trace_id()?,
                site: self.site.as_str(),
                login_token: token.expose(),
                page_num,
                page_size: PAGE,
            };
            let path = "/api/org/list_accounts_for_access_assignment";
            let answer = self
                .call("list_accounts", path, &parameters, &[token])
                .await;
            let page: Accounts = self.or_ended(answer, token).await?.1;
            let was_empty = page.accounts.is_empty();
            accounts.extend(page.accounts.into_iter().map(|account| Account {
                id: account.uin.to_string(),
                name: account.name.unwrap_or_default(),
            }));
            if was_empty || accounts.len() as u64 >= page.total_counts {
                break;
            }
        }
        Ok(accounts)
    }

    /// What the person may be in one account.
    ///
    /// # Errors
    /// `NeedsLogin` if the session is refused.
    pub async fn permission_sets(
        &self,
        token: &Secret,
        account: u64,
    ) -> Result<Vec<PermissionSet>, ProviderError> {
        let mut sets = Vec::new();
        let mut next_token = String::new();
        for _ in 0..MOST_PAGES {
            let parameters = ListRoles {
                trace_id: trace_id()?,
                site: self.site.as_str(),
                target_uin: account,
                login_token: token.expose(),
                max_results: PAGE,
                next_token: &next_token,
            };
            let path = "/api/org/list_role_configurations_for_account";
            let answer = self
                .call("list_role_configurations", path, &parameters, &[token])
                .await;
            let page: Roles = self.or_ended(answer, token).await?.1;
            let roles = page.role_configurations_for_account.into_iter();
            sets.extend(roles.map(|role| PermissionSet {
                name: role.role_configuration_name,
                description: role.description.unwrap_or_default(),
                handle: role.role_configuration_id,
            }));
            match page
                .next_token
                .filter(|next| page.is_truncated && !next.is_empty())
            {
                Some(next) => next_token = next,
                None => break,
            }
        }
        Ok(sets)
    }

    /// An assertion for one permission set.
    ///
    /// # Errors
    /// `NeedsLogin` if the session is refused.
    pub(super) async fn assertion(
        &self,
        token: &Secret,
        account: u64,
        configuration: &str,
    ) -> Result<Secret, ProviderError> {
        let parameters = GenerateSaml {
            trace_id: trace_id()?,
            site: self.site.as_str(),
            login_token: token.expose(),
            login_type: "RoleSAML",
            target_uin: account,
            user_id: "",
            role_configuration_id: configuration,
        };
        let path = "/api/org/gen_saml_response";
        let answer = self
            .call("gen_saml_response", path, &parameters, &[token])
            .await;
        let answer: SamlAnswer = self.or_ended(answer, token).await?.1;
        Ok(answer.response)
    }

    /// Keys for an assertion.
    pub(super) async fn mint(
        &self,
        assertion: &Secret,
        wanted: Exchange<'_>,
    ) -> Result<Obtained, ProviderError> {
        const CALL: &str = "assume_role_with_saml";
        let parameters = Assume {
            trace_id: trace_id()?,
            site: self.site.as_str(),
            saml_assertion: assertion.expose(),
            principal_arn: wanted.principal_arn,
            role_arn: wanted.role_arn,
            role_session_name: wanted.session_name,
            duration_seconds: wanted.seconds,
        };
        let path = "/api/sts/assume_role_with_saml";
        let (received, answer): (_, Assumed) = self
            .call(CALL, path, &parameters, &[assertion])
            .await
            .map_err(|mut error: ProviderError| {
                if error.code.as_deref() == Some("InvalidParameter.OverTimeError") {
                    error.class = Class::DurationTooLong;
                }
                error
            })?;
        let expires_at = expiry(&answer);
        let credentials = answer.credentials;
        let keys = Keys {
            access_key_id: credentials.tmp_secret_id,
            secret_access_key: credentials.tmp_secret_key,
            session_token: credentials.token,
        };
        let sent_at: BootTime = received.sent_at;
        obtained(keys, expires_at, received.answer.date, sent_at)
            .map_err(|reason| self.gateway.unusable(CALL, &reason))
    }

    /// Whether a refusal is about the session shows only in the probe.
    async fn or_ended<T>(
        &self,
        answer: Result<T, ProviderError>,
        token: &Secret,
    ) -> Result<T, ProviderError> {
        let error = match answer {
            Err(error) if error.class == Class::Final => error,
            other => return other,
        };
        match self.verify(token).await {
            Err(ended) if ended.class == Class::NeedsLogin => Err(ended),
            Ok(_) | Err(_) => Err(error),
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        call: &str,
        path: &str,
        parameters: &impl Serialize,
        secrets: &[&Secret],
    ) -> Result<(Received, T), ProviderError> {
        let received = self.gateway.post(path, parameters, secrets).await?;
        let maybe: Result<MaybeError, _> = serde_json::from_slice(received.answer.body.as_ref());
        let error = maybe.ok().and_then(|it| Some((it.error?, it.request_id)));
        let words = match error {
            Some((WireError::Text(message), request_id)) => Words {
                code: String::new(),
                message,
                request_id,
            },
            Some((WireError::Object { code, message }, request_id)) => Words {
                code,
                message,
                request_id,
            },
            None if (200..300).contains(&received.answer.status) => {
                let value = self.gateway.read(call, &received)?;
                return Ok((received, value));
            }
            None => Words::default(),
        };
        Err(self.gateway.refused(call, &received, &words, secrets))
    }
}

/// Either field; the number is the one that `tccli` reads.
fn expiry(answer: &Assumed) -> Option<SystemTime> {
    answer
        .expired_time
        .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .or_else(|| answer.expiration.as_deref().and_then(moment))
}

/// A fresh UUID (version 4), which every call carries.
fn trace_id() -> Result<String, ProviderError> {
    let mut bytes = [0_u8; 16];
    random(&mut bytes)?;
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) | 4 << 76;
    let number = number & !(0x3 << 62) | 2 << 62;
    let hex = format!("{number:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    Ok([
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32),
    ]
    .join("-"))
}

fn random(bytes: &mut [u8]) -> Result<(), ProviderError> {
    getrandom::fill(bytes).map_err(|error| {
        ProviderError::new(Class::Transient, "the kernel has no random numbers").caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_long_plain_and_new_each_time() {
        let (one, other) = (Tencent::new_state().unwrap(), Tencent::new_state().unwrap());
        assert_eq!(one.expose().len(), STATE_LENGTH);
        assert!(
            one.expose()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric())
        );
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn a_trace_id_is_a_uuid() {
        let id = trace_id().unwrap();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(id.as_bytes()[14], b'4', "{id}");
    }

    #[test]
    fn both_shapes_of_an_error_are_read() {
        for (json, code, message) in [
            (r#"{"Error": "no such token"}"#, "", "no such token"),
            (r#"{"Error": {"Code": "A.B", "Message": "m"}}"#, "A.B", "m"),
        ] {
            let read: MaybeError = serde_json::from_str(json).unwrap();
            let found = match read.error.unwrap() {
                WireError::Text(message) => (String::new(), message),
                WireError::Object { code, message } => (code, message),
            };
            assert_eq!(found, (code.to_owned(), message.to_owned()));
        }
        let read: MaybeError = serde_json::from_str(r#"{"Status": "NotFound"}"#).unwrap();
        assert!(read.error.is_none());
    }
}
