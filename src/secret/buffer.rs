//! Bytes that may hold secrets: wiped when dropped, and when they outgrow their allocation.

use std::fmt;
use std::io;

use zeroize::Zeroizing;

/// Smallest allocation, in bytes: most requests and answers fit, so growing is rare.
const SMALLEST: usize = 4 * 1024;

/// A buffer for requests and answers. A plain vector would leave a copy behind each time it
/// moves to a larger allocation.
#[derive(Default)]
pub struct WipedBuffer(Zeroizing<Vec<u8>>);

impl WipedBuffer {
    /// Empty, with room for at least so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes.max(SMALLEST))))
    }

    /// Appends, moving to an allocation of twice the size where there is no room.
    pub fn extend(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Self::with_capacity(needed.max(self.0.capacity() * 2));
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        self.0.extend_from_slice(bytes);
    }
}

impl From<Zeroizing<Vec<u8>>> for WipedBuffer {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for WipedBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl io::Write for WipedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for WipedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WipedBuffer({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::WipedBuffer;

    #[test]
    fn it_grows_without_losing_a_byte_and_shows_none() {
        let mut buffer = WipedBuffer::default();
        for _ in 0..3000 {
            buffer.extend(b"canary");
        }
        assert_eq!(buffer.as_ref(), b"canary".repeat(3000));
        assert_eq!(format!("{buffer:?}"), "WipedBuffer(18000 bytes)");
    }
}
