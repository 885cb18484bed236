//! What all connections share, each part behind its own short lock, and the handle tests use.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::calls::{Calls, CallsReport};
use super::faults::{Called, Fault};
use super::moment::{FARTHEST_OFFSET, Moment};
use super::portal_book::{Decision, Portal};
use super::script::{InvalidFaults, Script};
use super::world::World;
use crate::clock::Clock;
use crate::listener::metadata_token::MetadataTokens;

/// A running emulator's inside. All methods take a short lock and never wait for the network.
#[derive(Debug)]
pub struct State {
    clock: Arc<dyn Clock>,
    offset_seconds: AtomicI64,
    world: Mutex<World>,
    huawei: Mutex<World>,
    pub(super) metadata_tokens: MetadataTokens,
    script: Mutex<Script>,
    calls: Mutex<Calls>,
    portal: Mutex<Portal>,
}

impl State {
    pub(super) fn new(world: World, huawei: World, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            offset_seconds: AtomicI64::new(0),
            world: Mutex::new(world),
            huawei: Mutex::new(huawei),
            metadata_tokens: MetadataTokens::random(),
            script: Mutex::new(Script::default()),
            calls: Mutex::new(Calls::default()),
            portal: Mutex::new(Portal::example()),
        }
    }

    /// Looks at the world of Tencent Cloud, or changes it.
    pub fn with_world<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut locked(&self.world))
    }

    /// The same of Huawei Cloud.
    pub fn with_huawei<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut locked(&self.huawei))
    }

    /// Looks at the portals of the Identity Centers, or changes them.
    pub fn with_portal<T>(&self, work: impl FnOnce(&mut Portal) -> T) -> T {
        work(&mut locked(&self.portal))
    }

    /// The person decides about the sign-in with this code or state; false if nobody waits.
    pub fn decide(&self, shown: &str, decision: Decision) -> bool {
        let now = self.clock.boot();
        self.with_portal(|portal| portal.decide(shown, decision, now))
    }

    /// Appends to the script: all of them, or none.
    pub fn push_faults(&self, faults: Vec<Fault>) -> Result<(), InvalidFaults> {
        locked(&self.script).append(faults)
    }

    /// Appends one fault to the script.
    pub fn push_fault(&self, fault: Fault) -> Result<(), InvalidFaults> {
        self.push_faults(vec![fault])
    }

    /// Drops what is left of the script.
    pub fn clear_faults(&self) {
        locked(&self.script).clear();
    }

    /// What is left of the script.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        locked(&self.script).list().to_vec()
    }

    /// Counts, and the newest calls one by one.
    #[must_use]
    pub fn calls(&self) -> CallsReport {
        locked(&self.calls).report()
    }

    /// Sets all counts to zero and empties the list of calls.
    pub fn reset_counts(&self) {
        locked(&self.calls).reset();
    }

    /// Moves the emulator's clock ahead of the host's (negative: behind), in checks and in
    /// `Date`; more than a year is cut down to one. Keys already issued live on as they would.
    pub fn set_clock_offset(&self, seconds: i64) {
        let farthest = FARTHEST_OFFSET.cast_signed();
        let seconds = seconds.clamp(-farthest, farthest);
        self.offset_seconds.store(seconds, Ordering::Relaxed);
    }

    /// How far the emulator's clock is ahead of the host's, in seconds.
    #[must_use]
    pub fn clock_offset(&self) -> i64 {
        self.offset_seconds.load(Ordering::Relaxed)
    }

    /// Seconds since 1970 on the emulator's clock.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.moment(0).shown()
    }

    pub(super) fn moment(&self, skew_seconds: i64) -> Moment {
        Moment {
            host: crate::clock::unix_seconds(self.clock.wall()),
            ahead: self.clock_offset().saturating_add(skew_seconds),
            boot: self.clock.boot(),
        }
    }

    pub(super) fn take_fault(&self, call: Called<'_>) -> Option<Fault> {
        locked(&self.script).take(call)
    }

    pub(super) fn with_calls<T>(&self, work: impl FnOnce(&mut Calls) -> T) -> T {
        work(&mut locked(&self.calls))
    }
}

/// A poisoned lock means that another connection's task panicked; the data is still whole enough
/// for a stand-in.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
