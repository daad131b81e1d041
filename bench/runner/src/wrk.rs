//! wrk: HTTP/1.1.
//!
//! It has no option for TLS. OpenSSL, which it has it from, reads a file that an environment variable
//! names.

use crate::{
    error::Result,
    files,
    generator::{BrokenOutput, Generator, Tally, finite, microseconds},
    place::Dirs,
    spec::{Load, Metric, Wrk},
};
use std::collections::BTreeMap;

/// The length of `OK`.
const OK_BYTES: u64 = 2;

impl Generator for Wrk {
    fn name(&self) -> &'static str {
        "wrk"
    }

    fn command(&self, dirs: &Dirs, load: &Load, port: u16, seconds: u32) -> Result<Vec<String>> {
        let names = dirs
            .names()
            .with("port", port)
            .with("connections", load.connections)
            .with("seconds", seconds);
        names.fill_all(&self.command)
    }

    fn env(&self, dirs: &Dirs, load: &Load) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        if load.tls {
            let config = files::openssl_config(dirs).display().to_string();
            env.insert("OPENSSL_CONF".into(), config);
        }
        env
    }

    fn parse(&self, output: &str) -> std::result::Result<Tally, BrokenOutput> {
        parse(output, self.command.iter().any(|word| word == "--latency"))
    }

    fn content_bytes(&self) -> u64 {
        self.content
            .as_ref()
            .map_or(OK_BYTES, |content| content.bytes)
    }
}

/// Reads the whole output, which must have latencies if they were asked for. Lines that wrk leaves
/// out when there is nothing to say count as 0.
fn parse(output: &str, with_latency: bool) -> std::result::Result<Tally, BrokenOutput> {
    let mut requests = None;
    let mut rps = None;
    let mut p50_us = None;
    let mut p99_us = None;
    let mut socket_errors = 0;
    let mut bad_statuses = 0;
    for line in output.lines().map(str::trim) {
        let unreadable = || BrokenOutput::Unreadable(line.to_string());
        if let Some(rest) = line.strip_prefix("50%") {
            p50_us = Some(microseconds(rest).ok_or_else(unreadable)?);
        } else if let Some(rest) = line.strip_prefix("99%") {
            p99_us = Some(microseconds(rest).ok_or_else(unreadable)?);
        } else if let Some(rest) = line.strip_prefix("Requests/sec:") {
            rps = Some(finite(rest).ok_or_else(unreadable)?);
        } else if let Some(rest) = line.strip_prefix("Socket errors:") {
            socket_errors = sum_of_counts(rest).ok_or_else(unreadable)?;
        } else if let Some(rest) = line.strip_prefix("Non-2xx or 3xx responses:") {
            bad_statuses = rest.trim().parse().map_err(|_| unreadable())?;
        } else if let Some((count, _)) = line.split_once(" requests in ") {
            requests = Some(count.parse().map_err(|_| unreadable())?);
        }
    }
    let requests = requests.ok_or(BrokenOutput::Missing("line `N requests in`"))?;
    let rps = rps.ok_or(BrokenOutput::Missing("line `Requests/sec:`"))?;
    let mut latencies = BTreeMap::new();
    if with_latency {
        let p50 = p50_us.ok_or(BrokenOutput::Missing("50% latency"))?;
        let p99 = p99_us.ok_or(BrokenOutput::Missing("99% latency"))?;
        latencies.extend([(Metric::P50Us, p50), (Metric::P99Us, p99)]);
    }
    if requests == 0 {
        return Err(BrokenOutput::NoRequests);
    }
    Ok(Tally {
        requests,
        rps,
        latencies,
        socket_errors,
        bad_statuses,
    })
}

/// `connect 0, read 1, write 0, timeout 2`.
fn sum_of_counts(text: &str) -> Option<u64> {
    let mut sum = 0;
    for part in text.split(',') {
        let (_, count) = part.trim().split_once(' ')?;
        sum += count.parse::<u64>().ok()?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use crate::{
        generator::{BrokenOutput, Tally},
        spec::Metric,
    };

    const GOOD: &str = "\
Running 15s test @ http://localhost:8080
  4 threads and 512 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.98ms    2.19ms  50.25ms   78.31%
    Req/Sec    32.40k     4.21k   47.98k    68.50%
  Latency Distribution
     50%    3.86ms
     75%    5.06ms
     90%    6.31ms
     99%   11.02ms
  1935523 requests in 15.09s, 236.25MB read
Requests/sec: 128237.41
Transfer/sec:     15.65MB
";

    fn parse(output: &str) -> Result<Tally, BrokenOutput> {
        super::parse(output, true)
    }

    #[test]
    fn reads_a_clean_report() {
        let report = parse(GOOD).unwrap();
        assert_eq!(report.requests, 1_935_523);
        assert!((report.rps - 128_237.41).abs() < 1e-6);
        assert!((report.latencies[&Metric::P50Us] - 3_860.0).abs() < 1e-6);
        assert!((report.latencies[&Metric::P99Us] - 11_020.0).abs() < 1e-6);
        assert_eq!((report.socket_errors, report.bad_statuses), (0, 0));
    }

    #[test]
    fn adds_up_errors() {
        let text = GOOD.replace(
            "Requests/sec",
            "  Socket errors: connect 1, read 20, write 0, timeout 300\n  \
             Non-2xx or 3xx responses: 7\nRequests/sec",
        );
        let report = parse(&text).unwrap();
        assert_eq!((report.socket_errors, report.bad_statuses), (321, 7));
    }

    #[test]
    fn knows_every_unit() {
        for (written, us) in [("812.00us", 812.0), ("1.20s", 1.2e6), ("1.50m", 90e6)] {
            let report = parse(&GOOD.replace("11.02ms", written)).unwrap();
            assert!(
                (report.latencies[&Metric::P99Us] - us).abs() < 1e-3,
                "{written}"
            );
        }
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(
            parse("unable to connect to localhost:8080 Connection refused"),
            Err(BrokenOutput::Missing("line `N requests in`"))
        );
        let cut = &GOOD[..GOOD.find("Requests/sec").unwrap()];
        assert_eq!(
            parse(cut),
            Err(BrokenOutput::Missing("line `Requests/sec:`"))
        );
        let no_latency = GOOD.replace("     99%   11.02ms\n", "");
        assert_eq!(
            parse(&no_latency),
            Err(BrokenOutput::Missing("99% latency"))
        );
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for (good, broken) in [
            ("11.02ms", "11.02 parsecs"),
            ("11.02ms", "-nanms"),
            ("128237.41", "-nan"),
            ("1935523 requests", "many requests"),
        ] {
            let result = parse(&GOOD.replace(good, broken));
            assert!(
                matches!(result, Err(BrokenOutput::Unreadable(_))),
                "{broken}"
            );
        }
        let text = format!("{GOOD}  Socket errors: connect, read\n");
        assert!(matches!(parse(&text), Err(BrokenOutput::Unreadable(_))));
    }

    #[test]
    fn no_request_is_no_measurement() {
        let text = GOOD.replace("1935523 requests", "0 requests");
        assert_eq!(parse(&text), Err(BrokenOutput::NoRequests));
    }

    #[test]
    fn latencies_that_were_not_asked_for_are_not_missed() {
        let (before, after) = GOOD.split_once("  Latency Distribution").unwrap();
        let text = before.to_string() + &after[after.find("  1935523").unwrap()..];
        assert!(super::parse(&text, false).unwrap().latencies.is_empty());
        assert!(parse(&text).is_err());
    }
}
