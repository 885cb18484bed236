//! What is vended: one immutable set of temporary credentials, and the cloud it is for.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::BootTime;
use crate::secret::Secret;

/// The cloud whose services accept a set.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Cloud {
    Huawei,
    Tencent,
}

impl Cloud {
    /// Every cloud, in the order of their names.
    pub const ALL: [Self; 2] = [Self::Huawei, Self::Tencent];

    /// As written in the configuration and in native answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Huawei => "huawei",
            Self::Tencent => "tencent",
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The three parts that only work together. Never taken apart, never mixed with another's.
#[derive(Debug)]
pub struct Keys {
    pub access_key_id: String,
    pub secret_access_key: Secret,
    pub session_token: Secret,
}

impl Keys {
    /// Whether every part is there. An incomplete set is never adopted: several clients would
    /// sign with the missing part and fail far away.
    #[must_use]
    pub fn are_complete(&self) -> bool {
        !self.access_key_id.is_empty()
            && !self.secret_access_key.is_empty()
            && !self.session_token.is_empty()
    }

    /// Whether nothing in any part ends a line or steers a terminal: sets are written into files,
    /// headers and variables as they are. No cloud gives such a part.
    #[must_use]
    pub fn are_plain(&self) -> bool {
        let is_plain = |part: &str| part.chars().all(|it| !is_invisible(it));
        is_plain(&self.access_key_id)
            && is_plain(self.secret_access_key.expose())
            && is_plain(self.session_token.expose())
    }
}

/// Control characters, and Unicode's separators of lines and marks of direction.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// What one successful attempt brought, before anybody decided whether to adopt it.
#[derive(Debug)]
pub struct Obtained {
    pub keys: Keys,
    /// Expiry on the issuer's clock.
    pub expires_at: SystemTime,
    /// The issuer's clock when it answered (its `Date` header), if it told.
    pub issuer_now: Option<SystemTime>,
    /// When the request was sent.
    pub sent_at: BootTime,
    /// The session length that was asked for, where one was.
    pub asked: Option<Duration>,
}

/// A cloud gives no longer session than it was asked for; what looks longer than this beyond it is
/// a wrong `Date`, written by a relay perhaps.
const LENIENCE: Duration = Duration::from_secs(10);

/// `Date` is cut to whole seconds, so the issuer's clock may have been almost this much further.
const DATE_RESOLUTION: Duration = Duration::from_secs(1);

impl Obtained {
    /// The same, of a session that was asked to be so long.
    #[must_use]
    pub fn of_at_most(mut self, seconds: u64) -> Self {
        self.asked = Some(Duration::from_secs(seconds));
        self
    }

    /// When the lifetime begins on our boot clock: when the request was sent, or a second before
    /// that if the issuer told its time in whole seconds. Either errs to the safe side: a set must
    /// never be served after its end.
    #[must_use]
    pub fn begins_at(&self) -> BootTime {
        match self.issuer_now {
            Some(_) => self.sent_at - DATE_RESOLUTION,
            None => self.sent_at,
        }
    }

    /// Life of the set, counted from [`Self::begins_at`]: expiry minus the answer's own `Date`, so
    /// that a wrong clock on this host does not matter. `host_now` stands in if there was none. Not
    /// noticeably longer than what was asked for.
    #[must_use]
    pub fn lifetime(&self, host_now: SystemTime) -> Duration {
        let now = self.issuer_now.unwrap_or(host_now);
        let told = self.expires_at.duration_since(now).unwrap_or_default();
        self.asked
            .map_or(told, |asked| told.min(asked.saturating_add(LENIENCE)))
    }
}

/// One adopted set: immutable, shared by everybody who serves or shows it.
#[derive(Debug)]
pub struct CredentialSet {
    pub keys: Keys,
    /// When it was adopted, on this host's wall clock.
    pub issued_at: SystemTime,
    /// When its life began, as far as we can be sure: about when the request for it was sent.
    pub obtained_at: BootTime,
    /// Its real end. Nothing is served from here on, whatever the wall clock says.
    pub expires_at: BootTime,
    /// Grows with every set of a role, over restarts too.
    pub generation: u64,
    /// Keyed hash of the keys, in quotes, ready for an `ETag` header.
    pub etag: String,
}

impl CredentialSet {
    /// From its beginning to the real end.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.expires_at.since(self.obtained_at)
    }

    /// Real life left.
    #[must_use]
    pub fn remaining(&self, now: BootTime) -> Duration {
        now.until(self.expires_at)
    }

    /// Whether it may still be served.
    #[must_use]
    pub fn is_valid(&self, now: BootTime) -> bool {
        now < self.expires_at
    }
}

/// A role seen by those who sign with it: its newest valid set, if it holds one.
pub trait HoldsCredentials: fmt::Debug + Send + Sync + 'static {
    fn valid_set(&self) -> Option<Arc<CredentialSet>>;
}

/// An access key id cut down for people: enough to tell two apart, useless to a thief.
#[must_use]
pub fn shortened(access_key_id: &str) -> String {
    let count = access_key_id.chars().count();
    if count <= 12 {
        return access_key_id.chars().take(4).chain("…".chars()).collect();
    }
    let head: String = access_key_id.chars().take(8).collect();
    let tail: String = access_key_id.chars().skip(count - 4).collect();
    format!("{head}…{tail}")
}

/// Whose credentials a set is, as the cloud says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    pub account: String,
    pub user: String,
    pub arn: String,
    /// The cloud's own word for the kind of identity, e.g. `CAMRole`.
    pub kind: String,
}

#[cfg(test)]
mod tests {
    use super::{BootTime, Duration, Keys, Obtained, Secret, SystemTime, shortened};

    fn keys(id: &str, secret: &str, token: &str) -> Keys {
        Keys {
            access_key_id: id.into(),
            secret_access_key: Secret::from(secret),
            session_token: Secret::from(token),
        }
    }

    #[test]
    fn a_missing_part_makes_a_set_incomplete() {
        assert!(keys("a", "b", "c").are_complete());
        assert!(!keys("", "b", "c").are_complete());
        assert!(!keys("a", "", "c").are_complete());
        assert!(!keys("a", "b", "").are_complete());
    }

    #[test]
    fn a_part_that_ends_a_line_or_steers_a_terminal_is_not_plain() {
        assert!(keys("AKIDa-_", "s/+= k", "t%.ü").are_plain());
        for bad in [
            "a\nb",
            "a\rb",
            "\u{1b}[2J",
            "a\0",
            "\u{7f}",
            "\u{9b}m",
            "\u{202e}a",
            "a\u{2028}",
        ] {
            assert!(!keys(bad, "b", "c").are_plain(), "{bad:?}");
            assert!(!keys("a", bad, "c").are_plain(), "{bad:?}");
            assert!(!keys("a", "b", bad).are_plain(), "{bad:?}");
        }
    }

    #[test]
    fn lifetime_is_counted_on_the_issuers_clock() {
        let issuer = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let obtained = Obtained {
            keys: keys("a", "b", "c"),
            expires_at: issuer + Duration::from_hours(1),
            issuer_now: Some(issuer),
            sent_at: BootTime::default(),
            asked: None,
        };
        let host_is_a_day_late = issuer + Duration::from_hours(24);
        assert_eq!(
            obtained.lifetime(host_is_a_day_late),
            Duration::from_hours(1)
        );
    }

    #[test]
    fn a_wrong_date_makes_no_session_longer_than_was_asked_for() {
        let issuer = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let told = |date_is_behind: u64, asked: Option<u64>| {
            let obtained = Obtained {
                keys: keys("a", "b", "c"),
                expires_at: issuer + Duration::from_hours(1),
                issuer_now: Some(issuer - Duration::from_secs(date_is_behind)),
                sent_at: BootTime::default(),
                asked: asked.map(Duration::from_secs),
            };
            obtained.lifetime(issuer).as_secs()
        };
        assert_eq!(told(3 * 86_400, Some(3600)), 3610);
        assert_eq!(told(2, Some(3600)), 3602, "two machines' clocks");
        assert_eq!(told(0, Some(7200)), 3600, "a shorter one is what it is");
        assert_eq!(told(3 * 86_400, None), 3 * 86_400 + 3600);
    }

    #[test]
    fn short_ids_are_not_shown_whole() {
        assert_eq!(shortened("AKIDEXAMPLE-LONGLIVED"), "AKIDEXAM…IVED");
        assert_eq!(shortened("AKID12"), "AKID…");
    }
}
