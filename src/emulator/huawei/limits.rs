//! What the definitions of STS v5 allow for single parameters.

use std::collections::BTreeSet;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use super::refusal::Refusal;

/// Session length where none is asked for.
const DEFAULT_SESSION: u64 = 3_600;
const SHORTEST_SESSION: u64 = 900;
const LONGEST_SESSION: u64 = 43_200;
/// For a caller that is itself temporary.
const LONGEST_CHAINED: u64 = 3_600;
const LONGEST_POLICY: usize = 4_096;
const MOST: usize = 20;

pub(super) fn worded(
    text: &str,
    name: &str,
    others: &[u8],
    lengths: std::ops::RangeInclusive<usize>,
) -> Result<(), Refusal> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    if lengths.contains(&text.len()) && text.bytes().all(is_fine) {
        return Ok(());
    }
    Err(Refusal::parameter(format!(
        "{name} has {} to {} letters, digits and `{}`",
        lengths.start(),
        lengths.end(),
        String::from_utf8_lossy(others)
    )))
}

pub(super) fn session_name(text: &str) -> Result<(), Refusal> {
    worded(text, "agency_session_name", b"_+=,.@-", 2..=128)
}

pub(super) fn policy_ids(ids: &[String]) -> Result<(), Refusal> {
    if ids.len() > MOST {
        return Err(Refusal::parameter("policy_ids has more than 20 entries"));
    }
    ids.iter()
        .try_for_each(|id| worded(id, "policy_ids", b"_-", 1..=64))
}

pub(super) fn tags(tags: &[(String, String)], transitive: &[String]) -> Result<(), Refusal> {
    if tags.len() > MOST || transitive.len() > MOST {
        return Err(Refusal::parameter("there are more than 20 tags"));
    }
    let keys: BTreeSet<&str> = tags.iter().map(|(key, _)| key.as_str()).collect();
    if keys.len() != tags.len() {
        return Err(Refusal::parameter("the keys of tags must differ"));
    }
    for (key, value) in tags {
        if key.starts_with("_sys_") {
            return Err(Refusal::parameter("a tag's key begins with _sys_"));
        }
        worded(key, "a tag's key", b" _.:=+-@/", 1..=128)?;
        worded(value, "a tag's value", b" _.:/=+-@", 0..=255)?;
    }
    transitive
        .iter()
        .try_for_each(|key| worded(key, "transitive_tag_keys", b" _.:=+-@/", 1..=128))
}

/// JSON with this version; its effect is not emulated.
pub(super) fn policy(policy: &Value, version: &str) -> Result<(), Refusal> {
    let wrong = |why: &str| {
        Err(Refusal::parameter(format!(
            "the policy is malformed: {why}"
        )))
    };
    if policy.get("Version").and_then(Value::as_str) != Some(version) {
        return wrong(&format!("Version must be \"{version}\""));
    }
    let statements = policy.get("Statement").and_then(Value::as_array);
    let Some(statements) = statements.filter(|it| !it.is_empty()) else {
        return wrong("Statement must be a list that is not empty");
    };
    for statement in statements {
        if !matches!(
            statement.get("Effect").and_then(Value::as_str),
            Some("Allow" | "Deny")
        ) {
            return wrong("Effect is neither Allow nor Deny");
        }
        let actions = statement.get("Action").and_then(Value::as_array);
        if !actions.is_some_and(|it| !it.is_empty() && it.iter().all(Value::is_string)) {
            return wrong("Action must be a list of texts");
        }
        if statement.get("Principal").is_some() {
            return wrong("a session policy has no Principal");
        }
    }
    Ok(())
}

/// The text of a version 5 policy.
pub(super) fn policy_text(text: &str) -> Result<(), Refusal> {
    if !(2..=LONGEST_POLICY).contains(&text.chars().count()) {
        return Err(Refusal::parameter("policy has 2 to 4096 characters"));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(json) => policy(&json, "5.0"),
        Err(_) => Err(Refusal::parameter(
            "the policy is malformed: it is not JSON",
        )),
    }
}

/// From 15 minutes to 12 hours, the agency's own limit and an hour for who is temporary.
pub(super) fn duration(
    asked: Option<u64>,
    agencys: Duration,
    is_temporary: bool,
) -> Result<Duration, Refusal> {
    let asked = asked.unwrap_or(DEFAULT_SESSION);
    if !(SHORTEST_SESSION..=LONGEST_SESSION).contains(&asked) {
        return Err(Refusal::parameter(
            "duration_seconds lies between 900 and 43200",
        ));
    }
    let too_long = |why: &str| {
        let message = format!("duration_seconds exceeds the maximum session duration {why}");
        Err(Refusal::service(
            StatusCode::BAD_REQUEST,
            "STS5.0413",
            message,
        ))
    };
    if is_temporary && asked > LONGEST_CHAINED {
        return too_long("of temporary credentials");
    }
    if asked > agencys.as_secs() {
        return too_long("of the agency");
    }
    Ok(Duration::from_secs(asked))
}
