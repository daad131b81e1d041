//! Reading what `wrk` prints.

use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub struct WrkReport {
    pub requests: u64,
    pub rps: f64,
    /// With `--latency` only.
    pub latency: Option<Latency>,
    pub socket_errors: u64,
    pub bad_statuses: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    pub p50_us: f64,
    pub p99_us: f64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum BrokenReport {
    Missing(&'static str),
    Unreadable(String),
    NoRequests,
}

impl fmt::Display for BrokenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) => write!(f, "wrk's output has no {what}"),
            Self::Unreadable(line) => write!(f, "cannot read this line of wrk's output: {line:?}"),
            Self::NoRequests => write!(f, "wrk completed no request"),
        }
    }
}

/// Reads the whole output, which must have latencies if they were asked for. Lines that wrk leaves out when there is nothing to say count as 0.
pub fn parse(output: &str, with_latency: bool) -> Result<WrkReport, BrokenReport> {
    let mut requests = None;
    let mut rps = None;
    let mut p50_us = None;
    let mut p99_us = None;
    let mut socket_errors = 0;
    let mut bad_statuses = 0;
    for line in output.lines().map(str::trim) {
        let unreadable = || BrokenReport::Unreadable(line.to_string());
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
    let requests = requests.ok_or(BrokenReport::Missing("line `N requests in`"))?;
    let rps = rps.ok_or(BrokenReport::Missing("line `Requests/sec:`"))?;
    let latency = if with_latency {
        Some(Latency {
            p50_us: p50_us.ok_or(BrokenReport::Missing("50% latency"))?,
            p99_us: p99_us.ok_or(BrokenReport::Missing("99% latency"))?,
        })
    } else {
        None
    };
    let report = WrkReport {
        requests,
        rps,
        latency,
        socket_errors,
        bad_statuses,
    };
    if report.requests == 0 {
        return Err(BrokenReport::NoRequests);
    }
    Ok(report)
}

/// `1.50ms` and the like.
fn microseconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (figure, unit) = text.split_at(unit_at);
    let scale = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3600e6,
        _ => return None,
    };
    Some(finite(figure)? * scale)
}

fn finite(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|figure: &f64| figure.is_finite())
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
    use super::{BrokenReport, WrkReport};

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

    fn parse(output: &str) -> Result<WrkReport, BrokenReport> {
        super::parse(output, true)
    }

    #[test]
    fn reads_a_clean_report() {
        let report = parse(GOOD).unwrap();
        assert_eq!(report.requests, 1_935_523);
        assert!((report.rps - 128_237.41).abs() < 1e-6);
        let latency = report.latency.unwrap();
        assert!((latency.p50_us - 3_860.0).abs() < 1e-6);
        assert!((latency.p99_us - 11_020.0).abs() < 1e-6);
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
                (report.latency.unwrap().p99_us - us).abs() < 1e-3,
                "{written}"
            );
        }
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(
            parse("unable to connect to localhost:8080 Connection refused"),
            Err(BrokenReport::Missing("line `N requests in`"))
        );
        let cut = &GOOD[..GOOD.find("Requests/sec").unwrap()];
        assert_eq!(
            parse(cut),
            Err(BrokenReport::Missing("line `Requests/sec:`"))
        );
        let no_latency = GOOD.replace("     99%   11.02ms\n", "");
        assert_eq!(
            parse(&no_latency),
            Err(BrokenReport::Missing("99% latency"))
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
                matches!(result, Err(BrokenReport::Unreadable(_))),
                "{broken}"
            );
        }
        let text = format!("{GOOD}  Socket errors: connect, read\n");
        assert!(matches!(parse(&text), Err(BrokenReport::Unreadable(_))));
    }

    #[test]
    fn no_request_is_no_measurement() {
        let text = GOOD.replace("1935523 requests", "0 requests");
        assert_eq!(parse(&text), Err(BrokenReport::NoRequests));
    }

    #[test]
    fn latencies_that_were_not_asked_for_are_not_missed() {
        let (before, after) = GOOD.split_once("  Latency Distribution").unwrap();
        let text = before.to_string() + &after[after.find("  1935523").unwrap()..];
        assert_eq!(super::parse(&text, false).unwrap().latency, None);
        assert!(parse(&text).is_err());
    }
}
