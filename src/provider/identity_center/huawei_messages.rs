//! What travels to and from Huawei's OIDC service and portal. Unknown fields of answers are left alone.

use serde::{Deserialize, Serialize};

use crate::provider::service::answer::secret;
use crate::secret::Secret;

#[derive(Serialize)]
pub(super) struct Register<'a> {
    pub(super) client_name: &'a str,
    pub(super) client_type: &'a str,
    pub(super) token_endpoint_auth_method: &'a str,
    pub(super) grant_types: [&'a str; 1],
    pub(super) response_types: [&'a str; 1],
    pub(super) scopes: [&'a str; 1],
}

#[derive(Deserialize)]
pub(super) struct Registered {
    pub(super) client_info: ClientInfo,
}

#[derive(Deserialize)]
pub(super) struct ClientInfo {
    #[serde(rename = "client_id")]
    pub(super) id: String,
    #[serde(rename = "client_secret", deserialize_with = "secret")]
    pub(super) secret: Secret,
    #[serde(rename = "client_secret_expires_at")]
    pub(super) secret_ends_at: u64,
}

#[derive(Serialize)]
pub(super) struct Authorize<'a> {
    pub(super) client_id: &'a str,
    pub(super) client_secret: &'a str,
    pub(super) start_url: &'a str,
}

#[derive(Deserialize)]
pub(super) struct Authorized {
    #[serde(deserialize_with = "secret")]
    pub(super) device_code: Secret,
    pub(super) user_code: String,
    pub(super) verification_uri: String,
    #[serde(default)]
    pub(super) verification_uri_complete: Option<String>,
    pub(super) expires_in: u64,
    #[serde(default)]
    pub(super) interval: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct AskForToken<'a> {
    pub(super) client_id: &'a str,
    pub(super) client_secret: &'a str,
    pub(super) grant_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<&'a str>,
}

#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) token_info: TokenInfo,
}

#[derive(Deserialize)]
pub(super) struct TokenInfo {
    #[serde(deserialize_with = "secret")]
    pub(super) access_token: Secret,
    pub(super) expires_in: u64,
    #[serde(default)]
    pub(super) refresh_token: Option<String>,
}

/// The fields of errors, the portal's and those of OAuth.
#[derive(Default, Deserialize)]
pub(super) struct WireError {
    #[serde(default)]
    pub(super) error_code: Option<String>,
    #[serde(default)]
    pub(super) error_msg: Option<String>,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) error_description: Option<String>,
    #[serde(default)]
    pub(super) request_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PageInfo {
    #[serde(default)]
    pub(super) next_marker: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Accounts {
    pub(super) account_list: Vec<WireAccount>,
    #[serde(default)]
    pub(super) page_info: Option<PageInfo>,
}

#[derive(Deserialize)]
pub(super) struct WireAccount {
    pub(super) account_id: String,
    #[serde(default)]
    pub(super) account_name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Agencies {
    pub(super) agency_list: Vec<WireAgency>,
    #[serde(default)]
    pub(super) page_info: Option<PageInfo>,
}

#[derive(Deserialize)]
pub(super) struct WireAgency {
    pub(super) agency_urn: String,
    pub(super) permission_set_name: String,
    #[serde(default)]
    pub(super) description: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    pub(super) agency_credentials: AgencyCredentials,
}

#[derive(Deserialize)]
pub(super) struct AgencyCredentials {
    pub(super) access_key_id: String,
    #[serde(deserialize_with = "secret")]
    pub(super) secret_access_key: Secret,
    #[serde(deserialize_with = "secret")]
    pub(super) session_token: Secret,
    pub(super) expiration: u64,
}
