//! How the program ends: six codes, after the BSD `sysexits`, so that a script or a service
//! manager can tell what to do without reading the message.

use std::fmt;
use std::process::ExitCode;

use crate::admin::api::RefusalCode;

/// Why the program ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Exit {
    /// 0.
    Fine,
    /// 64: wrong arguments or an unknown role.
    Usage,
    /// 69: the daemon is not reachable, no valid credentials, refused upstream, time-out.
    Unavailable,
    /// 70: our bug.
    Internal,
    /// 77: not allowed, or a login denied.
    NotAllowed,
    /// 78: wrong configuration. A service manager should not try again.
    Misconfigured,
}

impl Exit {
    /// Every way to end, in the order of the codes.
    pub const ALL: [Self; 6] = [
        Self::Fine,
        Self::Usage,
        Self::Unavailable,
        Self::Internal,
        Self::NotAllowed,
        Self::Misconfigured,
    ];

    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::NotAllowed => 77,
            Self::Misconfigured => 78,
        }
    }

    /// What the code means, for the man pages.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Usage => "wrong arguments, or an unknown role",
            Self::Unavailable => {
                "not available: the daemon is not reachable, there are no valid credentials, the \
                 cloud refused, or the time is up"
            }
            Self::Internal => "a bug in credvend",
            Self::NotAllowed => "not allowed, or a login denied",
            Self::Misconfigured => "wrong configuration",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<RefusalCode> for Exit {
    fn from(code: RefusalCode) -> Self {
        match code {
            RefusalCode::UnknownRole | RefusalCode::BadRequest => Self::Usage,
            RefusalCode::NotAllowed => Self::NotAllowed,
            RefusalCode::Unavailable => Self::Unavailable,
            RefusalCode::Misconfigured => Self::Misconfigured,
            RefusalCode::Internal => Self::Internal,
        }
    }
}

/// Why a command did not do what it was asked to: the sentence for the person at the terminal,
/// what they could try, and the code for the script.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with nothing to suggest.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    /// The same with a suggestion.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_codes_are_the_documented_ones() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 64, 69, 70, 77, 78]);
    }
}
