//! The part of an ECS instance's metadata service that hands out its agency's credentials.
//!
//! With a token or without one; a wrong one is 401. A set is repeated until half of its life is
//! over, then there is a new one. Without an agency the answer is the sentence by which the
//! official SDKs know that. A service without tokens is a fault with status 404 on
//! `MetadataToken`.

use std::io;
use std::time::Duration;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::actions::expiry;
use super::{MANNER, TOKENS, header, numbered};
use crate::credentials::Cloud;
use crate::emulator::faults::{Called, Fault};
use crate::emulator::moment::Moment;
use crate::emulator::reply::{Reply, dated, reply};
use crate::emulator::state::State;
use crate::emulator::strike::{begin, cut, early, leave_out, moment, outcome_of, strike};
use crate::emulator::wire::ResetSwitch;
use crate::emulator::world::World;
use crate::name::Name;

const CREDENTIALS: &str = "/openstack/latest/securitykey";
const TOKEN: &str = "/meta-data/latest/api/token";
const LIFETIME_HEADERS: [&str; 2] = [
    "x-metadata-token-ttl-seconds",
    "x-securitykey-token-ttl-seconds",
];
const TOKEN_HEADERS: [&str; 2] = ["x-metadata-token", "x-securitykey-token"];
const LONGEST: u64 = 21_600;

pub(super) fn is_ours(path: &str) -> bool {
    path == CREDENTIALS || path == TOKEN
}

pub(super) async fn respond(state: &State, reset: &ResetSwitch, head: &Parts) -> io::Result<Reply> {
    let is_token = head.uri.path() == TOKEN;
    let action = if is_token {
        "MetadataToken"
    } else {
        "SecurityKey"
    };
    let bound = state.with_huawei(|world| world.instance.as_ref().map(|it| it.role.clone()));
    let called = Called {
        action,
        role: bound.as_deref(),
        hands_out_a_set: !is_token,
    };
    let (call, fault) = begin(state, called);
    let finish = |outcome: &str| state.with_calls(|calls| calls.finish(call, None, outcome));
    if let Some(fault) = &fault {
        tokio::time::sleep(fault.delay()).await;
        if let Some(outcome) = early(fault) {
            finish(&outcome);
            return strike(state, reset, fault, &MANNER).await;
        }
    }
    let moment = moment(state, fault.as_ref());
    let wanted = if is_token { Method::PUT } else { Method::GET };
    let answer = if head.method != wanted {
        refused(StatusCode::METHOD_NOT_ALLOWED, "no such method here")
    } else if is_token {
        token(state, moment, head)
    } else if !shows_good_token(state, moment, head) {
        refused(StatusCode::UNAUTHORIZED, "the token is invalid")
    } else {
        state.with_huawei(|world| credentials(world, moment, fault.as_ref()))?
    };
    let is_good = answer.status().is_success();
    finish(&if is_good {
        outcome_of(fault.as_ref())
    } else {
        answer.status().as_str().to_owned()
    });
    let answer = cut(answer, fault.as_ref().filter(|_| is_good));
    Ok(dated(numbered(answer)?, moment))
}

fn refused(status: StatusCode, message: &str) -> Reply {
    let body = json!({ "error_code": status.as_str(), "error_msg": message });
    reply(status, "application/json", body.to_string())
}

/// Tokens are for one service, so its name is always the same.
fn service() -> Name {
    "metadata".parse().expect("a name in the code is one")
}

fn token(state: &State, moment: Moment, head: &Parts) -> Reply {
    let asked = LIFETIME_HEADERS
        .into_iter()
        .find_map(|name| header(&head.headers, name))
        .and_then(|text| text.parse().ok())
        .filter(|seconds| (1..=LONGEST).contains(seconds));
    let Some(seconds) = asked else {
        return refused(StatusCode::BAD_REQUEST, "the TTL lies between 1 and 21600");
    };
    let lifetime = Duration::from_secs(seconds);
    let token = state
        .metadata_tokens
        .mint(&service(), moment.boot, lifetime);
    reply(StatusCode::OK, "text/plain", token)
}

fn shows_good_token(state: &State, moment: Moment, head: &Parts) -> bool {
    TOKEN_HEADERS
        .into_iter()
        .filter_map(|name| head.headers.get(name))
        .all(|token| {
            state
                .metadata_tokens
                .accept(&service(), moment.boot, token.as_bytes())
        })
}

/// The body for the bound agency.
fn credentials(world: &mut World, moment: Moment, fault: Option<&Fault>) -> io::Result<Reply> {
    let twist = fault.and_then(Fault::twist);
    let Some(issued) = world.instance_set(Cloud::Huawei, "ecs", moment, twist)? else {
        return Ok(refused(
            StatusCode::UNAUTHORIZED,
            "Please configure Cloud Service Agency first",
        ));
    };
    let mut fields = super::actions::fields([(
        "credential",
        json!({
            "access": issued.id,
            "secret": issued.key.secret.expose(),
            "securitytoken": issued.key.token.expose(),
            "expires_at": expiry(&issued, moment, ".574000Z"),
        }),
    )]);
    if let Some(fault) = fault {
        leave_out(&mut fields, fault, &TOKENS);
    }
    let text = Value::Object(fields).to_string();
    Ok(reply(StatusCode::OK, "application/json", text))
}
