//! A memory of named things with room for so many: the oldest are forgotten first.

use std::collections::VecDeque;

/// Sign-ins, sessions, clients and refresh tokens each: far above any test, and a bound.
const MOST: usize = 1_000;

/// In the order in which they came. Few enough that looking through all of them is quick.
#[derive(Debug)]
pub(in crate::emulator) struct Newest<T>(VecDeque<(String, T)>);

impl<T> Newest<T> {
    pub(in crate::emulator) fn get(&self, name: &str) -> Option<&T> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }

    pub(in crate::emulator) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        let found = self.0.iter_mut().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }

    /// Remembers something under a name that is new or free again.
    pub(in crate::emulator) fn insert(&mut self, name: String, value: T) {
        drop(self.remove(&name));
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((name, value));
    }

    /// What is known by that name; if nothing is, it is made.
    pub(in crate::emulator) fn get_or_insert_with(
        &mut self,
        name: &str,
        make: impl FnOnce() -> T,
    ) -> &mut T {
        if self.get(name).is_none() {
            self.insert(name.to_owned(), make());
        }
        self.get_mut(name).expect("it was put in if it was missing")
    }

    pub(in crate::emulator) fn remove(&mut self, name: &str) -> Option<T> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        self.0.remove(at).map(|(_, value)| value)
    }

    pub(in crate::emulator) fn clear(&mut self) {
        self.0.clear();
    }

    pub(in crate::emulator) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(in crate::emulator) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(in crate::emulator) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Newest};

    #[test]
    fn the_oldest_makes_room_whatever_its_name() {
        let mut newest = Newest::default();
        newest.insert("z".to_owned(), 0);
        newest.insert("a".to_owned(), 1);
        for number in 2..MOST {
            newest.insert(format!("m{number}"), number);
        }
        assert_eq!(newest.get("z"), Some(&0), "there was room for all of them");
        newest.insert("one too many".to_owned(), MOST);
        assert_eq!(newest.get("z"), None);
        assert_eq!(newest.get("a"), Some(&1));
        assert_eq!(newest.names().count(), MOST);
    }

    #[test]
    fn who_is_remembered_anew_is_the_newest() {
        let mut newest = Newest::default();
        newest.insert("a".to_owned(), 1);
        newest.insert("b".to_owned(), 2);
        newest.insert("a".to_owned(), 3);
        assert_eq!(newest.names().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(newest.get("a"), Some(&3));
    }
}
