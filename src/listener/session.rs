//! One connection's requests, decided one by one.
//!
//! The order: who asks, is it a request of a local program, what is asked for, is the token
//! shown, is the role one of ours, is anything valid held. A held set is answered at once, from
//! bytes that are ready. Only what has to wait (nothing held yet, or a client that waits for a
//! change) becomes a future of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::http::{HeaderValue, Method, StatusCode, header, request::Parts};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::access::Identity;
use super::answer::{self, Answer};
use super::guard::{self, Methods, Violation};
use super::live::Live;
use super::protocol::{self, Want, native};
use super::rules::Rules;
use crate::clock::BootTime;
use crate::config::model::Protocol;
use crate::observe::audit::{HandOut, Peer};
use crate::store::{Role, Snapshot};

/// One connection as its requests see it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) live: Arc<Live>,
    pub(crate) identity: Identity,
    pub(crate) peer: Peer,
    /// The address it came in on.
    pub(crate) local: Option<IpAddr>,
    /// Raised by the wire.
    pub(crate) ambiguous_length: Arc<AtomicBool>,
    pub(crate) closing: CancellationToken,
}

/// What becomes of a request.
pub(crate) enum Step {
    Done(Answer),
    Wait(Waiting),
}

/// A request that waits for its role.
pub(crate) struct Waiting {
    subject: Subject,
    protocol: Protocol,
    method: Method,
    role: Arc<Role>,
    limit: Duration,
    /// The set that the client has already.
    has: Option<HeaderValue>,
}

/// What it waits for.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Credentials,
    Profile,
}

impl Session {
    /// Whether the rest of the connection is no use after this head.
    pub(crate) fn must_close(&self, parts: &Parts) -> bool {
        let rules = self.live.rules.load();
        self.guard(parts, &rules).is_err_and(Violation::closes)
    }

    /// Says that this answer is the last one, if it is.
    pub(crate) fn last_if_closing(&self, answer: Answer) -> Answer {
        if self.closing.is_cancelled() {
            answer::closing(answer)
        } else {
            answer
        }
    }

    /// Decides about one request whose body has been read.
    pub(crate) fn decide(&self, parts: &Parts) -> Step {
        let rules = self.live.rules.load();
        if !rules.admission.admits(self.identity) {
            let protocol = Protocol::speaking(&rules.protocols, parts.uri.path());
            return Step::Done(self.refuse_peer(protocol));
        }
        let admitted = match self.guard(parts, &rules) {
            Ok(admitted) => admitted,
            Err(violation) => {
                let protocol = Protocol::speaking(&rules.protocols, parts.uri.path());
                return Step::Done(self.refuse_request(protocol, violation));
            }
        };
        let (protocol, want) =
            match Protocol::route(&rules.protocols, &admitted.path, &parts.headers) {
                Ok(found) => found,
                Err(protocol) => {
                    return Step::Done(match Methods::Reading.check(&parts.method) {
                        Ok(()) => {
                            let message = "there is nothing at this path";
                            self.refuse(protocol, StatusCode::NOT_FOUND, message)
                        }
                        Err(violation) => self.refuse_request(protocol, violation),
                    });
                }
            };
        if let Err(violation) = protocol.methods(want).check(&parts.method) {
            return Step::Done(self.refuse_request(protocol, violation));
        }
        if rules.needs_token(protocol) && !shows_token(&rules, protocol, parts) {
            return Step::Done(self.refuse_token(protocol));
        }
        if let Some(refusal) = self.without_metadata_token(protocol, want, &rules, parts) {
            return Step::Done(refusal);
        }
        match want {
            Want::About(about) => Step::Done(self.about(protocol, about, &rules)),
            Want::DatedToken => Step::Done(self.refuse_dated_token(protocol)),
            Want::Profile => match self.instance_role(&rules) {
                Some(role) => self.profile(protocol, role, &parts.method),
                None => Step::Done(self.no_such_role(protocol)),
            },
            Want::InstanceCredentials => match self.instance_role(&rules) {
                Some(role) => self.credentials(protocol, role, parts, admitted.query),
                None => Step::Done(self.no_such_role(protocol)),
            },
            Want::MetadataToken => Step::Done(self.begin_session(protocol, parts)),
            Want::Roles => Step::Done(self.list(protocol, &rules)),
            Want::Credentials(role) | Want::Secretly { role, .. } => {
                match self.role(&rules, role) {
                    Some(role) => self.credentials(protocol, role, parts, admitted.query),
                    None => Step::Done(self.no_such_role(protocol)),
                }
            }
            Want::Status(role) => Step::Done(match self.role(&rules, role) {
                Some(role) => self.status(protocol, &role),
                None => self.no_such_role(protocol),
            }),
        }
    }

    fn guard<'a>(&self, parts: &'a Parts, rules: &Rules) -> Result<guard::Admitted<'a>, Violation> {
        let head = guard::Head {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            ambiguous_length: self.ambiguous_length.load(Ordering::Relaxed),
            local: self.local,
        };
        guard::check(
            head,
            guard::Rules {
                hosts: &rules.hosts,
                emulated: &rules.emulated,
                same_origin: false,
            },
        )
    }

    /// The role that the instance has which the host pretends to be.
    fn instance_role(&self, rules: &Rules) -> Option<Arc<Role>> {
        let first = rules.roles.first()?;
        self.role(rules, first.as_str())
    }

    pub(super) fn role(&self, rules: &Rules, name: &str) -> Option<Arc<Role>> {
        rules
            .served
            .contains(name)
            .then(|| self.live.context.store.role(name))
            .flatten()
    }

    fn credentials(
        &self,
        protocol: Protocol,
        role: Arc<Role>,
        parts: &Parts,
        query: Option<&str>,
    ) -> Step {
        let (wait, has) = if protocol == Protocol::Native {
            match native::wait(query) {
                Ok(wait) => (wait, parts.headers.get(header::IF_NONE_MATCH)),
                Err(invalid) => {
                    let message = invalid.to_string();
                    return Step::Done(self.refuse(protocol, StatusCode::BAD_REQUEST, &message));
                }
            }
        } else {
            (None, None)
        };
        let now = self.live.context.clock.boot();
        let limit = {
            let view = role.read(now);
            match view.valid(now) {
                Some(held) if has.is_some_and(|has| native::names(has, &held.set.etag)) => {
                    match wait {
                        Some(wait) => wait,
                        None => return Step::Done(self.unchanged(protocol, held)),
                    }
                }
                Some(held) => {
                    return Step::Done(self.hand_out(protocol, &parts.method, &role, held, now));
                }
                None if view.refresh.needs_somebody() => {
                    return Step::Done(self.unavailable(protocol, &role, &view));
                }
                None => wait.unwrap_or_default().max(protocol.hold()),
            }
        };
        Step::Wait(Waiting {
            subject: Subject::Credentials,
            protocol,
            method: parts.method.clone(),
            limit,
            has: has.cloned(),
            role,
        })
    }

    /// Whether the instance has a role, and since when its keys are the ones they are.
    fn profile(&self, protocol: Protocol, role: Arc<Role>, method: &Method) -> Step {
        let now = self.live.context.clock.boot();
        {
            let view = role.read(now);
            if let Some(held) = view.valid(now) {
                return Step::Done(self.tell_profile(protocol, &role, held));
            }
            if view.refresh.needs_somebody() {
                return Step::Done(self.unavailable(protocol, &role, &view));
            }
        }
        Step::Wait(Waiting {
            subject: Subject::Profile,
            protocol,
            method: method.clone(),
            limit: protocol.hold(),
            has: None,
            role,
        })
    }

    /// Waits until the role holds what the client has not, and answers.
    pub(crate) async fn wait(&self, waiting: Waiting) -> Answer {
        let Waiting {
            subject,
            protocol,
            method,
            mut role,
            limit,
            has,
        } = waiting;
        let deadline = Instant::now() + limit;
        let mut publications = role.subscribe();
        let mut is_over = false;
        let mut is_closing = false;
        loop {
            let now = self.live.context.clock.boot();
            {
                // Whoever was let in before the wait may not be any more, and what was served
                // may be gone or another role by the same name.
                let rules = self.live.rules.load();
                if !rules.admission.admits(self.identity) {
                    return self.refuse_peer(protocol);
                }
                let Some(in_force) = self.role(&rules, role.name().as_str()) else {
                    return self.no_such_role(protocol);
                };
                if !Arc::ptr_eq(&in_force, &role) {
                    publications = in_force.subscribe();
                    role = in_force;
                }
                let view = role.read(now);
                match view.valid(now) {
                    Some(held)
                        if !has
                            .as_ref()
                            .is_some_and(|has| native::names(has, &held.set.etag)) =>
                    {
                        return match subject {
                            Subject::Credentials => {
                                self.hand_out(protocol, &method, &role, held, now)
                            }
                            Subject::Profile => self.tell_profile(protocol, &role, held),
                        };
                    }
                    Some(held) if is_over => return self.unchanged(protocol, held),
                    None if is_over || view.refresh.needs_somebody() => {
                        return self.unavailable(protocol, &role, &view);
                    }
                    Some(_) | None => {}
                }
            }
            tokio::select! {
                seen = publications.changed() => is_over = seen.is_err(),
                () = sleep_until(deadline) => is_over = true,
                // Whoever is not let in any more is told so at once, and a client that only
                // waits for news need not hold up an end; others get their answer first.
                () = self.closing.cancelled(), if !is_closing => {
                    is_closing = true;
                    is_over |= has.is_some();
                }
            }
        }
    }

    fn hand_out(
        &self,
        protocol: Protocol,
        method: &Method,
        role: &Role,
        held: &Snapshot,
        now: BootTime,
    ) -> Answer {
        let live = &self.live;
        live.answered(protocol, StatusCode::OK, 1);
        if method != Method::HEAD {
            let remaining = held.shown_remaining(now);
            live.served_remaining.observe(remaining.as_secs_f64());
            live.context.audit.hand_out(HandOut {
                listener: &live.name,
                protocol: protocol.as_str(),
                role: role.name(),
                peer: &self.peer,
                access_key_id: &held.set.keys.access_key_id,
                remaining,
            });
        }
        let body = protocol.body(&held.bodies).clone();
        let mut answer = answer::with_body(protocol, StatusCode::OK, protocol.content_type(), body);
        if protocol == Protocol::Native {
            answer::set_etag(answer.headers_mut(), &held.set.etag);
        }
        answer
    }

    fn unchanged(&self, protocol: Protocol, held: &Snapshot) -> Answer {
        self.live.answered(protocol, StatusCode::NOT_MODIFIED, 1);
        answer::not_modified(&held.set.etag)
    }

    fn list(&self, protocol: Protocol, rules: &Rules) -> Answer {
        let (content_type, body) = match protocol {
            Protocol::Native => {
                let store = &self.live.context.store;
                let listed: Vec<_> = rules
                    .roles
                    .iter()
                    .filter_map(|name| store.role(name.as_str()))
                    .collect();
                (protocol::JSON, native::roles(&listed))
            }
            // One name and nothing else: clients put what they read into the next path.
            Protocol::Alibaba
            | Protocol::AwsContainer
            | Protocol::AwsImds
            | Protocol::Huawei
            | Protocol::HuaweiContainer
            | Protocol::Tencent => match rules.roles.first() {
                Some(role) => (protocol::TEXT, role.as_str().to_owned().into()),
                None => return self.no_such_role(protocol),
            },
        };
        self.told(protocol, content_type, body)
    }

    fn status(&self, protocol: Protocol, role: &Role) -> Answer {
        let clock = &self.live.context.clock;
        let body = native::status(role, &role.view(), clock.boot(), clock.wall());
        self.told(protocol, protocol::JSON, body)
    }

    /// An answer without credentials.
    pub(super) fn told(
        &self,
        protocol: Protocol,
        content_type: HeaderValue,
        body: Bytes,
    ) -> Answer {
        self.live.answered(protocol, StatusCode::OK, 1);
        answer::with_body(protocol, StatusCode::OK, content_type, body)
    }
}

fn shows_token(rules: &Rules, protocol: Protocol, parts: &Parts) -> bool {
    parts
        .headers
        .get(header::AUTHORIZATION)
        .is_some_and(|shown| rules.accepts_token(protocol, shown.as_bytes()))
}
