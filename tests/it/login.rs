//! Signing in to both clouds' Identity Centers, against the emulator's portals.

mod ahead;
mod faults;
mod huawei;
mod life;
mod memory;
mod places;
mod renewal;
mod setup;
mod tencent;
mod whole;
