//! What a soak believes about the service, and whether an answer contradicts it. Pure.
//!
//! Promises held against every answer:
//!
//! - *Never expired*: what an answer shows as its expiry lies after the moment of the request.
//! - *Never torn*: an access key id always comes with the same secret, token and role.
//! - *Never backwards*: a request asked after a newer set was seen never gets an older one.
//! - *Never withdrawn*: while a set that was shown has shown life left, its role answers 200.
//!
//! Answers overtake each other, so what an answer is held against is noted when its request is
//! sent ([`Witness::before`]), not when it comes back.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use crate::formats::Set;

/// Everything seen so far.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    sets: HashMap<String, Known>,
    roles: HashMap<String, Seen>,
}

#[derive(Debug)]
struct Known {
    role: String,
    secret: String,
    token: String,
    /// From the first answer that told.
    generation: Option<u64>,
}

/// What is known of a role at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// The newest set.
    generation: u64,
    /// The latest expiry shown, since 1970.
    shown_until: Duration,
    /// Whether its last answer held a set.
    served: bool,
}

/// What an answer did wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Wrong {
    Expired,
    Torn,
    Backwards,
    Withdrawn,
    /// No set, and no promise broken: the role had nothing left that it could serve.
    Unavailable,
}

impl Witness {
    /// What a request that is sent now will be held against.
    pub(crate) fn before(&self, role: &str) -> Seen {
        self.roles.get(role).copied().unwrap_or_default()
    }

    /// A set for `role`, asked for at the wall-clock moment `asked`.
    pub(crate) fn got(
        &mut self,
        role: &str,
        set: Set,
        before: Seen,
        asked: Duration,
    ) -> Result<(), Wrong> {
        let expires = set.expires;
        let generation = self.recognise(role, set)?;
        let seen = self.roles.entry(role.to_owned()).or_default();
        seen.served = true;
        seen.shown_until = seen.shown_until.max(expires);
        seen.generation = seen.generation.max(generation.unwrap_or_default());

        if expires <= asked {
            return Err(Wrong::Expired);
        }
        if generation.is_some_and(|generation| generation < before.generation) {
            return Err(Wrong::Backwards);
        }
        Ok(())
    }

    /// An answer without a set, which came at the wall-clock moment `now`.
    pub(crate) fn refused(&mut self, role: &str, before: Seen, now: Duration) -> Wrong {
        self.roles.entry(role.to_owned()).or_default().served = false;
        if now < before.shown_until {
            Wrong::Withdrawn
        } else {
            Wrong::Unavailable
        }
    }

    /// Roles whose last answer held a set.
    pub(crate) fn roles_served(&self) -> usize {
        self.roles.values().filter(|seen| seen.served).count()
    }

    /// Different sets seen.
    pub(crate) fn sets(&self) -> usize {
        self.sets.len()
    }

    /// The generation of a set, if any answer has told it; an error if it is not the set that
    /// was seen under its id before.
    fn recognise(&mut self, role: &str, set: Set) -> Result<Option<u64>, Wrong> {
        match self.sets.entry(set.id) {
            Entry::Vacant(entry) => {
                entry.insert(Known {
                    role: role.to_owned(),
                    secret: set.secret,
                    token: set.token,
                    generation: set.generation,
                });
                Ok(set.generation)
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                let differs = set
                    .generation
                    .is_some_and(|told| known.generation.is_some_and(|had| had != told));
                if known.role != role
                    || known.secret != set.secret
                    || known.token != set.token
                    || differs
                {
                    return Err(Wrong::Torn);
                }
                known.generation = known.generation.or(set.generation);
                Ok(known.generation)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Set, Witness, Wrong};

    const ASKED: Duration = Duration::from_secs(1000);

    fn set(number: u64, lives: u64) -> Set {
        Set {
            id: format!("AKID{number}"),
            secret: format!("secret of {number}"),
            token: format!("token of {number}"),
            expires: ASKED + Duration::from_secs(lives),
            generation: Some(number),
        }
    }

    fn ask(witness: &mut Witness, set: Set) -> Result<(), Wrong> {
        let before = witness.before("app");
        witness.got("app", set, before, ASKED)
    }

    #[test]
    fn a_rotation_is_fine() {
        let mut witness = Witness::default();
        for number in [1, 1, 2, 2, 5] {
            assert_eq!(ask(&mut witness, set(number, 60)), Ok(()));
        }
        assert_eq!((witness.sets(), witness.roles_served()), (3, 1));
    }

    #[test]
    fn an_expired_set_is_noticed() {
        let mut witness = Witness::default();
        assert_eq!(ask(&mut witness, set(1, 0)), Err(Wrong::Expired));
    }

    #[test]
    fn parts_of_two_sets_are_noticed() {
        for torn in [
            Set {
                secret: set(2, 60).secret,
                ..set(1, 60)
            },
            Set {
                token: set(2, 60).token,
                ..set(1, 60)
            },
            Set {
                generation: Some(2),
                ..set(1, 60)
            },
        ] {
            let mut witness = Witness::default();
            assert_eq!(ask(&mut witness, set(1, 60)), Ok(()));
            assert_eq!(ask(&mut witness, torn), Err(Wrong::Torn));
        }
    }

    #[test]
    fn another_roles_set_is_noticed() {
        let mut witness = Witness::default();
        assert_eq!(ask(&mut witness, set(1, 60)), Ok(()));
        let before = witness.before("batch");
        assert_eq!(
            witness.got("batch", set(1, 60), before, ASKED),
            Err(Wrong::Torn)
        );
    }

    #[test]
    fn an_older_set_after_a_newer_one_is_noticed_even_without_its_generation() {
        let mut witness = Witness::default();
        assert_eq!(ask(&mut witness, set(1, 60)), Ok(()));
        assert_eq!(ask(&mut witness, set(2, 60)), Ok(()));
        let untold = Set {
            generation: None,
            ..set(1, 60)
        };
        assert_eq!(ask(&mut witness, untold), Err(Wrong::Backwards));
    }

    #[test]
    fn answers_may_overtake_each_other() {
        let mut witness = Witness::default();
        let before = witness.before("app");
        assert_eq!(ask(&mut witness, set(2, 60)), Ok(()));
        assert_eq!(witness.got("app", set(1, 60), before, ASKED), Ok(()));
    }

    #[test]
    fn no_set_is_a_broken_promise_only_while_one_has_shown_life_left() {
        let mut witness = Witness::default();
        assert_eq!(ask(&mut witness, set(1, 60)), Ok(()));
        let before = witness.before("app");
        let early = ASKED + Duration::from_millis(59_999);
        let end = ASKED + Duration::from_mins(1);
        assert_eq!(witness.refused("app", before, early), Wrong::Withdrawn);
        assert_eq!(witness.refused("app", before, end), Wrong::Unavailable);
        assert_eq!(witness.roles_served(), 0);
    }
}
