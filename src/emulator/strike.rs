//! What the script does to a call: before it is answered, instead of an answer, and to a good one.

use std::io;

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use serde_json::{Map, Value};

use super::faults::{Called, Fault, FaultKind, LONGEST_DELAY};
use super::moment::Moment;
use super::reply::{Reply, dated, reply};
use super::state::State;
use super::wire::{Answer, ResetSwitch};

/// What a client gets when a gateway in front of the cloud answers instead of the cloud.
const GATEWAY_PAGE: &str =
    "<html>\r\n<head><title>Bad gateway</title></head>\r\n<body>nginx</body>\r\n</html>\r\n";

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
