//! The load beside an attack: `wrk`, or the counting client.

use std::time::Duration;

use super::children::output_of;
use crate::counting::{self, Plan};
use crate::{Error, Loopback, Result};

/// Longer than wrk takes to start and stop.
const MARGIN: Duration = Duration::from_secs(10);

/// Who asks honestly.
#[derive(Clone, Debug)]
pub enum Load {
    /// `wrk --latency` with so many connections, one thread, and this target.
    Wrk {
        /// `-c`.
        connections: usize,
        /// What is asked for.
        path: String,
    },
    /// The counting client.
    Counting {
        /// Kept up.
        connections: usize,
        /// Before `/n/NUMBER`.
        path: String,
    },
}

/// What honest clients got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Honest {
    /// Complete responses.
    pub requests: u64,
    /// Per second.
    pub rps: f64,
    /// The time that 99 % did not exceed.
    pub p99_ms: f64,
    /// Socket errors, timeouts, other statuses, losses and mismatches; 1 if nothing was answered at
    /// all, of which wrk says nothing.
    pub failures: u64,
}

impl Load {
    pub(super) fn run(
        &self,
        address: Loopback,
        duration: Duration,
        cpus: &[usize],
    ) -> Result<Honest> {
        let mut honest = self.measure(address, duration, cpus)?;
        if honest.requests == 0 {
            honest.failures = honest.failures.max(1);
        }
        Ok(honest)
    }

    fn measure(&self, address: Loopback, duration: Duration, cpus: &[usize]) -> Result<Honest> {
        match self {
            Load::Wrk { connections, path } => {
                let seconds = duration.as_secs().max(1);
                let words = [
                    "wrk",
                    "-t",
                    "1",
                    "-c",
                    &connections.to_string(),
                    "-d",
                    &format!("{seconds}s"),
                    "--latency",
                    &format!("http://{}{path}", address.get()),
                ];
                let words = words.map(str::to_owned);
                parse_wrk(&output_of(&words, cpus, duration + MARGIN)?)
            }
            Load::Counting { connections, path } => {
                let totals = counting::run(&Plan {
                    connections: *connections,
                    path: path.clone(),
                    duration,
                    ..Plan::new(address)
                })?;
                Ok(Honest {
                    requests: totals.all().answered,
                    rps: totals.rps(),
                    p99_ms: ms(totals.latency.quantile(990).unwrap_or_default()),
                    failures: totals.mismatches()
                        + totals.lost()
                        + totals.all().other_status
                        + totals.connect_refused
                        + totals.connect_timed_out,
                })
            }
        }
    }
}

fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// What `wrk --latency` prints. Lines that it leaves out when there is nothing to say count as 0.
pub(super) fn parse_wrk(text: &str) -> Result<Honest> {
    let (mut requests, mut rps, mut p99_ms, mut failures) = (None, None, None, 0);
    for line in text.lines().map(str::trim) {
        let unreadable = || Error::program("wrk", format!("cannot read {line:?}"));
        if let Some(rest) = line.strip_prefix("99%") {
            p99_ms = Some(milliseconds(rest).ok_or_else(unreadable)?);
        } else if let Some(rest) = line.strip_prefix("Requests/sec:") {
            rps = Some(rest.trim().parse().map_err(|_| unreadable())?);
        } else if let Some(rest) = line.strip_prefix("Socket errors:") {
            failures += sum_of_counts(rest).ok_or_else(unreadable)?;
        } else if let Some(rest) = line.strip_prefix("Non-2xx or 3xx responses:") {
            failures += rest.trim().parse::<u64>().map_err(|_| unreadable())?;
        } else if let Some((count, _)) = line.split_once(" requests in ") {
            requests = Some(count.parse().map_err(|_| unreadable())?);
        }
    }
    let missing = |what| Error::program("wrk", format!("printed no {what}"));
    Ok(Honest {
        requests: requests.ok_or_else(|| missing("number of requests"))?,
        rps: rps.ok_or_else(|| missing("requests per second"))?,
        p99_ms: p99_ms.ok_or_else(|| missing("99th percentile"))?,
        failures,
    })
}

/// `1.50ms` and the like.
fn milliseconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let (figure, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let scale = match unit {
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3600e3,
        _ => return None,
    };
    let figure: f64 = figure.trim().parse().ok()?;
    figure.is_finite().then_some(figure * scale)
}

/// `connect 0, read 1, write 0, timeout 2`.
fn sum_of_counts(text: &str) -> Option<u64> {
    let counts = text.split(',').map(|part| {
        let (_, count) = part.trim().split_once(' ')?;
        count.parse::<u64>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests;
