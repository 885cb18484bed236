//! The metadata service of the host we run on, as both clouds have one: plain HTTP, nothing signed,
//! and nobody counts the calls.

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::answer::{Holds, parse};
use super::request::host_of;
use crate::clock::{BootTime, Clock};
use crate::config::model::Upstream;
use crate::credentials::Obtained;
use crate::provider::CallSite;
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError};
use crate::provider::upstream::{Answer, Call, HttpClient};
use crate::secret::WipedBuffer;

/// The service at one address.
#[derive(Debug)]
pub(in crate::provider) struct Metadata {
    clock: Arc<dyn Clock>,
    client: Arc<HttpClient>,
    /// Without a slash at its end.
    endpoint: String,
    host: String,
}

impl Metadata {
    pub(in crate::provider) fn new(
        endpoint: &str,
        upstream: &Upstream,
        context: &BuildContext,
    ) -> Self {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Self {
            clock: context.clock(),
            client: context.client(upstream),
            host: host_of(&endpoint),
            endpoint,
        }
    }

    pub(in crate::provider) fn host(&self) -> &str {
        &self.host
    }

    /// What asking for credentials counts as; `action` is what people and metrics call it.
    pub(in crate::provider) fn call_site(&self, action: &'static str) -> CallSite {
        CallSite {
            endpoint: self.host.clone(),
            action,
            budget: None,
        }
    }

    /// Sends one request without a body; with the answer comes when that was.
    pub(in crate::provider) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
    ) -> Result<(Answer, BootTime), ProviderError> {
        let sent_at = self.clock.boot();
        let call = Call {
            method,
            url: format!("{}{path}", self.endpoint),
            headers,
            body: WipedBuffer::default(),
        };
        Ok((self.client.send(call).await?, sent_at))
    }

    /// The set in a good answer.
    pub(in crate::provider) fn read<T: Holds>(
        &self,
        answer: &Answer,
        sent_at: BootTime,
    ) -> Result<Obtained, ProviderError> {
        parse::<T>(answer.body.as_ref())
            .and_then(|held| held.into_obtained(answer.date, sent_at))
            .map_err(|reason| self.unusable(&reason))
    }

    /// An answer that is none.
    pub(in crate::provider) fn unusable(&self, reason: &str) -> ProviderError {
        ProviderError::new(
            Class::Transient,
            format!("{} sent no usable answer: {reason}", self.host),
        )
    }
}
