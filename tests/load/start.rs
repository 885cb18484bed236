//! From a program's start to its first accepted connection and its first 200, several times.

use std::error::Error;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use crate::fetch::fetch;
use crate::moment;

/// Between two looks; what is measured is a few milliseconds.
const LOOK: Duration = Duration::from_micros(50);

/// Nobody takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Address the program will listen on
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    path: String,
    #[arg(long, default_value_t = 20)]
    times: usize,
    /// Program and arguments; it must stay in the foreground and end at SIGTERM
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Medians, in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct StartUp {
    pub(crate) times: usize,
    pub(crate) listening_ms: f64,
    pub(crate) first_answer_ms: f64,
}

pub(crate) fn run(options: &Options) -> Result<StartUp, Box<dyn Error>> {
    let mut listening = Vec::new();
    let mut answered = Vec::new();
    for _ in 0..options.times {
        let (program, arguments) = options.command.split_first().ok_or("no program given")?;
        let started = moment::monotonic();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        let measured = measure(options, &mut child, started);
        stop(&mut child)?;
        let (to_listening, to_answer) = measured?;
        listening.push(to_listening);
        answered.push(to_answer);
    }
    Ok(StartUp {
        times: options.times,
        listening_ms: median(&mut listening),
        first_answer_ms: median(&mut answered),
    })
}

fn measure(
    options: &Options,
    child: &mut Child,
    started: Duration,
) -> Result<(Duration, Duration), Box<dyn Error>> {
    let mut to_listening = None;
    loop {
        let connected = TcpStream::connect(options.address);
        // After the attempt: this process may have lost its core between any two steps, and a
        // start must not look faster for that.
        let elapsed = moment::monotonic().saturating_sub(started);
        if let Ok(connection) = connected {
            let listening = *to_listening.get_or_insert(elapsed);
            // Cut off while the program starts is as good as not yet there.
            if fetch(connection, options.address, &options.path).is_ok() {
                return Ok((listening, moment::monotonic().saturating_sub(started)));
            }
        }
        if elapsed > PATIENCE {
            return Err("no 200 within 10 s of the start".into());
        }
        if let Some(status) = child.try_wait()? {
            return Err(format!("the program ended early: {status}").into());
        }
        moment::pause(LOOK);
    }
}

/// Asks the program to end, and makes it end if it does not.
fn stop(child: &mut Child) -> Result<(), Box<dyn Error>> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if child.try_wait()?.is_none()
        && let Some(pid) = pid
    {
        kill_process(pid, Signal::TERM)?;
    }
    let asked = moment::monotonic();
    while child.try_wait()?.is_none() {
        if moment::monotonic().saturating_sub(asked) > PATIENCE {
            child.kill()?;
        }
        moment::pause(Duration::from_millis(1));
    }
    Ok(())
}

/// In milliseconds with two decimals.
fn median(durations: &mut [Duration]) -> f64 {
    durations.sort_unstable();
    let middle = durations.get(durations.len() / 2).copied();
    (middle.unwrap_or_default().as_secs_f64() * 1e5).round() / 100.0
}
