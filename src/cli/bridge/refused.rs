//! What the bridge refuses itself, in the shape that the client knows.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use crate::config::model::Protocol;
use crate::listener::answer;
use crate::listener::guard::Violation;

/// Why a request does not get to the socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Refused {
    #[error("container paths need a token: start the bridge with --token FILE")]
    NoToken,
    #[error(transparent)]
    Request(Violation),
    #[error("the request does not show the bridge's token in `Authorization`")]
    WrongToken,
}

impl Refused {
    pub(super) fn in_the_shape_of(self, protocol: Protocol) -> Response<Full<Bytes>> {
        let status = match self {
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::Request(violation) => violation.status(),
        };
        let mut refusal = answer::refusal(protocol, status, &self.to_string());
        if let Self::Request(Violation::Method(methods)) = self {
            refusal = answer::allow(refusal, methods);
        }
        if matches!(self, Self::Request(violation) if violation.closes()) {
            refusal = answer::closing(refusal);
        }
        refusal
    }
}

/// Whose client asks. The daemon behind the socket may serve any of them.
pub(super) fn meant(parts: &Parts) -> Protocol {
    meant_by(parts.uri.path(), &parts.headers)
}

pub(super) fn meant_by(path: &str, headers: &HeaderMap) -> Protocol {
    match Protocol::route(&Protocol::ALL, path, headers) {
        Ok((protocol, _)) | Err(protocol) => protocol,
    }
}
