//! What to hide of a file that is no TOML: its lines are judged by their words.

use std::ops::Range;

use super::{is_program_key, is_secret_key, is_secret_value};

/// What to hide of a line in a file that could not be parsed: everything behind the first word
/// that looks like a secret's key, or the whole line where it continues such a key's value or
/// stands in a text of several lines.
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
}
