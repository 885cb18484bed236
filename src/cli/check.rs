//! `check`: the configuration read as `run` would read it, and judged without running it.

use std::io::{IsTerminal, stderr};
use std::path::Path;

use super::exit::{Exit, Failure};
use super::output;
use crate::config::{self, Loaded, model::Config};

/// Reports every mistake (78), or that there is none.
pub(super) fn check(file: &Path) -> Result<Exit, Failure> {
    let colour = stderr().is_terminal();
    match config::load(file) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                output::plain(&warning.render(colour));
            }
            output::result(&summary(file, &loaded))?;
            Ok(Exit::Fine)
        }
        Err(report) => {
            for warning in report.warnings() {
                output::plain(&warning.render(colour));
            }
            output::plain(&report.render(colour));
            Ok(Exit::Misconfigured)
        }
    }
}

fn summary(file: &Path, loaded: &Loaded) -> String {
    let Config {
        roles, listeners, ..
    } = &loaded.config;
    let mut text = format!(
        "{}: {}, {}, no mistakes",
        file.display(),
        counted(roles.len(), "role"),
        counted(listeners.len(), "listener"),
    );
    if !loaded.warnings.is_empty() {
        text.push_str(", ");
        text.push_str(&counted(loaded.warnings.len(), "warning"));
    }
    text.push('\n');
    text
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}
