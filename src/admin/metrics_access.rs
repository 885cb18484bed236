//! Who may read the metrics address: the rules of listeners, with its own default.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::StatusCode;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;

use crate::admin::metrics_server::{Page, error};
use crate::clock::Clock;
use crate::config::model::{Address, Allow, Metrics};
use crate::listener::access::{Admission, Identity};
use crate::listener::guard::{self, Head, Rules};
use crate::listener::host::Hosts;
use crate::listener::sock_diag::SockDiag;
use crate::listener::token::Token;
use crate::name::Name;
use crate::observe::audit::{Audit, Denial};
use crate::observe::metrics::{DeniedLabels, Metrics as Counters};

/// The name of this address in metrics and audit events; no listener may have it.
const NAME: &str = "metrics";

/// The rules of one metrics address.
#[derive(Debug)]
pub(super) struct MetricsAccess {
    address: SocketAddr,
    hosts: Hosts,
    admission: Admission,
    token: Option<Token>,
    kernel: Mutex<SockDiag>,
    name: Name,
    counters: Arc<Counters>,
    audit: Arc<Audit>,
}

impl MetricsAccess {
    /// # Errors
    /// A sentence on a token that cannot be had.
    pub(super) fn new(
        settings: &Metrics,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        audit: Arc<Audit>,
    ) -> Result<Self, String> {
        // Unlike a listener's, this default is any local peer: nothing here vends.
        let allow = settings.allow.as_ref().unwrap_or(&Allow::AnyLocal);
        let address = Address::Tcp(settings.address);
        let own = rustix::process::geteuid().as_raw();
        let token = settings
            .token
            .as_ref()
            .map(|path| Token::open(path, None, clock))
            .transpose()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            address: settings.address,
            hosts: Hosts::at(settings.address, &[], &settings.hosts),
            admission: Admission::new(Some(allow), &address, own),
            token,
            kernel: Mutex::default(),
            name: NAME.parse().expect("a name"),
            counters,
            audit,
        })
    }

    /// Lets a request in, or says why not.
    pub(super) fn check(&self, peer: SocketAddr, head: &Parts) -> Result<(), Page> {
        let head_of_request = Head {
            method: &head.method,
            uri: &head.uri,
            headers: &head.headers,
            ambiguous_length: false,
            local: Some(self.address.ip()),
        };
        let rules = Rules {
            hosts: &self.hosts,
            emulated: &[],
            same_origin: true,
        };
        if let Err(violation) = guard::check(head_of_request, rules) {
            let status = violation.status();
            self.denied(violation.reason(), Identity::NotAsked);
            return Err(error(status, violation.reason(), &violation.to_string()));
        }
        let mut identity = Identity::NotAsked;
        if self.admission.needs_identity() {
            identity = self.ask_kernel(peer);
            if !self.admission.admits(identity) {
                self.denied("peer", identity);
                let message = "this user is not in `allow` of [metrics]";
                return Err(error(StatusCode::FORBIDDEN, "not-allowed", message));
            }
        }
        match &self.token {
            Some(token) if !presents(token, head) => {
                self.denied("token", identity);
                let message = "this address needs its token in the `Authorization` header";
                Err(error(StatusCode::UNAUTHORIZED, "token", message))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn denied(&self, reason: &'static str, identity: Identity) {
        let labels = DeniedLabels {
            listener: NAME.to_owned(),
            reason: reason.to_owned(),
        };
        self.counters.denied.get_or_create(&labels).inc();
        self.audit.denied(Denial {
            listener: &self.name,
            protocol: NAME,
            peer: &identity.peer(),
            reason,
        });
    }

    fn ask_kernel(&self, peer: SocketAddr) -> Identity {
        let mut kernel = self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        match kernel.owner(peer, self.address) {
            Ok(Some(uid)) => Identity::Known {
                uid,
                gid: None,
                pid: None,
            },
            Ok(None) => Identity::NoSuchSocket,
            Err(_) => Identity::NoAnswer,
        }
    }
}

/// As `Authorization: TOKEN`, or with the word `Bearer` that Prometheus puts before it.
fn presents(token: &Token, head: &Parts) -> bool {
    head.headers.get(AUTHORIZATION).is_some_and(|value| {
        let value = value.as_bytes();
        token.accepts(value.strip_prefix(b"Bearer ").unwrap_or(value))
    })
}
