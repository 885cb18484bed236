//! A set as clients read it, from the two formats a soak asks for.

use std::time::Duration;

use serde::Deserialize;

/// One set of credentials. Not `Debug`: what it holds is not to be printed.
pub(crate) struct Set {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: String,
    /// Since 1970.
    pub(crate) expires: Duration,
    /// Only the native format tells.
    pub(crate) generation: Option<u64>,
}

/// A wire format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    Native,
    Tencent,
}

impl Format {
    /// Where a role's set is served in this format.
    pub(crate) fn path(self, role: &str) -> String {
        match self {
            Self::Native => format!("/v1/roles/{role}/credentials"),
            Self::Tencent => format!("/latest/meta-data/cam/security-credentials/{role}"),
        }
    }

    /// Reads a body; an error says what is missing, without quoting it.
    pub(crate) fn read(self, role: &str, body: &[u8]) -> Result<Set, &'static str> {
        let set = match self {
            Self::Native => native(role, body),
            Self::Tencent => tencent(body),
        }?;
        if set.id.is_empty() || set.secret.is_empty() || set.token.is_empty() {
            return Err("a set with an empty part");
        }
        Ok(set)
    }
}

#[derive(Deserialize)]
struct Native {
    role: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expires_at: jiff::Timestamp,
    generation: u64,
}

fn native(role: &str, body: &[u8]) -> Result<Set, &'static str> {
    let it: Native = serde_json::from_slice(body).map_err(|_| "not a whole native set")?;
    if it.role != role {
        return Err("another role's set");
    }
    Ok(Set {
        id: it.access_key_id,
        secret: it.secret_access_key,
        token: it.session_token,
        expires: Duration::from_secs(it.expires_at.as_second().unsigned_abs()),
        generation: Some(it.generation),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tencent {
    tmp_secret_id: String,
    tmp_secret_key: String,
    token: String,
    expired_time: u64,
    expiration: jiff::Timestamp,
    code: String,
}

fn tencent(body: &[u8]) -> Result<Set, &'static str> {
    let it: Tencent = serde_json::from_slice(body).map_err(|_| "not a whole tencent set")?;
    if it.code != "Success" {
        return Err("a Code other than Success");
    }
    if it.expiration.as_second().unsigned_abs() != it.expired_time {
        return Err("two different expiries");
    }
    Ok(Set {
        id: it.tmp_secret_id,
        secret: it.tmp_secret_key,
        token: it.token,
        expires: Duration::from_secs(it.expired_time),
        generation: None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Duration, Format};

    const NATIVE: &str = r#"{"role": "app", "cloud": "tencent", "access_key_id": "AKID1",
        "secret_access_key": "s", "session_token": "t", "expires_at": "1970-01-01T00:01:00Z",
        "issued_at": "1970-01-01T00:00:00Z", "generation": 7}"#;
    const TENCENT: &str = r#"{"TmpSecretId": "AKID1", "TmpSecretKey": "s", "ExpiredTime": 60,
        "Expiration": "1970-01-01T00:01:00Z", "Token": "t", "Code": "Success"}"#;

    #[test]
    fn both_formats_say_the_same() {
        for (format, body, generation) in [
            (Format::Native, NATIVE, Some(7)),
            (Format::Tencent, TENCENT, None),
        ] {
            let Ok(set) = format.read("app", body.as_bytes()) else {
                panic!("{format:?} was not read");
            };
            assert_eq!((&*set.id, &*set.secret, &*set.token), ("AKID1", "s", "t"));
            assert_eq!(set.expires, Duration::from_mins(1));
            assert_eq!(set.generation, generation);
        }
    }

    #[test]
    fn half_a_body_another_role_and_an_empty_part_are_refused() {
        let half = &NATIVE[..NATIVE.len() / 2];
        let no_secret = TENCENT.replace(r#""s""#, r#""""#);
        let disagreeing = TENCENT.replace("60", "61");
        for (format, role, body) in [
            (Format::Native, "app", half),
            (Format::Native, "batch", NATIVE),
            (Format::Tencent, "app", &no_secret),
            (Format::Tencent, "app", &disagreeing),
        ] {
            assert!(format.read(role, body.as_bytes()).is_err());
        }
    }
}
