//! One HTTP/1.1 answer as far as a load has to understand it: status, length, body.

use std::cmp::Ordering;

/// A complete answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

/// What the bytes received so far amount to.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Parsed {
    Partial,
    /// The body is what follows from there.
    Whole {
        status: u16,
        body_from: usize,
    },
    Malformed(&'static str),
}

/// Reads one answer. Strict: a status line of HTTP/1.1, exactly one `Content-Length`, and not a
/// byte after the body, as nobody pipelines here.
pub(crate) fn parse(received: &[u8]) -> Parsed {
    let Some(head_length) = end_of_head(received) else {
        return Parsed::Partial;
    };
    let (head, rest) = received.split_at(head_length);
    let Ok(head) = std::str::from_utf8(head) else {
        return Parsed::Malformed("the head is not text");
    };
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|line| line.get(..3))
        .and_then(|status| status.parse().ok());
    let Some(status) = status else {
        return Parsed::Malformed("no HTTP/1.1 status line");
    };
    let mut lengths = lines.filter_map(content_length);
    let (Some(length), None) = (lengths.next(), lengths.next()) else {
        return Parsed::Malformed("not exactly one Content-Length");
    };
    let Ok(length) = length.parse::<usize>() else {
        return Parsed::Malformed("a Content-Length that is no number");
    };
    match rest.len().cmp(&length) {
        Ordering::Less => Parsed::Partial,
        Ordering::Greater => Parsed::Malformed("bytes after the body"),
        Ordering::Equal => Parsed::Whole {
            status,
            body_from: head_length,
        },
    }
}

/// Length of the head with its empty line.
fn end_of_head(received: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    received
        .windows(END.len())
        .position(|window| window == END)
        .map(|at| at + END.len())
}

/// The value, if the line is that header.
fn content_length(line: &str) -> Option<&str> {
    let (name, value) = line.split_once(':')?;
    name.eq_ignore_ascii_case("content-length")
        .then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use super::{Parsed, parse};

    #[test]
    fn answers_in_pieces_and_whole() {
        let whole =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), Parsed::Partial, "{cut} bytes");
        }
        let body_from = whole.len() - b"hello".len();
        assert_eq!(
            parse(whole),
            Parsed::Whole {
                status: 200,
                body_from
            }
        );
    }

    #[test]
    fn what_no_server_of_ours_may_send() {
        for (case, text) in [
            ("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
            ("no length", "HTTP/1.1 200 OK\r\n\r\n"),
            (
                "two lengths",
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
            ),
            ("no number", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
            ("too much", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"),
        ] {
            assert!(
                matches!(parse(text.as_bytes()), Parsed::Malformed(_)),
                "{case}"
            );
        }
    }
}
