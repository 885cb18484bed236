//! Which parts of a line must not be shown, because somebody may have written a secret there.
//!
//! Secrets do not belong in the configuration, but the person who wrote one there by mistake
//! must not find it in the journal as well. A value is taken out when its key looks like a
//! secret's, misspelt ones included, and is not a reference; when it is an argument of a program;
//! when it should be the name of something and is neither that nor looks like one; when it looks
//! like an access key id; when it is a URL with a user name or password. Rather too much than too
//! little.

mod stars;
mod words;

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::name::Name;
use crate::secret::SecretRef;

pub(super) use stars::apply;
pub(super) use words::by_words;

/// What is shown instead.
const STARS: &str = "***";

/// Words that make any key with them a secret's.
const WORDS: [&str; 5] = ["secret", "password", "passwd", "token", "key"];
/// Keys that are misspelt oftener than they are known to be secret.
const SPELLINGS: [&str; 6] = [
    "secret",
    "password",
    "token",
    "assertion",
    "saml-assertion",
    "credential",
];
/// Keys of programs with their arguments.
const PROGRAMS: [&str; 2] = ["command", "notify"];
/// Keys whose values are names that stand elsewhere.
const REFERENCES: [&str; 5] = ["source", "login", "role", "roles", "protocols"];
/// A secret key has 32 characters and more; few names have so many.
const LONGEST_SHOWN_NAME: usize = 24;
/// Keys that look misspelt and are not.
const OPEN: [&str; 1] = ["socket"];
/// Tables whose entries are named by the user: the names say nothing about secrets.
const NAMED: [&str; 5] = ["key", "role", "listener", "login", "sink"];

/// Whether a value under this key is to be hidden.
pub(super) fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key == "id"
        || WORDS.iter().any(|word| key.contains(word))
        || is_misspelt(&key)
        || key.split(['-', '_', '.']).any(is_misspelt)
}

fn is_misspelt(word: &str) -> bool {
    !OPEN.contains(&word)
        && SPELLINGS.iter().any(|right| {
            let slips = if right.len() > 5 { 2 } else { 1 };
            strsim::osa_distance(word, right) <= slips
        })
}

/// What a key says about its value.
#[derive(Clone, Copy)]
enum Kind {
    Open,
    /// A program and its arguments, which often hold a password.
    Program,
    /// The name of a key, role or login, or of a protocol.
    Reference,
    Secret,
}

impl Kind {
    fn of(key: &str) -> Self {
        if is_secret_key(key) {
            Self::Secret
        } else if is_program_key(key) {
            Self::Program
        } else if REFERENCES
            .iter()
            .any(|right| strsim::osa_distance(key, right) <= 1)
        {
            Self::Reference
        } else {
            Self::Open
        }
    }
}

fn is_program_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.split(['-', '_', '.']).any(|word| {
        PROGRAMS
            .iter()
            .any(|right| word.contains(right) || strsim::osa_distance(word, right) <= 2)
    })
}

/// Whether a text is a reference to a secret and so none itself.
fn is_reference(text: &str) -> bool {
    text.parse::<SecretRef>().is_ok()
}

/// Whether a value gives itself away whatever its key.
fn is_secret_value(text: &str) -> bool {
    let access_key_id = text.starts_with("AKID") && text.len() > 12;
    let with_user = text
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains('@'));
    access_key_id || with_user
}

/// A text out of a configuration as a message may repeat it.
pub(super) fn quotable(text: &str) -> String {
    if is_secret_value(text) {
        return STARS.to_owned();
    }
    let short: String = text.chars().take(64).collect();
    short.escape_debug().to_string()
}

/// A name that leads nowhere as a message may repeat it: somebody may have written a secret where
/// the name of its key belongs.
pub(super) fn reference(text: &str) -> String {
    if is_like_a_name(text) {
        text.to_owned()
    } else {
        STARS.to_owned()
    }
}

fn is_like_a_name(text: &str) -> bool {
    text.len() <= LONGEST_SHOWN_NAME && text.parse::<Name>().is_ok() && !is_secret_value(text)
}

/// What the user gave names to, in all files.
pub(super) fn names<'d>(roots: impl Iterator<Item = &'d DeTable<'d>>) -> BTreeSet<&'d str> {
    let mut names = BTreeSet::new();
    for (key, value) in roots.flatten() {
        if NAMED.contains(&key.get_ref().as_ref())
            && let Some(tables) = value.get_ref().as_table()
        {
            names.extend(tables.keys().map(|name| name.get_ref().as_ref()));
        }
    }
    names
}

/// The byte ranges of a document to hide, ascending. `names` need not be hidden.
pub(super) fn of_document(root: &DeTable<'_>, names: &BTreeSet<&str>) -> Vec<Range<usize>> {
    let mut masks = Masks {
        names,
        found: Vec::new(),
    };
    for (key, value) in root {
        let tables = value.get_ref().as_table();
        match tables.filter(|_| NAMED.contains(&key.get_ref().as_ref())) {
            Some(tables) => {
                for (name, value) in tables {
                    // What is no table is a key that lacks the name before it.
                    let kind = if value.get_ref().is_table() {
                        Kind::Open
                    } else {
                        Kind::of(name.get_ref())
                    };
                    masks.collect(value, kind);
                }
            }
            None => masks.collect(value, Kind::of(key.get_ref())),
        }
    }
    masks.found.sort_by_key(|mask| mask.start);
    masks.found
}

struct Masks<'n> {
    names: &'n BTreeSet<&'n str>,
    found: Vec<Range<usize>>,
}

impl Masks<'_> {
    fn collect(&mut self, value: &Spanned<DeValue<'_>>, kind: Kind) {
        let is_hidden = match value.get_ref() {
            DeValue::Table(table) => {
                for (key, value) in table {
                    let kind = match kind {
                        Kind::Secret => Kind::Secret,
                        Kind::Open | Kind::Program | Kind::Reference => Kind::of(key.get_ref()),
                    };
                    self.collect(value, kind);
                }
                false
            }
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let kind = match kind {
                        Kind::Program if index == 0 => Kind::Open,
                        Kind::Program => Kind::Secret,
                        Kind::Open | Kind::Reference | Kind::Secret => kind,
                    };
                    self.collect(item, kind);
                }
                false
            }
            DeValue::String(text) => self.hides(text, kind),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => matches!(kind, Kind::Secret),
        };
        if is_hidden {
            self.found.push(value.span());
        }
    }

    fn hides(&self, text: &str, kind: Kind) -> bool {
        is_secret_value(text)
            || match kind {
                Kind::Open => false,
                // A program that is no list has its arguments in the same text.
                Kind::Program | Kind::Secret => !is_reference(text),
                Kind::Reference => !self.names.contains(text) && !is_like_a_name(text),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::is_secret_key;

    #[test]
    fn secret_looking_keys_are_told_from_others() {
        for secret in [
            "id",
            "secret",
            "token",
            "saml-assertion",
            "web-identity-token",
            "id-token",
            "state-key",
            "secretId",
            "SECRET_KEY",
            "sercet",
            "secert-acess",
            "tokn",
            "api_key",
            "pasword",
            "db-password",
            "saml-asertion",
        ] {
            assert!(is_secret_key(secret), "{secret}");
        }
        for open in [
            "duration",
            "source",
            "role-arn",
            "region",
            "roles",
            "users",
            "mode",
            "hosts",
            "endpoint",
            "address",
            "external-id",
            "provider-id",
            "session-name",
            "timeout",
            "protocols",
            "socket",
            "refresh-ahead",
            "expected-account",
            "policy",
            "default",
        ] {
            assert!(!is_secret_key(open), "{open}");
        }
    }
}
