//! Whom a command takes for the daemon.
//!
//! While the daemon is down anybody may hold its port, or have put a socket where it will put its
//! own. So the kernel is asked who is at the other end, and somebody who is not known to be the
//! daemon is sent nothing and believed nothing. Root and our own user always are; others are told
//! by what is theirs in places that nobody else can write to:
//!
//! 1. the admin socket takes orders, so its other end must be the owner of its directory;
//! 2. a role's socket may come from another user namespace, where owners mean little: whoever
//!    answers there was let into its directory by its owner;
//! 3. a port is anybody's, so its holder must own a file that the configuration names (a mark).
//!
//! Where systemd listens it is root that a Unix socket shows. On TCP it is who accepts that counts.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep};

use super::question::{CallError, Errand, Question, Target};
use crate::config::model::is_local;
use crate::directory;
use crate::listener::sock_diag::{End, SockDiag};
use crate::listener::token::{TokenError, Value, read_file};

/// Until the kernel knows of a connection that was just made.
const LATEST_ROW: Duration = Duration::from_millis(100);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(2);

/// The user at the other end of a Unix socket.
pub(super) fn of_unix(
    path: &Path,
    stream: &UnixStream,
    question: &Question,
) -> Result<u32, CallError> {
    let target = || Target::Unix(path.to_owned());
    let uid = stream
        .peer_cred()
        .map_err(|_| CallError::Unnamed { target: target() })?
        .uid();
    let is_known = match question.errand {
        Errand::Operate => is_one_of(uid, &owners(path, question.marks.first())),
        Errand::Fetch => is_closed(path) || is_one_of(uid, &owners_of_all(&question.marks)),
    };
    if is_known || is_one_of(uid, &[]) {
        return Ok(uid);
    }
    Err(CallError::Stranger {
        target: target(),
        uid,
    })
}

/// The user at the other end of a TCP connection; `None` if that is another host.
pub(super) async fn of_tcp(
    stream: &TcpStream,
    question: &Question,
) -> Result<Option<u32>, CallError> {
    let (Ok(near), Ok(far)) = (stream.local_addr(), stream.peer_addr()) else {
        return Ok(None); // gone: there is nobody to send something to
    };
    let mut kernel = SockDiag::default();
    let begun = Instant::now();
    let uid = loop {
        match kernel.end(far, near) {
            Ok(End::Owner(uid)) => break Some(uid),
            Ok(End::Closed | End::Nobody) | Err(_) if begun.elapsed() > LATEST_ROW => break None,
            // Nobody owns it until it is accepted. How long that may take is the caller's affair.
            Ok(End::Queued | End::Closed | End::Nobody) | Err(_) => {}
        }
        sleep(PAUSE).await;
    };
    let target = Target::Tcp(far);
    match uid {
        Some(uid) if is_one_of(uid, &owners_of_all(&question.marks)) => Ok(Some(uid)),
        Some(uid) => Err(CallError::Stranger { target, uid }),
        None if is_local(far.ip()) => Err(CallError::Unnamed { target }),
        None => Ok(None),
    }
}

/// The token in a file that nobody could have put there but root, ourselves, the peer, and whoever
/// owns the place.
pub(super) fn token(path: &Path, peer: Option<u32>) -> Result<Value, TokenError> {
    let own = geteuid().as_raw();
    let owner = fs::symlink_metadata(path).map_or(own, |found| found.uid());
    let is_fine = Some(owner) == peer || is_one_of(owner, &owners(path, Some(&path.to_owned())));
    read_file(path, if is_fine { owner } else { own })
}

fn is_one_of(uid: u32, others: &[u32]) -> bool {
    uid == 0 || uid == geteuid().as_raw() || others.contains(&uid)
}

fn owners_of_all(marks: &[PathBuf]) -> Vec<u32> {
    let config = marks.first();
    marks.iter().flat_map(|mark| owners(mark, config)).collect()
}

/// The owners of a file and of its directory, if nobody else can put another one there, and nobody
/// could have made the place. Whose configuration is used is believed all the same.
fn owners(path: &Path, config: Option<&PathBuf>) -> Vec<u32> {
    let Some(directory) = directory_of(path) else {
        return Vec::new();
    };
    let found = [fs::symlink_metadata(path), fs::metadata(&directory)];
    let uids = found.into_iter().flatten().map(|found| found.uid());
    uids.filter(|uid| is_theirs(&directory, *uid) && !is_made_up(&directory, *uid, config))
        .collect()
}

/// Whether only the owner of a file's directory, and root, can put something there.
fn is_closed(path: &Path) -> bool {
    directory_of(path).is_some_and(|directory| {
        fs::metadata(&directory).is_ok_and(|found| is_theirs(&directory, found.uid()))
    })
}

/// Stricter than [`directory::check`] on the last step: in a sticky directory whoever comes first
/// has the name.
fn is_theirs(directory: &Path, uid: u32) -> bool {
    directory::check(directory, uid).is_ok()
        && fs::metadata(directory).is_ok_and(|found| found.mode() & 0o022 == 0)
}

/// Whether somebody may have made a directory without being given one: he owns what lies in a
/// public directory on the way, and the configuration does not lie there too.
fn is_made_up(directory: &Path, uid: u32, config: Option<&PathBuf>) -> bool {
    let Ok(real) = directory::check(directory, uid) else {
        return true;
    };
    let config = config.and_then(|it| fs::canonicalize(it).ok());
    let is_public = |at: &Path| fs::metadata(at).is_ok_and(|it| it.mode() & 0o022 != 0);
    let is_his = |at: &Path| fs::metadata(at).is_ok_and(|it| it.uid() == uid);
    !is_one_of(uid, &[])
        && real.ancestors().any(|at| {
            at.parent().is_some_and(is_public)
                && is_his(at)
                && !config.as_ref().is_some_and(|it| it.starts_with(at))
        })
}

fn directory_of(path: &Path) -> Option<PathBuf> {
    Some(std::path::absolute(path).ok()?.parent()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    use super::*;
    use crate::listener::tests::support::skipped;

    const STRANGER: u32 = 54_321;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_tells_its_owners_only_where_nobody_else_can_write() {
        let own = geteuid().as_raw();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("admin.sock");
        assert_eq!(owners(&file, None), [own], "of the directory");
        fs::write(&file, "").unwrap();
        assert_eq!(owners(&file, None), [own, own]);
        assert!(is_closed(&file));
        for mode in [0o777, 0o1777, 0o770] {
            set_mode(dir.path(), mode);
            assert!(owners(&file, None).is_empty(), "{mode:o}");
            assert!(!is_closed(&file), "{mode:o}");
        }
        assert!(owners(Path::new("/nowhere/admin.sock"), None).is_empty());
    }

    #[test]
    fn a_token_of_a_stranger_is_not_read() {
        if geteuid().as_raw() != 0 {
            skipped("not root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (secret, planted) = (dir.path().join("secret"), dir.path().join("token"));
        fs::write(&secret, "a-secret-of-root-alone").unwrap();
        assert!(token(&secret, None).is_ok());
        symlink(&secret, &planted).unwrap();
        lchown(&planted, Some(STRANGER), None).unwrap();
        set_mode(dir.path(), 0o1777);
        for peer in [None, Some(0), Some(999)] {
            let error = token(&planted, peer).unwrap_err().to_string();
            assert!(error.contains("belongs to uid 54321"), "{error}");
        }
        // The daemon's own, whoever it is.
        fs::remove_file(&planted).unwrap();
        fs::write(&planted, "0123456789abcdef").unwrap();
        lchown(&planted, Some(STRANGER), None).unwrap();
        assert!(token(&planted, Some(STRANGER)).is_ok());
    }
}
