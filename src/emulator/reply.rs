//! An answer as it goes out: its status, its body and the emulator's own date.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, DATE, HeaderValue};
use hyper::{Response, StatusCode};

use super::moment::Moment;
use super::wire::Answer;

pub(super) type Reply = Response<Answer>;

/// An answer without a date yet.
pub(super) fn reply(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Reply {
    let mut reply = Response::new(Answer::whole(body));
    *reply.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

/// The same, dated by the emulator's clock and not by the host's.
pub(super) fn dated(mut reply: Reply, moment: Moment) -> Reply {
    let seconds = i64::try_from(moment.shown()).unwrap_or(i64::MAX);
    let date = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    let text = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(value) = HeaderValue::from_str(&text) {
        reply.headers_mut().insert(DATE, value);
    }
    reply
}
