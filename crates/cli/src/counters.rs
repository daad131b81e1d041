//! `ajayserver counters PID`: what a running server has counted, as text.

use std::io::{self, Write};

use ajayserver::{CountersSnapshot, HistogramSnapshot, Observer};

/// Prints the counters of the server that this process belongs to, added up or worker by worker.
pub(crate) fn print(pid: u32, workers: bool) -> io::Result<()> {
    let observer = Observer::of_process(pid)?;
    let mut text = String::new();
    if workers {
        for (number, counters) in observer.worker_counters().iter().enumerate() {
            write_all(&mut text, &format!("{number} "), counters);
        }
    } else {
        write_all(&mut text, "", &observer.counters());
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn write_all(text: &mut String, prefix: &str, counters: &CountersSnapshot) {
    let mut line = |name: &str, value: u64| text.push_str(&format!("{prefix}{name} {value}\n"));
    line("connections_open", counters.open_connections());
    for (counter, value) in counters.iter() {
        line(counter.name(), value);
    }
    for (name, times) in [
        ("request_time", counters.request_time()),
        ("turn_time", counters.turn_time()),
    ] {
        write_times(&mut line, name, times);
    }
}

/// The buckets as numbers of values below a bound, as in Prometheus' histograms.
fn write_times(line: &mut impl FnMut(&str, u64), name: &str, times: &HistogramSnapshot) {
    let mut below = 0;
    for (bound, count) in times.buckets() {
        below += count;
        if let Some(bound) = bound {
            line(&format!("{name}_below_{bound}_us"), below);
        }
    }
    line(&format!("{name}_count"), times.count());
    line(&format!("{name}_sum_us"), times.sum_micros());
}
