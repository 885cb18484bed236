//! One call: sent to the endpoint that was chosen, and its answer given a meaning.

use std::time::SystemTime;

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::answer::{Holds, Refusal, Trouble};
use super::failover::Choice;
use super::request::without;
use super::{Action, Circumstances, Dialect, Endpoint, Service};
use crate::clock::{BootTime, unix_seconds};
use crate::credentials::Obtained;
use crate::provider::error::{Class, ProviderError, foreign};
use crate::provider::upstream::{Answer, Call};
use crate::secret::WipedBuffer;

/// The endpoint that one call goes to.
#[derive(Clone, Copy, Debug)]
pub(in crate::provider) struct Target<'a> {
    pub(super) service: &'a Service,
    pub(super) choice: Choice,
    pub(super) endpoint: &'a Endpoint,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub(in crate::provider) struct Received {
    pub(in crate::provider) answer: Answer,
    sent_at: BootTime,
    /// The time the request bore, in seconds since 1970.
    stamped: u64,
}

/// A useful answer, with what its headers told.
#[derive(Debug)]
pub(in crate::provider) struct Answered<T> {
    pub(in crate::provider) value: T,
    pub(in crate::provider) date: Option<SystemTime>,
    pub(in crate::provider) sent_at: BootTime,
    pub(in crate::provider) host: String,
}

impl<T: Holds> Answered<T> {
    /// The set in it, minted for a session of `seconds`.
    pub(in crate::provider) fn into_obtained(
        self,
        action: Action,
        seconds: u64,
    ) -> Result<Obtained, ProviderError> {
        self.value
            .into_obtained(self.date, self.sent_at)
            .map(|obtained| obtained.of_at_most(seconds))
            .map_err(|reason| unusable(&self.host, action, &reason))
    }
}

impl Target<'_> {
    /// What has to be sent and signed as `Host`.
    pub(in crate::provider) fn host(&self) -> &str {
        &self.endpoint.host
    }

    /// The time to stamp a request with, in seconds since 1970.
    pub(in crate::provider) fn timestamp(&self) -> u64 {
        let now = self.service.clock.wall();
        self.endpoint.clock.timestamp(now)
    }

    /// Sends one request.
    pub(in crate::provider) async fn send(
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
    pub(in crate::provider) fn conclude<T>(
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
fn unusable(host: &str, action: Action, reason: &str) -> ProviderError {
    ProviderError::new(
        Class::Transient,
        format!("{host} sent no usable answer to {}: {reason}", action.name),
    )
}
