//! Counts and audits what one way in refuses.

use std::sync::Arc;

use crate::name::Name;
use crate::observe::audit::{Audit, Denial, Peer};
use crate::observe::metrics::{DeniedLabels, Metrics};

/// The refusals of one way in, under its own name: no listener can be called so.
#[derive(Clone, Debug)]
pub struct Denials {
    way_in: &'static str,
    name: Name,
    counters: Arc<Metrics>,
    audit: Arc<Audit>,
}

impl Denials {
    /// Those of the admin socket.
    #[must_use]
    pub fn of_admin(counters: Arc<Metrics>, audit: Arc<Audit>) -> Self {
        Self::of("admin", counters, audit)
    }

    /// Those of the metrics address.
    #[must_use]
    pub fn of_metrics(counters: Arc<Metrics>, audit: Arc<Audit>) -> Self {
        Self::of("metrics", counters, audit)
    }

    fn of(way_in: &'static str, counters: Arc<Metrics>, audit: Arc<Audit>) -> Self {
        Self {
            way_in,
            name: way_in.parse().expect("a name"),
            counters,
            audit,
        }
    }

    /// What this is the way into, for logs.
    #[must_use]
    pub fn way_in(&self) -> &'static str {
        self.way_in
    }

    /// Counts and audits that somebody asked for what is an operator's to ask for; equal ones are put
    /// together.
    pub fn not_an_operator(&self, operation: &'static str, peer: &Peer) {
        self.count("peer");
        self.audit.not_an_operator(&self.name, operation, peer);
    }

    fn count(&self, reason: &str) {
        let labels = DeniedLabels {
            listener: self.way_in.to_owned(),
            reason: reason.to_owned(),
        };
        self.counters.denied.get_or_create(&labels).inc();
    }

    /// Counts and audits a refusal; equal ones are put together.
    pub fn note(&self, reason: &'static str, peer: &Peer) {
        self.count(reason);
        self.audit.denied(Denial {
            listener: &self.name,
            protocol: self.way_in,
            peer,
            reason,
        });
    }
}
