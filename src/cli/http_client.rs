//! One request to a daemon on this host, and its answer: no redirects, no retries, no proxy.
//!
//! Bodies are bounded and wiped after use, since they may hold credentials; errors name the
//! address and never what was received.

use std::fmt;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::peer;
use super::question::{CallError, Question, Target};

/// The status of a host with thousands of roles fits.
const LARGEST_BODY: usize = 8 * 1024 * 1024;

/// A local peer that does not accept within this time will not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

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
