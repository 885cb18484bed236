//! The file of a listener's token: made whole or not at all, and read only if nobody but root and
//! us could have written it.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use zeroize::Zeroizing;

use super::{Value, group};

const SHORTEST: usize = 16;
const LONGEST: u64 = 4096;

/// Why there is no token. Names the file and what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(pub(super) String);

/// How long a file can change once more without its times telling: for a tick of the kernel, on some
/// file systems for a second.
const SAME_TIMES_WITHIN: Duration = Duration::from_secs(2);

/// Changes whenever a file does, but for changes that follow another within a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(found: &fs::Metadata) -> Self {
        Self {
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    /// Whether the file was left alone for long enough; not while the clock is set to before its
    /// last change.
    pub(super) fn is_settled(&self, wall: SystemTime) -> bool {
        let (seconds, _) = self.changed;
        let changed = Duration::from_secs(seconds.try_into().unwrap_or(0));
        wall.duration_since(SystemTime::UNIX_EPOCH + changed)
            .is_ok_and(|age| age > SAME_TIMES_WITHIN)
    }
}

pub(super) fn create(path: &Path, group: Option<u32>) -> io::Result<()> {
    let mut random = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *random)?;
    let text = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*random));
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{:016x}", fastrand::u64(..)));
    let temporary = PathBuf::from(temporary);
    let written = write_new(&temporary, group, text.as_bytes())
        // Never over another's: whoever came first made the token.
        .and_then(
            |()| match renameat_with(CWD, &temporary, CWD, path, RenameFlags::NOREPLACE) {
                Ok(()) => Ok(()),
                Err(errno) => Err(errno.into()),
            },
        );
    match written {
        Ok(()) => Ok(()),
        Err(error) => {
            let removed = fs::remove_file(&temporary);
            if error.kind() == ErrorKind::AlreadyExists && removed.is_ok() {
                Ok(())
            } else {
                Err(error)
            }
        }
    }
}

fn write_new(path: &Path, group: Option<u32>, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(path)?;
    if let Some(group) = group {
        fchown(&file, None, Some(group)).map_err(|error| group::refused(group, &error))?;
    }
    file.set_permissions(Permissions::from_mode(0o440))?;
    file.write_all(text)?;
    file.sync_all()
}

pub(super) fn read(path: &Path, own: u32) -> Result<(Value, Stamp), TokenError> {
    let shown = path.display();
    let unreadable =
        |error: io::Error| TokenError(format!("token file `{shown}` cannot be read: {error}"));
    let entry = fs::symlink_metadata(path).map_err(unreadable)?;
    // A pipe in its place must not hold up whoever asks.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    for owner in [entry.uid(), found.uid()] {
        if owner != 0 && owner != own {
            return Err(TokenError(format!(
                "token file `{shown}` belongs to uid {owner}, who could change it: it must belong \
                 to root or to uid {own}"
            )));
        }
    }
    if !found.is_file() {
        return Err(TokenError(format!(
            "token file `{shown}` is not a regular file"
        )));
    }
    let room = usize::try_from(found.size().min(LONGEST)).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(LONGEST)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let value = Zeroizing::new(bytes.trim_ascii_end().to_vec());
    if value.len() < SHORTEST {
        return Err(TokenError(format!(
            "token file `{shown}` holds fewer than {SHORTEST} bytes, which is no secret: remove \
             it and a good one is made"
        )));
    }
    if !value.iter().all(u8::is_ascii_graphic) {
        return Err(TokenError(format!(
            "token file `{shown}` holds what cannot be sent in a header: remove it and a good \
             one is made"
        )));
    }
    Ok((value, Stamp::of(&found)))
}
