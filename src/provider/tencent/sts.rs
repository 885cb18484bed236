//! One call of Tencent's STS: built, signed, sent, and its answer given a meaning.
//!
//! What an answer teaches (the endpoint's clock, a shorter session, the other endpoint) is in
//! force before the error is returned, so that the caller's next call profits from it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{self, Minted, Refusal, Trouble};
use super::error::{Circumstances, Voice, classify, hint, server_time};
use super::failover::{Choice, Failover};
use super::ladder::Ladder;
use super::request::{Action, Auth, Headers, body_of, headers, host_of, secrets_in, without};
use crate::clock::{BootTime, Clock};
use crate::config::model::TencentSts;
use crate::credentials::{Cloud, Obtained};
use crate::provider::CallSite;
use crate::provider::budget::Budget;
use crate::provider::context::BuildContext;
use crate::provider::endpoint_clock::EndpointClock;
use crate::provider::error::{Class, ProviderError, foreign};
use crate::provider::upstream::{Answer, Call, HttpClient};
use crate::secret::Secret;

/// STS as one provider calls it.
#[derive(Debug)]
pub(in crate::provider) struct Sts {
    clock: Arc<dyn Clock>,
    client: Arc<HttpClient>,
    region: String,
    first: Endpoint,
    second: Option<Endpoint>,
    failover: Mutex<Failover>,
}

#[derive(Debug)]
struct Endpoint {
    url: String,
    /// Sent and signed as `Host`; also what people and metrics call it.
    host: String,
    clock: Arc<EndpointClock>,
    budgets: BTreeMap<Action, Arc<Budget>>,
}

impl Endpoint {
    fn new(url: &str, actions: &[Action], context: &BuildContext) -> Self {
        let host = host_of(url);
        Self {
            url: format!("{}/", url.trim_end_matches('/')),
            clock: context.endpoint_clock(&host),
            budgets: actions
                .iter()
                .map(|action| {
                    let budget = context.budget(Cloud::Tencent, &host, action.limit());
                    (*action, budget)
                })
                .collect(),
            host,
        }
    }
}

/// A useful answer, with what its headers told.
struct Answered<T> {
    value: T,
    date: Option<SystemTime>,
    sent_at: BootTime,
    host: String,
}

impl Sts {
    /// For a provider that calls `actions`. Does no I/O.
    pub(in crate::provider) fn new(
        settings: &TencentSts,
        actions: &[Action],
        context: &BuildContext,
    ) -> Self {
        let endpoint = |url: &String| Endpoint::new(url, actions, context);
        Self {
            clock: context.clock(),
            client: context.client(&settings.upstream),
            region: settings.region.clone(),
            first: endpoint(&settings.endpoint),
            second: settings.fallback_endpoint.as_ref().map(endpoint),
            failover: Mutex::default(),
        }
    }

    /// What a call of `action` would count against now.
    pub(super) fn call_site(&self, action: Action) -> CallSite {
        let (_, endpoint) = self.endpoint();
        CallSite {
            endpoint: endpoint.host.clone(),
            action: action.name(),
            budget: endpoint.budgets.get(&action).cloned(),
        }
    }

    /// Files whose change makes another call worth while.
    pub(in crate::provider) fn watched_files(&self) -> Vec<PathBuf> {
        self.client.settings().ca_file.iter().cloned().collect()
    }

    /// The endpoint's time, as far as we know.
    pub(super) fn now(&self) -> SystemTime {
        self.endpoint().1.clock.now(self.clock.wall())
    }

    /// Calls a minting action for a session of `duration`, and steps that down if it is refused
    /// as too long. `whose` says in an error what has the cap.
    pub(super) async fn mint(
        &self,
        action: Action,
        parameters: &impl Serialize,
        auth: Auth<'_>,
        confidential: &[&Secret],
        duration: (&Ladder, u64),
        whose: &str,
    ) -> Result<Obtained, ProviderError> {
        let answered = self
            .call::<Minted>(action, parameters, auth, confidential)
            .await
            .map_err(|error| step_down(error, duration, whose))?;
        answered
            .value
            .into_obtained(answered.date, answered.sent_at)
            .map_err(|reason| unusable(&answered.host, action, &reason))
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
        let (choice, endpoint) = self.endpoint();
        let timestamp = endpoint.clock.timestamp(self.clock.wall());
        let body = body_of(parameters, confidential);
        let headers = headers(&Headers {
            action,
            region: &self.region,
            host: &endpoint.host,
            timestamp,
            auth,
            body: body.as_ref(),
        })?;
        let sent_at = self.clock.boot();
        let sent = self
            .client
            .send(Call {
                method: Method::POST,
                url: endpoint.url.clone(),
                headers,
                body,
            })
            .await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => {
                if error.is_remote() {
                    self.note_failure(choice);
                }
                return Err(error.into());
            }
        };
        let host_now = self.clock.wall();
        if let Some(date) = answer.date {
            endpoint.clock.measure(date, host_now);
        }
        match answer::read(answer.status, answer.body.as_ref()) {
            Ok(value) => {
                self.note_answer(choice);
                Ok(Answered {
                    value,
                    date: answer.date,
                    sent_at,
                    host: endpoint.host.clone(),
                })
            }
            Err(Trouble::Refused(refusal)) => {
                self.note_answer(choice);
                let secrets = secrets_in(auth, confidential);
                Err(endpoint.refused(action, &refusal, &answer, host_now, &secrets))
            }
            Err(Trouble::Unusable { .. }) if answer.status == 429 => {
                self.note_answer(choice);
                let class = Class::Throttled {
                    retry_after: answer.retry_after,
                };
                let message = format!("{} asks for fewer requests (HTTP 429)", endpoint.host);
                Err(ProviderError::new(class, message))
            }
            Err(Trouble::Unusable { reason }) => {
                self.note_failure(choice);
                Err(unusable(&endpoint.host, action, &reason))
            }
        }
    }

    fn endpoint(&self) -> (Choice, &Endpoint) {
        let now = self.clock.boot();
        let failover = self.failover.lock().unwrap_or_else(PoisonError::into_inner);
        match (failover.choice(now), &self.second) {
            (Choice::Second, Some(second)) => (Choice::Second, second),
            (Choice::First | Choice::Second, _) => (Choice::First, &self.first),
        }
    }

    fn note_answer(&self, by: Choice) {
        let mut failover = self.failover.lock().unwrap_or_else(PoisonError::into_inner);
        failover.answered(by);
    }

    fn note_failure(&self, at: Choice) {
        let now = self.clock.boot();
        let mut failover = self.failover.lock().unwrap_or_else(PoisonError::into_inner);
        failover.failed(at, now);
    }
}

impl Endpoint {
    /// Gives a refusal its class and its sentence, and learns the clock from it.
    fn refused(
        &self,
        action: Action,
        refusal: &Refusal,
        answer: &Answer,
        host_now: SystemTime,
        secrets: &[&str],
    ) -> ProviderError {
        let ahead_seconds = (refusal.code == "AuthFailure.SignatureExpire")
            .then(|| {
                server_time(&refusal.message)
                    .and_then(|seconds| {
                        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
                    })
                    .or(answer.date)
            })
            .flatten()
            .map(|endpoint_now| self.clock.learn(endpoint_now, host_now));
        let mut class = classify(
            &refusal.code,
            &refusal.message,
            Circumstances {
                voice: Voice::Service,
                retry_after: answer.retry_after,
                ahead_seconds,
            },
        );
        if answer.status == 429 {
            class = Class::Throttled {
                retry_after: answer.retry_after,
            };
        } else if answer.status >= 500 && class == Class::Final {
            // A server in trouble does not decide anything for good.
            class = Class::Transient;
        }
        let code = foreign(&refusal.code);
        let message = foreign(&without(&refusal.message, secrets));
        let mut sentence = format!("{} refused {}: {code}", self.host, action.name());
        if !message.is_empty() {
            sentence.push_str(": ");
            sentence.push_str(message.trim_end_matches(['.', ' ']));
        }
        if let Some(advice) = said_about(class, &refusal.code) {
            sentence.push_str("; ");
            sentence.push_str(advice);
        }
        ProviderError {
            class,
            message: sentence,
            code: Some(code),
            request_id: refusal.request_id.as_deref().map(foreign),
            cause: None,
        }
    }
}

fn said_about(class: Class, code: &str) -> Option<&'static str> {
    match class {
        Class::Clock { .. } => Some("this host's clock is wrong, the cloud's is used instead"),
        Class::Final => hint(code),
        Class::DurationTooLong
        | Class::NeedsLogin
        | Class::SourceUnavailable
        | Class::StaleSource
        | Class::Throttled { .. }
        | Class::Transient => None,
    }
}

fn unusable(host: &str, action: Action, reason: &str) -> ProviderError {
    ProviderError::new(
        Class::Transient,
        format!(
            "{host} sent no usable answer to {}: {reason}",
            action.name()
        ),
    )
}

fn step_down(
    mut error: ProviderError,
    (ladder, asked): (&Ladder, u64),
    whose: &str,
) -> ProviderError {
    if error.class == Class::DurationTooLong {
        error.message = if let Some(next) = ladder.step_down(asked) {
            format!("{whose} allows no session of {asked} s; {next} s will be asked for")
        } else {
            error.class = Class::Final;
            format!(
                "{whose} allows no session of even {asked} s, and nothing shorter is tried: raise \
                 its maximum session duration"
            )
        };
    }
    error
}
