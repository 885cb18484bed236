//! Whether a path may be written, and the replacement of a file in one step.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::model::SocketAccess;
use crate::directory;

/// No file of credentials is longer, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// Why a file is not read or written. Names it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReplaceError(String);

/// What is in the file now; `None` if there is none.
///
/// # Errors
/// The way there is not safe, or the file is not one that may be replaced.
pub fn current(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, ReplaceError> {
    check_way(path)?;
    let shown = path.display();
    let unreadable = |error: io::Error| ReplaceError(format!("`{shown}` cannot be read: {error}"));
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found.map_err(unreadable)?,
    };
    if !found.is_file() {
        return Err(ReplaceError(format!(
            "`{shown}` is no regular file (a symlink is not followed), so it is not replaced"
        )));
    }
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != 0 && found.uid() != own {
        return Err(ReplaceError(format!(
            "`{shown}` belongs to uid {}, so it is not replaced: it has to belong to root or to \
             uid {own}",
            found.uid()
        )));
    }
    if found.len() > LONGEST {
        return Err(ReplaceError(format!(
            "`{shown}` has more than {LONGEST} bytes, so it is not what this sink is for"
        )));
    }
    let room = usize::try_from(found.len()).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    Ok(Some(bytes))
}

/// Puts `content` in the place of the file, with mode and owner, or removes it; readers see
/// either the old file or the new one. Returns when it is on the disk.
///
/// # Errors
/// The way there is not safe, or the system refuses.
pub fn replace(
    path: &Path,
    access: &SocketAccess,
    content: Option<&[u8]>,
) -> Result<(), ReplaceError> {
    check_way(path)?;
    let done = match content {
        Some(content) => put(path, access, content),
        None => match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        },
    };
    done.and_then(|()| {
        let directory = path.parent().unwrap_or(path);
        File::open(directory)?.sync_all()
    })
    .map_err(|error| ReplaceError(format!("`{}` cannot be replaced: {error}", path.display())))
}

/// Nobody but root and us may be able to put something else there, and no symlink may lead
/// elsewhere.
fn check_way(path: &Path) -> Result<(), ReplaceError> {
    let own = rustix::process::geteuid().as_raw();
    let directory = path.parent().unwrap_or(path);
    let real = directory::check(directory, own)
        .map_err(|error| ReplaceError(format!("`{}`: {error}", path.display())))?;
    if real != directory {
        return Err(ReplaceError(format!(
            "`{}` leads through a symlink to `{}`: write the way without it",
            path.display(),
            real.display()
        )));
    }
    Ok(())
}

fn put(path: &Path, access: &SocketAccess, content: &[u8]) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}", fastrand::u64(..)));
    let temporary: PathBuf = path.with_file_name(name);
    let done = write_new(&temporary, access, content).and_then(|()| fs::rename(&temporary, path));
    if done.is_err() {
        // The first error says more than one about what may not even be there.
        drop(fs::remove_file(&temporary));
    }
    done
}

fn write_new(path: &Path, access: &SocketAccess, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    if access.owner.is_some() || access.group.is_some() {
        fchown(&file, access.owner, access.group)?;
    }
    // After the owner, and against the umask.
    file.set_permissions(Permissions::from_mode(access.mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::{current, replace};
    use crate::config::model::SocketAccess;

    fn mode(mode: u32) -> SocketAccess {
        SocketAccess {
            mode,
            mode_is_set: true,
            owner: None,
            group: None,
        }
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("file");
        assert!(current(&path).unwrap().is_none());
        replace(&path, &mode(0o640), Some(b"one")).unwrap();
        let first = fs::metadata(&path).unwrap();
        assert_eq!(first.permissions().mode() & 0o7777, 0o640);
        replace(&path, &mode(0o600), Some(b"two")).unwrap();
        let second = fs::metadata(&path).unwrap();
        assert_ne!(first.ino(), second.ino(), "another file");
        assert_eq!(second.permissions().mode() & 0o7777, 0o600);
        assert_eq!(current(&path).unwrap().unwrap().as_slice(), b"two");
        assert_eq!(
            fs::read_dir(base.path()).unwrap().count(),
            1,
            "nothing left over"
        );
        replace(&path, &mode(0o600), None).unwrap();
        replace(&path, &mode(0o600), None).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn nothing_is_written_where_others_could_interfere() {
        let base = tempfile::tempdir().unwrap();
        let real = base.path().join("real");
        fs::create_dir(&real).unwrap();
        symlink(&real, base.path().join("link")).unwrap();
        let error = replace(&base.path().join("link/file"), &mode(0o600), Some(b"x"));
        assert!(error.unwrap_err().to_string().contains("symlink"));
        symlink("elsewhere", real.join("file")).unwrap();
        let error = current(&real.join("file")).unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).unwrap();
        let error = replace(&real.join("other"), &mode(0o600), Some(b"x")).unwrap_err();
        assert!(error.to_string().contains("written by others"), "{error}");
        let error = replace(&base.path().join("no/file"), &mode(0o600), Some(b"x")).unwrap_err();
        assert!(error.to_string().contains("does not exist"), "{error}");
        assert_eq!(fs::read_dir(&real).unwrap().count(), 1);
    }

    #[test]
    fn files_of_others_are_not_replaced() {
        if rustix::process::geteuid().as_raw() != 0 {
            crate::listener::tests::support::skipped("not root");
            return;
        }
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("file");
        fs::write(&path, "theirs").unwrap();
        chown(&path, Some(1234), None).unwrap();
        let error = current(&path).unwrap_err().to_string();
        assert!(error.contains("belongs to uid 1234"), "{error}");
    }
}
