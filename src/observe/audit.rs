//! Who got which credentials, who was refused, and what operators did.
//!
//! Audit events are log events of the target `credvend::audit`, so they reach wherever the log
//! goes, at `info`. They name the whole access key id and never a secret.
//!
//! A client inside its refresh window asks for every call it signs, so events are coalesced: the
//! first hand-out to a user is told at once, later ones of the same set are counted and told in
//! one event when the window ends. A set not handed out before is always told at once. Denials
//! go the same way, those of the admin socket too; what operators do is never put together.

mod unit;
mod windows;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::name::Name;
use unit::unit_of;
pub use windows::WINDOW;
use windows::{Event, Key, Subject, Who, Window, Windows};

/// The other end of a connection, as far as the kernel tells.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Peer {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub pid: Option<i32>,
    /// The systemd unit of the peer's process, where known.
    pub unit: Option<String>,
}

/// One set handed to one peer.
#[derive(Clone, Copy, Debug)]
pub struct HandOut<'a> {
    pub listener: &'a Name,
    pub protocol: &'static str,
    pub role: &'a Name,
    pub peer: &'a Peer,
    pub access_key_id: &'a str,
    pub remaining: Duration,
}

/// One refusal.
#[derive(Clone, Copy, Debug)]
pub struct Denial<'a> {
    pub listener: &'a Name,
    pub protocol: &'static str,
    pub peer: &'a Peer,
    /// As in the metric `denied_total`.
    pub reason: &'static str,
}

/// Writes audit events, coalesced.
#[derive(Debug)]
pub struct Audit {
    clock: Arc<dyn Clock>,
    hand_outs: Mutex<Windows>,
    /// Apart, so that refusals take no room from those.
    denials: Mutex<Windows>,
}

impl Audit {
    /// Nothing told yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            hand_outs: Mutex::default(),
            denials: Mutex::default(),
        }
    }

    /// Tells or counts a hand-out.
    pub fn hand_out(&self, event: HandOut<'_>) {
        let key = Key {
            listener: event.listener.clone(),
            protocol: event.protocol,
            who: Who::User(event.peer.uid),
            subject: Subject::Role(event.role.clone()),
        };
        let (id, remaining) = (event.access_key_id, event.remaining);
        self.note(&self.hand_outs, key, event.peer, id, remaining);
    }

    /// Tells or counts a refusal.
    pub fn denied(&self, event: Denial<'_>) {
        let key = Key {
            listener: event.listener.clone(),
            protocol: event.protocol,
            who: Who::User(event.peer.uid),
            subject: Subject::Denied(event.reason),
        };
        self.note(&self.denials, key, event.peer, "", Duration::ZERO);
    }

    /// Tells or counts that somebody asked for what is an operator's to ask for.
    pub fn not_an_operator(&self, way_in: &Name, operation: &'static str, peer: &Peer) {
        let key = Key {
            listener: way_in.clone(),
            protocol: "admin",
            who: Who::User(peer.uid),
            subject: Subject::Operation(operation),
        };
        self.note(&self.denials, key, peer, "", Duration::ZERO);
    }

    fn note(
        &self,
        windows: &Mutex<Windows>,
        key: Key,
        peer: &Peer,
        access_key_id: &str,
        remaining: Duration,
    ) {
        let now = self.clock.boot();
        let due = {
            let mut windows = windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.note(key, peer, access_key_id, remaining, now)
        };
        due.iter().for_each(tell);
    }

    /// Tells what was counted in windows that are over. To be called every second or so.
    pub fn flush(&self) {
        let now = self.clock.boot();
        let due = self.take(|window| now.since(window.opened) >= WINDOW);
        due.iter().for_each(tell);
    }

    /// Tells everything that was counted, before the end.
    pub fn finish(&self) {
        let due = self.take(|_| true);
        due.iter().for_each(tell);
    }

    fn take(&self, is_over: impl Fn(&Window) -> bool) -> Vec<Event> {
        let all = [&self.hand_outs, &self.denials].into_iter();
        all.flat_map(|windows| {
            let mut windows = windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.close(&is_over)
        })
        .collect()
    }
}

fn tell(event: &Event) {
    let (key, peer) = (&event.key, &event.peer);
    let looked_up = match (&peer.unit, peer.pid) {
        (None, Some(pid)) => unit_of(pid),
        (Some(_), _) | (None, None) => None,
    };
    let unit = peer.unit.as_deref().or(looked_up.as_deref());
    // Where one event stands for several users.
    let others = (key.who == Who::Others && peer.uid.is_none()).then_some(true);
    match &key.subject {
        Subject::Role(role) => tracing::info!(
            target: "credvend::audit",
            action = "hand-out",
            listener = %key.listener,
            protocol = key.protocol,
            role = %role,
            uid = peer.uid,
            others,
            pid = peer.pid,
            unit,
            access_key_id = event.access_key_id,
            remaining_secs = event.remaining.as_secs(),
            count = event.count,
            "credentials handed out"
        ),
        Subject::Denied(reason) => tracing::info!(
            target: "credvend::audit",
            action = "denied",
            listener = %key.listener,
            protocol = key.protocol,
            reason,
            uid = peer.uid,
            others,
            pid = peer.pid,
            unit,
            count = event.count,
            "request refused"
        ),
        Subject::Operation(operation) => tracing::info!(
            target: "credvend::audit",
            action = operation,
            uid = peer.uid,
            others,
            pid = peer.pid,
            subject = "",
            result = "refused: not an operator",
            count = event.count,
            "operator request"
        ),
    }
}

/// What an operator asked for over the admin socket, and how it went.
pub fn operator(action: &'static str, peer: &Peer, subject: &str, result: &dyn fmt::Display) {
    tracing::info!(
        target: "credvend::audit",
        action,
        uid = peer.uid,
        pid = peer.pid,
        subject,
        result = %result,
        "operator request"
    );
}
