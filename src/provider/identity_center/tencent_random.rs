//! What has to be unpredictable or unique in a conversation with Tencent's gateway.

use crate::provider::error::{Class, ProviderError};
use crate::secret::Secret;

/// Letters and digits of a state.
const STATE_LENGTH: usize = 32;

/// A state nobody can guess.
///
/// # Errors
/// The kernel has no random numbers.
pub fn new_state() -> Result<Secret, ProviderError> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = zeroize::Zeroizing::new(String::with_capacity(STATE_LENGTH));
    while state.len() < STATE_LENGTH {
        let mut bytes = zeroize::Zeroizing::new([0_u8; 64]);
        random(&mut *bytes)?;
        // Bytes that would make some letters likelier than others are left out.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let letters = fair.filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
        let missing = STATE_LENGTH - state.len();
        state.extend(letters.take(missing).map(|letter| char::from(*letter)));
    }
    Ok(Secret::from(state.as_str()))
}

/// A fresh UUID (version 4), which every call carries.
pub(super) fn trace_id() -> Result<String, ProviderError> {
    let mut bytes = [0_u8; 16];
    random(&mut bytes)?;
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) | 4 << 76;
    let number = number & !(0x3 << 62) | 2 << 62;
    let hex = format!("{number:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    Ok([
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32),
    ]
    .join("-"))
}

fn random(bytes: &mut [u8]) -> Result<(), ProviderError> {
    getrandom::fill(bytes).map_err(|error| {
        ProviderError::new(Class::Transient, "the kernel has no random numbers").caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_long_plain_and_new_each_time() {
        let (one, other) = (new_state().unwrap(), new_state().unwrap());
        assert_eq!(one.expose().len(), STATE_LENGTH);
        assert!(
            one.expose()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric())
        );
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn a_trace_id_is_a_uuid() {
        let id = trace_id().unwrap();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(id.as_bytes()[14], b'4', "{id}");
    }
}
