//! The accept loop of the admin socket and the metrics address: few connections, each bounded
//! in head and time, drained at a stop.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::denials::Denials;
use super::places::{Guest, Places};
use crate::observe::audit::Peer;

/// For a head, a body, and an idle connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// After a failure of `accept` that is not one connection's own, e.g. no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What `accept` found out about the other end of a connection.
pub(super) trait Visitor: Clone + Send + 'static {
    /// As the audit log names it.
    fn peer(&self) -> Peer;
}

/// Accepts until `stop`, then lets answers finish; idle connections close at once. A connection
/// for which there is no place (`guest` says who comes) is closed and counted. `handler` gets
/// what `accept` told about the peer with each request.
pub(super) async fn serve<A, S, V, H, R>(
    denials: &Denials,
    accept: A,
    guest: impl Fn(&V) -> Guest,
    handler: H,
    stop: CancellationToken,
) where
    A: AsyncFn() -> io::Result<(S, V)>,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    V: Visitor,
    H: Fn(V, Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let name = denials.way_in();
    let places = Places::default();
    let graceful = GracefulShutdown::new();
    let accepting = async {
        loop {
            let (stream, visitor) = match accept().await {
                Ok(accepted) => accepted,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => {
                    tracing::warn!(name, %error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = places.take(guest(&visitor)) else {
                denials.note("limit", &visitor.peer());
                continue;
            };
            let (handler, denials) = (handler.clone(), denials.clone());
            let peer = visitor.peer();
            let service = service_fn(move |request| {
                let answer = handler(visitor.clone(), request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(LONGEST_HEAD)
                .serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(name, %error, "connection broke");
                    if error.is_parse() {
                        denials.note("request", &peer);
                    }
                }
                drop(place);
            });
        }
    };
    stop.run_until_cancelled(accepting).await;
    // The listener must be closed before the wait for what is under way.
    drop(accept);
    graceful.shutdown().await;
}

/// The client went away while it was queued.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::CONNABORTED | Errno::INTR)
    )
}
