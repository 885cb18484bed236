//! The one place that writes to the terminal: results to stdout, messages to stderr.
//!
//! A reader that went away (`credvend … | head`) is no error. Text that came from the daemon or
//! a file passes [`printable`] on its way to a person, so that it cannot steer a terminal.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use super::exit::{Exit, Failure};

/// Writes a result to stdout; colours are taken out unless it is a terminal that wants them.
pub(super) fn result(text: &str) -> Result<(), Failure> {
    result_if_read(text).map(drop)
}

/// The same, and whether somebody still reads.
pub(super) fn result_if_read(text: &str) -> Result<bool, Failure> {
    raw_result(&mut anstream::stdout().lock(), text.as_bytes())
}

/// Writes bytes to stdout as they are.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    bytes_if_read(bytes).map(drop)
}

/// The same, and whether somebody still reads.
pub(super) fn bytes_if_read(bytes: &[u8]) -> Result<bool, Failure> {
    raw_result(&mut io::stdout().lock(), bytes)
}

fn raw_result(stream: &mut impl Write, bytes: &[u8]) -> Result<bool, Failure> {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(
            Exit::Unavailable,
            format!("cannot write the result: {error}"),
        )),
    }
}

/// Writes `credvend: message` to stderr.
pub(super) fn message(text: &str) {
    plain(&format!("credvend: {text}"));
}

/// Writes the message of a failure and its hint to stderr.
pub(super) fn failure(failure: &Failure) {
    message(&failure.message);
    if let Some(hint) = &failure.hint {
        plain(&format!("hint: {hint}"));
    }
}

/// Writes text to stderr as it is, with a line feed at its end.
pub(super) fn plain(text: &str) {
    let mut stderr = anstream::stderr().lock();
    // Nobody is left to be told that nobody can be told.
    drop(writeln!(stderr, "{}", text.trim_end()));
}

/// Writes a line to a terminal in place of the one that was written this way before, so that what
/// stands above it stays in sight.
pub(super) fn in_place(line: &str) {
    let mut stderr = anstream::stderr().lock();
    let written = write!(stderr, "\r{line}\u{1b}[K").and_then(|()| stderr.flush());
    drop(written);
}

/// Appends formatted text to a `String`, which cannot fail.
pub(super) fn append(text: &mut String, more: fmt::Arguments<'_>) {
    let written = text.write_fmt(more);
    debug_assert!(written.is_ok(), "memory does not refuse");
}

/// Text with everything escaped that is not printed, or changes how what is around it is printed;
/// except the line feeds of a longer report. What was escaped before stays as it is.
pub(super) fn printable(text: &str) -> String {
    const AS_THEY_ARE: [char; 4] = ['\n', '\\', '"', '\''];
    let mut safe = String::with_capacity(text.len());
    for piece in text.split_inclusive(AS_THEY_ARE) {
        let plain = piece.trim_end_matches(AS_THEY_ARE);
        safe.extend(plain.escape_debug());
        safe.push_str(piece.strip_prefix(plain).unwrap_or_default());
    }
    safe
}

/// The same in one line: a code, an address, or a field of a report.
pub(super) fn in_one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::{in_one_line, printable};

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{9b}c\rd"),
            "a\\u{1b}[2Jb\\u{9b}c\\rd"
        );
        assert_eq!(printable("line 1\nline 2 ü"), "line 1\nline 2 ü");
        assert_eq!(
            printable("a\u{202e}b\u{2028}c\u{85}d\u{2066}e\u{200f}"),
            "a\\u{202e}b\\u{2028}c\\u{85}d\\u{2066}e\\u{200f}"
        );
        let told = "it's \"said\": \\u{1b}[2J";
        assert_eq!(printable(told), told, "once is enough");
        assert_eq!(in_one_line("a\nb\\"), "a\\nb\\");
    }
}
