//! What a refusal of Huawei Cloud means for us: one pure function over status, code and text.
//!
//! Sources: the API gateway's error codes and its page on IAM authentication errors; the STS and
//! IAM definitions. STS publishes no list of its codes, and `APIGW.0301` alone stands for a dozen
//! things that only its text tells apart, so texts decide where they have to: each phrase below
//! was seen in an answer or stands on one of those pages.

use std::time::{Duration, SystemTime};

use crate::provider::error::Class;

/// What is known about a refusal besides its code and message.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The answer's HTTP status.
    pub status: u16,
    /// The answer's `Retry-After`.
    pub retry_after: Option<Duration>,
    /// By how many seconds the other side's clock is ahead of ours, if the answer told.
    pub ahead_seconds: Option<i64>,
    /// By how many seconds the time of our request was behind, if the answer told.
    pub off_seconds: Option<i64>,
    /// Whether the request was signed with temporary keys, which can go stale.
    pub temporary_keys: bool,
}

/// Up to this far off, a request's time is not why a signature was refused, in seconds.
const CLOCKS_AGREE: u64 = 60;

/// What to do about a refusal.
#[must_use]
pub fn classify(code: &str, message: &str, circumstances: Circumstances) -> Class {
    let text = said(message);
    if circumstances.status == 429 || is_gateway(code, "0308") {
        return Class::Throttled {
            retry_after: circumstances.retry_after,
        };
    }
    if is_about_our_time(code, message) {
        let off = circumstances.off_seconds.unwrap_or_default();
        return match circumstances.ahead_seconds {
            Some(offset_seconds) if off.unsigned_abs() > CLOCKS_AGREE => {
                Class::Clock { offset_seconds }
            }
            // Without a difference there is nothing to correct by.
            Some(_) | None => Class::Transient,
        };
    }
    if circumstances.status >= 500 || circumstances.status == 408 || code == "IIC.1006" {
        return Class::Transient;
    }
    if is_gateway(code, "0301") || circumstances.status == 401 {
        let stale =
            says_token_is_bad(&text) || circumstances.temporary_keys && says_key_is_unknown(&text);
        return if stale {
            Class::StaleSource
        } else {
            Class::Final
        };
    }
    if circumstances.status == 400 && text.contains("duration") {
        return Class::DurationTooLong;
    }
    if says_proof_has_expired(&text) {
        return Class::StaleSource;
    }
    Class::Final
}

/// What somebody can do about a final refusal.
#[must_use]
pub fn hint(code: &str, message: &str) -> Option<&'static str> {
    let text = said(message);
    if is_gateway(code, "0301") {
        return if text.contains("reach the limit") {
            Some("after five wrong signatures the key is locked for five minutes")
        } else if says_key_is_unknown(&text) {
            Some("check the `id` of the key")
        } else if text.contains("signature") {
            Some("check the `secret` of the key")
        } else {
            Some("check the key")
        };
    }
    if is_gateway(code, "0101") {
        return Some("there is no such API at this host: check `region` and `endpoint`");
    }
    match code {
        "APIGW.0302" => Some("the caller may not use this API"),
        "STS5.1001" => Some(
            "the caller's policy has to allow it, and the trust policy of the agency the caller \
             (or the token's issuer, audience and subject)",
        ),
        "STS5.1106" => Some("check `agency-urn`"),
        "STS5.2001" => Some("the token's audience has to be a client id of the identity provider"),
        _ => None,
    }
}

/// The endpoint's time, if the refusal is about the time of our request: "signature expired,
/// signature time:20211217T064303Z,server time:20211217T065804Z", or else its `Date`.
#[must_use]
pub fn time_told(code: &str, message: &str, date: Option<SystemTime>) -> Option<SystemTime> {
    if !is_about_our_time(code, message) {
        return None;
    }
    server_time(message).or(date)
}

fn server_time(message: &str) -> Option<SystemTime> {
    let (_, after) = message.split_once("server time:")?;
    let text = after.trim_start().get(..16)?;
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    let moment = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let seconds = u64::try_from(moment.as_second()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Older gateways write `APIG`.
fn is_gateway(code: &str, number: &str) -> bool {
    let mut gateways = ["APIGW.", "APIG."].into_iter();
    gateways.any(|gateway| code.strip_prefix(gateway) == Some(number))
}

/// The gateway's own words, in lower case. Behind "verify aksk signature fail" it repeats the
/// request it signed, path and headers included, which may hold every other word.
fn said(message: &str) -> String {
    let text = message.to_ascii_lowercase();
    match text.split_once("canonicalrequest") {
        Some((own, _)) => own.to_owned(),
        None => text,
    }
}

fn is_about_our_time(code: &str, message: &str) -> bool {
    is_gateway(code, "0301") && said(message).contains("signature expired")
}

fn says_token_is_bad(text: &str) -> bool {
    text.contains("token")
        && ["expire", "fail", "invalid"]
            .iter()
            .any(|it| text.contains(it))
}

/// "Get secretKey failed,ak:…,err:ak not exist" and "ak … not exist".
fn says_key_is_unknown(text: &str) -> bool {
    text.contains("not exist") || text.contains("get secretkey failed")
}

/// An ID token or an assertion that was good once.
fn says_proof_has_expired(text: &str) -> bool {
    text.contains("expired") && (text.contains("token") || text.contains("assertion"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{Circumstances, classify, hint, time_told};
    use crate::provider::error::Class;

    const IAM: &str = "Incorrect IAM authentication information: ";

    fn class(status: u16, code: &str, message: &str) -> Class {
        let circumstances = Circumstances {
            status,
            retry_after: None,
            ahead_seconds: None,
            off_seconds: None,
            temporary_keys: false,
        };
        classify(code, message, circumstances)
    }

    #[test]
    fn what_timed_out_on_their_side_is_tried_again() {
        assert_eq!(class(408, "X.1", "Request timed out"), Class::Transient);
    }

    #[test]
    fn every_documented_refusal_has_its_class() {
        let throttled = Class::Throttled { retry_after: None };
        for (status, code, message, expected) in [
            (
                401,
                "APIGW.0301",
                "verify aksk signature fail",
                Class::Final,
            ),
            (
                401,
                "APIGW.0301",
                "verify aksk signature fail, canonicalRequest:POST|/v3.0/OS-CREDENTIAL/\
                 securitytokens/||x-security-token:expired|",
                Class::Final,
            ),
            (
                401,
                "APIGW.0301",
                "Get secretKey failed,ak:x,err:ak not exist",
                Class::Final,
            ),
            (401, "APIGW.0301", "ak x not exist", Class::Final),
            (
                401,
                "APIGW.0301",
                "AK access failed to reach the limit,forbidden.",
                Class::Final,
            ),
            (401, "APIGW.0301", "Unauthorized", Class::Final),
            (401, "APIGW.0301", "decrypt token fail", Class::StaleSource),
            (401, "APIG.0301", "decrypt token fail", Class::StaleSource),
            (401, "APIGW.0301", "token expires", Class::StaleSource),
            (
                401,
                "APIGW.0301",
                "security token is invalid",
                Class::StaleSource,
            ),
            (403, "APIGW.0302", "no", Class::Final),
            (401, "APIGW.0303", "app auth failed", Class::Final),
            (
                429,
                "APIGW.0308",
                "user over ratelimit, limit:200, time:5 minute",
                throttled,
            ),
            (200, "APIGW.0308", "user over ratelimit", throttled),
            (429, "X.1", "", throttled),
            (413, "APIGW.0201", "Request entity too large", Class::Final),
            (414, "APIGW.0201", "Request URI too large", Class::Final),
            (494, "APIGW.0201", "Request headers too large", Class::Final),
            (502, "APIGW.0201", "Backend unavailable", Class::Transient),
            (504, "APIGW.0201", "Backend timed out", Class::Transient),
            (404, "APIGW.0101", "does not exist", Class::Final),
            (409, "IIC.1006", "conflict", Class::Transient),
            (409, "IIC.1007", "conflict", Class::Final),
            (403, "STS5.1001", "not allowed", Class::Final),
            (404, "STS5.1106", "agency cannot be found", Class::Final),
            (400, "STS5.2001", "invalid audience", Class::Final),
            (
                400,
                "STS5.9999",
                "duration_seconds exceeds the maximum session duration of the agency",
                Class::DurationTooLong,
            ),
            (403, "STS5.9999", "the duration of agency", Class::Final),
            (
                400,
                "STS5.9998",
                "The id token has expired",
                Class::StaleSource,
            ),
            (401, "STS5.9998", "id_token is expired", Class::StaleSource),
            (
                403,
                "STS5.9997",
                "The SAML assertion has expired",
                Class::StaleSource,
            ),
            (
                401,
                "401",
                "The request you have made requires authentication.",
                Class::Final,
            ),
            (403, "IAM.0003", "no", Class::Final),
            (400, "IAM.0011", "no", Class::Final),
            (500, "IAM.0006", "no", Class::Transient),
            (503, "503", "busy", Class::Transient),
        ] {
            assert_eq!(
                class(status, code, message),
                expected,
                "{status} {code} {message}"
            );
            let in_full = format!("{IAM}{message}");
            if code == "APIGW.0301" {
                assert_eq!(class(status, code, &in_full), expected, "{in_full}");
            }
        }
    }

    #[test]
    fn an_unknown_temporary_key_is_a_stale_source() {
        let circumstances = Circumstances {
            status: 401,
            retry_after: None,
            ahead_seconds: None,
            off_seconds: None,
            temporary_keys: true,
        };
        let unknown = format!("{IAM}Get secretKey failed,ak:x,err:ak not exist");
        let wrong = format!("{IAM}verify aksk signature fail");
        for (message, expected) in [(unknown, Class::StaleSource), (wrong, Class::Final)] {
            assert_eq!(classify("APIGW.0301", &message, circumstances), expected);
        }
    }

    #[test]
    fn a_refused_time_is_corrected_if_the_clocks_differ() {
        let message = format!(
            "{IAM}calc aksk signature fail:signature expired, signature \
             time:20211217T064303Z,server time:20211217T065804Z"
        );
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(time_told("APIGW.0301", &message, at(5)), at(1_639_724_284));
        let short = format!("{IAM}signature expired");
        assert_eq!(time_told("APIGW.0301", &short, at(5)), at(5));
        let torn = format!("{IAM}signature expired, server time:2021");
        assert_eq!(time_told("APIGW.0301", &torn, at(5)), at(5));
        assert_eq!(time_told("APIGW.0301", &short, None), None);
        assert_eq!(time_told("STS5.1", &message, at(5)), None);

        let clock = |offset_seconds| Class::Clock { offset_seconds };
        for (ahead_seconds, off_seconds, expected) in [
            (None, None, Class::Transient),
            (Some(60), Some(60), Class::Transient),
            (Some(-901), Some(-901), clock(-901)),
            (Some(901), Some(901), clock(901)),
            // The host's clock was set right, and what was learned before is wrong now.
            (Some(0), Some(-901), clock(0)),
            (Some(901), Some(0), Class::Transient),
        ] {
            let circumstances = Circumstances {
                status: 401,
                retry_after: None,
                ahead_seconds,
                off_seconds,
                temporary_keys: false,
            };
            let class = classify("APIGW.0301", &message, circumstances);
            assert_eq!(class, expected, "{ahead_seconds:?} {off_seconds:?}");
        }
    }

    #[test]
    fn a_throttle_keeps_its_pause() {
        let pause = Some(Duration::from_secs(7));
        let circumstances = Circumstances {
            status: 429,
            retry_after: pause,
            ahead_seconds: None,
            off_seconds: None,
            temporary_keys: false,
        };
        let class = classify("APIGW.0308", "", circumstances);
        assert_eq!(class, Class::Throttled { retry_after: pause });
    }

    #[test]
    fn hints_name_what_to_look_at() {
        for (code, message, word) in [
            ("APIGW.0301", "verify aksk signature fail", "`secret`"),
            ("APIGW.0301", "err:ak not exist", "`id`"),
            (
                "APIGW.0301",
                "AK access failed to reach the limit",
                "locked",
            ),
            ("APIGW.0301", "Unauthorized", "key"),
            ("APIGW.0101", "", "`region`"),
            ("STS5.1001", "", "trust policy"),
            ("STS5.1106", "", "`agency-urn`"),
        ] {
            let hint = hint(code, message).unwrap();
            assert!(hint.contains(word), "{code} {message}: {hint}");
        }
        assert_eq!(hint("IAM.0011", ""), None);
    }
}
