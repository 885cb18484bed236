//! Who may read the metrics address: the rules of listeners, with its own default.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper::StatusCode;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;

use super::connections::Visitor as AtTheDoor;
use super::denials::Denials;
use super::page::{Page, error};
use super::places::Guest;
use crate::config::model::{Address, Metrics};
use crate::listener::access::{Admission, Identity};
use crate::listener::answer::closing;
use crate::listener::exchange;
use crate::listener::guard::{self, Head, Rules};
use crate::listener::host::Hosts;
use crate::listener::origin;
use crate::listener::sock_diag::SockDiag;
use crate::listener::token::{Token, Tokens};
use crate::observe::audit::Peer;

/// The rules of one metrics address.
#[derive(Debug)]
pub struct MetricsAccess {
    hosts: Hosts,
    admission: Admission,
    /// Whether other hosts may connect.
    is_remote: bool,
    token: Option<Arc<Token>>,
    kernel: Mutex<SockDiag>,
    denials: Denials,
    own: u32,
}

/// The other end of a connection, and our own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    identity: Identity,
    server: SocketAddr,
}

impl AtTheDoor for Visitor {
    fn peer(&self) -> Peer {
        self.identity.peer()
    }
}

impl MetricsAccess {
    /// # Errors
    /// A sentence on a token that cannot be had.
    pub fn new(settings: &Metrics, tokens: &Tokens, denials: Denials) -> Result<Self, String> {
        let address = Address::Tcp(settings.address);
        let own = rustix::process::geteuid().as_raw();
        let token = settings
            .token
            .as_ref()
            .map(|path| tokens.open(path, None))
            .transpose()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            hosts: Hosts::at(settings.address, &[], &settings.hosts),
            admission: Admission::new(Some(&settings.allow), &address, settings.allow_remote, own),
            is_remote: settings.allow_remote,
            token,
            kernel: Mutex::default(),
            denials,
            own,
        })
    }

    pub(super) fn denials(&self) -> &Denials {
        &self.denials
    }

    /// Who made a connection. `server` is our end of it, which a wildcard address is not.
    pub(super) fn identify(&self, client: SocketAddr, server: SocketAddr) -> Visitor {
        let identity = origin::identify(&self.kernel, client, server);
        Visitor { identity, server }
    }

    /// Whose place a connection takes.
    pub(super) fn guest(&self, visitor: &Visitor) -> Guest {
        match visitor.identity.uid() {
            Some(uid) if uid == 0 || uid == self.own => Guest::Operator,
            uid => Guest::Stranger(uid),
        }
    }

    /// Lets a request in, or says why not.
    pub(super) fn check(
        &self,
        visitor: &Visitor,
        head: &Parts,
        ambiguous_length: bool,
    ) -> Result<(), Page> {
        let peer = visitor.peer();
        let head_of_request = Head {
            method: &head.method,
            uri: &head.uri,
            headers: &head.headers,
            ambiguous_length,
            local: Some(visitor.server.ip()),
        };
        let rules = Rules {
            hosts: &self.hosts,
            emulated: &[],
            same_origin: true,
        };
        if let Err(violation) = guard::check(head_of_request, rules) {
            let (status, reason) = (violation.status(), violation.reason());
            self.denials.note(reason, &peer);
            let page = error(status, reason, &violation.to_string());
            return Err(if violation.closes() {
                Box::new(closing(*page))
            } else {
                page
            });
        }
        self.check_peer(visitor)?;
        match &self.token {
            Some(token) if !presents(token, head) => {
                self.denials.note("token", &peer);
                let message = "this address needs its token in the `Authorization` header";
                Err(error(StatusCode::UNAUTHORIZED, "token", message))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The refusal of what is no request as we understand it.
    pub(super) fn refuse_head(&self, visitor: &Visitor, status: StatusCode) -> Page {
        self.check_peer(visitor).err().unwrap_or_else(|| {
            self.denials.note("request", &visitor.peer());
            error(status, "request", exchange::reason(status))
        })
    }

    fn check_peer(&self, visitor: &Visitor) -> Result<(), Page> {
        if self.admission.admits(visitor.identity) {
            return Ok(());
        }
        self.denials.note("peer", &visitor.peer());
        let message = not_allowed(visitor.identity, self.is_remote);
        Err(error(StatusCode::FORBIDDEN, "not-allowed", &message))
    }
}

/// Who that is, and which setting would let them in.
fn not_allowed(identity: Identity, is_remote: bool) -> String {
    let why = match identity {
        Identity::Known { uid, .. } => {
            return format!(
                "uid {uid} is not allowed to read the metrics address: add it to \
                 allow = {{ users = [...] }} of [metrics]"
            );
        }
        Identity::NoSuchSocket | Identity::NotAsked => {
            "the kernel knows no socket at the other end of this connection (closed already, or \
             redirected on its way)"
        }
        Identity::Outside if !is_remote => {
            return "this connection comes from outside this host (another host or network \
                    namespace), and the metrics address is for this host: elsewhere it needs \
                    `allow-remote` and `token` of [metrics]"
                .to_owned();
        }
        Identity::Outside => {
            "this connection comes from outside this host (another host or network namespace), \
             where the kernel tells no users"
        }
        Identity::NoAnswer => {
            "the kernel does not say who is at the other end of this connection (sock_diag gives \
             no answer)"
        }
    };
    format!("{why}, and allow of [metrics] names who may ask: \"any-local\" there lets it in")
}

/// As `Authorization: TOKEN`, or with the word `Bearer` that Prometheus puts before it.
fn presents(token: &Token, head: &Parts) -> bool {
    head.headers.get(AUTHORIZATION).is_some_and(|value| {
        let value = value.as_bytes();
        token.accepts(value.strip_prefix(b"Bearer ").unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use crate::clock::testing::TestClock;
    use crate::config::model::Allow;
    use crate::observe::audit::Audit;
    use crate::observe::metrics::Metrics as Counters;

    use super::*;

    #[tokio::test]
    async fn whoever_is_outside_this_host_is_let_in_only_where_that_is_said() {
        for (allow_remote, status) in [(false, 403), (true, 400)] {
            let settings = Metrics {
                address: "127.0.0.1:9471".parse().unwrap(),
                allow: Allow::AnyLocal,
                hosts: Vec::new(),
                token: None,
                allow_remote,
            };
            let clock = Arc::new(TestClock::start());
            let tokens = Tokens::new(Arc::<TestClock>::clone(&clock), Arc::default());
            let audit = Arc::new(Audit::new(clock));
            let denials = Denials::of_metrics(Arc::new(Counters::new()), audit);
            let access = MetricsAccess::new(&settings, &tokens, denials).unwrap();
            let visitor = Visitor {
                identity: Identity::Outside,
                server: settings.address,
            };
            let page = access.refuse_head(&visitor, StatusCode::BAD_REQUEST);
            assert_eq!(page.status(), status, "allow-remote = {allow_remote}");
        }
        let text = not_allowed(Identity::Outside, false);
        assert!(text.contains("from outside this host"), "{text}");
        assert!(!text.contains("any-local"), "{text}");
    }
}
