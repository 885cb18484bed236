//! Who may hold how many connections of one way in at a time. Pure, but for the lock.
//!
//! 1. Nobody can take all places: one user has a few, and some are left to those who operate the
//!    daemon (root, its own user, the operators) whatever all others do.
//! 2. Peers whose user is not known share what one way in has for strangers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All places.
const ALL: usize = 64;
/// Of these, kept for those who operate the daemon.
const RESERVED: usize = 16;
/// For one user who does not.
const PER_USER: usize = 16;

/// Who asks for a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Guest {
    /// Root, the daemon's own user, an operator.
    Operator,
    /// Anybody else, by uid where that is known.
    Stranger(Option<u32>),
}

/// The places of one way in.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    operators: usize,
    strangers: usize,
    by_uid: HashMap<u32, usize>,
}

/// One place, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    guest: Guest,
}

impl Places {
    /// A place, if there is one for this guest.
    pub(super) fn take(&self, guest: Guest) -> Option<Place> {
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
        if self.operators + self.strangers >= ALL {
            return false;
        }
        let Guest::Stranger(uid) = guest else {
            self.operators += 1;
            return true;
        };
        if self.strangers >= ALL - RESERVED {
            return false;
        }
        if let Some(uid) = uid {
            let its = self.by_uid.entry(uid).or_default();
            if *its >= PER_USER {
                return false;
            }
            *its += 1;
        }
        self.strangers += 1;
        true
    }

    fn free(&mut self, guest: Guest) {
        match guest {
            Guest::Operator => self.operators -= 1,
            Guest::Stranger(uid) => {
                self.strangers -= 1;
                if let Some(uid) = uid
                    && let Some(its) = self.by_uid.get_mut(&uid)
                {
                    *its -= 1;
                    if *its == 0 {
                        self.by_uid.remove(&uid);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_for(places: &Places, guest: Guest) -> Vec<Place> {
        std::iter::from_fn(|| places.take(guest)).collect()
    }

    #[test]
    fn a_user_who_takes_all_they_can_locks_nobody_out() {
        let places = Places::default();
        let first = all_for(&places, Guest::Stranger(Some(1)));
        assert_eq!(first.len(), PER_USER);
        let second = all_for(&places, Guest::Stranger(Some(2)));
        assert_eq!(second.len(), PER_USER);
        let unknown = all_for(&places, Guest::Stranger(None));
        assert_eq!(unknown.len(), ALL - RESERVED - 2 * PER_USER);
        assert!(places.take(Guest::Stranger(Some(3))).is_none());
        assert_eq!(all_for(&places, Guest::Operator).len(), RESERVED);

        drop(first);
        assert_eq!(all_for(&places, Guest::Operator).len(), RESERVED + PER_USER);
        drop((second, unknown));
        let taken = places.lock();
        assert_eq!((taken.operators, taken.strangers), (0, 0));
        assert!(taken.by_uid.is_empty(), "{taken:?}");
    }
}
