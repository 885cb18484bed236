//! The load generator of the benchmark and the long runs: HTTP/1.1 `GET`s over TCP and Unix
//! sockets from one thread that waits on `epoll` and does nothing else, so that the server and
//! not the load is what is measured.
//!
//! ```text
//! load bench   one server, one request over and over: throughput, latency, CPU per request
//! load report  lines of results of two servers → a table of ratios
//! load soak    all roles of a daemon, polled in every way, every answer held against promises
//! load start   from a program's start to listening and to its first 200
//! load counts  upstream calls per role beside refreshes per role
//! ```
//!
//! Left out: TLS, pipelining, chunked bodies, redirects. Every result is one line of JSON.

mod answer;
mod bench;
mod client;
mod counts;
mod engine;
mod fetch;
mod formats;
mod histogram;
mod moment;
mod output;
mod process;
mod report;
mod soak;
mod start;
mod target;
mod witness;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(about = "Load for credvend's benchmark and long runs")]
enum Command {
    /// Ask one server for the same thing over and over
    Bench(bench::Options),
    /// Turn lines of results into a table of ratios
    Report(report::Options),
    /// Poll all roles of a daemon and check every answer
    Soak(soak::Options),
    /// Measure how long a program takes to start
    Start(start::Options),
    /// Compare upstream calls with refreshes, role by role
    Counts(counts::Options),
}

fn main() -> ExitCode {
    match run(&Command::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::remark(&format!("load: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether all was well.
fn run(command: &Command) -> Result<bool, Box<dyn Error>> {
    match command {
        Command::Bench(options) => {
            let measurement = bench::run(options)?;
            output::result(&serde_json::to_string(&measurement)?)?;
            Ok(measurement.errors == 0 && measurement.requests > 0)
        }
        Command::Report(options) => report::run(options),
        Command::Soak(options) => {
            let summary = soak::run(options)?;
            output::result(&serde_json::to_string(&summary)?)?;
            Ok(summary.errors == 0)
        }
        Command::Start(options) => {
            output::result(&serde_json::to_string(&start::run(options)?)?)?;
            Ok(true)
        }
        Command::Counts(options) => counts::run(options),
    }
}
