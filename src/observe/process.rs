//! The usual `process_*` metrics, read from the kernel at each scrape.
//!
//! Only `/proc/self` is used, so that they work where a unit hides the rest of `/proc`. What
//! cannot be read is left out instead of shown as zero.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::clock::{Clock, SystemClock};

/// Collects what the kernel knows about this process.
#[derive(Debug)]
pub(super) struct Process {
    /// Seconds since 1970. Computed once, or every step of the wall clock would move it.
    started_at: Option<f64>,
}

impl Process {
    pub(super) fn new() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        let since_boot = stat
            .as_deref()
            .and_then(start_ticks)
            .map(|ticks| float(ticks) / float(clock_ticks_per_second()));
        let started_at = since_boot.and_then(|started| {
            let up = SystemClock.boot().since_boot().as_secs_f64();
            let wall = SystemClock.wall();
            let now = wall.duration_since(std::time::UNIX_EPOCH).ok()?;
            Some(now.as_secs_f64() - (up - started))
        });
        Self { started_at }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = float(cpu.tv_sec.unsigned_abs()) + float(cpu.tv_nsec.unsigned_abs()) / 1e9;
        let cpu = ConstCounter::new(cpu);
        cpu.encode(encoder.encode_descriptor(
            "process_cpu_seconds",
            "Processor time used",
            None,
            cpu.metric_type(),
        )?)?;

        let memory = fs::read_to_string("/proc/self/statm").ok();
        let (virtual_memory, resident) = memory.as_deref().map(pages).unwrap_or_default();
        let bytes = |pages: Option<u64>| pages.map(|count| float(count) * float_size(page_size()));
        let open = fs::read_dir("/proc/self/fd").map(Iterator::count).ok();
        // One of them is the directory just read.
        let open = open.map(|count| float_size(count.saturating_sub(1)));
        let most = getrlimit(Resource::Nofile).current.map(float);
        for (name, help, value) in [
            (
                "process_virtual_memory_bytes",
                "Address space",
                bytes(virtual_memory),
            ),
            (
                "process_resident_memory_bytes",
                "Memory in use",
                bytes(resident),
            ),
            ("process_open_fds", "Open descriptors", open),
            ("process_max_fds", "Most descriptors that may be open", most),
            (
                "process_start_time_seconds",
                "When the process started",
                self.started_at,
            ),
        ] {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(
                    name,
                    help,
                    None,
                    gauge.metric_type(),
                )?)?;
            }
        }
        Ok(())
    }
}

/// Field 22 of `/proc/self/stat`: clock ticks from boot to the start, suspend included. The
/// second field, a program's name in parentheses, may hold anything.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(22 - 3)?.parse().ok()
}

/// The first two fields of `/proc/self/statm`.
fn pages(statm: &str) -> (Option<u64>, Option<u64>) {
    let mut fields = statm.split_whitespace().map(|field| field.parse().ok());
    (fields.next().flatten(), fields.next().flatten())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating point; exact up to 2^53"
)]
fn float(number: u64) -> f64 {
    number as f64
}

fn float_size(number: usize) -> f64 {
    float(u64::try_from(number).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Process, start_ticks};

    #[test]
    fn a_programs_name_cannot_shift_the_fields() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_ticks(&format!("99 (a) b (c) {rest}")), Some(4711));
        assert_eq!(start_ticks("99"), None);
    }

    #[test]
    fn the_start_lies_in_the_recent_past() {
        use crate::clock::{Clock, SystemClock, unix_seconds};
        let now = super::float(unix_seconds(SystemClock.wall()));
        let started = Process::new().started_at.unwrap();
        assert!((now - 86_400.0..now + 2.0).contains(&started), "{started}");
    }
}
