//! Signals, delivered into the runtime through socket pairs: no thread, no handler code.
//!
//! The first SIGTERM or SIGINT asks for a graceful stop. Another one within a second is the same
//! request told twice (`timeout` and service managers signal a process and then its group); a
//! later one is somebody who insists: what is still under way is cut off, and the process ends
//! in an orderly way all the same.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::Instant;

/// Requests to stop that come within this time are one.
const TOGETHER: Duration = Duration::from_secs(1);

/// The signals the daemon acts on.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: UnixStream,
    interrupt: UnixStream,
    hang_up: UnixStream,
    /// When the first request to stop came.
    asked_to_stop: Option<Instant>,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Request {
    Stop,
    Reload,
}

impl Signals {
    /// From here on the signals are ours. Must run inside a runtime.
    ///
    /// # Errors
    /// The kernel refuses a handler or a socket pair.
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self {
            terminate: readable(SIGTERM)?,
            interrupt: readable(SIGINT)?,
            hang_up: readable(SIGHUP)?,
            asked_to_stop: None,
        })
    }

    /// The next signal. Safe to drop.
    pub(crate) async fn next(&mut self) -> Request {
        let mut byte = [0];
        let mut other = [0];
        // Several reload requests that wait are one request.
        let mut several = [0; 64];
        let request = tokio::select! {
            _ = self.terminate.read(&mut byte) => Request::Stop,
            _ = self.interrupt.read(&mut other) => Request::Stop,
            _ = self.hang_up.read(&mut several) => Request::Reload,
        };
        if request == Request::Stop {
            self.asked_to_stop.get_or_insert_with(Instant::now);
        }
        request
    }

    /// For whoever is stopping: resolves once somebody asks again. Safe to drop.
    pub(crate) async fn insisted(&mut self) {
        loop {
            let before = self.asked_to_stop;
            if self.next().await == Request::Stop
                && before.is_some_and(|before| before.elapsed() >= TOGETHER)
            {
                return;
            }
        }
    }
}

/// Whether whoever started us had hang-ups ignored, as `nohup` does. To be asked before they are
/// taken.
pub(crate) fn ignores_hang_up() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, SIGHUP))
}

/// `SigIgn:` and the set of signals as a hexadecimal number, the first in its lowest bit.
fn ignores(status: &str, signal: i32) -> bool {
    let set = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set >> (signal - 1) & 1 == 1)
}

fn readable(signal: i32) -> io::Result<UnixStream> {
    let (read, write) = StdStream::pair()?;
    low_level::pipe::register(signal, write)?;
    read.set_nonblocking(true)?;
    UnixStream::from_std(read)
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::{SIGHUP, SIGINT};

    use super::ignores;

    #[test]
    fn an_ignored_hang_up_is_read_from_the_set() {
        let of = |set: &str| format!("SigBlk:\t0000000000000001\nSigIgn:\t{set}\nSigCgt:\t01\n");
        assert!(ignores(&of("0000000000001001"), SIGHUP));
        assert!(!ignores(&of("0000000000001000"), SIGHUP));
        assert!(ignores(&of("0000000000000002"), SIGINT));
        assert!(!ignores("", SIGHUP));
    }
}
