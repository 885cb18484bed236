//! The streams that connections come on, and what they tell of the client.

use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A stream that may be able to tell a client that is gone for good from one that only has nothing
/// more to say.
pub(crate) trait Line: AsyncRead + AsyncWrite + Unpin {
    /// Ready while the client may be gone. What it sent and we did not read looks the same.
    fn poll_sign(&self, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// Whether nobody can read any more what is sent.
    fn is_hung_up(&self) -> bool {
        false
    }
}

/// Here both look the same: the other side's FIN. Only a write would tell them apart, by its reset.
impl Line for TcpStream {}

impl Line for UnixStream {
    fn poll_sign(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_read_ready(context).map(|_ready_or_broken| ())
    }

    fn is_hung_up(&self) -> bool {
        // A hang-up is told of unasked.
        let mut ends = [PollFd::new(self, PollFlags::empty())];
        let told = poll(&mut ends, Some(&Timespec::default()));
        told.is_ok() && ends.iter().any(|it| it.revents().contains(PollFlags::HUP))
    }
}

#[cfg(test)]
impl Line for tokio::io::DuplexStream {}
