//! One cloud's API as a provider calls it: at one of two endpoints, on that endpoint's clock,
//! within its budget, and every answer given a meaning. What the clouds differ in is their
//! [`Dialect`] and the request itself, which is made in the cloud's own folder.
//!
//! What an answer teaches (the endpoint's clock, a shorter session, the other endpoint) is in
//! force before the error is returned, so that the caller's next call profits from it.

pub(super) mod answer;
pub(super) mod assertion;
pub(super) mod ladder;
pub(super) mod request;
pub(super) mod web_token;

mod failover;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::budget::Budget;
use super::context::BuildContext;
use super::endpoint_clock::EndpointClock;
use super::error::{Class, ProviderError, foreign};
use super::upstream::{Answer, Call, HttpClient, WipedBuffer};
use super::{BoxFuture, CallSite};
use crate::clock::{BootTime, Clock, unix_seconds};
use crate::config::model;
use crate::credentials::{Cloud, Identity, Keys};
use answer::{Refusal, Trouble};
use failover::{Choice, Failover};
use request::{host_of, without};

/// One action of an API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Action {
    /// The cloud's name of it; a metric label, and what people read.
    pub(super) name: &'static str,
    /// In `[limits.CLOUD]`.
    pub(super) limit: &'static str,
}

/// What refusals of one cloud mean.
pub(super) trait Dialect {
    /// The endpoint's own time, if it refused because of the time of our request.
    fn time_told(&self, refusal: &Refusal, date: Option<SystemTime>) -> Option<SystemTime>;

    /// What to do about it.
    fn classify(&self, refusal: &Refusal, circumstances: Circumstances) -> Class;

    /// What somebody can do about it, if it is final.
    fn hint(&self, refusal: &Refusal) -> Option<&'static str>;
}

/// What is known about a refusal besides its code and message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// The answer's HTTP status.
    pub(super) status: u16,
    /// The answer's `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    /// By how many seconds the other side's clock is ahead of ours, if the answer told.
    pub(super) ahead_seconds: Option<i64>,
    /// By how many seconds the time of our request was behind, if the answer told. Differs from
    /// the above where the request was stamped with a time learned earlier.
    pub(super) off_seconds: Option<i64>,
}

/// A service that tells whose keys a set is.
pub(super) trait Identify: Debug + Send + Sync + 'static {
    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>>;

    /// What [`Self::identify`] calls.
    fn identity_call(&self) -> CallSite;

    /// Files whose change makes another call worth while.
    fn watched_files(&self) -> Vec<PathBuf>;
}

/// An API as one provider calls it.
#[derive(Debug)]
pub(super) struct Service {
    clock: Arc<dyn Clock>,
    client: Arc<HttpClient>,
    first: Endpoint,
    second: Option<Endpoint>,
    failover: Mutex<Failover>,
}

#[derive(Debug)]
struct Endpoint {
    /// Without a slash at its end.
    url: String,
    /// Sent and signed as `Host`; also what people and metrics call it.
    host: String,
    clock: Arc<EndpointClock>,
    /// By the action's name.
    budgets: BTreeMap<&'static str, Arc<Budget>>,
}

/// The endpoint that one call goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    service: &'a Service,
    choice: Choice,
    endpoint: &'a Endpoint,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) answer: Answer,
    sent_at: BootTime,
    /// The time the request bore, in seconds since 1970.
    stamped: u64,
}

/// A useful answer, with what its headers told.
#[derive(Debug)]
pub(super) struct Answered<T> {
    pub(super) value: T,
    pub(super) date: Option<SystemTime>,
    pub(super) sent_at: BootTime,
    pub(super) host: String,
}

impl Service {
    /// For a provider that calls `actions`. Does no I/O.
    pub(super) fn new(
        cloud: Cloud,
        settings: &model::Service,
        actions: &[Action],
        context: &BuildContext,
    ) -> Self {
        let endpoint = |url: &String| Endpoint::new(cloud, url, actions, context);
        Self {
            clock: context.clock(),
            client: context.client(&settings.upstream),
            first: endpoint(&settings.endpoint),
            second: settings.fallback_endpoint.as_ref().map(endpoint),
            failover: Mutex::default(),
        }
    }

    /// What a call of `action` would count against now.
    pub(super) fn call_site(&self, action: Action) -> CallSite {
        let endpoint = self.target().endpoint;
        CallSite {
            endpoint: endpoint.host.clone(),
            action: action.name,
            budget: endpoint.budgets.get(action.name).cloned(),
        }
    }

    /// Files whose change makes another call worth while.
    pub(super) fn watched_files(&self) -> Vec<PathBuf> {
        self.client.settings().ca_file.iter().cloned().collect()
    }

    /// The endpoint's time, as far as we know.
    pub(super) fn now(&self) -> SystemTime {
        self.target().endpoint.clock.now(self.clock.wall())
    }

    /// Where the next call goes.
    pub(super) fn target(&self) -> Target<'_> {
        let now = self.clock.boot();
        let failover = self.failover.lock().unwrap_or_else(PoisonError::into_inner);
        let (choice, endpoint) = match (failover.choice(now), &self.second) {
            (Choice::Second, Some(second)) => (Choice::Second, second),
            (Choice::First | Choice::Second, _) => (Choice::First, &self.first),
        };
        Target {
            service: self,
            choice,
            endpoint,
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
    fn new(cloud: Cloud, url: &str, actions: &[Action], context: &BuildContext) -> Self {
        let host = host_of(url);
        Self {
            url: url.trim_end_matches('/').to_owned(),
            clock: context.endpoint_clock(&host),
            budgets: actions
                .iter()
                .map(|action| (action.name, context.budget(cloud, &host, action.limit)))
                .collect(),
            host,
        }
    }
}

impl Target<'_> {
    /// What has to be sent and signed as `Host`.
    pub(super) fn host(&self) -> &str {
        &self.endpoint.host
    }

    /// The time to stamp a request with, in seconds since 1970.
    pub(super) fn timestamp(&self) -> u64 {
        let now = self.service.clock.wall();
        self.endpoint.clock.timestamp(now)
    }

    /// Sends one request.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: WipedBuffer,
    ) -> Result<Received, ProviderError> {
        let sent_at = self.service.clock.boot();
        let stamped = self.timestamp();
        let call = Call {
            method,
            url: format!("{}{path}", self.endpoint.url),
            headers,
            body,
        };
        let answer = self.service.client.send(call).await.map_err(|error| {
            if error.is_remote() {
                self.service.note_failure(self.choice);
            }
            ProviderError::from(error)
        })?;
        if let Some(date) = answer.date {
            let now = self.service.clock.wall();
            self.endpoint.clock.measure(date, now);
        }
        Ok(Received {
            answer,
            sent_at,
            stamped,
        })
    }

    /// Gives an answer that the cloud's folder has read its meaning. `secrets` are what the
    /// request held, in case the refusal quotes it.
    pub(super) fn conclude<T>(
        &self,
        action: Action,
        received: &Received,
        read: Result<T, Trouble>,
        dialect: &impl Dialect,
        secrets: &[&str],
    ) -> Result<Answered<T>, ProviderError> {
        let answer = &received.answer;
        match read {
            Ok(value) => {
                self.service.note_answer(self.choice);
                Ok(Answered {
                    value,
                    date: answer.date,
                    sent_at: received.sent_at,
                    host: self.endpoint.host.clone(),
                })
            }
            Err(Trouble::Refused(refusal)) => {
                if answer.status >= 500 {
                    self.service.note_failure(self.choice);
                } else {
                    self.service.note_answer(self.choice);
                }
                Err(self.refused(action, &refusal, received, dialect, secrets))
            }
            Err(Trouble::Unusable { .. }) if answer.status == 429 => {
                self.service.note_answer(self.choice);
                let class = Class::Throttled {
                    retry_after: answer.retry_after,
                };
                let message = format!("{} asks for fewer requests (HTTP 429)", self.host());
                Err(ProviderError::new(class, message))
            }
            Err(Trouble::Unusable { reason }) => {
                self.service.note_failure(self.choice);
                Err(unusable(self.host(), action, &reason))
            }
        }
    }

    /// Gives a refusal its class and its sentence, and learns the clock from it.
    fn refused(
        &self,
        action: Action,
        refusal: &Refusal,
        received: &Received,
        dialect: &impl Dialect,
        secrets: &[&str],
    ) -> ProviderError {
        let answer = &received.answer;
        let its_now = dialect.time_told(refusal, answer.date);
        let ahead_seconds =
            its_now.map(|its_now| self.endpoint.clock.learn(its_now, &*self.service.clock));
        let circumstances = Circumstances {
            status: answer.status,
            retry_after: answer.retry_after,
            ahead_seconds,
            off_seconds: its_now.map(|its_now| {
                let seconds = |unsigned| i64::try_from(unsigned).unwrap_or(i64::MAX);
                seconds(unix_seconds(its_now)).saturating_sub(seconds(received.stamped))
            }),
        };
        let mut class = dialect.classify(refusal, circumstances);
        if answer.status == 429 {
            class = Class::Throttled {
                retry_after: answer.retry_after,
            };
        } else if answer.status >= 500 && class == Class::Final {
            // A server in trouble does not decide anything for good.
            class = Class::Transient;
        }
        let code = foreign(&without(&refusal.code, secrets));
        let message = foreign(&without(&refusal.message, secrets));
        let mut sentence = format!("{} refused {}: {code}", self.host(), action.name);
        if !message.is_empty() {
            sentence.push_str(": ");
            sentence.push_str(message.trim_end_matches(['.', ' ']));
        }
        let advice = match class {
            Class::Clock { .. } => Some("this host's clock is wrong, the cloud's is used instead"),
            Class::Final => dialect.hint(refusal),
            Class::DurationTooLong
            | Class::NeedsLogin
            | Class::SourceUnavailable
            | Class::StaleSource
            | Class::Throttled { .. }
            | Class::Transient => None,
        };
        if let Some(advice) = advice {
            sentence.push_str("; ");
            sentence.push_str(advice);
        }
        ProviderError {
            class,
            message: sentence,
            code: Some(code),
            request_id: refusal
                .request_id
                .as_deref()
                .map(|id| foreign(&without(id, secrets))),
            sent: true,
            cause: None,
        }
    }
}

/// An answer that is none.
pub(super) fn unusable(host: &str, action: Action, reason: &str) -> ProviderError {
    ProviderError::new(
        Class::Transient,
        format!("{host} sent no usable answer to {}: {reason}", action.name),
    )
}

/// Keys that were just made and are refused: no source can mend that, but they may not be known
/// everywhere yet.
pub(super) fn of_the_keys_themselves(mut error: ProviderError) -> ProviderError {
    if error.class == Class::StaleSource {
        error.class = Class::Transient;
    }
    error
}
