//! Files that exist only in memory and cannot be changed once written.
//!
//! An inherited one is reopened through `/proc/self/fd`, which gives an owned descriptor without
//! unsafe code. Its seals are checked before a byte is read: what cannot be changed any more can
//! neither be torn nor be rewritten by somebody else who got hold of it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{OwnedFd, RawFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// More than a thousand roles need; whatever is larger is not ours.
const LARGEST: u64 = 16 << 20;

fn seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL
}

/// A sealed file with this content. The name shows up in `/proc` only.
pub(super) fn sealed(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels since 6.3 want to be told that nobody will execute it; older ones do not know the
    // flag.
    let file = memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL).or_else(|error| {
        if error == Errno::INVAL {
            memfd_create(name, flags)
        } else {
            Err(error)
        }
    })?;
    let mut file = File::from(file);
    file.write_all(content)?;
    fcntl_add_seals(&file, seals())?;
    Ok(file.into())
}

/// What an inherited descriptor holds.
///
/// # Errors
/// A clause that fits after "the kept state is not used: ".
pub(super) fn read(descriptor: RawFd) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut file = File::open(format!("/proc/self/fd/{descriptor}"))
        .map_err(|error| format!("it cannot be opened: {error}"))?;
    if !fcntl_get_seals(&file).is_ok_and(|found| found.contains(seals())) {
        return Err("it is not a sealed memory file, so anybody may have changed it".to_owned());
    }
    let length = file.metadata().map_or(u64::MAX, |found| found.len());
    let length = usize::try_from(length)
        .ok()
        .filter(|_| length <= LARGEST)
        .ok_or_else(|| format!("it is larger than {} MiB", LARGEST >> 20))?;
    // The whole length at once, so that the buffer never moves and leaves a copy behind.
    let mut content = Zeroizing::new(vec![0; length]);
    file.read_exact(&mut content)
        .map_err(|error| format!("it cannot be read: {error}"))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_was_sealed_is_read_back_and_cannot_be_changed() {
        let file = sealed("test", b"content").unwrap();
        assert_eq!(read(file.as_raw_fd()).unwrap().as_slice(), b"content");
        // The file keeps no position of ours: it can be read again.
        assert_eq!(read(file.as_raw_fd()).unwrap().as_slice(), b"content");
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let written = File::options()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(b"other"));
        assert!(written.is_err());
        assert_eq!(read(file.as_raw_fd()).unwrap().as_slice(), b"content");
    }

    #[test]
    fn what_is_not_sealed_is_not_read() {
        let plain = tempfile::tempfile().unwrap();
        let unsealed = memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        for descriptor in [plain.as_raw_fd(), unsealed.as_raw_fd()] {
            let text = read(descriptor).unwrap_err();
            assert!(text.contains("not a sealed memory file"), "{text}");
        }
        assert!(read(987_654).unwrap_err().contains("cannot be opened"));
    }
}
