//! Whether the way to a file is safe: nobody but root and us may be able to put something else
//! in its place.
//!
//! Every directory on the way, starting at `/`, must belong to root or to us and not be writable
//! by anybody else. Two exceptions, both harmless: root's sticky directories (`/tmp`), where
//! nobody can move what is not theirs, and root's own symlinks. Once the whole way is known to
//! be safe there is nobody left to race with, so paths may be used as they are.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// Symlinks followed before a loop is assumed, as in the kernel.
const MOST_LINKS: u32 = 40;

/// Why a directory cannot be trusted, or not be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct UnsafeDirectory(String);

/// Checks the way to `directory`, whose owner may be root or `own`. Returns where it really is.
pub fn check(directory: &Path, own: u32) -> Result<PathBuf, UnsafeDirectory> {
    walk(directory, own, false)
}

/// Checks the way to a file that is to be run or believed; whether the file itself may be, its owner
/// and mode tell. Returns where it really is. A symlink to a file may be ours as well as root's:
/// what it leads to is checked like what it stands for.
pub fn check_file(file: &Path, own: u32) -> Result<PathBuf, UnsafeDirectory> {
    let mut at = file.to_owned();
    for _ in 0..=MOST_LINKS {
        let shown = at.display();
        let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else {
            return Err(UnsafeDirectory(format!("`{shown}` is not a file")));
        };
        let real = check(parent, own)?.join(name);
        let found = fs::symlink_metadata(&real)
            .map_err(|error| UnsafeDirectory(format!("`{shown}` cannot be examined: {error}")))?;
        if !found.is_symlink() {
            return Ok(real);
        }
        if found.uid() != 0 && found.uid() != own {
            return Err(UnsafeDirectory(format!(
                "`{shown}` is a symlink of uid {}, who could point it elsewhere",
                found.uid()
            )));
        }
        let target = fs::read_link(&real).map_err(|error| unreadable(&real, &error))?;
        at = real.parent().unwrap_or_else(|| Path::new("/")).join(target);
    }
    Err(UnsafeDirectory(format!(
        "`{}` leads round in circles",
        file.display()
    )))
}

/// As [`check`], making directories that are missing (mode 0755): parents of sockets live in `/run`,
/// which is empty after each boot.
pub fn ensure(directory: &Path, own: u32) -> Result<PathBuf, UnsafeDirectory> {
    walk(directory, own, true)
}

fn walk(directory: &Path, own: u32, make: bool) -> Result<PathBuf, UnsafeDirectory> {
    if !directory.is_absolute() {
        let shown = directory.display();
        return Err(UnsafeDirectory(format!(
            "`{shown}` is not an absolute path"
        )));
    }
    let mut at = PathBuf::from("/");
    judge(&at, &read(&at)?, own)?;
    let mut ahead = steps(directory);
    let mut links = 0;
    while let Some(step) = ahead.pop() {
        if step == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&step);
        let found = match fs::symlink_metadata(&next) {
            Err(error) if error.kind() == ErrorKind::NotFound && make => {
                create(&next)?;
                read(&next)?
            }
            found => found.map_err(|error| unreadable(&next, &error))?,
        };
        if found.is_symlink() {
            links += 1;
            let target = follow(&next, &found, links)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            ahead.extend(steps(&target));
        } else {
            judge(&next, &found, own)?;
            at = next;
        }
    }
    Ok(at)
}

/// The named steps of a path, the first one last, ready to be popped.
fn steps(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect()
}

fn follow(link: &Path, found: &Metadata, links: u32) -> Result<PathBuf, UnsafeDirectory> {
    let shown = link.display();
    if found.uid() != 0 {
        return Err(UnsafeDirectory(format!(
            "`{shown}` is a symlink of uid {}, who could point it elsewhere: only root's are \
             followed",
            found.uid()
        )));
    }
    if links > MOST_LINKS {
        return Err(UnsafeDirectory(format!("`{shown}` leads round in circles")));
    }
    fs::read_link(link).map_err(|error| unreadable(link, &error))
}

fn judge(directory: &Path, found: &Metadata, own: u32) -> Result<(), UnsafeDirectory> {
    let shown = directory.display();
    if !found.is_dir() {
        return Err(UnsafeDirectory(format!("`{shown}` is not a directory")));
    }
    let owner = found.uid();
    if owner != 0 && owner != own {
        return Err(UnsafeDirectory(format!(
            "directory `{shown}` belongs to uid {owner}, who could put something else there: it \
             must belong to root or to uid {own}"
        )));
    }
    let mode = found.mode();
    let is_sticky_of_root = owner == 0 && mode & 0o1000 != 0;
    if mode & 0o022 != 0 && !is_sticky_of_root {
        return Err(UnsafeDirectory(format!(
            "directory `{shown}` can be written by others (mode {:04o}), who could put something \
             else there: run `chmod go-w {shown}`",
            mode & 0o7777
        )));
    }
    Ok(())
}

fn create(directory: &Path) -> Result<(), UnsafeDirectory> {
    let made = DirBuilder::new()
        .mode(0o755)
        .create(directory)
        .and_then(|()| {
            // The umask may have taken away what clients need to get to the socket.
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
        });
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(UnsafeDirectory(format!(
            "directory `{}` does not exist and cannot be made: {error}",
            directory.display()
        ))),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn read(path: &Path) -> Result<Metadata, UnsafeDirectory> {
    fs::symlink_metadata(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> UnsafeDirectory {
    let shown = path.display();
    UnsafeDirectory(if error.kind() == ErrorKind::NotFound {
        format!("directory `{shown}` does not exist")
    } else {
        format!("directory `{shown}` cannot be examined: {error}")
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::{check, check_file, ensure};
    use crate::listener::tests::support::skipped;

    fn own() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn set_mode(path: &std::path::Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_directory_of_ours_is_fine_until_others_can_write_there() {
        let base = tempfile::tempdir().unwrap();
        let inner = base.path().join("a/b");
        assert!(
            check(&inner, own())
                .unwrap_err()
                .to_string()
                .contains("does not exist")
        );
        assert_eq!(ensure(&inner, own()).unwrap(), inner);
        assert_eq!(
            fs::metadata(&inner).unwrap().permissions().mode() & 0o777,
            0o755
        );
        for mode in [0o775, 0o757, 0o1777] {
            set_mode(&base.path().join("a"), mode);
            if own() == 0 && mode == 0o1777 {
                assert!(check(&inner, own()).is_ok(), "root's sticky directory");
            } else {
                let text = check(&inner, own()).unwrap_err().to_string();
                assert!(text.contains("can be written by others"), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_directory_is_said_to_be_none() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        let text = check(&file.join("x"), own()).unwrap_err().to_string();
        assert!(text.contains("is not a directory"), "{text}");
        assert!(check("relative".as_ref(), own()).is_err());
    }

    #[test]
    fn foreign_directories_and_symlinks_are_refused() {
        if own() != 0 {
            skipped("not root");
            return;
        }
        let base = tempfile::tempdir().unwrap();
        let real = base.path().join("real");
        fs::create_dir(&real).unwrap();
        symlink("real", base.path().join("link")).unwrap();
        symlink("loop", base.path().join("loop")).unwrap();
        assert_eq!(check(&base.path().join("link"), 0).unwrap(), real);
        assert_eq!(check(&base.path().join("link/../real"), 0).unwrap(), real);
        let text = check(&base.path().join("loop"), 0).unwrap_err().to_string();
        assert!(text.contains("in circles"), "{text}");
        std::os::unix::fs::lchown(base.path().join("link"), Some(1234), None).unwrap();
        let text = check(&base.path().join("link"), 1234)
            .unwrap_err()
            .to_string();
        assert!(text.contains("symlink of uid 1234"), "{text}");
        chown(&real, Some(1234), None).unwrap();
        assert!(check(&real, 1234).is_ok(), "our own");
        let text = check(&real, 0).unwrap_err().to_string();
        assert!(text.contains("belongs to uid 1234"), "{text}");
    }

    #[test]
    fn the_way_to_a_file_is_checked_through_its_symlinks() {
        let base = tempfile::tempdir().unwrap();
        let inner = base.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let file = inner.join("tool");
        fs::write(&file, "").unwrap();
        let link = base.path().join("link");
        symlink("inner/tool", &link).unwrap();
        symlink("loop", base.path().join("loop")).unwrap();
        assert_eq!(check_file(&file, own()).unwrap(), file);
        assert_eq!(check_file(&link, own()).unwrap(), file, "our own symlink");
        let complaint = |path: &std::path::Path| check_file(path, own()).unwrap_err().to_string();
        assert!(complaint(&base.path().join("loop")).contains("in circles"));
        assert!(complaint(&inner.join("none")).contains("cannot be examined"));
        set_mode(&inner, 0o777);
        for path in [&file, &link] {
            assert!(complaint(path).contains("can be written by others"));
        }
    }
}
