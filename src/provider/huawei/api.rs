//! One call of STS v5 or IAM v3.0: signed, sent, read, and what its refusals mean to the code
//! that all clouds share.

use std::path::PathBuf;
use std::time::SystemTime;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer;
use super::{error, signing};
use crate::config::model;
use crate::credentials::{Cloud, Obtained};
use crate::provider::CallSite;
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError};
use crate::provider::service::answer::{Holds, Refusal};
use crate::provider::service::ladder::Ladder;
use crate::provider::service::request::{Auth, Carries, body_of, secrets_in, set};
use crate::provider::service::{Action, Answered, Circumstances, Dialect, Service};
use crate::secret::{Secret, WipedBuffer};

/// Signed as it is, so it has to be sent as it is.
const JSON: &str = "application/json";

/// One operation of an API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) action: Action,
    pub(super) path: &'static str,
}

/// STS or IAM as one provider calls it.
#[derive(Debug)]
pub(in crate::provider) struct Api {
    service: Service,
}

/// What one call is made from.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) operation: Operation,
    pub(super) auth: Auth<'a>,
    /// Secrets among the parameters, in case the answer quotes one.
    pub(super) confidential: &'a [&'a Secret],
}

impl Api {
    /// For a provider that calls `operations`. Does no I/O.
    pub(super) fn new(
        settings: &model::Service,
        operations: &[Operation],
        context: &BuildContext,
    ) -> Self {
        let actions: Vec<Action> = operations.iter().map(|it| it.action).collect();
        Self {
            service: Service::new(Cloud::Huawei, settings, &actions, context),
        }
    }

    /// What a call would count against now.
    pub(super) fn call_site(&self, operation: Operation) -> CallSite {
        self.service.call_site(operation.action)
    }

    /// Files whose change makes another call worth while.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.service.watched_files()
    }

    /// The endpoint's time, as far as we know.
    pub(super) fn now(&self) -> SystemTime {
        self.service.now()
    }

    /// Posts a minting operation for a session of `seconds`, and steps that down if it is refused
    /// as too long. `whose` says in an error what has the cap.
    pub(super) async fn mint<T: Holds>(
        &self,
        ask: Ask<'_>,
        parameters: &impl Serialize,
        (ladder, seconds): (&Ladder, u64),
        whose: &str,
    ) -> Result<Obtained, ProviderError> {
        let action = ask.operation.action;
        let body = body_of(parameters, ask.confidential);
        let answered = self
            .call::<T>(Method::POST, ask, body)
            .await
            .map_err(|error| ladder.judge(error, seconds, whose))?;
        answered.into_obtained(action, seconds)
    }

    /// Gets the answer to a question without parameters.
    pub(super) async fn get<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, ProviderError> {
        let answered = self.call(Method::GET, ask, WipedBuffer::default()).await?;
        Ok(answered.value)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        ask: Ask<'_>,
        body: WipedBuffer,
    ) -> Result<Answered<T>, ProviderError> {
        let target = self.service.target();
        let headers = headers(&Headers {
            method: &method,
            path: ask.operation.path,
            host: target.host(),
            timestamp: target.timestamp(),
            auth: ask.auth,
            body: body.as_ref(),
        })?;
        let received = target
            .send(method, ask.operation.path, headers, body)
            .await?;
        let read = answer::read(&received.answer);
        let secrets = secrets_in(ask.auth, ask.confidential);
        let dialect = Huawei {
            temporary_keys: matches!(ask.auth, Auth::Signed { token: Some(_), .. }),
        };
        target.conclude(ask.operation.action, &received, read, &dialect, &secrets)
    }
}

/// What the headers are made from.
struct Headers<'a> {
    method: &'a Method,
    path: &'a str,
    host: &'a str,
    timestamp: u64,
    auth: Auth<'a>,
    body: &'a [u8],
}

/// The server checks the headers that the signature names, so those that say what the request is
/// are signed and the others left to relays.
fn headers(request: &Headers<'_>) -> Result<HeaderMap, ProviderError> {
    let mut headers = HeaderMap::new();
    let setting = Carries::Setting;
    set(&mut headers, HOST, request.host, setting("`endpoint`"))?;
    set(
        &mut headers,
        CONTENT_TYPE,
        JSON,
        setting("the content type"),
    )?;
    let Auth::Signed { id, secret, token } = request.auth else {
        return Ok(headers);
    };
    let named = HeaderName::from_static;
    let date = signing::date_text(request.timestamp);
    set(
        &mut headers,
        named(signing::DATE_HEADER),
        &date,
        setting("the time"),
    )?;
    let mut signed = vec![
        ("content-type", JSON),
        ("host", request.host),
        (signing::DATE_HEADER, &*date),
    ];
    if let Some(token) = token {
        let name = named(signing::TOKEN_HEADER);
        set(&mut headers, name, token.expose(), Carries::Token)?;
        signed.push((signing::TOKEN_HEADER, token.expose()));
    }
    let authorization = signing::Request {
        scheme: signing::Scheme::Plain,
        method: request.method.as_str(),
        path: request.path,
        query: &[],
        headers: &signed,
        payload: request.body,
    }
    .authorization(id, secret);
    set(
        &mut headers,
        AUTHORIZATION,
        &authorization,
        Carries::Signature,
    )?;
    Ok(headers)
}

struct Huawei {
    temporary_keys: bool,
}

impl Dialect for Huawei {
    fn time_told(&self, refusal: &Refusal, date: Option<SystemTime>) -> Option<SystemTime> {
        error::time_told(&refusal.code, &refusal.message, date)
    }

    fn classify(&self, refusal: &Refusal, circumstances: Circumstances) -> Class {
        let circumstances = error::Circumstances {
            status: circumstances.status,
            retry_after: circumstances.retry_after,
            ahead_seconds: circumstances.ahead_seconds,
            off_seconds: circumstances.off_seconds,
            temporary_keys: self.temporary_keys,
        };
        error::classify(&refusal.code, &refusal.message, circumstances)
    }

    fn hint(&self, refusal: &Refusal) -> Option<&'static str> {
        error::hint(&refusal.code, &refusal.message)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::{Headers, headers};
    use crate::provider::service::request::Auth;
    use crate::secret::Secret;

    const TIMESTAMP: u64 = 1_767_323_045;

    fn request<'a>(auth: Auth<'a>, body: &'a [u8]) -> Headers<'a> {
        Headers {
            method: &Method::POST,
            path: "/v5/agencies/assume",
            host: "sts.cn-north-4.myhuaweicloud.com",
            timestamp: TIMESTAMP,
            auth,
            body,
        }
    }

    /// The signature was computed by the official Python signer from the same headers.
    #[test]
    fn what_says_what_the_request_is_is_signed() {
        let secret = Secret::from("ExampleSecretKey00000000000000000000001B");
        let token = Secret::from("EXAMPLE-SECURITY-TOKEN-gQpjbi1ub3J0aC00-0001");
        let auth = Auth::Signed {
            id: "EXAMPLEAK0000000001A",
            secret: &secret,
            token: Some(&token),
        };
        let sent = headers(&request(auth, b"{\"a\":1}")).unwrap();
        assert_eq!(sent["x-sdk-date"], "20260102T030405Z");
        assert_eq!(sent["x-security-token"], token.expose());
        assert!(sent["x-security-token"].is_sensitive() && sent["authorization"].is_sensitive());
        assert_eq!(
            sent["authorization"],
            "SDK-HMAC-SHA256 Access=EXAMPLEAK0000000001A, \
             SignedHeaders=content-type;host;x-sdk-date;x-security-token, \
             Signature=3040d87a51022271a8f6e4fc9eab5c3c3c58f54f1aa5e9096a7e21f7174814d7"
        );
        assert_eq!(sent.len(), 5);
    }

    #[test]
    fn an_unsigned_request_shows_no_key() {
        let sent = headers(&request(Auth::Unsigned, b"{}")).unwrap();
        assert_eq!(sent.len(), 2);
        assert!(!sent.contains_key("authorization"));
    }
}
