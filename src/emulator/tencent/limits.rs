//! What the documentation allows for single parameters.
//!
//! Source: STS API 2018-08-13, parameter tables, and the model inside tccli.

use std::collections::BTreeSet;
use std::time::Duration;

use super::arn::is_number;
use super::refusal::Refusal;
use crate::emulator::world::LONGEST_SESSION;

/// Session length where none is asked for.
const DEFAULT_SESSION: u64 = 7_200;
const DEFAULT_FEDERATION: u64 = 1_800;
/// Longest federation session of the account itself, and of a sub-user.
const LONGEST_FEDERATION_ROOT: Duration = Duration::from_hours(2);
const LONGEST_FEDERATION_USER: Duration = Duration::from_hours(36);
const MOST_TAGS: usize = 50;

/// 2–128 characters of `[\w+=,.@_-]`.
pub(super) fn session_name(text: &str) -> Result<(), Refusal> {
    limited(text, "RoleSessionName", b"_+=,.@-")
}

/// 2–128 characters of `[\w+=,.@:\/-]`.
pub(super) fn external_id(text: &str) -> Result<(), Refusal> {
    limited(text, "ExternalId", b"_+=,.@:/-")
}

fn limited(text: &str, name: &str, others: &[u8]) -> Result<(), Refusal> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    if (2..=128).contains(&text.len()) && text.bytes().all(is_fine) {
        return Ok(());
    }
    Err(Refusal::parameter(format!(
        "{name} has 2 to 128 letters, digits and `{}`.",
        String::from_utf8_lossy(others)
    )))
}

/// Letters only.
pub(super) fn federated_name(text: &str) -> Result<(), Refusal> {
    if !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
        Ok(())
    } else {
        Err(Refusal::parameter("Name consists of letters."))
    }
}

/// Up to 50, keys unique, keys to 128 and values to 256 characters.
pub(super) fn tags(tags: &[(String, String)]) -> Result<(), Refusal> {
    if tags.len() > MOST_TAGS {
        return Err(Refusal::parameter(format!(
            "There may be up to {MOST_TAGS} Tags."
        )));
    }
    let keys: BTreeSet<&str> = tags.iter().map(|(key, _)| key.as_str()).collect();
    if keys.len() != tags.len() {
        return Err(Refusal::parameter("The keys of Tags must differ."));
    }
    let is_fine = |(key, value): &(String, String)| {
        (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256
    };
    if tags.iter().all(is_fine) {
        Ok(())
    } else {
        Err(Refusal::parameter(
            "A tag's Key has 1 to 128 characters, its Value up to 256.",
        ))
    }
}

/// A uin.
pub(super) fn source_identity(text: Option<&str>) -> Result<(), Refusal> {
    if text.is_none_or(is_number) {
        Ok(())
    } else {
        Err(Refusal::parameter("SourceIdentity is the caller's uin."))
    }
}

/// Up to the role's own limit and to twelve hours. There is no documented minimum.
pub(super) fn role_duration(asked: Option<u64>, longest: Duration) -> Result<Duration, Refusal> {
    up_to(
        asked.unwrap_or(DEFAULT_SESSION),
        longest.min(LONGEST_SESSION),
    )
}

/// Up to two hours with the account's own key, 36 hours with a user's.
pub(super) fn federation_duration(asked: Option<u64>, is_root: bool) -> Result<Duration, Refusal> {
    let longest = if is_root {
        LONGEST_FEDERATION_ROOT
    } else {
        LONGEST_FEDERATION_USER
    };
    up_to(asked.unwrap_or(DEFAULT_FEDERATION), longest)
}

fn up_to(seconds: u64, longest: Duration) -> Result<Duration, Refusal> {
    if seconds == 0 {
        return Err(Refusal::parameter("DurationSeconds is at least 1."));
    }
    if seconds > longest.as_secs() {
        return Err(Refusal::new(
            "InvalidParameter.OverTimeError",
            "time set too long",
        ));
    }
    Ok(Duration::from_secs(seconds))
}
