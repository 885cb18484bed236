//! `bridge`: inside a container, where only a role's socket is mounted. Stock SDKs speak TCP to
//! it, it speaks to the socket.
//!
//! It judges requests as a listener would (`Host`, browsers' and proxies' headers, the container
//! token), because to the socket they all come from the bridge: whoever shares the container's
//! network is let in by it. It holds no credentials and knows no roles. Each request has a
//! connection of its own to the socket, so a daemon that is restarted is found again. What it
//! refuses has the shape that the client knows, as if the daemon had said it.

mod refused;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::exit::{Exit, Failure};
use super::http_client::{Answer, call};
use super::output;
use super::question::{CallError, Question, Target};
use crate::clock::SystemClock;
use crate::config::model::{Protocol, is_local};
use crate::daemon::signals::{Request as Asked, Signals};
use crate::listener::guard::{self, LONGEST_BODY};
use crate::listener::host::Hosts;
use crate::listener::token::Token;
use crate::listener::{answer, bind, exchange};
use refused::{Refused, meant, meant_by};

/// Connections at a time; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 256;
/// For a body to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// For an answer: a client may ask the daemon to wait a minute for news.
const LONGEST_ANSWER: Duration = Duration::from_secs(75);
/// How long a daemon that is just being restarted is waited for.
const RESTART: Duration = Duration::from_secs(2);
const TRY_EVERY: Duration = Duration::from_millis(100);
/// For answers under way when the bridge is stopped.
const GRACE: Duration = Duration::from_secs(5);
/// Between two attempts to accept while no descriptor is to be had.
const PAUSE: Duration = Duration::from_millis(50);

/// Everything a request is judged and answered with.
struct Bridge {
    socket: Target,
    hosts: Hosts,
    emulated: Vec<&'static str>,
    token: Option<Token>,
}

/// Serves until it is told to stop.
pub(super) async fn bridge(
    socket: &Path,
    listen: SocketAddr,
    token: Option<&PathBuf>,
) -> Result<Exit, Failure> {
    if !is_local(listen.ip()) {
        return Err(Failure::new(
            Exit::Usage,
            format!("{listen} could be reached by others: --listen takes a loopback address"),
        ));
    }
    let unavailable = |message: String| Failure::new(Exit::Unavailable, message);
    let token = token.map(|path| open(path)).transpose()?;
    let mut signals =
        Signals::take().map_err(|error| unavailable(format!("cannot take signals: {error}")))?;
    let listener = bind::tcp(listen).map_err(|error| unavailable(error.to_string()))?;
    let bound = listener
        .local_addr()
        .map_err(|error| unavailable(error.to_string()))?;
    let emulated: Vec<&'static str> = Protocol::ALL
        .iter()
        .flat_map(|protocol| protocol.emulated_hosts())
        .copied()
        .collect();
    let bridge = Arc::new(Bridge {
        socket: Target::Unix(socket.to_owned()),
        hosts: Hosts::at(bound, &emulated, &[]),
        emulated,
        token,
    });
    output::message(&format!("{bound} leads to {}", socket.display()));
    let (open, ending) = (TaskTracker::new(), CancellationToken::new());
    tokio::select! {
        () = accept(&listener, &bridge, &open, &ending) => {}
        () = stop(&mut signals) => {}
    }
    drop(listener);
    ending.cancel();
    open.close();
    // What is not answered by then is cut off, and earlier if somebody insists.
    tokio::select! {
        _in_time = timeout(GRACE, open.wait()) => {}
        () = signals.insisted() => {}
    }
    Ok(Exit::Fine)
}

/// The token in a file, by a path from here or from the root.
fn open(path: &Path) -> Result<Token, Failure> {
    let unavailable = |what: String| Failure::new(Exit::Unavailable, what);
    let path = std::path::absolute(path)
        .map_err(|error| unavailable(format!("cannot find {}: {error}", path.display())))?;
    Token::open(&path, None, Arc::new(SystemClock)).map_err(|error| unavailable(error.to_string()))
}

async fn stop(signals: &mut Signals) {
    // There is no configuration to read again.
    while signals.next().await != Asked::Stop {}
}

async fn accept(
    listener: &TcpListener,
    bridge: &Arc<Bridge>,
    open: &TaskTracker,
    ending: &CancellationToken,
) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&room).acquire_owned().await else {
            return; // it is never closed
        };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let (bridge, ending) = (Arc::clone(bridge), ending.clone());
        open.spawn(async move {
            serve(stream, &bridge, &ending).await;
            drop(slot);
        });
    }
}

async fn serve(stream: TcpStream, bridge: &Arc<Bridge>, ending: &CancellationToken) {
    // Without it small answers are slower, and nothing else happens.
    let _slower = stream.set_nodelay(true);
    let ambiguous_length = Arc::<AtomicBool>::default();
    let raised = Arc::clone(&ambiguous_length);
    let answer = service_fn(|request: Request<Incoming>| {
        let (bridge, ambiguous_length) = (Arc::clone(bridge), raised.load(Ordering::Relaxed));
        async move { Ok::<_, Infallible>(bridge.answer(request, ambiguous_length).await) }
    });
    let http = exchange::http();
    let served = exchange::serve(
        &http,
        stream,
        ambiguous_length,
        answer,
        ending.cancelled(),
        |_, status, target| {
            let protocol = meant_by(target, &HeaderMap::new());
            answer::refusal(protocol, status, exchange::reason(status))
        },
    );
    // A client that breaks off is its own affair.
    let _broken_off = served.await;
}

impl Bridge {
    async fn answer(
        &self,
        request: Request<Incoming>,
        ambiguous_length: bool,
    ) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = match self.admit(&parts, ambiguous_length) {
            Ok(path) => path,
            Err(refused) => return refused.in_the_shape_of(meant(&parts)),
        };
        let limit = usize::try_from(LONGEST_BODY).unwrap_or(usize::MAX);
        let Ok(Ok(body)) = timeout(PATIENCE, Limited::new(body, limit).collect()).await else {
            let late = StatusCode::REQUEST_TIMEOUT;
            let refusal = answer::refusal(meant(&parts), late, "the request's body did not arrive");
            return answer::closing(refusal);
        };
        let body = body.to_bytes();
        match self.ask(&parts, &path, &body).await {
            Ok(answer) => passed_on(answer, &parts.method),
            Err(error) => {
                let message = format!("the bridge got no answer: {error}");
                let unavailable = StatusCode::SERVICE_UNAVAILABLE;
                let refusal = answer::refusal(meant(&parts), unavailable, &message);
                answer::retry_after(refusal, 1)
            }
        }
    }

    /// The path and query to ask the socket for, or why not.
    fn admit(&self, parts: &Parts, ambiguous_length: bool) -> Result<String, Refused> {
        let head = guard::Head {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            ambiguous_length,
            local: None,
        };
        let rules = guard::Rules {
            hosts: &self.hosts,
            emulated: &self.emulated,
            same_origin: false,
        };
        let admitted = guard::check(head, rules).map_err(Refused::Request)?;
        let containers = [Protocol::AwsContainer, Protocol::HuaweiContainer];
        let wants_token = Protocol::route(&containers, &admitted.path, &parts.headers).is_ok();
        if wants_token && !self.shows_token(&parts.headers) {
            return Err(match self.token {
                Some(_) => Refused::WrongToken,
                None => Refused::NoToken,
            });
        }
        Ok(match admitted.query {
            Some(query) => format!("{}?{query}", admitted.path),
            None => admitted.path.into_owned(),
        })
    }

    fn shows_token(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION);
        match (&self.token, shown) {
            (Some(token), Some(shown)) => token.accepts(shown.as_bytes()),
            (None, _) | (_, None) => false,
        }
    }

    /// Asks the socket. A daemon that is being restarted is waited for, and asked again if it
    /// ended while it was answering: nothing that is asked here changes anything.
    async fn ask(&self, parts: &Parts, path: &str, body: &Bytes) -> Result<Answer, CallError> {
        let deadline = Instant::now() + RESTART;
        let mut headers = parts.headers.clone();
        for name in HOP_BY_HOP {
            headers.remove(name);
        }
        loop {
            let question = Question {
                method: parts.method.clone(),
                headers: headers.clone(),
                body: body.clone(),
                ..Question::get(path, LONGEST_ANSWER)
            };
            match call(&self.socket, question).await {
                Err(
                    CallError::Ended { .. }
                    | CallError::Garbled { .. }
                    | CallError::Unreachable { .. },
                ) if Instant::now() < deadline => {
                    sleep(TRY_EVERY).await;
                }
                answered => return answered,
            }
        }
    }
}

/// What belongs to one connection, and what the other side's library writes itself.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The daemon's answer as it is.
fn passed_on(answer: Answer, method: &Method) -> Response<Full<Bytes>> {
    let length = answer.headers.get(header::CONTENT_LENGTH).cloned();
    let mut response = Response::new(Full::new(Bytes::from_owner(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = answer.headers;
    for name in HOP_BY_HOP {
        response.headers_mut().remove(name);
    }
    // That of the body which is not sent; the library knows nothing of it.
    if let Some(length) = length.filter(|_| method == Method::HEAD) {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length);
    }
    answer::not_stored(response)
}

#[cfg(test)]
mod tests;
