//! Ids, keys and tokens with the looks of the real ones, from the kernel's random numbers.
//!
//! Temporary ids are longer than long-lived ones and hold `-` and `_`, tokens run to hundreds
//! of characters: a client that validates by length or pattern shall fail here too.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Random bytes of one issue, taken at once so that only one place can fail.
pub(super) struct Random([u8; 384]);

impl Random {
    pub(super) fn draw() -> io::Result<Self> {
        let mut bytes = [0; 384];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(bytes))
    }

    fn part(&self, from: usize, length: usize) -> &[u8] {
        self.0.get(from..from + length).unwrap_or_default()
    }

    /// `AKID…` as users have them: 36 letters and digits.
    pub(super) fn long_lived_id(&self) -> String {
        let text = URL_SAFE_NO_PAD.encode(self.part(0, 48));
        let plain = text.chars().filter(char::is_ascii_alphanumeric);
        "AKID".chars().chain(plain.take(32)).collect()
    }

    /// `AKID…` of a temporary key: 72 characters, `-` and `_` among them.
    pub(super) fn temporary_id(&self) -> String {
        let head = URL_SAFE_NO_PAD.encode(self.part(0, 24));
        let tail = URL_SAFE_NO_PAD.encode(self.part(24, 24));
        format!("AKID-{head}_{tail}__")
    }

    /// A key id of Huawei Cloud: a prefix, then capitals and digits, so many characters in all.
    pub(super) fn huawei_id(&self, prefix: &str, length: usize) -> String {
        let text = URL_SAFE_NO_PAD
            .encode(self.part(0, 48))
            .to_ascii_uppercase();
        let plain = text.chars().filter(char::is_ascii_alphanumeric);
        prefix.chars().chain(plain).take(length).collect()
    }

    /// A secret key: 43 characters, `+` and `/` possible, as in the real ones.
    pub(super) fn secret(&self) -> String {
        STANDARD_NO_PAD.encode(self.part(48, 32))
    }

    /// A session token: 374 characters.
    pub(super) fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.part(80, 280))
    }

    /// The id of one request of Huawei Cloud: 32 hexadecimal digits.
    pub(super) fn huawei_request_id(&self) -> String {
        crate::mac::hex(self.part(368, 16))
    }

    /// The id of one request, in the form of a UUID (version 4).
    pub(super) fn request_id(&self) -> String {
        let mut id = [0; 16];
        id.copy_from_slice(self.part(368, 16));
        let number = u128::from_be_bytes(id) & !(0xf << 76) | 4 << 76;
        let number = number & !(0x3 << 62) | 2 << 62;
        let hex = format!("{number:032x}");
        let mut text = String::with_capacity(36);
        for (at, digit) in hex.chars().enumerate() {
            if matches!(at, 8 | 12 | 16 | 20) {
                text.push('-');
            }
            text.push(digit);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn everything_looks_like_the_real_thing_and_repeats_nothing() {
        let (one, other) = (Random::draw().unwrap(), Random::draw().unwrap());
        let id = one.temporary_id();
        assert!(id.starts_with("AKID") && id.len() > 60, "{id}");
        assert!(id.contains('-') && id.contains('_'), "{id}");
        assert_ne!(id, other.temporary_id());
        assert_eq!(one.long_lived_id().len(), 36);
        assert_eq!(one.secret().len(), 43);
        assert!(one.token().len() > 300 && one.token().len() <= 4096);
        let request_id = one.request_id();
        assert_eq!(request_id.len(), 36);
        assert_eq!(request_id.as_bytes()[14], b'4', "{request_id}");
    }
}
