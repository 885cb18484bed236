//! Answers: a status, a few headers, a body that is ready. Never chunked, never cached.

use bytes::Bytes;
use http_body_util::Full;
use hyper::http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::guard::Methods;
use super::protocol::{Shaped, Trouble, aws_imds};
use crate::config::model::Protocol;

/// What the HTTP library sends.
pub(crate) type Answer = Response<Full<Bytes>>;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// An answer with a body.
pub(crate) fn with_body(
    protocol: Protocol,
    status: StatusCode,
    content_type: HeaderValue,
    body: Bytes,
) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.reserve(6);
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    if protocol == Protocol::AwsImds {
        headers.insert(header::SERVER, aws_imds::SERVER);
    }
    answer
}

/// "You have it already."
pub(crate) fn not_modified(etag: &str) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    answer.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    set_etag(answer.headers_mut(), etag);
    answer
}

/// A refusal in the shape of a protocol.
pub(crate) fn refusal(protocol: Protocol, status: StatusCode, message: &str) -> Answer {
    let Shaped { content_type, body } = protocol.refusal(Trouble::of(status), message);
    with_body(protocol, status, content_type, body)
}

/// What may be asked instead.
pub(crate) fn allow(mut answer: Answer, methods: Methods) -> Answer {
    let value = HeaderValue::from_static(methods.allow());
    answer.headers_mut().insert(header::ALLOW, value);
    answer
}

/// The connection ends with this answer.
pub(crate) fn closing(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CONNECTION, CLOSE);
    answer
}

/// As all of ours, whoever made it.
pub(crate) fn not_stored(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    answer
}

/// Worth asking again after so many seconds.
pub(crate) fn retry_after(mut answer: Answer, seconds: u16) -> Answer {
    answer
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// An answer as it is sent, for when the HTTP library does not send it.
pub(crate) fn to_bytes(answer: Answer) -> Vec<u8> {
    let (parts, body) = answer.into_parts();
    let body = body.into_inner().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// Adds an `ETag`, quotes included.
pub(crate) fn set_etag(headers: &mut HeaderMap, etag: &str) {
    if let Ok(value) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, value);
    }
}
