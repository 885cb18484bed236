//! Signals, delivered into the runtime through socket pairs: no thread, no handler code.
//!
//! The first SIGTERM or SIGINT asks for a graceful stop; the second ends the process at once.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// Exit status of the second request to stop.
const IMPATIENT: i32 = 1;

/// The signals the daemon acts on.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: UnixStream,
    interrupt: UnixStream,
    hang_up: UnixStream,
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
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal sets the flag, the second finds it set.
            flag::register_conditional_shutdown(signal, IMPATIENT, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&asked))?;
        }
        Ok(Self {
            terminate: readable(SIGTERM)?,
            interrupt: readable(SIGINT)?,
            hang_up: readable(SIGHUP)?,
        })
    }

    /// The next signal. Safe to drop.
    pub(crate) async fn next(&mut self) -> Request {
        let mut byte = [0];
        let mut other = [0];
        // Several reload requests that wait are one request.
        let mut several = [0; 64];
        tokio::select! {
            _ = self.terminate.read(&mut byte) => Request::Stop,
            _ = self.interrupt.read(&mut other) => Request::Stop,
            _ = self.hang_up.read(&mut several) => Request::Reload,
        }
    }
}

fn readable(signal: i32) -> io::Result<UnixStream> {
    let (read, write) = StdStream::pair()?;
    low_level::pipe::register(signal, write)?;
    read.set_nonblocking(true)?;
    UnixStream::from_std(read)
}
