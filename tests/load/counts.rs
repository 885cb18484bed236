//! Upstream calls as the emulator counted them, beside refreshes as the daemon counted them.
//!
//! Both go on counting while they are read. A role is settled once one reading shows equal
//! numbers, with the emulator's the same before and after the daemon's. One call too many makes
//! them differ for ever, so nothing that settles later was wrong before.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fetch::fetch;
use crate::moment;
use crate::output;

/// Readings until the differences are believed.
const READINGS: u32 = 60;
const BETWEEN_READINGS: Duration = Duration::from_millis(100);

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Address of the emulator
    #[arg(long)]
    emulator: SocketAddr,
    /// Address of the daemon's metrics
    #[arg(long)]
    metrics: SocketAddr,
    /// Roles that must have been refreshed
    #[arg(long)]
    roles: usize,
    /// Calls of each role that an outage may have cut off after they were counted
    #[arg(long, default_value_t = 0)]
    cut_off: u64,
}

/// What was counted.
#[derive(Debug, Serialize)]
struct Comparison {
    /// Roles with a successful refresh.
    roles: usize,
    /// Upstream calls that named a role.
    calls: u64,
    /// Successful refreshes.
    refreshes: u64,
    /// Failed attempts.
    failures: u64,
    /// Roles whose numbers never agreed.
    disagreeing: BTreeSet<String>,
}

/// Whether there was one call per role and refresh, and every role was refreshed.
pub(crate) fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let mut settled = BTreeSet::new();
    let mut reading = 0;
    let comparison = loop {
        let before = calls(options.emulator)?;
        let refreshes = refreshes(options.metrics)?;
        let after = calls(options.emulator)?;
        settled.extend(agreeing(
            &before,
            &refreshes.succeeded,
            &after,
            options.cut_off,
        ));

        let disagreeing: BTreeSet<_> = after
            .keys()
            .chain(refreshes.succeeded.keys())
            .filter(|role| !settled.contains(*role))
            .cloned()
            .collect();
        reading += 1;
        if disagreeing.is_empty() || reading == READINGS {
            break Comparison {
                roles: refreshes.succeeded.len(),
                calls: after.values().sum(),
                refreshes: refreshes.succeeded.values().sum(),
                failures: refreshes.failed,
                disagreeing,
            };
        }
        moment::pause(BETWEEN_READINGS);
    };
    output::result(&serde_json::to_string(&comparison)?)?;
    Ok(comparison.disagreeing.is_empty() && comparison.roles == options.roles)
}

type Counts = BTreeMap<String, u64>;

/// Roles that one reading shows to agree.
fn agreeing(before: &Counts, refreshes: &Counts, after: &Counts, cut_off: u64) -> Vec<String> {
    let agrees = |role: &str, calls: u64| {
        let refreshes = refreshes.get(role).copied().unwrap_or_default();
        before.get(role) == Some(&calls) && (refreshes..=refreshes + cut_off).contains(&calls)
    };
    after
        .iter()
        .filter(|(role, calls)| agrees(role, **calls))
        .map(|(role, _)| role.clone())
        .collect()
}

/// What the emulator says of its calls, as far as it matters here.
#[derive(Deserialize)]
struct Calls {
    by_role: Counts,
}

fn calls(emulator: SocketAddr) -> Result<Counts, Box<dyn Error>> {
    let body = fetch(TcpStream::connect(emulator)?, emulator, "/_emulator/calls")?;
    Ok(serde_json::from_slice::<Calls>(&body)?.by_role)
}

fn refreshes(metrics: SocketAddr) -> Result<Refreshes, Box<dyn Error>> {
    let body = fetch(TcpStream::connect(metrics)?, metrics, "/metrics")?;
    Ok(Refreshes::parse(&String::from_utf8(body)?))
}

/// `credvend_refresh_total`, the successes by role.
#[derive(Debug, Default, Eq, PartialEq)]
struct Refreshes {
    succeeded: Counts,
    failed: u64,
}

impl Refreshes {
    fn parse(metrics: &str) -> Self {
        let mut refreshes = Self::default();
        for line in metrics.lines() {
            let Some((labels, count)) = line
                .strip_prefix("credvend_refresh_total{")
                .and_then(|rest| rest.split_once("} "))
            else {
                continue;
            };
            // A timestamp or an exemplar may follow.
            let count = count.split(' ').next().and_then(|count| count.parse().ok());
            let count: u64 = count.unwrap_or_default();
            match label(labels, "role") {
                Some(role) if label(labels, "result") == Some("success") => {
                    refreshes.succeeded.insert(role.to_owned(), count);
                }
                _ => refreshes.failed += count,
            }
        }
        refreshes
    }
}

/// The value of a label; role names and results need no escapes.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::{Counts, Refreshes, agreeing};

    fn counts(pairs: &[(&str, u64)]) -> Counts {
        pairs
            .iter()
            .map(|(role, count)| ((*role).to_owned(), *count))
            .collect()
    }

    #[test]
    fn successes_are_told_from_failures() {
        let metrics = "# TYPE credvend_refresh counter\n\
            credvend_refresh_total{role=\"a\",result=\"success\"} 7\n\
            credvend_refresh_total{role=\"a\",result=\"network\"} 2\n\
            credvend_refresh_total{result=\"success\",role=\"b\"} 1\n\
            credvend_refresh_duration_seconds_count{role=\"a\"} 9\n";
        let refreshes = Refreshes::parse(metrics);
        assert_eq!(refreshes.succeeded, counts(&[("a", 7), ("b", 1)]));
        assert_eq!(refreshes.failed, 2);
    }

    #[test]
    fn a_role_agrees_only_while_nothing_moves() {
        let refreshes = counts(&[("moved", 2), ("fine", 3), ("twice", 4), ("missing", 1)]);
        let before = counts(&[("moved", 1), ("fine", 3), ("twice", 8)]);
        let after = counts(&[("moved", 2), ("fine", 3), ("twice", 8)]);
        assert_eq!(agreeing(&before, &refreshes, &after, 0), ["fine"]);
        assert_eq!(agreeing(&before, &refreshes, &after, 1), ["fine"]);
        assert_eq!(agreeing(&before, &refreshes, &after, 4), ["fine", "twice"]);
    }
}
