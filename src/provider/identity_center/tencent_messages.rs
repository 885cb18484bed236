//! What travels to and from Tencent's gateway. Unknown fields of answers are left alone.

use serde::{Deserialize, Serialize};

use crate::provider::service::answer::secret;
use crate::secret::Secret;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CheckLogin<'a> {
    pub(super) trace_id: String,
    pub(super) state: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LoginState {
    pub(super) status: String,
    #[serde(default)]
    pub(super) token: Option<LoginToken>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LoginToken {
    #[serde(deserialize_with = "secret")]
    pub(super) state: Secret,
    #[serde(deserialize_with = "secret")]
    pub(super) token: Secret,
    pub(super) site: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAccounts<'a> {
    pub(super) trace_id: String,
    pub(super) site: &'a str,
    pub(super) login_token: &'a str,
    pub(super) page_num: u32,
    pub(super) page_size: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Accounts {
    pub(super) accounts: Vec<WireAccount>,
    pub(super) total_counts: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireAccount {
    pub(super) uin: u64,
    #[serde(default)]
    pub(super) name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListRoles<'a> {
    pub(super) trace_id: String,
    pub(super) site: &'a str,
    pub(super) target_uin: u64,
    pub(super) login_token: &'a str,
    pub(super) max_results: u32,
    pub(super) next_token: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Roles {
    #[serde(default)]
    pub(super) role_configurations_for_account: Vec<WireRole>,
    #[serde(default)]
    pub(super) is_truncated: bool,
    #[serde(default)]
    pub(super) next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireRole {
    pub(super) role_configuration_id: String,
    pub(super) role_configuration_name: String,
    #[serde(default)]
    pub(super) description: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GenerateSaml<'a> {
    pub(super) trace_id: String,
    pub(super) site: &'a str,
    pub(super) login_token: &'a str,
    pub(super) login_type: &'a str,
    pub(super) target_uin: u64,
    pub(super) user_id: &'a str,
    pub(super) role_configuration_id: &'a str,
}

#[derive(Deserialize)]
pub(super) struct SamlAnswer {
    #[serde(rename = "SAMLResponse", deserialize_with = "secret")]
    pub(super) response: Secret,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Verify<'a> {
    pub(super) trace_id: String,
    pub(super) site: &'a str,
    pub(super) login_skey: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Verified {
    pub(super) zone_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Assume<'a> {
    pub(super) trace_id: String,
    pub(super) site: &'a str,
    #[serde(rename = "SAMLAssertion")]
    pub(super) saml_assertion: &'a str,
    pub(super) principal_arn: &'a str,
    pub(super) role_arn: &'a str,
    pub(super) role_session_name: &'a str,
    pub(super) duration_seconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Assumed {
    pub(super) credentials: WireCredentials,
    #[serde(default)]
    pub(super) expired_time: Option<u64>,
    #[serde(default)]
    pub(super) expiration: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireCredentials {
    pub(super) tmp_secret_id: String,
    #[serde(deserialize_with = "secret")]
    pub(super) tmp_secret_key: Secret,
    #[serde(deserialize_with = "secret")]
    pub(super) token: Secret,
}

#[derive(Deserialize)]
pub(super) struct MaybeError {
    #[serde(rename = "Error", default)]
    pub(super) error: Option<WireError>,
    #[serde(rename = "RequestId", default)]
    pub(super) request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum WireError {
    Text(String),
    Object {
        #[serde(rename = "Code", default)]
        code: String,
        #[serde(rename = "Message", default)]
        message: String,
    },
}
