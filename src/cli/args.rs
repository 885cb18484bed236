//! The arguments, from which the help texts, the completions and the man pages are made.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config;
use crate::name::Name;

/// Where the configuration is unless somebody says otherwise.
pub(super) const DEFAULT_CONFIG: &str = "/etc/credvend/config.toml";
pub(super) const CONFIG_VARIABLE: &str = "CREDVEND_CONFIG";

/// Keeps temporary cloud credentials fresh and hands them out locally
#[derive(Debug, Parser)]
#[command(
    name = "credvend",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = CONFIG_VARIABLE,
        default_value = DEFAULT_CONFIG,
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    pub(super) config: PathBuf,

    #[command(subcommand)]
    pub(super) command: Command,
}

impl Arguments {
    /// As usual, but an empty variable is one that is not set.
    pub(super) fn read(arguments: &[OsString]) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let found = command.try_get_matches_from_mut(arguments)?;
        let mut read =
            Self::from_arg_matches(&found).map_err(|error| error.format(&mut command))?;
        if read.config.as_os_str().is_empty() {
            if found.value_source("config") != Some(ValueSource::EnvVariable) {
                return Err(command.error(ErrorKind::InvalidValue, "`--config` names no file"));
            }
            read.config = DEFAULT_CONFIG.into();
        }
        Ok(read)
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon in the foreground
    Run,

    /// Read the configuration and report every mistake
    ///
    /// Reads it as `run` would. Secrets that cannot be read from here are warnings.
    Check(Check),

    /// Try credvend without an account
    ///
    /// Starts an embedded STS emulator and the daemon on top of it, and prints what to try.
    Dev,

    /// Run the STS emulator alone
    ///
    /// A strict stand-in for the cloud's STS on a loopback address, for tests. Its faults are
    /// scripted over HTTP, under /_emulator/.
    Emulator(Emulator),

    /// Show roles and listeners
    ///
    /// Per role: what is held, how refreshing goes, the access key id (shortened), when it
    /// expires, when it is refreshed next, and the last error. Per listener: its state.
    Status(Status),

    /// Print the credentials of a role once
    ///
    /// They are read from a listener that serves the role natively, found through the
    /// configuration or named by --socket, and that listener's access rules apply.
    Get(Get),

    /// Run a program that fetches a role's credentials from here
    ///
    /// Sets the variables that make its SDKs fetch, and keep fetching, from the daemon, and takes
    /// out those that would win over them, and those of another `exec` around it. Where a listener
    /// serves the role natively it is asked first (--socket names one), so that nobody is started
    /// who would not be let in. The program takes this one's place, so signals reach it and its
    /// exit code is what you see.
    Exec(Exec),

    /// Print the environment that `exec` would set
    ///
    /// As lines for a shell: eval "$(credvend env ROLE)". Where a client has no variable for it, a
    /// comment says which listener or sink it needs.
    Env(Env),

    /// Wait until a role's credentials are served
    ///
    /// Returns as soon as credentials with at least --min-remaining of life are served.
    Wait(Wait),

    /// Refresh roles now
    ///
    /// All of them if none is named; each at most once in 10 seconds.
    Refresh(Refresh),

    /// Read the configuration again
    ///
    /// Says what changed, or every mistake. Wrong files change nothing.
    Reload,

    /// Drop held credentials everywhere at once
    ///
    /// For incidents: what is held of these roles is neither served nor kept any longer, and is
    /// replaced by a new set.
    Forget(Forget),

    /// Ask the cloud whose credentials a role holds
    Whoami(Whoami),

    /// Sign in to an Identity Center, through the daemon
    ///
    /// Prints the address to open and the code to compare, on a terminal as a QR code too, and
    /// waits until somebody approved. Ctrl-C cancels. Who asks while another waits joins in.
    Login(Login),

    /// End a sign-in
    ///
    /// At the cloud where it offers that, and here. Held credentials are served to their end.
    Logout(Logout),

    /// Lead TCP clients inside a container to a mounted socket
    ///
    /// Stock SDKs speak TCP to it, it speaks to a listener's Unix socket. Whoever shares the
    /// container's network is let in.
    Bridge(Bridge),

    /// Print a shell's completions
    Completions(Completions),

    /// Print the man page
    Man(Man),
}

#[derive(Args, Debug)]
pub(super) struct Bridge {
    /// A listener's Unix socket; mount its directory, not the file
    pub(super) socket: PathBuf,

    /// Where to listen: a loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9470")]
    pub(super) listen: SocketAddr,

    /// The token that container paths need; created if absent, read otherwise
    #[arg(long, value_name = "FILE")]
    pub(super) token: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Emulator {
    /// Where to listen: a loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9480")]
    pub(super) listen: SocketAddr,
}

#[derive(Args, Debug)]
pub(super) struct Check {
    /// Also make one real attempt per role and say what it would get
    #[arg(long)]
    pub(super) online: bool,
}

#[derive(Args, Debug)]
pub(super) struct Status {
    /// Print the daemon's own document
    #[arg(long)]
    pub(super) json: bool,

    /// Show it again every 2 seconds
    #[arg(long, conflicts_with = "check")]
    pub(super) watch: bool,

    /// Exit with 69 unless every role in use is fresh and nothing is failing
    #[arg(long)]
    pub(super) check: bool,
}

#[derive(Args, Debug)]
pub(super) struct Get {
    /// Whose credentials
    pub(super) role: Name,

    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub(super) format: Format,

    #[command(flatten)]
    pub(super) from: From,
}

/// A spelling of credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// As the daemon serves them natively
    Json,
    /// For `credential_process` in an AWS profile
    Process,
    /// Lines of NAME=VALUE for a shell
    Env,
    /// As Tencent Cloud's instance metadata
    Tencent,
    /// As Huawei Cloud's instance metadata
    Huawei,
    /// As AWS container credentials
    Aws,
}

#[derive(Args, Debug)]
pub(super) struct From {
    /// Read from the listener with this Unix socket
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Exec {
    /// Whose credentials
    pub(super) role: Name,

    #[command(flatten)]
    pub(super) from: From,

    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(super) command: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(super) struct Env {
    /// Whose credentials
    pub(super) role: Name,

    #[command(flatten)]
    pub(super) from: From,
}

#[derive(Args, Debug)]
pub(super) struct Wait {
    /// Whose credentials
    pub(super) role: Name,

    /// How long they must be good for
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration)]
    pub(super) min_remaining: Duration,

    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub(super) timeout: Duration,

    #[command(flatten)]
    pub(super) from: From,
}

#[derive(Args, Debug)]
pub(super) struct Refresh {
    /// Which roles; all if none is named
    #[arg(value_name = "ROLE")]
    pub(super) roles: Vec<Name>,
}

#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["roles", "all"])))]
pub(super) struct Forget {
    /// Which roles
    #[arg(value_name = "ROLE")]
    pub(super) roles: Vec<Name>,

    /// Every role
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Args, Debug)]
pub(super) struct Whoami {
    /// Whose credentials
    pub(super) role: Name,
}

#[derive(Args, Debug)]
pub(super) struct Login {
    /// Which login of the configuration
    #[arg(value_name = "LOGIN")]
    pub(super) name: Name,

    /// Show accounts and permission sets behind it instead
    #[arg(long, conflicts_with = "browser")]
    pub(super) list: bool,

    /// List them as roles to paste into the configuration
    #[arg(long, requires = "list")]
    pub(super) toml: bool,

    /// Open the address in a browser on this host
    #[arg(long)]
    pub(super) browser: bool,
}

#[derive(Args, Debug)]
pub(super) struct Logout {
    /// Which login of the configuration
    #[arg(value_name = "LOGIN")]
    pub(super) name: Name,
}

#[derive(Args, Debug)]
pub(super) struct Completions {
    /// For which shell
    pub(super) shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub(super) struct Man {
    /// Write the pages of all commands into this directory instead
    #[arg(long, value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
}

/// A duration with a unit: `90s`, `30m`, `1h 30m`.
fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text)
}

#[cfg(test)]
mod tests {
    use super::{Arguments, CommandFactory, Duration, duration};

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        for bad in ["", "90", "-5s", "5 parsecs", "00:00:01", "PT30M", "2d"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
