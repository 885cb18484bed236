//! Where the admin socket really is: a symlink that the daemon leaves for the commands.
//!
//! Commands find the socket through the configuration, which may have been changed under the
//! daemon, or be broken; `reload` is wanted exactly then. So the daemon leaves the path in its
//! runtime directory (`$RUNTIME_DIRECTORY`, else `/run/credvend`), under a name made from that of
//! the configuration file: daemons with other files leave others. It is a convenience, so where
//! it cannot be left nothing else changes. One that was killed cannot take its own away, so whoever
//! comes next takes away what leads nowhere.
//!
//! A command believes it as far as the default socket in the same directory: nobody but root and
//! the directory's owner may be able to change it.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::directory;
use crate::mac::sha256_hex;

const USUAL: &str = "/run/credvend";

/// The symlink of one daemon, which is taken away when this is dropped.
#[derive(Debug)]
pub struct Left {
    link: PathBuf,
}

/// Says where the admin socket of the daemon with this configuration is; `None` where there is no
/// directory for it.
#[must_use]
pub fn leave(config: &Path, socket: &Path) -> Option<Left> {
    let listed = runtime_directory();
    let directory = listed.unwrap_or_else(|| USUAL.into());
    match leave_in(&directory, config, socket) {
        Ok(left) => Some(left),
        Err(error) => {
            let directory = directory.display();
            tracing::debug!(%directory, %error, "commands find the admin socket by the configuration alone");
            None
        }
    }
}

/// Where the daemon with this configuration said that its admin socket is.
#[must_use]
pub fn find(config: &Path) -> Option<PathBuf> {
    let usual = PathBuf::from(USUAL);
    runtime_directory()
        .into_iter()
        .chain([usual])
        .find_map(|directory| find_in(&directory, config))
}

/// The first directory that systemd made for the unit.
fn runtime_directory() -> Option<PathBuf> {
    let listed = std::env::var("RUNTIME_DIRECTORY").ok()?;
    let first = listed.split(':').next().filter(|path| !path.is_empty())?;
    Some(first.into())
}

fn leave_in(directory: &Path, config: &Path, socket: &Path) -> io::Result<Left> {
    let own = rustix::process::geteuid().as_raw();
    let directory = directory::check(directory, own).map_err(io::Error::other)?;
    clear(&directory, own);
    let link = directory.join(name(config)?);
    let temporary = directory.join(format!(".admin-{:016x}", fastrand::u64(..)));
    symlink(socket, &temporary)?;
    fs::rename(&temporary, &link).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    Ok(Left { link })
}

/// Takes away the links of our own user that lead to no daemon any more. A link is left when its
/// socket is open, so none of a daemon that is just starting is among them.
fn clear(directory: &Path, own: u32) {
    let Ok(entries) = fs::read_dir(directory) else {
        return; // may be written and not be read
    };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.as_encoded_bytes();
        let is_ours = name.starts_with(b".admin-")
            || (name.starts_with(b"admin-") && name.ends_with(b".link"));
        let is_own = || entry.metadata().is_ok_and(|it| it.uid() == own);
        if is_ours && is_own() && fs::read_link(&path).is_ok_and(|socket| leads_nowhere(&socket)) {
            let removed = fs::remove_file(&path);
            tracing::debug!(link = %path.display(), ?removed, "left by a daemon that is gone");
        }
    }
}

/// Whether surely nobody listens there.
fn leads_nowhere(socket: &Path) -> bool {
    let Ok(address) = SocketAddrUnix::new(socket) else {
        return false;
    };
    // A listener whose queue is full must not hold us up.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let outcome = probe.and_then(|probe| net::connect(&probe, &address));
    matches!(
        outcome,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::CONNREFUSED)
    )
}

fn find_in(directory: &Path, config: &Path) -> Option<PathBuf> {
    let owner = fs::metadata(directory).ok()?.uid();
    let link = directory::check(directory, owner)
        .ok()?
        .join(name(config).ok()?);
    let found = fs::symlink_metadata(&link).ok()?;
    let is_theirs = found.uid() == 0 || found.uid() == owner;
    let socket = fs::read_link(&link).ok()?;
    (is_theirs && socket.is_absolute()).then_some(socket)
}

/// Symlinks on the way to the file are not followed: they may lead elsewhere tomorrow.
fn name(config: &Path) -> io::Result<String> {
    let config = std::path::absolute(config)?;
    let digest = sha256_hex(config.as_os_str().as_encoded_bytes());
    Ok(format!(
        "admin-{}.link",
        digest.get(..16).unwrap_or_default()
    ))
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.link)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::debug!(link = %self.link.display(), %error, "left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::{find_in, leave_in};

    const CONFIG: &str = "/etc/credvend/config.toml";

    #[test]
    fn what_is_left_is_found_until_it_is_dropped_and_by_its_own_configuration_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (at, config) = (directory.path(), Path::new(CONFIG));
        let first = leave_in(at, config, Path::new("/run/a.sock")).unwrap();
        assert_eq!(
            find_in(at, config).as_deref(),
            Some(Path::new("/run/a.sock"))
        );
        assert_eq!(find_in(at, Path::new("/etc/other.toml")), None);
        drop(first);
        assert_eq!(find_in(at, config), None);
        let _second = leave_in(at, config, Path::new("/run/b.sock")).unwrap();
        let _third = leave_in(at, config, Path::new("/run/c.sock")).unwrap();
        assert_eq!(
            find_in(at, config).as_deref(),
            Some(Path::new("/run/c.sock"))
        );
        assert_eq!(fs::read_dir(at).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn what_killed_daemons_left_is_taken_away_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let live = at.join("live.sock");
        let _listening = UnixListener::bind(&live).unwrap();
        let dead = at.join("dead.sock");
        drop(UnixListener::bind(&dead).unwrap());
        let link = |name: &str, to: &Path| symlink(to, at.join(name)).unwrap();
        link(
            "admin-0000000000000001.link",
            Path::new("/nowhere/admin.sock"),
        );
        link("admin-0000000000000002.link", &dead);
        link("admin-0000000000000003.link", &live);
        link(".admin-0000000000000004", &dead);
        link("somebody-s.link", &dead);
        fs::write(at.join("admin-0000000000000005.link"), "no link").unwrap();
        let left = leave_in(at, Path::new(CONFIG), &live).unwrap();
        drop(left);
        let mut names: Vec<_> = fs::read_dir(at)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "admin-0000000000000003.link",
                "admin-0000000000000005.link",
                "dead.sock",
                "live.sock",
                "somebody-s.link"
            ]
        );
    }

    #[test]
    fn a_directory_that_others_can_write_is_neither_used_nor_believed() {
        let directory = tempfile::tempdir().unwrap();
        let (at, config) = (directory.path(), Path::new(CONFIG));
        let _left = leave_in(at, config, Path::new("/run/a.sock")).unwrap();
        fs::set_permissions(at, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(find_in(at, config), None);
        assert!(leave_in(at, config, Path::new("/run/b.sock")).is_err());
        assert!(leave_in(&at.join("missing"), config, Path::new("/run/b.sock")).is_err());
    }
}
