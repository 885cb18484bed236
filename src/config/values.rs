//! Texts that mean something, each parsed by a pure function: durations, rates, modes, paths.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::fmt::friendly::SpanParser;

use super::reader::{Complaint, Value};
use crate::credentials::Cloud;
use crate::secret::SecretRef;

const DURATION_HINT: &str = "write it as text with a unit: \"90s\", \"45m\", \"2h\", \"1h 30m\"";
/// What is added to the time of a clock must not lead beyond what it can show.
const LONGEST_DURATION: Duration = Duration::from_hours(10 * 365 * 24);
/// No cloud answers so often, in calls per second.
const HIGHEST_RATE: f64 = 1e6;

/// Text with a unit; zero is one too.
pub(super) fn duration(value: &Value<'_, '_>) -> Option<Duration> {
    if value.is_number() {
        let hint = match value.as_integer() {
            Some(seconds) if seconds > 0 => {
                format!("{DURATION_HINT}; for {seconds} seconds \"{seconds}s\"")
            }
            Some(_) | None => DURATION_HINT.to_owned(),
        };
        value.complain(Complaint::new("is a duration without a unit").hint(hint));
        return None;
    }
    value.parsed(parse_duration)
}

/// A duration above zero.
pub(super) fn positive_duration(value: &Value<'_, '_>) -> Option<Duration> {
    let duration = duration(value)?;
    if duration.is_zero() {
        value.complain(Complaint::new("must be longer than nothing"));
        return None;
    }
    Some(duration)
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, Complaint> {
    let text = text.trim();
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(Complaint::new("is a duration without a unit").hint(DURATION_HINT));
    }
    // The parser also takes clock readings such as `02:30:00`, which lack a unit.
    let duration = SpanParser::new()
        .parse_unsigned_duration(text)
        .ok()
        .filter(|_| !text.contains(':'))
        .ok_or_else(|| {
            Complaint::new("is not a duration").hint(format!("{DURATION_HINT}; days as hours"))
        })?;
    if duration > LONGEST_DURATION {
        return Err(Complaint::new("is longer than ten years").hint("nothing here takes that long"));
    }
    Ok(duration)
}

/// How a person would write it: `1h 30m`.
pub(super) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let spoken: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if spoken.is_empty() {
        return format!("{}ms", duration.as_millis());
    }
    spoken.join(" ")
}

/// `"50/s"` or `"600/m"`, as calls per second.
pub(super) fn rate(text: &str) -> Result<f64, Complaint> {
    let wrong = || {
        Complaint::new("is not a rate")
            .hint("write calls per second or minute: \"50/s\", \"600/m\"")
    };
    let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(wrong()),
    };
    let count: f64 = count.trim().parse().map_err(|_| wrong())?;
    if !count.is_finite() || count <= 0.0 {
        return Err(Complaint::new("must be a rate above zero"));
    }
    if count / seconds > HIGHEST_RATE {
        return Err(Complaint::new("is more than a million calls per second"));
    }
    Ok(count / seconds)
}

/// Permission bits of a file or socket, as text of octal digits.
pub(super) fn mode(value: &Value<'_, '_>) -> Option<u32> {
    const HINT: &str = "write the octal digits as text: \"0660\"";
    if value.is_number() {
        value.complain(Complaint::new("must be text, or 660 would not mean 0660").hint(HINT));
        return None;
    }
    value.parsed(|text| {
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| octal && *mode <= 0o777)
            .ok_or_else(|| Complaint::new("is not a file mode").hint(HINT))
    })
}

/// A path that means the same wherever the daemon is started.
pub(super) fn path(text: &str) -> Result<PathBuf, Complaint> {
    if text.contains('\0') {
        return Err(Complaint::new("contains a NUL character"));
    }
    if text.starts_with('/') {
        Ok(PathBuf::from(text))
    } else {
        Err(Complaint::new("must be an absolute path").hint("begin it with `/`"))
    }
}

/// The path behind `file:`.
pub(super) fn file_reference(text: &str) -> Result<PathBuf, Complaint> {
    match text.strip_prefix("file:") {
        Some(rest) => path(rest),
        None => Err(Complaint::new("must be a reference to a file")
            .hint("write `\"file:/an/absolute/path\"`")),
    }
}

/// Where a secret is; its place is noted, to be checked once everything was read.
pub(super) fn secret(value: &Value<'_, '_>) -> Option<SecretRef> {
    let reference = value.parsed(|text| {
        text.parse::<SecretRef>().map_err(|error| {
            Complaint::new(error.to_string()).hint(
                "write `\"file:/PATH\"`, `\"env:NAME\"` or `\"systemd:NAME\"`; a secret never \
                 stands in the configuration",
            )
        })
    })?;
    value
        .findings()
        .note_secret(reference.clone(), value.place());
    Some(reference)
}

pub(super) fn cloud(text: &str) -> Result<Cloud, Complaint> {
    Cloud::ALL
        .into_iter()
        .find(|cloud| cloud.as_str() == text)
        .ok_or_else(|| {
            Complaint::new("is not a cloud we know").hint("write \"tencent\" or \"huawei\"")
        })
}

/// A program and its arguments, run without a shell.
pub(super) fn program(value: &Value<'_, '_>) -> Option<Vec<String>> {
    let wrong = Complaint::new("must begin with the absolute path of a program")
        .hint("there is no shell and no search path");
    words_of_program(value, wrong, |program| Path::new(program).is_absolute())
}

/// The same, by a path or by a name that is looked for where the system keeps its programs.
pub(super) fn known_program(value: &Value<'_, '_>) -> Option<Vec<String>> {
    let wrong = Complaint::new("must begin with the name of a program or its absolute path")
        .hint("there is no shell: every argument is a word of its own");
    words_of_program(value, wrong, |program| {
        !program.is_empty() && (!program.contains('/') || program.starts_with('/'))
    })
}

fn words_of_program(
    value: &Value<'_, '_>,
    wrong: Complaint,
    is_program: impl FnOnce(&str) -> bool,
) -> Option<Vec<String>> {
    let items = value.items()?;
    let Some(first) = items.first() else {
        value.complain(Complaint::new("must name a program"));
        return None;
    };
    let is_right = first.as_text().is_none_or(is_program);
    if !is_right {
        value.complain(wrong);
    }
    let words = value.list(|word| {
        word.parsed(|text| {
            if text.contains('\0') {
                return Err(Complaint::new("contains a NUL character"));
            }
            Ok(text.to_owned())
        })
    });
    words.filter(|_| is_right)
}

/// Text of a limited length out of letters and digits of ASCII, `_`, and `extra`.
pub(super) fn worded(
    text: &str,
    extra: &str,
    lengths: std::ops::RangeInclusive<usize>,
) -> Result<String, Complaint> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || extra.contains(c);
    if !lengths.contains(&text.chars().count()) {
        return Err(Complaint::new(format!(
            "must have {} to {} characters",
            lengths.start(),
            lengths.end()
        )));
    }
    match text.chars().find(|c| !is_fine(*c)) {
        Some(wrong) => Err(Complaint::new(format!("may not contain {wrong:?}"))
            .hint(format!("letters, digits, `_` and any of `{extra}`"))),
        None => Ok(text.to_owned()),
    }
}

/// Name of a region of the cloud that has `example`.
pub(super) fn region(example: &'static str) -> impl Fn(&str) -> Result<String, Complaint> {
    move |text| {
        let is_fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(is_fine) {
            let hint = format!("as in \"{example}\"");
            return Err(Complaint::new("is not the name of a region").hint(hint));
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{file_reference, parse_duration, rate, region, spoken, worded};

    #[test]
    fn durations_need_a_unit() {
        for (text, seconds) in [("2h", 7200), ("45m", 2700), ("1h 30m", 5400), ("0s", 0)] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        for (text, complaint) in [
            ("7200", "is a duration without a unit"),
            ("1.5", "is a duration without a unit"),
            ("02:30:00", "is not a duration"),
            ("-1h", "is not a duration"),
            ("1h ago", "is not a duration"),
            ("2d", "is not a duration"),
            ("", "is not a duration"),
            ("soon", "is not a duration"),
            ("87601h", "is longer than ten years"),
            ("9223372036854775807s", "is longer than ten years"),
            ("99999999999999999999h", "is not a duration"),
        ] {
            assert_eq!(parse_duration(text).unwrap_err().text, complaint, "{text}");
        }
    }

    #[test]
    fn durations_are_spoken_as_they_are_written() {
        for text in ["1h 30m", "45m", "12h", "1m 1s", "250ms", "0ms"] {
            assert_eq!(spoken(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn rates_are_per_second_or_minute() {
        assert_eq!(rate("50/s"), Ok(50.0));
        assert_eq!(rate("30/m"), Ok(0.5));
        for wrong in [
            "50", "50/h", "0/s", "-1/s", "inf/s", "nan/s", "1e308/s", "1e400/m", "/s", "many/s",
        ] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_texts_are_held_to_their_alphabets() {
        assert!(worded("a+b", "+", 2..=128).is_ok());
        assert!(worded("a b", "+", 2..=128).is_err());
        assert!(worded("a", "+", 2..=128).is_err());
        assert!(region("x")("ap-guangzhou").is_ok());
        assert!(region("x")("ap guangzhou").is_err());
        assert!(region("x")("").is_err());
        assert!(file_reference("file:/a").is_ok());
        assert!(file_reference("file:a").is_err());
        assert!(file_reference("/a").is_err());
    }
}
