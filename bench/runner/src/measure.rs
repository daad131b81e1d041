//! One measurement: a fresh server, one load, the figures.

use crate::{
    error::{Result, fail},
    idle, interrupt,
    place::Dirs,
    process::{Child, Launch},
    procfs,
    server::Server,
    spec::{Cores, Idle, Load, Metric, Peer, Tool, Wrk},
    wrk::{self, WrkReport},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

/// A run that is not counted comes first, of this length.
const WARM_UP_SECONDS: u32 = 1;
/// CPU is counted until this long before wrk ends, when no connection has closed yet.
const BEFORE_THE_END: Duration = Duration::from_millis(150);
/// The least time in which CPU is worth counting.
const WINDOW_SECONDS_MIN: f64 = 1.0;
/// How long wrk may take to end after its time.
const PATIENCE: Duration = Duration::from_secs(60);
/// FIN_WAIT_2 and TIME_WAIT last 60 s each.
const TIME_WAIT_PATIENCE: Duration = Duration::from_secs(150);

/// The figures of one peer in one round.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    pub round: usize,
    pub peer: String,
    #[serde(flatten)]
    pub figures: BTreeMap<Metric, f64>,
    /// What the figures were made of.
    pub details: BTreeMap<&'static str, f64>,
}

type Figures = (BTreeMap<Metric, f64>, BTreeMap<&'static str, f64>);

pub fn measure(dirs: &Dirs, load: &Load, peer: &Peer, round: usize, port: u16) -> Result<Sample> {
    let time_wait = wait_for_time_wait(load.time_wait_max)?;
    let mut server = Server::start(dirs, peer, &load.server, port)?;
    let (figures, mut details) = match &load.tool {
        Tool::Wrk(wrk) => measure_wrk(dirs, load, wrk, &server, port),
        Tool::Idle(idle) => measure_idle(load, idle, &server),
    }
    .map_err(|e| {
        // A dead server is the better explanation of a failed load.
        server.check_alive(peer).err().unwrap_or(e)
    })?;
    server.check_alive(peer)?;
    details.insert("time_wait_before", time_wait as f64);
    Ok(Sample {
        round,
        peer: peer.name.clone(),
        figures,
        details,
    })
}

/// The length of a measurement: what was asked for, or what it takes for the window.
pub fn seconds(load: &Load, asked: Option<u32>) -> u32 {
    let least = (load.settle_seconds + WINDOW_SECONDS_MIN).ceil();
    asked.unwrap_or(load.seconds).max(least as u32)
}

/// Waits until few enough sockets are in TIME_WAIT, or as long as ours can take: what is left then
/// comes from other programs. Returns how many are left.
fn wait_for_time_wait(max: usize) -> Result<usize> {
    let deadline = Instant::now() + TIME_WAIT_PATIENCE;
    let mut told = false;
    loop {
        let now = procfs::time_wait()?;
        if now <= max {
            return Ok(now);
        }
        if Instant::now() > deadline {
            eprintln!("    {now} sockets stay in TIME_WAIT; the load wants at most {max}");
            return Ok(now);
        }
        if !told && drop_time_wait() {
            told = true;
            continue;
        }
        if !told {
            eprintln!("    waiting for {now} sockets in TIME_WAIT");
            told = true;
        }
        interrupt::sleep(Duration::from_millis(500))?;
    }
}

/// Asks the kernel to forget loopback's sockets in TIME_WAIT (`ss -K`, of iproute2), which saves a
/// minute before each measurement. Not every kernel can; then waiting is what is left.
fn drop_time_wait() -> bool {
    let ask = |address: &str| {
        std::process::Command::new("ss")
            .args(["-K", "state", "time-wait", "dst", address])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    ask("127.0.0.0/8") && ask("[::1]")
}

/// What the window between settling and the end saw.
struct Window {
    cpu_ns: u64,
    seconds: f64,
    /// What wrk had read at its two ends.
    bytes_read: [u64; 2],
    memory: procfs::Memory,
    descriptors: usize,
}

fn measure_wrk(
    dirs: &Dirs,
    load: &Load,
    command: &Wrk,
    server: &Server,
    port: u16,
) -> Result<Figures> {
    let start = |seconds: u32| {
        let names = dirs
            .names()
            .with("port", port)
            .with("connections", load.connections)
            .with("seconds", seconds);
        let words = names.fill_all(&command.command)?;
        start_wrk(dirs, &words, &load.client)
    };
    let deadline = |seconds: u32| Instant::now() + Duration::from_secs(seconds.into()) + PATIENCE;

    let warm_up = start(WARM_UP_SECONDS)?;
    warm_up.finish(deadline(WARM_UP_SECONDS), |_| Ok(()))?;

    let wrk = start(load.seconds)?;
    let window = watch(load, server, &wrk)?;
    let (bytes_read, output) = wrk.finish(deadline(load.seconds), procfs::bytes_read)?;
    let with_latency = command.command.iter().any(|word| word == "--latency");
    let report = wrk::parse(&output, with_latency).map_err(|e| fail!("{e}\n{output}"))?;
    // Some are being made anew in loads that close them.
    if window.descriptors < load.connections * 9 / 10 {
        eprintln!(
            "    the server holds {} descriptors for {} connections",
            window.descriptors, load.connections
        );
    }
    Ok(figures(&report, &window, bytes_read))
}

fn start_wrk(dirs: &Dirs, command: &[String], client: &Cores) -> Result<Child> {
    Child::start(Launch {
        name: "wrk",
        command,
        env: &BTreeMap::new(),
        dir: &dirs.bench,
        cores: &client.cores,
        stdout: Stdio::piped(),
        stderr: Stdio::inherit(),
    })
}

/// Reads CPU time at both ends of the window, and memory at its end.
fn watch(load: &Load, server: &Server, wrk: &Child) -> Result<Window> {
    let begin = Instant::now();
    interrupt::sleep_until(begin + Duration::from_secs_f64(load.settle_seconds))?;
    let cpu_before = procfs::cpu_times(&server.tree()?)?;
    let read_before = procfs::bytes_read(wrk.pid())?;
    let opened = Instant::now();

    let end = begin + Duration::from_secs(load.seconds.into()) - BEFORE_THE_END;
    interrupt::sleep_until(end)?;
    let tree = server.tree()?;
    let cpu_after = procfs::cpu_times(&tree)?;
    let read_after = procfs::bytes_read(wrk.pid())?;
    Ok(Window {
        seconds: opened.elapsed().as_secs_f64(),
        cpu_ns: procfs::cpu_between(&cpu_before, &cpu_after)?,
        bytes_read: [read_before, read_after],
        memory: procfs::memory(&tree)?,
        descriptors: procfs::descriptors(&tree)?,
    })
}

/// wrk says how many requests it completed in all, but not when. Every response has the same
/// length, so the window has that share of the requests that it has of the bytes wrk read.
fn figures(report: &WrkReport, window: &Window, bytes_read: u64) -> Figures {
    let [before, after] = window.bytes_read;
    let share = after.saturating_sub(before) as f64 / bytes_read.max(1) as f64;
    let requests = report.requests as f64 * share;
    let mut figures = BTreeMap::from([
        (Metric::Rps, report.rps),
        (Metric::RssKib, window.memory.rss_kib as f64),
        (Metric::SocketErrors, report.socket_errors as f64),
        (Metric::BadStatuses, report.bad_statuses as f64),
    ]);
    if let Some(latency) = report.latency {
        figures.insert(Metric::P50Us, latency.p50_us);
        figures.insert(Metric::P99Us, latency.p99_us);
    }
    if requests > 0.0 {
        figures.insert(Metric::CpuUs, window.cpu_ns as f64 / 1e3 / requests);
    }
    let details = BTreeMap::from([
        ("requests", report.requests as f64),
        ("window_requests", requests),
        ("window_seconds", window.seconds),
        ("window_cpu_seconds", window.cpu_ns as f64 / 1e9),
        ("server_descriptors", window.descriptors as f64),
        ("pss_kib", window.memory.pss_kib as f64),
    ]);
    (figures, details)
}

fn measure_idle(load: &Load, idle: &Idle, server: &Server) -> Result<Figures> {
    // Code, allocator and pools as they are in a server that has worked.
    let warm_up = idle::open(server.address, idle.batch, idle.batch, &load.client)?;
    drop(warm_up);
    interrupt::sleep(Duration::from_secs(WARM_UP_SECONDS.into()))?;
    let before = procfs::memory(&server.tree()?)?;

    let connections = idle::open(server.address, load.connections, idle.batch, &load.client)?;
    interrupt::sleep(Duration::from_secs_f64(idle.wait_seconds))?;
    let tree = server.tree()?;
    let after = procfs::memory(&tree)?;
    let descriptors = procfs::descriptors(&tree)?;
    if descriptors < connections.len() {
        return Err(fail!(
            "the server holds {descriptors} descriptors for {} connections",
            connections.len()
        ));
    }
    let growth = (after.pss_kib as f64 - before.pss_kib as f64) * 1024.0;
    let figures = BTreeMap::from([
        (Metric::IdleBytes, growth / connections.len() as f64),
        (Metric::PssKib, after.pss_kib as f64),
        (Metric::RssKib, after.rss_kib as f64),
    ]);
    let details = BTreeMap::from([
        ("pss_kib_before", before.pss_kib as f64),
        ("server_descriptors", descriptors as f64),
    ]);
    Ok((figures, details))
}

#[cfg(test)]
mod tests {
    use super::{Window, figures};
    use crate::{procfs::Memory, spec::Metric, wrk::WrkReport};

    fn report() -> WrkReport {
        WrkReport {
            requests: 1000,
            rps: 500.0,
            latency: None,
            socket_errors: 0,
            bad_statuses: 0,
        }
    }

    fn window(bytes_read: [u64; 2]) -> Window {
        Window {
            cpu_ns: 5_000_000,
            seconds: 1.0,
            bytes_read,
            memory: Memory::default(),
            descriptors: 1,
        }
    }

    #[test]
    fn the_window_has_its_share_of_the_requests() {
        let (figures, details) = figures(&report(), &window([20_000, 70_000]), 100_000);
        assert!((details["window_requests"] - 500.0).abs() < 1e-9);
        assert!((figures[&Metric::CpuUs] - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_window_without_requests_has_no_cpu_per_request() {
        let (figures, _) = figures(&report(), &window([70_000, 70_000]), 100_000);
        assert!(!figures.contains_key(&Metric::CpuUs));
    }
}
