//! What Huawei Cloud answers: four shapes of a refusal, two of a set of credentials.
//!
//! The shapes of a refusal and their order are those of the official Python SDK's
//! `exception_handler`; the status decides whether an answer is one at all.

use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::credentials::Keys;
use crate::provider::service::answer::{
    Holds, Refusal, Trouble, moment, parse, secret, unexpected,
};
use crate::provider::upstream::Answer;
use crate::secret::Secret;

/// Wrapped refusals are one level deep; a few more are read, but not a thousand.
const DEEPEST: u32 = 4;

/// Reads one answer of STS, IAM or the gateway before them. IAM's success is 201, not 200.
pub(super) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Trouble> {
    let body = answer.body.as_ref();
    if (200..300).contains(&answer.status) {
        return parse(body).map_err(|reason| Trouble::Unusable { reason });
    }
    match refusal(body, answer.request_id.as_deref()) {
        Some(refusal) if answer.status >= 400 => Err(Trouble::Refused(refusal)),
        Some(_) | None => Err(unexpected(answer.status)),
    }
}

/// The refusal in a body, if there is one.
pub(super) fn refusal(body: &[u8], request_id: Option<&str>) -> Option<Refusal> {
    let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let (code, message) = told(&body, DEEPEST)?;
    let in_body = body.get("request_id").and_then(Value::as_str);
    Some(Refusal {
        code,
        message,
        request_id: request_id.or(in_body).map(str::to_owned),
    })
}

fn told(object: &Map<String, Value>, depth: u32) -> Option<(String, String)> {
    let pairs = [
        ("error_code", "error_msg"),
        ("errorCode", "errorMsg"),
        ("code", "message"),
    ];
    let here = pairs.into_iter().find_map(|(code, message)| {
        Some((plain(object.get(code)?)?, plain(object.get(message)?)?))
    });
    here.or_else(|| {
        let depth = depth.checked_sub(1)?;
        let inner = object.values().filter_map(Value::as_object);
        inner.into_iter().find_map(|object| told(object, depth))
    })
}

/// Some codes are numbers.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => None,
    }
}

/// What STS v5 returns.
#[derive(Debug, Deserialize)]
pub(super) struct Assumed {
    credentials: StsKeys,
}

#[derive(Debug, Deserialize)]
struct StsKeys {
    access_key_id: String,
    #[serde(deserialize_with = "secret")]
    secret_access_key: Secret,
    #[serde(deserialize_with = "secret")]
    security_token: Secret,
    expiration: String,
}

/// What IAM v3.0 and the metadata service return.
#[derive(Debug, Deserialize)]
pub(super) struct SecurityKey {
    credential: IamKeys,
}

#[derive(Debug, Deserialize)]
struct IamKeys {
    access: String,
    #[serde(deserialize_with = "secret")]
    secret: Secret,
    #[serde(rename = "securitytoken", deserialize_with = "secret")]
    security_token: Secret,
    expires_at: String,
}

impl Holds for Assumed {
    fn keys(self) -> Result<(Keys, Option<SystemTime>), String> {
        let expires_at = moment(&self.credentials.expiration);
        let keys = Keys {
            access_key_id: self.credentials.access_key_id,
            secret_access_key: self.credentials.secret_access_key,
            session_token: self.credentials.security_token,
        };
        Ok((keys, expires_at))
    }
}

impl Holds for SecurityKey {
    fn keys(self) -> Result<(Keys, Option<SystemTime>), String> {
        let expires_at = moment(&self.credential.expires_at);
        let keys = Keys {
            access_key_id: self.credential.access,
            secret_access_key: self.credential.secret,
            session_token: self.credential.security_token,
        };
        Ok((keys, expires_at))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::{any, prop_assert, proptest};

    use super::{Assumed, Holds, SecurityKey, read};
    use crate::clock::BootTime;
    use crate::provider::service::answer::testing::damaged;
    use crate::provider::service::answer::{Refusal, Trouble};
    use crate::provider::upstream::Answer;
    use crate::secret::WipedBuffer;

    const CANARY: &str = "CANARY-7f3a";
    const ASSUMED: &str = r#"{"assumed_agency": {"urn": "sts::1:assumed-agency:app/x", "id": "i:x"},
        "credentials": {"access_key_id": "HSTAx", "secret_access_key": "CANARY-7f3a-key",
        "security_token": "CANARY-7f3a-token", "expiration": "2022-09-07T03:27:51.158Z"}}"#;
    const SECURITY_KEY: &str = r#"{"credential": {"access": "HSTAx", "secret": "CANARY-7f3a-key",
        "securitytoken": "CANARY-7f3a-token", "expires_at": "2022-09-07T03:27:51.158000Z"}}"#;

    const REFUSAL: &str = r#"{"error":{"code":401,"message":"no"},"request_id":"r"}"#;

    fn answer(status: u16, body: &[u8]) -> Answer {
        let mut buffer = WipedBuffer::default();
        buffer.extend(body);
        Answer {
            status,
            date: None,
            retry_after: None,
            request_id: None,
            body: buffer,
        }
    }

    fn check<T: Holds + std::fmt::Debug>(status: u16, body: &str) {
        let held: T = read(&answer(status, body.as_bytes())).unwrap();
        assert!(!format!("{held:?}").contains(CANARY));
        let set = held.into_obtained(None, BootTime::default()).unwrap();
        assert_eq!(set.keys.access_key_id, "HSTAx");
        assert_eq!(set.keys.secret_access_key.expose(), "CANARY-7f3a-key");
        assert_eq!(set.keys.session_token.expose(), "CANARY-7f3a-token");
        assert_eq!(
            set.expires_at,
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_662_521_271),
            "rounded down"
        );
    }

    #[test]
    fn good_answers_become_sets() {
        check::<Assumed>(200, ASSUMED);
        check::<SecurityKey>(200, SECURITY_KEY);
        check::<SecurityKey>(201, SECURITY_KEY);
    }

    #[test]
    fn a_refusal_is_found_in_all_its_shapes() {
        for (status, body, code, request_id) in [
            (
                403,
                r#"{"error_code":"STS5.1001","error_msg":"no","request_id":"r-1",
                    "encoded_authorization_message":"abc"}"#,
                "STS5.1001",
                Some("r-1"),
            ),
            (400, r#"{"errorCode":"A.1","errorMsg":"no"}"#, "A.1", None),
            (400, r#"{"code":"A.2","message":"no"}"#, "A.2", None),
            (
                401,
                r#"{"error":{"code":401,"message":"no","title":"Unauthorized"}}"#,
                "401",
                None,
            ),
            (400, r#"{"error_code":1100,"error_msg":"no"}"#, "1100", None),
            (
                503,
                r#"{"a":[1],"b":{"c":{"errorCode":"A.3","errorMsg":"no"}}}"#,
                "A.3",
                None,
            ),
        ] {
            let refusal = Refusal {
                code: code.to_owned(),
                message: "no".to_owned(),
                request_id: request_id.map(str::to_owned),
            };
            let read = read::<Assumed>(&answer(status, body.as_bytes()));
            assert_eq!(read.unwrap_err(), Trouble::Refused(refusal), "{body}");
        }
    }

    #[test]
    fn the_header_tells_the_request_id_too() {
        let mut answer = answer(403, br#"{"error_code":"A","error_msg":"no"}"#);
        answer.request_id = Some("r-9".to_owned());
        let Err(Trouble::Refused(refusal)) = read::<Assumed>(&answer) else {
            panic!("not a refusal");
        };
        assert_eq!(refusal.request_id.as_deref(), Some("r-9"));
    }

    #[test]
    fn an_unusable_answer_is_described_without_quoting_it() {
        let keyless = ASSUMED.replace("secret_access_key", "other");
        let numeric = ASSUMED.replace("\"CANARY-7f3a-token\"", "7");
        for (status, body, expected) in [
            (200, "<html>CANARY-7f3a</html>", "it is not JSON"),
            (200, "", "it is cut off"),
            (200, &ASSUMED[..120], "it is cut off"),
            (200, SECURITY_KEY, "`credentials` is missing"),
            (200, &keyless, "`credentials.secret_access_key` is missing"),
            (
                200,
                &numeric,
                "`credentials.security_token` is not what it should be",
            ),
            (401, "", "it has HTTP status 401"),
            (502, "<html>CANARY-7f3a</html>", "it has HTTP status 502"),
            (503, ASSUMED, "it has HTTP status 503"),
            (
                302,
                r#"{"error_code":"A","error_msg":"no"}"#,
                "it redirects (HTTP status 302), which is never followed; check `endpoint`",
            ),
        ] {
            let Err(Trouble::Unusable { reason }) =
                read::<Assumed>(&answer(status, body.as_bytes()))
            else {
                panic!("{status} {body}");
            };
            assert_eq!(reason, expected, "{status} {body}");
        }
    }

    #[test]
    fn an_incomplete_set_is_none() {
        for (body, expected) in [
            (
                ASSUMED.replace("CANARY-7f3a-token", ""),
                "a part of the credentials is empty",
            ),
            (ASSUMED.replace("2022", "year"), "it has no valid expiry"),
            (
                ASSUMED.replace("2022-09-07", "1960-09-07"),
                "it has no valid expiry",
            ),
        ] {
            let held: Assumed = read(&answer(200, body.as_bytes())).unwrap();
            let reason = held.into_obtained(None, BootTime::default());
            assert_eq!(reason.unwrap_err(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parser_panic_or_quote(
            bytes in proptest::prop_oneof![damaged(&[ASSUMED, SECURITY_KEY, REFUSAL]), proptest::collection::vec(any::<u8>(), 0..200)],
            status in 100_u16..=599,
        ) {
            match read::<Assumed>(&answer(status, &bytes)) {
                Ok(held) => drop(held.into_obtained(None, BootTime::default())),
                Err(Trouble::Unusable { reason }) => prop_assert!(!reason.contains(CANARY)),
                Err(Trouble::Refused(_)) => {}
            }
        }

        #[test]
        fn nesting_is_followed_only_so_far(depth in 0_usize..40) {
            let body = format!(
                "{}{{\"code\":\"A\",\"message\":\"m\"}}{}",
                "{\"x\":".repeat(depth),
                "}".repeat(depth)
            );
            let read = read::<Assumed>(&answer(400, body.as_bytes()));
            prop_assert!(matches!(read, Err(Trouble::Refused(_))) == (depth <= 4));
        }
    }
}
