//! Tokens of the emulated metadata services: fetched by `PUT`, shown with each read.
//!
//! 1. Nothing is remembered about them: a token is its expiry under a keyed MAC, so there is no
//!    table to fill, and a token outlives a restart if the key does. Clients keep theirs for up
//!    to six hours, and some never fetch a new one after a refusal.
//! 2. A token is good on the listener that made it and nowhere else.
//! 3. Expiry is counted on the boot clock: a stepped wall clock changes nothing.
//!
//! They keep out programs that can be made to send a `GET` but neither a `PUT` nor a header of
//! somebody's choice. Who may connect is decided elsewhere.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::http::HeaderValue;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::clock::BootTime;
use crate::name::Name;

/// The longest life a client may ask for, in seconds: that of the real services.
const LONGEST: u64 = 21_600;
/// Bytes of the expiry, which is in milliseconds since boot.
const EXPIRY: usize = 8;

/// A random key of the metadata tokens.
pub type TokenKey = Zeroizing<[u8; 32]>;

/// Makes tokens and knows them again.
pub struct MetadataTokens {
    key: TokenKey,
}

impl MetadataTokens {
    /// Tokens under this key.
    #[must_use]
    pub fn new(key: TokenKey) -> Self {
        Self { key }
    }

    /// A token of `listener` that is good for `life`.
    #[must_use]
    pub fn mint(&self, listener: &Name, now: BootTime, life: Duration) -> String {
        let expiry = (now + life).since_boot().as_millis();
        let expiry = u64::try_from(expiry).unwrap_or(u64::MAX).to_be_bytes();
        let mut token = expiry.to_vec();
        token.extend_from_slice(&self.mac(listener, expiry).finalize().into_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    /// Whether `shown` is a token of `listener` that is still good. Takes the same time wherever
    /// a wrong one differs.
    #[must_use]
    pub fn accepts(&self, listener: &Name, now: BootTime, shown: &[u8]) -> bool {
        let Ok(token) = BASE64_URL_SAFE_NO_PAD.decode(shown) else {
            return false;
        };
        let Some((expiry, mac)) = token.split_first_chunk::<EXPIRY>() else {
            return false;
        };
        let is_ours = self.mac(listener, *expiry).verify_slice(mac).is_ok();
        let ends = BootTime::new(Duration::from_millis(u64::from_be_bytes(*expiry)));
        is_ours && now < ends
    }

    fn mac(&self, listener: &Name, expiry: [u8; EXPIRY]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice())
            .expect("HMAC takes keys of any length");
        mac.update(b"credvend metadata token 1\0");
        mac.update(&expiry);
        mac.update(listener.as_str().as_bytes());
        mac
    }
}

impl std::fmt::Debug for MetadataTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetadataTokens(redacted)")
    }
}

/// The life that a client asks for in its header, 1 to 21600 s. `None` if it does not say, or
/// says what the real services refuse as well.
#[must_use]
pub fn life_asked_for(header: Option<&HeaderValue>) -> Option<Duration> {
    let seconds: u64 = header?.to_str().ok()?.trim().parse().ok()?;
    (1..=LONGEST)
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::http::HeaderValue;
    use proptest::prelude::*;

    use super::{MetadataTokens, TokenKey, life_asked_for};
    use crate::clock::BootTime;
    use crate::name::Name;

    fn tokens(key: u8) -> MetadataTokens {
        MetadataTokens::new(TokenKey::new([key; 32]))
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_time_on_its_listener_under_its_key() {
        let now = BootTime::new(Duration::from_secs(100));
        let token = tokens(1).mint(&name("a"), now, Duration::from_mins(1));
        let shown = token.as_bytes();
        assert!(tokens(1).accepts(&name("a"), now, shown), "a restart");
        let last = now + Duration::from_millis(59_999);
        assert!(tokens(1).accepts(&name("a"), last, shown));
        assert!(!tokens(1).accepts(&name("a"), now + Duration::from_mins(1), shown));
        assert!(!tokens(1).accepts(&name("b"), now, shown), "a neighbour");
        assert!(!tokens(2).accepts(&name("a"), now, shown), "another key");
        assert!(token.bytes().all(|b| b.is_ascii_graphic()), "fits a header");
    }

    #[test]
    fn lives_are_those_of_the_real_services() {
        for (text, seconds) in [("1", 1), ("300", 300), ("21600", 21_600)] {
            let header = HeaderValue::from_static(text);
            assert_eq!(
                life_asked_for(Some(&header)),
                Some(Duration::from_secs(seconds))
            );
        }
        for text in ["", "0", "21601", "-1", "60s", "1.5", "99999999999999999999"] {
            let header = HeaderValue::from_static(text);
            assert_eq!(life_asked_for(Some(&header)), None, "{text}");
        }
        assert_eq!(life_asked_for(None), None);
    }

    proptest! {
        #[test]
        fn no_changed_token_is_taken(at in 0_usize..54, bit in 0_u8..8, extra in "[A-Za-z]{0,3}") {
            let now = BootTime::new(Duration::from_secs(100));
            let token = tokens(1).mint(&name("a"), now, Duration::from_mins(1));
            let mut changed = token.clone().into_bytes();
            changed[at] ^= 1 << bit;
            prop_assert!(!tokens(1).accepts(&name("a"), now, &changed));
            let longer = format!("{token}{extra}");
            prop_assert_eq!(tokens(1).accepts(&name("a"), now, longer.as_bytes()), extra.is_empty());
        }

        #[test]
        fn nothing_shown_makes_it_panic(shown in any::<Vec<u8>>()) {
            prop_assert!(!tokens(1).accepts(&name("a"), BootTime::default(), &shown));
        }
    }
}
