//! A session under lock and key: encrypted and authenticated with a key that is kept elsewhere.
//!
//! AES-256-GCM of the library that TLS brings anyway, so sealing costs no dependency; both
//! libraries we can be built with have the same interface. The login's name is authenticated
//! too: one login's file is of no use as another's. A nonce is drawn at random for each of the
//! few writes of a session's life.

#[cfg(feature = "tls-aws-lc")]
use aws_lc_rs::aead;
use hmac::{Hmac, KeyInit, Mac};
#[cfg(not(feature = "tls-aws-lc"))]
use ring::aead;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::config::model::SHORTEST_STATE_KEY;
use crate::secret::{Secret, WipedBuffer};

/// Begins every sealed file.
const MAGIC: &[u8] = b"credvend-sealed-1\n";
/// What the key is used for; another use would get another key.
const PURPOSE: &[u8] = b"credvend login state, AES-256-GCM, 1";

/// Why nothing was sealed or opened. Says nothing of the key or the content.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum SealError {
    #[error("it is damaged, or sealed with another `state-key` or for another login")]
    DoesNotOpen,
    #[error("it is no sealed file")]
    NotSealed,
    #[error("the kernel has no random numbers")]
    NoRandom,
    #[error(
        "`state-key` has fewer than {SHORTEST_STATE_KEY} characters; make one with \
         `head -c 32 /dev/urandom | base64`"
    )]
    ShortKey,
}

fn key(secret: &Secret) -> Result<aead::LessSafeKey, SealError> {
    if secret.expose().len() < SHORTEST_STATE_KEY {
        return Err(SealError::ShortKey);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(PURPOSE);
    let key = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, &*key)
        .expect("the hash is as long as the key of this algorithm");
    Ok(aead::LessSafeKey::new(key))
}

fn bound_to(login: &str) -> aead::Aad<Vec<u8>> {
    aead::Aad::from([MAGIC, login.as_bytes()].concat())
}

/// Encrypts `plain` for one login.
pub(super) fn seal(secret: &Secret, login: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let key = key(secret)?;
    let mut nonce = [0_u8; aead::NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandom)?;
    let mut sealed = Zeroizing::new(Vec::with_capacity(plain.len() + 64));
    sealed.extend_from_slice(plain);
    let tag = key
        .seal_in_place_separate_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            bound_to(login),
            &mut sealed,
        )
        .map_err(|_| SealError::DoesNotOpen)?;
    Ok([MAGIC, &nonce, &sealed, tag.as_ref()].concat())
}

/// Decrypts what [`seal`] made.
pub(super) fn open(secret: &Secret, login: &str, sealed: &[u8]) -> Result<WipedBuffer, SealError> {
    let rest = sealed.strip_prefix(MAGIC).ok_or(SealError::NotSealed)?;
    let (nonce, content) = rest
        .split_first_chunk::<{ aead::NONCE_LEN }>()
        .ok_or(SealError::NotSealed)?;
    let mut content = Zeroizing::new(content.to_vec());
    let nonce = aead::Nonce::assume_unique_for_key(*nonce);
    let plain = key(secret)?
        .open_in_place(nonce, bound_to(login), &mut content)
        .map_err(|_| SealError::DoesNotOpen)?;
    let mut opened = WipedBuffer::with_capacity(plain.len());
    opened.extend(plain);
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::{SealError, Secret, open, seal};

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn only_the_same_key_and_login_open_it() {
        let key = Secret::from(KEY);
        let sealed = seal(&key, "corp", b"a session").unwrap();
        assert!(!sealed.windows(9).any(|window| window == b"a session"));
        assert_eq!(open(&key, "corp", &sealed).unwrap().as_ref(), b"a session");
        let other = Secret::from("another key that is long enough to be one");
        for opened in [open(&other, "corp", &sealed), open(&key, "other", &sealed)] {
            assert_eq!(opened.unwrap_err(), SealError::DoesNotOpen);
        }
        let again = seal(&key, "corp", b"a session").unwrap();
        assert_ne!(sealed, again, "each has its own nonce");
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let key = Secret::from(KEY);
        let sealed = seal(&key, "corp", b"a session").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&key, "corp", &changed).is_err(), "byte {at}");
            assert!(open(&key, "corp", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_short_key_is_none() {
        let sealed = seal(&Secret::from("short"), "corp", b"x");
        assert_eq!(sealed.unwrap_err(), SealError::ShortKey);
    }
}
