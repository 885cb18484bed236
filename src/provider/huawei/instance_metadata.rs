//! The agency of the ECS this host is, from the real metadata service, as a source for chaining.
//!
//! Plain HTTP, two requests: a session token, then the credentials with it. An instance without
//! token support says so (404, 405 or 503, as the official SDKs understand it) and is asked
//! without one. Tokens are not kept: an attempt is rare enough to begin with a new one, and a
//! token that went stale is one thing less to recover from.

use std::path::PathBuf;

use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};

use super::answer::{SecurityKey, refusal};
use super::api::Api;
use super::caller_identity::identity_service;
use crate::config::model::HuaweiInstanceMetadata;
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError, foreign};
use crate::provider::service::Identify as _;
use crate::provider::service::instance::Metadata;
use crate::provider::service::request::{Carries, set};
use crate::provider::upstream::Answer;
use crate::provider::{CallSite, Provider};
use crate::secret::Secret;

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
    service: Metadata,
    sts: Api,
}

impl InstanceMetadata {
    pub(in crate::provider) fn new(
        settings: &HuaweiInstanceMetadata,
        context: &BuildContext,
    ) -> Self {
        Self {
            service: Metadata::new(&settings.endpoint, &settings.upstream, context),
            sts: identity_service(&settings.sts, context),
        }
    }

    /// `None` if the instance knows no tokens.
    async fn token(&self) -> Result<Option<Secret>, ProviderError> {
        let headers = [(TTL_HEADER, TTL), (CONTENT_LENGTH, HeaderValue::from(0))];
        let (answer, _) = self
            .service
            .call(Method::PUT, TOKEN, HeaderMap::from_iter(headers))
            .await?;
        match answer.status {
            200 => {
                let text = std::str::from_utf8(answer.body.as_ref()).unwrap_or_default();
                let token = Secret::from(text.trim());
                if token.is_empty() {
                    return Err(self.service.unusable("its session token is empty"));
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
        let (answer, sent_at) = self.service.call(Method::GET, CREDENTIALS, headers).await?;
        if answer.status != 200 {
            return Err(self.refused(&answer));
        }
        self.service.read::<SecurityKey>(&answer, sent_at)
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
                format!("{} asks for fewer requests (HTTP 429)", self.service.host()),
            );
        }
        match refusal(answer.body.as_ref(), answer.request_id.as_deref()) {
            Some(refusal) => self.service.unusable(&format!(
                "it has HTTP status {} and says `{}`",
                answer.status,
                foreign(&refusal.message)
            )),
            None => self
                .service
                .unusable(&format!("it has HTTP status {}", answer.status)),
        }
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
        self.service.call_site("securitykey")
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
