//! Unix sockets.
//!
//! A socket file appears with its final mode and owner without touching the umask, which is the
//! whole process's and would race with every other thread: Linux takes the file's mode from the
//! socket's own, so that is set before binding; owner and group follow before anybody can be let
//! in, since a socket refuses connections until it listens. Listening comes last.
//!
//! In a sticky directory the file's owner may put another in its place, a symlink too. So the path
//! is not used any more once the file is given away.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

use super::{BACKLOG, BindError};
use crate::config::model::SocketAccess;
use crate::directory;

/// What fits into a socket address besides its closing NUL; `unix(7)`.
const LONGEST_PATH: usize = 107;

/// A socket file that we made; removed on drop, unless something else took its place.
#[derive(Debug)]
pub struct OwnPath {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl OwnPath {
    /// The socket file at this path, which an earlier process of ours made.
    pub fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
        })
    }

    /// Leaves the file where it is: its socket outlives us.
    pub fn leave(mut self) {
        self.inode = 0; // no file has this number
    }
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "socket file left behind");
        }
    }
}

/// Binds and listens, non-blocking. A socket file that nobody listens on any more is replaced.
pub fn unix(path: &Path, access: &SocketAccess) -> Result<(UnixListener, OwnPath), BindError> {
    let shown = path.display();
    let own = rustix::process::geteuid().as_raw();
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(BindError(format!(
            "`{shown}` is longer than the {LONGEST_PATH} bytes that a socket path may have"
        )));
    }
    let parent = path.parent().unwrap_or(path);
    directory::ensure(parent, own).map_err(|unsafe_way| BindError(unsafe_way.to_string()))?;
    make_way(path)?;
    create(path, access, own).map_err(|error| BindError(explain(path, &error)))
}

/// Removes a socket file that nobody listens on; refuses to touch anything else.
fn make_way(path: &Path) -> Result<(), BindError> {
    let shown = path.display();
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BindError(format!("`{shown}` cannot be examined: {error}"))),
        Ok(found) => found,
    };
    if !found.file_type().is_socket() {
        let what = if found.is_dir() {
            "a directory"
        } else {
            "a file that is no socket"
        };
        return Err(BindError(format!(
            "`{shown}` is {what}: choose another path, or move it away"
        )));
    }
    if is_listened_on(path) {
        return Err(BindError(format!(
            "`{shown}` is in use by another program: `ss -lxp src {shown}` shows which"
        )));
    }
    fs::remove_file(path).map_err(|error| {
        BindError(format!(
            "`{shown}` is a socket nobody listens on, left by uid {}, and cannot be removed: \
             {error}",
            found.uid()
        ))
    })
}

/// Only a refusal proves that nobody is there.
fn is_listened_on(path: &Path) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let attempt = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .and_then(|probe| connect(&probe, &SocketAddrUnix::new(path)?));
    !matches!(attempt, Err(Errno::CONNREFUSED | Errno::NOENT))
}

/// Why there is no socket.
#[derive(Debug)]
enum Failed {
    /// It cannot be given to this owner or group. A sentence.
    Giving(String),
    Making(io::Error),
}

impl<E: Into<io::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Making(error.into())
    }
}

fn create(path: &Path, access: &SocketAccess, own: u32) -> Result<(UnixListener, OwnPath), Failed> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&socket, Mode::from_raw_mode(access.mode & 0o777))?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    let own_path = OwnPath::of(path)?;
    // The umask can only have taken bits away, and nobody gets in before `listen`. This follows a
    // symlink, but what is there is the socket just made: only we can put something else there.
    fs::set_permissions(path, Permissions::from_mode(access.mode & 0o777))?;
    if access.owner.is_some() || access.group.is_some() {
        lchown(path, access.owner, access.group)
            .map_err(|error| Failed::Giving(not_given(access, own, &error)))?;
    }
    listen(&socket, BACKLOG)?;
    Ok((UnixListener::from(socket), own_path))
}

fn explain(path: &Path, failed: &Failed) -> String {
    let shown = path.display();
    let error = match failed {
        Failed::Giving(why) => return format!("`{shown}` {why}"),
        Failed::Making(error) => error,
    };
    match Errno::from_io_error(error) {
        Some(Errno::PERM | Errno::ACCESS) => {
            format!("`{shown}` cannot be made: its directory is not writable for the daemon's user")
        }
        Some(Errno::ROFS) => {
            format!("`{shown}` cannot be made: its file system is read-only")
        }
        _ => format!("cannot listen on `{shown}`: {error}"),
    }
}

/// Without root a process gives its files to nobody else, and only to groups that it is in since
/// its start.
fn not_given(access: &SocketAccess, own: u32, error: &io::Error) -> String {
    let is_forbidden = Errno::from_io_error(error) == Some(Errno::PERM);
    match (access.owner, access.group) {
        (Some(owner), _) if is_forbidden && owner != own => format!(
            "cannot be given to uid {owner} by the daemon's user (uid {own}), since only root may \
             do that: leave `owner` out, and let `group` and `mode` say who may connect"
        ),
        (_, Some(group)) if is_forbidden => format!(
            "cannot be given to group {group}, since the daemon's user (uid {own}) is not in it: \
             make the user a member and restart the daemon, or configure another `group`"
        ),
        (owner, group) => format!(
            "cannot be given to owner {}, group {}: {error}",
            named(owner),
            named(group)
        ),
    }
}

fn named(id: Option<u32>) -> String {
    id.map_or_else(|| "unchanged".to_owned(), |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{SocketAccess, unix};
    use crate::listener::tests::support::skipped;

    fn mode(mode: u32) -> SocketAccess {
        SocketAccess {
            mode,
            mode_is_set: true,
            owner: None,
            group: None,
        }
    }

    fn refusal(path: &Path) -> String {
        unix(path, &mode(0o600)).unwrap_err().to_string()
    }

    #[test]
    fn the_file_has_its_mode_and_goes_away_with_us() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("made/for/us/s");
        for wanted in [0o600, 0o660, 0o666] {
            let (_socket, file) = unix(&path, &mode(wanted)).unwrap();
            let found = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, wanted);
            UnixStream::connect(&path).unwrap();
            drop(file);
            assert!(!path.exists());
        }
    }

    #[test]
    fn owner_and_group_are_set() {
        if rustix::process::geteuid().as_raw() != 0 {
            skipped("not root");
            return;
        }
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("s");
        let access = SocketAccess {
            mode: 0o660,
            mode_is_set: true,
            owner: Some(1234),
            group: Some(4321),
        };
        let (_socket, _file) = unix(&path, &access).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid()), (1234, 4321));
        assert_eq!(found.mode() & 0o777, 0o660);
    }

    /// Whoever is given the file may put another in its place; from then on the path is not ours.
    #[test]
    fn a_new_owner_who_puts_a_link_there_changes_the_mode_of_nothing() {
        if rustix::process::geteuid().as_raw() != 0 {
            skipped("not root");
            return;
        }
        let base = tempfile::tempdir().unwrap();
        let (path, victim) = (base.path().join("s"), base.path().join("victim"));
        fs::write(&victim, "").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        let access = SocketAccess {
            owner: Some(1234),
            ..mode(0o666)
        };
        let link = base.path().join("link");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::os::unix::fs::symlink(&victim, &link).unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    let is_given = |found: fs::Metadata| found.uid() == 1234;
                    if fs::symlink_metadata(&path).is_ok_and(is_given) {
                        fs::rename(&link, &path).ok();
                        std::os::unix::fs::symlink(&victim, &link).ok();
                    }
                }
            });
            for _ in 0..2000 {
                unix(&path, &access).ok();
                fs::remove_file(&path).ok();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(fs::metadata(&victim).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("s");
        let living = UnixListener::bind(&path).unwrap();
        let text = refusal(&path);
        assert!(text.contains("in use by another program"), "{text}");
        drop(living);
        assert!(path.exists(), "the file stays behind");
        let (_socket, file) = unix(&path, &mode(0o600)).unwrap();
        fs::remove_file(&path).unwrap();
        let _successor = UnixListener::bind(&path).unwrap();
        drop(file);
        assert!(path.exists(), "a successor's file is not ours to remove");
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let base = tempfile::tempdir().unwrap();
        let text = refusal(base.path());
        assert!(text.contains("is a directory"), "{text}");
        let file = base.path().join("file");
        fs::write(&file, "precious").unwrap();
        assert!(refusal(&file).contains("no socket"));
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        assert!(refusal(&base.path().join("x".repeat(120))).contains("107 bytes"));
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(refusal(&base.path().join("s")).contains("can be written by others"));
    }
}
