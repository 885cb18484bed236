//! The user portals of both clouds' Identity Centers: Huawei's OIDC and portal API, the gateway
//! that Tencent's command line signs in with, and a page on which a person approves.
//!
//! Strict about what it is asked, as the rest: polling faster than told is answered with
//! `slow_down`, a device code and a state count once, a `TargetUin` that is text is refused.
//! What it leaves out: people. Whoever reaches the page approves for the one person there is.

mod book;
mod decide;
mod device;
mod huawei;
mod tencent;

use std::io;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::Value;

use super::respond::{Reply, begin, cut, dated, early, moment, outcome_of, reply, strike};
use super::state::{Moment, State};
use super::wire::ResetSwitch;
pub use book::{Decision, Person, Portal, PortalAccount, PortalRole, Rules};

const JSON: &str = "application/json";

/// One call of a portal's API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Call {
    Huawei(huawei::Call),
    Tencent(tencent::Call),
}

/// A status and a body.
type Answered = (StatusCode, Value);

impl Call {
    fn of(method: &Method, path: &str) -> Option<Self> {
        huawei::Call::of(method, path)
            .map(Self::Huawei)
            .or_else(|| tencent::Call::of(method, path).map(Self::Tencent))
    }

    fn action(self) -> &'static str {
        match self {
            Self::Huawei(call) => call.action(),
            Self::Tencent(call) => call.action(),
        }
    }
}

/// Whether a path is one of a portal's.
pub(super) fn is_ours(method: &Method, path: &str) -> bool {
    path.starts_with(decide::PAGES) || Call::of(method, path).is_some()
}

pub(super) async fn respond(
    state: &State,
    reset: &ResetSwitch,
    head: &Parts,
    body: &[u8],
) -> io::Result<Reply> {
    let Some(call) = Call::of(&head.method, head.uri.path()) else {
        return Ok(dated(decide::respond(state, head, body), state.moment(0)));
    };
    let (number, fault) = begin(state, call.action(), None);
    let finish = |outcome: &str| state.with_calls(|calls| calls.finish(number, None, outcome));
    if let Some(fault) = &fault {
        tokio::time::sleep(fault.delay()).await;
        if let Some(outcome) = early(fault) {
            finish(&outcome);
            let manner = match call {
                Call::Huawei(_) => &huawei::MANNER,
                Call::Tencent(_) => &tencent::MANNER,
            };
            return strike(state, reset, fault, manner).await;
        }
    }
    let moment = moment(state, fault.as_ref());
    let (status, value) = answer(state, call, head, body, moment)?;
    finish(
        if status == StatusCode::OK {
            outcome_of(fault.as_ref())
        } else {
            status.as_str().to_owned()
        }
        .as_str(),
    );
    let answer = reply(status, JSON, value.to_string());
    Ok(dated(cut(answer, fault.as_ref()), moment))
}

fn answer(
    state: &State,
    call: Call,
    head: &Parts,
    body: &[u8],
    moment: Moment,
) -> io::Result<Answered> {
    match call {
        Call::Huawei(call) => huawei::answer(state, call, head, body, moment),
        Call::Tencent(call) => tencent::answer(state, call, body, moment),
    }
}

/// The value of one parameter of a query.
fn query(head: &Parts, name: &str) -> Option<String> {
    pairs(head.uri.query().unwrap_or_default().as_bytes())
        .into_iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

/// `a=b&c=d`, decoded.
fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(encoded).replace('+', " ");
    let decoded = |part: &str| {
        percent_encoding::percent_decode_str(part)
            .decode_utf8_lossy()
            .into_owned()
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}
