//! One call of Tencent's STS, and what its refusals mean to the code that all clouds share.

use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{self, Minted};
use super::error::{self, Voice, classify, hint, server_time};
use super::request::{Headers, headers};
use crate::config::model;
use crate::credentials::{Cloud, Obtained};
use crate::provider::CallSite;
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError};
use crate::provider::service::answer::Refusal;
use crate::provider::service::ladder::Ladder;
use crate::provider::service::request::{Auth, body_of, secrets_in};
use crate::provider::service::{Action, Answered, Circumstances, Dialect, Service};
use crate::secret::Secret;

/// STS as one provider calls it.
#[derive(Debug)]
pub(in crate::provider) struct Sts {
    service: Service,
    region: String,
}

impl Sts {
    /// For a provider that calls `actions`. Does no I/O.
    pub(in crate::provider) fn new(
        settings: &model::Service,
        actions: &[Action],
        context: &BuildContext,
    ) -> Self {
        Self {
            service: Service::new(Cloud::Tencent, settings, actions, context),
            region: settings.region.clone(),
        }
    }

    /// What a call of `action` would count against now.
    pub(super) fn call_site(&self, action: Action) -> CallSite {
        self.service.call_site(action)
    }

    /// Files whose change makes another call worth while.
    pub(super) fn files(&self) -> Vec<std::path::PathBuf> {
        self.service.watched_files()
    }

    /// The endpoint's time, as far as we know.
    pub(super) fn now(&self) -> SystemTime {
        self.service.now()
    }

    /// Calls a minting action for a session of `duration`, and steps that down if it is refused
    /// as too long. `whose` says in an error what has the cap.
    pub(super) async fn mint(
        &self,
        action: Action,
        parameters: &impl Serialize,
        auth: Auth<'_>,
        confidential: &[&Secret],
        (ladder, seconds): (&Ladder, u64),
        whose: &str,
    ) -> Result<Obtained, ProviderError> {
        let answered = self
            .call::<Minted>(action, parameters, auth, confidential)
            .await
            .map_err(|error| ladder.judge(error, seconds, whose))?;
        answered.into_obtained(action, seconds)
    }

    /// Calls an action and reads its result.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        action: Action,
        parameters: &impl Serialize,
        auth: Auth<'_>,
    ) -> Result<T, ProviderError> {
        let answered = self.call(action, parameters, auth, &[]).await?;
        Ok(answered.value)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        action: Action,
        parameters: &impl Serialize,
        auth: Auth<'_>,
        confidential: &[&Secret],
    ) -> Result<Answered<T>, ProviderError> {
        let target = self.service.target();
        let body = body_of(parameters, confidential);
        let headers = headers(&Headers {
            action,
            region: &self.region,
            host: target.host(),
            timestamp: target.timestamp(),
            auth,
            body: body.as_ref(),
        })?;
        let received = target.send(Method::POST, "/", headers, body).await?;
        let read = answer::read(received.answer.status, received.answer.body.as_ref());
        let secrets = secrets_in(auth, confidential);
        let dialect = Tencent {
            temporary_keys: matches!(auth, Auth::Signed { token: Some(_), .. }),
        };
        target.conclude(action, &received, read, &dialect, &secrets)
    }
}

struct Tencent {
    temporary_keys: bool,
}

impl Dialect for Tencent {
    fn time_told(&self, refusal: &Refusal, date: Option<SystemTime>) -> Option<SystemTime> {
        if refusal.code != "AuthFailure.SignatureExpire" {
            return None;
        }
        server_time(&refusal.message)
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
            .or(date)
    }

    fn classify(&self, refusal: &Refusal, circumstances: Circumstances) -> Class {
        let circumstances = error::Circumstances {
            voice: Voice::Service,
            retry_after: circumstances.retry_after,
            ahead_seconds: circumstances.ahead_seconds,
            temporary_keys: self.temporary_keys,
        };
        classify(&refusal.code, &refusal.message, circumstances)
    }

    fn hint(&self, refusal: &Refusal) -> Option<&'static str> {
        hint(&refusal.code)
    }
}
