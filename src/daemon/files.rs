//! Notices that a file behind a role changed: a key, a token, an assertion.
//!
//! Asks for the files' versions every two seconds instead of watching them: that also works
//! where notifications do not (network file systems, the symlink swaps of projected volumes),
//! and a thousand files cost a millisecond.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::roles::{Roles, Watched};
use crate::provider::secrets::Stamp;

const EVERY: Duration = Duration::from_secs(2);

/// Tells refreshers about changed files. Runs until dropped.
pub(super) async fn watch(roles: &Roles) {
    let mut seen: BTreeMap<PathBuf, Option<Stamp>> = BTreeMap::new();
    loop {
        let watched = roles.watched_files();
        let mut now = BTreeMap::new();
        for (path, _) in watched.iter().flat_map(|watched| &watched.files) {
            if !now.contains_key(path) {
                now.insert(path.clone(), Stamp::of(path));
            }
        }
        for Watched { handle, files } in &watched {
            let changed = files.iter().any(|(path, at_first)| {
                // A file that is new here may have changed since its role first read it.
                let before = seen.get(path).copied().unwrap_or(*at_first);
                appeared_or_changed(before, now.get(path).copied().flatten())
            });
            if changed {
                handle.secret_changed().await;
            }
        }
        seen = now;
        tokio::time::sleep(EVERY).await;
    }
}

/// A file that vanished is no news: what it held is still in memory where it is needed.
fn appeared_or_changed(before: Option<Stamp>, now: Option<Stamp>) -> bool {
    now.is_some() && before != now
}
