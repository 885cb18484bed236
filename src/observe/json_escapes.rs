//! JSON that no terminal can misread.
//!
//! JSON leaves DEL and the controls above it (U+0080 to U+009F, which some terminals obey) as they
//! are in its strings. Outside of strings there are none, so replacing them by their escapes in
//! the finished text changes how it is spelled and not what it says.

use std::borrow::Cow;
use std::io::{self, Write};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Makes writers of `W` that escape what they are given.
#[derive(Debug)]
pub(super) struct Escaping<W>(pub(super) W);

/// Takes whole characters with each write, as the log's events are.
#[derive(Debug)]
pub(super) struct EscapingWriter<W>(W);

impl<'writer, W: MakeWriter<'writer>> MakeWriter<'writer> for Escaping<W> {
    type Writer = EscapingWriter<W::Writer>;

    fn make_writer(&'writer self) -> Self::Writer {
        EscapingWriter(self.0.make_writer())
    }

    fn make_writer_for(&'writer self, meta: &Metadata<'_>) -> Self::Writer {
        EscapingWriter(self.0.make_writer_for(meta))
    }
}

impl<W: Write> Write for EscapingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(&escaped(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The same JSON; nothing is copied where there is nothing to escape.
fn escaped(json: &[u8]) -> Cow<'_, [u8]> {
    // In UTF-8 those above DEL are two bytes, and the first begins nothing else below U+00C0.
    if !json.iter().any(|byte| matches!(byte, 0x7f | 0xc2)) {
        return Cow::Borrowed(json);
    }
    let mut text = Vec::with_capacity(json.len() + 16);
    let mut rest = json;
    loop {
        rest = match rest {
            [] => return Cow::Owned(text),
            [0x7f, rest @ ..] => {
                text.extend_from_slice(b"\\u007f");
                rest
            }
            [0xc2, low @ 0x80..=0x9f, rest @ ..] => {
                text.extend_from_slice(format!("\\u00{low:02x}").as_bytes());
                rest
            }
            [other, rest @ ..] => {
                text.push(*other);
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_is_left_and_nothing_else_changes() {
        let values = [
            "a\u{9b}2Jb",
            "\u{7f}",
            "\u{80}\u{9f}\u{a0}ÂÃ¢",
            "plain",
            "\u{1b}",
        ];
        for value in values {
            let json = serde_json::to_string(value).unwrap();
            let shown = String::from_utf8(escaped(json.as_bytes()).into_owned()).unwrap();
            assert!(!shown.contains(char::is_control), "{shown:?}");
            assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), value);
        }
        assert!(matches!(escaped(b"{}"), Cow::Borrowed(_)));
    }
}
