//! What the daemon tells its operator: logs, metrics, audit events. Holds no decisions.

pub mod audit;
pub mod logging;
pub mod metrics;
mod process;
