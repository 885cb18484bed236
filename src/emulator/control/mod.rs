//! The control API under `/_emulator/`: JSON in, JSON out; see the header of the emulator for
//! the list. Errors are `{"error": "…"}` with a sentence.

mod additions;
mod overview;

use std::time::Duration;

use hyper::header::{ALLOW, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::faults::{Fault, LONGEST_DELAY};
use super::moment::FARTHEST_OFFSET;
use super::orders::Orders;
use super::portal_book::{Decision, Portal, Rules};
use super::reply::{Reply, dated, reply};
use super::state::State;

const JSON: &str = "application/json";

/// What there is below `/_emulator/`, and how it is asked.
const PATHS: [(&str, &[Method]); 14] = [
    ("calls", &[Method::GET]),
    ("clock", &[Method::POST]),
    ("faults", &[Method::GET, Method::POST, Method::DELETE]),
    ("instance", &[Method::POST]),
    ("keys", &[Method::POST]),
    ("outage", &[Method::POST]),
    ("portal", &[Method::POST]),
    ("providers", &[Method::POST]),
    ("reset-counts", &[Method::POST]),
    ("roles", &[Method::POST]),
    ("saml-assertions", &[Method::POST]),
    ("sign-ins", &[Method::GET, Method::POST, Method::DELETE]),
    ("web-identity-tokens", &[Method::POST]),
    ("world", &[Method::GET]),
];

/// Why a control request was not carried out.
#[derive(Debug)]
struct Mistake(String);

impl<E: std::error::Error> From<E> for Mistake {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    offset_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outage {
    seconds: u64,
}

/// Answers one control request; `None` is a body that was too long.
pub(super) fn respond(state: &State, orders: &Orders, head: &Parts, body: Option<&[u8]>) -> Reply {
    let answer = if from_a_browser(head) {
        let sentence = "the control API does not speak to web pages";
        reply(StatusCode::FORBIDDEN, JSON, error(sentence))
    } else {
        route(state, orders, head, body.unwrap_or_default())
    };
    dated(answer, state.moment(0))
}

/// No tool sends these; a page that attacks services on loopback does.
fn from_a_browser(head: &Parts) -> bool {
    let has = |name| head.headers.contains_key(name);
    has("origin") || has("referer") || has("sec-fetch-site")
}

fn route(state: &State, orders: &Orders, head: &Parts, body: &[u8]) -> Reply {
    let what = head.uri.path().strip_prefix("/_emulator/");
    let what = what.unwrap_or_default();
    let Some((_, allowed)) = PATHS.iter().find(|(path, _)| *path == what) else {
        let sentence = "no such path below /_emulator/";
        return reply(StatusCode::NOT_FOUND, JSON, error(sentence));
    };
    if !allowed.contains(&head.method) {
        return not_allowed(allowed);
    }
    let outcome = match (what, head.method.as_str()) {
        ("calls", _) => serde_json::to_value(state.calls()).map_err(Mistake::from),
        ("world", _) => Ok(overview::world(state)),
        ("faults", "GET") => Ok(json!({ "faults": state.faults() })),
        ("faults", "DELETE") => {
            state.clear_faults();
            Ok(json!({ "faults": [] }))
        }
        ("faults", _) => faults(state, body),
        ("clock", _) => clock(state, body),
        ("outage", _) => outage(orders, body),
        ("reset-counts", _) => {
            state.reset_counts();
            Ok(json!({}))
        }
        ("sign-ins", "GET") => Ok(sign_ins(state)),
        ("sign-ins", "DELETE") => {
            state.with_portal(Portal::end_sessions);
            Ok(sign_ins(state))
        }
        ("sign-ins", _) => decide(state, body),
        ("portal", _) => read::<Rules>(body).map(|rules| {
            state.with_portal(|portal| portal.rules = rules);
            json!(rules)
        }),
        ("instance", _) => additions::instance(state, body),
        ("keys", _) => additions::key(state, body),
        ("providers", _) => additions::provider(state, body),
        ("roles", _) => additions::role(state, body),
        ("saml-assertions", _) => additions::saml_assertion(state, body),
        _ => additions::web_identity_token(state, body),
    };
    match outcome {
        Ok(value) => reply(StatusCode::OK, JSON, format!("{value:#}\n")),
        Err(Mistake(sentence)) => reply(StatusCode::BAD_REQUEST, JSON, error(&sentence)),
    }
}

fn not_allowed(allowed: &[Method]) -> Reply {
    let list: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    let list = list.join(", ");
    let sentence = format!("this path takes {list}");
    let mut answer = reply(StatusCode::METHOD_NOT_ALLOWED, JSON, error(&sentence));
    if let Ok(value) = HeaderValue::from_str(&list) {
        answer.headers_mut().insert(ALLOW, value);
    }
    answer
}

fn error(sentence: &str) -> String {
    format!("{}\n", json!({ "error": sentence }))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Mistake> {
    Ok(serde_json::from_slice(body)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    shown: String,
    decision: Decision,
}

fn sign_ins(state: &State) -> Value {
    let now = state.moment(0).boot;
    state.with_portal(
        |portal| json!({ "waiting": portal.waiting(now), "signed_in": portal.sessions(now) }),
    )
}

fn decide(state: &State, body: &[u8]) -> Result<Value, Mistake> {
    let Decided { shown, decision } = read(body)?;
    if state.decide(&shown, decision) {
        Ok(json!({}))
    } else {
        Err(Mistake(
            "nobody waits for this code, or not any more".to_owned(),
        ))
    }
}

fn faults(state: &State, body: &[u8]) -> Result<Value, Mistake> {
    let faults: Vec<Fault> = read(body)?;
    state.push_faults(faults)?;
    Ok(json!({ "faults": state.faults() }))
}

fn clock(state: &State, body: &[u8]) -> Result<Value, Mistake> {
    let Clock { offset_seconds } = read(body)?;
    if offset_seconds.unsigned_abs() > FARTHEST_OFFSET {
        return Err(Mistake("`offset_seconds` is more than a year".to_owned()));
    }
    state.set_clock_offset(offset_seconds);
    Ok(json!({ "offset_seconds": offset_seconds }))
}

/// The answer goes out first; then everything closes, this connection too.
fn outage(orders: &Orders, body: &[u8]) -> Result<Value, Mistake> {
    const HEAD_START: Duration = Duration::from_millis(50);
    let Outage { seconds } = read(body)?;
    let length = Duration::from_secs(seconds);
    if length > LONGEST_DELAY {
        return Err(Mistake("`seconds` is longer than ten minutes".to_owned()));
    }
    let orders = orders.clone();
    drop(tokio::spawn(async move {
        tokio::time::sleep(HEAD_START).await;
        orders.outage(length).await;
    }));
    Ok(json!({ "seconds": seconds }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{PATHS, Rules};

    const MANUAL: &str = include_str!("../../../docs/emulator.md");

    #[test]
    fn the_manual_has_every_request_and_every_rule_of_the_portals() {
        for (path, methods) in PATHS {
            for method in methods {
                let row = format!("| `{method} {path}` |");
                assert!(MANUAL.contains(&row), "{row}");
            }
        }
        let Value::Object(rules) = json!(Rules::default()) else {
            panic!("rules are an object");
        };
        for (key, value) in rules {
            let value = value.to_string().replace("null", "none");
            let row = format!("| `{key}` | {value} |");
            assert!(MANUAL.contains(&row), "{row}");
        }
    }
}
