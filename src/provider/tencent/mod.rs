//! Tencent Cloud: STS 2018-08-13 and CVM instance metadata.
//!
//! One file per action decides what is asked; `request` builds it, `sts` asks; `answer` reads what came back;
//! `error` says what a refusal means.

pub mod answer;
pub mod error;
pub mod signing;

mod assume_role;
mod caller_identity;
mod failover;
mod federation_token;
mod instance_metadata;
mod ladder;
mod request;
mod saml;
mod sts;
mod web_identity;

pub(super) use assume_role::AssumeRole;
pub(super) use federation_token::GetFederationToken;
pub(super) use instance_metadata::{InstanceMetadata, Metadata};
pub(super) use request::Action;
pub(super) use saml::AssumeRoleWithSaml;
pub(super) use sts::Sts;
pub(super) use web_identity::AssumeRoleWithWebIdentity;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// RFC 3986's unreserved characters stay as they are, as in the official SDKs.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// STS wants a policy URL-encoded once, inside the JSON; plain JSON there is answered with
/// `InvalidParameter.StrategyFormatError`.
fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::url_encoded;

    #[test]
    fn a_policy_is_encoded_like_the_official_sdks_do() {
        assert_eq!(
            url_encoded(r#"{"resource": ["a-b_c.d~e/*"]}"#),
            "%7B%22resource%22%3A%20%5B%22a-b_c.d~e%2F%2A%22%5D%7D"
        );
    }
}
