//! The upstream calls of an attempt: each within its budget and the attempt's time, counted, and
//! with the corrections that are worth making at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::command::Handle;
use crate::clock::Clock;
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::name::Name;
use crate::observe::metrics::Metrics;
use crate::provider::error::{Class, ProviderError};
use crate::provider::meter::account;
use crate::provider::{CallSite, Provider};

/// Longest attempt with its ladder, clock and source retries; waiting for the budget excluded.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(30);
/// Keys younger than this may be refused because they are not known everywhere yet.
const SETTLING: Duration = Duration::from_mins(1);

/// Whoever makes upstream calls for one role.
#[derive(Clone, Debug)]
pub struct Calls {
    pub role: Name,
    pub provider: Arc<dyn Provider>,
    /// The refresher of the role this one signs with.
    pub source: Option<Handle>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
}

/// How far an attempt got.
#[derive(Debug, Default)]
pub struct Progress {
    /// Without waiting for the budget.
    pub took: Duration,
    /// The generation of the source that was obtained because an older one was refused. If that
    /// one is refused too, nothing is gained by yet another.
    pub renewed_source: Option<u64>,
}

/// Each correction is made once; stepping down the ladder goes on until the provider says there
/// is no lower step.
#[derive(Debug, Default)]
struct Corrected {
    clock: bool,
    source: bool,
    /// The generation of the source that the last call was signed with, if it signs with one.
    signed_with: Option<u64>,
}

impl Calls {
    /// Obtains a new set.
    pub(super) async fn mint(&self, progress: &mut Progress) -> Result<Obtained, ProviderError> {
        let site = self.provider.mint_call();
        let mut corrected = Corrected::default();
        loop {
            corrected.signed_with = self.source_now().map(|(generation, _)| generation);
            let minted = self.call(&site, progress, || self.provider.provide()).await;
            match minted {
                Ok(obtained) => return Ok(obtained),
                Err(error) => self.correct(error, &mut corrected, progress).await?,
            }
        }
    }

    /// Asks the cloud whose keys these are, with one clock correction.
    ///
    /// # Errors
    /// What the cloud said instead.
    pub async fn identity(
        &self,
        keys: &Keys,
        progress: &mut Progress,
    ) -> Result<Identity, ProviderError> {
        let site = self.provider.identity_call();
        let mut corrected = Corrected::default();
        loop {
            let asked = self
                .call(&site, progress, || self.provider.identify(keys))
                .await;
            match asked {
                Ok(identity) => return Ok(identity),
                // What signs here is the set itself: there is nothing to re-read.
                Err(error) if error.class == Class::StaleSource => return Err(error),
                Err(error) => self.correct(error, &mut corrected, progress).await?,
            }
        }
    }

    /// One upstream call: budget first, then the call within what is left of the attempt.
    async fn call<'a, T>(
        &'a self,
        site: &CallSite,
        progress: &mut Progress,
        call: impl FnOnce() -> BoxFuture<'a, Result<T, ProviderError>>,
    ) -> Result<T, ProviderError>
    where
        T: 'a,
    {
        let slot = match &site.budget {
            Some(budget) => Some(budget.acquire().await),
            None => None,
        };
        let begun = Instant::now();
        let left = LONGEST_ATTEMPT.saturating_sub(progress.took);
        let result = timeout(left, call()).await.unwrap_or_else(|_| {
            Err(ProviderError::new(
                Class::Transient,
                format!(
                    "{} did not answer within the time of an attempt",
                    site.endpoint
                ),
            ))
        });
        progress.took += begun.elapsed();
        account(&self.metrics, site, slot, result.as_ref().err());
        result
    }

    /// `Ok` if one more try at once is worth while, else the error back.
    async fn correct(
        &self,
        error: ProviderError,
        corrected: &mut Corrected,
        progress: &mut Progress,
    ) -> Result<(), ProviderError> {
        if progress.took >= LONGEST_ATTEMPT {
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
            Class::StaleSource => {
                let first = !std::mem::replace(&mut corrected.source, true);
                let is_another = first && self.provider.reread_source();
                match &self.source {
                    Some(source) if !is_another => {
                        self.renew(source, corrected.signed_with, error, progress)
                            .await
                    }
                    // The same one, too: not every server of a cloud knows a key at once.
                    _ if first => Ok(()),
                    _ => Err(error),
                }
            }
            Class::Clock { .. }
            | Class::Transient
            | Class::Throttled { .. }
            | Class::SourceUnavailable
            | Class::Final
            | Class::NeedsLogin => Err(error),
        }
    }

    /// The set of another role was refused: has it replaced, once, and if its successor is refused
    /// too, gives that a moment. Then it is somebody's business, until the source has another.
    async fn renew(
        &self,
        source: &Handle,
        signed_with: Option<u64>,
        error: ProviderError,
        progress: &mut Progress,
    ) -> Result<(), ProviderError> {
        let generation = |now: Option<(u64, Duration)>| now.map(|(generation, _)| generation);
        let known = generation(self.source_now());
        if known == signed_with && known != progress.renewed_source {
            let begun = Instant::now();
            let left = LONGEST_ATTEMPT.saturating_sub(progress.took);
            // Whether it went well shows in what the source holds then.
            let _shows = timeout(left, source.refresh()).await;
            progress.took += begun.elapsed();
        }
        match self.source_now() {
            Some((other, _)) if Some(other) != signed_with => {
                progress.renewed_source = Some(other);
                Ok(())
            }
            Some((_, age)) if age < SETTLING => Err(ProviderError {
                class: Class::Transient,
                ..error
            }),
            Some(_) | None => Err(error),
        }
    }

    /// What the source holds: its generation, and how old it is.
    fn source_now(&self) -> Option<(u64, Duration)> {
        let now = self.clock.boot();
        let view = self.source.as_ref()?.role().view();
        let set = &view.valid(now)?.set;
        Some((set.generation, now.since(set.obtained_at)))
    }
}
