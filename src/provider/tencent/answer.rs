//! What STS answers: the envelope, and the credentials in it.
//!
//! Reads foreign bytes, so: never panics, and never quotes a value it found, since that may be
//! a secret in the wrong place. Answers with an error come with status 200 as well; whether
//! there is an `Error` decides.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::credentials::Keys;
use crate::provider::service::answer::{
    Holds, Refusal, Trouble, moment, parse, secret, unexpected,
};
use crate::secret::Secret;

/// What the minting actions return.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::provider) struct Minted {
    credentials: WireCredentials,
    #[serde(default)]
    expired_time: Option<u64>,
    #[serde(default)]
    expiration: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireCredentials {
    tmp_secret_id: String,
    #[serde(deserialize_with = "secret")]
    tmp_secret_key: Secret,
    #[serde(deserialize_with = "secret")]
    token: Secret,
}

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(rename = "Response")]
    response: T,
}

/// Both shapes of an error, the current and the old one.
#[derive(Deserialize)]
struct ErrorEnvelope {
    #[serde(rename = "Response", default)]
    response: Option<ErrorResponse>,
    #[serde(default)]
    code: Option<i64>,
    #[serde(rename = "codeDesc", default)]
    code_desc: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorResponse {
    #[serde(default)]
    error: Option<WireError>,
    #[serde(default)]
    request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireError {
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads one answer of the service.
///
/// # Errors
/// The refusal in it, or why it is none of the service's answers.
pub(super) fn read<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, Trouble> {
    if let Some(refusal) = refusal(body) {
        return Err(Trouble::Refused(refusal));
    }
    if status != 200 {
        return Err(unexpected(status));
    }
    parse::<Envelope<T>>(body)
        .map(|envelope| envelope.response)
        .map_err(|reason| Trouble::Unusable { reason })
}

/// The error in an answer, if there is one.
fn refusal(body: &[u8]) -> Option<Refusal> {
    let envelope: ErrorEnvelope = serde_json::from_slice(body).ok()?;
    if let Some(response) = envelope.response {
        let error = response.error?;
        return Some(Refusal {
            code: error.code,
            message: error.message,
            request_id: response.request_id,
        });
    }
    let number = envelope.code.filter(|code| *code != 0)?;
    Some(Refusal {
        code: envelope
            .code_desc
            .filter(|code| !code.is_empty())
            .unwrap_or_else(|| number.to_string()),
        message: envelope.message.unwrap_or_default(),
        request_id: None,
    })
}

impl Holds for Minted {
    fn keys(self) -> Result<(Keys, Option<SystemTime>), String> {
        let keys = Keys {
            access_key_id: self.credentials.tmp_secret_id,
            secret_access_key: self.credentials.tmp_secret_key,
            session_token: self.credentials.token,
        };
        let expires_at = expiry(self.expired_time, self.expiration.as_deref());
        Ok((keys, expires_at))
    }
}

/// `ExpiredTime` (seconds since 1970) is preferred to `Expiration` (RFC 3339), which is not
/// always there.
pub(in crate::provider) fn expiry(
    expired_time: Option<u64>,
    expiration: Option<&str>,
) -> Option<SystemTime> {
    match expired_time {
        Some(seconds) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)),
        None => moment(expiration?),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::{any, prop_assert, proptest};

    use super::{Holds as _, Minted, expiry, read};
    use crate::clock::BootTime;
    use crate::provider::service::answer::testing::damaged;
    use crate::provider::service::answer::{Refusal, Trouble};

    const CANARY: &str = "CANARY-7f3a";
    const GOOD: &str = r#"{"Response": {"Credentials": {"Token": "CANARY-7f3a-token",
        "TmpSecretId": "AKIDx", "TmpSecretKey": "CANARY-7f3a-key"},
        "ExpiredTime": 1706407089, "Expiration": "2024-01-28T01:58:09Z", "RequestId": "r-1"}}"#;

    const REFUSAL: &str = r#"{"Response":{"Error":{"Code":"A.B","Message":"no"},"RequestId":"r"}}"#;

    fn unusable(status: u16, body: &str) -> String {
        match read::<Minted>(status, body.as_bytes()).unwrap_err() {
            Trouble::Unusable { reason } => reason,
            Trouble::Refused(refusal) => panic!("{refusal:?}"),
        }
    }

    #[test]
    fn a_good_answer_becomes_a_set() {
        let minted = read::<Minted>(200, GOOD.as_bytes()).unwrap();
        assert!(!format!("{minted:?}").contains(CANARY));
        let set = minted.into_obtained(None, BootTime::default()).unwrap();
        assert_eq!(set.keys.access_key_id, "AKIDx");
        assert_eq!(set.keys.secret_access_key.expose(), "CANARY-7f3a-key");
        assert_eq!(set.keys.session_token.expose(), "CANARY-7f3a-token");
        assert_eq!(
            set.expires_at,
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_706_407_089)
        );
    }

    #[test]
    fn a_refusal_is_found_in_both_shapes_and_under_any_status() {
        let current = r#"{"Response":{"Error":{"Code":"A.B","Message":"no"},"RequestId":"r-2"}}"#;
        let old = r#"{"code":4100,"codeDesc":"AuthFailure","message":"no"}"#;
        let older = r#"{"code":4100,"message":"no"}"#;
        for (status, body, code, request_id) in [
            (200, current, "A.B", Some("r-2")),
            (403, current, "A.B", Some("r-2")),
            (200, old, "AuthFailure", None),
            (200, older, "4100", None),
        ] {
            let refusal = Refusal {
                code: code.to_owned(),
                message: "no".to_owned(),
                request_id: request_id.map(str::to_owned),
            };
            assert_eq!(
                read::<Minted>(status, body.as_bytes()).unwrap_err(),
                Trouble::Refused(refusal),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn an_unusable_answer_is_described_without_quoting_it() {
        let quoted_number = GOOD.replace("1706407089", "\"CANARY-7f3a\"");
        let keyless = GOOD.replace("TmpSecretKey", "Other");
        for (status, body, expected) in [
            (200, "<html>CANARY-7f3a</html>", "it is not JSON"),
            (200, "", "it is cut off"),
            (200, &GOOD[..90], "it is cut off"),
            (200, r#""CANARY-7f3a""#, "`.` is not what it should be"),
            (200, r#"{"CANARY-7f3a": 1}"#, "`Response` is missing"),
            (
                200,
                r#"{"Response":{}}"#,
                "`Response.Credentials` is missing",
            ),
            (
                200,
                r#"{"Response":{"Credentials":"CANARY-7f3a"}}"#,
                "`Response.Credentials` is not what it should be",
            ),
            (
                200,
                &quoted_number,
                "`Response.ExpiredTime` is not what it should be",
            ),
            (
                200,
                &keyless,
                "`Response.Credentials.TmpSecretKey` is missing",
            ),
            (
                200,
                r#"{"Response":{"Credentials":{"TmpSecretId":"a","TmpSecretKey":"b","Token":"c"}}} x"#,
                "something follows its JSON",
            ),
            (503, GOOD, "it has HTTP status 503"),
            (
                302,
                "",
                "it redirects (HTTP status 302), which is never followed; check `endpoint`",
            ),
        ] {
            let reason = unusable(status, body);
            assert_eq!(reason, expected, "{status} {body}");
            assert!(!reason.contains(CANARY), "{reason}");
        }
    }

    #[test]
    fn an_incomplete_set_is_none() {
        let empty = GOOD.replace("CANARY-7f3a-token", "");
        let timeless = GOOD
            .replace("\"ExpiredTime\"", "\"A\"")
            .replace("\"Expiration\"", "\"B\"");
        for (body, expected) in [
            (empty, "a part of the credentials is empty"),
            (timeless, "it has no valid expiry"),
        ] {
            let minted = read::<Minted>(200, body.as_bytes()).unwrap();
            let reason = minted.into_obtained(None, BootTime::default());
            assert_eq!(reason.unwrap_err(), expected);
        }
    }

    #[test]
    fn the_expiry_is_taken_from_either_field() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        for (expired_time, expiration, expected) in [
            (
                Some(1_706_407_089),
                Some("2030-01-01T00:00:00Z"),
                at(1_706_407_089),
            ),
            (None, Some("2024-01-28T01:58:09Z"), at(1_706_407_089)),
            (None, Some("2024-01-28T09:58:09+08:00"), at(1_706_407_089)),
            (None, Some("tomorrow"), None),
            (None, Some("1969-12-31T23:59:59Z"), None),
            (Some(u64::MAX), None, None),
            (None, None, None),
        ] {
            assert_eq!(
                expiry(expired_time, expiration),
                expected,
                "{expired_time:?} {expiration:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parser_panic_or_quote(
            bytes in proptest::prop_oneof![damaged(&[GOOD, REFUSAL]), proptest::collection::vec(any::<u8>(), 0..200)],
            status in 100_u16..=599,
        ) {
            match read::<Minted>(status, &bytes) {
                Ok(minted) => drop(minted.into_obtained(None, BootTime::default())),
                Err(Trouble::Unusable { reason }) => prop_assert!(!reason.contains(CANARY)),
                Err(Trouble::Refused(_)) => {}
            }
        }
    }
}
