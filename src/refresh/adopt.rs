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
use crate::schedule;

/// No documented session is longer than 36 hours. A set that claims more is taken to end here,
/// so that one absurd date cannot stop refreshing for good.
const LONGEST_LIFETIME: Duration = Duration::from_hours(168);

/// How exactly we know when a set ends: the issuer's `Date` and our rounding cost a second each.
/// Of two sets that differ by less, neither is the older.
const END_RESOLUTION: Duration = Duration::from_secs(2);

/// What to do with what was obtained.
#[derive(Debug)]
pub enum Verdict {
    Adopt(CredentialSet),
    /// It is the set we hold already: no failure, nothing to change.
    Repeat,
    /// It would end before the set we hold, which is therefore kept: no failure either, since
    /// sessions may have been made shorter. Another attempt is of use once what is held has about
    /// as little left.
    Shorter {
        lifetime: Duration,
        ends_before: Duration,
    },
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
    if !obtained.keys.are_plain() {
        return reject(
            "the answer is garbled: there are control characters in the credentials; not adopted"
                .into(),
        );
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
        if ends_before(expires_at, held) {
            return Ok(Verdict::Shorter {
                lifetime,
                ends_before: expires_at.until(held.expires_at),
            });
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

/// Whether a set that was judged a while ago is still worth adopting: young enough that its own
/// replacement is not due, and not outlived by what is held.
#[must_use]
pub fn is_still_wanted(set: &CredentialSet, held: Option<&CredentialSet>, now: BootTime) -> bool {
    now.since(set.obtained_at) < schedule::young(set.lifetime())
        && set.is_valid(now)
        && !held.is_some_and(|held| held.is_valid(now) && ends_before(set.expires_at, held))
}

/// When a set of this lifetime would not end before `held` any more.
#[must_use]
pub fn worth_replacing_at(held: &CredentialSet, lifetime: Duration) -> BootTime {
    held.expires_at - lifetime + END_RESOLUTION
}

fn ends_before(expires_at: BootTime, held: &CredentialSet) -> bool {
    expires_at + END_RESOLUTION < held.expires_at
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
            asked: None,
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
            other @ (Verdict::Repeat | Verdict::Shorter { .. }) => panic!("{other:?}"),
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
        let mut forged = obtained("B", 7200, 0);
        forged.keys.session_token = Secret::from("CANARY\n[profile x]");
        for (case, given, said) in [
            ("incomplete", partial, "lacks a part"),
            ("of two lines", forged, "control characters"),
            (
                "steers",
                obtained("\u{1b}[2J", 7200, 0),
                "control characters",
            ),
            ("expired", obtained("B", 0, 0), "expired already"),
            ("expired on the way", obtained("B", 3, 3), "expired already"),
        ] {
            let error = judged(given, Some(&held)).unwrap_err();
            assert!(error.message.contains(said), "{case}: {error}");
            assert_eq!(error.class, Class::Transient, "{case}");
            assert!(!error.message.contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn a_shorter_session_is_kept_out_and_says_when_to_try_again() {
        let held = adopted(obtained("A", 3600, 0), None);
        match judged(obtained("B", 3000, 0), Some(&held)).unwrap() {
            Verdict::Shorter {
                lifetime,
                ends_before,
            } => {
                assert_eq!(lifetime.as_secs(), 3000);
                assert_eq!(ends_before.as_secs(), 600);
                let then = worth_replacing_at(&held, lifetime);
                let left = held.remaining(then);
                assert_eq!(left, lifetime.checked_sub(END_RESOLUTION).unwrap());
            }
            other @ (Verdict::Adopt(_) | Verdict::Repeat) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_set_that_waits_to_be_verified_is_not_wanted_for_ever() {
        let now = |secs| BootTime::new(Duration::from_secs(NOW + secs));
        let waiting = adopted(obtained("B", 3600, 0), None);
        assert!(is_still_wanted(&waiting, None, now(590)));
        assert!(!is_still_wanted(&waiting, None, now(610)), "replaced soon");
        let longer = adopted(obtained("A", 7200, 0), None);
        assert!(!is_still_wanted(&waiting, Some(&longer), now(0)));
    }

    #[test]
    fn what_ends_in_the_same_moment_as_far_as_we_know_is_adopted() {
        let held = adopted(obtained("A", 3600, 0), None);
        let mut next = obtained("B", 3600, 1);
        next.sent_at = next.sent_at + Duration::from_micros(999_983);
        assert_eq!(adopted(next, Some(&held)).keys.access_key_id, "B");
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
