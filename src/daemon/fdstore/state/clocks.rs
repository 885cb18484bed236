//! What was learned about an endpoint's clock, as written.

use serde::{Deserialize, Serialize};

use super::times::{milliseconds, wall_time};
use crate::provider::endpoint_clock::Learned;

#[derive(Deserialize, Serialize)]
pub(super) struct ClockEntry {
    ahead_secs: i64,
    wall_at_boot_ms: u64,
}

impl ClockEntry {
    pub(super) fn new(learned: Learned) -> Self {
        Self {
            ahead_secs: learned.ahead,
            wall_at_boot_ms: milliseconds(learned.wall_at_boot),
        }
    }

    pub(super) fn learned(&self) -> Learned {
        Learned {
            ahead: self.ahead_secs,
            wall_at_boot: wall_time(self.wall_at_boot_ms),
        }
    }
}
