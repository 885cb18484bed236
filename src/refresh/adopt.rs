//! Whether what an attempt brought becomes the set we serve. Pure, and stricter than clouds are
//! wrong: nothing expired, incomplete, older or foreign gets past here.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock::BootTime;
use crate::credentials::{CredentialSet, Keys, Obtained};
use crate::provider::error::{Class, ProviderError};

/// No documented session is longer than 36 hours. A set that claims more is taken to end here,
/// so that one absurd date cannot stop refreshing for good.
const LONGEST_LIFETIME: Duration = Duration::from_hours(168);

/// What to do with what was obtained.
#[derive(Debug)]
pub enum Verdict {
    Adopt(CredentialSet),
    /// It is the set we hold already: no failure, nothing to change.
    Repeat,
}

/// The moment of the decision and what it depends on.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    pub held: Option<&'a CredentialSet>,
    pub now: BootTime,
    pub wall: SystemTime,
    /// The highest generation this role had so far.
    pub generation: u64,
    /// Key of the `ETag` hash.
    pub etag_key: &'a [u8],
}

/// # Errors
/// A sentence on what is wrong with the answer; the class asks for another attempt.
pub fn judge(obtained: Obtained, at: Circumstances<'_>) -> Result<Verdict, ProviderError> {
    let reject = |message: String| Err(ProviderError::new(Class::Transient, message));
    if !obtained.keys.are_complete() {
        return reject("the answer lacks a part of the credentials; not adopted".into());
    }
    let lifetime = obtained.lifetime(at.wall).min(LONGEST_LIFETIME);
    // Expiry is told in whole seconds, rounded down, and must not be over in any answer: the
    // life ends in the very second that is told.
    let begins_at = obtained.begins_at();
    let begins_at = begins_at - into_its_second(begins_at + lifetime, at);
    let expires_at = begins_at + lifetime;
    if expires_at <= at.now {
        return reject(
            "the answer holds credentials that have expired already; not adopted".into(),
        );
    }
    if let Some(held) = at.held.filter(|held| held.is_valid(at.now)) {
        if same(&held.keys, &obtained.keys) {
            return Ok(Verdict::Repeat);
        }
        if expires_at < held.expires_at {
            return reject(format!(
                "the answer holds credentials that end {} s before those held; not adopted",
                expires_at.until(held.expires_at).as_secs()
            ));
        }
    }
    Ok(Verdict::Adopt(CredentialSet {
        etag: etag(&obtained.keys, at.etag_key),
        keys: obtained.keys,
        issued_at: at.wall,
        obtained_at: begins_at,
        expires_at,
        generation: next_generation(at.generation, at.wall),
    }))
}

/// How far into a second of the wall clock a moment on the boot clock falls.
fn into_its_second(moment: BootTime, at: Circumstances<'_>) -> Duration {
    let wall = at.wall + at.now.until(moment);
    let since_epoch = wall
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Duration::from_nanos(since_epoch.subsec_nanos().into())
}

/// Milliseconds since 1970, so that it grows over restarts too; always above the last one.
fn next_generation(last: u64, wall: SystemTime) -> u64 {
    let since_epoch = wall
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let milliseconds = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
    milliseconds.max(last.saturating_add(1))
}

fn same(one: &Keys, other: &Keys) -> bool {
    one.access_key_id == other.access_key_id
        && one.secret_access_key.expose() == other.secret_access_key.expose()
        && one.session_token.expose() == other.session_token.expose()
}

/// A keyed hash: equal for equal keys, and of no use to somebody who guesses at the keys.
fn etag(keys: &Keys, key: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in [
        keys.access_key_id.as_str(),
        keys.secret_access_key.expose(),
        keys.session_token.expose(),
    ] {
        mac.update(part.as_bytes());
        mac.update(&[0]); // no part holds a NUL, so parts cannot run into each other
    }
    let hash = mac.finalize().into_bytes();
    let half: Vec<u8> = hash.iter().copied().take(16).collect();
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const NOW: u64 = 10_000;

    fn obtained(id: &str, lives_secs: u64, ago_secs: u64) -> Obtained {
        let issuer_now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        Obtained {
            keys: Keys {
                access_key_id: id.into(),
                secret_access_key: Secret::from("s"),
                session_token: Secret::from("t"),
            },
            expires_at: issuer_now + Duration::from_secs(lives_secs),
            issuer_now: Some(issuer_now),
            sent_at: BootTime::new(Duration::from_secs(NOW - ago_secs)),
        }
    }

    fn judged(obtained: Obtained, held: Option<&CredentialSet>) -> Result<Verdict, ProviderError> {
        judge(
            obtained,
            Circumstances {
                held,
                now: BootTime::new(Duration::from_secs(NOW)),
                wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
                generation: 7,
                etag_key: b"key",
            },
        )
    }

    fn adopted(obtained: Obtained, held: Option<&CredentialSet>) -> CredentialSet {
        match judged(obtained, held).unwrap() {
            Verdict::Adopt(set) => set,
            Verdict::Repeat => panic!("a repeat"),
        }
    }

    #[test]
    fn life_is_counted_from_the_request_and_never_past_the_second_the_issuer_named() {
        let set = adopted(obtained("A", 3600, 4), None);
        let now = BootTime::new(Duration::from_secs(NOW));
        // 4 s on the way, and up to one that `Date` does not tell
        assert_eq!(set.remaining(now), Duration::from_secs(3595));
        assert_eq!(set.lifetime(), Duration::from_hours(1));
        assert_eq!(set.generation, 1000);
    }

    #[test]
    fn life_ends_in_the_second_that_is_told() {
        let mut given = obtained("A", 3600, 0);
        given.sent_at = given.sent_at - Duration::from_millis(300);
        let set = adopted(given, None);
        // 1.3 s before now it began; the wall clock stands at a whole second
        let now = BootTime::new(Duration::from_secs(NOW));
        assert_eq!(set.remaining(now), Duration::from_secs(3598));
        assert_eq!(set.lifetime(), Duration::from_hours(1));
    }

    #[test]
    fn what_clouds_get_wrong_is_not_adopted() {
        let held = adopted(obtained("A", 3600, 0), None);
        let mut partial = obtained("B", 7200, 0);
        partial.keys.session_token = Secret::from("");
        for (case, given, said) in [
            ("incomplete", partial, "lacks a part"),
            ("expired", obtained("B", 0, 0), "expired already"),
            ("expired on the way", obtained("B", 3, 3), "expired already"),
            ("older", obtained("B", 3000, 0), "end 600 s before"),
        ] {
            let error = judged(given, Some(&held)).unwrap_err();
            assert!(error.message.contains(said), "{case}: {error}");
            assert_eq!(error.class, Class::Transient, "{case}");
        }
    }

    #[test]
    fn the_same_set_again_is_a_repeat_and_tells_nothing_new() {
        let held = adopted(obtained("A", 3600, 0), None);
        let verdict = judged(obtained("A", 3600, 0), Some(&held)).unwrap();
        assert!(matches!(verdict, Verdict::Repeat));
    }

    #[test]
    fn an_absurd_expiry_does_not_stop_refreshing() {
        let set = adopted(obtained("A", 400 * 365 * 86_400, 0), None);
        assert_eq!(set.lifetime(), LONGEST_LIFETIME);
    }

    #[test]
    fn etags_differ_for_different_keys_and_are_quoted() {
        let one = adopted(obtained("A", 60, 0), None).etag;
        let two = adopted(obtained("B", 60, 0), None).etag;
        assert_ne!(one, two);
        assert!(
            one.starts_with('"') && one.ends_with('"') && one.len() == 24,
            "{one}"
        );
    }
}
