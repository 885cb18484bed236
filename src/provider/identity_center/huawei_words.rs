//! What Huawei's answers mean where the documentation leaves it open: numbers that are lengths or
//! times, words that are not listed. Pure.

use std::time::{Duration, SystemTime};

use super::Approval;
use super::huawei_messages::WireError;
use super::wire::{Received, Words};
use crate::provider::error::Class;
use crate::provider::huawei::error::{Circumstances, classify};

/// Above this a number of seconds is a time, not a length; further above, in milliseconds.
const FIRST_MOMENT: u64 = 1_000_000_000;
const FIRST_MOMENT_IN_MILLISECONDS: u64 = 100_000_000_000;

/// 401 means the token; a 403 may be about the role, unless it speaks of the token.
fn refuses_the_session(status: u16, words: &Words) -> bool {
    let text = format!("{} {}", words.code, words.message).to_ascii_lowercase();
    let about_it = [
        "access token",
        "access-token",
        "expired",
        "invalid",
        "session",
    ];
    let is_about_it = text.contains("token") && about_it.iter().any(|word| text.contains(word));
    status == 401 || status == 403 && is_about_it
}

/// What a refusal means for whoever asks in the name of a session, or for one.
pub(super) fn class_of(received: &Received, words: &Words) -> Class {
    if refuses_the_session(received.answer.status, words) {
        return Class::NeedsLogin;
    }
    match by_code(received, words) {
        // No signature, no proof and no duration here that could be mended.
        Class::StaleSource | Class::DurationTooLong | Class::Clock { .. } => Class::Final,
        class @ (Class::Transient
        | Class::Throttled { .. }
        | Class::SourceUnavailable
        | Class::Final
        | Class::NeedsLogin) => class,
    }
}

/// What a refusal of a refresh token means. The token is given up only at the service's own word.
pub(super) fn renewal_class(received: &Received, words: &Words) -> Class {
    let status = received.answer.status;
    if says_slow_down(words) {
        return Class::Throttled {
            retry_after: received.answer.retry_after,
        };
    }
    match by_code(received, words) {
        class @ (Class::Throttled { .. } | Class::Transient) => class,
        Class::Clock { .. }
        | Class::DurationTooLong
        | Class::Final
        | Class::NeedsLogin
        | Class::SourceUnavailable
        | Class::StaleSource => {
            if matches!(status, 400 | 401 | 403) && !words.are_none() {
                Class::NeedsLogin
            } else {
                Class::Transient
            }
        }
    }
}

fn by_code(received: &Received, words: &Words) -> Class {
    let circumstances = Circumstances {
        status: received.answer.status,
        retry_after: received.answer.retry_after,
        ahead_seconds: None,
        off_seconds: None,
        temporary_keys: false,
    };
    classify(&words.code, &words.message, circumstances)
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
    let text = text_of(words);
    let says = |word: &str| text.contains(word);
    if status == 429 || says_slow_down(words) {
        Some(Approval::SlowDown)
    } else if status >= 500 || says("invalid_client") {
        None
    } else if says("pending") {
        Some(Approval::Pending(said(words)))
    } else if says("denied") || says("rejected") {
        Some(Approval::Denied)
    } else if says("expired") {
        Some(Approval::Expired)
    } else if matches!(status, 401 | 403) {
        None
    } else {
        Some(Approval::Pending(said(words)))
    }
}

fn text_of(words: &Words) -> String {
    format!("{} {}", words.code, words.message)
        .to_ascii_lowercase()
        .replace([' ', '-'], "_")
}

fn says_slow_down(words: &Words) -> bool {
    text_of(words).contains("slow_down")
}

fn said(words: &Words) -> String {
    format!("{} {}", words.code, words.message)
        .trim()
        .to_owned()
}

/// How long it is until a time that is told in seconds from `now` or as a moment.
pub(super) fn life_of(number: u64, now: SystemTime) -> Duration {
    moment_of(number, now)
        .duration_since(now)
        .unwrap_or_default()
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
    use crate::clock::BootTime;
    use crate::provider::upstream::Answer;
    use crate::secret::WipedBuffer;

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
            Some(Approval::Pending(_)) => "pending",
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
            (400, "invalid_client", "the client has expired", "error"),
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
        for message in [
            "the permission set's session duration is not allowed",
            "your trial has expired",
            "invalid agency",
        ] {
            assert!(!refuses_the_session(403, &words("IIC.1000", message)));
        }
    }

    fn received(status: u16) -> Received {
        Received {
            answer: Answer {
                status,
                date: None,
                retry_after: None,
                request_id: None,
                body: WipedBuffer::default(),
            },
            sent_at: BootTime::default(),
        }
    }

    #[test]
    fn a_refresh_token_is_given_up_only_at_the_services_word() {
        let throttled = Class::Throttled { retry_after: None };
        for (status, code, message, class) in [
            (429, "", "", throttled),
            (400, "slow_down", "", throttled),
            (403, "APIGW.0308", "over the limit", throttled),
            (400, "invalid_grant", "", Class::NeedsLogin),
            (401, "IIC.400", "invalid_client", Class::NeedsLogin),
            (403, "IIC.1003", "bad request", Class::NeedsLogin),
            (400, "", "", Class::Transient),
            (403, "", "", Class::Transient),
            (302, "", "", Class::Transient),
            (404, "IIC.404", "no such path", Class::Transient),
            (409, "IIC.1006", "conflict", Class::Transient),
            (503, "IIC.500", "busy", Class::Transient),
        ] {
            let words = words(code, message);
            assert_eq!(
                renewal_class(&received(status), &words),
                class,
                "{status} {code}"
            );
        }
    }

    #[test]
    fn a_refusal_of_the_portal_is_about_the_session_the_moment_or_the_role() {
        let throttled = Class::Throttled { retry_after: None };
        for (status, code, message, class) in [
            (
                401,
                "IIC.1001",
                "the access token is bad",
                Class::NeedsLogin,
            ),
            (403, "IIC.1000", "no permission", Class::Final),
            (400, "IIC.400", "the duration is wrong", Class::Final),
            (404, "IIC.1002", "no such token", Class::Final),
            (409, "IIC.1006", "conflict", Class::Transient),
            (400, "APIGW.0308", "over the limit", throttled),
        ] {
            let words = words(code, message);
            assert_eq!(
                class_of(&received(status), &words),
                class,
                "{code} {message}"
            );
        }
    }

    #[test]
    fn a_life_is_the_same_whatever_this_hosts_clock_shows() {
        let its_now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let ten_minutes = Duration::from_mins(10);
        assert_eq!(life_of(600, its_now), ten_minutes);
        assert_eq!(life_of(1_700_000_600, its_now), ten_minutes);
        assert_eq!(life_of(1_600_000_000, its_now), Duration::ZERO);
    }
}
