//! One cell of the benchmark: a server, a number of connections, the same request over and over.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::client::Client;
use crate::engine::{Engine, Pace, Workload};
use crate::fetch::get;
use crate::histogram::Histogram;
use crate::moment;
use crate::output;
use crate::process::ProcessTree;
use crate::target::Target;

/// Not counted: connections are made and caches filled in it.
const WARM_UP: Duration = Duration::from_millis(150);

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// tcp:ADDRESS:PORT or unix:PATH
    #[arg(long)]
    target: Target,
    #[arg(long)]
    path: String,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// A new connection for each request
    #[arg(long)]
    new_connections: bool,
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Length every body must have; by default that of the first
    #[arg(long)]
    body_length: Option<usize>,
    /// The server's process, to count its CPU time
    #[arg(long)]
    server_pid: Option<u32>,
    /// Copied into the result
    #[arg(long, default_value = "")]
    cell: String,
    #[arg(long, default_value = "")]
    server: String,
    #[arg(long, default_value_t = 1)]
    round: u32,
}

/// One line of results.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Measurement {
    pub(crate) cell: String,
    pub(crate) server: String,
    pub(crate) round: u32,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// CPU time of the server per request.
    pub(crate) cpu_us: f64,
}

/// Loads one server and says how it did. The first error is told in the log.
pub(crate) fn run(options: &Options) -> Result<Measurement, Box<dyn Error>> {
    let clients = (0..options.connections)
        .map(|_| Client::new(options.target.clone(), !options.new_connections))
        .collect();
    let mut engine = Engine::new(clients)?;
    let mut load = SameRequest::new(options);
    let cpu_time = || {
        options
            .server_pid
            .map_or(Duration::ZERO, |pid| ProcessTree(pid).cpu_time())
    };

    engine.drive(&mut load, full_speed(WARM_UP))?;
    load.latencies = Histogram::default();
    let (cpu_before, started) = (cpu_time(), moment::monotonic());
    engine.drive(
        &mut load,
        full_speed(Duration::try_from_secs_f64(options.seconds)?),
    )?;
    let seconds = moment::monotonic().saturating_sub(started).as_secs_f64();
    let cpu_used = cpu_time().saturating_sub(cpu_before);

    if let Some(first) = load.first_error {
        output::remark(&format!("{} {}: {first}", options.server, options.cell));
    }
    let requests = load.latencies.count();
    Ok(Measurement {
        cell: options.cell.clone(),
        server: options.server.clone(),
        round: options.round,
        requests,
        errors: load.errors,
        seconds,
        p50_us: micros(load.latencies.percentile(50)),
        p99_us: micros(load.latencies.percentile(99)),
        cpu_us: micros(cpu_used) / f64::from(u32::try_from(requests.max(1))?),
    })
}

fn full_speed(length: Duration) -> Pace {
    Pace {
        length,
        pause: Duration::ZERO,
    }
}

/// Microseconds with one decimal.
pub(crate) fn micros(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

/// Every client asks for the same, and every answer must be a 200 with a body as long as all
/// others.
#[derive(Debug)]
struct SameRequest {
    request: Vec<u8>,
    body_length: Option<usize>,
    latencies: Histogram,
    errors: u64,
    first_error: Option<String>,
}

impl SameRequest {
    fn new(options: &Options) -> Self {
        Self {
            request: get(
                &options.path,
                &options.target.host(),
                !options.new_connections,
            ),
            body_length: options.body_length,
            latencies: Histogram::default(),
            errors: 0,
            first_error: None,
        }
    }

    fn count_error(&mut self, why: String) {
        self.errors += 1;
        self.first_error.get_or_insert(why);
    }
}

impl Workload for SameRequest {
    fn next_request(&mut self, _client: usize, request: &mut Vec<u8>) {
        request.extend_from_slice(&self.request);
    }

    fn answered(&mut self, _client: usize, answer: Answer<'_>, asked: Duration, now: Duration) {
        let length = answer.body.len();
        if answer.status != 200 {
            self.count_error(format!("status {}", answer.status));
        } else if length != *self.body_length.get_or_insert(length) {
            self.count_error(format!("a body of {length} bytes"));
        } else {
            self.latencies.record(now.saturating_sub(asked));
        }
    }

    fn failed(&mut self, _client: usize, why: &str) {
        self.count_error(why.to_owned());
    }
}
