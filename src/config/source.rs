//! One file of the configuration as text, and places in it.
//!
//! A place can be shown to a person only through [`Place::excerpt`], which takes out what may
//! be a secret first; nothing else hands the text of a line to the outside.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::mask;

/// The text of one file.
#[derive(Debug)]
pub(super) struct SourceFile {
    path: PathBuf,
    text: Hidden,
}

/// Text that may hold a misplaced secret, so it has no printed form.
struct Hidden(String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl SourceFile {
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        Self {
            path,
            text: Hidden(text),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn text(&self) -> &str {
        &self.text.0
    }
}

/// A stretch of one file.
#[derive(Clone, Debug)]
pub(super) struct Place<'d> {
    pub(super) file: &'d SourceFile,
    pub(super) span: Range<usize>,
    /// What must not be shown of the file: byte ranges, ascending. `None`: the file is no TOML,
    /// so the lines are judged by their words.
    masks: Option<&'d [Range<usize>]>,
}

impl<'d> Place<'d> {
    pub(super) fn new(
        file: &'d SourceFile,
        span: Range<usize>,
        masks: Option<&'d [Range<usize>]>,
    ) -> Self {
        Self { file, span, masks }
    }

    /// Another stretch of the same file.
    pub(super) fn at(&self, span: Range<usize>) -> Self {
        Self {
            span,
            ..self.clone()
        }
    }

    /// The text of the place itself, not fit to be shown.
    pub(super) fn text(&self) -> &'d str {
        self.file.text().get(self.span.clone()).unwrap_or_default()
    }

    /// The first line of the place as it may be shown.
    pub(super) fn excerpt(&self) -> Excerpt {
        let text = self.file.text();
        let start = floor(text, self.span.start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = text.get(line_start..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);

        let in_line = |at: usize| floor(line, at.saturating_sub(line_start).min(line.len()));
        let span = in_line(start)..in_line(self.span.end).max(in_line(start));
        let masks: Vec<Range<usize>> = match self.masks {
            Some(masks) => masks
                .iter()
                .filter(|mask| mask.start < line_start + line.len() && line_start < mask.end)
                .map(|mask| in_line(mask.start)..in_line(mask.end))
                .collect(),
            None => mask::by_words(text, line_start, line).into_iter().collect(),
        };
        let (shown, marked) = mask::apply(line, span, &masks);
        Excerpt {
            file: self.file.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            shown,
            marked,
        }
    }
}

/// One line, safe to be shown, with the stretch of it that is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Excerpt {
    pub(super) file: PathBuf,
    /// Counted from 1.
    pub(super) line: usize,
    /// In characters, counted from 1.
    pub(super) column: usize,
    pub(super) shown: String,
    pub(super) marked: Range<usize>,
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

#[cfg(test)]
mod tests {
    use super::{Place, SourceFile};

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let file = SourceFile::new("x.toml".into(), "a = 1\r\nö = [2,\n3]\n".into());
        let place = Place::new(&file, 12..18, Some(&[]));
        let excerpt = place.excerpt();
        assert_eq!((excerpt.line, excerpt.column), (2, 5));
        assert_eq!(excerpt.shown, "ö = [2,");
        assert_eq!(&excerpt.shown[excerpt.marked], "[2,");
    }

    #[test]
    fn the_end_of_a_file_is_a_place_too() {
        let file = SourceFile::new("x.toml".into(), "a = 1".into());
        let excerpt = Place::new(&file, 5..5, None).excerpt();
        assert_eq!((excerpt.line, excerpt.column), (1, 6));
        let beyond = Place::new(&file, 50..60, None).excerpt();
        assert_eq!((beyond.line, beyond.column), (1, 6));
    }
}
