//! Which parts of a line must not be shown, because somebody may have written a secret there.
//!
//! Secrets do not belong in the configuration, but the person who wrote one there by mistake
//! must not find it in the journal as well. A value is taken out when its key looks like a
//! secret's, misspelt ones included, and is not a reference; when it stands in a `[key.*]`, where
//! only a cloud may be written out; when it is an argument of a program; when it should be the name
//! of something and is neither that nor looks like one; when it looks like an access key; when it
//! is a URL with more than a place in it. A comment behind such a value goes with it. Rather too
//! much than too little.

mod kind;
mod stars;
mod words;

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::credentials::Cloud;
use crate::name::Name;
use crate::secret::SecretRef;

use kind::Kind;
pub(super) use stars::apply;
pub(super) use words::by_words;

/// What is shown instead.
const STARS: &str = "***";
/// A secret key has 32 characters and more; few names have so many.
const LONGEST_SHOWN_NAME: usize = 24;
/// The table of long-lived keys.
const KEYS: &str = "key";
/// Tables whose entries are named by the user: the names say nothing about secrets.
const NAMED: [&str; 5] = [KEYS, "role", "listener", "login", "sink"];

/// Whether a text is a reference to a secret and so none itself.
fn is_reference(text: &str) -> bool {
    text.parse::<SecretRef>().is_ok()
}

/// Whether a text may be shown in a `[key.*]`, whatever its key: there is nothing else to write
/// than these.
fn is_open_in_keys(text: &str) -> bool {
    is_reference(text) || Cloud::ALL.iter().any(|cloud| cloud.as_str() == text)
}

/// Whether a value gives itself away whatever its key.
fn is_secret_value(text: &str) -> bool {
    let access_key_id = text.starts_with("AKID") && text.len() > 12;
    let with_user = text
        .split_once('@')
        .is_some_and(|(user, _)| user.contains(':'));
    access_key_id || with_user || text.to_ascii_lowercase().contains("%40") || is_like_a_key(text)
}

/// Cases and digits mixed in one long word, as generated keys have them and names hardly ever.
fn is_like_a_key(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    text.len() >= 32
        && !text.starts_with('/')
        && text.bytes().all(is_part)
        && text.bytes().any(|b| b.is_ascii_digit())
        && text.bytes().any(|b| b.is_ascii_lowercase())
        && text.bytes().any(|b| b.is_ascii_uppercase())
}

/// Whether the URL that this should be says more than where something is.
fn is_more_than_a_place(text: &str) -> bool {
    text.contains(['@', '?', '#'])
}

/// Whether the first word of a program may be shown: a path, and nothing behind it.
fn is_path_of_program(text: &str) -> bool {
    text.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || c == '=')
}

/// A text out of a configuration as a message may repeat it.
pub(super) fn quotable(text: &str) -> String {
    if is_secret_value(text) {
        return STARS.to_owned();
    }
    let short: String = text.chars().take(64).collect();
    short.escape_debug().to_string()
}

/// A key that is not known as a message may repeat it.
pub(super) fn unknown_key(key: &str) -> String {
    if is_no_key(key) {
        return STARS.to_owned();
    }
    quotable(key)
}

/// Letters and digits in one long word: nobody calls a setting so, and secrets look like that.
fn is_no_key(key: &str) -> bool {
    key.len() > 16
        && key.bytes().all(|b| b.is_ascii_alphanumeric())
        && key.bytes().any(|b| b.is_ascii_digit())
        && key.bytes().any(|b| b.is_ascii_alphabetic())
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
pub(super) fn of_document(
    text: &str,
    root: &DeTable<'_>,
    names: &BTreeSet<&str>,
) -> Vec<Range<usize>> {
    let mut masks = Masks {
        text,
        names,
        found: Vec::new(),
    };
    for (key, value) in root {
        let table = key.get_ref().as_ref();
        match value
            .get_ref()
            .as_table()
            .filter(|_| NAMED.contains(&table))
        {
            Some(tables) => {
                for (name, value) in tables {
                    if is_secret_value(name.get_ref()) {
                        masks.found.push(name.span());
                    }
                    // What is no table is a key that lacks the name before it.
                    let kind = if table == KEYS {
                        Kind::Key
                    } else if value.get_ref().is_table() {
                        Kind::Open
                    } else {
                        Kind::of(name.get_ref())
                    };
                    masks.collect(value, kind);
                }
            }
            None if strsim::osa_distance(table, KEYS) <= 1 => masks.collect(value, Kind::Key),
            None => masks.collect(value, Kind::of(table)),
        }
    }
    masks.found.sort_by_key(|mask| (mask.start, mask.end));
    masks.found
}

struct Masks<'n> {
    text: &'n str,
    names: &'n BTreeSet<&'n str>,
    found: Vec<Range<usize>>,
}

impl Masks<'_> {
    fn collect(&mut self, value: &Spanned<DeValue<'_>>, kind: Kind) {
        let is_hidden = match value.get_ref() {
            DeValue::Table(table) => {
                for (key, value) in table {
                    // What stands in a secret's place as a key is as good as a value.
                    if matches!(kind, Kind::Secret) || is_no_key(key.get_ref()) {
                        self.found.push(key.span());
                    }
                    self.collect(value, kind.within(key.get_ref()));
                }
                return;
            }
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.collect(item, kind.of_item(index));
                }
                false
            }
            DeValue::String(text) => self.hides(text, kind),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => kind.is_guarded(),
        };
        if is_hidden {
            self.found.push(value.span());
        }
        if kind.is_guarded() {
            self.found.extend(comment_behind(self.text, value.span()));
        }
    }

    fn hides(&self, text: &str, kind: Kind) -> bool {
        is_secret_value(text)
            || match kind {
                Kind::Open => false,
                Kind::Key => !is_open_in_keys(text),
                Kind::FirstWord => !is_path_of_program(text),
                Kind::Place => is_more_than_a_place(text),
                // A program that is no list has its arguments in the same text.
                Kind::Program | Kind::Secret => !is_reference(text),
                Kind::Reference => !self.names.contains(text) && !is_like_a_name(text),
            }
    }
}

/// The comment on the line of a value, with which people keep what was there before.
fn comment_behind(text: &str, value: Range<usize>) -> Option<Range<usize>> {
    let rest = text.get(value.end..)?.split(['\n', '\r']).next()?;
    let comment = rest.trim_start_matches([' ', '\t', ',', ']', '}']);
    let start = value.end + rest.len() - comment.len();
    comment
        .starts_with('#')
        .then(|| start..start + comment.len())
}

#[cfg(test)]
mod tests {
    use super::{comment_behind, is_secret_value};

    #[test]
    fn values_that_give_themselves_away_are_told_from_others() {
        for secret in [
            "AKIDabcdefghijk",
            "http://user:password@proxy:3128",
            "user:password@proxy:3128",
            "http:/user:password@proxy",
            "//user:password@proxy",
            "user%3apassword%40proxy",
            "4Zx8hNq0T7v2kPcR5mYb9sLd3fGj6wUe",
        ] {
            assert!(is_secret_value(secret), "{secret}");
        }
        for open in [
            "2 hours",
            "app@example.com",
            "qcs::cam::uin/100000000001:roleName/app",
            "iam::0123456789abcdef0123456789abcdef:agency:app",
            "0123456789abcdef0123456789abcdef",
            "https://sts.tencentcloudapi.com",
            "/var/lib/credvend/Some1/long/path/below/it",
            "payments-production-readonly-and-more",
        ] {
            assert!(!is_secret_value(open), "{open}");
        }
    }

    #[test]
    fn a_comment_behind_a_value_is_found() {
        let text = "a = { b = \"x\" } # old\nc = 1\n";
        assert_eq!(
            comment_behind(text, 10..13).map(|it| &text[it]),
            Some("# old")
        );
        assert_eq!(comment_behind(text, 26..27), None);
    }
}
