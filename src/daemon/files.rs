//! Notices that a file behind a role changed: a key, a token, an assertion.
//!
//! Asks for the files' versions every two seconds instead of watching them: that also works
//! where notifications do not (network file systems, the symlink swaps of projected volumes),
//! and a thousand files cost a millisecond.
//!
//! A role is told once its files have been quiet for one look: the two halves of a key are two
//! files, and signing with the new one of one and the old one of the other may lock the key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::roles::{Roles, Watched};
use crate::name::Name;
use crate::stamp::Stamp;

const EVERY: Duration = Duration::from_secs(2);

type Versions = BTreeMap<PathBuf, Option<Stamp>>;

/// Tells refreshers about changed files. Runs until dropped.
pub(super) async fn watch(roles: &Roles) {
    let mut observer = Observer::default();
    loop {
        let watched = roles.watched_files();
        let mut now = Versions::new();
        for (path, _) in watched.iter().flat_map(|watched| &watched.files) {
            if !now.contains_key(path) {
                now.insert(path.clone(), Stamp::of(path));
            }
        }
        let files = watched
            .iter()
            .map(|Watched { handle, files }| (handle.role().name(), files.as_slice()));
        let settled = observer.look(files, now);
        for Watched { handle, .. } in &watched {
            if settled.contains(handle.role().name()) {
                handle.secret_changed().await;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Observer {
    seen: Versions,
    /// Roles with a file that had changed at the last look.
    restless: BTreeSet<Name>,
}

impl Observer {
    /// `roles` are all there are, each with its files as they were before it first read them. The
    /// roles whose files have changed and are quiet now.
    fn look<'a>(
        &mut self,
        roles: impl Iterator<Item = (&'a Name, &'a [(PathBuf, Option<Stamp>)])>,
        now: Versions,
    ) -> BTreeSet<Name> {
        let mut restless = BTreeSet::new();
        let mut settled = BTreeSet::new();
        for (role, files) in roles {
            let changed = files.iter().any(|(path, at_first)| {
                // A file that is new here may have changed since its role first read it.
                let before = self.seen.get(path).copied().unwrap_or(*at_first);
                appeared_or_changed(before, now.get(path).copied().flatten())
            });
            if changed {
                restless.insert(role.clone());
            } else if self.restless.contains(role) {
                settled.insert(role.clone());
            }
        }
        self.seen = now;
        self.restless = restless;
        settled
    }
}

/// A file that vanished is no news: what it held is still in memory where it is needed.
fn appeared_or_changed(before: Option<Stamp>, now: Option<Stamp>) -> bool {
    now.is_some() && before != now
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// One look at two roles: one signs with a key of two files, the other with one of them.
    fn look(observer: &mut Observer, directory: &Path) -> Vec<String> {
        let file = |name: &str| (directory.join(name), None);
        let roles: [(Name, Vec<_>); 2] = [
            ("both".parse().unwrap(), vec![file("id"), file("secret")]),
            ("one".parse().unwrap(), vec![file("id")]),
        ];
        let now = ["id", "secret"]
            .map(|name| directory.join(name))
            .map(|path| (path.clone(), Stamp::of(&path)));
        let roles = roles.iter().map(|(name, files)| (name, files.as_slice()));
        let settled = observer.look(roles, now.into());
        settled.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_role_is_told_once_all_its_files_are_quiet() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
        let mut observer = Observer::default();
        assert_eq!(look(&mut observer, directory), [""; 0], "nothing is there");
        write("id", "new");
        assert_eq!(look(&mut observer, directory), [""; 0], "it may go on");
        write("secret", "new");
        assert_eq!(look(&mut observer, directory), ["one"]);
        assert_eq!(look(&mut observer, directory), ["both"]);
        assert_eq!(look(&mut observer, directory), [""; 0], "told once");

        std::fs::remove_file(directory.join("secret")).unwrap();
        assert_eq!(look(&mut observer, directory), [""; 0]);
        assert_eq!(look(&mut observer, directory), [""; 0], "gone is no news");
        write("secret", "newer");
        assert_eq!(look(&mut observer, directory), [""; 0]);
        assert_eq!(look(&mut observer, directory), ["both"]);
    }
}
