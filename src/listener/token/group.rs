//! Whose group the token's file is: that of the clients, who read the file themselves.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use super::TokenError;

/// Gives a file of ours to this group. Another's file is for its owner to give, and what its mode
/// says stays as it is.
pub(super) fn give(path: &Path, group: Option<u32>, own: u32) -> Result<(), TokenError> {
    let Some(group) = group else { return Ok(()) };
    let needs_it = fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_file() && found.uid() == own && found.gid() != group);
    if !needs_it {
        return Ok(());
    }
    lchown(path, None, Some(group)).map_err(|error| {
        let error = refused(group, &error);
        TokenError(format!("token file `{}`: {error}", path.display()))
    })
}

/// Without root a process gives files only to groups that it belongs to.
pub(super) fn refused(group: u32, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!(
            "it cannot be given to group {group}: {error}; the daemon's user must be a member of \
             it since its start"
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::sync::Arc;

    use super::give;
    use crate::clock::testing::TestClock;
    use crate::listener::tests::support::skipped;
    use crate::listener::token::Token;

    const GROUP: u32 = 4321;

    #[tokio::test(start_paused = true)]
    async fn a_file_of_ours_is_given_to_the_group_new_or_old() {
        if !rustix::process::geteuid().is_root() {
            skipped("only root can give files to any group");
            return;
        }
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("token");
        let open = |group| Token::open(&path, group, Arc::new(TestClock::start())).unwrap();
        let facts = || {
            let found = fs::metadata(&path).unwrap();
            (found.gid(), found.permissions().mode() & 0o777)
        };
        drop(open(Some(GROUP)));
        assert_eq!(facts(), (GROUP, 0o440));
        let token = open(Some(GROUP + 1));
        assert_eq!(facts(), (GROUP + 1, 0o440), "an old file");
        token.give_to(Some(GROUP)).unwrap();
        assert_eq!(facts(), (GROUP, 0o440), "at a reload");
        token.give_to(None).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        drop(open(Some(GROUP + 1)));
        assert_eq!(facts(), (GROUP + 1, 0o400), "the mode is its maker's");

        chown(&path, Some(1234), Some(0)).unwrap();
        give(&path, Some(GROUP), 0).unwrap();
        assert_eq!(facts().0, 0, "another's");
    }
}
