//! One call of the STS over HTTP: counted, struck by the script if it is its turn, and answered in
//! the cloud's envelope.

use std::io;

use hyper::StatusCode;
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};
use tracing::debug;

use super::refusal::{BROKEN, Refusal, THROTTLED};
use super::{Context, Request, Subject, answer};
use crate::emulator::faults::Fault;
use crate::emulator::random::Random;
use crate::emulator::reply::{Reply, dated, reply};
use crate::emulator::state::State;
use crate::emulator::strike::{Manner, begin, cut, early, leave_out, moment, outcome_of, strike};
use crate::emulator::wire::ResetSwitch;

/// Answers one call of an action; `None` is a body that was too long.
pub(in crate::emulator) async fn respond(
    state: &State,
    reset: &ResetSwitch,
    head: &Parts,
    body: Option<&[u8]>,
) -> io::Result<Reply> {
    let request = Request {
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
            let context = Context {
                world,
                moment,
                twist,
            };
            answer(context, request)
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

/// Tencent's STS.
const STS: Manner = Manner {
    error: |code, message, _| refused(&Refusal::new(code.to_owned(), message)),
    throttled: THROTTLED,
    broken: BROKEN,
};
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
