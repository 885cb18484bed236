//! What a person reads about a wrong or unwise configuration.
//!
//! A [`Message`] keeps only what may be shown: the line it points at was cleared of anything
//! that looks like a secret before it got here.

use std::fmt;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::source::{Excerpt, Place};

/// Nobody is told of a line beyond this; a width that never cuts keeps logs greppable.
const WIDTH: usize = 500;

/// One mistake or warning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    severity: Severity,
    file: PathBuf,
    text: String,
    hint: Option<String>,
    excerpt: Option<Excerpt>,
    related: Option<(String, Excerpt)>,
}

/// Whether a configuration can be used in spite of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    Mistake,
    /// Legal but unwise.
    Warning,
}

impl Message {
    pub(super) fn at(
        severity: Severity,
        place: &Place<'_>,
        text: impl Into<String>,
        hint: Option<String>,
    ) -> Self {
        Self {
            severity,
            file: place.file.path().to_owned(),
            text: text.into(),
            hint,
            excerpt: Some(place.excerpt()),
            related: None,
        }
    }

    /// About a file as a whole.
    pub(super) fn about(file: &Path, text: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            severity: Severity::Mistake,
            file: file.to_owned(),
            text: text.into(),
            hint,
            excerpt: None,
            related: None,
        }
    }

    /// About a file as a whole that can be used.
    pub(super) fn unwise(file: &Path, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::about(file, text, Some(hint.into()))
        }
    }

    /// Points at a second place as well.
    pub(super) fn and(mut self, label: &str, place: &Place<'_>) -> Self {
        self.related = Some((label.to_owned(), place.excerpt()));
        self
    }

    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong, in one sentence without a full stop.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Counted from 1; `None` if the file as a whole is meant.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.excerpt.as_ref().map(|excerpt| excerpt.line)
    }

    /// In characters, counted from 1.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.excerpt.as_ref().map(|excerpt| excerpt.column)
    }

    /// The message with its line, for terminals and `check`. Ends without a line break.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Mistake => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.text.as_str()));
        group = match &self.excerpt {
            Some(excerpt) => group.element(snippet(excerpt, AnnotationKind::Primary, None)),
            None => group.element(Origin::path(self.file.display().to_string())),
        };
        if let Some((label, excerpt)) = &self.related {
            group = group.element(snippet(excerpt, AnnotationKind::Context, Some(label)));
        }
        if let Some(hint) = &self.hint {
            group = group.element(Element::from(Level::HELP.message(hint.as_str())));
        }
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.term_width(WIDTH).render(&[group])
    }
}

fn snippet<'a>(
    excerpt: &'a Excerpt,
    kind: AnnotationKind,
    label: Option<&'a String>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    Snippet::source(excerpt.shown.as_str())
        .line_start(excerpt.line)
        .path(excerpt.file.display().to_string())
        .annotation(
            kind.span(excerpt.marked.clone())
                .label(label.map(String::as_str)),
        )
}

/// One line, for logs: place, sentence, and hint in brackets.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(excerpt) = &self.excerpt {
            write!(f, ":{}:{}", excerpt.line, excerpt.column)?;
        }
        write!(f, ": {}", self.text)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Everything wrong with a configuration. Its `Display` is for people: each mistake with its
/// line, then how many there are.
#[derive(Clone, Debug)]
pub struct Report {
    mistakes: Vec<Message>,
    warnings: Vec<Message>,
}

impl Report {
    pub(super) fn new(mistakes: Vec<Message>, warnings: Vec<Message>) -> Self {
        Self { mistakes, warnings }
    }

    /// Never empty; in the order of files and lines.
    #[must_use]
    pub fn mistakes(&self) -> &[Message] {
        &self.mistakes
    }

    /// What was noticed besides.
    #[must_use]
    pub fn warnings(&self) -> &[Message] {
        &self.warnings
    }

    /// All mistakes with their lines.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let mut text = String::new();
        for mistake in &self.mistakes {
            text.push_str(&mistake.render(colour));
            text.push_str("\n\n");
        }
        match self.mistakes.len() {
            1 => text.push_str("1 mistake in the configuration"),
            count => {
                text.push_str(&count.to_string());
                text.push_str(" mistakes in the configuration");
            }
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}
