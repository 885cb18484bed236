//! Lines of results of two servers, as a table of ratios.
//!
//! Cells are compared within a round, where both servers saw the same machine; what is printed
//! is the median of the rounds' ratios, with their range for throughput.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::bench::Measurement;
use crate::output;

/// At least so much of the reference's throughput is wanted, for every kind of cell.
const THROUGHPUT_WANTED: f64 = 0.9;
/// And at most so much of its 99th percentile.
const P99_WANTED: f64 = 1.5;

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Results of `load bench`, one a line
    #[arg(long)]
    results: PathBuf,
    /// Server to be judged
    #[arg(long)]
    subject: String,
    /// Server it is held against
    #[arg(long)]
    reference: String,
}

/// Whether no answer was wrong. Ratios never make it fail: they depend on the machine's mood.
pub(crate) fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let results = fs::read_to_string(&options.results)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Measurement>, _>>()?;
    let cells = compare(&results, &options.subject, &options.reference);
    output::result(&table(&cells, &options.subject, &options.reference))?;
    output::result(&summary(&cells))?;
    let errors: u64 = results.iter().map(|result| result.errors).sum();
    let requests: u64 = results.iter().map(|result| result.requests).sum();
    output::result(&format!("{requests} requests, {errors} errors"))?;
    Ok(errors == 0 && !cells.is_empty())
}

/// One row: medians over its rounds.
#[derive(Debug, PartialEq)]
struct Cell {
    name: String,
    /// Requests per second and the 99th percentile of the subject, in microseconds.
    rate: f64,
    p99_us: f64,
    cpu_us: f64,
    reference_rate: f64,
    /// Subject by reference; above 1 is better for throughput, worse for all others.
    throughput: Ratio,
    p50: Ratio,
    p99: Ratio,
    cpu: Ratio,
}

impl Cell {
    /// The name without the number of connections.
    fn kind(&self) -> &str {
        self.name
            .rsplit_once(' ')
            .map_or(&*self.name, |(kind, _)| kind)
    }
}

/// The rounds' ratios.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ratio {
    low: f64,
    median: f64,
    high: f64,
}

impl Ratio {
    fn over(pairs: &[(&Measurement, &Measurement)], value: fn(&Measurement) -> f64) -> Self {
        let mut ratios: Vec<_> = pairs
            .iter()
            .map(|(subject, reference)| value(subject) / value(reference))
            .collect();
        ratios.sort_by(f64::total_cmp);
        Self {
            low: ratios.first().copied().unwrap_or(f64::NAN),
            median: middle(&ratios),
            high: ratios.last().copied().unwrap_or(f64::NAN),
        }
    }
}

/// Cells in the order they first appear, as far as both servers were measured in a round.
fn compare(results: &[Measurement], subject: &str, reference: &str) -> Vec<Cell> {
    let mut names: Vec<&str> = Vec::new();
    for result in results {
        if !names.contains(&result.cell.as_str()) {
            names.push(&result.cell);
        }
    }
    names
        .into_iter()
        .filter_map(|name| {
            let of = |server: &str| {
                results
                    .iter()
                    .filter(move |result| result.cell == name && result.server == *server)
                    .collect::<Vec<_>>()
            };
            let references = of(reference);
            let pairs: Vec<_> = of(subject)
                .into_iter()
                .filter_map(|measured| {
                    let same_round = |other: &&&Measurement| other.round == measured.round;
                    Some((measured, *references.iter().find(same_round)?))
                })
                .collect();
            (!pairs.is_empty()).then(|| cell(name, &pairs))
        })
        .collect()
}

fn cell(name: &str, pairs: &[(&Measurement, &Measurement)]) -> Cell {
    let of_subject = |value: fn(&Measurement) -> f64| {
        sorted_middle(pairs.iter().map(|(subject, _)| value(subject)))
    };
    Cell {
        name: name.to_owned(),
        rate: of_subject(rate),
        p99_us: of_subject(|it| it.p99_us),
        cpu_us: of_subject(|it| it.cpu_us),
        reference_rate: sorted_middle(pairs.iter().map(|(_, reference)| rate(reference))),
        throughput: Ratio::over(pairs, rate),
        p50: Ratio::over(pairs, |it| it.p50_us),
        p99: Ratio::over(pairs, |it| it.p99_us),
        cpu: Ratio::over(pairs, |it| it.cpu_us),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rounding error in the 16th digit of a rate"
)]
fn rate(result: &Measurement) -> f64 {
    result.requests as f64 / result.seconds
}

fn sorted_middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    middle(&values)
}

/// The median of sorted values.
fn middle(sorted: &[f64]) -> f64 {
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2);
    f64::midpoint(lower.copied().unwrap_or(f64::NAN), upper)
}

fn table(cells: &[Cell], subject: &str, reference: &str) -> String {
    let mut text = format!(
        "{subject} / {reference}: the median of the rounds' ratios; more throughput is better, \
         less of all others is\n\n\
         {:<34} {:>10} {:>7} {:>7} {:>11} {:>11}   {:<19} {:>5} {:>5} {:>5}\n",
        "cell",
        "req/s",
        "p99 µs",
        "CPU µs",
        reference,
        "throughput",
        "(range)",
        "p50",
        "p99",
        "CPU"
    );
    for cell in cells {
        let range = format!("({:.2} – {:.2})", cell.throughput.low, cell.throughput.high);
        // Writing to a string does not fail.
        let _infallible = writeln!(
            text,
            "{:<34} {:>10.0} {:>7.0} {:>7.1} {:>11.0} {:>11.2}   {:<19} {:>5.2} {:>5.2} {:>5.2}",
            cell.name,
            cell.rate,
            cell.p99_us,
            cell.cpu_us,
            cell.reference_rate,
            cell.throughput.median,
            range,
            cell.p50.median,
            cell.p99.median,
            cell.cpu.median,
        );
    }
    text
}

/// One line per kind of cell: what all numbers of connections come to.
fn summary(cells: &[Cell]) -> String {
    let mut kinds: Vec<&str> = cells.iter().map(Cell::kind).collect();
    kinds.dedup();
    let mut text = String::new();
    for kind in kinds {
        let of_kind = || cells.iter().filter(|cell| cell.kind() == kind);
        let throughput = geometric_mean(of_kind().map(|cell| cell.throughput.median));
        let p99 = geometric_mean(of_kind().map(|cell| cell.p99.median));
        // Writing to a string does not fail.
        let _infallible = writeln!(
            text,
            "{kind}: throughput {throughput:.2} ({} {THROUGHPUT_WANTED:.2}), \
             p99 {p99:.2} ({} {P99_WANTED:.2})",
            if throughput >= THROUGHPUT_WANTED {
                "wanted:"
            } else {
                "BELOW the wanted"
            },
            if p99 <= P99_WANTED {
                "wanted:"
            } else {
                "ABOVE the wanted"
            },
        );
    }
    text
}

fn geometric_mean(ratios: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = ratios.fold((0.0, 0.0), |(sum, count), ratio| {
        (sum + ratio.ln(), count + 1.0)
    });
    f64::exp(sum / count)
}

#[cfg(test)]
mod tests {
    use super::{Measurement, compare, geometric_mean, middle, summary, table};

    fn measured(server: &str, round: u32, requests: u64, p99_us: f64) -> Measurement {
        Measurement {
            cell: "keep-alive TCP 16".into(),
            server: server.into(),
            round,
            requests,
            errors: 0,
            seconds: 2.0,
            p50_us: 10.0,
            p99_us,
            cpu_us: 5.0,
        }
    }

    #[test]
    fn servers_are_compared_within_a_round() {
        let results = [
            measured("ours", 1, 200, 20.0),
            measured("theirs", 1, 100, 10.0),
            measured("theirs", 2, 1000, 30.0),
            measured("ours", 2, 1000, 30.0),
            measured("theirs", 3, 100, 10.0),
            measured("ours", 3, 150, 10.0),
            measured("ours", 4, 1, 1.0), // its partner is missing
        ];
        let cells = compare(&results, "ours", "theirs");
        assert_eq!(cells.len(), 1);
        let ratio = cells[0].throughput;
        assert_eq!((ratio.low, ratio.median, ratio.high), (1.0, 1.5, 2.0));
        assert!((cells[0].p99.median - 1.0).abs() < 1e-9);
        assert!(table(&cells, "ours", "theirs").contains("(1.00 – 2.00)"));
        assert_eq!(
            summary(&cells),
            "keep-alive TCP: throughput 1.50 (wanted: 0.90), p99 1.00 (wanted: 1.50)\n"
        );
    }

    #[test]
    fn medians() {
        assert!((middle(&[1.0, 2.0, 9.0]) - 2.0).abs() < 1e-9);
        assert!((middle(&[1.0, 2.0]) - 1.5).abs() < 1e-9);
        assert!(middle(&[]).is_nan());
        assert!((geometric_mean([0.5, 2.0].into_iter()) - 1.0).abs() < 1e-9);
    }
}
