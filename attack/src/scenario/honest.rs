//! The load beside an attack: `wrk`, `h2load` or the counting client.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use super::children::output_of;
use crate::counting::{self, Plan};
use crate::{Error, Loopback, Protocol, Result, Spread};

/// Longer than wrk and h2load take to start and stop.
const MARGIN: Duration = Duration::from_secs(10);

/// Of the counting client over HTTP/3.
const REQUESTS_PER_CONNECTION: u32 = 5000;

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
    /// `h2load`, cleartext with prior knowledge, one thread.
    H2load {
        /// `-c`.
        connections: usize,
        /// `-m`: streams of a connection at once.
        streams: usize,
        /// What is asked for.
        path: String,
    },
    /// The counting client.
    Counting {
        /// In which protocol.
        protocol: Protocol,
        /// Kept up.
        connections: usize,
        /// Requests of a connection at once.
        streams: usize,
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
    /// Socket errors, timeouts, other statuses, losses, refusals and mismatches; 1 if nothing was
    /// answered at all, of which wrk says nothing.
    pub failures: u64,
}

impl Load {
    /// What it speaks.
    pub fn protocol(&self) -> Protocol {
        match self {
            Load::Wrk { .. } => Protocol::Http1,
            Load::H2load { .. } => Protocol::Http2,
            Load::Counting { protocol, .. } => *protocol,
        }
    }

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
            Load::H2load {
                connections,
                streams,
                path,
            } => {
                let log = LogFile::new();
                let words = [
                    "h2load",
                    "-t",
                    "1",
                    "-c",
                    &connections.to_string(),
                    "-m",
                    &streams.to_string(),
                    "-D",
                    &duration.as_secs().max(1).to_string(),
                    &format!("--log-file={}", log.0.display()),
                    &format!("http://{}{path}", address.get()),
                ];
                let words = words.map(str::to_owned);
                let report = output_of(&words, cpus, duration + MARGIN)?;
                parse_h2load(&report, &log.times()?)
            }
            Load::Counting {
                protocol,
                connections,
                streams,
                path,
            } => {
                let totals = counting::run(&Plan {
                    protocol: *protocol,
                    connections: *connections,
                    pipeline: *streams,
                    path: path.clone(),
                    duration,
                    // Whether new connections are let in is seen by making some.
                    new_connection_every: (*protocol == Protocol::Http3)
                        .then_some(REQUESTS_PER_CONNECTION),
                    ..Plan::new(address)
                })?;
                Ok(Honest {
                    requests: totals.all().answered,
                    rps: totals.rps(),
                    p99_ms: ms(totals.latency.quantile(990).unwrap_or_default()),
                    failures: totals.mismatches()
                        + totals.lost()
                        + totals.all().refused
                        + totals.all().other_status
                        + totals.connect_refused
                        + totals.connect_timed_out,
                })
            }
        }
    }
}

/// Where h2load writes how long each request took: its report has no quantiles. It buffers what it
/// writes. The file goes with the value.
struct LogFile(PathBuf);

impl LogFile {
    fn new() -> LogFile {
        let name = format!("ajay-h2load-{}.log", std::process::id());
        let log = LogFile(std::env::temp_dir().join(name));
        // h2load would write behind what an earlier one has left.
        log.remove();
        log
    }

    fn times(&self) -> Result<Spread> {
        let reading = |error| Error::system("read what h2load wrote", error);
        let file = std::fs::File::open(&self.0).map_err(reading)?;
        let mut times = Spread::default();
        for line in BufReader::new(file).lines() {
            let line = line.map_err(reading)?;
            let time = log_line(&line)
                .ok_or_else(|| Error::program("h2load", format!("cannot read {line:?}")))?;
            if let Some(time) = time {
                times.add(time);
            }
        }
        Ok(times)
    }

    fn remove(&self) {
        // There need be none.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// `START STATUS MICROSECONDS`: the time of a request that was answered; of the others it means
/// nothing.
fn log_line(line: &str) -> Option<Option<Duration>> {
    let mut words = line.split('\t').skip(1);
    let status: i32 = words.next()?.parse().ok()?;
    let us = words.next()?.parse().ok()?;
    Some((status >= 0).then(|| Duration::from_micros(us)))
}

/// What h2load prints, with the times that it wrote. `failed` counts statuses from 400 on, streams
/// that were reset, and connections that ended.
pub(super) fn parse_h2load(text: &str, times: &Spread) -> Result<Honest> {
    let unreadable = |line| Error::program("h2load", format!("cannot read {line:?}"));
    let (mut rps, mut counts) = (None, None);
    for line in text.lines() {
        if line.starts_with("finished in ") {
            let found = line
                .split(", ")
                .find_map(|part| part.strip_suffix(" req/s"));
            let figure = found.and_then(|figure| figure.parse().ok());
            rps = Some(figure.ok_or_else(|| unreadable(line))?);
        } else if let Some(rest) = line.strip_prefix("requests: ") {
            let named = |name| {
                let mut parts = rest.split(", ");
                parts.find_map(|part| part.strip_suffix(name)?.trim_end().parse().ok())
            };
            let both = named("succeeded").zip(named("failed"));
            counts = Some(both.ok_or_else(|| unreadable(line))?);
        }
    }
    let missing = |what| Error::program("h2load", format!("printed no {what}"));
    let (requests, failures) = counts.ok_or_else(|| missing("number of requests"))?;
    Ok(Honest {
        requests,
        rps: rps.ok_or_else(|| missing("requests per second"))?,
        p99_ms: ms(times.quantile(990).unwrap_or_default()),
        failures,
    })
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
