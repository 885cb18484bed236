//! The bytes of one connection, with five things the HTTP library does not do.
//!
//! * It takes repeated `Content-Length` lines for one, and so hides that a request said twice
//!   how long it is. A scanner reads along and raises a flag.
//! * It waits forever for a client that does not read. Here a write that makes no progress for
//!   a while fails.
//! * It answers what it cannot read by itself, with a bare status. That answer is held back, so
//!   that one of ours can be sent in its place.
//! * It shuts a connection down before it lets go of it. The stream is closed a moment later anyway,
//!   so that is left out: it is one more call of the kernel, and wakes the client twice.
//! * It takes a client that stops sending for one that is gone, or else waits with its answer for
//!   one that is gone. It is told to do the latter; here a client that hung up ends its
//!   connection, where the kernel can tell ([`Line`]).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::line::Line;

/// How long a client may leave its answers unread.
const SLOWEST_READER: Duration = Duration::from_secs(30);
/// Between two looks at a client that may be gone. What it asked for last may still be under way
/// from the kernel to the service, so the first one waits as well.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A stream that is read along.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    scanner: Scanner,
    /// Raised for good by the first head that says its length twice.
    ambiguous_length: Arc<AtomicBool>,
    /// Running while a write waits for the client.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Running while the client may be gone.
    next_look: Option<Pin<Box<Sleep>>>,
    /// What the library refused a request with, while that is held back.
    refusal: Option<StatusCode>,
    /// Until it is taken back from the library.
    is_the_librarys: bool,
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: S, ambiguous_length: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            scanner: Scanner::default(),
            ambiguous_length,
            stalled: None,
            next_look: None,
            refusal: None,
            is_the_librarys: true,
        }
    }

    /// Takes it back from the library: the status of its own refusal, if it made one. From here on
    /// the stream writes and shuts down as any other.
    pub(crate) fn take_back(&mut self) -> Option<StatusCode> {
        self.is_the_librarys = false;
        self.refusal.take()
    }

    /// Whether these bytes are kept from the client.
    fn holds_back(&mut self, bytes: &[u8]) -> bool {
        if !self.is_the_librarys {
            return false;
        }
        let refusal = bare_refusal(bytes);
        self.refusal = self.refusal.or(refusal);
        refusal.is_some()
    }

    /// Passes a write's result on, unless the client has kept us waiting for too long.
    fn timed<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let timer = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(SLOWEST_READER)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: Line> Wire<S> {
    /// Fails once the client is gone for good.
    fn look_for_client(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.stream.poll_sign(context).is_pending() {
            self.next_look = None;
            return Ok(());
        }
        let timer = self
            .next_look
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LOOK_EVERY)));
        while timer.as_mut().poll(context).is_ready() {
            if self.stream.is_hung_up() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            timer.as_mut().reset(Instant::now() + LOOK_EVERY);
        }
        Ok(())
    }
}

impl<S: Line> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if self.scanner.finds_ambiguous_length(read) {
            self.ambiguous_length.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Line> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.holds_back(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.timed(result, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = slices
            && self.holds_back(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.timed(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// The library flushes whenever it has done what it can, so here it begins to wait.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_the_librarys {
            self.look_for_client(context)?;
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_the_librarys {
            return Poll::Ready(Ok(())); // closed in a moment, or an answer of ours is still to come
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The status of an answer that the library made by itself: a 4xx, nothing but a head, without the
/// `Cache-Control` that is in every answer of ours. It is made when no other is under way, so it
/// is alone in its write; nearly all writes are told from it by their first bytes.
fn bare_refusal(bytes: &[u8]) -> Option<StatusCode> {
    let (b"HTTP/1.", rest) = bytes.split_at_checked(7)? else {
        return None;
    };
    let (b" 4", _) = rest.get(1..)?.split_at_checked(2)? else {
        return None;
    };
    let status = StatusCode::from_bytes(rest.get(2..5)?).ok()?;
    let head = bytes.strip_suffix(b"\r\n\r\n")?;
    let is_bare = head
        .split(|&byte| byte == b'\n')
        .all(|line| line != b"\r" && !line.starts_with(b"cache-control:"));
    is_bare.then_some(status)
}

/// Follows heads and bodies just closely enough to count `Content-Length` lines. Whatever it
/// misreads only costs the sender its own connection.
#[derive(Debug, Default)]
struct Scanner {
    /// The start of a line whose end is still to come.
    begun: Vec<u8>,
    /// Whether the request line has been seen; empty lines before it mean nothing.
    in_head: bool,
    lengths: u32,
    /// Bytes of the body announced by this head, then those still to come.
    body: u64,
}

/// As much of a line as can matter: the name, and more digits than a number has.
const INTERESTING: usize = 64;
const NAME: &[u8] = b"content-length";

impl Scanner {
    /// Reads along; true once any head so far has had two lengths.
    fn finds_ambiguous_length(&mut self, mut bytes: &[u8]) -> bool {
        let mut ambiguous = false;
        loop {
            if !self.in_head && self.body > 0 {
                let skipped = bytes
                    .len()
                    .min(usize::try_from(self.body).unwrap_or(usize::MAX));
                self.body -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
            }
            let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
                let room = INTERESTING - self.begun.len();
                self.begun.extend(bytes.iter().take(room));
                return ambiguous;
            };
            let (line, rest) = bytes.split_at(end);
            if self.begun.is_empty() {
                ambiguous |= self.line(line);
            } else {
                let mut whole = std::mem::take(&mut self.begun);
                whole.extend(line.iter().take(INTERESTING));
                ambiguous |= self.line(&whole);
            }
            bytes = rest.get(1..).unwrap_or_default();
        }
    }

    /// One line without its end.
    fn line(&mut self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            if self.in_head {
                self.in_head = false;
                self.lengths = 0;
            }
            return false;
        }
        if !self.in_head {
            self.in_head = true; // the request line
            self.body = 0;
            return false;
        }
        let Some((name, value)) = line.split_at_checked(NAME.len()) else {
            return false;
        };
        if !name.eq_ignore_ascii_case(NAME) {
            return false;
        }
        let Some(value) = value.trim_ascii_start().strip_prefix(b":") else {
            return false;
        };
        self.lengths += 1;
        let digits = str::from_utf8(value.trim_ascii()).unwrap_or_default();
        self.body = digits.parse().unwrap_or(0);
        self.lengths > 1
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{Scanner, Wire, bare_refusal};

    const ONCE: &str = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    const TWICE: &str = "GET / HTTP/1.1\r\nContent-Length: 3\r\ncontent-length:3\r\n\r\nabc";
    const IN_THE_BODY: &str = "PUT / HTTP/1.1\nContent-Length: 62\n\n\
         GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1234567";

    fn scan(pieces: &[&[u8]]) -> bool {
        let mut scanner = Scanner::default();
        pieces.iter().fold(false, |found, piece| {
            found | scanner.finds_ambiguous_length(piece)
        })
    }

    #[test]
    fn two_lengths_in_one_head_are_found_and_one_in_each_of_two_is_fine() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(5000));
        for (case, text, ambiguous) in [
            ("once", ONCE.to_owned(), false),
            ("twice", TWICE.to_owned(), true),
            ("two requests", ONCE.repeat(2), false),
            ("the second one", format!("{ONCE}{TWICE}"), true),
            ("in a body", IN_THE_BODY.to_owned(), false),
            ("after such a body", format!("{IN_THE_BODY}{TWICE}"), true),
            ("after a long line", format!("{long}{TWICE}"), true),
            ("after empty lines", format!("\r\n\r\n{TWICE}"), true),
            ("similar names", "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length-X: 0\r\nX-Content-Length: 0\r\n\r\n".to_owned(), false),
        ] {
            assert_eq!(scan(&[text.as_bytes()]), ambiguous, "{case}");
            let bytewise: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(scan(&bytewise), ambiguous, "{case}, byte by byte");
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_reads_end(
            text in prop::collection::vec(
                prop::sample::select(vec![ONCE, TWICE, IN_THE_BODY, "\r\n", "Content-Length: 1\n"]),
                0..5,
            ),
            cut in 1..40_usize,
        ) {
            let text = text.concat();
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            prop_assert_eq!(scan(&pieces), scan(&[text.as_bytes()]));
        }

        #[test]
        fn no_bytes_make_it_panic(pieces in prop::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            scan(&pieces);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_given_up() {
        let (mut client, server) = tokio::io::duplex(16);
        let mut wire = Wire::new(server, std::sync::Arc::default());
        let start = tokio::time::Instant::now();
        let error = wire.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), Duration::from_secs(30));
        client.read_exact(&mut [0; 16]).await.unwrap();
        wire.write_all(&[0; 16])
            .await
            .expect("reading makes room again");
    }

    const BARE: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
         content-length: 0\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";

    #[test]
    fn only_a_whole_bare_refusal_is_the_librarys() {
        assert_eq!(bare_refusal(BARE.as_bytes()).unwrap(), 431);
        let old = BARE.replace("/1.1", "/1.0");
        assert_eq!(bare_refusal(old.as_bytes()).unwrap(), 431);
        for other in [
            "",
            "HTTP/1.1 4",
            "HTTP/1.1 4xx\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncache-control: no-store\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\n\r\n\r\n",
            &BARE[1..],
            &BARE[..BARE.len() - 1],
        ] {
            assert_eq!(bare_refusal(other.as_bytes()), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn the_librarys_refusal_is_held_back_until_it_is_taken() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut wire = Wire::new(server, std::sync::Arc::default());
        wire.write_all(b"before ").await.unwrap();
        wire.write_all(BARE.as_bytes()).await.unwrap();
        wire.shutdown().await.unwrap();
        assert_eq!(wire.take_back().unwrap(), 431);
        wire.write_all(b"instead").await.unwrap();
        wire.shutdown().await.unwrap();
        let mut received = String::new();
        client.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "before instead");
    }
}
