//! The files of a configuration: the one that was named, and `conf.d/*.toml` beside it.
//!
//! A file that cannot be read is a mistake of its own and hides none of the others'.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::report::Message;
use super::source::SourceFile;
use crate::regular_file::{ReadError, RegularFile};

/// No configuration is longer, in bytes; a larger file is a wrong path.
const LARGEST: u64 = 4 * 1024 * 1024;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The main file, then the others in the order of their names; those that cannot be read too.
    pub(super) paths: Vec<PathBuf>,
    pub(super) read: Vec<SourceFile>,
    pub(super) mistakes: Vec<Message>,
    /// Whoever may write a configuration says which programs the daemon runs.
    pub(super) open: Vec<Message>,
}

impl Files {
    /// Reads a file and those beside it.
    pub(super) fn read(path: &Path) -> Self {
        let mut files = Self {
            paths: vec![path.to_owned()],
            ..Self::default()
        };
        let beside = path.with_file_name("conf.d");
        match configurations(&beside) {
            Ok(more) => files.paths.extend(more),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => files.mistakes.push(unreadable(&beside, &error.into())),
        }
        for path in &files.paths {
            match text(path) {
                Ok(text) => files.read.push(SourceFile::new(path.clone(), text)),
                Err(error) => files.mistakes.push(unreadable(path, &error)),
            }
        }
        let places = [path.parent(), Some(&beside)].into_iter().flatten();
        let all = places.chain(files.paths.iter().map(PathBuf::as_path));
        files.open = all.filter_map(open_to_others).collect();
        files
    }
}

/// A file or directory that others may write, except directories where that is harmless.
fn open_to_others(path: &Path) -> Option<Message> {
    let found = std::fs::metadata(path).ok()?;
    let mode = found.mode();
    let is_sticky = found.is_dir() && mode & 0o1000 != 0 && !path.ends_with("conf.d");
    if mode & 0o022 == 0 || is_sticky {
        return None;
    }
    let shown = path.display();
    let text = format!(
        "others can change the configuration `{shown}`, which names programs to run: its mode is \
         {:04o}",
        mode & 0o7777
    );
    Some(Message::unwise(
        path,
        text,
        format!("run `chmod go-w {shown}`"),
    ))
}

fn configurations(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| is_configuration(path));
    paths.sort();
    Ok(paths)
}

/// Editors leave hidden files beside those they edit.
pub(crate) fn is_configuration(path: &Path) -> bool {
    let is_hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && path.extension().is_some_and(|it| it == "toml")
}

/// One file's text, whatever it says.
pub(crate) fn text(path: &Path) -> Result<String, ReadError> {
    let bytes = RegularFile::open(path)?.read(LARGEST)?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        let right = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = right.split(|byte| *byte == b'\n').count();
        io::Error::new(
            ErrorKind::InvalidData,
            format!("line {line} is not text in UTF-8"),
        )
    })?;
    Ok(text.to_owned())
}

fn unreadable(path: &Path, error: &ReadError) -> Message {
    let kind = match error {
        ReadError::Io(error) => Some(error.kind()),
        ReadError::NotRegular | ReadError::TooLarge(_) => None,
    };
    let hint = match kind {
        Some(ErrorKind::NotFound) => "create it, or name another file with `--config`",
        Some(ErrorKind::PermissionDenied) => "make it readable for the user that runs this",
        Some(ErrorKind::InvalidData) => "save it as UTF-8, or take what is none out of that line",
        Some(_) | None => "it must be a file of TOML, there and readable",
    };
    let text = format!(
        "cannot read the configuration `{}`: {error}",
        path.display()
    );
    Message::about(path, text, Some(hint.to_owned()))
}
