//! Many clients of every kind, polling all roles of one daemon and believing nothing.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::time::Duration;

use serde::Serialize;

use crate::answer::Answer;
use crate::bench::micros;
use crate::client::Client;
use crate::engine::{Engine, Pace, Workload};
use crate::fetch::get;
use crate::formats::Format;
use crate::histogram::Histogram;
use crate::moment;
use crate::output;
use crate::target::Target;
use crate::witness::{Seen, Witness, Wrong};

/// Problems told one by one; the rest are only counted.
const TOLD: u64 = 10;

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// tcp:ADDRESS:PORT and unix:PATH: listeners that serve all roles, natively and in Tencent's
    /// format
    #[arg(long, required = true, num_args = 1..)]
    target: Vec<Target>,
    /// Roles are called role-0, role-1, …
    #[arg(long)]
    roles: usize,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[arg(long)]
    seconds: u64,
    /// Of each client, between an answer and the next request
    #[arg(long, default_value_t = 10)]
    pause_ms: u64,
    /// A role may have nothing to serve once its last set is over
    #[arg(long)]
    outage: bool,
}

/// What was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) requests: u64,
    /// Answers that broke a promise or could not be read, and requests without one.
    pub(crate) errors: u64,
    pub(crate) expired: u64,
    pub(crate) torn: u64,
    pub(crate) backwards: u64,
    pub(crate) withdrawn: u64,
    /// Refusals by roles that had nothing left to serve.
    pub(crate) unavailable: u64,
    /// When the last of these came, seconds since 1970.
    pub(crate) last_unavailable_at: Option<f64>,
    /// Roles whose last answer held a set.
    pub(crate) roles_served: usize,
    /// Different sets seen.
    pub(crate) sets: usize,
    pub(crate) seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Polls for the given time.
pub(crate) fn run(options: &Options) -> Result<Summary, Box<dyn Error>> {
    // Every combination of target, kind of connection and format has its share of the clients.
    let clients: Vec<_> = (0..options.connections)
        .zip(options.target.iter().cycle())
        .map(|(index, target)| {
            let keep_alive = (index / options.target.len()).is_multiple_of(2);
            Client::new(target.clone(), keep_alive)
        })
        .collect();
    let pollers = clients
        .iter()
        .enumerate()
        .map(|(index, client)| Poller {
            host: client.host(),
            keep_alive: client.keeps_alive(),
            format: if (index / options.target.len() / 2).is_multiple_of(2) {
                Format::Native
            } else {
                Format::Tencent
            },
            // Spread over the roles, so that each is asked for all the time.
            role: index * options.roles / options.connections.max(1),
            before: Seen::default(),
            asked: Duration::ZERO,
        })
        .collect();
    let mut polling = Polling {
        pollers,
        roles: options.roles,
        outage: options.outage,
        witness: Witness::default(),
        latencies: Histogram::default(),
        problems: BTreeMap::new(),
        unreadable: HashMap::new(),
        last_unavailable: None,
    };
    let started = moment::monotonic();
    Engine::new(clients)?.drive(
        &mut polling,
        Pace {
            length: Duration::from_secs(options.seconds),
            pause: Duration::from_millis(options.pause_ms),
        },
    )?;
    Ok(polling.summary(moment::monotonic().saturating_sub(started)))
}

/// One client's place in its round through the roles.
#[derive(Debug)]
struct Poller {
    host: String,
    keep_alive: bool,
    format: Format,
    role: usize,
    before: Seen,
    /// On the wall clock, against which expiries are held.
    asked: Duration,
}

#[derive(Debug)]
struct Polling {
    pollers: Vec<Poller>,
    roles: usize,
    outage: bool,
    witness: Witness,
    latencies: Histogram,
    problems: BTreeMap<Wrong, u64>,
    /// What is no answer at all, by its description.
    unreadable: HashMap<String, u64>,
    last_unavailable: Option<Duration>,
}

fn role_name(index: usize) -> String {
    format!("role-{index}")
}

impl Workload for Polling {
    fn next_request(&mut self, client: usize, request: &mut Vec<u8>) {
        let Some(poller) = self.pollers.get_mut(client) else {
            return;
        };
        poller.role = (poller.role + 1) % self.roles;
        let role = role_name(poller.role);
        poller.before = self.witness.before(&role);
        poller.asked = moment::wall();
        let path = poller.format.path(&role);
        request.extend_from_slice(&get(&path, &poller.host, poller.keep_alive));
    }

    fn answered(&mut self, client: usize, answer: Answer<'_>, asked: Duration, now: Duration) {
        self.latencies.record(now.saturating_sub(asked));
        let Some(poller) = self.pollers.get(client) else {
            return;
        };
        let role = role_name(poller.role);
        let mut detail = format!("status {}", answer.status);
        let judged = if answer.status == 200 {
            match poller.format.read(&role, answer.body) {
                Ok(set) => {
                    if let Some(past) = poller.asked.checked_sub(set.expires) {
                        detail = format!("it showed an end {past:.3?} before the request");
                    }
                    self.witness.got(&role, set, poller.before, poller.asked)
                }
                Err(why) => return self.count_unreadable(&role, why),
            }
        } else {
            let wall = moment::wall();
            let wrong = self.witness.refused(&role, poller.before, wall);
            if wrong == Wrong::Unavailable {
                self.last_unavailable = Some(wall);
            }
            Err(wrong)
        };
        if let Err(wrong) = judged {
            self.count(&role, wrong, &detail);
        }
    }

    fn failed(&mut self, client: usize, why: &str) {
        let role = self.pollers.get(client).map(|poller| poller.role);
        self.count_unreadable(&role_name(role.unwrap_or_default()), why);
    }
}

impl Polling {
    fn count(&mut self, role: &str, wrong: Wrong, detail: &str) {
        let count = self.problems.entry(wrong).or_default();
        *count += 1;
        if *count <= TOLD && !self.tolerates(wrong) {
            output::remark(&format!("{role}: {wrong:?}: {detail}"));
        }
    }

    fn count_unreadable(&mut self, role: &str, why: &str) {
        let count = self.unreadable.entry(why.to_owned()).or_default();
        *count += 1;
        if *count <= TOLD {
            output::remark(&format!("{role}: {why}"));
        }
    }

    fn tolerates(&self, wrong: Wrong) -> bool {
        self.outage && wrong == Wrong::Unavailable
    }

    fn summary(&self, length: Duration) -> Summary {
        let count = |wrong| self.problems.get(&wrong).copied().unwrap_or_default();
        let broken: u64 = self
            .problems
            .iter()
            .filter(|(wrong, _)| !self.tolerates(**wrong))
            .map(|(_, count)| count)
            .sum();
        Summary {
            requests: self.latencies.count(),
            errors: broken + self.unreadable.values().sum::<u64>(),
            expired: count(Wrong::Expired),
            torn: count(Wrong::Torn),
            backwards: count(Wrong::Backwards),
            withdrawn: count(Wrong::Withdrawn),
            unavailable: count(Wrong::Unavailable),
            last_unavailable_at: self.last_unavailable.map(|moment| moment.as_secs_f64()),
            roles_served: self.witness.roles_served(),
            sets: self.witness.sets(),
            seconds: length.as_secs_f64(),
            p50_us: micros(self.latencies.percentile(50)),
            p99_us: micros(self.latencies.percentile(99)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, run};
    use crate::target::Target;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    /// A server that gives every client the same answer, on a thread that ends with the test.
    fn server_of(status: &str, body: &str) -> Target {
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let answer = answer.clone();
                std::thread::spawn(move || serve(connection, &answer));
            }
        });
        Target::Tcp(address)
    }

    fn serve(mut connection: std::net::TcpStream, answer: &str) {
        let mut request = [0; 1024];
        while let Ok(length) = connection.read(&mut request) {
            if length == 0 || connection.write_all(answer.as_bytes()).is_err() {
                return;
            }
            if request[..length].windows(5).any(|part| part == b"close") {
                return;
            }
        }
    }

    fn options(target: Target, outage: bool) -> Options {
        Options {
            target: vec![target],
            roles: 1,
            connections: 4,
            seconds: 1,
            pause_ms: 20,
            outage,
        }
    }

    #[test]
    fn refusals_are_errors_unless_an_outage_explains_them() {
        let target = server_of("503 Service Unavailable", "");
        for (outage, explained) in [(false, false), (true, true)] {
            let summary = run(&options(target.clone(), outage)).unwrap();
            assert!(summary.unavailable > 0);
            assert_eq!(summary.errors == 0, explained, "outage: {outage}");
            assert_eq!(summary.roles_served, 0);
        }
    }

    #[test]
    fn a_server_that_repeats_an_ended_set_is_found_out() {
        const TENCENT: &str = r#"{"TmpSecretId": "AKID1", "TmpSecretKey": "s", "Token": "t",
            "ExpiredTime": 60, "Expiration": "1970-01-01T00:01:00Z", "Code": "Success"}"#;
        const NATIVE: &str = r#"{"role": "role-0", "access_key_id": "AKID1",
            "secret_access_key": "s", "session_token": "t", "generation": 7,
            "expires_at": "1970-01-01T00:01:00Z"}"#;
        for body in [TENCENT, NATIVE] {
            let summary = run(&options(server_of("200 OK", body), false)).unwrap();
            // The clients that expect the other format cannot read it.
            assert!(summary.expired > 0, "{summary:?}");
            assert!(summary.errors > summary.expired, "{summary:?}");
        }
    }

    #[test]
    fn a_good_server_passes() {
        let body = r#"{"role": "role-0", "access_key_id": "AKID1", "secret_access_key": "s",
            "session_token": "t", "generation": 7, "expires_at": "2999-01-01T00:00:00Z",
            "TmpSecretId": "AKID1", "TmpSecretKey": "s", "Token": "t", "Code": "Success",
            "ExpiredTime": 32472144000, "Expiration": "2999-01-01T00:00:00Z"}"#;
        let summary = run(&options(server_of("200 OK", body), false)).unwrap();
        assert_eq!(summary.errors, 0, "{summary:?}");
        assert!(summary.requests > 20, "{summary:?}");
        assert_eq!((summary.roles_served, summary.sets), (1, 1));
    }

    #[test]
    fn a_server_that_is_gone_is_an_error() {
        let gone = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let summary = run(&options(Target::Tcp(gone), true)).unwrap();
        assert!(summary.errors > 0);
        assert!(summary.seconds < Duration::from_secs(3).as_secs_f64());
    }
}
