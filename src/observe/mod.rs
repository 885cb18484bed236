//! What the daemon tells its operator: logs, metrics, audit events. Holds no decisions.

pub mod audit;
mod json_escapes;
pub mod logging;
pub mod metrics;
mod process;
