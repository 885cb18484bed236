//! The agency of the ECS this host is, from the real metadata service, as a source for chaining.
//!
//! Plain HTTP, two requests: a session token, then the credentials with it. An instance without
//! token support says so (404, 405 or 503, as the official SDKs understand it) and is asked
//! without one. Tokens are not kept: an attempt is rare enough to begin with a new one, and a
//! token that went stale is one thing less to recover from.

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};

use super::answer::{SecurityKey, refusal};
use super::api::Api;
use super::caller_identity::identity_service;
use crate::clock::Clock;
use crate::config::model::HuaweiInstanceMetadata;
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError, foreign};
use crate::provider::service::Identify as _;
use crate::provider::service::answer::{Holds as _, parse};
use crate::provider::service::request::{Carries, host_of, set};
use crate::provider::upstream::{Answer, Call, HttpClient};
use crate::provider::{CallSite, Provider};
use crate::secret::{Secret, WipedBuffer};

const CREDENTIALS: &str = "/openstack/latest/securitykey";
const TOKEN: &str = "/meta-data/latest/api/token";
const TTL_HEADER: HeaderName = HeaderName::from_static("x-metadata-token-ttl-seconds");
const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-metadata-token");
/// What every official SDK asks for, in seconds.
const TTL: HeaderValue = HeaderValue::from_static("21600");
/// The text by which the official SDKs know an instance without an agency.
const NO_AGENCY: &str = "Please configure Cloud Service Agency first";

/// The instance's own credentials.
#[derive(Debug)]
pub(in crate::provider) struct InstanceMetadata {
    clock: Arc<dyn Clock>,
    client: Arc<HttpClient>,
    endpoint: String,
    host: String,
    sts: Api,
}

impl InstanceMetadata {
    pub(in crate::provider) fn new(
        settings: &HuaweiInstanceMetadata,
        context: &BuildContext,
    ) -> Self {
        let endpoint = settings.endpoint.trim_end_matches('/').to_owned();
        Self {
            clock: context.clock(),
            client: context.client(&settings.upstream),
            host: host_of(&endpoint),
            endpoint,
            sts: identity_service(&settings.sts, context),
        }
    }

    /// `None` if the instance knows no tokens.
    async fn token(&self) -> Result<Option<Secret>, ProviderError> {
        let headers = [(TTL_HEADER, TTL), (CONTENT_LENGTH, HeaderValue::from(0))];
        let answer = self
            .call(Method::PUT, TOKEN, HeaderMap::from_iter(headers))
            .await?;
        match answer.status {
            200 => {
                let text = std::str::from_utf8(answer.body.as_ref()).unwrap_or_default();
                let token = Secret::from(text.trim());
                if token.is_empty() {
                    return Err(self.unusable("its session token is empty"));
                }
                Ok(Some(token))
            }
            404 | 405 | 503 => Ok(None),
            _ => Err(self.refused(&answer)),
        }
    }

    async fn credentials(&self, token: Option<&Secret>) -> Result<Obtained, ProviderError> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            set(&mut headers, TOKEN_HEADER, token.expose(), Carries::Token)?;
        }
        let sent_at = self.clock.boot();
        let answer = self.call(Method::GET, CREDENTIALS, headers).await?;
        if answer.status != 200 {
            return Err(self.refused(&answer));
        }
        parse::<SecurityKey>(answer.body.as_ref())
            .and_then(|key| key.into_obtained(answer.date, sent_at))
            .map_err(|reason| self.unusable(&reason))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
    ) -> Result<Answer, ProviderError> {
        let call = Call {
            method,
            url: format!("{}{path}", self.endpoint),
            headers,
            body: WipedBuffer::default(),
        };
        Ok(self.client.send(call).await?)
    }

    fn refused(&self, answer: &Answer) -> ProviderError {
        let text = String::from_utf8_lossy(answer.body.as_ref());
        if answer.status == 401 && text.contains(NO_AGENCY) {
            return ProviderError::new(
                Class::Final,
                "no agency is attached to this instance: attach one that delegates to ECS",
            );
        }
        if answer.status == 429 {
            return ProviderError::new(
                Class::Throttled {
                    retry_after: answer.retry_after,
                },
                format!("{} asks for fewer requests (HTTP 429)", self.host),
            );
        }
        match refusal(answer.body.as_ref(), answer.request_id.as_deref()) {
            Some(refusal) => self.unusable(&format!(
                "it has HTTP status {} and says `{}`",
                answer.status,
                foreign(&refusal.message)
            )),
            None => self.unusable(&format!("it has HTTP status {}", answer.status)),
        }
    }

    fn unusable(&self, reason: &str) -> ProviderError {
        ProviderError::new(
            Class::Transient,
            format!("{} sent no usable answer: {reason}", self.host),
        )
    }
}

impl Provider for InstanceMetadata {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            let token = self.token().await?;
            self.credentials(token.as_ref()).await
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        CallSite {
            endpoint: self.host.clone(),
            action: "securitykey",
            budget: None,
        }
    }

    fn identity_call(&self) -> CallSite {
        self.sts.identity_call()
    }

    fn mints(&self) -> bool {
        false
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        self.sts.files()
    }
}
