//! What every cloud's answers have in common: JSON from outside, a refusal, a set of credentials.
//!
//! Reads foreign bytes, so: never panics, and never quotes a value it found, since that may be
//! a secret in the wrong place.

use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::clock::BootTime;
use crate::credentials::{Keys, Obtained};
use crate::provider::error::foreign;
use crate::secret::Secret;

/// An answer that is no success.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::provider) enum Trouble {
    /// The service said no.
    Refused(Refusal),
    /// Not what the service answers: a relay's page, a cut-off body, a missing field.
    Unusable { reason: String },
}

/// The service's own words, as they came.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::provider) struct Refusal {
    pub(in crate::provider) code: String,
    pub(in crate::provider) message: String,
    pub(in crate::provider) request_id: Option<String>,
}

/// JSON to a value. The reason for a failure names the place, never what stands there.
pub(in crate::provider) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let text = error.inner().to_string();
        // The only text of the JSON reader that quotes nothing from the input.
        let missing = text
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split_once('`'))
            .map(|(field, _)| field);
        match (error.inner().classify(), missing) {
            (serde_json::error::Category::Eof, _) => "it is cut off".to_owned(),
            (serde_json::error::Category::Data, Some(field)) if path == "." => {
                format!("`{field}` is missing")
            }
            (serde_json::error::Category::Data, Some(field)) => {
                format!("`{}.{field}` is missing", foreign(&path))
            }
            (serde_json::error::Category::Data, None) => {
                format!("`{}` is not what it should be", foreign(&path))
            }
            (serde_json::error::Category::Io | serde_json::error::Category::Syntax, _) => {
                "it is not JSON".to_owned()
            }
        }
    })?;
    json.end()
        .map_err(|_| "something follows its JSON".to_owned())?;
    Ok(value)
}

/// An answer that holds a set.
pub(in crate::provider) trait Holds: DeserializeOwned {
    /// Its keys, and when they end if that can be told; or why they are none.
    fn keys(self) -> Result<(Keys, Option<SystemTime>), String>;

    /// A complete set with its expiry, or what keeps it from being one.
    fn into_obtained(
        self,
        issuer_now: Option<SystemTime>,
        sent_at: BootTime,
    ) -> Result<Obtained, String> {
        let (keys, expires_at) = self.keys()?;
        obtained(keys, expires_at, issuer_now, sent_at)
    }
}

/// The set in what a program printed. Whoever printed it runs on this host, so our clock is its
/// clock.
pub(in crate::provider) fn printed<T: Holds>(
    bytes: &[u8],
    sent_at: BootTime,
) -> Result<Obtained, String> {
    parse::<T>(bytes)?.into_obtained(None, sent_at)
}

/// Puts a set together, or says what it lacks.
pub(in crate::provider) fn obtained(
    keys: Keys,
    expires_at: Option<SystemTime>,
    issuer_now: Option<SystemTime>,
    sent_at: BootTime,
) -> Result<Obtained, String> {
    if !keys.are_complete() {
        return Err("a part of the credentials is empty".to_owned());
    }
    let expires_at = expires_at.ok_or("it has no valid expiry")?;
    Ok(Obtained {
        keys,
        expires_at,
        issuer_now,
        sent_at,
        asked: None,
    })
}

/// Why an answer with this status and no word of the service is none.
pub(in crate::provider) fn unexpected(status: u16) -> Trouble {
    Trouble::Unusable {
        reason: strange(status),
    }
}

/// The same, as a sentence.
pub(in crate::provider) fn strange(status: u16) -> String {
    match status {
        300..=399 => format!(
            "it redirects (HTTP status {status}), which is never followed; check `endpoint`"
        ),
        _ => format!("it has HTTP status {status}"),
    }
}

/// RFC 3339, rounded down to the second.
pub(in crate::provider) fn moment(text: &str) -> Option<SystemTime> {
    let seconds = u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_second()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// A string that is wiped even if the rest of its answer turns out to be wrong.
pub(in crate::provider) fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from)
}

#[cfg(test)]
pub(in crate::provider) mod testing {
    use proptest::prelude::{Strategy, any};

    /// Answers with one byte changed, cut short or doubled: closer to home than random bytes.
    pub(in crate::provider) fn damaged(
        templates: &'static [&'static str],
    ) -> impl Strategy<Value = Vec<u8>> {
        let template = proptest::sample::select(templates);
        (template, any::<(usize, u8, usize)>()).prop_map(|(template, (at, byte, cut))| {
            let mut bytes = template.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(cut % (bytes.len() * 2));
            bytes
        })
    }
}
