//! Why an attempt brought nothing, shaped by what the refresher should do next.

use std::time::Duration;

/// A boxed cause, printed as part of the chain, never inside a message.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What the refresher does about a failure. Decided in the cloud's own folder, where the codes
/// are known; acted upon in one place, the refresher.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Network trouble, a 5xx, a time-out, a garbled answer: exponential backoff.
    Transient,
    /// The cloud asks for fewer requests, perhaps naming a pause.
    Throttled { retry_after: Option<Duration> },
    /// Our clock is off by so many seconds (positive: the cloud is ahead of us). The provider
    /// has learned the offset already; one more try at once.
    Clock { offset_seconds: i64 },
    /// The asked-for session is longer than the role allows. The provider has stepped down
    /// already; more tries at once while there is a lower step.
    DurationTooLong,
    /// What we signed with, or the token we presented, is not good any more: refresh or re-read
    /// it and, if that brought another one, try once more. Else nothing helps until it changes.
    StaleSource,
    /// The role we sign with holds nothing valid at the moment: wait for it.
    SourceUnavailable,
    /// Refused for good: somebody has to change a policy, a secret or the configuration.
    Final,
    /// Somebody has to sign in.
    NeedsLogin,
}

impl Class {
    /// A label for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled { .. } => "throttled",
            Self::Clock { .. } => "clock",
            Self::DurationTooLong => "duration",
            Self::StaleSource => "stale-source",
            Self::SourceUnavailable => "source-unavailable",
            Self::Final => "refused",
            Self::NeedsLogin => "needs-login",
        }
    }
}

/// One failed attempt. The message says what happened and, where somebody has to act, what to
/// do; it holds no secret, and text from outside arrives in it escaped.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    pub class: Class,
    pub message: String,
    /// The cloud's error code, as it came.
    pub code: Option<String>,
    /// The cloud's id of the request, for its support desk.
    pub request_id: Option<String>,
    /// Whether a call was made at all: what failed before counts against nobody's budget.
    pub sent: bool,
    #[source]
    pub cause: Option<Cause>,
}

impl ProviderError {
    /// A failure known only by what happened.
    #[must_use]
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            code: None,
            request_id: None,
            sent: true,
            cause: None,
        }
    }

    /// The same, of something that failed before any call was made.
    #[must_use]
    pub fn not_sent(mut self) -> Self {
        self.sent = false;
        self
    }

    /// The same, with what caused it.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The message and every cause below it, in one line.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let layer = error.to_string();
            if !text.contains(&layer) {
                text.push_str(": ");
                text.push_str(&layer);
            }
            cause = error.source();
        }
        text
    }
}

/// Text that came from outside, safe to print: control characters escaped, and cut to a length
/// that cannot flood a log.
#[must_use]
pub fn foreign(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut safe: String = text.chars().take(LONGEST).collect::<String>();
    if text.chars().count() > LONGEST {
        safe.push('…');
    }
    safe.escape_debug()
        .to_string()
        .replace("\\\"", "\"")
        .replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::{Class, ProviderError, foreign};

    #[test]
    fn foreign_text_cannot_forge_a_log_line() {
        assert_eq!(foreign("no\nsuch \"role\""), "no\\nsuch \"role\"");
        assert!(foreign(&"x".repeat(10_000)).len() < 400);
    }

    #[test]
    fn a_report_tells_each_cause_once() {
        let inner = ProviderError::new(Class::Transient, "connection refused");
        let outer = ProviderError::new(Class::Transient, "cannot reach the cloud").caused_by(inner);
        assert_eq!(outer.report(), "cannot reach the cloud: connection refused");
    }
}
