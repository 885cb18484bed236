//! One request to a daemon on this host, and its answer: no redirects, no retries, no proxy.
//!
//! Bodies are bounded and wiped after use, since they may hold credentials; errors name the
//! address and never what was received.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::peer::{self, Errand};

/// The status of a host with thousands of roles fits.
const LARGEST_BODY: usize = 8 * 1024 * 1024;

/// A local peer that does not accept within this time will not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the daemon listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// What to ask for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// From connecting to the last byte.
    pub(super) timeout: Duration,
    pub(super) errand: Errand,
    /// The configuration, and the files it names that tell who the daemon may be.
    pub(super) marks: Vec<PathBuf>,
    /// The file of the token to send along, if it can be read.
    pub(super) token: Option<PathBuf>,
}

impl Question {
    /// A `GET` without further headers.
    pub(super) fn get(path: impl Into<String>, timeout: Duration) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout,
            errand: Errand::default(),
            marks: Vec::new(),
            token: None,
        }
    }

    /// A `POST` of JSON.
    pub(super) fn post(path: impl Into<String>, body: Vec<u8>, timeout: Duration) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        Self {
            method: Method::POST,
            headers,
            body: body.into(),
            ..Self::get(path, timeout)
        }
    }
}

/// What came back, whatever the status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body, if it is JSON of this type.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// It was there and is not any more.
    #[error("the daemon at {target} ended before it answered")]
    Ended { target: Target },
    /// The socket's mode keeps us out.
    #[error("not allowed to connect to {target}: permission denied")]
    Forbidden { target: Target },
    #[error("{target} answered with something that is not HTTP of the daemon: {what}")]
    Garbled { target: Target, what: String },
    #[error("{target} is held by uid {uid}, who is not known to be the daemon: nothing was sent")]
    Stranger { target: Target, uid: u32 },
    #[error("no answer from {target} within {} s", after.as_secs())]
    TimedOut { target: Target, after: Duration },
    #[error("the kernel does not say who holds {target}: nothing was sent")]
    Unnamed { target: Target },
    #[error("the daemon is not reachable at {target}: {reason}")]
    Unreachable { target: Target, reason: String },
}

/// Sends one request on a connection of its own.
pub(super) async fn call(target: &Target, question: Question) -> Result<Answer, CallError> {
    let after = question.timeout;
    let exchange = async {
        match target {
            Target::Tcp(address) => {
                let stream = connect(target, TcpStream::connect(address)).await?;
                let peer = peer::of_tcp(&stream, &question).await?;
                let question = with_token(question, peer);
                talk(target, stream, &address.to_string(), question).await
            }
            Target::Unix(path) => {
                let stream = connect(target, UnixStream::connect(path)).await?;
                let peer = peer::of_unix(path, &stream, &question)?;
                let question = with_token(question, Some(peer));
                talk(target, stream, "localhost", question).await
            }
        }
    };
    timeout(after, exchange).await.unwrap_or_else(|_| {
        Err(CallError::TimedOut {
            target: target.clone(),
            after,
        })
    })
}

/// Without a readable token the answer decides: not every listener that has one asks for it.
fn with_token(mut question: Question, peer: Option<u32>) -> Question {
    let token = question.token.as_deref().map(|it| peer::token(it, peer));
    if let Some(Ok(token)) = token
        && let Ok(mut token) = HeaderValue::from_bytes(&token)
    {
        token.set_sensitive(true);
        question.headers.insert(header::AUTHORIZATION, token);
    }
    question
}

async fn connect<S>(
    target: &Target,
    connecting: impl Future<Output = io::Result<S>>,
) -> Result<S, CallError> {
    let unreachable = |reason: String| CallError::Unreachable {
        target: target.clone(),
        reason,
    };
    match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(CallError::Forbidden {
                target: target.clone(),
            })
        }
        Ok(Err(error)) => Err(unreachable(reason(&error))),
        Err(_) => Err(unreachable("it does not accept connections".to_owned())),
    }
}

/// The operating system's word without its number.
fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        "there is no such socket".to_owned()
    } else if error.kind() == io::ErrorKind::ConnectionRefused {
        "nobody listens there".to_owned()
    } else {
        error.to_string()
    }
}

/// A connection that is gone, or not what it should be.
fn broken(target: &Target, error: &hyper::Error) -> CallError {
    let target = target.clone();
    let is_reset = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .map(io::Error::kind)
        .is_some_and(|kind| {
            kind == io::ErrorKind::ConnectionReset || kind == io::ErrorKind::BrokenPipe
        });
    if is_reset || error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        CallError::Ended { target }
    } else {
        CallError::Garbled {
            target,
            what: error.to_string(),
        }
    }
}

async fn talk<S>(
    target: &Target,
    stream: S,
    host: &str,
    question: Question,
) -> Result<Answer, CallError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let garbled = |what: String| CallError::Garbled {
        target: target.clone(),
        what,
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(target, &error))?;
    // Its end is seen by the sender, too.
    let driver = tokio::spawn(connection);

    let mut request = Request::new(Full::new(question.body));
    *request.method_mut() = question.method;
    *request.uri_mut() = question
        .path
        .parse()
        .map_err(|_| garbled(format!("`{}` is no path", question.path)))?;
    *request.headers_mut() = question.headers;
    let host = HeaderValue::from_str(host).map_err(|_| garbled("no host".to_owned()))?;
    request.headers_mut().insert(header::HOST, host);

    let response = sender
        .send_request(request)
        .await
        .map_err(|error| broken(target, &error))?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, LARGEST_BODY)
        .collect()
        .await
        .map_err(|_| garbled("the body is cut short or too long".to_owned()))?;
    driver.abort();
    Ok(Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: Zeroizing::new(body.to_bytes().into()),
    })
}
