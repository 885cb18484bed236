//! Where one role stands: what is held, how it is shown, when the next attempt is due. Changes
//! only by what it is told; reads no clock and draws no number.

mod pauses;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::adopt::{self, Verdict};
use super::show::{self, Shown};
use crate::clock::{BootTime, jumps};
use crate::credentials::CredentialSet;
use crate::schedule::{self, Plan, Tuning};
use crate::store::{Failure, Refresh, Role, Snapshot, View};

/// Both clocks, read together.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: BootTime,
    pub wall: SystemTime,
}

impl Moment {
    /// What the wall clock showed at boot-clock zero.
    fn wall_at_boot(self) -> SystemTime {
        self.wall
            .checked_sub(self.now.since_boot())
            .unwrap_or(self.wall)
    }
}

#[derive(Debug)]
pub struct State {
    current: Option<Current>,
    pub refresh: Refresh,
    /// When the next attempt starts.
    pub due: BootTime,
    /// When the last attempt started.
    pub last_start: Option<BootTime>,
    /// The end of the pause that a throttling cloud asked for.
    not_before: Option<BootTime>,
    failure: Option<Failure>,
    failures: u32,
    /// Whether the last attempt failed, which lets the margin go early.
    last_failed: bool,
    last_attempt: Option<SystemTime>,
    last_success: Option<SystemTime>,
    generation: u64,
    wall_at_boot: SystemTime,
}

/// What a role held before this process began.
#[derive(Debug)]
pub struct Resumed {
    pub set: CredentialSet,
    /// The set's end as it was told, in the host's wall clock.
    pub real_expiry: SystemTime,
    /// Whether it was shown without a margin: that is never taken back.
    pub margin_dropped: bool,
    pub last_success: Option<SystemTime>,
}

/// The adopted set and how it is shown.
#[derive(Debug)]
struct Current {
    set: Arc<CredentialSet>,
    plan: Plan,
    /// The draw of this set, kept for other tuning.
    draw: f64,
    shown: Shown,
    snapshot: Arc<Snapshot>,
    margin_dropped: bool,
}

impl State {
    #[must_use]
    pub fn new(at: Moment, lazy: bool) -> Self {
        Self {
            current: None,
            refresh: if lazy {
                Refresh::Resting
            } else {
                Refresh::Idle
            },
            due: at.now,
            last_start: None,
            not_before: None,
            failure: None,
            failures: 0,
            last_failed: false,
            last_attempt: None,
            last_success: None,
            generation: 0,
            wall_at_boot: at.wall_at_boot(),
        }
    }

    /// What readers see.
    #[must_use]
    pub fn view(&self, tuning: Tuning) -> View {
        let current = self.current.as_ref();
        View {
            held: current.map(|current| Arc::clone(&current.snapshot)),
            refresh: self.refresh,
            min_remaining: current.map_or_else(
                || tuning.min_remaining.unwrap_or_default(),
                |current| current.plan.min_remaining,
            ),
            failure: self.failure.clone(),
            consecutive_failures: self.failures,
            next_attempt: (self.refresh != Refresh::Resting).then_some(self.due),
            last_attempt: self.last_attempt,
            last_success: self.last_success,
        }
    }

    /// The set we hold, valid or not.
    #[must_use]
    pub fn set(&self) -> Option<&CredentialSet> {
        self.current.as_ref().map(|current| &*current.set)
    }

    /// The same, to keep.
    #[must_use]
    pub fn shared_set(&self) -> Option<Arc<CredentialSet>> {
        let current = self.current.as_ref();
        current.map(|current| Arc::clone(&current.set))
    }

    /// Real life left; `None` if nothing valid is held.
    #[must_use]
    pub fn remaining(&self, now: BootTime) -> Option<Duration> {
        self.set()
            .filter(|set| set.is_valid(now))
            .map(|set| set.remaining(now))
    }

    /// Shown life left; `None` if nothing valid is held.
    #[must_use]
    pub fn shown_remaining(&self, now: BootTime) -> Option<Duration> {
        let current = self.current.as_ref()?;
        let is_valid = current.set.is_valid(now);
        is_valid.then(|| current.snapshot.shown_remaining(now))
    }

    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    #[must_use]
    pub fn last_failed(&self) -> bool {
        self.last_failed
    }

    /// The expiry everybody is told.
    #[must_use]
    pub fn shown_expiry(&self) -> Option<SystemTime> {
        self.current
            .as_ref()
            .map(|current| current.snapshot.shown_expiry)
    }

    /// The wall-clock time of a moment on the boot clock.
    #[must_use]
    pub fn wall_time(&self, at: BootTime) -> SystemTime {
        self.wall_at_boot + at.since_boot()
    }

    /// When something about the held set reads differently next.
    #[must_use]
    pub fn next_change(&self, now: BootTime) -> Option<BootTime> {
        let current = self.current.as_ref()?;
        let told = current.snapshot.told_remaining(now);
        // a moment later, so that it has come true
        let told_is_over = (!told.is_zero()).then(|| now + told + Duration::from_millis(1));
        show::next_change(&current.set, &current.plan, current.shown.margin, now)
            .into_iter()
            .chain(told_is_over)
            .min()
    }

    /// An attempt starts.
    pub fn attempt_started(&mut self, at: Moment) {
        self.last_start = Some(at.now);
        self.last_attempt = Some(at.wall);
        if self.refresh == Refresh::Resting {
            self.refresh = Refresh::Idle;
        }
    }

    /// An attempt went well, whether or not it brought another set.
    pub fn succeeded(
        &mut self,
        role: &Role,
        verdict: Verdict,
        timing: (Tuning, bool),
        draw: f64,
        at: Moment,
    ) {
        self.refresh = Refresh::Idle;
        self.failure = None;
        self.failures = 0;
        self.last_failed = false;
        self.not_before = None;
        self.last_success = Some(at.wall);
        let (_, mints) = timing;
        match verdict {
            Verdict::Adopt(set) => {
                let soonest = at.now + schedule::shortest_pause(set.lifetime());
                self.adopt(role, set, timing, draw, at);
                // The plan counts from when the call was made, which may be a while ago.
                self.due = self.due.max(soonest);
            }
            Verdict::Shorter { lifetime, .. } if mints => {
                self.due = self.due_for_shorter(lifetime, at.now);
            }
            // Another set may come at any time.
            Verdict::Repeat | Verdict::Shorter { .. } => {
                let remaining = self.remaining(at.now).unwrap_or_default();
                self.due = at.now + schedule::repeat_pause(remaining);
            }
        }
    }

    /// Sessions are shorter now than the one that is held: not before its replacement was planned,
    /// and then when the next of them would outlive it. That may be shortly before it ends, and
    /// one short session may have been a slip: so also each time an eighth of its life is over.
    fn due_for_shorter(&self, lifetime: Duration, now: BootTime) -> BootTime {
        let soonest = now + schedule::shortest_pause(lifetime);
        self.current.as_ref().map_or(soonest, |current| {
            let planned = current.set.obtained_at + current.plan.due_age;
            let again = now + schedule::shorter_pause(current.set.remaining(now));
            adopt::worth_replacing_at(&current.set, lifetime)
                .min(again)
                .max(planned)
                .max(soonest)
        })
    }

    /// A set that was adopted before this process began: it is held as if nothing had ended.
    pub fn resume(
        &mut self,
        role: &Role,
        resumed: Resumed,
        (timing, draw): ((Tuning, bool), f64),
        at: Moment,
    ) {
        let end = resumed.set.expires_at.since_boot();
        let before = resumed.real_expiry.checked_sub(end);
        // Read anew, the clocks differ by microseconds, and an expiry told in whole seconds would
        // be told as another one.
        let wall_at_boot = before
            .filter(|before| !jumps::differ(*before, at.wall_at_boot()))
            .unwrap_or_else(|| at.wall_at_boot());
        let at = Moment {
            now: at.now,
            wall: wall_at_boot + at.now.since_boot(),
        };
        self.refresh = Refresh::Idle;
        self.last_success = resumed.last_success;
        self.adopt(role, resumed.set, timing, draw, at);
        if resumed.margin_dropped
            && let Some(current) = &mut self.current
        {
            current.margin_dropped = true;
            self.show(role, at);
        }
    }

    fn adopt(
        &mut self,
        role: &Role,
        set: CredentialSet,
        (tuning, mints): (Tuning, bool),
        draw: f64,
        at: Moment,
    ) {
        let plan = Plan::new(set.lifetime(), tuning, mints, draw);
        let set = Arc::new(set);
        self.generation = set.generation;
        self.due = set.obtained_at + plan.due_age;
        self.wall_at_boot = at.wall_at_boot();
        let shown = Shown {
            margin: show::margin_in_force(&plan, set.remaining(at.now), false, false),
            wall_at_boot: self.wall_at_boot,
        };
        self.current = Some(Current {
            margin_dropped: shown.margin.is_zero(),
            snapshot: shown.snapshot(role, &set),
            set,
            plan,
            draw,
            shown,
        });
    }

    /// Drops the set; another attempt is due at once.
    pub fn forget(&mut self, now: BootTime) {
        self.current = None;
        self.due = now;
    }

    /// Other tuning: the set stays, its plan is made anew with the same draw. What failed is
    /// tried again at once, since somebody may just have repaired it.
    pub fn retune(&mut self, timing: (Tuning, bool), lazy: bool, now: BootTime) {
        let (tuning, mints) = timing;
        self.not_before = None;
        if let Some(current) = &mut self.current {
            current.plan = Plan::new(current.set.lifetime(), tuning, mints, current.draw);
        }
        if !lazy && self.refresh == Refresh::Resting {
            self.refresh = Refresh::Idle;
        }
        match (&self.current, self.refresh) {
            (Some(current), Refresh::Idle) => {
                self.due = current.set.obtained_at + current.plan.due_age;
            }
            (None, _) | (Some(_), Refresh::Retrying | Refresh::Failing | Refresh::NeedsLogin) => {
                self.due = now;
            }
            (Some(_), Refresh::Resting) => {}
        }
    }

    /// Renders again if the set reads differently at this moment. Whether it did.
    pub fn show(&mut self, role: &Role, at: Moment) -> bool {
        if jumps::differ(at.wall_at_boot(), self.wall_at_boot) {
            self.wall_at_boot = at.wall_at_boot();
        }
        let last_failed = self.last_failed;
        let Some(current) = &mut self.current else {
            return false;
        };
        let shown = Shown {
            margin: show::margin_in_force(
                &current.plan,
                current.set.remaining(at.now),
                last_failed,
                current.margin_dropped,
            ),
            wall_at_boot: self.wall_at_boot,
        };
        if shown == current.shown || !current.set.is_valid(at.now) {
            return false;
        }
        current.margin_dropped |= shown.margin.is_zero();
        current.shown = shown;
        current.snapshot = shown.snapshot(role, &current.set);
        true
    }
}
