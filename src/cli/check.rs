//! `check`: the configuration read as `run` would read it, and judged without running it.

use std::io::{IsTerminal, stderr};
use std::path::Path;

use super::args::Check;
use super::exit::{Exit, Failure};
use super::output;
use crate::config::{self, Loaded, model::Config};
use crate::daemon::{self, Trial};

/// Reports every mistake (78), or that there is none; with `--online`, also one real attempt
/// per role (69 if one fails).
pub(super) async fn check(file: &Path, arguments: &Check) -> Result<Exit, Failure> {
    let colour = stderr().is_terminal();
    match config::check(file) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                output::plain(&warning.render(colour));
            }
            output::result(&summary(file, &loaded))?;
            if arguments.online {
                return try_online(&loaded.config).await;
            }
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

async fn try_online(config: &Config) -> Result<Exit, Failure> {
    let trials = daemon::try_roles(config).await.map_err(|error| {
        Failure::new(Exit::Unavailable, format!("cannot make attempts: {error}"))
    })?;
    let mut text = String::new();
    for Trial { role, result } in &trials {
        match result {
            Ok(got) => output::append(&mut text, format_args!("role `{role}`: would get {got}\n")),
            Err(why) => {
                let why = output::printable(why);
                output::append(&mut text, format_args!("role `{role}`: FAILED: {why}\n"));
            }
        }
    }
    output::result(&text)?;
    Ok(if trials.iter().all(|trial| trial.result.is_ok()) {
        Exit::Fine
    } else {
        Exit::Unavailable
    })
}
