//! The user portals of both clouds' Identity Centers: Huawei's OIDC and portal API, the gateway
//! that Tencent's command line signs in with, and a page on which a person approves.
//!
//! Strict about what it is asked, as the rest: polling faster than told is answered with
//! `slow_down`, a device code and a state count once, a client may do what it registered for, a
//! `TargetUin` that is text is refused. What it leaves out: people. Whoever reaches the page approves for the one person there is.

mod decide;
mod device;
mod huawei;
mod huawei_refusal;
mod tencent;

use std::io;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::Value;

use super::faults::{Called, Fault, Twist};
use super::moment::Moment;
use super::portal_book::Portal;
use super::reply::{Reply, dated, reply};
use super::state::State;
use super::strike::{begin, cut, early, leave_out, moment, outcome_of, strike};
use super::wire::ResetSwitch;

const JSON: &str = "application/json";

/// One call of a portal's API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Call {
    Huawei(huawei::Call),
    Tencent(tencent::Call),
}

/// What a call comes with.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    head: &'a Parts,
    body: &'a [u8],
    moment: Moment,
    twist: Option<Twist>,
}

/// An answer, and what is noted about it.
#[derive(Debug)]
struct Answered {
    status: StatusCode,
    body: Value,
    /// The code it refuses with.
    refused: Option<String>,
    has_a_set: bool,
}

impl Answered {
    fn good(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            body,
            refused: None,
            has_a_set: false,
        }
    }

    fn with_a_set(body: Value) -> Self {
        Self {
            has_a_set: true,
            ..Self::good(body)
        }
    }

    fn refused(status: StatusCode, code: &str, body: Value) -> Self {
        Self {
            status,
            refused: Some(code.to_owned()),
            ..Self::good(body)
        }
    }
}

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

    /// The role it is about, if the portal knows it.
    fn role(self, portal: &Portal, head: &Parts, body: &[u8]) -> Option<String> {
        match self {
            Self::Huawei(call) => huawei::named_role(portal, call, head),
            Self::Tencent(call) => tencent::named_role(portal, call, body),
        }
    }

    fn hands_out_a_set(self) -> bool {
        match self {
            Self::Huawei(call) => call == huawei::Call::Credentials,
            Self::Tencent(call) => call == tencent::Call::Assume,
        }
    }

    /// What the token of a set is called.
    fn token(self) -> &'static str {
        match self {
            Self::Huawei(_) => "session_token",
            Self::Tencent(_) => "Token",
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
    let role = state.with_portal(|portal| call.role(portal, head, body));
    let called = Called {
        action: call.action(),
        role: role.as_deref(),
        hands_out_a_set: call.hands_out_a_set(),
    };
    let (number, fault) = begin(state, called);
    let finish = |outcome: &str| state.with_calls(|calls| calls.finish(number, None, outcome));
    if let Some(fault) = &fault {
        tokio::time::sleep(fault.delay()).await;
        if let Some(outcome) = early(fault) {
            finish(&outcome);
            let manner = match call {
                Call::Huawei(_) => &huawei_refusal::MANNER,
                Call::Tencent(_) => &tencent::MANNER,
            };
            return strike(state, reset, fault, manner).await;
        }
    }
    let request = Request {
        head,
        body,
        moment: moment(state, fault.as_ref()),
        twist: fault.as_ref().and_then(Fault::twist),
    };
    let mut answered = match call {
        Call::Huawei(call) => huawei::answer(state, call, request)?,
        Call::Tencent(call) => tencent::answer(state, call, request)?,
    };
    if let Some(role) = role.filter(|_| answered.has_a_set) {
        state.with_calls(|calls| calls.issued(&role));
    }
    let fault = fault.as_ref().filter(|_| answered.refused.is_none());
    finish(&answered.refused.unwrap_or_else(|| outcome_of(fault)));
    if let (Some(fault), Value::Object(fields)) = (fault, &mut answered.body) {
        leave_out(fields, fault, &[call.token()]);
    }
    let answer = reply(answered.status, JSON, answered.body.to_string());
    Ok(dated(cut(answer, fault), request.moment))
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

#[cfg(test)]
mod tests {
    use super::{Call, Method};

    #[test]
    fn the_manual_has_every_action_of_the_portals() {
        let manual = include_str!("../../../docs/emulator.md");
        for (method, path, action) in [
            ("POST", "/v1/clients", "RegisterClient"),
            ("POST", "/v1/device/authorize", "StartDeviceAuthorization"),
            ("POST", "/v1/tokens", "CreateToken"),
            ("GET", "/v1/assigned-accounts", "ListAccounts"),
            ("GET", "/v1/assigned-agencies", "ListAgencies"),
            ("GET", "/v1/credentials", "GetAgencyCredentials"),
            ("POST", "/v1/logout", "Logout"),
            ("POST", "/api/sso/check_login_state", "check_login_state"),
            ("POST", "/api/org/gen_saml_response", "gen_saml_response"),
            (
                "POST",
                "/api/sts/assume_role_with_saml",
                "assume_role_with_saml",
            ),
        ] {
            let method: Method = method.parse().unwrap();
            let call = Call::of(&method, path).unwrap();
            assert_eq!(call.action(), action);
            let named = if call.hands_out_a_set() {
                format!("**`{action}`**")
            } else {
                format!(" `{action}`")
            };
            assert!(manual.contains(&named), "{named}");
        }
    }
}
