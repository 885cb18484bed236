//! What a request to STS looks like: its actions, its proof of identity, its headers, its body.
//!
//! Pure: the time and the keys are passed in. Nothing here sends.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use super::signing;
use crate::credentials::Keys;
use crate::provider::error::{Class, ProviderError};
use crate::provider::signer::SigningKeys;
use crate::provider::upstream::WipedBuffer;
use crate::secret::Secret;

const VERSION: &str = "2018-08-13";
const SERVICE: &str = "sts";
/// Signed as it is, so it has to be sent as it is.
const JSON: &str = "application/json";
/// Who we are, in the alphabet that the API allows there.
const REQUEST_CLIENT: &str = concat!("credvend_", env!("CARGO_PKG_VERSION"));

/// The actions we call.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::provider) enum Action {
    AssumeRole,
    AssumeRoleWithSaml,
    AssumeRoleWithWebIdentity,
    GetCallerIdentity,
    GetFederationToken,
}

impl Action {
    /// On the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithSaml => "AssumeRoleWithSAML",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::GetFederationToken => "GetFederationToken",
        }
    }

    /// In `[limits.tencent]`.
    pub(super) fn limit(self) -> &'static str {
        match self {
            Self::AssumeRole => "assume-role",
            Self::AssumeRoleWithSaml => "assume-role-with-saml",
            Self::AssumeRoleWithWebIdentity => "assume-role-with-web-identity",
            Self::GetCallerIdentity => "get-caller-identity",
            Self::GetFederationToken => "get-federation-token",
        }
    }
}

/// How a request shows who sends it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Auth<'a> {
    Signed {
        id: &'a str,
        secret: &'a Secret,
        /// With temporary keys.
        token: Option<&'a Secret>,
    },
    /// The parameters hold the proof.
    Unsigned,
}

impl<'a> From<&'a SigningKeys> for Auth<'a> {
    fn from(keys: &'a SigningKeys) -> Self {
        Self::Signed {
            id: keys.id(),
            secret: keys.secret(),
            token: keys.token(),
        }
    }
}

impl<'a> From<&'a Keys> for Auth<'a> {
    fn from(keys: &'a Keys) -> Self {
        Self::Signed {
            id: &keys.access_key_id,
            secret: &keys.secret_access_key,
            token: Some(&keys.session_token),
        }
    }
}

/// The `Host` header for an address: without the port if it is the scheme's own.
pub(super) fn host_of(url: &str) -> String {
    let (bare, port) = match url.strip_prefix("http://") {
        Some(bare) => (bare, ":80"),
        None => (url.strip_prefix("https://").unwrap_or(url), ":443"),
    };
    let host = bare.split('/').next().unwrap_or_default();
    host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase()
}

/// The very bytes that are signed and sent.
pub(super) fn body_of(parameters: &impl Serialize, confidential: &[&Secret]) -> WipedBuffer {
    let secrets: usize = confidential.iter().map(|it| it.expose().len()).sum();
    let mut body = WipedBuffer::with_capacity(secrets * 2);
    serde_json::to_writer(&mut body, parameters)
        .expect("parameters are structs of text and numbers, and the buffer takes everything");
    body
}

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
    let mut set = |name: HeaderName, value: &str, what: &str| {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            ProviderError::new(
                Class::Final,
                format!("{what} holds characters that no HTTP header can carry"),
            )
        })?;
        value.set_sensitive(matches!(what, TOKEN | SIGNATURE));
        headers.insert(name, value);
        Ok::<(), ProviderError>(())
    };
    let named = HeaderName::from_static;
    set(HOST, request.host, "`endpoint`")?;
    set(CONTENT_TYPE, JSON, "the content type")?;
    set(
        named("x-tc-action"),
        request.action.name(),
        "the action's name",
    )?;
    set(named("x-tc-version"), VERSION, "the version")?;
    set(
        named("x-tc-timestamp"),
        &request.timestamp.to_string(),
        "the time",
    )?;
    set(named("x-tc-region"), request.region, "`region`")?;
    set(named("x-tc-language"), "en-US", "the language")?;
    set(
        named("x-tc-requestclient"),
        REQUEST_CLIENT,
        "the client's name",
    )?;
    match request.auth {
        Auth::Unsigned => set(AUTHORIZATION, "SKIP", SIGNATURE)?,
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
            set(AUTHORIZATION, &signed.authorization(id, secret), SIGNATURE)?;
            if let Some(token) = token {
                set(named("x-tc-token"), token.expose(), TOKEN)?;
            }
        }
    }
    Ok(headers)
}

const SIGNATURE: &str = "the id of the access key";
const TOKEN: &str = "the session token";

/// Everything in a request that its answer could repeat to our harm.
pub(super) fn secrets_in<'a>(auth: Auth<'a>, confidential: &[&'a Secret]) -> Vec<&'a str> {
    let mut secrets: Vec<&str> = confidential.iter().map(|it| it.expose()).collect();
    if let Auth::Signed { secret, token, .. } = auth {
        secrets.push(secret.expose());
        secrets.extend(token.map(Secret::expose));
    }
    secrets
}

/// A service may quote the parameter it refuses, and that may be a token.
pub(super) fn without(text: &str, secrets: &[&str]) -> String {
    secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| {
            text.replace(secret, "(redacted)")
        })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Action, Auth, Headers, headers, host_of, without};
    use crate::secret::Secret;

    #[test]
    fn a_host_carries_its_port_unless_it_is_the_default() {
        for (url, host) in [
            ("https://sts.tencentcloudapi.com", "sts.tencentcloudapi.com"),
            (
                "https://STS.tencentcloudapi.com:443/",
                "sts.tencentcloudapi.com",
            ),
            ("https://a.example:8443", "a.example:8443"),
            ("http://127.0.0.1:80", "127.0.0.1"),
            ("http://[::1]:443", "[::1]:443"),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }

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
            action: Action::AssumeRole,
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
            action: Action::AssumeRole,
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

    #[test]
    fn a_quoted_secret_is_taken_out_of_a_message() {
        let text = without("bad token `CANARY`, CANARY", &["CANARY", ""]);
        assert_eq!(text, "bad token `(redacted)`, (redacted)");
    }
}
