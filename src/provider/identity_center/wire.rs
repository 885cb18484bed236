//! One call of a portal: JSON out, JSON in, nothing signed.

use std::fmt;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::{BootTime, Clock};
use crate::provider::error::{Class, ProviderError, foreign};
use crate::provider::service::answer::parse;
use crate::provider::service::request::{Carries, body_of, host_of, set, without};
use crate::provider::upstream::{Answer, Call, HttpClient, WipedBuffer};
use crate::secret::Secret;

/// Huawei's header for the session, in place of `Authorization`.
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("access-token");

/// One host of a portal.
pub(super) struct Endpoint {
    client: Arc<HttpClient>,
    clock: Arc<dyn Clock>,
    url: String,
    host: String,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) answer: Answer,
    pub(super) sent_at: BootTime,
}

/// A portal's own words when it says no.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Words {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) request_id: Option<String>,
}

impl Endpoint {
    pub(super) fn new(client: Arc<HttpClient>, clock: Arc<dyn Clock>, url: &str) -> Self {
        Self {
            client,
            clock,
            host: host_of(url),
            url: url.trim_end_matches('/').to_owned(),
        }
    }

    /// What people and metrics call it.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Sends JSON. `confidential` are the secrets in it, so that the buffer is large enough.
    pub(super) async fn post(
        &self,
        path: &str,
        parameters: &impl Serialize,
        confidential: &[&Secret],
    ) -> Result<Received, ProviderError> {
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
        let body = body_of(parameters, confidential);
        self.send(Method::POST, path, headers, body).await
    }

    /// Asks in the name of a session.
    pub(super) async fn with_token(
        &self,
        method: Method,
        path: &str,
        token: &Secret,
    ) -> Result<Received, ProviderError> {
        let mut headers = HeaderMap::new();
        set(&mut headers, ACCESS_TOKEN, token.expose(), Carries::Token)?;
        self.send(method, path, headers, WipedBuffer::default())
            .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: WipedBuffer,
    ) -> Result<Received, ProviderError> {
        let sent_at = self.clock.boot();
        let call = Call {
            method,
            url: format!("{}{path}", self.url),
            headers,
            body,
        };
        let answer = self.client.send(call).await?;
        Ok(Received { answer, sent_at })
    }

    /// The answer as what it should be.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        call: &str,
        received: &Received,
    ) -> Result<T, ProviderError> {
        parse(received.answer.body.as_ref()).map_err(|reason| self.unusable(call, &reason))
    }

    pub(super) fn unusable(&self, call: &str, reason: &str) -> ProviderError {
        ProviderError::new(
            Class::Transient,
            format!("{} sent no usable answer to {call}: {reason}", self.host),
        )
    }

    /// A refusal with its sentence. Final, unless the status or the code says that it is not for
    /// good; whether it is the session that is refused, the caller knows.
    pub(super) fn refused(
        &self,
        call: &str,
        received: &Received,
        words: &Words,
        secrets: &[&Secret],
    ) -> ProviderError {
        let answer = &received.answer;
        let secrets: Vec<&str> = secrets.iter().map(|it| it.expose()).collect();
        let code = foreign(&without(&words.code, &secrets));
        let message = foreign(&without(&words.message, &secrets));
        let mut sentence = format!("{} refused {call}", self.host);
        for part in [&code, &message] {
            if !part.is_empty() {
                sentence.push_str(": ");
                sentence.push_str(part.trim_end_matches(['.', ' ']));
            }
        }
        if code.is_empty() && message.is_empty() {
            sentence = format!("{sentence} (HTTP status {})", answer.status);
        }
        ProviderError {
            class: class_of(answer, &words.code),
            message: sentence,
            code: (!code.is_empty()).then_some(code),
            request_id: words.request_id.as_deref().map(foreign),
            sent: true,
            cause: None,
        }
    }
}

/// Source of the codes: the gateways' error pages of both clouds; `IIC.1006` is a conflict that
/// asks for another try.
fn class_of(answer: &Answer, code: &str) -> Class {
    let throttled = code.starts_with("RequestLimitExceeded") || code == "APIGW.0308";
    if throttled || answer.status == 429 {
        return Class::Throttled {
            retry_after: answer.retry_after,
        };
    }
    let passing = code == "IIC.1006" || code.starts_with("InternalError");
    if answer.status >= 500 || passing {
        Class::Transient
    } else {
        Class::Final
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.host).finish()
    }
}
