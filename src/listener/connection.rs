//! One connection of a listener.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use hyper::http::{Request, request::Parts};
use hyper::service::Service;

use super::answer::Answer;
use super::exchange;
use super::guard::LONGEST_BODY;
use super::line::Line;
use super::session::{Session, Step};

/// For a body to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a request that is on its way when the daemon ends: closing a kept connection at once would
/// cut it off, and its client could not know whether it was heard.
const LAST_CALL: Duration = Duration::from_millis(100);

/// Serves a connection until either side ends it. When the session is told to close, the answer
/// under way is the last one, and an idle connection ends: at once where it may not be used any
/// more, after a moment for one more request where the daemon ends.
pub(crate) async fn serve<S>(stream: S, session: Session)
where
    S: Line,
{
    let live = Arc::clone(&session.live);
    let closing = session.closing.clone();
    let ambiguous_length = Arc::clone(&session.ambiguous_length);
    let handler = Handler(Arc::new(session));
    let ending = async {
        closing.cancelled().await;
        if live.is_draining() {
            tokio::time::sleep(LAST_CALL).await;
        }
    };
    let refuse = |handler: &Handler, status, target: &str| handler.0.refuse_head(status, target);
    let served = exchange::serve(
        &live.http,
        stream,
        ambiguous_length,
        handler,
        ending,
        refuse,
    );
    if let Err(error) = served.await {
        tracing::debug!(listener = %live.name, %error, "connection broken off");
    }
}

/// The session as the HTTP library wants it.
#[derive(Debug)]
struct Handler(Arc<Session>);

impl Service<Request<Incoming>> for Handler {
    type Response = Answer;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let (parts, body) = request.into_parts();
        // A body is read before anything is decided: an answer must not be older than its
        // sending. Where the connection ends anyway, nobody reads it.
        if !body.is_end_stream() && !self.0.must_close(&parts) {
            let session = Arc::clone(&self.0);
            return Answering::Later(Box::pin(after_body(session, parts, body)));
        }
        match self.0.decide(&parts) {
            Step::Done(answer) => Answering::Now(Some(self.0.last_if_closing(answer))),
            Step::Wait(waiting) => {
                let session = Arc::clone(&self.0);
                Answering::Later(Box::pin(async move {
                    let answer = session.wait(waiting).await;
                    session.last_if_closing(answer)
                }))
            }
        }
    }
}

async fn after_body(session: Arc<Session>, parts: Parts, body: Incoming) -> Answer {
    let limit = usize::try_from(LONGEST_BODY).unwrap_or(usize::MAX);
    let arrived = tokio::time::timeout(PATIENCE, Limited::new(body, limit).collect()).await;
    if !matches!(arrived, Ok(Ok(_))) {
        return session.refuse_slow_body(&parts);
    }
    let answer = match session.decide(&parts) {
        Step::Done(answer) => answer,
        Step::Wait(waiting) => session.wait(waiting).await,
    };
    session.last_if_closing(answer)
}

/// Nearly every answer is there at once, so that costs no allocation.
enum Answering {
    Now(Option<Answer>),
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

impl Future for Answering {
    type Output = Result<Answer, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Now(answer) => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => Poll::Pending, // polled after it was ready: nothing more will come
            },
            Self::Later(answer) => Poll::Ready(Ok(ready!(answer.as_mut().poll(context)))),
        }
    }
}
