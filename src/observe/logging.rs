//! Where the log goes, how it is spelled, and how much of it there is.
//!
//! Promises: nothing from outside arrives unescaped (a message cannot forge a line or steer a
//! terminal, whichever way it was recorded), a panic is a log event that quotes no data, and the
//! filter can be changed while the daemon runs.

use std::any::Any;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::panic;

use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use super::json_escapes::Escaping;
use crate::config::model::LogFormat;

/// The target of spans that say what events are about. Every filter lets them through, or an event
/// that it shows would lack its context: a span that was off when it was made stays off.
pub const CONTEXT: &str = "credvend::context";

/// The installed log.
#[derive(Clone, Debug)]
pub struct Logging {
    filter: reload::Handle<Targets, Registry>,
}

impl Logging {
    /// Changes what is logged from now on.
    ///
    /// # Errors
    /// If the text is no filter; the one before stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), InvalidFilter> {
        let filter = parse_filter(filter)?;
        // It can only be gone together with the process.
        drop(self.filter.reload(filter));
        Ok(())
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("a log is installed already")]
    Installed,
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
}

/// Why a text is no filter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{part}` is no log filter: it takes a level (`error`, `warn`, `info`, `debug`, `trace`, \
     `off`), `TARGET=LEVEL`, or a list of these with commas between them"
)]
pub struct InvalidFilter {
    part: String,
}

/// Reads `info` or `warn,credvend=debug`. A bare word that is no level is refused: it would be
/// taken for the one target to log, so that a slip of the pen silences everything else.
///
/// # Errors
/// With the part that is wrong.
pub fn parse_filter(text: &str) -> Result<Targets, InvalidFilter> {
    let wrong = |part: &str| InvalidFilter {
        part: part.escape_debug().to_string(),
    };
    for part in text.split(',').map(str::trim) {
        let (target, level) = part
            .split_once('=')
            .map_or((None, part), |(target, level)| (Some(target), level));
        let level_is_fine = level.eq_ignore_ascii_case("off") || level.parse::<Level>().is_ok();
        if !level_is_fine || target.is_some_and(str::is_empty) {
            return Err(wrong(part));
        }
    }
    let text: String = text.split_whitespace().collect();
    let filter: Targets = text.parse().map_err(|_| wrong(&text))?;
    Ok(filter.with_target(CONTEXT, Level::ERROR))
}

/// Installs the log for the whole process, and the panic hook with it.
///
/// # Errors
/// If the filter is none, or there is a log already.
pub fn init(filter: &str, format: LogFormat) -> Result<Logging, LoggingError> {
    let (filter, handle) = reload::Layer::new(parse_filter(filter)?);
    let (output, trouble) = output(format);
    tracing_subscriber::registry()
        .with(filter)
        .with(output)
        .try_init()
        .map_err(|_| LoggingError::Installed)?;
    panic::set_hook(Box::new(log_panic));
    if let Some(error) = trouble {
        tracing::warn!(%error, "journal not reachable, logging to stderr");
    }
    Ok(Logging { filter: handle })
}

type Output<S> = Box<dyn Layer<S> + Send + Sync>;

fn output<S>(format: LogFormat) -> (Output<S>, Option<io::Error>)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let text = || text_layer(io::stderr, io::stderr().is_terminal()).boxed();
    let journald = || match tracing_journald::layer() {
        Ok(layer) => {
            let layer = layer
                .with_syslog_identifier("credvend".to_owned())
                .with_field_prefix(Some("CREDVEND".to_owned()));
            (layer.boxed(), None)
        }
        Err(error) => (text(), Some(error)),
    };
    match format {
        LogFormat::Auto if stderr_is_the_journal() => journald(),
        LogFormat::Auto | LogFormat::Text => (text(), None),
        LogFormat::Journald => journald(),
        LogFormat::Json => (json_layer(io::stderr).boxed(), None),
    }
}

/// Whether the service manager connected our stderr with the journal: the variable names that
/// stream, and is inherited by programs whose stderr is another.
#[must_use]
pub fn stderr_is_the_journal() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else {
        return false;
    };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// One line per event: time, level, spans, target, message, `field=value`.
pub fn text_layer<S, W>(writer: W, colour: bool) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .fmt_fields(TextFields)
        .with_ansi(colour)
        .with_writer(writer)
}

/// One JSON object per event.
pub fn json_layer<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_ansi(false)
        .with_writer(Escaping(writer))
}

/// Writes fields as text. The library's own formatter leaves line feeds in what was recorded
/// with `%`, so that text from outside could forge a line.
#[derive(Clone, Copy, Debug)]
struct TextFields;

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = TextVisitor {
            writer,
            separator: "",
            result: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct TextVisitor<'writer> {
    writer: Writer<'writer>,
    separator: &'static str,
    result: fmt::Result,
}

impl TextVisitor<'_> {
    fn write(&mut self, field: &Field, text: &str) {
        let separator = std::mem::replace(&mut self.separator, " ");
        let written = match field.name() {
            // Bookkeeping of the bridge from another log library.
            name if name.starts_with("log.") => Ok(()),
            "message" => write!(self.writer, "{separator}{}", Escaped(text)),
            name => {
                let name = name.trim_start_matches("r#");
                write!(self.writer, "{separator}{name}={}", Value(text))
            }
        };
        self.result = self.result.and(written);
    }
}

impl Visit for TextVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        self.write(field, &text);
    }
}

/// Text on one line, without control characters.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// The same as a value: in quotes where it could be taken for more than one.
struct Value<'a>(&'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs_quotes = self.0.is_empty()
            || self
                .0
                .contains(|c: char| c.is_whitespace() || matches!(c, '"' | '=' | '\\'));
        if needs_quotes {
            let text = self.0.replace('\\', "\\\\").replace('"', "\\\"");
            write!(f, "\"{}\"", Escaped(&text))
        } else {
            Escaped(self.0).fmt(f)
        }
    }
}

/// A panic is a bug, and its place finds it.
fn log_panic(info: &panic::PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(
        place,
        thread = thread.name().unwrap_or("unnamed"),
        what = quotable(info.payload()),
        "this is a bug in credvend"
    );
}

/// The text of a panic where it is a literal. A formatted one may quote what was being worked
/// on: slicing a string at a wrong place, for one, prints the string.
fn quotable(payload: &dyn Any) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .unwrap_or(&"(text withheld, it may hold data)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_and_targets_with_levels() {
        for good in [
            "info",
            "off",
            "WARN",
            "warn,credvend=debug",
            "info, hyper=off",
        ] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "inof",
            "credvend",
            "info,,warn",
            "=info",
            "credvend=loud",
            "info\n!",
        ] {
            assert!(parse_filter(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_panic_quotes_no_data() {
        let secret = String::from("s3cret-ä");
        let formatted = panic::catch_unwind(|| secret.split_at(8).0.len()).unwrap_err();
        assert_eq!(quotable(&*formatted), "(text withheld, it may hold data)");
        assert_eq!(quotable(&"a literal"), "a literal");
    }

    #[test]
    fn a_value_is_one_word_or_quoted_and_never_two_lines() {
        for (value, shown) in [
            ("plain-1.5", "plain-1.5"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("a\nlevel=ERROR", "\"a\\nlevel=ERROR\""),
            ("say \"hi\" \\", "\"say \\\"hi\\\" \\\\\""),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("\u{9b}2J", "\\u{9b}2J"),
        ] {
            assert_eq!(Value(value).to_string(), shown);
        }
        assert_eq!(Escaped("a\r\nb c").to_string(), "a\\r\\nb c");
    }
}
