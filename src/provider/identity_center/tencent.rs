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

use serde::Serialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq as _;

use super::tencent_messages::{
    Accounts, Assume, Assumed, CheckLogin, GenerateSaml, ListAccounts, ListRoles, LoginState,
    Roles, SamlAnswer, Verified, Verify,
};
use super::tencent_random::trace_id;
use super::tencent_words::{class_of, words};
use super::wire::{Endpoint, Received, Words};
use super::{Account, Approval, PermissionSet};
use crate::clock::{BootTime, Clock};
use crate::config::model::{Site, TencentPortal};
use crate::credentials::{Cloud, Keys, Obtained};
use crate::provider::error::{Class, ProviderError};
use crate::provider::meter::Meter;
use crate::provider::service::answer::{moment, obtained};
use crate::provider::service::request::url_encoded;
use crate::provider::session::Session;
use crate::provider::upstream::HttpClient;
use crate::secret::Secret;

/// What `tccli` takes a session for; the gateway does not say.
const ASSUMED_SESSION: Duration = Duration::from_hours(12);
/// Accounts or permission sets per page, as the tool asks for.
const PAGE: u32 = 20;
const MOST_PAGES: u32 = 500;

/// The gateway as one login uses it.
#[derive(Debug)]
pub struct Tencent {
    gateway: Endpoint,
    gateway_url: String,
    portal_url: String,
    site: Site,
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
    pub fn new(
        settings: &TencentPortal,
        client: &Arc<HttpClient>,
        clock: &Arc<dyn Clock>,
        meter: &Meter,
    ) -> Self {
        let url = settings.gateway_endpoint.trim_end_matches('/').to_owned();
        Self {
            gateway: Endpoint::new(Cloud::Tencent, &url, client, clock, meter),
            gateway_url: url,
            portal_url: settings.portal_url.clone(),
            site: settings.site,
        }
    }

    pub(super) fn host(&self) -> &str {
        self.gateway.host()
    }

    // === signing in ===

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
        let (_, answer): (_, LoginState) = self
            .counted(CALL, "/api/sso/check_login_state", &parameters, &[state])
            .await?;
        match (answer.status.as_str(), answer.token) {
            ("NotFound", _) => Ok(Approval::Pending(String::new())),
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
                // The state redeems only once: a probe that fails by chance must not lose what it
                // brought. Whoever needs the number asks for it again.
                let zone = match self.verify(&token.token).await {
                    Ok(zone) => Some(zone),
                    Err(error) if error.class == Class::NeedsLogin => return Err(error),
                    Err(error) => {
                        tracing::debug!(error = error.report(), "the session is not verified yet");
                        None
                    }
                };
                let now = self.gateway.clock().wall();
                Ok(Approval::Granted(Session {
                    zone,
                    token: token.token,
                    refresh_token: None,
                    signed_in_at: now,
                    ends_at: now + ASSUMED_SESSION,
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
        let path = "/api/org/verify_login_skey";
        let answer: Result<(_, Verified), _> = self
            .counted("verify_login_skey", path, &parameters, &[token])
            .await;
        match answer {
            Ok((_, verified)) => Ok(verified.zone_id),
            Err(error) if is_about_what_was_asked(error.class) => Err(ProviderError {
                class: Class::NeedsLogin,
                ..error
            }),
            Err(error) => Err(error),
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
                .counted("list_accounts", path, &parameters, &[token])
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
                .counted("list_role_configurations", path, &parameters, &[token])
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
            .counted("gen_saml_response", path, &parameters, &[token])
            .await;
        let answer: SamlAnswer = self.or_ended(answer, token).await?.1;
        Ok(answer.response)
    }

    /// Keys for an assertion. Not counted here: the caller accounts for minting.
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
        let (received, answer): (_, Assumed) =
            self.call(CALL, path, &parameters, &[assertion]).await?;
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
            Err(error) if is_about_what_was_asked(error.class) => error,
            other => return other,
        };
        match self.verify(token).await {
            Ok(_) => Err(ProviderError {
                class: Class::Final,
                ..error
            }),
            Err(ended) if ended.class == Class::NeedsLogin => Err(ended),
            // Nothing is known until the probe gets through.
            Err(unknown) => Err(ProviderError {
                class: unknown.class,
                ..error
            }),
        }
    }

    async fn counted<T: DeserializeOwned>(
        &self,
        call: &'static str,
        path: &str,
        parameters: &impl Serialize,
        secrets: &[&Secret],
    ) -> Result<(Received, T), ProviderError> {
        let answer = self.call(call, path, parameters, secrets);
        self.gateway.counted(call, answer).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        call: &str,
        path: &str,
        parameters: &impl Serialize,
        secrets: &[&Secret],
    ) -> Result<(Received, T), ProviderError> {
        let received = self.gateway.post(path, parameters, secrets).await?;
        match words(&received) {
            Some(words) => {
                let class = class_of(&words, &received);
                let refused = self
                    .gateway
                    .refused(call, &received, &words, class, secrets);
                Err(refused)
            }
            None if (200..300).contains(&received.answer.status) => {
                let value = self.gateway.read(call, &received)?;
                Ok((received, value))
            }
            None => {
                let words = Words::default();
                let refused = self
                    .gateway
                    .refused(call, &received, &words, Class::Final, secrets);
                Err(refused)
            }
        }
    }
}

/// A refusal for good, of the session or of what was asked in its name. There is nothing here that
/// could be re-read or asked for a shorter time.
fn is_about_what_was_asked(class: Class) -> bool {
    match class {
        Class::Final | Class::StaleSource | Class::DurationTooLong => true,
        Class::Transient
        | Class::Throttled { .. }
        | Class::Clock { .. }
        | Class::SourceUnavailable
        | Class::NeedsLogin => false,
    }
}

/// Either field; the number is the one that `tccli` reads.
fn expiry(answer: &Assumed) -> Option<SystemTime> {
    answer
        .expired_time
        .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .or_else(|| answer.expiration.as_deref().and_then(moment))
}
