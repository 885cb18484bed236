//! What one process leaves to the next: encoding, and the rules for believing it. Pure.
//!
//! The text is JSON with a version in front; fields are only ever added. Whoever reads it
//! trusts the seals of the file it came in, and still checks everything that may have changed
//! in between. Promises:
//!
//! 1. A set comes back only to a role whose fingerprint is what it was, and only while it has
//!    life left.
//! 2. After a restart on the same boot, life is counted on the boot clock alone: a stepped wall
//!    clock neither revives nor kills a set. On another boot it is counted on the wall clock.
//! 3. What is not a set or a login is good on the same boot only.
//! 4. Nothing here fails a start: what cannot be used is dropped and said in one sentence.

mod clocks;
mod times;
mod tokens;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Besides, Logins};
use crate::credentials::{CredentialSet, Keys};
use crate::listener::token::KeptToken;
use crate::name::Name;
use crate::provider::endpoint_clock::Learned;
use crate::refresh::state::{Moment, Resumed};
use crate::secret::{Secret, WipedBuffer};
use clocks::ClockEntry;
use times::{Clocks, Shift, milliseconds, nanoseconds, wall_time};
use tokens::TokenEntry;

/// Grows when an older reader would misunderstand the text.
const VERSION: u32 = 1;
/// No set is believed to live longer than this, whatever was written.
const LONGEST_LIFE: Duration = Duration::from_hours(168);

/// The random keys behind `ETag`s and metadata tokens. If they changed at a restart, every
/// client's token would be refused.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Keyring {
    /// Key of the `ETag` hash.
    pub etag: Zeroizing<[u8; 32]>,
    /// Key of the metadata tokens.
    pub token: Zeroizing<[u8; 32]>,
}

impl Keyring {
    /// New keys from the kernel.
    ///
    /// # Errors
    /// The kernel has no random numbers to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut keyring = Self {
            etag: Zeroizing::default(),
            token: Zeroizing::default(),
        };
        getrandom::fill(keyring.etag.as_mut_slice())?;
        getrandom::fill(keyring.token.as_mut_slice())?;
        Ok(keyring)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(redacted)")
    }
}

/// One role's held set, with what it depends on.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    pub role: &'a Name,
    /// The role's, from the configuration.
    pub fingerprint: &'a str,
    pub set: &'a CredentialSet,
    /// Its end in the host's wall clock, as it was told.
    pub real_expiry: SystemTime,
    pub margin_dropped: bool,
    pub last_success: Option<SystemTime>,
}

/// Which boot of which machine, and what its clocks show.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    pub at: Moment,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: &'a str,
}

/// Everything, as written.
#[derive(Deserialize, Serialize)]
pub(super) struct Document {
    version: u32,
    /// Orders the states of one daemon; the newest counts.
    pub(super) sequence: u64,
    boot_id: String,
    written_at: Clocks,
    pub(super) keyring: Keyring,
    sets: Vec<Entry>,
    /// Documents of logins that are kept in memory only, by name. In base64: text with quotes in
    /// it would pass through a buffer of the parser's that nobody wipes.
    #[serde(default)]
    logins: BTreeMap<String, Zeroizing<String>>,
    /// By their files.
    #[serde(default)]
    tokens: BTreeMap<String, TokenEntry>,
    /// By the endpoints' hosts.
    #[serde(default)]
    clocks: BTreeMap<String, ClockEntry>,
}

#[derive(Deserialize, Serialize)]
struct Entry {
    role: String,
    fingerprint: String,
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
    issued_ms: u64,
    obtained_boot_ns: u64,
    expires_boot_ns: u64,
    expires_wall_ms: u64,
    margin_dropped: bool,
    generation: u64,
    etag: String,
    last_success_ms: Option<u64>,
}

/// Only the version: read first, so that a newer text is named as such.
#[derive(Deserialize)]
struct Preamble {
    version: u32,
}

/// The text for these sets. The buffer wipes itself, each time it grows included.
pub(super) fn encode<'a>(
    sets: impl Iterator<Item = Held<'a>>,
    besides: &Besides,
    keyring: &Keyring,
    sequence: u64,
    here: Here<'_>,
) -> io::Result<WipedBuffer> {
    let document = Document {
        version: VERSION,
        sequence,
        boot_id: here.boot_id.to_owned(),
        written_at: Clocks {
            boot_ns: nanoseconds(here.at.now.since_boot()),
            wall_ms: milliseconds(here.at.wall),
        },
        keyring: keyring.clone(),
        sets: sets.map(|held| Entry::new(&held)).collect(),
        logins: besides
            .logins
            .iter()
            .map(|(name, document)| (name.to_string(), base64((**document).as_ref())))
            .collect(),
        tokens: tokens::write(&besides.tokens),
        clocks: besides
            .clocks
            .iter()
            .map(|(endpoint, learned)| (endpoint.clone(), ClockEntry::new(*learned)))
            .collect(),
    };
    let mut text = WipedBuffer::with_capacity(4096);
    serde_json::to_writer(&mut text, &document)?;
    Ok(text)
}

/// # Errors
/// One sentence, without any of the text: it is not ours, or of another version.
pub(super) fn decode(text: &[u8]) -> Result<Document, String> {
    let preamble: Preamble = serde_json::from_slice(text)
        .map_err(|_| "it is not a state that credvend wrote".to_owned())?;
    if preamble.version != VERSION {
        return Err(format!(
            "it has version {}, this credvend reads version {VERSION}",
            preamble.version
        ));
    }
    // serde's message may quote what it did not like; the place is all that is told.
    serde_json::from_slice(text).map_err(|error| {
        format!(
            "it is damaged at line {}, column {}",
            error.line(),
            error.column()
        )
    })
}

impl Document {
    /// The documents that came through whole; what is in them is for the logins to judge.
    pub(super) fn logins(&self) -> Logins {
        let documents = self.logins.iter().filter_map(|(name, text)| {
            let bytes = from_base64(text)?;
            let mut document = WipedBuffer::with_capacity(bytes.len());
            document.extend(&bytes);
            Some((name.parse().ok()?, Arc::new(document)))
        });
        documents.collect()
    }

    /// Tokens as they were known, if their times still mean anything.
    pub(super) fn tokens(&self, here: Here<'_>) -> BTreeMap<PathBuf, KeptToken> {
        if self.is_of(here) {
            tokens::read(&self.tokens)
        } else {
            BTreeMap::new()
        }
    }

    /// What was learned about endpoints' clocks, if that was on this boot.
    pub(super) fn clocks(&self, here: Here<'_>) -> BTreeMap<String, Learned> {
        let clocks = self.clocks.iter().filter(|_| self.is_of(here));
        clocks
            .map(|(endpoint, entry)| (endpoint.clone(), entry.learned()))
            .collect()
    }

    /// Whether it was written on this boot. A boot that has no name is no other one's equal.
    fn is_of(&self, here: Here<'_>) -> bool {
        self.boot_id == here.boot_id && !self.boot_id.is_empty()
    }

    /// The sets that may be served again: `fingerprint` tells what a role's is now, `None` that
    /// there is no such role. What was dropped is said in `notes`.
    pub(super) fn restore(
        self,
        fingerprint: impl Fn(&str) -> Option<String>,
        here: Here<'_>,
        notes: &mut Vec<String>,
    ) -> BTreeMap<Name, Resumed> {
        let shift = if self.is_of(here) {
            Shift(0)
        } else {
            match Shift::between(self.written_at, here) {
                Ok(shift) => shift,
                Err(sentence) => {
                    notes.push(sentence);
                    return BTreeMap::new();
                }
            }
        };
        let mut restored = BTreeMap::new();
        for entry in self.sets {
            let Ok(name) = entry.role.parse::<Name>() else {
                notes.push("a kept set names no role; dropped".to_owned());
                continue;
            };
            match entry.restore(fingerprint(name.as_str()).as_deref(), shift, here.at) {
                Ok(set) => {
                    restored.insert(name, set);
                }
                Err(why) => notes.push(format!("the kept set of role `{name}` is dropped: {why}")),
            }
        }
        restored
    }
}

impl Entry {
    fn new(held: &Held<'_>) -> Self {
        let set = held.set;
        Self {
            role: held.role.to_string(),
            fingerprint: held.fingerprint.to_owned(),
            access_key_id: set.keys.access_key_id.clone(),
            secret_access_key: Zeroizing::new(set.keys.secret_access_key.expose().to_owned()),
            session_token: Zeroizing::new(set.keys.session_token.expose().to_owned()),
            issued_ms: milliseconds(set.issued_at),
            obtained_boot_ns: nanoseconds(set.obtained_at.since_boot()),
            expires_boot_ns: nanoseconds(set.expires_at.since_boot()),
            expires_wall_ms: milliseconds(held.real_expiry),
            margin_dropped: held.margin_dropped,
            generation: set.generation,
            etag: set.etag.clone(),
            last_success_ms: held.last_success.map(milliseconds),
        }
    }

    fn restore(
        self,
        fingerprint: Option<&str>,
        shift: Shift,
        at: Moment,
    ) -> Result<Resumed, &'static str> {
        match fingerprint {
            None => return Err("the role is not configured any more"),
            Some(now) if now != self.fingerprint => {
                return Err(
                    "the role is another one since: its provider, source or policy changed",
                );
            }
            Some(_) => {}
        }
        let obtained_at = shift.apply(self.obtained_boot_ns);
        let expires_at = shift.apply(self.expires_boot_ns);
        if expires_at <= at.now {
            return Err("it has expired");
        }
        if obtained_at > at.now || at.now.until(expires_at) > LONGEST_LIFE {
            return Err("its times contradict the clock");
        }
        let keys = Keys {
            access_key_id: self.access_key_id,
            secret_access_key: Secret::from(self.secret_access_key.as_str()),
            session_token: Secret::from(self.session_token.as_str()),
        };
        if !keys.are_complete() {
            return Err("a part of it is missing");
        }
        Ok(Resumed {
            set: CredentialSet {
                keys,
                issued_at: wall_time(self.issued_ms),
                obtained_at,
                expires_at,
                generation: self.generation,
                etag: self.etag,
            },
            real_expiry: wall_time(self.expires_wall_ms),
            margin_dropped: self.margin_dropped,
            last_success: self.last_success_ms.map(wall_time),
        })
    }
}

fn base64(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(BASE64_STANDARD.encode(bytes))
}

fn from_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    Some(Zeroizing::new(BASE64_STANDARD.decode(text).ok()?))
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
