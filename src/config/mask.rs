//! Which parts of a line must not be shown, because somebody may have written a secret there.
//!
//! Secrets do not belong in the configuration, but the person who wrote one there by mistake
//! must not find it in the journal as well. A value is taken out when its key looks like a
//! secret's, misspelt ones included, and is not a reference; when it is an argument of a program;
//! when it should be the name of something and is neither that nor looks like one; when it looks
//! like an access key id; when it is a URL with a user name or password. Rather too much than too
//! little.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::name::Name;
use crate::provider::secrets::SecretRef;

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
            && let Some(named) = value.get_ref().as_table()
        {
            names.extend(named.keys().map(|name| name.get_ref().as_ref()));
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
        let named = value.get_ref().as_table();
        match named.filter(|_| NAMED.contains(&key.get_ref().as_ref())) {
            Some(named) => {
                for (name, value) in named {
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

/// What to hide of a line in a file that could not be parsed: everything behind the first word
/// that looks like a secret's key, or the whole line where it continues such a key's value or
/// stands in a text of several lines.
pub(super) fn by_words(text: &str, line_start: usize, line: &str) -> Option<Range<usize>> {
    let before = text.get(..line_start).unwrap_or_default();
    let in_long_text = ["\"\"\"", "'''"]
        .iter()
        .any(|quotes| before.matches(quotes).count() % 2 == 1);
    if in_long_text {
        return Some(0..line.len());
    }
    let header = line.trim_start().starts_with('[');
    let words_from = if header {
        line.find(']').unwrap_or(line.len())
    } else {
        0
    };
    if let Some(end) = end_of_first_secret_word(line, words_from) {
        return Some(end..line.len());
    }
    if !header && !line.contains('=') {
        let owner = before.lines().rev().find(|line| line.contains('='));
        if owner.is_some_and(|owner| end_of_first_secret_word(owner, 0).is_some()) {
            return Some(0..line.len());
        }
    }
    let values = line.get(words_from..).unwrap_or_default();
    let is_separator = |c: char| c.is_whitespace() || "\"'=,[]{}".contains(c);
    (line.split(['"', '\'']).any(is_secret_value) || values.split(is_separator).any(looks_random))
        .then_some(words_from..line.len())
}

/// Letters and digits in one long word, as keys have them and few other values.
fn looks_random(word: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'_' | b'-');
    word.len() > 16
        && word.bytes().all(is_part)
        && word.bytes().any(|b| b.is_ascii_digit())
        && word.bytes().any(|b| b.is_ascii_alphabetic())
}

/// Where the value behind the first secret-looking word begins.
fn end_of_first_secret_word(line: &str, from: usize) -> Option<usize> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut at = from;
    while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
        let skipped = rest.find(is_word)?;
        let word = rest.get(skipped..)?.split(|c| !is_word(c)).next()?;
        at += skipped + word.len();
        if is_secret_key(word) || is_program_key(word) {
            let punctuation = line
                .get(at..)?
                .find(|c: char| !matches!(c, ' ' | '\t' | '=' | ':'));
            return punctuation.map(|length| at + length);
        }
    }
    None
}

/// The line with stars for each mask, and the span as it lies in that text. `masks` ascend.
pub(super) fn apply(
    line: &str,
    span: Range<usize>,
    masks: &[Range<usize>],
) -> (String, Range<usize>) {
    let mut shown = String::with_capacity(line.len());
    let mut marked = span.clone();
    let mut done = 0;
    for mask in masks {
        if mask.start < done || mask.end <= mask.start {
            continue; // lies in the one before, or is empty
        }
        shown.push_str(line.get(done..mask.start).unwrap_or_default());
        let begin = shown.len();
        shown.push_str(STARS);
        // A span that touches the hidden part shows all of the stars.
        marked.start = moved(marked.start, span.start, mask, begin, shown.len(), false);
        marked.end = moved(marked.end, span.end, mask, begin, shown.len(), true);
        done = mask.end;
    }
    shown.push_str(line.get(done..).unwrap_or_default());
    marked.end = marked.end.max(marked.start);
    (shown, marked)
}

/// Where a bound of the span at `original` lies once `mask` became the stars `begin..end`.
fn moved(
    current: usize,
    original: usize,
    mask: &Range<usize>,
    begin: usize,
    end: usize,
    is_end: bool,
) -> usize {
    if original >= mask.end {
        end + (original - mask.end)
    } else if original > mask.start {
        if is_end { end } else { begin }
    } else if original == mask.start {
        begin
    } else {
        current
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{apply, by_words, is_secret_key};

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

    #[test]
    fn lines_that_are_no_toml_are_judged_by_their_words() {
        let shown = |text: &str, line_start: usize| {
            let line = text[line_start..].lines().next().unwrap_or_default();
            let masks: Vec<_> = by_words(text, line_start, line).into_iter().collect();
            apply(line, 0..0, &masks).0
        };
        assert_eq!(shown("secret = hunter2", 0), "secret = ***");
        assert_eq!(shown("secret \"hunter2\"", 0), "secret ***");
        assert_eq!(shown("\"secret\": \"hunter2\"", 0), "\"secret***");
        assert_eq!(shown("a = { secret = \"hunter2\"", 0), "a = { secret = ***");
        assert_eq!(shown("[key.ops", 0), "[key.ops");
        assert_eq!(
            shown("[key.ops] secret = hunter2", 0),
            "[key.ops] secret = ***"
        );
        assert_eq!(shown("duration = 2h", 0), "duration = 2h");
        assert_eq!(shown("secret = [\n  hunter2\n", 11), "***");
        assert_eq!(shown("x = \"\"\"\nhunter2\n", 8), "***");
        assert_eq!(shown("x = 'AKIDabcdefghijk", 0), "***");
        assert_eq!(shown("source = 0a1B2c3D4e5F6g7H8i9", 0), "***");
        assert_eq!(shown("source = ops", 0), "source = ops");
        assert_eq!(shown("notify = [\"/x\", \"hunter2\"", 0), "notify = ***");
        assert_eq!(
            shown("[role.a.provider.command]", 0),
            "[role.a.provider.command]"
        );
    }

    #[test]
    fn the_marked_part_moves_with_the_stars() {
        let line = "id = \"long secret\", x = 1";
        let mask = 5..18;
        let (shown, marked) = apply(line, 20..21, std::slice::from_ref(&mask));
        assert_eq!(shown, "id = ***, x = 1");
        assert_eq!(&shown[marked], "x");
        let (shown, marked) = apply(line, 5..18, std::slice::from_ref(&mask));
        assert_eq!(&shown[marked], "***");
        let (shown, marked) = apply(line, 0..2, std::slice::from_ref(&mask));
        assert_eq!(&shown[marked], "id");
        let (shown, marked) = apply(line, 8..10, std::slice::from_ref(&mask));
        assert_eq!(&shown[marked], "***");
    }

    proptest! {
        #[test]
        fn what_is_marked_is_a_part_of_what_is_shown(
            line in "[a-z =\"]{0,40}",
            bounds in proptest::collection::vec(0_usize..=40, 6),
        ) {
            let cut = |at: usize| at.min(line.len());
            let range = |a: usize, b: usize| cut(a.min(b))..cut(a.max(b));
            let mut masks = vec![range(bounds[0], bounds[1]), range(bounds[2], bounds[3])];
            masks.sort_by_key(|mask| mask.start);
            let (shown, marked) = apply(&line, range(bounds[4], bounds[5]), &masks);
            prop_assert!(shown.get(marked).is_some());
        }
    }
}
