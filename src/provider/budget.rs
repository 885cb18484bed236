//! How many calls an endpoint gets from us: calls in the order they were asked for, evenly spaced.
//!
//! A caller waits in line until its turn comes, so a thousand roles that fall due together are
//! spread out instead of being throttled by the cloud. When the cloud does throttle us, the rate
//! is halved and recovers step by step. The line moves at the rate in force: those who wait
//! already are not held to an older one, and one who leaves it holds up nobody.
//!
//! An endpoint has one budget for all its calls, and a narrower one for each action within it; a
//! call takes a slot of both.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::{BootTime, Clock, sleep_until};

/// How long a halving lasts before the rate doubles again.
const PENALTY: Duration = Duration::from_mins(1);
/// At most this many halvings at a time: a sixty-fourth of the rate still makes progress.
const MOST_HALVINGS: u32 = 6;

/// A budget of calls, shared by all roles that make them.
#[derive(Debug)]
pub struct Budget {
    clock: Arc<dyn Clock>,
    /// The budget of the endpoint, for that of an action.
    within: Option<Arc<Self>>,
    /// Held by the first in line. Fair: whoever came first is next.
    line: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Pulled when the rate changes, for the first in line.
    changed: Notify,
}

/// When a call left, or a caller may leave: its place in each budget it took from.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    own: BootTime,
    within: Option<BootTime>,
}

#[derive(Debug)]
struct State {
    per_second: f64,
    /// The slot that was taken last, and what stood here before.
    last: Option<BootTime>,
    before_last: Option<BootTime>,
    halvings: u32,
    /// Calls that left until then were in flight, or answered already, when the rate was halved
    /// last; they tell nothing about the rate in force.
    halved_at: Option<BootTime>,
    penalty_ends: BootTime,
}

impl Budget {
    /// `per_second` calls, evenly spaced.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, per_second: f64) -> Self {
        Self {
            clock,
            within: None,
            line: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                per_second: at_least_some(per_second),
                last: None,
                before_last: None,
                halvings: 0,
                halved_at: None,
                penalty_ends: BootTime::default(),
            }),
            changed: Notify::new(),
        }
    }

    /// The same, of calls that count against `whole`, too.
    #[must_use]
    pub fn within(self, whole: Arc<Self>) -> Self {
        Self {
            within: Some(whole),
            ..self
        }
    }

    /// Waits for a slot. Safe to drop: who has not got its slot has taken none.
    pub async fn acquire(&self) -> Slot {
        let own = self.next().await;
        let within = match &self.within {
            Some(whole) => Some(whole.next().await),
            None => None,
        };
        Slot { own, within }
    }

    /// The call was not made after all.
    pub fn give_back(&self, slot: Slot) {
        self.untake(slot.own);
        if let Some((whole, slot)) = self.within.as_ref().zip(slot.within) {
            whole.untake(slot);
        }
    }

    /// The cloud asked for fewer requests in answer to the call of this slot: half the rate for a
    /// while. Only once for all the calls that were under way.
    pub fn throttled(&self, slot: Slot) {
        self.halve(slot.own);
        if let Some((whole, slot)) = self.within.as_ref().zip(slot.within) {
            whole.halve(slot);
        }
    }

    /// The rate in force now, in calls per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let mut state = self.state();
        state.recover(self.clock.boot());
        let whole = self.within.as_ref().map_or(f64::INFINITY, |it| it.rate());
        state.rate().min(whole)
    }

    /// Whether a throttle is still felt.
    #[must_use]
    pub fn is_halved(&self) -> bool {
        let mut state = self.state();
        state.recover(self.clock.boot());
        state.halvings > 0
    }

    /// Another rate from here on, as after a reload. A halving stays in force.
    pub fn set_rate(&self, per_second: f64) {
        self.state().per_second = at_least_some(per_second);
        self.changed.notify_one();
    }

    async fn next(&self) -> BootTime {
        let _first = self.line.lock().await;
        loop {
            let look_again = {
                let now = self.clock.boot();
                let mut state = self.state();
                state.recover(now);
                let free = state.next_free();
                if free <= now {
                    return state.take(free, now);
                }
                if state.halvings > 0 {
                    free.min(state.penalty_ends)
                } else {
                    free
                }
            };
            tokio::select! {
                () = sleep_until(&*self.clock, look_again) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    fn halve(&self, slot: BootTime) {
        let now = self.clock.boot();
        let mut state = self.state();
        state.recover(now);
        state.penalty_ends = now + PENALTY;
        if state.halved_at.is_none_or(|halved| slot > halved) {
            state.halvings = (state.halvings + 1).min(MOST_HALVINGS);
            state.halved_at = Some(now);
            self.changed.notify_one();
        }
    }

    fn untake(&self, slot: BootTime) {
        let mut state = self.state();
        if state.last == Some(slot) {
            state.last = state.before_last;
            self.changed.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rate(&self) -> f64 {
        self.per_second / f64::from(1_u32 << self.halvings)
    }

    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate())
    }

    fn next_free(&self) -> BootTime {
        self.last
            .map_or_else(BootTime::default, |last| last + self.interval())
    }

    /// Timers are a little late, which is made up for; time that nobody used is not.
    fn take(&mut self, free: BootTime, now: BootTime) -> BootTime {
        let slot = if now.since(free) < self.interval() {
            free
        } else {
            now
        };
        self.before_last = self.last;
        self.last = Some(slot);
        slot
    }

    fn recover(&mut self, now: BootTime) {
        while self.halvings > 0 && now >= self.penalty_ends {
            self.halvings -= 1;
            self.penalty_ends = self.penalty_ends + PENALTY;
        }
    }
}

/// A budget of nothing would stop a role for good.
fn at_least_some(per_second: f64) -> f64 {
    per_second.max(0.001)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Budget;
    use crate::clock::testing::TestClock;

    const SECOND: Duration = Duration::from_secs(1);

    fn budget(per_second: f64) -> Budget {
        Budget::new(Arc::new(TestClock::start()), per_second)
    }

    #[track_caller]
    fn assert_rate(budget: &Budget, expected: f64) {
        let rate = budget.rate();
        assert!((rate - expected).abs() < f64::EPSILON, "{rate}");
    }

    /// How long it takes until the last of so many callers has its slot.
    async fn all_of(budget: &Arc<Budget>, callers: usize) -> Duration {
        let begun = Instant::now();
        let waiting: Vec<_> = (0..callers)
            .map(|_| {
                let budget = Arc::clone(budget);
                tokio::spawn(async move { budget.acquire().await })
            })
            .collect();
        for caller in waiting {
            caller.await.unwrap();
        }
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_spaced_by_the_rate() {
        let budget = budget(10.0);
        let begun = Instant::now();
        for _ in 0..11 {
            budget.acquire().await;
        }
        let took = begun.elapsed();
        assert!(took >= SECOND, "{took:?}");
        assert!(took < Duration::from_millis(1200), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_halves_the_rate_for_a_while() {
        let budget = budget(8.0);
        for expected in [4.0, 2.0] {
            tokio::time::sleep(SECOND).await;
            let slot = budget.acquire().await;
            budget.throttled(slot);
            assert_rate(&budget, expected);
        }
        tokio::time::sleep(61 * SECOND).await;
        assert_rate(&budget, 4.0);
        tokio::time::sleep(61 * SECOND).await;
        assert_rate(&budget, 8.0);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_were_under_way_together_halve_it_once() {
        let budget = budget(64.0);
        let mut under_way = Vec::new();
        for _ in 0..10 {
            under_way.push(budget.acquire().await);
        }
        for slot in under_way {
            budget.throttled(slot);
        }
        assert_rate(&budget, 32.0);
        let slot = budget.acquire().await;
        budget.throttled(slot);
        assert_rate(&budget, 16.0);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_follow_the_rate() {
        let budget = Arc::new(budget(0.001));
        budget.acquire().await;
        let line = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { all_of(&budget, 10).await }
        });
        tokio::time::sleep(10 * SECOND).await;
        assert!(!line.is_finished());
        budget.set_rate(10.0);
        let took = line.await.unwrap();
        assert!(took < 12 * SECOND, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_made_during_a_halving_moves_faster_after_it() {
        let budget = Arc::new(budget(0.1));
        let slot = budget.acquire().await;
        budget.throttled(slot);
        // Six callers at 20 s each would take two minutes.
        let took = all_of(&budget, 6).await;
        assert!(took >= 85 * SECOND && took <= 95 * SECOND, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_leaves_the_line_holds_up_nobody() {
        let budget = Arc::new(budget(1.0));
        budget.acquire().await;
        for _ in 0..100 {
            let left = tokio::time::timeout(Duration::from_millis(1), budget.acquire()).await;
            assert!(left.is_err());
        }
        assert!(all_of(&budget, 1).await <= SECOND);
        let slot = budget.acquire().await;
        budget.give_back(slot);
        assert_eq!(all_of(&budget, 1).await, Duration::ZERO, "no call was made");
    }

    #[tokio::test(start_paused = true)]
    async fn actions_share_what_their_endpoint_has() {
        let clock = Arc::new(TestClock::start());
        let whole = Arc::new(Budget::new(clock.clone(), 10.0));
        let action = |per_second| {
            let budget = Budget::new(clock.clone(), per_second);
            Arc::new(budget.within(Arc::clone(&whole)))
        };
        let (wide, narrow) = (action(10.0), action(2.0));
        let took = tokio::join!(all_of(&wide, 10), all_of(&narrow, 3));
        assert!(took.0 >= SECOND, "{took:?}");
        assert!(took.1 >= SECOND, "{took:?}");

        let slot = narrow.acquire().await;
        narrow.throttled(slot);
        assert_rate(&narrow, 1.0);
        assert_rate(&wide, 5.0);
    }
}
