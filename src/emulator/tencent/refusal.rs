//! The cloud says no: a code of its documentation and a sentence, sent with HTTP status 200.

use std::borrow::Cow;

use crate::emulator::parameters::Complaint;

/// Code and message of a throttle.
pub(in crate::emulator) const THROTTLED: (&str, &str) = (
    "RequestLimitExceeded",
    "Your current request times exceed the frequency limit of this action.",
);
/// The same of a fault that does not say more.
pub(in crate::emulator) const BROKEN: (&str, &str) = ("InternalError", "As scripted.");

/// One error answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::emulator) struct Refusal {
    pub(in crate::emulator) code: Cow<'static, str>,
    pub(in crate::emulator) message: String,
}

impl Refusal {
    pub(in crate::emulator) fn new(
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }

    /// A value of an action's own parameter that its documentation rules out.
    pub(super) fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameter.ParamError", message)
    }

    /// The caller's policy or the role's trust policy.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new("UnauthorizedOperation", message)
    }

    /// Our own trouble, in the cloud's words.
    pub(super) fn system(error: &std::io::Error) -> Self {
        Self::new("InternalError.SystemError", error.to_string())
    }
}

impl From<Complaint> for Refusal {
    fn from(complaint: Complaint) -> Self {
        match complaint {
            Complaint::Missing { name } => Self::new(
                "MissingParameter",
                format!("The request is missing a required parameter `{name}`."),
            ),
            Complaint::NotAnObject => {
                Self::new("InvalidParameter", "The request body is not a JSON object.")
            }
            Complaint::Unknown { name } => Self::new(
                "UnknownParameter",
                format!("The parameter `{name}` is not recognized."),
            ),
            Complaint::WrongType { name, expected } => Self::new(
                "InvalidParameter",
                format!("The value type of parameter `{name}` is not valid: it is {expected}."),
            ),
        }
    }
}
