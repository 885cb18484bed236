//! What to hide of a file that is no TOML: its lines are judged by their words.

use std::ops::Range;

use super::kind::{is_place_key, is_program_key, is_secret_key};
use super::{LONGEST_SHOWN_NAME, is_open_in_keys, is_secret_value};

/// What to hide of a line in a file that could not be parsed: everything behind the first word
/// that looks like a secret's key, or the whole line where it continues such a key's value, stands
/// in a text of several lines, or in a `[key.*]` without being one of the few things that may be
/// written there.
pub(in crate::config) fn by_words(
    text: &str,
    line_start: usize,
    line: &str,
) -> Option<Range<usize>> {
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
    if !header && in_keys(before) {
        return in_key(line);
    }
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

/// Whether the last header before is that of a long-lived key, well-formed or not.
fn in_keys(before: &str) -> bool {
    let mut headers = before
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('[') && !line.contains(','));
    headers.next_back().is_some_and(|header| {
        let words = header.trim_start_matches(['[', ' ', '\t', '"', '\'']);
        let first = words.split(|c: char| !c.is_ascii_alphanumeric()).next();
        first.is_some_and(|first| strsim::osa_distance(first, "key") <= 1)
    })
}

/// What to hide of a line in a `[key.*]`: all but what may be written there, and keys.
fn in_key(line: &str) -> Option<Range<usize>> {
    let whole = Some(0..line.len());
    if line.trim().is_empty() {
        return None;
    }
    let Some((key, value)) = line.split_once('=') else {
        return whole;
    };
    let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let key = key.trim();
    if key.is_empty() || key.len() > LONGEST_SHOWN_NAME || !key.bytes().all(is_word) {
        return whole;
    }
    let bare = value.trim();
    let open = bare
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(bare);
    if is_open_in_keys(open) && !open.contains(['"', '#', ' ']) {
        return None;
    }
    let start = line.len() - value.trim_start().len();
    if bare.trim_matches('=').is_empty() {
        return whole; // the end of something encoded, perhaps
    }
    Some(start..line.len())
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
        if is_secret_key(word)
            || is_program_key(word)
            || (is_place_key(word) && line.get(at..)?.contains(['@', '?', '#']))
        {
            let punctuation = line
                .get(at..)?
                .find(|c: char| !matches!(c, ' ' | '\t' | '=' | ':'));
            return Some(punctuation.map_or(line.len(), |length| at + length));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::by_words;
    use crate::config::mask::apply;

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
        assert_eq!(shown("sk = hunter2", 0), "sk = ***");
        assert_eq!(shown("proxy = user@proxy", 0), "proxy = ***");
        assert_eq!(shown("x = user:hunter2@proxy", 0), "***");
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
    fn of_a_key_only_what_may_stand_there_is_shown() {
        for (line, expected) in [
            ("cloud = tencent", "cloud = tencent"),
            ("id = \"env:X\"", "id = \"env:X\""),
            ("nothing = hunter2", "nothing = ***"),
            ("nothing = env:X # hunter2", "nothing = ***"),
            ("nothing = \"env:X\" \"hunter2\"", "nothing = ***"),
            ("nothing hunter2", "***"),
            ("hunter2==", "***"),
            ("cloud = tencnet hunter2", "cloud = ***"),
        ] {
            for header in ["[key.ops]", "[ key . ops", "[[\"key\".ops]]", "[keys.ops]"] {
                let text = format!("[role.a]\n{header}\nx = 1\n{line}\n");
                let line_start = text.find(line).unwrap();
                let masks: Vec<_> = by_words(&text, line_start, line).into_iter().collect();
                assert_eq!(apply(line, 0..0, &masks).0, expected, "{header}");
            }
        }
        let text = "[key.ops]\n[role.a]\nduration = 2 hours\n";
        assert_eq!(by_words(text, 19, "duration = 2 hours"), None);
    }
}
