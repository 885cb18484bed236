//! What a request to STS looks like: its actions and its headers.
//!
//! Pure: the time and the keys are passed in. Nothing here sends.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName};

use super::signing;
use crate::provider::error::ProviderError;
use crate::provider::service::Action;
use crate::provider::service::request::{Auth, Carries, set};

const VERSION: &str = "2018-08-13";
const SERVICE: &str = "sts";
/// Signed as it is, so it has to be sent as it is.
const JSON: &str = "application/json";
/// Who we are, in the alphabet that the API allows there.
const REQUEST_CLIENT: &str = concat!("credvend_", env!("CARGO_PKG_VERSION"));

pub(super) const ASSUME_ROLE: Action = Action {
    name: "AssumeRole",
    limit: "assume-role",
};
pub(super) const ASSUME_ROLE_WITH_SAML: Action = Action {
    name: "AssumeRoleWithSAML",
    limit: "assume-role-with-saml",
};
pub(super) const ASSUME_ROLE_WITH_WEB_IDENTITY: Action = Action {
    name: "AssumeRoleWithWebIdentity",
    limit: "assume-role-with-web-identity",
};
pub(super) const GET_CALLER_IDENTITY: Action = Action {
    name: "GetCallerIdentity",
    limit: "get-caller-identity",
};
pub(super) const GET_FEDERATION_TOKEN: Action = Action {
    name: "GetFederationToken",
    limit: "get-federation-token",
};

/// What the headers are made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers<'a> {
    pub(super) action: Action,
    pub(super) region: &'a str,
    pub(super) host: &'a str,
    pub(super) timestamp: u64,
    pub(super) auth: Auth<'a>,
    pub(super) body: &'a [u8],
}

pub(super) fn headers(request: &Headers<'_>) -> Result<HeaderMap, ProviderError> {
    let mut headers = HeaderMap::new();
    let named = HeaderName::from_static;
    let timestamp = request.timestamp.to_string();
    for (name, value, what) in [
        (HOST, request.host, "`endpoint`"),
        (CONTENT_TYPE, JSON, "the content type"),
        (named("x-tc-action"), request.action.name, "the action"),
        (named("x-tc-version"), VERSION, "the version"),
        (named("x-tc-timestamp"), &timestamp, "the time"),
        (named("x-tc-region"), request.region, "`region`"),
        (named("x-tc-language"), "en-US", "the language"),
        (
            named("x-tc-requestclient"),
            REQUEST_CLIENT,
            "the client's name",
        ),
    ] {
        set(&mut headers, name, value, Carries::Setting(what))?;
    }
    match request.auth {
        Auth::Unsigned => set(&mut headers, AUTHORIZATION, "SKIP", Carries::Signature)?,
        Auth::Signed { id, secret, token } => {
            let signed = signing::Request {
                method: "POST",
                path: "/",
                query: "",
                content_type: JSON,
                host: request.host,
                service: SERVICE,
                timestamp: request.timestamp,
                payload: request.body,
            };
            let authorization = signed.authorization(id, secret);
            set(
                &mut headers,
                AUTHORIZATION,
                &authorization,
                Carries::Signature,
            )?;
            if let Some(token) = token {
                let name = named("x-tc-token");
                set(&mut headers, name, token.expose(), Carries::Token)?;
            }
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{ASSUME_ROLE, Auth, Headers, headers};
    use crate::secret::Secret;

    #[test]
    fn headers_are_those_of_the_official_sdk() {
        let vectors: Value = serde_json::from_str(include_str!(
            "../../../tests/it/fixtures/tencent/tc3-signing.json"
        ))
        .unwrap();
        let vector = &vectors["signed"][0];
        let text = |key: &str| vector["input"][key].as_str().unwrap();
        let secret = Secret::from(text("secret_key"));
        let token = Secret::from("a-token");
        let sent = headers(&Headers {
            action: ASSUME_ROLE,
            region: text("region"),
            host: text("host"),
            timestamp: vector["input"]["timestamp"].as_u64().unwrap(),
            auth: Auth::Signed {
                id: text("secret_id"),
                secret: &secret,
                token: Some(&token),
            },
            body: text("payload").as_bytes(),
        })
        .unwrap();
        for (name, value) in vector["expected"]["headers"].as_object().unwrap() {
            assert_eq!(sent[name.as_str()], value.as_str().unwrap(), "{name}");
        }
        assert_eq!(sent["x-tc-token"], "a-token");
        assert!(sent["x-tc-token"].is_sensitive() && sent["authorization"].is_sensitive());
        assert_eq!(sent.len(), 10);
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_without_showing_it() {
        let secret = Secret::from("s");
        let error = headers(&Headers {
            action: ASSUME_ROLE,
            region: "ap-guangzhou",
            host: "a.example",
            timestamp: 1,
            auth: Auth::Signed {
                id: "CANARY\nid",
                secret: &secret,
                token: None,
            },
            body: b"{}",
        })
        .unwrap_err();
        assert_eq!(
            error.message,
            "the id of the access key holds characters that no HTTP header can carry"
        );
    }
}
