//! The part of a CVM instance's metadata service that hands out the role's credentials.
//!
//! As the real one: no token, no header, the list is one name without a newline, the body is
//! pretty JSON, and without a role bound everything is 404. A set is repeated until half of its
//! life is over, then there is a new one.
//!
//! Source: Tencent Cloud, "instance metadata" (product 213).

use std::io;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde::Serialize;

use super::refusal::{BROKEN, THROTTLED};
use crate::clock::rfc3339_seconds;
use crate::credentials::Cloud;
use crate::emulator::faults::{Called, Fault, FaultKind};
use crate::emulator::moment::Moment;
use crate::emulator::reply::{Reply, dated, reply};
use crate::emulator::state::State;
use crate::emulator::strike::{Manner, begin, cut, early, moment, outcome_of, strike};
use crate::emulator::wire::ResetSwitch;
use crate::emulator::world::{Issued, World};

/// What these requests are called in counts and faults.
pub(in crate::emulator) const ACTION: &str = "InstanceMetadata";

const VERSIONS: [&str; 3] = ["/latest", "/1.0", "/2017-09-19"];
const TREES: [&str; 2] = [
    "/meta-data/cam/security-credentials",
    "/meta-data/cam/service-role-security-credentials",
];

/// The fields, in the order of the documented sample.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tmp_secret_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tmp_secret_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    code: &'a str,
}

/// Whether a path lies in the metadata tree.
pub(in crate::emulator) fn is_ours(path: &str) -> bool {
    below_tree(path).is_some()
}

/// What follows the tree: the role's name, or nothing for the list.
fn below_tree(path: &str) -> Option<&str> {
    let path = VERSIONS
        .iter()
        .find_map(|version| path.strip_prefix(version))
        .unwrap_or(path);
    let rest = TREES.iter().find_map(|tree| path.strip_prefix(tree))?;
    match rest.strip_prefix('/') {
        Some(role) => Some(role),
        None => rest.is_empty().then_some(""),
    }
}

pub(in crate::emulator) async fn respond(
    state: &State,
    reset: &ResetSwitch,
    head: &Parts,
) -> io::Result<Reply> {
    let asked = below_tree(head.uri.path()).unwrap_or_default();
    let known = state.with_world(|world| {
        let bound = world
            .instance
            .as_ref()
            .map(|instance| instance.role.clone());
        bound.filter(|role| asked.is_empty() || role == asked)
    });
    let called = Called {
        action: ACTION,
        role: known.as_deref(),
        hands_out_a_set: !asked.is_empty(),
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
    let answer = if head.method != Method::GET {
        Err(StatusCode::METHOD_NOT_ALLOWED)
    } else if known.is_none() {
        Err(StatusCode::NOT_FOUND)
    } else if asked.is_empty() {
        Ok(known.unwrap_or_default())
    } else {
        state.with_world(|world| credentials(world, moment, fault.as_ref()))?
    };
    let answer = match answer {
        Ok(text) => {
            finish(&outcome_of(fault.as_ref()));
            cut(reply(StatusCode::OK, "text/plain", text), fault.as_ref())
        }
        Err(status) => {
            finish(status.as_str());
            reply(status, "text/plain", format!("{status}\n"))
        }
    };
    Ok(dated(answer, moment))
}

/// The body for the bound role.
fn credentials(
    world: &mut World,
    moment: Moment,
    fault: Option<&Fault>,
) -> io::Result<Result<String, StatusCode>> {
    let twist = fault.and_then(Fault::twist);
    let Some(issued) = world.instance_set(Cloud::Tencent, "cvm", moment, twist)? else {
        return Ok(Err(StatusCode::NOT_FOUND));
    };
    let missing = fault
        .filter(|fault| fault.kind == FaultKind::Incomplete)
        .map(|fault| fault.field.as_deref().unwrap_or("Token"));
    Ok(Ok(body(&issued, moment, missing)?))
}

fn body(issued: &Issued, moment: Moment, missing: Option<&str>) -> io::Result<String> {
    let expiry = moment.seen_from_here(issued.host_expiry);
    let wall = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(expiry);
    let has = |name| missing != Some(name);
    let body = Body {
        tmp_secret_id: has("TmpSecretId").then_some(issued.id.as_str()),
        tmp_secret_key: has("TmpSecretKey").then_some(issued.key.secret.expose()),
        expired_time: has("ExpiredTime").then_some(expiry),
        expiration: has("Expiration").then(|| rfc3339_seconds(wall)),
        token: has("Token").then_some(issued.key.token.expose()),
        code: "Success",
    };
    serde_json::to_string_pretty(&body).map_err(io::Error::other)
}

const MANNER: Manner = Manner {
    error,
    throttled: THROTTLED,
    broken: BROKEN,
};

/// A scripted error: the service reports it in `Code`.
fn error(code: &str, _message: &str, _status: Option<u16>) -> io::Result<Reply> {
    let body = Body {
        tmp_secret_id: None,
        tmp_secret_key: None,
        expired_time: None,
        expiration: None,
        token: None,
        code,
    };
    let text = serde_json::to_string_pretty(&body).map_err(io::Error::other)?;
    Ok(reply(StatusCode::OK, "text/plain", text))
}

#[cfg(test)]
mod tests {
    use super::below_tree;

    #[test]
    fn every_spelling_of_the_tree_is_known() {
        for (path, role) in [
            ("/latest/meta-data/cam/security-credentials/", Some("")),
            ("/latest/meta-data/cam/security-credentials", Some("")),
            ("/meta-data/cam/security-credentials/app", Some("app")),
            (
                "/1.0/meta-data/cam/service-role-security-credentials/app",
                Some("app"),
            ),
            (
                "/2017-09-19/meta-data/cam/security-credentials/app",
                Some("app"),
            ),
            ("/latest/meta-data/cam/security-credentialsapp", None),
            ("/latest/meta-data/instance-id", None),
            ("/", None),
        ] {
            assert_eq!(below_tree(path), role, "{path}");
        }
    }
}
