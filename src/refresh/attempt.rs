//! One attempt at new credentials: the calls it needs, each after taking from its budget, with
//! the corrections that are worth making at once. Decides nothing about when to try again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::command::Handle;
use crate::credentials::{Identity, Keys, Obtained};
use crate::name::Name;
use crate::observe::metrics::{EndpointLabels, Metrics, UpstreamLabels};
use crate::provider::error::{Class, ProviderError};
use crate::provider::{BoxFuture, CallSite, Provider};

/// Longest attempt with its ladder, clock and source retries; waiting for the budget excluded.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(30);

/// What one attempt needs. Owns everything, so that the loop can go on listening meanwhile.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub role: Name,
    pub provider: Arc<dyn Provider>,
    pub expected_account: Option<String>,
    /// The refresher of the role this one signs with.
    pub source: Option<Handle>,
    pub metrics: Arc<Metrics>,
}

/// How an attempt ended, and how long it took without waiting for the budget.
#[derive(Debug)]
pub struct Outcome {
    pub result: Result<Obtained, ProviderError>,
    pub took: Duration,
}

impl Outcome {
    /// What is left of an attempt that panicked: a failure like any other.
    #[must_use]
    pub fn from_panic(error: tokio::task::JoinError) -> Self {
        let error = ProviderError::new(Class::Transient, "a bug in credvend ended the attempt")
            .caused_by(error);
        Self {
            result: Err(error),
            took: Duration::ZERO,
        }
    }
}

/// Each correction is made once; stepping down the ladder goes on until the provider says there
/// is no lower step.
#[derive(Debug, Default)]
struct Corrected {
    clock: bool,
    source: bool,
}

impl Attempt {
    /// Runs the attempt. Safe to drop at any point.
    pub async fn run(self) -> Outcome {
        let mut took = Duration::ZERO;
        let result = self.obtain(&mut took).await;
        Outcome { result, took }
    }

    async fn obtain(&self, took: &mut Duration) -> Result<Obtained, ProviderError> {
        let site = self.provider.mint_call();
        let mut corrected = Corrected::default();
        let obtained = loop {
            match self.call(&site, took, || self.provider.provide()).await {
                Ok(obtained) => break obtained,
                Err(error) => self.correct(error, &mut corrected, took).await?,
            }
        };
        if let Some(expected) = &self.expected_account
            && obtained.keys.are_complete()
        {
            let identity = self.identity(&obtained.keys, took).await?;
            check_account(&identity, expected)?;
        }
        Ok(obtained)
    }

    /// Asks the cloud whose keys these are, with one clock correction.
    pub(crate) async fn identity(
        &self,
        keys: &Keys,
        took: &mut Duration,
    ) -> Result<Identity, ProviderError> {
        let site = self.provider.identity_call();
        let mut corrected = Corrected {
            source: true, // what signs here is the new set itself: there is nothing to re-read
            ..Corrected::default()
        };
        loop {
            match self
                .call(&site, took, || self.provider.identify(keys))
                .await
            {
                Ok(identity) => return Ok(identity),
                Err(error) => self
                    .correct(error, &mut corrected, took)
                    .await
                    .map_err(unverified)?,
            }
        }
    }

    /// One upstream call: budget first, then the call within what is left of the attempt.
    async fn call<'a, T>(
        &'a self,
        site: &CallSite,
        took: &mut Duration,
        call: impl FnOnce() -> BoxFuture<'a, Result<T, ProviderError>>,
    ) -> Result<T, ProviderError>
    where
        T: 'a,
    {
        if let Some(budget) = &site.budget {
            budget.acquire().await;
        }
        let begun = Instant::now();
        let left = LONGEST_ATTEMPT.saturating_sub(*took);
        let result = timeout(left, call()).await.unwrap_or_else(|_| {
            Err(ProviderError::new(
                Class::Transient,
                format!(
                    "{} did not answer within the time of an attempt",
                    site.endpoint
                ),
            ))
        });
        *took += begun.elapsed();
        self.account(site, result.as_ref().err());
        result
    }

    fn account(&self, site: &CallSite, error: Option<&ProviderError>) {
        let endpoint = EndpointLabels {
            endpoint: site.endpoint.clone(),
        };
        match error.map(|error| error.class) {
            Some(Class::SourceUnavailable) => return, // nothing was sent
            Some(Class::Throttled { .. }) => {
                self.metrics
                    .upstream_throttled
                    .get_or_create(&endpoint)
                    .inc();
                if let Some(budget) = &site.budget {
                    budget.halve();
                }
            }
            Some(
                Class::Transient
                | Class::Clock { .. }
                | Class::DurationTooLong
                | Class::StaleSource
                | Class::Final
                | Class::NeedsLogin,
            )
            | None => {}
        }
        self.metrics
            .upstream_calls
            .get_or_create(&UpstreamLabels {
                endpoint: site.endpoint.clone(),
                action: site.action.to_owned(),
                result: error
                    .map_or("success", |error| error.class.as_str())
                    .to_owned(),
            })
            .inc();
    }

    /// `Ok` if one more try at once is worth while, else the error back.
    async fn correct(
        &self,
        error: ProviderError,
        corrected: &mut Corrected,
        took: &mut Duration,
    ) -> Result<(), ProviderError> {
        if *took >= LONGEST_ATTEMPT {
            return Err(error);
        }
        match error.class {
            Class::Clock { offset_seconds } if !corrected.clock => {
                corrected.clock = true;
                tracing::warn!(
                    role = %self.role,
                    offset_seconds,
                    "this host's clock differs from the cloud's; signing with the cloud's time"
                );
                Ok(())
            }
            Class::DurationTooLong => {
                tracing::warn!(
                    role = %self.role,
                    error = error.report(),
                    "the session is longer than the role allows; trying a shorter one"
                );
                Ok(())
            }
            Class::StaleSource if !corrected.source => {
                corrected.source = true;
                self.provider.reread_source();
                if let Some(source) = &self.source {
                    let begun = Instant::now();
                    let left = LONGEST_ATTEMPT.saturating_sub(*took);
                    // Whether it went well shows in the retry.
                    let _shows = timeout(left, source.refresh()).await;
                    *took += begun.elapsed();
                }
                Ok(())
            }
            Class::Clock { .. }
            | Class::StaleSource
            | Class::Transient
            | Class::Throttled { .. }
            | Class::SourceUnavailable
            | Class::Final
            | Class::NeedsLogin => Err(error),
        }
    }
}

fn check_account(identity: &Identity, expected: &str) -> Result<(), ProviderError> {
    if identity.account == expected {
        return Ok(());
    }
    Err(ProviderError::new(
        Class::Final,
        format!(
            "the credentials belong to account {}, but `expected-account` is {expected}; \
             not adopted",
            crate::provider::error::foreign(&identity.account)
        ),
    ))
}

/// Credentials that could not be verified are not adopted, and the reader is told so.
fn unverified(error: ProviderError) -> ProviderError {
    ProviderError {
        message: format!(
            "the account of the new credentials could not be verified; not adopted: {}",
            error.message
        ),
        ..error
    }
}
