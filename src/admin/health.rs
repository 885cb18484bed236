//! Whether the daemon lives, and whether it is ready.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{BootTime, Clock};

/// The supervising task beats far more often; without a beat for so long it is stuck.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// Whether the daemon lives (its supervising task beats) and is ready (every part it waited
/// for at start has arrived). Ready is for good: a role that fails later is a matter for
/// metrics, and no reason to take the daemon out of service.
#[derive(Debug)]
pub struct Health {
    clock: Arc<dyn Clock>,
    /// Milliseconds on the boot clock.
    beat: AtomicU64,
    missing: Mutex<BTreeSet<String>>,
}

impl Health {
    /// Alive now, and ready once each of these parts has arrived.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, parts: impl IntoIterator<Item = String>) -> Self {
        let health = Self {
            clock,
            beat: AtomicU64::new(0),
            missing: Mutex::new(parts.into_iter().collect()),
        };
        health.beat();
        health
    }

    /// For the supervising task, each time around its loop.
    pub fn beat(&self) {
        let now = self.clock.boot().since_boot().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.beat.store(now, Ordering::Relaxed);
    }

    /// Whether the supervising task did not miss its beat.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let beat = BootTime::new(Duration::from_millis(self.beat.load(Ordering::Relaxed)));
        self.clock.boot().since(beat) <= LONGEST_SILENCE
    }

    /// This part is there, or has failed for a first time: either way it is not waited for.
    pub fn arrived(&self, part: &str) {
        self.parts(|missing| missing.remove(part));
    }

    /// Nothing is waited for any longer.
    pub fn declare_ready(&self) {
        self.parts(BTreeSet::clear);
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts(|missing| missing.is_empty())
    }

    /// What has not arrived yet, in alphabetical order.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.parts(|missing| missing.iter().cloned().collect())
    }

    fn parts<T>(&self, work: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        work(&mut self.missing.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
