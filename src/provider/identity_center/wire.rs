//! One call of a portal: JSON out, JSON in, nothing signed.
//!
//! Promise: only the service's own words refuse anything. A page without any (a relay's, the
//! sign-in page of a network, a redirect) is no answer, whatever its status, and passes; 401 alone
//! is a word by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::{BootTime, Clock};
use crate::credentials::Cloud;
use crate::provider::CallSite;
use crate::provider::error::{Class, ProviderError, foreign};
use crate::provider::meter::Meter;
use crate::provider::service::answer::{parse, strange};
use crate::provider::service::request::{Carries, body_of, host_of, set, without};
use crate::provider::upstream::{Answer, Call, HttpClient};
use crate::secret::{Secret, WipedBuffer};

/// Huawei's header for the session, in place of `Authorization`.
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("access-token");

/// One host of a portal.
pub(super) struct Endpoint {
    cloud: Cloud,
    client: Arc<HttpClient>,
    clock: Arc<dyn Clock>,
    meter: Meter,
    /// What calls of each action count against. Kept, as a throttle that is forgotten is none.
    sites: Mutex<BTreeMap<&'static str, CallSite>>,
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

impl Words {
    /// Whether the service said nothing at all.
    pub(super) fn are_none(&self) -> bool {
        self.code.is_empty() && self.message.is_empty()
    }
}

impl Endpoint {
    pub(super) fn new(
        cloud: Cloud,
        url: &str,
        client: &Arc<HttpClient>,
        clock: &Arc<dyn Clock>,
        meter: &Meter,
    ) -> Self {
        Self {
            cloud,
            client: Arc::clone(client),
            clock: Arc::clone(clock),
            meter: meter.clone(),
            sites: Mutex::default(),
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

    /// Makes one call that no refresher accounts for: within the budget of its action, and counted.
    pub(super) async fn counted<T>(
        &self,
        action: &'static str,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let site = {
            let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
            let site = || self.meter.site(self.cloud, &self.host, action);
            sites.entry(action).or_insert_with(site).clone()
        };
        self.meter.call(&site, call).await
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

    /// What an answer that is no success means: a refusal of this class, in the service's own
    /// words, or no answer at all where there is none.
    pub(super) fn refused(
        &self,
        call: &str,
        received: &Received,
        words: &Words,
        class: Class,
        secrets: &[&Secret],
    ) -> ProviderError {
        let answer = &received.answer;
        if words.are_none() && !matches!(answer.status, 401 | 429) {
            return self.unusable(call, &strange(answer.status));
        }
        let secrets: Vec<&str> = secrets.iter().map(|it| it.expose()).collect();
        let code = foreign(&without(&words.code, &secrets));
        let message = foreign(&without(&words.message, &secrets));
        let mut sentence = format!("{} refused {call}", self.host);
        let repeats_the_code = message.starts_with(&code);
        for part in [Some(&code).filter(|_| !repeats_the_code), Some(&message)] {
            if let Some(part) = part.filter(|part| !part.is_empty()) {
                sentence.push_str(": ");
                sentence.push_str(part.trim_end_matches(['.', ' ']));
            }
        }
        if words.are_none() {
            sentence = format!("{sentence} (HTTP status {})", answer.status);
        }
        let class = match answer.status {
            429 => Class::Throttled {
                retry_after: answer.retry_after,
            },
            // A server in trouble does not decide anything for good.
            500.. if class == Class::Final => Class::Transient,
            _ => class,
        };
        ProviderError {
            class,
            message: sentence,
            code: (!code.is_empty()).then_some(code),
            request_id: words.request_id.as_deref().map(foreign),
            sent: true,
            cause: None,
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.host).finish()
    }
}
