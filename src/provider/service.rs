//! One cloud's API as a provider calls it: at one of two endpoints, on that endpoint's clock,
//! within its budget, and every answer given a meaning. What the clouds differ in is their
//! [`Dialect`] and the request itself, which is made in the cloud's own folder.
//!
//! What an answer teaches (the endpoint's clock, a shorter session, the other endpoint) is in
//! force before the error is returned, so that the caller's next call profits from it.

pub(super) mod answer;
pub(super) mod assertion;
pub(super) mod instance;
pub(super) mod ladder;
pub(super) mod request;
pub(super) mod web_token;

mod failover;
mod target;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::CallSite;
use super::budget::Budget;
use super::context::BuildContext;
use super::endpoint_clock::EndpointClock;
use super::error::{Class, ProviderError};
use super::upstream::HttpClient;
use crate::clock::Clock;
use crate::config::model;
use crate::credentials::{Cloud, Identity, Keys};
use crate::future::BoxFuture;
use answer::Refusal;
use failover::{Choice, Failover};
use request::host_of;
pub(super) use target::Answered;
use target::Target;

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

/// Keys that were just made and are refused: no source can mend that, but they may not be known
/// everywhere yet.
pub(super) fn of_the_keys_themselves(mut error: ProviderError) -> ProviderError {
    if error.class == Class::StaleSource {
        error.class = Class::Transient;
    }
    error
}
