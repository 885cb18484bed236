//! The streams that connections come on, and what they tell of the client.

use std::os::fd::AsFd;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::sock_diag::SockDiag;

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

impl Line for TcpStream {
    fn poll_sign(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_read_ready(context).map(|_ready_or_broken| ())
    }

    /// On the wire both look the same: the other side's FIN, and only a write would tell them apart,
    /// by its reset. On this host the kernel knows what became of the other side's socket.
    fn is_hung_up(&self) -> bool {
        let ends = self
            .peer_addr()
            .and_then(|peer| Ok((peer, self.local_addr()?)));
        has_hung_up(self)
            || ends.is_ok_and(|(client, server)| SockDiag::default().is_closed(client, server))
    }
}

impl Line for UnixStream {
    fn poll_sign(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_read_ready(context).map(|_ready_or_broken| ())
    }

    fn is_hung_up(&self) -> bool {
        has_hung_up(self)
    }
}

/// On TCP this takes a reset.
fn has_hung_up(stream: &impl AsFd) -> bool {
    // A hang-up is told of unasked.
    let mut ends = [PollFd::new(stream, PollFlags::empty())];
    let told = poll(&mut ends, Some(&Timespec::default()));
    told.is_ok() && ends.iter().any(|it| it.revents().contains(PollFlags::HUP))
}

#[cfg(test)]
impl Line for tokio::io::DuplexStream {}
