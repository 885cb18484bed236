//! What Huawei's answers mean where the documentation leaves it open: numbers that are lengths or
//! times, words that are not listed. Pure.

use std::time::{Duration, SystemTime};

use super::Approval;
use super::huawei_messages::WireError;
use super::wire::{Received, Words};

/// Above this a number of seconds is a time, not a length; further above, in milliseconds.
const FIRST_MOMENT: u64 = 1_000_000_000;
const FIRST_MOMENT_IN_MILLISECONDS: u64 = 100_000_000_000;

/// 401 means the token; a 403 may be about the role, unless it speaks of the token.
pub(super) fn refuses_the_session(status: u16, words: &Words) -> bool {
    let text = format!("{} {}", words.code, words.message).to_ascii_lowercase();
    let about_it = [
        "access token",
        "access-token",
        "session",
        "expired",
        "invalid_token",
    ];
    status == 401 || status == 403 && about_it.iter().any(|word| text.contains(word))
}

pub(super) fn words(received: &Received) -> Words {
    let wire: WireError = serde_json::from_slice(received.answer.body.as_ref()).unwrap_or_default();
    Words {
        code: wire.error_code.or(wire.error).unwrap_or_default(),
        message: wire
            .error_msg
            .or(wire.error_description)
            .unwrap_or_default(),
        request_id: wire.request_id,
    }
}

/// What a refusal of the token means for the approval; `None` if it is about something else.
///
/// The codes are not documented, so the words of RFC 8628 and their likes are looked for, and
/// whatever else a client error says counts as "not yet": the code's own end stops the waiting.
pub(super) fn judge(status: u16, words: &Words) -> Option<Approval> {
    let text = format!("{} {}", words.code, words.message)
        .to_ascii_lowercase()
        .replace([' ', '-'], "_");
    let says = |word: &str| text.contains(word);
    if status == 429 || says("slow_down") {
        Some(Approval::SlowDown)
    } else if status >= 500 {
        None
    } else if says("pending") {
        Some(Approval::Pending)
    } else if says("denied") || says("rejected") {
        Some(Approval::Denied)
    } else if says("expired") {
        Some(Approval::Expired)
    } else if says("invalid_client") || matches!(status, 401 | 403) {
        None
    } else {
        tracing::debug!(
            status,
            code = words.code,
            "no word we know; taken for `pending`"
        );
        Some(Approval::Pending)
    }
}

/// A number that is described as seconds from now and shown as a time since 1970.
pub(super) fn moment_of(number: u64, now: SystemTime) -> SystemTime {
    let since_1970 = |length| SystemTime::UNIX_EPOCH.checked_add(length);
    let moment = if number >= FIRST_MOMENT_IN_MILLISECONDS {
        since_1970(Duration::from_millis(number))
    } else if number >= FIRST_MOMENT {
        since_1970(Duration::from_secs(number))
    } else {
        now.checked_add(Duration::from_secs(number))
    };
    moment.unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(code: &str, message: &str) -> Words {
        Words {
            code: code.into(),
            message: message.into(),
            request_id: None,
        }
    }

    #[test]
    fn a_lifetime_is_read_as_seconds_or_as_a_time() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (number, seconds) in [
            (600, 1_700_000_600),
            (1_684_955_360, 1_684_955_360),
            (1_684_955_360_000, 1_684_955_360),
        ] {
            let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(moment_of(number, now), expected, "{number}");
        }
        assert!(moment_of(u64::MAX, now) >= now, "never a panic");
    }

    #[test]
    fn only_clear_words_end_the_waiting() {
        let judged = |status, code: &str, message: &str| match judge(status, &words(code, message))
        {
            Some(Approval::Pending) => "pending",
            Some(Approval::SlowDown) => "slow",
            Some(Approval::Denied) => "denied",
            Some(Approval::Expired) => "expired",
            Some(Approval::Granted(_)) => "granted",
            None => "error",
        };
        for (status, code, message, meaning) in [
            (400, "authorization_pending", "", "pending"),
            (400, "IIC.400", "authorization is pending", "pending"),
            (400, "IIC.400", "bad request", "pending"),
            (404, "", "", "pending"),
            (429, "", "", "slow"),
            (400, "", "slow down", "slow"),
            (400, "access_denied", "", "denied"),
            (
                403,
                "IIC.1003",
                "the request was denied by the user",
                "denied",
            ),
            (400, "expired_token", "", "expired"),
            (400, "IIC.400", "the device code has expired", "expired"),
            (401, "invalid_client", "", "error"),
            (503, "", "", "error"),
        ] {
            assert_eq!(
                judged(status, code, message),
                meaning,
                "{status} {code} {message}"
            );
        }
    }

    #[test]
    fn a_refused_role_is_told_from_a_refused_session() {
        assert!(refuses_the_session(401, &words("", "")));
        assert!(refuses_the_session(
            403,
            &words("IIC.1001", "access token has expired")
        ));
        assert!(!refuses_the_session(
            403,
            &words("IIC.1000", "no permission")
        ));
        assert!(!refuses_the_session(404, &words("IIC.1002", "")));
    }
}
