//! h2load: HTTP/2.

use crate::{
    error::{Result, fail},
    generator::{BrokenOutput, Generator, Tally, finite, microseconds},
    place::Dirs,
    process::{Child, Launch},
    procfs,
    spec::{H2load, Load, Metric},
};
use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};
use tls_client::CIPHER;

/// For the one request of the check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

impl Generator for H2load {
    fn name(&self) -> &'static str {
        "h2load"
    }

    fn command(&self, dirs: &Dirs, load: &Load, port: u16, seconds: u32) -> Result<Vec<String>> {
        let run = Run {
            connections: load.connections,
            streams: self.streams,
            amount: ["-D".into(), seconds.to_string()],
        };
        Ok(command(self, dirs, load, port, run))
    }

    fn parse(&self, output: &str) -> std::result::Result<Tally, BrokenOutput> {
        Ok(parse(output)?.tally)
    }

    fn content_bytes(&self) -> u64 {
        self.content_bytes
    }
}

/// What differs between the check and the load.
struct Run {
    connections: usize,
    streams: usize,
    amount: [String; 2],
}

fn command(spec: &H2load, dirs: &Dirs, load: &Load, port: u16, run: Run) -> Vec<String> {
    let mut command: Vec<String> = vec!["h2load".into(), "-t".into(), "1".into()];
    command.extend(["-c".into(), run.connections.to_string()]);
    command.extend(["-m".into(), run.streams.to_string()]);
    command.extend(run.amount);
    if let Some(post) = &spec.post {
        let file = dirs.files().join("www").join(post);
        command.extend(["-d".into(), file.display().to_string()]);
    }
    if let Some(media_type) = &spec.media_type {
        command.extend(["-H".into(), format!("content-type: {media_type}")]);
    }
    let scheme = if load.tls { "https" } else { "http" };
    if load.tls {
        command.push(format!("--tls13-ciphers={CIPHER}"));
    }
    command.push(format!("{scheme}://127.0.0.1:{port}{}", spec.path));
    command
}

/// One request before many: it must succeed and move as much content as the load says. A server
/// that answers a POST without having read its content would measure something else.
pub fn check(dirs: &Dirs, load: &Load, spec: &H2load, port: u16) -> Result<()> {
    let run = Run {
        connections: 1,
        streams: 1,
        amount: ["-n".into(), "1".into()],
    };
    let child = Child::start(Launch {
        name: "h2load",
        command: &command(spec, dirs, load, port, run),
        env: &BTreeMap::new(),
        dir: &dirs.bench,
        cores: &load.client.cores,
        stdout: Stdio::piped(),
        stderr: Stdio::inherit(),
    })?;
    let (written, output) = child.finish(Instant::now() + CHECK_TIMEOUT, procfs::bytes_written)?;
    let report = parse(&output).map_err(|e| fail!("{e}\n{output}"))?;
    if load.tls && report.cipher.as_deref() != Some(CIPHER) {
        return Err(fail!("the connection has not {CIPHER}\n{output}"));
    }
    let tally = &report.tally;
    if tally.socket_errors > 0 || tally.bad_statuses > 0 {
        return Err(fail!("the request failed\n{output}"));
    }
    let (moved, what) = match spec.post {
        Some(_) => (written, "were sent"),
        None => (report.data_bytes, "came"),
    };
    // Around the content of a POST there are frames and, maybe, TLS.
    let is_right = match spec.post {
        Some(_) => moved >= spec.content_bytes,
        None => moved == spec.content_bytes,
    };
    if !is_right {
        let wanted = spec.content_bytes;
        return Err(fail!("{moved} bytes {what} instead of {wanted}\n{output}"));
    }
    Ok(())
}

struct Report {
    tally: Tally,
    /// The payload of DATA frames received.
    data_bytes: u64,
    /// Where there is TLS. h2load says it of the first connection.
    cipher: Option<String>,
}

fn parse(output: &str) -> std::result::Result<Report, BrokenOutput> {
    let mut rps = None;
    let mut counts = None;
    let mut bad_statuses = None;
    let mut data_bytes = None;
    let mut cipher = None;
    let mut columns = Vec::new();
    let mut latencies = None;
    for line in output.lines().map(str::trim) {
        let unreadable = || BrokenOutput::Unreadable(line.to_string());
        if let Some(rest) = line.strip_prefix("finished in ") {
            rps = Some(rate(rest).ok_or_else(unreadable)?);
        } else if let Some(rest) = line.strip_prefix("Cipher: ") {
            cipher = Some(rest.to_string());
        } else if let Some(rest) = line.strip_prefix("requests: ") {
            counts = Some(Counts::of(rest).ok_or_else(unreadable)?);
        } else if let Some(rest) = line.strip_prefix("status codes: ") {
            let bad = count_of(rest, "4xx").zip(count_of(rest, "5xx"));
            bad_statuses = Some(bad.map(|(a, b)| a + b).ok_or_else(unreadable)?);
        } else if let Some(rest) = line.strip_prefix("traffic: ") {
            data_bytes = Some(data(rest).ok_or_else(unreadable)?);
        } else if line.starts_with("min ") {
            columns = line.split_whitespace().collect();
        } else if let Some(rest) = line.strip_prefix("time for request:") {
            latencies = Some(latency(&columns, rest).ok_or_else(unreadable)?);
        }
    }
    let rps = rps.ok_or(BrokenOutput::Missing("line `finished in`"))?;
    let counts = counts.ok_or(BrokenOutput::Missing("line `requests:`"))?;
    let bad_statuses = bad_statuses.ok_or(BrokenOutput::Missing("line `status codes:`"))?;
    let data_bytes = data_bytes.ok_or(BrokenOutput::Missing("line `traffic:`"))?;
    let latencies = latencies.ok_or(BrokenOutput::Missing("line `time for request:`"))?;
    if counts.succeeded + counts.failed == 0 {
        return Err(BrokenOutput::NoRequests);
    }
    Ok(Report {
        tally: Tally {
            requests: counts.succeeded,
            rps,
            latencies,
            // Failed are also those with a bad status; errored and timed out are among the failed.
            socket_errors: counts.failed.saturating_sub(bad_statuses),
            bad_statuses,
        },
        data_bytes,
        cipher,
    })
}

struct Counts {
    succeeded: u64,
    failed: u64,
}

impl Counts {
    fn of(text: &str) -> Option<Self> {
        Some(Self {
            succeeded: count_of(text, "succeeded")?,
            failed: count_of(text, "failed")?,
        })
    }
}

/// The number before `name` in `1 succeeded, 0 failed`.
fn count_of(text: &str, name: &str) -> Option<u64> {
    text.split(',').find_map(|part| {
        let (count, of) = part.trim().split_once(' ')?;
        (of == name).then(|| count.parse().ok())?
    })
}

/// `5.00s, 1000.50 req/s, 1.50MB/s`.
fn rate(text: &str) -> Option<f64> {
    let part = text
        .split(',')
        .find_map(|part| part.strip_suffix(" req/s"))?;
    finite(part)
}

/// `1.0KB (1024) total, 10B (10) headers (space savings 90.00%), 1.0KB (1014) data`.
fn data(text: &str) -> Option<u64> {
    let (_, bytes) = text.strip_suffix(") data")?.rsplit_once('(')?;
    bytes.parse().ok()
}

/// Which figures there are depends on the version of h2load: the line above names them.
fn latency(columns: &[&str], figures: &str) -> Option<BTreeMap<Metric, f64>> {
    const KNOWN: [(&str, Metric); 4] = [
        ("median", Metric::P50Us),
        ("p99", Metric::P99Us),
        ("mean", Metric::MeanUs),
        ("max", Metric::MaxUs),
    ];
    let mut latencies = BTreeMap::new();
    for (column, figure) in columns.iter().zip(figures.split_whitespace()) {
        if let Some((_, metric)) = KNOWN.iter().find(|(name, _)| name == column) {
            latencies.insert(*metric, microseconds(figure)?);
        }
    }
    (!latencies.is_empty()).then_some(latencies)
}

#[cfg(test)]
mod tests {
    use super::{Report, parse};
    use crate::{generator::BrokenOutput, spec::Metric};

    /// 32 connections with 32 streams each; h2load 1.52.
    const GOOD: &str = "\
starting benchmark...
spawning thread #0: 32 total client(s). Timing-based test with 0s of warm-up time and 2s of main duration for measurements.
Warm-up started for thread #0.
progress: 9% of clients started
Warm-up phase is over for thread #0.
Main benchmark duration is started for thread #0.
Application protocol: h2c
Main benchmark duration is over for thread #0. Stopping all clients.
Stopped all clients for thread #0

finished in 2.01s, 105376.00 req/s, 3.12MB/s
requests: 210752 total, 211776 started, 210752 done, 210752 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 210752 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 6.24MB (6538240) total, 2.21MB (2322240) headers (space savings 93.56%), 411.63KB (421504) data
                     min         max         mean         sd        +/- sd
time for request:      398us     25.23ms      7.28ms      4.43ms    64.83%
time for connect:      122us      4.02ms      1.48ms      1.42ms    75.00%
time to 1st byte:     6.70ms     19.74ms     11.64ms      4.25ms    59.38%
req/s           :    3189.10     3411.91     3282.34       55.76    71.88%
";

    /// A path that is not there.
    const BAD: &str = "\
starting benchmark...
spawning thread #0: 4 total client(s). Timing-based test with 0s of warm-up time and 1s of main duration for measurements.
Warm-up started for thread #0.
progress: 25% of clients started
Warm-up phase is over for thread #0.
Main benchmark duration is started for thread #0.
Application protocol: h2c
Main benchmark duration is over for thread #0. Stopping all clients.
Stopped all clients for thread #0

finished in 1.00s, 39104.00 req/s, 1.31MB/s
requests: 39104 total, 39120 started, 39104 done, 0 succeeded, 39104 failed, 0 errored, 0 timeout
status codes: 0 2xx, 0 3xx, 39104 4xx, 0 5xx
traffic: 1.31MB (1369052) total, 305.79KB (313124) headers (space savings 92.72%), 343.69KB (351936) data
                     min         max         mean         sd        +/- sd
time for request:       31us     22.18ms       360us      1.18ms    93.05%
time for connect:      110us       188us       156us        33us    75.00%
time to 1st byte:      564us       615us       592us        22us    50.00%
req/s           :    9689.89     9816.88     9749.63       53.00    50.00%
";

    /// One request for 1 MiB over TLS.
    const LONG: &str = "\
starting benchmark...
spawning thread #0: 1 total client(s). 1 total requests
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Server Temp Key: X25519 253 bits
Application protocol: h2
progress: 100% done

finished in 12.65ms, 79.08 req/s, 79.13MB/s
requests: 1 total, 1 started, 1 done, 1 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 1 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.00MB (1049298) total, 98B (98) headers (space savings 46.15%), 1.00MB (1048576) data
                     min         max         mean         sd        +/- sd
time for request:     5.94ms      5.94ms      5.94ms         0us   100.00%
time for connect:     6.26ms      6.26ms      6.26ms         0us   100.00%
time to 1st byte:     9.88ms      9.88ms      9.88ms         0us   100.00%
req/s           :      80.65       80.65       80.65        0.00   100.00%
";

    fn close_to(figure: f64, wanted: f64) -> bool {
        (figure - wanted).abs() < 1e-6
    }

    #[test]
    fn reads_a_clean_report() {
        let Report {
            tally,
            data_bytes,
            cipher,
        } = parse(GOOD).unwrap();
        assert_eq!((tally.requests, data_bytes), (210_752, 421_504));
        assert_eq!(cipher, None);
        assert!(close_to(tally.rps, 105_376.0));
        assert_eq!((tally.socket_errors, tally.bad_statuses), (0, 0));
        assert_eq!(tally.latencies.len(), 2);
        assert!(close_to(tally.latencies[&Metric::MeanUs], 7_280.0));
        assert!(close_to(tally.latencies[&Metric::MaxUs], 25_230.0));
    }

    #[test]
    fn reads_a_long_content_over_tls() {
        let report = parse(LONG).unwrap();
        let moved = (report.tally.requests, report.data_bytes);
        assert_eq!(moved, (1, 1_048_576));
        assert_eq!(report.cipher.as_deref(), Some(tls_client::CIPHER));
    }

    #[test]
    fn bad_statuses_are_no_socket_errors() {
        let tally = parse(BAD).unwrap().tally;
        assert_eq!(tally.requests, 0);
        assert_eq!((tally.socket_errors, tally.bad_statuses), (0, 39_104));
    }

    #[test]
    fn what_failed_without_a_status_is_a_socket_error() {
        let text = BAD.replace("39104 failed, 0 errored", "39107 failed, 3 errored");
        assert_eq!(parse(&text).unwrap().tally.socket_errors, 3);
    }

    /// As newer versions print it.
    #[test]
    fn columns_are_found_by_name() {
        let (head, row) = (line("  min "), line("time for request"));
        let text = GOOD
            .replace(head, "  min  max  median  p95  p99  mean  sd  +/- sd")
            .replace(row, "time for request: 1us 2us 3us 4us 5us 6us 7us 8.00%");
        let latencies = parse(&text).unwrap().tally.latencies;
        let wanted = [
            (Metric::MaxUs, 2.0),
            (Metric::P50Us, 3.0),
            (Metric::P99Us, 5.0),
            (Metric::MeanUs, 6.0),
        ];
        assert_eq!(latencies.len(), wanted.len());
        assert!(wanted.iter().all(|(m, us)| close_to(latencies[m], *us)));
    }

    #[test]
    fn says_what_is_missing() {
        for (start, what) in [
            ("finished", "line `finished in`"),
            ("requests", "line `requests:`"),
            ("status", "line `status codes:`"),
            ("traffic", "line `traffic:`"),
            ("time for request", "line `time for request:`"),
        ] {
            let text = GOOD.replace(line(start), "");
            assert_eq!(parse(&text).err(), Some(BrokenOutput::Missing(what)));
        }
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for (good, broken) in [
            ("105376.00 req/s", "many req/s"),
            ("210752 succeeded", "all succeeded"),
            ("0 5xx", "no 5xx"),
            ("(421504) data", "(?) data"),
            ("7.28ms", "7.28 parsecs"),
        ] {
            let result = parse(&GOOD.replace(good, broken));
            assert!(
                matches!(result, Err(BrokenOutput::Unreadable(_))),
                "{broken}"
            );
        }
    }

    #[test]
    fn no_request_is_no_measurement() {
        let text = GOOD.replace("210752 succeeded", "0 succeeded");
        assert_eq!(parse(&text).err(), Some(BrokenOutput::NoRequests));
    }

    /// The line of [`GOOD`] that contains `start`, of those that begin with it in some columns.
    fn line(start: &str) -> &'static str {
        let found = GOOD.lines().find(|line| line.contains(start));
        found.unwrap_or_else(|| panic!("no line {start}"))
    }
}
