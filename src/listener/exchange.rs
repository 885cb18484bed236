//! What all our servers have in common, from accept to close: the listeners, the metrics address,
//! the admin socket and the bridge.
//!
//! 1. A head and an idle connection have 30 s, a head 16 KB and a hundred headers.
//! 2. What the HTTP library cannot read is answered by us: with a reason, not to be stored, the last
//!    answer of its connection.
//! 3. A client may close its sending side after a request and still gets the answer. One that is gone
//!    is noticed at its next read or write, and also while an answer is waited for, within two
//!    seconds, where the kernel can tell: on Unix sockets and of clients on this host. Others keep
//!    their place until then, for a minute at most (`?wait=60s`).
//! 4. When it is to end, the answer under way is the last one, and an idle connection ends at once.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::answer::{self, Answer};
use super::line::Line;
use super::wire::Wire;

/// For a head to arrive, and for an idle connection to be kept.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of a request's head, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// For a client to stop sending what has been refused already.
const LINGER: Duration = Duration::from_secs(1);
/// How much of it is read, in bytes.
const MOST_IGNORED: u64 = 1024 * 1024;

/// The HTTP library with the limits of this module.
pub(crate) fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    // A hundred headers is the library's own limit, which must not be set again: only the
    // default one is kept on the stack.
    http.timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(LONGEST_HEAD)
        .half_close(true);
    http
}

/// Serves a connection until either side ends it, or `ending` says that it is time. The flag is
/// raised before a request that says twice how long it is gets to the service. `refuse` answers
/// what is no request as we understand it: a status, and the path that it seems to ask for.
pub(crate) async fn serve<S, H>(
    http: &http1::Builder,
    stream: S,
    ambiguous_length: Arc<AtomicBool>,
    service: H,
    ending: impl Future<Output = ()>,
    refuse: impl FnOnce(&H, StatusCode, &str) -> Answer,
) -> Result<(), hyper::Error>
where
    S: Line,
    H: HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible>,
{
    let wire = Wire::new(stream, ambiguous_length);
    let mut connection = http.serve_connection(TokioIo::new(wire), service);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => Some(ended),
        () = ending => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        Pin::new(&mut connection).graceful_shutdown();
        (&mut connection).await
    };
    let Err(error) = ended else { return Ok(()) };
    let parts = connection.into_parts();
    let mut wire = parts.io.into_inner();
    let mut refusal = wire.take_back();
    if error.is_parse_version_h2() {
        refusal = Some(StatusCode::BAD_REQUEST); // the library leaves this one without an answer
    }
    if let Some(status) = refusal {
        let answer = refuse(&parts.service, status, target(&parts.read_buf));
        if let Err(error) = end(wire, answer::closing(answer)).await {
            tracing::debug!(%error, "refusal not read");
        }
    }
    Err(error)
}

/// What is said about what the library refused.
pub(crate) fn reason(status: StatusCode) -> &'static str {
    if status == StatusCode::BAD_REQUEST {
        "this is no well-formed HTTP/1.1 request"
    } else {
        "the head of a request is limited to 16 KB and 100 headers"
    }
}

/// The path that a request seems to ask for, to find the shape of the answer.
fn target(read: &[u8]) -> &str {
    let line = read.split(|&byte| byte == b'\n').next();
    let target = line.and_then(|line| line.split(|&byte| byte == b' ').nth(1));
    target
        .and_then(|target| str::from_utf8(target).ok())
        .unwrap_or("/")
}

/// Sends the last answer of a connection. Closing at once would take it away from a client that
/// is still sending: the kernel resets a connection with bytes that nobody read.
async fn end<S>(mut wire: Wire<S>, answer: Answer) -> io::Result<()>
where
    S: Line,
{
    wire.write_all(&answer::to_bytes(answer)).await?;
    wire.shutdown().await?;
    let (mut rest, mut nowhere) = (wire.take(MOST_IGNORED), tokio::io::sink());
    let ignored = tokio::io::copy(&mut rest, &mut nowhere);
    match tokio::time::timeout(LINGER, ignored).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}
