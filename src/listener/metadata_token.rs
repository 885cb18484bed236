//! Tokens of the metadata protocols: what a client PUTs for and then shows with each request.
//!
//! 1. Nothing is remembered: a token is its own expiry with a keyed MAC over that expiry and the
//!    listener's name, so no number of clients fills any table, and one listener's token is no
//!    good at another.
//! 2. They are good over a restart with the same key. Expiry is on the boot clock, so a stepped
//!    wall clock does not touch them; a reboot ends them, key or no key.
//! 3. Comparing takes the same time wherever two tokens differ.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use hyper::http::HeaderValue;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::clock::BootTime;
use crate::name::Name;

/// Longest life of a token, in seconds: the clouds' own limit.
const LONGEST: u64 = 21_600;
/// Of the expiry at the start of a token, in bytes.
const STAMP: usize = 8;
const MAC: usize = 32;

/// The key that tokens are made and checked with.
#[derive(Clone)]
pub struct MetadataTokens(Zeroizing<[u8; 32]>);

impl MetadataTokens {
    /// With a key of its own.
    ///
    /// # Panics
    /// If the kernel has no random bytes to give, which it always has once it is up.
    #[must_use]
    pub fn random() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).expect("the kernel gives random bytes");
        Self(key)
    }

    /// With the key of an earlier run.
    #[must_use]
    pub fn with_key(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// The key, to be kept for the next run.
    #[must_use]
    pub fn key(&self) -> &[u8; 32] {
        &self.0
    }

    /// A token for one listener.
    pub(crate) fn mint(&self, listener: &Name, now: BootTime, lifetime: Duration) -> Bytes {
        let stamp = (now + lifetime).since_boot().as_secs().to_be_bytes();
        let mac = self.mac(listener, stamp).finalize().into_bytes();
        let token = [&stamp[..], mac.as_slice()].concat();
        Bytes::from(BASE64_URL_SAFE_NO_PAD.encode(token))
    }

    /// Whether this is a token of this listener whose time is not over.
    pub(crate) fn accept(&self, listener: &Name, now: BootTime, shown: &[u8]) -> bool {
        let mut token = [0; STAMP + MAC];
        let decoded = BASE64_URL_SAFE_NO_PAD.decode_slice(shown, &mut token);
        if decoded != Ok(STAMP + MAC) {
            return false;
        }
        let Some((stamp, mac)) = token.split_first_chunk::<STAMP>() else {
            return false;
        };
        let is_ours = self.mac(listener, *stamp).verify_slice(mac).is_ok();
        is_ours && now.since_boot().as_secs() < u64::from_be_bytes(*stamp)
    }

    fn mac(&self, listener: &Name, stamp: [u8; STAMP]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(&stamp);
        mac.update(listener.as_str().as_bytes());
        mac
    }
}

impl std::fmt::Debug for MetadataTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetadataTokens(redacted)")
    }
}

/// The lifetime a client asks for; `None` if no token may have it.
pub(crate) fn lifetime(asked: &HeaderValue) -> Option<Duration> {
    let text = asked.to_str().ok()?.trim();
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| is_number)?;
    (1..=LONGEST)
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::http::HeaderValue;
    use proptest::prelude::{any, prop_assert, proptest};

    use super::{MetadataTokens, lifetime};
    use crate::clock::BootTime;
    use crate::name::Name;

    fn at(seconds: u64) -> BootTime {
        BootTime::new(Duration::from_secs(seconds))
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_time_at_its_listener_and_with_its_key() {
        let tokens = MetadataTokens::random();
        let token = tokens.mint(&name("a"), at(100), Duration::from_secs(10));
        assert_eq!(token.len(), 54);
        assert!(tokens.accept(&name("a"), at(100), &token));
        assert!(tokens.accept(&name("a"), at(109), &token));
        assert!(!tokens.accept(&name("a"), at(110), &token));
        assert!(!tokens.accept(&name("b"), at(100), &token));
        assert!(!MetadataTokens::random().accept(&name("a"), at(100), &token));

        let later = MetadataTokens::with_key((*tokens.key()).into());
        assert!(later.accept(&name("a"), at(105), &token));
    }

    #[test]
    fn lifetimes_have_two_ends() {
        for (asked, seconds) in [("1", Some(1)), ("21600", Some(21_600)), (" 60 ", Some(60))] {
            let lifetime = lifetime(&HeaderValue::from_static(asked));
            assert_eq!(lifetime, seconds.map(Duration::from_secs), "{asked}");
        }
        for wrong in [
            "0",
            "21601",
            "-1",
            "+1",
            "1.5",
            "",
            "ten",
            "99999999999999999999",
        ] {
            assert_eq!(lifetime(&HeaderValue::from_static(wrong)), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_token_is_none(at_byte in 0_usize..54, change in 1_u8..=255) {
            let tokens = MetadataTokens::with_key([7; 32].into());
            let mut token = tokens.mint(&name("a"), at(1), Duration::from_mins(1)).to_vec();
            token[at_byte] ^= change;
            // The last character has two bits that mean nothing, and they have to be zero.
            prop_assert!(!tokens.accept(&name("a"), at(1), &token));
        }

        #[test]
        fn nothing_else_is_a_token(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let tokens = MetadataTokens::with_key([7; 32].into());
            prop_assert!(!tokens.accept(&name("a"), at(0), &bytes));
        }
    }
}
