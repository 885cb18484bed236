//! One attempt at new credentials: obtained, judged, and verified where an account is expected.
//! Decides nothing about when to try again.

use std::sync::Arc;
use std::time::Duration;

use super::adopt::{self, Circumstances, Verdict};
use super::calls::{Calls, Progress};
use crate::credentials::{CredentialSet, Identity};
use crate::provider::error::{Class, ProviderError};

/// What one attempt needs. Owns everything, so that the loop can go on listening meanwhile.
#[derive(Debug)]
pub struct Attempt {
    pub calls: Calls,
    pub expected_account: Option<String>,
    /// What is held, valid or not.
    pub held: Option<Arc<CredentialSet>>,
    /// The highest generation the role had so far.
    pub generation: u64,
    /// Key of the `ETag` hash.
    pub etag_key: Arc<[u8]>,
    pub before: Before,
}

/// What an attempt leaves to the next one.
#[derive(Debug, Default)]
pub struct Before {
    /// Obtained and worth adopting, but the cloud could not be asked whose it is: the next attempt
    /// asks again, instead of minting another.
    pub unverified: Option<CredentialSet>,
    /// See [`Progress::renewed_source`].
    pub renewed_source: Option<u64>,
}

/// How an attempt ended, and how long it took without waiting for the budget.
#[derive(Debug)]
pub struct Outcome {
    pub result: Result<Verdict, ProviderError>,
    pub took: Duration,
    pub left: Before,
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
            left: Before::default(),
        }
    }
}

impl Attempt {
    /// Runs the attempt. Safe to drop at any point.
    pub async fn run(mut self) -> Outcome {
        let mut progress = Progress {
            took: Duration::ZERO,
            renewed_source: self.before.renewed_source,
        };
        let mut unverified = self.before.unverified.take();
        let result = self.obtain(&mut unverified, &mut progress).await;
        let renewed_source = progress.renewed_source.filter(|_| result.is_err());
        Outcome {
            result,
            took: progress.took,
            left: Before {
                unverified,
                renewed_source,
            },
        }
    }

    /// `unverified` is what an earlier attempt left, and then what this one leaves.
    async fn obtain(
        &self,
        unverified: &mut Option<CredentialSet>,
        progress: &mut Progress,
    ) -> Result<Verdict, ProviderError> {
        let now = self.calls.clock.boot();
        let waiting = unverified
            .take()
            .filter(|set| adopt::is_still_wanted(set, self.held.as_deref(), now));
        let candidate = match waiting {
            Some(set) => set,
            None => match self.mint(progress).await? {
                Verdict::Adopt(set) => set,
                not_adopted @ (Verdict::Repeat | Verdict::Shorter { .. }) => {
                    return Ok(not_adopted);
                }
            },
        };
        if let Some(expected) = &self.expected_account {
            match self.calls.identity(&candidate.keys, progress).await {
                Ok(identity) => check_account(&identity, expected)?,
                Err(error) => {
                    if may_be_answered_later(error.class) {
                        *unverified = Some(candidate);
                    }
                    return Err(not_verified(error));
                }
            }
        }
        Ok(Verdict::Adopt(candidate))
    }

    async fn mint(&self, progress: &mut Progress) -> Result<Verdict, ProviderError> {
        let obtained = self.calls.mint(progress).await?;
        adopt::judge(
            obtained,
            Circumstances {
                held: self.held.as_deref(),
                now: self.calls.clock.boot(),
                wall: self.calls.clock.wall(),
                generation: self.generation,
                etag_key: &self.etag_key,
            },
        )
    }
}

/// Whether the question whose credentials these are is worth asking again of the same set.
fn may_be_answered_later(class: Class) -> bool {
    match class {
        Class::Transient | Class::Throttled { .. } | Class::Clock { .. } => true,
        Class::DurationTooLong
        | Class::StaleSource
        | Class::SourceUnavailable
        | Class::Final
        | Class::NeedsLogin => false,
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
fn not_verified(error: ProviderError) -> ProviderError {
    ProviderError {
        message: format!(
            "the account of the new credentials could not be verified; not adopted: {}",
            error.message
        ),
        ..error
    }
}
