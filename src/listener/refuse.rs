//! Every way in which a request is turned down, in the shape of the protocol. What is refused for
//! how it was asked or by whom is counted as denied, and told to the audit.

use hyper::http::{StatusCode, request::Parts};

use super::access::Refusal;
use super::answer::{self, Answer};
use super::exchange;
use super::guard::Violation;
use super::session::Session;
use crate::config::model::Protocol;
use crate::observe::audit::Denial;
use crate::store::{Role, View};

/// What a client is told to wait while attempts are under way, in seconds.
const SOON: u16 = 1;
/// The same where somebody has to act first.
const LATER: u16 = 30;

impl Session {
    pub(super) fn unavailable(&self, protocol: Protocol, role: &Role, view: &View) -> Answer {
        let name = role.name();
        let needs_somebody = view.refresh.needs_somebody();
        let mut message = if needs_somebody {
            format!("role `{name}` holds no valid credentials and somebody has to act")
        } else {
            format!("role `{name}` holds no valid credentials yet")
        };
        if let Some(failure) = &view.failure {
            message.push_str(": ");
            message.push_str(&failure.message);
        }
        let answer = self.refuse(protocol, StatusCode::SERVICE_UNAVAILABLE, &message);
        answer::retry_after(answer, if needs_somebody { LATER } else { SOON })
    }

    pub(super) fn no_such_role(&self, protocol: Protocol) -> Answer {
        let message = format!("listener `{}` serves no such role", self.live.name);
        self.refuse(protocol, StatusCode::NOT_FOUND, &message)
    }

    /// A connection more than this user may have; it ends without an answer, since nobody has
    /// read a request on it.
    pub(super) fn denied_for_number(&self) {
        let protocols = &self.live.rules.load().protocols;
        self.denied(Protocol::speaking(protocols, "/"), "limit");
    }

    pub(super) fn refuse_peer(&self, protocol: Protocol) -> Answer {
        let message = Refusal {
            listener: &self.live.name,
            identity: self.identity,
            is_remote: self.live.rules.load().is_remote,
        }
        .to_string();
        self.denied(protocol, "peer");
        answer::closing(self.refuse(protocol, StatusCode::FORBIDDEN, &message))
    }

    pub(super) fn refuse_request(&self, protocol: Protocol, violation: Violation) -> Answer {
        let status = violation.status();
        self.denied(protocol, violation.reason());
        let mut answer = self.refuse(protocol, status, &violation.to_string());
        if let Violation::Method(methods) = violation {
            answer = answer::allow(answer, methods);
        }
        if violation.closes() {
            answer::closing(answer)
        } else {
            answer
        }
    }

    pub(super) fn refuse_token(&self, protocol: Protocol) -> Answer {
        self.denied(protocol, "token");
        let message = format!(
            "the `Authorization` header does not hold the token of listener `{}`",
            self.live.name
        );
        self.refuse(protocol, StatusCode::UNAUTHORIZED, &message)
    }

    /// A body that did not come in time.
    pub(super) fn refuse_slow_body(&self, parts: &Parts) -> Answer {
        let rules = self.live.rules.load();
        let protocol = Protocol::speaking(&rules.protocols, parts.uri.path());
        self.denied(protocol, "request");
        answer::closing(self.refuse(
            protocol,
            StatusCode::REQUEST_TIMEOUT,
            "the request's body did not arrive",
        ))
    }

    /// What is no request as we understand it. `target` is what it seems to ask for.
    pub(super) fn refuse_head(&self, status: StatusCode, target: &str) -> Answer {
        let rules = self.live.rules.load();
        let protocol = Protocol::speaking(&rules.protocols, target);
        if !rules.admission.admits(self.identity) {
            return self.refuse_peer(protocol);
        }
        self.denied(protocol, "request");
        self.refuse(protocol, status, exchange::reason(status))
    }

    pub(super) fn refuse(&self, protocol: Protocol, status: StatusCode, message: &str) -> Answer {
        self.live.answered(protocol, status, 1);
        answer::refusal(protocol, status, message)
    }

    pub(super) fn denied(&self, protocol: Protocol, reason: &'static str) {
        self.live.denied(reason);
        self.live.context.audit.denied(Denial {
            listener: &self.live.name,
            protocol: protocol.as_str(),
            peer: &self.peer,
            reason,
        });
    }
}
