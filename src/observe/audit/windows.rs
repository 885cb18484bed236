//! What is told at once, and what is only counted for a while. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use super::Peer;
use crate::clock::BootTime;
use crate::name::Name;

/// How long repetitions are only counted.
pub const WINDOW: Duration = Duration::from_secs(10);

/// Windows open at a time. Only a host with that many users has more; those who come last share one
/// per subject, so that nobody can fill the log by being many.
const MOST_WINDOWS: usize = 4096;

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) listener: Name,
    pub(super) protocol: &'static str,
    pub(super) who: Who,
    pub(super) subject: Subject,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Who {
    /// A user, or all of whom it is not known who they are.
    User(Option<u32>),
    /// All for whom there was no window any more.
    Others,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Subject {
    Role(Name),
    Denied(&'static str),
    /// An operation that is for operators.
    Operation(&'static str),
}

/// What happened under one key since it was last told.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) opened: BootTime,
    repeated: u64,
    pub(super) access_key_id: String,
    pub(super) remaining: Duration,
}

/// Something to be told.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) key: Key,
    pub(super) peer: Peer,
    pub(super) access_key_id: String,
    pub(super) remaining: Duration,
    pub(super) count: u64,
}

/// Decides what is told now and what is counted. Pure.
#[derive(Debug, Default)]
pub(super) struct Windows(HashMap<Key, Window>);

impl Windows {
    /// Empty, and so free of allocations, while an event only repeats an earlier one.
    pub(super) fn note(
        &mut self,
        mut key: Key,
        peer: &Peer,
        access_key_id: &str,
        remaining: Duration,
        now: BootTime,
    ) -> Vec<Event> {
        let mut due = Vec::new();
        if self.0.len() >= MOST_WINDOWS && !self.0.contains_key(&key) {
            key.who = Who::Others;
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

    pub(super) fn close(&mut self, is_over: impl Fn(&Window) -> bool) -> Vec<Event> {
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
                uid: match key.who {
                    Who::User(uid) => uid,
                    Who::Others => None,
                },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uid: u32, subject: Subject) -> Key {
        Key {
            listener: "metadata".parse().unwrap(),
            protocol: "tencent",
            who: Who::User(Some(uid)),
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
    fn memory_and_lines_are_bounded_and_nothing_counted_is_lost() {
        let mut windows = Windows::default();
        let most = u32::try_from(MOST_WINDOWS).unwrap();
        let (mut lines, mut told) = (0, 0);
        let mut tell = |due: Vec<Event>| {
            lines += due.len();
            told += due.iter().map(|event| event.count).sum::<u64>();
        };
        for uid in 0..2 * most {
            for _ in 0..2 {
                let peer = Peer {
                    uid: Some(uid),
                    ..Peer::default()
                };
                let due = windows.note(key(uid, role()), &peer, "A", Duration::ZERO, at(1));
                assert!(due.iter().all(|event| event.peer.uid == Some(uid)));
                tell(due);
            }
        }
        assert_eq!(windows.0.len(), MOST_WINDOWS + 1);
        tell(windows.close(|_| true));
        assert_eq!(lines, 2 * (MOST_WINDOWS + 1));
        assert_eq!(told, u64::from(most) * 4);
    }
}
