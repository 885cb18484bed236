//! Scripted trouble: what can go wrong with a call, and which calls it is for. The server acts, and
//! [`super::script`] counts.
//!
//! A fault that spoils a set passes over calls that hand out none. Every fault may in addition
//! delay the call and move the emulator's clock for it alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::moment::FARTHEST_OFFSET;

/// Longest delay, and how long a hanging call hangs if its client never gives up.
pub const LONGEST_DELAY: Duration = Duration::from_mins(10);

/// What goes wrong.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A valid set whose expiry lies before that of the one issued last.
    Backwards,
    /// Nothing but the delay; the answer is right.
    Delay,
    /// The cloud's error envelope with `code` and `message`.
    ErrorCode,
    /// A set that was over before it was issued.
    Expired,
    /// Status 200 and a body that is not JSON.
    Garbage,
    /// No answer at all.
    Hang,
    /// A set without its `field` (its token unless set).
    Incomplete,
    /// The connection is reset.
    Reset,
    /// Nothing but the moved clock of `skew_seconds`: in the checks and in `Date`.
    Skew,
    /// An HTTP `status` (503 unless set) with a page of HTML.
    Status,
    /// The cloud's own throttle, unless `code` or `status` is set.
    Throttle,
    /// Half of the right answer, then the connection closes.
    Truncated,
    /// A set of account 200000000001.
    WrongAccount,
}

/// One entry of the script.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only calls of this action; `InstanceMetadata` for Tencent Cloud's metadata paths,
    /// `MetadataToken` and `SecurityKey` for Huawei Cloud's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Only calls about the role of this name; of an Identity Center, `ACCOUNT/PERMISSION-SET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub kind: FaultKind,
    /// Calls it strikes; 1 unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Strikes until the script is cleared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forever: bool,
    /// HTTP status, for `status` and `throttle`, and for `error-code` where the cloud has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Error code, for `error-code` and `throttle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Error message, for `error-code` and `throttle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Waited before anything else, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// How far the emulator's clock is ahead (negative: behind) for this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_seconds: Option<i64>,
    /// Sent as `Retry-After`, for `status` and `throttle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// What `incomplete` leaves out (the token of the set unless set), as the answer calls it:
    /// `TmpSecretId`, `secret_access_key`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// A call as a fault sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called<'a> {
    pub(super) action: &'a str,
    /// The known role it is about.
    pub(super) role: Option<&'a str>,
    /// Whether a good answer to it is a set.
    pub(super) hands_out_a_set: bool,
}

/// What a fault does to the set that is issued, as the ledger sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Twist {
    Backwards,
    Expired,
    WrongAccount,
}

impl Fault {
    /// Strikes the next call, whatever it is.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self {
            action: None,
            role: None,
            kind,
            times: None,
            forever: false,
            status: None,
            code: None,
            message: None,
            delay_ms: None,
            skew_seconds: None,
            retry_after_seconds: None,
            field: None,
        }
    }

    /// The cloud's error envelope with this code.
    #[must_use]
    pub fn error(code: &str, message: &str) -> Self {
        Self {
            code: Some(code.to_owned()),
            message: Some(message.to_owned()),
            ..Self::new(FaultKind::ErrorCode)
        }
    }

    /// An HTTP status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status: Some(status),
            ..Self::new(FaultKind::Status)
        }
    }

    /// Restricted to one action.
    #[must_use]
    pub fn on_action(mut self, action: &str) -> Self {
        self.action = Some(action.to_owned());
        self
    }

    /// Restricted to one role.
    #[must_use]
    pub fn on_role(mut self, role: &str) -> Self {
        self.role = Some(role.to_owned());
        self
    }

    /// Strikes so many calls.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes until cleared.
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.forever = true;
        self
    }

    /// With a pause before it.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay_ms = Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// With the emulator's clock moved.
    #[must_use]
    pub fn skewed(mut self, seconds: i64) -> Self {
        self.skew_seconds = Some(seconds);
        self
    }

    pub(super) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.unwrap_or(0)).min(LONGEST_DELAY)
    }

    pub(super) fn twist(&self) -> Option<Twist> {
        match self.kind {
            FaultKind::Backwards => Some(Twist::Backwards),
            FaultKind::Expired => Some(Twist::Expired),
            FaultKind::WrongAccount => Some(Twist::WrongAccount),
            FaultKind::Delay
            | FaultKind::ErrorCode
            | FaultKind::Garbage
            | FaultKind::Hang
            | FaultKind::Incomplete
            | FaultKind::Reset
            | FaultKind::Skew
            | FaultKind::Status
            | FaultKind::Throttle
            | FaultKind::Truncated => None,
        }
    }

    /// Why this fault makes no sense, in one sentence.
    pub(super) fn mistake(&self) -> Option<&'static str> {
        if self.times == Some(0) {
            return Some("`times` is 0: leave the fault out");
        }
        if self.forever && self.times.is_some() {
            return Some("`times` and `forever` exclude each other");
        }
        if self
            .status
            .is_some_and(|status| !(200..=599).contains(&status))
        {
            return Some("`status` is no HTTP status between 200 and 599");
        }
        if Duration::from_millis(self.delay_ms.unwrap_or(0)) > LONGEST_DELAY {
            return Some("`delay_ms` is longer than ten minutes");
        }
        if self
            .skew_seconds
            .is_some_and(|skew| skew.unsigned_abs() > FARTHEST_OFFSET)
        {
            return Some("`skew_seconds` is more than a year");
        }
        match self.kind {
            FaultKind::Delay if self.delay_ms.is_none() => Some("`delay` needs `delay_ms`"),
            FaultKind::ErrorCode if self.code.is_none() => Some("`error-code` needs `code`"),
            FaultKind::Skew if self.skew_seconds.is_none() => Some("`skew` needs `skew_seconds`"),
            FaultKind::Backwards
            | FaultKind::Delay
            | FaultKind::ErrorCode
            | FaultKind::Expired
            | FaultKind::Garbage
            | FaultKind::Hang
            | FaultKind::Incomplete
            | FaultKind::Reset
            | FaultKind::Skew
            | FaultKind::Status
            | FaultKind::Throttle
            | FaultKind::Truncated
            | FaultKind::WrongAccount => None,
        }
    }

    /// Whether it spoils a set, and has nothing to do where there is none.
    fn needs_a_set(&self) -> bool {
        self.twist().is_some() || self.kind == FaultKind::Incomplete
    }

    pub(super) fn matches(&self, call: Called<'_>) -> bool {
        let is_of = |wanted: &Option<String>, its: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == its
        };
        is_of(&self.action, Some(call.action))
            && is_of(&self.role, call.role)
            && (call.hands_out_a_set || !self.needs_a_set())
    }
}
