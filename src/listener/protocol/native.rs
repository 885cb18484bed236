//! Our own protocol, for clients that know us.
//!
//! ```text
//! GET /v1/roles                     the roles that may be had here
//! GET /v1/roles/ROLE/credentials    a set; ?wait=30s with If-None-Match holds until it changes
//! GET /v1/roles/ROLE/status         how it stands, without keys
//! ```

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::http::HeaderValue;
use serde_json::{Value, json};

use super::{JSON, Shaped, Trouble, Want};
use crate::clock::{BootTime, rfc3339_seconds};
use crate::store::{Role, View};

/// Longest time that `wait` may hold a request.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

pub(super) fn route(path: &str) -> Option<Want<'_>> {
    let rest = path.strip_prefix("/v1/roles")?;
    if matches!(rest, "" | "/") {
        return Some(Want::Roles);
    }
    let (role, leaf) = rest.strip_prefix('/')?.split_once('/')?;
    match leaf {
        _ if role.is_empty() => None,
        "credentials" => Some(Want::Credentials(role)),
        "status" => Some(Want::Status(role)),
        _ => None,
    }
}

pub(super) fn refusal(trouble: Trouble, message: &str) -> Shaped {
    let error = json!({ "error": { "code": trouble.code, "message": message } });
    Shaped {
        content_type: JSON,
        body: Bytes::from(error.to_string()),
    }
}

/// The list: an object per role, so that it can gain members.
pub(crate) fn roles(roles: &[std::sync::Arc<Role>]) -> Bytes {
    let roles: Vec<Value> = roles
        .iter()
        .map(|role| json!({ "role": role.name().as_str(), "cloud": role.cloud().as_str() }))
        .collect();
    Bytes::from(json!({ "roles": roles }).to_string())
}

/// How a role stands, for whoever may have its credentials.
pub(crate) fn status(role: &Role, view: &View, now: BootTime, wall: SystemTime) -> Bytes {
    let valid = view.valid(now);
    let text = |time: Option<SystemTime>| time.map(rfc3339_seconds);
    let next = view.next_attempt.map(|at| wall + now.until(at));
    let failure = view.failure.as_ref().map(|failure| {
        json!({
            "class": failure.class,
            "message": failure.message,
            "code": failure.code,
            "request_id": failure.request_id,
            "at": rfc3339_seconds(failure.at),
        })
    });
    let status = json!({
        "role": role.name().as_str(),
        "cloud": role.cloud().as_str(),
        "held": view.held(now).as_str(),
        "refresh": view.refresh.as_str(),
        "expires_at": text(valid.map(|held| held.shown_expiry)),
        "issued_at": text(valid.map(|held| held.issued_at)),
        "generation": valid.map(|held| held.set.generation),
        "min_remaining_seconds": view.min_remaining.as_secs(),
        "next_refresh_at": text(next),
        "last_success_at": text(view.last_success),
        "consecutive_failures": view.consecutive_failures,
        "last_error": failure,
    });
    Bytes::from(status.to_string())
}

/// How long the query asks to wait, cut to a minute. `Err` if it asks for nonsense.
pub(crate) fn wait(query: Option<&str>) -> Result<Option<Duration>, InvalidWait> {
    let Some(text) = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("wait="))
    else {
        return Ok(None);
    };
    let parser = jiff::fmt::friendly::SpanParser::new();
    let asked = parser
        .parse_unsigned_duration(text)
        .map_err(|_| InvalidWait)?;
    Ok(Some(asked.min(LONGEST_WAIT)))
}

/// `wait` is not a duration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`wait` takes a duration with a unit, such as wait=30s (at most a minute)")]
pub(crate) struct InvalidWait;

/// Whether `If-None-Match` names this `ETag` (RFC 9110, section 13.1.2: weak comparison).
pub(crate) fn names(if_none_match: &HeaderValue, etag: &str) -> bool {
    if_none_match.to_str().is_ok_and(|list| {
        list.split(',').map(str::trim).any(|candidate| {
            candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate) == etag
        })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::http::{HeaderValue, StatusCode};

    use super::{InvalidWait, Trouble, Want, names, refusal, route, wait};

    #[test]
    fn paths() {
        assert_eq!(route("/v1/roles"), Some(Want::Roles));
        assert_eq!(route("/v1/roles/"), Some(Want::Roles));
        assert_eq!(
            route("/v1/roles/a/credentials"),
            Some(Want::Credentials("a"))
        );
        assert_eq!(route("/v1/roles/a/status"), Some(Want::Status("a")));
        for other in [
            "/v1",
            "/v1/rolesx",
            "/v1/roles/a",
            "/v1/roles/a/",
            "/v1/roles/a/credentials/",
        ] {
            assert_eq!(route(other), None, "{other}");
        }
    }

    #[test]
    fn waits_have_units_and_an_upper_end() {
        assert_eq!(wait(None), Ok(None));
        assert_eq!(wait(Some("")), Ok(None));
        assert_eq!(
            wait(Some("a=b&wait=30s")),
            Ok(Some(Duration::from_secs(30)))
        );
        assert_eq!(
            wait(Some("wait=500ms")),
            Ok(Some(Duration::from_millis(500)))
        );
        assert_eq!(wait(Some("wait=1h")), Ok(Some(Duration::from_mins(1))));
        for wrong in ["wait=", "wait=30", "wait=-1s", "wait=s"] {
            assert_eq!(wait(Some(wrong)), Err(InvalidWait), "{wrong}");
        }
    }

    #[test]
    fn etags_are_compared_weakly() {
        let names = |list: &'static str| names(&HeaderValue::from_static(list), "\"a\"");
        assert!(names("\"a\"") && names("W/\"a\"") && names("\"b\", \"a\"") && names("*"));
        assert!(!names("\"b\"") && !names("a") && !names(""));
    }

    #[test]
    fn refusals_are_objects() {
        let shaped = refusal(Trouble::of(StatusCode::NOT_FOUND), "no such role");
        assert_eq!(
            &*shaped.body,
            br#"{"error":{"code":"not-found","message":"no such role"}}"#
        );
    }
}
