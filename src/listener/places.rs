//! Who may hold how many connections of one listener at a time. Pure, but for the lock.
//!
//! 1. No user can shut the others out, and nor can all of whom nobody knows who they are: to the
//!    kernel, a client of this host that has closed already is nobody's.
//! 2. Those who only get refusals have few places each, and a quarter of all together, so that those
//!    who are let in find room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::access::Identity;

/// Connections of one listener at a time; more wait to be accepted.
pub(crate) const ALL: u32 = 1024;
/// Of one user; more are closed.
const PER_USER: u32 = 256;
/// The same for a user who only gets refusals.
const PER_STRANGER: u32 = 16;
/// For all of these together.
const STRANGERS: u32 = ALL / 4;

/// Who asks for a place.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Guest {
    /// Somebody on this host who is let in; all whose uid is not known are taken for one.
    User(Option<u32>),
    /// Somebody elsewhere who is let in. Nobody can tell how many these are.
    Remote,
    /// Somebody who only gets refusals.
    Stranger(Option<u32>),
}

impl Guest {
    pub(crate) fn new(identity: Identity, is_admitted: bool) -> Self {
        if !is_admitted {
            Self::Stranger(identity.uid())
        } else if identity == Identity::Outside {
            Self::Remote
        } else {
            Self::User(identity.uid())
        }
    }

    /// How many places such a guest may have, if that is limited.
    fn most(self) -> Option<u32> {
        match self {
            Self::User(_) => Some(PER_USER),
            Self::Remote => None,
            Self::Stranger(_) => Some(PER_STRANGER),
        }
    }

    fn is_stranger(self) -> bool {
        matches!(self, Self::Stranger(_))
    }
}

/// The places of one listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    by_guest: HashMap<Guest, u32>,
    strangers: u32,
}

/// One place, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    guest: Guest,
}

impl Places {
    /// A place, if this guest may have one more. Whether there is room at all is another matter.
    pub(crate) fn take(&self, guest: Guest) -> Option<Place> {
        let is_free = self.lock().take(guest);
        is_free.then(|| Place {
            places: self.clone(),
            guest,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().free(self.guest);
    }
}

impl Taken {
    fn take(&mut self, guest: Guest) -> bool {
        let its = self.by_guest.get(&guest).copied().unwrap_or_default();
        let has_enough = guest.most().is_some_and(|most| its >= most);
        if has_enough || guest.is_stranger() && self.strangers >= STRANGERS {
            return false;
        }
        self.by_guest.insert(guest, its + 1);
        self.strangers += u32::from(guest.is_stranger());
        true
    }

    fn free(&mut self, guest: Guest) {
        if let Some(its) = self.by_guest.get_mut(&guest) {
            *its -= 1;
            if *its == 0 {
                self.by_guest.remove(&guest);
            }
        }
        self.strangers -= u32::from(guest.is_stranger());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_for(places: &Places, guest: Guest) -> Vec<Place> {
        std::iter::from_fn(|| places.take(guest)).collect()
    }

    #[test]
    fn whoever_nobody_knows_counts_as_one_user() {
        let places = Places::default();
        for unknown in [Identity::NoSuchSocket, Identity::NoAnswer] {
            let guest = Guest::new(unknown, true);
            let held = all_for(&places, guest);
            assert_eq!(held.len(), 256, "{unknown:?}");
            assert!(places.take(Guest::User(Some(7))).is_some());
        }
        let elsewhere = Guest::new(Identity::Outside, true);
        let held: Vec<_> = (0..ALL).filter_map(|_| places.take(elsewhere)).collect();
        assert_eq!(held.len(), 1024);
    }

    #[test]
    fn all_strangers_together_leave_room_for_those_who_are_let_in() {
        let places = Places::default();
        let each = |uid| all_for(&places, Guest::Stranger(uid));
        let unknown = each(None);
        assert_eq!(unknown.len(), 16);
        let held: Vec<_> = (0..64).flat_map(|uid| each(Some(uid))).collect();
        assert_eq!(held.len(), 240);
        assert_eq!(all_for(&places, Guest::User(Some(7))).len(), 256);
        drop((unknown, held));
        assert_eq!(each(Some(7)).len(), 16);
        let taken = places.lock();
        assert_eq!(taken.strangers, 0);
        assert!(taken.by_guest.is_empty(), "{taken:?}");
    }
}
