//! Huawei's IAM Identity Center: the device flow of its OIDC service, and the portal's API.
//!
//! Source: the API reference of IAM Identity Center, "OIDC" and "Portal"; field names and hosts
//! as in the official SDKs. What it leaves open and how it is met here:
//!
//! * A lifetime is described as seconds and shown as a time; both are read ([`moment_of`]).
//! * The words for "still pending" are not documented; see [`judge`].
//! * Whether there are refresh tokens is not documented; one is used if it comes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::wire::{Endpoint, Received, Words};
use super::{Account, Approval, PermissionSet, Session};
use crate::clock::Clock;
use crate::config::model::HuaweiPortal;
use crate::credentials::{Keys, Obtained};
use crate::provider::error::{Class, ProviderError};
use crate::provider::service::answer::{obtained, secret};
use crate::provider::service::request::url_encoded;
use crate::provider::upstream::HttpClient;
use crate::secret::Secret;

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const REFRESH_GRANT: &str = "refresh_token";
/// Entries per page; the API allows 1 to 2000.
const PAGE: u32 = 200;
/// More pages than any portal has: an answer that always names a next one must not hold us.
const MOST_PAGES: usize = 50;
/// Above this a number of seconds is a time, not a length; further above, in milliseconds.
const FIRST_MOMENT: u64 = 1_000_000_000;
const FIRST_MOMENT_IN_MILLISECONDS: u64 = 100_000_000_000;

/// The client we registered as. Kept until it expires, as the API asks for.
#[derive(Debug)]
pub struct Registration {
    pub id: String,
    pub secret: Secret,
    pub expires_at: SystemTime,
}

/// A sign-in that waits for a person.
pub struct Authorization {
    pub device_code: Secret,
    /// What the person compares or types.
    pub user_code: String,
    /// Where, with the code in it if the cloud offers that.
    pub url: String,
    pub expires_at: SystemTime,
    pub interval: Duration,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization")
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// The Identity Center of one portal.
#[derive(Debug)]
pub struct Huawei {
    oidc: Endpoint,
    portal: Endpoint,
    start_url: String,
}

#[derive(Serialize)]
struct Register<'a> {
    client_name: &'a str,
    client_type: &'a str,
    token_endpoint_auth_method: &'a str,
    grant_types: [&'a str; 1],
    response_types: [&'a str; 1],
    scopes: [&'a str; 1],
}

#[derive(Deserialize)]
struct Registered {
    client_info: ClientInfo,
}

#[derive(Deserialize)]
struct ClientInfo {
    client_id: String,
    #[serde(deserialize_with = "secret")]
    client_secret: Secret,
    client_secret_expires_at: u64,
}

#[derive(Serialize)]
struct Authorize<'a> {
    client_id: &'a str,
    client_secret: &'a str,
    start_url: &'a str,
}

#[derive(Deserialize)]
struct Authorized {
    #[serde(deserialize_with = "secret")]
    device_code: Secret,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default)]
    interval: Option<u64>,
}

#[derive(Serialize)]
struct AskForToken<'a> {
    client_id: &'a str,
    client_secret: &'a str,
    grant_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

#[derive(Deserialize)]
struct Tokens {
    token_info: TokenInfo,
}

#[derive(Deserialize)]
struct TokenInfo {
    #[serde(deserialize_with = "secret")]
    access_token: Secret,
    expires_in: u64,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// The fields of errors, the portal's and those of OAuth.
#[derive(Default, Deserialize)]
struct WireError {
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    error_msg: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
    #[serde(default)]
    request_id: Option<String>,
}

#[derive(Deserialize)]
struct PageInfo {
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Deserialize)]
struct Accounts {
    account_list: Vec<WireAccount>,
    #[serde(default)]
    page_info: Option<PageInfo>,
}

#[derive(Deserialize)]
struct WireAccount {
    account_id: String,
    #[serde(default)]
    account_name: Option<String>,
}

#[derive(Deserialize)]
struct Agencies {
    agency_list: Vec<WireAgency>,
    #[serde(default)]
    page_info: Option<PageInfo>,
}

#[derive(Deserialize)]
struct WireAgency {
    agency_urn: String,
    permission_set_name: String,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Deserialize)]
struct Credentials {
    agency_credentials: AgencyCredentials,
}

#[derive(Deserialize)]
struct AgencyCredentials {
    access_key_id: String,
    #[serde(deserialize_with = "secret")]
    secret_access_key: Secret,
    #[serde(deserialize_with = "secret")]
    session_token: Secret,
    expiration: u64,
}

impl Huawei {
    /// Does no I/O.
    #[must_use]
    pub fn new(settings: &HuaweiPortal, client: &Arc<HttpClient>, clock: &Arc<dyn Clock>) -> Self {
        let endpoint = |url| Endpoint::new(Arc::clone(client), Arc::clone(clock), url);
        Self {
            oidc: endpoint(&settings.oidc_endpoint),
            portal: endpoint(&settings.portal_endpoint),
            start_url: settings.start_url.clone(),
        }
    }

    /// The host that hands out credentials.
    pub(super) fn host(&self) -> &str {
        self.portal.host()
    }

    // === signing in ===

    /// Makes us known to the OIDC service.
    ///
    /// # Errors
    /// The service could not be reached or said no.
    pub async fn register(&self) -> Result<Registration, ProviderError> {
        const CALL: &str = "RegisterClient";
        let parameters = Register {
            client_name: "credvend",
            client_type: "public",
            token_endpoint_auth_method: "client_secret_post",
            grant_types: [DEVICE_GRANT],
            response_types: ["code"],
            scopes: ["openid"],
        };
        let received = self.oidc.post("/v1/clients", &parameters, &[]).await?;
        expect_success(&self.oidc, CALL, &received, &[])?;
        let Registered { client_info } = self.oidc.read(CALL, &received)?;
        let now = self.now(&received);
        Ok(Registration {
            id: client_info.client_id,
            secret: client_info.client_secret,
            expires_at: moment_of(client_info.client_secret_expires_at, now),
        })
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// The service could not be reached or said no.
    pub async fn authorize(&self, client: &Registration) -> Result<Authorization, ProviderError> {
        const CALL: &str = "StartDeviceAuthorization";
        let parameters = Authorize {
            client_id: &client.id,
            client_secret: client.secret.expose(),
            start_url: &self.start_url,
        };
        let secrets = [&client.secret];
        let received = self
            .oidc
            .post("/v1/device/authorize", &parameters, &secrets)
            .await?;
        expect_success(&self.oidc, CALL, &received, &secrets)?;
        let authorized: Authorized = self.oidc.read(CALL, &received)?;
        let now = self.now(&received);
        Ok(Authorization {
            device_code: authorized.device_code,
            user_code: authorized.user_code,
            url: authorized
                .verification_uri_complete
                .filter(|url| !url.is_empty())
                .unwrap_or(authorized.verification_uri),
            expires_at: moment_of(authorized.expires_in, now),
            interval: Duration::from_secs(authorized.interval.unwrap_or(5).clamp(1, 60)),
        })
    }

    /// Asks once whether the person has approved.
    ///
    /// # Errors
    /// The network or the service failed, which says nothing about the approval; or the client
    /// is not known any more.
    pub async fn approval(
        &self,
        client: &Registration,
        device_code: &Secret,
    ) -> Result<Approval, ProviderError> {
        let parameters = AskForToken {
            client_id: &client.id,
            client_secret: client.secret.expose(),
            grant_type: DEVICE_GRANT,
            device_code: Some(device_code.expose()),
            refresh_token: None,
        };
        self.token(&parameters, &[&client.secret, device_code])
            .await
    }

    /// A new session for a refresh token.
    ///
    /// # Errors
    /// `NeedsLogin` if the token is refused.
    pub async fn renew(
        &self,
        client: &Registration,
        refresh_token: &Secret,
    ) -> Result<Session, ProviderError> {
        let parameters = AskForToken {
            client_id: &client.id,
            client_secret: client.secret.expose(),
            grant_type: REFRESH_GRANT,
            device_code: None,
            refresh_token: Some(refresh_token.expose()),
        };
        match self
            .token(&parameters, &[&client.secret, refresh_token])
            .await?
        {
            Approval::Granted(session) => Ok(session),
            Approval::Pending | Approval::SlowDown | Approval::Denied | Approval::Expired => {
                let message = format!("{} refused to renew the session", self.oidc.host());
                Err(ProviderError::new(Class::NeedsLogin, message))
            }
        }
    }

    async fn token(
        &self,
        parameters: &AskForToken<'_>,
        secrets: &[&Secret],
    ) -> Result<Approval, ProviderError> {
        const CALL: &str = "CreateToken";
        let received = self.oidc.post("/v1/tokens", parameters, secrets).await?;
        let now = self.now(&received);
        if (200..300).contains(&received.answer.status) {
            let Tokens { token_info } = self.oidc.read(CALL, &received)?;
            return Ok(Approval::Granted(Session {
                token: token_info.access_token,
                refresh_token: token_info
                    .refresh_token
                    .filter(|token| !token.is_empty())
                    .map(Secret::from),
                zone: None,
                signed_in_at: self.oidc.clock().wall(),
                ends_at: moment_of(token_info.expires_in, now),
                end_is_estimate: false,
            }));
        }
        let words = words(&received);
        judge(received.answer.status, &words)
            .ok_or_else(|| self.oidc.refused(CALL, &received, &words, secrets))
    }

    // === in the name of a session ===

    /// Everything the person may use.
    ///
    /// # Errors
    /// `NeedsLogin` if the session is refused.
    pub async fn accounts(&self, token: &Secret) -> Result<Vec<Account>, ProviderError> {
        let mut accounts = Vec::new();
        let mut marker = None;
        for _ in 0..MOST_PAGES {
            let path = format!("/v1/assigned-accounts?{}", page(marker.as_deref()));
            let page: Accounts = self.ask("ListAccounts", &path, token).await?.1;
            accounts.extend(page.account_list.into_iter().map(|account| Account {
                name: account.account_name.unwrap_or_default(),
                id: account.account_id,
            }));
            marker = next(page.page_info);
            if marker.is_none() {
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
        account: &str,
    ) -> Result<Vec<PermissionSet>, ProviderError> {
        let mut sets = Vec::new();
        let mut marker = None;
        for _ in 0..MOST_PAGES {
            let path = format!(
                "/v1/assigned-agencies?account_id={}&{}",
                url_encoded(account),
                page(marker.as_deref())
            );
            let page: Agencies = self.ask("ListAgencies", &path, token).await?.1;
            sets.extend(page.agency_list.into_iter().map(|agency| PermissionSet {
                name: agency.permission_set_name,
                description: agency.description.unwrap_or_default(),
                handle: agency.agency_urn,
            }));
            marker = next(page.page_info);
            if marker.is_none() {
                break;
            }
        }
        Ok(sets)
    }

    /// Keys of one agency.
    ///
    /// # Errors
    /// `NeedsLogin` if the session is refused.
    pub async fn credentials(
        &self,
        token: &Secret,
        account: &str,
        agency_urn: &str,
    ) -> Result<Obtained, ProviderError> {
        const CALL: &str = "GetAgencyCredentials";
        let path = format!(
            "/v1/credentials?target_account_id={}&agency_urn={}",
            url_encoded(account),
            url_encoded(agency_urn)
        );
        let (received, answer): (_, Credentials) = self.ask(CALL, &path, token).await?;
        let credentials = answer.agency_credentials;
        let now = self.now(&received);
        let keys = Keys {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: credentials.session_token,
        };
        let expires_at = moment_of(credentials.expiration, now);
        obtained(
            keys,
            Some(expires_at),
            received.answer.date,
            received.sent_at,
        )
        .map_err(|reason| self.portal.unusable(CALL, &reason))
    }

    /// Ends a session at the cloud.
    ///
    /// # Errors
    /// The service could not be reached or said no; then the session ends by itself.
    pub async fn log_out(&self, token: &Secret) -> Result<(), ProviderError> {
        const CALL: &str = "Logout";
        let received = self
            .portal
            .with_token(Method::POST, "/v1/logout", token)
            .await?;
        expect_success(&self.portal, CALL, &received, &[token])
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        call: &str,
        path: &str,
        token: &Secret,
    ) -> Result<(Received, T), ProviderError> {
        let received = self.portal.with_token(Method::GET, path, token).await?;
        expect_success(&self.portal, call, &received, &[token])?;
        let value = self.portal.read(call, &received)?;
        Ok((received, value))
    }

    /// The service's time, or ours where it does not tell.
    fn now(&self, received: &Received) -> SystemTime {
        received
            .answer
            .date
            .unwrap_or_else(|| self.oidc.clock().wall())
    }
}

fn page(marker: Option<&str>) -> String {
    marker.map_or_else(
        || format!("limit={PAGE}"),
        |marker| format!("limit={PAGE}&marker={}", url_encoded(marker)),
    )
}

fn next(page: Option<PageInfo>) -> Option<String> {
    page?.next_marker.filter(|marker| !marker.is_empty())
}

fn expect_success(
    endpoint: &Endpoint,
    call: &str,
    received: &Received,
    secrets: &[&Secret],
) -> Result<(), ProviderError> {
    if (200..300).contains(&received.answer.status) {
        return Ok(());
    }
    let words = words(received);
    let mut error = endpoint.refused(call, received, &words, secrets);
    if refuses_the_session(received.answer.status, &words) {
        error.class = Class::NeedsLogin;
    }
    Err(error)
}

/// 401 means the token; a 403 may be about the role, unless it speaks of the token.
fn refuses_the_session(status: u16, words: &Words) -> bool {
    let text = format!("{} {}", words.code, words.message).to_ascii_lowercase();
    let about_it = [
        "access token",
        "access-token",
        "session",
        "expired",
        "invalid_token",
    ];
    status == 401 || status == 403 && about_it.iter().any(|word| text.contains(word))
}

fn words(received: &Received) -> Words {
    let wire: WireError = serde_json::from_slice(received.answer.body.as_ref()).unwrap_or_default();
    Words {
        code: wire.error_code.or(wire.error).unwrap_or_default(),
        message: wire
            .error_msg
            .or(wire.error_description)
            .unwrap_or_default(),
        request_id: wire.request_id,
    }
}

/// What a refusal of the token means for the approval; `None` if it is about something else.
///
/// The codes are not documented, so the words of RFC 8628 and their likes are looked for, and
/// whatever else a client error says counts as "not yet": the code's own end stops the waiting.
fn judge(status: u16, words: &Words) -> Option<Approval> {
    let text = format!("{} {}", words.code, words.message)
        .to_ascii_lowercase()
        .replace([' ', '-'], "_");
    let says = |word: &str| text.contains(word);
    if status == 429 || says("slow_down") {
        Some(Approval::SlowDown)
    } else if status >= 500 {
        None
    } else if says("pending") {
        Some(Approval::Pending)
    } else if says("denied") || says("rejected") {
        Some(Approval::Denied)
    } else if says("expired") {
        Some(Approval::Expired)
    } else if says("invalid_client") || matches!(status, 401 | 403) {
        None
    } else {
        tracing::debug!(
            status,
            code = words.code,
            "no word we know; taken for `pending`"
        );
        Some(Approval::Pending)
    }
}

/// A number that is described as seconds from now and shown as a time since 1970.
fn moment_of(number: u64, now: SystemTime) -> SystemTime {
    let since_1970 = |length| SystemTime::UNIX_EPOCH.checked_add(length);
    let moment = if number >= FIRST_MOMENT_IN_MILLISECONDS {
        since_1970(Duration::from_millis(number))
    } else if number >= FIRST_MOMENT {
        since_1970(Duration::from_secs(number))
    } else {
        now.checked_add(Duration::from_secs(number))
    };
    moment.unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(code: &str, message: &str) -> Words {
        Words {
            code: code.into(),
            message: message.into(),
            request_id: None,
        }
    }

    #[test]
    fn a_lifetime_is_read_as_seconds_or_as_a_time() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (number, seconds) in [
            (600, 1_700_000_600),
            (1_684_955_360, 1_684_955_360),
            (1_684_955_360_000, 1_684_955_360),
        ] {
            let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(moment_of(number, now), expected, "{number}");
        }
        assert!(moment_of(u64::MAX, now) >= now, "never a panic");
    }

    #[test]
    fn only_clear_words_end_the_waiting() {
        let judged = |status, code: &str, message: &str| match judge(status, &words(code, message))
        {
            Some(Approval::Pending) => "pending",
            Some(Approval::SlowDown) => "slow",
            Some(Approval::Denied) => "denied",
            Some(Approval::Expired) => "expired",
            Some(Approval::Granted(_)) => "granted",
            None => "error",
        };
        for (status, code, message, meaning) in [
            (400, "authorization_pending", "", "pending"),
            (400, "IIC.400", "authorization is pending", "pending"),
            (400, "IIC.400", "bad request", "pending"),
            (404, "", "", "pending"),
            (429, "", "", "slow"),
            (400, "", "slow down", "slow"),
            (400, "access_denied", "", "denied"),
            (
                403,
                "IIC.1003",
                "the request was denied by the user",
                "denied",
            ),
            (400, "expired_token", "", "expired"),
            (400, "IIC.400", "the device code has expired", "expired"),
            (401, "invalid_client", "", "error"),
            (503, "", "", "error"),
        ] {
            assert_eq!(
                judged(status, code, message),
                meaning,
                "{status} {code} {message}"
            );
        }
    }

    #[test]
    fn a_refused_role_is_told_from_a_refused_session() {
        assert!(refuses_the_session(401, &words("", "")));
        assert!(refuses_the_session(
            403,
            &words("IIC.1001", "access token has expired")
        ));
        assert!(!refuses_the_session(
            403,
            &words("IIC.1000", "no permission")
        ));
        assert!(!refuses_the_session(404, &words("IIC.1002", "")));
    }
}
