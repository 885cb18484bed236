//! The configuration as it is written.
//!
//! Commands read the files, they do not load and judge them as the daemon does: they must go on
//! working while somebody edits the configuration and makes a mistake in another place, and a
//! program that only wants credentials need not look up every user and group first.

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

use super::exit::{Exit, Failure};
use crate::config::{self, is_configuration};

/// Why a file says nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// It is no TOML: nobody can read it.
    Syntax(Failure),
    /// It is not there, or not for us.
    Unreadable(Failure),
}

impl Trouble {
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Syntax(failure) | Self::Unreadable(failure) => failure,
        }
    }
}

/// The file and those of `conf.d` beside it, each read or in trouble; the file itself first.
pub(super) fn each(config: &Path) -> Vec<Result<Table, Trouble>> {
    let beside = config.with_file_name("conf.d");
    let entries = fs::read_dir(beside).into_iter().flatten().flatten();
    let mut more: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    more.sort();
    more.retain(|path| is_configuration(path));
    let more = more.iter().map(|path| read(path));
    std::iter::once(read(config)).chain(more).collect()
}

/// The same where the file itself is needed. Of `conf.d`, what cannot be read is left out.
pub(super) fn all(config: &Path) -> Result<Vec<Table>, Failure> {
    let mut files = each(config).into_iter();
    let first = files.next().transpose().map_err(Trouble::into_failure)?;
    Ok(first
        .into_iter()
        .chain(files.filter_map(Result::ok))
        .collect())
}

fn read(path: &Path) -> Result<Table, Trouble> {
    let wrong = |what: String| Failure::new(Exit::Misconfigured, what);
    let text = config::text(path).map_err(|error| {
        Trouble::Unreadable(wrong(format!("cannot read {}: {error}", path.display())))
    })?;
    // The parser's own text would quote the line; its message alone names what is wrong.
    text.parse::<Table>().map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        Trouble::Syntax(wrong(format!(
            "{}:{line}: {}",
            path.display(),
            error.message().replace('\n', ", ")
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_names_its_line_and_is_told_from_a_file_that_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        let missing = all(&config).unwrap_err();
        assert_eq!(missing.exit, Exit::Misconfigured);
        assert!(matches!(
            each(&config).as_slice(),
            [Err(Trouble::Unreadable(_))]
        ));
        fs::write(&config, "[role.app]\nduration = 2h\n").unwrap();
        let failure = all(&config).unwrap_err();
        assert_eq!(failure.exit, Exit::Misconfigured);
        assert!(failure.message.contains("config.toml:2: "), "{failure}");
        assert!(matches!(
            each(&config).as_slice(),
            [Err(Trouble::Syntax(_))]
        ));
    }

    #[test]
    fn a_broken_file_beside_the_configuration_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        fs::create_dir(dir.path().join("conf.d")).unwrap();
        fs::write(&config, "a = 1\n").unwrap();
        fs::write(dir.path().join("conf.d/1.toml"), "b = \n").unwrap();
        fs::write(dir.path().join("conf.d/2.toml"), "c = 3\n").unwrap();
        fs::write(dir.path().join("conf.d/.3.toml"), "d = 4\n").unwrap();
        let read: Vec<_> = all(&config).unwrap();
        assert_eq!(read.len(), 2);
        assert!(read.last().unwrap().contains_key("c"));
    }
}
