//! What a session of Huawei's Identity Center is good for: the portal's lists, keys, logging out.

use reqwest::Method;
use serde::de::DeserializeOwned;

use super::huawei::{Huawei, expect_success};
use super::huawei_messages::{Accounts, Agencies, Credentials, PageInfo};
use super::huawei_words::moment_of;
use super::wire::Received;
use super::{Account, PermissionSet};
use crate::credentials::{Keys, Obtained};
use crate::provider::error::ProviderError;
use crate::provider::service::answer::obtained;
use crate::provider::service::request::url_encoded;
use crate::secret::Secret;

/// Entries per page; the API allows 1 to 2000.
const PAGE: u32 = 200;
/// More pages than any portal has: an answer that always names a next one must not hold us.
const MOST_PAGES: usize = 50;

impl Huawei {
    /// Everything the person may use.
    ///
    /// # Errors
    /// `NeedsLogin` if the session is refused.
    pub async fn accounts(&self, token: &Secret) -> Result<Vec<Account>, ProviderError> {
        let mut accounts = Vec::new();
        let mut marker = None;
        for _ in 0..MOST_PAGES {
            let path = format!("/v1/assigned-accounts?{}", page(marker.as_deref()));
            let page: Accounts = self.listed("ListAccounts", &path, token).await?;
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
            let page: Agencies = self.listed("ListAgencies", &path, token).await?;
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

    /// Keys of one agency. Not counted here: the caller accounts for minting.
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
        let call = async {
            let path = "/v1/logout";
            let received = self.portal.with_token(Method::POST, path, token).await?;
            expect_success(&self.portal, CALL, &received, &[token])
        };
        self.portal.counted(CALL, call).await
    }

    async fn listed<T: DeserializeOwned>(
        &self,
        call: &'static str,
        path: &str,
        token: &Secret,
    ) -> Result<T, ProviderError> {
        let (_, page) = self
            .portal
            .counted(call, self.ask(call, path, token))
            .await?;
        Ok(page)
    }

    async fn ask<T: DeserializeOwned>(
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
