//! The two clocks a load needs: one to measure with, one to hold expiries against.

use std::time::Duration;

use rustix::event::{Timespec, poll};
use rustix::time::{ClockId, clock_gettime};

/// Time on the monotonic clock; only differences mean anything.
pub(crate) fn monotonic() -> Duration {
    read(ClockId::Monotonic)
}

/// Time since 1970, as this host sees it.
pub(crate) fn wall() -> Duration {
    read(ClockId::Realtime)
}

/// Waits without a runtime.
pub(crate) fn pause(length: Duration) {
    // An interrupted wait is a shorter one, which every caller bears.
    let _interrupted = poll(&mut [], Some(&timespec(length)));
}

/// As the kernel takes a time-out.
pub(crate) fn timespec(length: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(length.subsec_nanos()),
    }
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    // Neither clock is ever negative.
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
