//! What a server costs, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// A process with all its threads and descendants, from `/proc`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessTree(pub(crate) u32);

impl ProcessTree {
    /// CPU time of everybody alive in it, in user and kernel mode: the first field of each
    /// thread's `schedstat`, which counts nanoseconds where `stat` counts ticks.
    pub(crate) fn cpu_time(self) -> Duration {
        let nanos = self
            .processes()
            .iter()
            .flat_map(|pid| threads(*pid))
            .filter_map(|directory| fs::read_to_string(format!("{directory}/schedstat")).ok())
            .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
            .sum();
        Duration::from_nanos(nanos)
    }

    fn processes(self) -> Vec<u32> {
        let mut found = vec![self.0];
        let mut at = 0;
        while let Some(&pid) = found.get(at) {
            for directory in threads(pid) {
                let children = fs::read_to_string(format!("{directory}/children"));
                let children = children.unwrap_or_default();
                found.extend(
                    children
                        .split_whitespace()
                        .filter_map(|pid| pid.parse::<u32>().ok()),
                );
            }
            at += 1;
        }
        found
    }
}

/// The folders of a process's threads; none if it is gone.
fn threads(pid: u32) -> Vec<String> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().to_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Duration, ProcessTree};

    #[test]
    fn this_process_uses_cpu() {
        let own = ProcessTree(std::process::id());
        let before = own.cpu_time();
        let mut sum = 0_u64;
        while own.cpu_time() < before + Duration::from_millis(2) {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(sum > 0);
    }

    #[test]
    fn children_count() {
        let mut child = std::process::Command::new("sleep")
            .arg("10")
            .spawn()
            .expect("sleep is everywhere");
        let own = ProcessTree(std::process::id());
        let found = own.processes().contains(&child.id());
        child.kill().expect("still running");
        child.wait().expect("our child");
        assert!(found);
    }
}
