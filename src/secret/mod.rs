//! A string that must not be printed, copied by accident, or left in memory; the bytes it is made
//! of or sent as; and where it is read from.
//!
//! The wipe covers the allocations we own. The TLS and HTTP buffers the bytes came through
//! are out of reach; core dumps are switched off for the process instead.

mod buffer;
mod reference;
mod source;

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

pub use buffer::WipedBuffer;
pub use reference::{InvalidSecretRef, SecretRef};
pub use source::{SecretError, SecretSource};

/// Not `Clone`, not `Display`, not `Serialize`: to share one, share the `Arc` around it.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret(Box<str>);

impl Secret {
    /// The only way to the text, so a search for `.expose()` lists every use.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(mut text: String) -> Self {
        let secret = Self(text.as_str().into());
        text.zeroize(); // `into_boxed_str` may reallocate and leave the old copy behind
        secret
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_nothing_of_it() {
        let shown = format!("{:?}", Secret::from("hunter2"));
        assert_eq!(shown, "Secret(redacted)");
    }
}
