//! What a command asks the daemon, where, and why there may be no answer.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderValue};

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

/// What is asked of the other end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Errand {
    /// Something that is done for operators.
    Operate,
    /// A role's credentials.
    #[default]
    Fetch,
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
