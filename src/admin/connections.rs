//! The accept loop of the admin socket and the metrics address: few connections, each bounded
//! in head and time, drained at a stop.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use rustix::io::Errno;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::denials::Denials;
use super::places::{Guest, Places};
use crate::listener::exchange;
use crate::listener::line::Line;
use crate::observe::audit::Peer;

/// For a body.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// After a failure of `accept` that is not one connection's own, e.g. no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What `accept` found out about the other end of a connection.
pub(super) trait Visitor: Clone + Send + Sync + 'static {
    /// As the audit log names it.
    fn peer(&self) -> Peer;
}

/// What is behind one way in.
pub(super) trait Reception: Send + Sync + 'static {
    type Visitor: Visitor;

    /// Whose place a connection takes.
    fn guest(&self, visitor: &Self::Visitor) -> Guest;

    fn answer(
        &self,
        visitor: Self::Visitor,
        request: Asked,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;

    /// Refuses what is no request as we understand it, with this status.
    fn refuse_head(&self, visitor: &Self::Visitor, status: StatusCode) -> Response<Full<Bytes>>;
}

/// A request, and what the HTTP library does not tell of it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request<Incoming>,
    /// Whether it says twice how long its body is.
    pub(super) ambiguous_length: bool,
}

/// Accepts until `stop`, then lets answers finish; idle connections close at once. A connection
/// for which there is no place is closed and counted.
pub(super) async fn serve<A, S, R>(
    denials: &Denials,
    accept: A,
    reception: Arc<R>,
    stop: CancellationToken,
) where
    A: AsyncFn() -> io::Result<(S, R::Visitor)>,
    S: Line + Send + 'static,
    R: Reception,
{
    let name = denials.way_in();
    let places = Places::default();
    let open = TaskTracker::new();
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
            let Some(place) = places.take(reception.guest(&visitor)) else {
                denials.note("limit", &visitor.peer());
                continue;
            };
            let connection = connection(stream, visitor, Arc::clone(&reception), stop.clone());
            open.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(name, %error, "connection broke");
                }
                drop(place);
            });
        }
    };
    stop.run_until_cancelled(accepting).await;
    // The listener must be closed before the wait for what is under way.
    drop(accept);
    open.close();
    open.wait().await;
}

async fn connection<S, R>(
    stream: S,
    visitor: R::Visitor,
    reception: Arc<R>,
    stop: CancellationToken,
) -> Result<(), hyper::Error>
where
    S: Line + Send + 'static,
    R: Reception,
{
    let ambiguous_length = Arc::<AtomicBool>::default();
    let raised = Arc::clone(&ambiguous_length);
    let service = service_fn(|request| {
        let (reception, visitor) = (Arc::clone(&reception), visitor.clone());
        let asked = Asked {
            request,
            ambiguous_length: raised.load(Ordering::Relaxed),
        };
        async move { Ok::<_, Infallible>(reception.answer(visitor, asked).await) }
    });
    exchange::serve(
        &exchange::http(),
        stream,
        ambiguous_length,
        service,
        stop.cancelled(),
        |_, status, _| reception.refuse_head(&visitor, status),
    )
    .await
}

/// The client went away while it was queued.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::CONNABORTED | Errno::INTR)
    )
}
