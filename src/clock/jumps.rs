//! Notices that time did not pass evenly: the machine was suspended, or the wall clock was set.
//!
//! The kernel tells at once through a timer that is cancelled when the clock is set, which a
//! resume does too. Where it does not tell, looking every [`RECHECK`] finds out.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{BootTime, Clock, RECHECK};

/// Smaller differences are what time synchronisation does all day.
pub const TOLERANCE: Duration = Duration::from_secs(5);

/// What the wall clock shows at boot-clock zero. Constant until somebody sets the clock.
#[must_use]
pub fn wall_at_boot(clock: &dyn Clock) -> SystemTime {
    let wall = clock.wall();
    wall.checked_sub(clock.boot().since_boot()).unwrap_or(wall)
}

/// Whether two wall times differ by more than [`TOLERANCE`].
#[must_use]
pub fn differ(one: SystemTime, other: SystemTime) -> bool {
    one.duration_since(other)
        .unwrap_or_else(|error| error.duration())
        > TOLERANCE
}

/// Adds one to `jumps` at each jump. Runs until dropped.
pub async fn watch(clock: Arc<dyn Clock>, jumps: watch::Sender<u64>) {
    let timer = cancelled_on_set().ok();
    let mut last = Reading::take(&*clock);
    loop {
        tokio::select! {
            () = tokio::time::sleep(RECHECK) => {}
            () = clock_was_set(timer.as_ref()) => {}
        }
        let now = Reading::take(&*clock);
        if now.jumped_since(&last) {
            tracing::info!("the clock was set or the machine was suspended; planning anew");
            jumps.send_modify(|count| *count += 1);
        }
        last = now;
    }
}

/// Three clocks read together.
struct Reading {
    boot: BootTime,
    monotonic: Instant,
    wall_at_boot: SystemTime,
}

impl Reading {
    fn take(clock: &dyn Clock) -> Self {
        Self {
            boot: clock.boot(),
            monotonic: Instant::now(),
            wall_at_boot: wall_at_boot(clock),
        }
    }

    /// Suspended: the boot clock ran on while timers stood still. Set: the wall clock moved
    /// against the boot clock.
    fn jumped_since(&self, earlier: &Self) -> bool {
        let awake = self.monotonic.duration_since(earlier.monotonic);
        let suspended = self.boot.since(earlier.boot).saturating_sub(awake);
        suspended > TOLERANCE || differ(self.wall_at_boot, earlier.wall_at_boot)
    }
}

/// Resolves when the kernel says that the clock was set; never without a timer.
async fn clock_was_set(timer: Option<&AsyncFd<OwnedFd>>) {
    let Some(timer) = timer else {
        return std::future::pending().await;
    };
    if let Ok(mut guard) = timer.readable().await {
        let mut count = [0_u8; 8];
        // ECANCELED is the news; reading it also arms the notification again.
        let _ = rustix::io::read(timer.get_ref(), &mut count);
        guard.clear_ready();
    }
}

/// A timer that never fires, but is cancelled when the real-time clock is set.
fn cancelled_on_set() -> io::Result<AsyncFd<OwnedFd>> {
    let timer = timerfd_create(
        TimerfdClockId::Realtime,
        TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
    )?;
    let never = Timespec {
        tv_sec: i64::MAX / 2_000_000_000,
        tv_nsec: 0,
    };
    let once = Itimerspec {
        it_interval: Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        it_value: never,
    };
    timerfd_settime(
        &timer,
        TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET,
        &once,
    )?;
    #[expect(
        deprecated,
        reason = "its replacement is unsafe; an owned descriptor is exactly what it asks for"
    )]
    AsyncFd::new(timer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::TestClock;

    async fn jumps_after(change: impl FnOnce(&TestClock)) -> u64 {
        let clock = Arc::new(TestClock::start());
        let (sender, receiver) = watch::channel(0);
        let task = tokio::spawn(watch(clock.clone(), sender));
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(*receiver.borrow(), 0, "time passed evenly so far");
        change(&clock);
        tokio::time::sleep(RECHECK + Duration::from_secs(1)).await;
        task.abort();
        *receiver.borrow()
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspend_and_a_set_clock_are_noticed_within_the_recheck() {
        let minute = Duration::from_mins(1);
        assert_eq!(jumps_after(|clock| clock.suspend(minute)).await, 1);
        assert_eq!(jumps_after(|clock| clock.step_wall(minute)).await, 1);
        assert_eq!(jumps_after(|clock| clock.step_wall_back(minute)).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn small_corrections_are_not_jumps() {
        let second = Duration::from_secs(1);
        assert_eq!(jumps_after(|clock| clock.step_wall(second)).await, 0);
    }

    #[test]
    fn the_kernel_has_such_a_timer() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(async { assert!(cancelled_on_set().is_ok()) });
    }
}
