//! The ways an answer can fail to arrive: a connection that is reset, and a body that stops
//! half-way. Everything else about HTTP is hyper's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Says of one connection that it shall end in a reset.
#[derive(Clone, Debug, Default)]
pub(super) struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection that can be reset. hyper owns the stream and gives it back to nobody, so the
/// reset happens when it is dropped.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    reset: ResetSwitch,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, reset: ResetSwitch) -> Self {
        Self { stream, reset }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.reset.0.load(Ordering::Relaxed) {
            // Should it fail, the connection ends without an answer all the same.
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A body in memory, whole or breaking off.
#[derive(Debug)]
pub(super) struct Answer {
    bytes: Bytes,
    /// What `Content-Length` says.
    promised: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Unsent,
    /// The bytes went to hyper; it has to get a turn to write them out.
    Handed,
    Sent,
}

impl Answer {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            promised: length(&bytes),
            bytes,
            stage: Stage::Unsent,
        }
    }

    /// The same, promised in full and sent by half.
    pub(super) fn halved(mut self) -> Self {
        self.bytes.truncate(self.bytes.len() / 2);
        self
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let breaks_off = length(&self.bytes) < self.promised;
        match self.stage {
            Stage::Unsent => {
                self.stage = if breaks_off {
                    Stage::Handed
                } else {
                    Stage::Sent
                };
                Poll::Ready(Some(Ok(Frame::data(self.bytes.clone()))))
            }
            Stage::Handed => {
                self.stage = Stage::Sent;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Stage::Sent if breaks_off => {
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, "breaks off as scripted");
                Poll::Ready(Some(Err(error)))
            }
            Stage::Sent => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.promised == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
