//! The command line: arguments in, exit code out.
//!
//! Commands other than `run` are thin: they ask the daemon, over the admin socket or as a
//! client of a listener, and print what it says. Results go to stdout, messages to stderr as
//! `credvend: …` with an optional `hint: …` below. None of them contacts a cloud itself.

mod args;
mod bridge;
mod check;
mod dev;
mod emulate;
mod environment;
mod exec;
pub mod exit;
mod get_formats;
mod http_client;
mod layout;
mod listing;
mod locate;
mod login;
mod manual;
mod operate;
mod output;
mod peer;
mod question;
mod reach;
mod status;
mod vending;
mod written;

use std::ffi::OsString;
use std::panic;
use std::path::Path;

use clap::error::ErrorKind;

use crate::daemon::{self, RunError};

use args::{Arguments, Command};
pub use exit::{Exit, Failure};

/// Runs the command that these arguments (the program's name first) ask for.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    panic::set_hook(Box::new(|bug| {
        // The payload may quote what was being worked on; the place is enough to find it.
        let place = bug.location().map(ToString::to_string).unwrap_or_default();
        output::message(&format!("this is a bug in credvend, at {place}"));
    }));
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    panic::catch_unwind(|| match Arguments::read(&arguments) {
        Ok(arguments) => execute(&arguments).unwrap_or_else(|failure| {
            output::failure(&failure);
            failure.exit
        }),
        Err(error) => explain(&error),
    })
    .unwrap_or(Exit::Internal)
}

/// Help and version are results; anything else is a message, and exit 64 where clap's own
/// habit is 2.
fn explain(error: &clap::Error) -> Exit {
    let kind = error.kind();
    if matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match output::result(&error.render().ansi().to_string()) {
            Ok(()) => Exit::Fine,
            Err(failure) => failure.exit,
        };
    }
    if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        output::plain(&error.render().ansi().to_string());
    } else {
        let text = error.render().to_string();
        output::message(text.strip_prefix("error: ").unwrap_or(&text));
    }
    Exit::Usage
}

fn execute(arguments: &Arguments) -> Result<Exit, Failure> {
    // Before the first secret: most commands hold some for a moment.
    if let Err(refusal) = daemon::hide_memory() {
        output::message(&refusal);
    }
    let config: &Path = &arguments.config;
    match &arguments.command {
        Command::Bridge(it) => block_on(bridge::bridge(&it.socket, it.listen, it.token.as_ref())),
        Command::Check(it) => block_on(check::check(config, it)),
        Command::Dev => dev::dev(),
        Command::Run => {
            daemon::run(config, || ())?;
            Ok(Exit::Fine)
        }
        Command::Completions(it) => manual::completions(it),
        Command::Emulator(it) => block_on(emulate::emulate(it.listen)),
        Command::Env(it) => exec::print(config, it),
        Command::Exec(it) => exec::exec(config, it),
        Command::Forget(it) => block_on(operate::forget(config, it)),
        Command::Get(it) => block_on(vending::get(config, it)),
        Command::Login(it) => block_on(login::login(config, it)),
        Command::Logout(it) => block_on(login::logout(config, it)),
        Command::Man(it) => manual::man(it.directory.as_deref()),
        Command::Refresh(it) => block_on(operate::refresh(config, it)),
        Command::Reload => block_on(operate::reload(config)),
        Command::Status(it) => block_on(status::status(config, it)),
        Command::Wait(it) => block_on(vending::wait(config, it)),
        Command::Whoami(it) => block_on(operate::whoami(config, it)),
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let exit = match &error {
            RunError::Misconfigured(_) => Exit::Misconfigured,
            RunError::Unavailable(_) => Exit::Unavailable,
            RunError::Internal(_) => Exit::Internal,
        };
        Self::new(exit, error.to_string())
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Unavailable, format!("cannot start: {error}")))?
        .block_on(work)
}
