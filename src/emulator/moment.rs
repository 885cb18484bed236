//! The emulator's time of day: the host's, moved.

use std::time::{Duration, SystemTime};

use crate::clock::BootTime;

/// How far the emulated clock may be moved, in seconds: a year.
pub const FARTHEST_OFFSET: u64 = 366 * 86_400;

/// One reading of the clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The host's wall clock, in seconds since 1970.
    pub(super) host: u64,
    /// How far the emulator's is ahead of it, in seconds.
    pub(super) ahead: i64,
    pub(super) boot: BootTime,
}

impl Moment {
    /// What the emulator takes for the time of day, in seconds since 1970.
    pub(super) fn shown(self) -> u64 {
        self.seen_from_here(self.host)
    }

    /// A time of the host's clock on the emulator's.
    pub(super) fn seen_from_here(self, host_seconds: u64) -> u64 {
        host_seconds.saturating_add_signed(self.ahead)
    }

    /// [`Self::shown`] as a time.
    pub(super) fn wall(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.shown())
    }
}
