//! From one HTTP request to one answer: which part of the emulator it is for, what the script
//! does to it, and what is counted.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use tracing::debug;

use super::faults::{Called, Fault, FaultKind, LONGEST_DELAY};
use super::random::Random;
use super::server::Orders;
use super::state::{Moment, State};
use super::tencent::{self, Refusal, Subject, metadata};
use super::wire::{Answer, ResetSwitch};
use super::{control, huawei, portal};

/// Longest body. Source: "request structure", POST with signature v3.
const LONGEST_BODY: usize = 10 * 1024 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What a client gets when a gateway in front of the cloud answers instead of the cloud.
const GATEWAY_PAGE: &str =
    "<html>\r\n<head><title>Bad gateway</title></head>\r\n<body>nginx</body>\r\n</html>\r\n";

pub(super) type Reply = Response<Answer>;

/// Answers one request; an error ends the connection without an answer.
pub(super) async fn respond(
    state: Arc<State>,
    orders: Orders,
    reset: ResetSwitch,
    request: Request<Incoming>,
) -> io::Result<Reply> {
    let (head, body) = request.into_parts();
    let body = body_of(body).await?;
    let path = head.uri.path();
    if path.starts_with("/_emulator/") {
        return Ok(control::respond(&state, &orders, &head, body.as_deref()));
    }
    if metadata::is_ours(path) {
        return metadata::respond(&state, &reset, &head).await;
    }
    if portal::is_ours(&head.method, path) {
        return portal::respond(&state, &reset, &head, body.as_deref().unwrap_or_default()).await;
    }
    if huawei::is_ours(path) {
        return huawei::respond(&state, &reset, &head, body.as_deref()).await;
    }
    if path != "/" {
        let page = reply(StatusCode::NOT_FOUND, "text/plain", "there is only /\n");
        return Ok(dated(page, state.moment(0)));
    }
    sts_call(&state, &reset, &head, body.as_deref()).await
}

/// The body, or `None` if it is too long.
async fn body_of(body: Incoming) -> io::Result<Option<Bytes>> {
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, LONGEST_BODY).collect());
    match collected.await {
        Ok(Ok(collected)) => Ok(Some(collected.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Ok(None),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn sts_call(
    state: &State,
    reset: &ResetSwitch,
    head: &Parts,
    body: Option<&[u8]>,
) -> io::Result<Reply> {
    let request = tencent::Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: body.unwrap_or_default(),
    };
    let subject = state.with_world(|world| Subject::of(world, request));
    let (call, fault) = begin(state, subject.called());
    let finish = |outcome: &str| {
        debug!(
            action = subject.action,
            outcome, "answered an emulated call"
        );
        state.with_calls(|calls| calls.finish(call, subject.signed_by.clone(), outcome));
    };
    if let Some(fault) = &fault {
        tokio::time::sleep(fault.delay()).await;
        if let Some(outcome) = early(fault) {
            finish(&outcome);
            return strike(state, reset, fault, &STS).await;
        }
    }
    let moment = moment(state, fault.as_ref());
    let answered = if body.is_none() {
        Err(Refusal::new(
            "RequestSizeLimitExceeded",
            "The request size exceeds the upper limit of 10 MB.",
        ))
    } else {
        let twist = fault.as_ref().and_then(Fault::twist);
        let answered = state.with_world(|world| {
            let context = tencent::Context {
                world,
                moment,
                twist,
            };
            tencent::answer(context, request)
        });
        if let Some(role) = &answered.issued_role {
            state.with_calls(|calls| calls.issued(role));
        }
        answered.result
    };
    match answered {
        Ok(mut fields) => {
            finish(&outcome_of(fault.as_ref()));
            if let Some(fault) = &fault {
                leave_out(&mut fields, fault, &["Token"]);
            }
            let reply = envelope(fields)?;
            Ok(dated(cut(reply, fault.as_ref()), moment))
        }
        Err(refusal) => {
            finish(&refusal.code);
            Ok(dated(refused(&refusal)?, moment))
        }
    }
}

/// Counts a call and takes the fault that strikes it.
pub(super) fn begin(state: &State, call: Called<'_>) -> (u64, Option<Fault>) {
    let at = crate::clock::rfc3339_seconds(state.moment(0).wall());
    let number = state.with_calls(|calls| calls.begin(at, call.action, call.role));
    (number, state.take_fault(call))
}

/// The emulator's clock as the call sees it.
pub(super) fn moment(state: &State, fault: Option<&Fault>) -> Moment {
    state.moment(fault.and_then(|fault| fault.skew_seconds).unwrap_or(0))
}

/// How a good answer is noted.
pub(super) fn outcome_of(fault: Option<&Fault>) -> String {
    fault.map_or_else(|| "ok".to_owned(), label)
}

fn label(fault: &Fault) -> String {
    let kind = serde_json::to_value(fault.kind).unwrap_or_default();
    format!("fault: {}", kind.as_str().unwrap_or_default())
}

/// The outcome, if the fault leaves nothing of the call to answer.
pub(super) fn early(fault: &Fault) -> Option<String> {
    match fault.kind {
        FaultKind::ErrorCode
        | FaultKind::Garbage
        | FaultKind::Hang
        | FaultKind::Reset
        | FaultKind::Status
        | FaultKind::Throttle => Some(label(fault)),
        FaultKind::Backwards
        | FaultKind::Delay
        | FaultKind::Expired
        | FaultKind::Incomplete
        | FaultKind::Skew
        | FaultKind::Truncated
        | FaultKind::WrongAccount => None,
    }
}

/// Does what an early fault says; `error` makes the cloud's shape of an error.
pub(super) async fn strike(
    state: &State,
    reset: &ResetSwitch,
    fault: &Fault,
    manner: &Manner,
) -> io::Result<Reply> {
    let silence = || io::Error::new(io::ErrorKind::ConnectionAborted, "no answer, as scripted");
    let status = |fallback| {
        let status = StatusCode::from_u16(fault.status.unwrap_or(fallback));
        let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        reply(status, "text/html", GATEWAY_PAGE)
    };
    let error = |(code, message)| {
        let code = fault.code.as_deref().unwrap_or(code);
        let message = fault.message.as_deref().unwrap_or(message);
        (manner.error)(code, message, fault.status)
    };
    let mut answer = match fault.kind {
        FaultKind::Hang => {
            tokio::time::sleep(LONGEST_DELAY).await;
            return Err(silence());
        }
        FaultKind::Reset => {
            reset.set();
            return Err(silence());
        }
        FaultKind::Garbage => reply(StatusCode::OK, "application/json", GATEWAY_PAGE),
        FaultKind::Throttle if fault.status.is_some() => status(429),
        FaultKind::Throttle => error(manner.throttled)?,
        FaultKind::Backwards
        | FaultKind::Delay
        | FaultKind::ErrorCode
        | FaultKind::Expired
        | FaultKind::Incomplete
        | FaultKind::Skew
        | FaultKind::Truncated
        | FaultKind::WrongAccount => error(manner.broken)?,
        FaultKind::Status => status(503),
    };
    if let Some(seconds) = fault.retry_after_seconds {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(dated(answer, moment(state, Some(fault))))
}

/// Takes one field out, wherever it is: the token, which `tokens` names, unless the fault names
/// another.
pub(super) fn leave_out(fields: &mut Map<String, Value>, fault: &Fault, tokens: &[&str]) {
    if fault.kind != FaultKind::Incomplete {
        return;
    }
    let named: &[&str] = match &fault.field {
        Some(name) => &[name.as_str()],
        None => tokens,
    };
    for name in named {
        fields.remove(*name);
        for inner in fields.values_mut().filter_map(Value::as_object_mut) {
            inner.remove(*name);
        }
    }
}

/// Halves the body, if the fault says so.
pub(super) fn cut(reply: Reply, fault: Option<&Fault>) -> Reply {
    match fault {
        Some(fault) if fault.kind == FaultKind::Truncated => reply.map(Answer::halved),
        _ => reply,
    }
}

/// How one part of a cloud says no.
pub(super) struct Manner {
    /// From code and message, with an HTTP status if the script has one.
    pub(super) error: fn(&str, &str, Option<u16>) -> io::Result<Reply>,
    /// Code and message of a throttle.
    pub(super) throttled: (&'static str, &'static str),
    /// The same where the script says nothing.
    pub(super) broken: (&'static str, &'static str),
}

/// Tencent's STS.
const STS: Manner = Manner {
    error: |code, message, _| refused(&Refusal::new(code.to_owned(), message)),
    throttled: THROTTLED,
    broken: BROKEN,
};
pub(super) const THROTTLED: (&str, &str) = (
    "RequestLimitExceeded",
    "Your current request times exceed the frequency limit of this action.",
);
pub(super) const BROKEN: (&str, &str) = ("InternalError", "As scripted.");

fn refused(refusal: &Refusal) -> io::Result<Reply> {
    let error = json!({ "Code": refusal.code, "Message": refusal.message });
    envelope(Map::from_iter([("Error".to_owned(), error)]))
}

/// Errors as well: the cloud's status is 200 whenever the request reached the service.
fn envelope(mut fields: Map<String, Value>) -> io::Result<Reply> {
    fields.insert("RequestId".to_owned(), Random::draw()?.request_id().into());
    let text = json!({ "Response": fields }).to_string();
    Ok(reply(StatusCode::OK, "application/json", text))
}

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
