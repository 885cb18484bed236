//! What a refusal of Tencent Cloud means for us: one pure function over its error codes.
//!
//! Sources: the code lists in the official Go client's comments (per STS action) and the common
//! error codes of API 3.0. The family (what stands before the dot) is not enough:
//! `InternalError.GetRoleError` may be for good and `InvalidParameter.OverLimit` is a throttle.
//! Misspelt codes (`AccountNotAvaliable`, `ResouceError`) are the wire values.

use std::time::Duration;

use crate::provider::error::Class;

/// Who refused. The same code can mean different things.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Voice {
    /// The public API.
    Service,
    /// The gateway behind Identity Center's command-line sign-in.
    LoginGateway,
}

/// What is known about a refusal besides its code and message.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub voice: Voice,
    /// The answer's `Retry-After`.
    pub retry_after: Option<Duration>,
    /// By how many seconds the other side's clock is ahead of ours, if the answer told.
    pub ahead_seconds: Option<i64>,
    /// Whether the request was signed with temporary keys, which can go stale, and which may not
    /// be known everywhere in their first moments.
    pub temporary_keys: bool,
}

/// What to do about a refusal.
#[must_use]
pub fn classify(code: &str, message: &str, circumstances: Circumstances) -> Class {
    let throttled = Class::Throttled {
        retry_after: circumstances.retry_after,
    };
    match code {
        // Without the other side's time there is nothing to correct by.
        "AuthFailure.SignatureExpire" => circumstances
            .ahead_seconds
            .map_or(Class::Transient, |offset_seconds| Class::Clock {
                offset_seconds,
            }),
        "AuthFailure.TokenFailure" | "InvalidParameter.WebIdentityTokenError" => Class::StaleSource,
        "AuthFailure.InvalidSecretId" | "AuthFailure.SecretIdNotFound"
            if circumstances.temporary_keys =>
        {
            Class::StaleSource
        }
        "InternalError.GetRoleError" if says_it_does_not_exist(message) => Class::Final,
        "InternalError.IllegalRole" => Class::Final,
        "InvalidParameter.OverLimit" => throttled,
        "InvalidParameter.OverTimeError" => Class::DurationTooLong,
        "LimitExceeded" if circumstances.voice == Voice::LoginGateway => throttled,
        _ => match family(code) {
            "InternalError" | "ResourceUnavailable" | "ServiceUnavailable" => Class::Transient,
            "RequestLimitExceeded" => throttled,
            _ => Class::Final,
        },
    }
}

/// What somebody can do about a final refusal.
#[must_use]
pub fn hint(code: &str) -> Option<&'static str> {
    match code {
        "AuthFailure.AccessKeyIllegal"
        | "AuthFailure.InvalidSecretId"
        | "AuthFailure.SecretIdNotFound" => Some("check the `id` of the key"),
        "AuthFailure.SignatureFailure" => Some("check the `secret` of the key"),
        "AuthFailure.UnauthorizedOperation" | "UnauthorizedOperation" => {
            Some("the caller's policy has to allow it, and the role's trust policy the caller")
        }
        "InternalError.GetRoleError"
        | "InternalError.IllegalRole"
        | "ResourceNotFound.RoleNotFound" => Some("check `role-arn`"),
        "InvalidParameter.ExtendStrategyOverSize"
        | "InvalidParameter.GrantOtherResource"
        | "InvalidParameter.PolicyTooLong"
        | "InvalidParameter.ResouceError"
        | "InvalidParameter.StrategyFormatError"
        | "InvalidParameter.StrategyInvalid" => Some("check `policy`"),
        "IpInBlacklist" | "IpNotInWhitelist" => {
            Some("the key may not be used from this host's address")
        }
        "UnsupportedRegion" => Some("check `region`"),
        _ => None,
    }
}

/// The server's time, in seconds since 1970, as `AuthFailure.SignatureExpire` tells it: "… the
/// server time 1706407089". Seen in the field, not documented.
#[must_use]
pub fn server_time(message: &str) -> Option<u64> {
    let (_, after) = message.split_once("server time")?;
    let digits = after.trim_start_matches([' ', ':', '=', 'i', 's']);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

fn family(code: &str) -> &str {
    code.split_once('.').map_or(code, |(family, _)| family)
}

/// "role not exist" was seen in the field.
fn says_it_does_not_exist(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("not exist") || message.contains("not found")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Circumstances, Voice, classify, hint, server_time};
    use crate::provider::error::Class;

    const PAUSE: Option<Duration> = Some(Duration::from_secs(7));
    const THROTTLED: Class = Class::Throttled { retry_after: PAUSE };
    const CLOCK: Class = Class::Clock { offset_seconds: 42 };

    fn class(code: &str, message: &str) -> Class {
        let circumstances = Circumstances {
            voice: Voice::Service,
            retry_after: PAUSE,
            ahead_seconds: Some(42),
            temporary_keys: false,
        };
        classify(code, message, circumstances)
    }

    #[test]
    fn every_code_of_the_service_has_its_class() {
        for (code, expected) in [
            ("AuthFailure.AccessKeyIllegal", Class::Final),
            ("FailedOperation.CheckMFAError", Class::Final),
            ("FailedOperation.MFATypeNotSupported", Class::Final),
            ("FailedOperation.TempKeyNotAllowed", Class::Final),
            ("InternalError.DbError", Class::Transient),
            ("InternalError.EncryptError", Class::Transient),
            ("InternalError.GetAppIdError", Class::Transient),
            ("InternalError.GetRoleError", Class::Transient),
            ("InternalError.GetSeedTokenError", Class::Transient),
            ("InternalError.IllegalRole", Class::Final),
            ("InternalError.PbSerializeError", Class::Transient),
            ("InternalError.SystemError", Class::Transient),
            ("InternalError.UnknownError", Class::Transient),
            ("InvalidParameter.AccessKeyNotSupport", Class::Final),
            ("InvalidParameter.AccountNotAvaliable", Class::Final),
            ("InvalidParameter.ExtendStrategyOverSize", Class::Final),
            ("InvalidParameter.GrantOtherResource", Class::Final),
            ("InvalidParameter.OverLimit", THROTTLED),
            ("InvalidParameter.OverTimeError", Class::DurationTooLong),
            ("InvalidParameter.ParamError", Class::Final),
            ("InvalidParameter.PolicyTooLong", Class::Final),
            ("InvalidParameter.ResouceError", Class::Final),
            ("InvalidParameter.StrategyFormatError", Class::Final),
            ("InvalidParameter.StrategyInvalid", Class::Final),
            ("InvalidParameter.TempCodeNotAvaliable", Class::Final),
            ("InvalidParameter.WebIdentityTokenError", Class::StaleSource),
            ("RequestLimitExceeded", THROTTLED),
            ("ResourceNotFound.RoleNotFound", Class::Final),
            ("UnauthorizedOperation", Class::Final),
            ("UnsupportedOperation", Class::Final),
        ] {
            assert_eq!(class(code, ""), expected, "{code}");
        }
    }

    #[test]
    fn every_common_code_has_its_class() {
        for (code, expected) in [
            ("ActionOffline", Class::Final),
            ("AuthFailure.InvalidAuthorization", Class::Final),
            ("AuthFailure.InvalidSecretId", Class::Final),
            ("AuthFailure.MFAFailure", Class::Final),
            ("AuthFailure.SecretIdNotFound", Class::Final),
            ("AuthFailure.SignatureExpire", CLOCK),
            ("AuthFailure.SignatureFailure", Class::Final),
            ("AuthFailure.TokenFailure", Class::StaleSource),
            ("AuthFailure.UnauthorizedOperation", Class::Final),
            ("DryRunOperation", Class::Final),
            ("FailedOperation", Class::Final),
            ("InternalError", Class::Transient),
            ("InvalidAction", Class::Final),
            ("InvalidParameter", Class::Final),
            ("InvalidParameterValue", Class::Final),
            ("InvalidRequest", Class::Final),
            ("IpInBlacklist", Class::Final),
            ("IpNotInWhitelist", Class::Final),
            ("LimitExceeded", Class::Final),
            ("MissingParameter", Class::Final),
            ("NoSuchProduct", Class::Final),
            ("NoSuchVersion", Class::Final),
            ("RequestLimitExceeded", THROTTLED),
            (
                "RequestLimitExceeded.GlobalRegionUinLimitExceeded",
                THROTTLED,
            ),
            ("RequestLimitExceeded.IPLimitExceeded", THROTTLED),
            ("RequestLimitExceeded.UinLimitExceeded", THROTTLED),
            ("RequestSizeLimitExceeded", Class::Final),
            ("ResourceInUse", Class::Final),
            ("ResourceInsufficient", Class::Final),
            ("ResourceNotFound", Class::Final),
            ("ResourceUnavailable", Class::Transient),
            ("ResponseSizeLimitExceeded", Class::Final),
            ("ServiceUnavailable", Class::Transient),
            ("UnauthorizedOperation", Class::Final),
            ("UnknownParameter", Class::Final),
            ("UnsupportedOperation", Class::Final),
            ("UnsupportedProtocol", Class::Final),
            ("UnsupportedRegion", Class::Final),
        ] {
            assert_eq!(class(code, ""), expected, "{code}");
        }
    }

    #[test]
    fn unknown_codes_follow_their_family_and_unknown_families_are_final() {
        for (code, expected) in [
            ("InternalError.NewSort", Class::Transient),
            ("ServiceUnavailable.NewSort", Class::Transient),
            ("ResourceUnavailable.NewSort", Class::Transient),
            ("RequestLimitExceeded.NewSort", THROTTLED),
            ("AuthFailure.NewSort", Class::Final),
            ("InvalidParameter.NewSort", Class::Final),
            ("InternalErrors", Class::Final),
            ("NewFamily", Class::Final),
            ("", Class::Final),
        ] {
            assert_eq!(class(code, ""), expected, "{code}");
        }
    }

    #[test]
    fn a_role_look_up_fails_for_good_only_if_there_is_no_such_role() {
        let code = "InternalError.GetRoleError";
        for (message, expected) in [
            ("role not exist", Class::Final),
            ("The role does not exist.", Class::Final),
            ("Role Not Found", Class::Final),
            ("get role error", Class::Transient),
            ("", Class::Transient),
        ] {
            assert_eq!(class(code, message), expected, "{message}");
        }
    }

    #[test]
    fn an_expired_signature_is_a_clock_problem_only_if_the_answer_tells_the_time() {
        let silent = Circumstances {
            voice: Voice::Service,
            retry_after: None,
            ahead_seconds: None,
            temporary_keys: false,
        };
        let class = classify("AuthFailure.SignatureExpire", "", silent);
        assert_eq!(class, Class::Transient);
    }

    #[test]
    fn temporary_keys_that_are_not_known_may_be_replaced() {
        let temporary = Circumstances {
            voice: Voice::Service,
            retry_after: None,
            ahead_seconds: None,
            temporary_keys: true,
        };
        for (code, expected) in [
            ("AuthFailure.InvalidSecretId", Class::StaleSource),
            ("AuthFailure.SecretIdNotFound", Class::StaleSource),
            ("AuthFailure.SignatureFailure", Class::Final),
        ] {
            assert_eq!(classify(code, "", temporary), expected, "{code}");
        }
    }

    #[test]
    fn a_limit_at_the_gateway_is_a_throttle() {
        let gateway = Circumstances {
            voice: Voice::LoginGateway,
            retry_after: PAUSE,
            ahead_seconds: None,
            temporary_keys: false,
        };
        assert_eq!(classify("LimitExceeded", "", gateway), THROTTLED);
        assert_eq!(classify("RequestLimitExceeded", "", gateway), THROTTLED);
        let no_policy = classify("InternalError.UnknownError", "strategy is empty", gateway);
        assert_eq!(no_policy, Class::Transient);
    }

    #[test]
    fn only_what_somebody_can_mend_has_a_hint() {
        assert_eq!(
            hint("ResourceNotFound.RoleNotFound"),
            Some("check `role-arn`")
        );
        assert_eq!(hint("InternalError.DbError"), None);
    }

    #[test]
    fn the_servers_time_is_found_in_the_message() {
        for (message, expected) in [
            (
                "Signature expired, the gap is over 300 s, the server time 1706407089",
                Some(1_706_407_089),
            ),
            (
                "expired; the server time is 1706407089.",
                Some(1_706_407_089),
            ),
            ("expired: server time: 5 or so", Some(5)),
            ("the server time", None),
            ("the server time soon", None),
            ("the server time 99999999999999999999999", None),
            ("expired", None),
        ] {
            assert_eq!(server_time(message), expected, "{message}");
        }
    }
}
