//! Moments as written, and what they are on this boot.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::clock::BootTime;
use crate::daemon::fdstore::Here;

/// Both clocks at one moment, in nanoseconds since boot and milliseconds since 1970.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub(super) struct Clocks {
    pub(super) boot_ns: u64,
    pub(super) wall_ms: u64,
}

/// What to add to a boot time as written to get the same moment on this boot's clock.
#[derive(Clone, Copy)]
pub(super) struct Shift(pub(super) i128);

impl Shift {
    /// From another boot.
    pub(super) fn between(written_at: Clocks, here: Here<'_>) -> Result<Self, String> {
        let elapsed_ms = milliseconds(here.at.wall)
            .checked_sub(written_at.wall_ms)
            .ok_or("the machine was started anew and its clock set back: kept sets are dropped")?;
        let now_ns = i128::from(nanoseconds(here.at.now.since_boot()));
        let written_ns = now_ns - i128::from(elapsed_ms) * 1_000_000;
        Ok(Self(written_ns - i128::from(written_at.boot_ns)))
    }

    /// A moment before this boot becomes the boot itself: the set only looks younger than it is,
    /// its end stays.
    pub(super) fn apply(self, boot_ns: u64) -> BootTime {
        let shifted = (i128::from(boot_ns) + self.0).max(0);
        BootTime::new(Duration::from_nanos(
            u64::try_from(shifted).unwrap_or(u64::MAX),
        ))
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn milliseconds(time: SystemTime) -> u64 {
    let since_epoch = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn wall_time(since_epoch_ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(since_epoch_ms))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}
