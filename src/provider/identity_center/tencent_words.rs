//! What the gateway's refusals say: a text or an object, with a code in either. Pure.

use super::tencent_messages::{MaybeError, WireError};
use super::wire::{Received, Words};
use crate::provider::error::Class;
use crate::provider::tencent::error::{Circumstances, Voice, classify};

/// The gateway's own words, if it said no. Errors come with status 200 as well; whether there is
/// an `Error` decides.
pub(super) fn words(received: &Received) -> Option<Words> {
    let body = received.answer.body.as_ref();
    let MaybeError { error, request_id } = serde_json::from_slice(body).ok()?;
    let (code, message) = match error? {
        WireError::Text(message) => (leading_code(&message).to_owned(), message),
        WireError::Object { code, message } => (code, message),
    };
    let words = Words {
        code,
        message,
        request_id,
    };
    Some(words).filter(|words| !words.are_none())
}

/// What to do about it. The gateway's refusals have status 200; with another one somebody else may
/// be speaking, who decides nothing for good.
pub(super) fn class_of(words: &Words, received: &Received) -> Class {
    let circumstances = Circumstances {
        voice: Voice::LoginGateway,
        retry_after: received.answer.retry_after,
        // Nothing here is signed.
        ahead_seconds: None,
        temporary_keys: false,
    };
    let class = classify(&words.code, &words.message, circumstances);
    match received.answer.status {
        200..=299 | 401 => class,
        _ if matches!(class, Class::Throttled { .. }) => class,
        _ => Class::Transient,
    }
}

/// The code that a text begins with: `RequestLimitExceeded: …`, `InternalError.DbError`. A word
/// of prose is none, so it needs a dot or a second capital.
fn leading_code(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let first = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    let code = first.trim_end_matches('.');
    let capitals = code.bytes().filter(u8::is_ascii_uppercase).count();
    let begins_well = |word: &str| word.starts_with(|c: char| c.is_ascii_uppercase());
    if capitals >= 2 && code.split('.').all(begins_well) {
        code
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootTime;
    use crate::provider::upstream::Answer;
    use crate::secret::WipedBuffer;

    fn received(status: u16, body: &str) -> Received {
        let mut buffer = WipedBuffer::default();
        buffer.extend(body.as_bytes());
        Received {
            answer: Answer {
                status,
                date: None,
                retry_after: None,
                request_id: None,
                body: buffer,
            },
            sent_at: BootTime::default(),
        }
    }

    #[test]
    fn every_shape_of_an_error_has_its_code_and_its_class() {
        let throttled = Class::Throttled { retry_after: None };
        for (error, code, class) in [
            (r#""no such token""#, "", Class::Final),
            (r#""Token expired""#, "", Class::Final),
            (
                r#""RequestLimitExceeded: slow down""#,
                "RequestLimitExceeded",
                throttled,
            ),
            (
                r#""RequestLimitExceeded…""#,
                "RequestLimitExceeded",
                throttled,
            ),
            (
                r#""InternalError.DbError.""#,
                "InternalError.DbError",
                Class::Transient,
            ),
            (
                r#"{"Code": "LimitExceeded", "Message": "m"}"#,
                "LimitExceeded",
                throttled,
            ),
            (
                r#"{"Code": "InvalidParameter.OverLimit"}"#,
                "InvalidParameter.OverLimit",
                throttled,
            ),
            (
                r#"{"Code": "ServiceUnavailable", "Message": "m"}"#,
                "ServiceUnavailable",
                Class::Transient,
            ),
            (
                r#"{"Code": "InternalError.GetRoleError", "Message": "role not exist"}"#,
                "InternalError.GetRoleError",
                Class::Final,
            ),
            (
                r#"{"Code": "InvalidParameter.OverTimeError"}"#,
                "InvalidParameter.OverTimeError",
                Class::DurationTooLong,
            ),
        ] {
            let received = received(
                200,
                &format!("{{\"Error\": {error}, \"RequestId\": \"r-1\"}}"),
            );
            let words = words(&received).unwrap();
            assert_eq!(words.code, code, "{error}");
            assert_eq!(class_of(&words, &received), class, "{error}");
            assert_eq!(words.request_id.as_deref(), Some("r-1"));
        }
    }

    #[test]
    fn only_the_gateway_itself_refuses_for_good() {
        let refusal = |code: &str| format!(r#"{{"Error": {{"Code": "{code}"}}}}"#);
        let throttled = Class::Throttled { retry_after: None };
        for (status, code, class) in [
            (200, "AuthFailure.LoginToken", Class::Final),
            (401, "AuthFailure.LoginToken", Class::Final),
            (403, "Forbidden", Class::Transient),
            (404, "AuthFailure.LoginToken", Class::Transient),
            (502, "AuthFailure.LoginToken", Class::Transient),
            (403, "RequestLimitExceeded", throttled),
        ] {
            let received = received(status, &refusal(code));
            let words = words(&received).unwrap();
            assert_eq!(class_of(&words, &received), class, "{status} {code}");
        }
    }

    #[test]
    fn what_is_no_error_of_the_gateway_says_nothing() {
        for body in [
            r#"{"Status": "NotFound"}"#,
            r#"{"Error": null}"#,
            r#"{"Error": ""}"#,
            r#"{"Error": {}}"#,
            r#"{"Error": 403}"#,
            "<html>403 Forbidden</html>",
            "",
        ] {
            assert_eq!(words(&received(200, body)), None, "{body}");
        }
    }
}
