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

use super::huawei_messages::{
    Accounts, Agencies, AskForToken, Authorize, Authorized, Credentials, PageInfo, Register,
    Registered, Tokens,
};
use super::huawei_words::{judge, moment_of, refuses_the_session, words};
use super::wire::{Endpoint, Received};
use super::{Account, Approval, PermissionSet, Session};
use crate::clock::Clock;
use crate::config::model::HuaweiPortal;
use crate::credentials::{Keys, Obtained};
use crate::provider::error::{Class, ProviderError};
use crate::provider::service::answer::obtained;
use crate::provider::service::request::url_encoded;
use crate::provider::upstream::HttpClient;
use crate::secret::Secret;

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const REFRESH_GRANT: &str = "refresh_token";
/// Entries per page; the API allows 1 to 2000.
const PAGE: u32 = 200;
/// More pages than any portal has: an answer that always names a next one must not hold us.
const MOST_PAGES: usize = 50;

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
            id: client_info.id,
            secret: client_info.secret,
            expires_at: moment_of(client_info.secret_ends_at, now),
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
