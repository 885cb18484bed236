//! Who got which credentials, who was refused, and what operators did.
//!
//! Audit events are log events of the target `credvend::audit`, so they reach wherever the log
//! goes, at `info`. They name the whole access key id and never a secret.
//!
//! A client inside its refresh window asks for every call it signs, so events are coalesced: the
//! first hand-out to a user is told at once, later ones of the same set are counted and told in
//! one event when the window ends. A set not handed out before is always told at once. Denials
//! go the same way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{BootTime, Clock};
use crate::name::Name;

/// How long repetitions are only counted.
pub const WINDOW: Duration = Duration::from_secs(10);

/// Windows open at a time. Only a host with that many users has more; then all are told early.
const MOST_WINDOWS: usize = 4096;

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
    windows: Mutex<Windows>,
}

impl Audit {
    /// Nothing told yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            windows: Mutex::default(),
        }
    }

    /// Tells or counts a hand-out.
    pub fn hand_out(&self, event: HandOut<'_>) {
        let key = Key {
            listener: event.listener.clone(),
            protocol: event.protocol,
            uid: event.peer.uid,
            subject: Subject::Role(event.role.clone()),
        };
        self.note(key, event.peer, event.access_key_id, event.remaining);
    }

    /// Tells or counts a refusal.
    pub fn denied(&self, event: Denial<'_>) {
        let key = Key {
            listener: event.listener.clone(),
            protocol: event.protocol,
            uid: event.peer.uid,
            subject: Subject::Denied(event.reason),
        };
        self.note(key, event.peer, "", Duration::ZERO);
    }

    fn note(&self, key: Key, peer: &Peer, access_key_id: &str, remaining: Duration) {
        let now = self.clock.boot();
        let due = {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.close(is_over)
    }
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    listener: Name,
    protocol: &'static str,
    uid: Option<u32>,
    subject: Subject,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Subject {
    Role(Name),
    Denied(&'static str),
}

/// What happened under one key since it was last told.
#[derive(Debug)]
struct Window {
    opened: BootTime,
    repeated: u64,
    access_key_id: String,
    remaining: Duration,
}

/// Something to be told.
#[derive(Debug)]
struct Event {
    key: Key,
    peer: Peer,
    access_key_id: String,
    remaining: Duration,
    count: u64,
}

/// Decides what is told now and what is counted. Pure.
#[derive(Debug, Default)]
struct Windows(HashMap<Key, Window>);

impl Windows {
    /// Empty, and so free of allocations, while an event only repeats an earlier one.
    fn note(
        &mut self,
        key: Key,
        peer: &Peer,
        access_key_id: &str,
        remaining: Duration,
        now: BootTime,
    ) -> Vec<Event> {
        let mut due = Vec::new();
        if self.0.len() >= MOST_WINDOWS && !self.0.contains_key(&key) {
            due = self.close(|_| true);
        }
        let fresh = Window {
            opened: now,
            repeated: 0,
            access_key_id: String::new(),
            remaining,
        };
        match self.0.entry(key) {
            Entry::Occupied(mut entry) => {
                let window = entry.get_mut();
                let is_open = now.since(window.opened) < WINDOW;
                if is_open && window.access_key_id == access_key_id {
                    window.repeated += 1;
                    window.remaining = remaining;
                    return due;
                }
                let over = std::mem::replace(window, fresh);
                access_key_id.clone_into(&mut window.access_key_id);
                due.extend(over.summary(entry.key()));
                due.push(Event::first(entry.key(), peer, access_key_id, remaining));
            }
            Entry::Vacant(entry) => {
                due.push(Event::first(entry.key(), peer, access_key_id, remaining));
                let window = entry.insert(fresh);
                access_key_id.clone_into(&mut window.access_key_id);
            }
        }
        due
    }

    fn close(&mut self, is_over: impl Fn(&Window) -> bool) -> Vec<Event> {
        self.0
            .extract_if(|_, window| is_over(window))
            .filter_map(|(key, window)| window.summary(&key))
            .collect()
    }
}

impl Window {
    /// What was only counted, if anything was.
    fn summary(self, key: &Key) -> Option<Event> {
        (self.repeated > 0).then(|| Event {
            key: key.clone(),
            peer: Peer {
                uid: key.uid,
                ..Peer::default()
            },
            access_key_id: self.access_key_id,
            remaining: self.remaining,
            count: self.repeated,
        })
    }
}

impl Event {
    fn first(key: &Key, peer: &Peer, access_key_id: &str, remaining: Duration) -> Self {
        Self {
            key: key.clone(),
            peer: peer.clone(),
            access_key_id: access_key_id.to_owned(),
            remaining,
            count: 1,
        }
    }
}

fn tell(event: &Event) {
    let (key, peer) = (&event.key, &event.peer);
    let looked_up = match (&peer.unit, peer.pid) {
        (None, Some(pid)) => unit_of(pid),
        (Some(_), _) | (None, None) => None,
    };
    let unit = peer.unit.as_deref().or(looked_up.as_deref());
    match &key.subject {
        Subject::Role(role) => tracing::info!(
            target: "credvend::audit",
            action = "hand-out",
            listener = %key.listener,
            protocol = key.protocol,
            role = %role,
            uid = key.uid,
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
            uid = key.uid,
            pid = peer.pid,
            unit,
            count = event.count,
            "request refused"
        ),
    }
}

/// Best effort: the process may be gone, or its number be another's already.
fn unit_of(pid: i32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    unit_in(&text).map(ToOwned::to_owned)
}

/// The innermost unit in a `/proc/PID/cgroup`; `cgroups(7)`, `systemd.unit(5)`.
fn unit_in(cgroups: &str) -> Option<&str> {
    let path = cgroups.lines().find_map(|line| {
        line.strip_prefix("0::")
            .filter(|path| *path != "/")
            .or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))
    })?;
    path.rsplit('/').find(|part| {
        let is_unit = [".service", ".scope", ".socket"]
            .iter()
            .any(|kind| part.ends_with(kind));
        let is_plain = part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b));
        is_unit && is_plain && part.len() <= 256
    })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BootTime, Event, Key, MOST_WINDOWS, Peer, Subject, WINDOW, Windows, unit_in};

    fn key(uid: u32, subject: Subject) -> Key {
        Key {
            listener: "metadata".parse().unwrap(),
            protocol: "tencent",
            uid: Some(uid),
            subject,
        }
    }

    fn role() -> Subject {
        Subject::Role("app".parse().unwrap())
    }

    fn at(seconds: u64) -> BootTime {
        BootTime::new(Duration::from_secs(seconds))
    }

    fn counts(events: &[Event]) -> Vec<(u64, &str)> {
        events
            .iter()
            .map(|event| (event.count, event.access_key_id.as_str()))
            .collect()
    }

    #[test]
    fn the_first_is_told_and_repetitions_are_counted() {
        let mut windows = Windows::default();
        let peer = Peer::default();
        let left = Duration::from_mins(1);
        let mut note =
            |uid, id: &str, now| windows.note(key(uid, role()), &peer, id, left, at(now));
        assert_eq!(counts(&note(1, "AK1", 100)), [(1, "AK1")]);
        for second in 101..109 {
            assert!(note(1, "AK1", second).is_empty());
        }
        assert_eq!(counts(&note(2, "AK1", 109)), [(1, "AK1")], "another user");
        assert_eq!(
            counts(&note(1, "AK2", 109)),
            [(8, "AK1"), (1, "AK2")],
            "another set"
        );
        assert!(note(1, "AK2", 118).is_empty());
        assert_eq!(
            counts(&note(1, "AK2", 119)),
            [(1, "AK2"), (1, "AK2")],
            "window over"
        );
        assert!(note(1, "AK2", 120).is_empty());
        let due = windows.close(|window| at(129).since(window.opened) >= WINDOW);
        assert_eq!(counts(&due), [(1, "AK2")], "told by the timer");
        assert!(windows.0.is_empty());
    }

    #[test]
    fn a_denial_is_another_matter_than_a_hand_out() {
        let mut windows = Windows::default();
        let peer = Peer::default();
        let mut note = |subject| {
            windows
                .note(key(1, subject), &peer, "", Duration::ZERO, at(1))
                .len()
        };
        assert_eq!(note(role()), 1);
        assert_eq!(note(Subject::Denied("host")), 1);
        assert_eq!(note(Subject::Denied("token")), 1);
        assert_eq!(note(Subject::Denied("token")), 0);
    }

    #[test]
    fn memory_is_bounded_and_nothing_counted_is_lost() {
        let mut windows = Windows::default();
        let mut told = 0;
        let all = u32::try_from(MOST_WINDOWS).unwrap() + 500;
        for uid in 0..all {
            for _ in 0..2 {
                let due = windows.note(
                    key(uid, role()),
                    &Peer::default(),
                    "A",
                    Duration::ZERO,
                    at(1),
                );
                told += due.iter().map(|event| event.count).sum::<u64>();
            }
        }
        assert!(windows.0.len() <= MOST_WINDOWS);
        told += windows
            .close(|_| true)
            .iter()
            .map(|event| event.count)
            .sum::<u64>();
        assert_eq!(told, u64::from(all) * 2);
    }

    #[test]
    fn units_are_found_in_either_hierarchy() {
        for (text, unit) in [
            ("0::/system.slice/app.service\n", Some("app.service")),
            (
                "0::/system.slice/app@1.service/payload\n",
                Some("app@1.service"),
            ),
            (
                "9:name=systemd:/user.slice/user-1.slice/session-2.scope\n0::/\n",
                Some("session-2.scope"),
            ),
            ("0::/\n", None),
            ("0::/x/evil\"name.service\n", None),
            ("", None),
        ] {
            assert_eq!(unit_in(text), unit, "{text:?}");
        }
    }
}
