//! One measurement: a fresh server, one load, the figures.

use crate::{
    error::{Result, fail},
    generator::{Generator, Tally},
    handshakes, idle, interrupt,
    place::Dirs,
    process::{Child, Launch},
    procfs, quic,
    server::Server,
    spec::{Idle, Load, Metric, Peer, Tool},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

/// A run that is not counted comes first, of this length.
const WARM_UP_SECONDS: u32 = 1;
/// CPU is counted until this long before the load ends, when no connection has closed yet.
const BEFORE_THE_END: Duration = Duration::from_millis(150);
/// The least time in which CPU is worth counting.
const WINDOW_SECONDS_MIN: f64 = 1.0;
/// How long the load may take to end after its time.
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

/// Figures and details of a sample.
pub type Figures = (BTreeMap<Metric, f64>, BTreeMap<&'static str, f64>);

pub fn measure(dirs: &Dirs, load: &Load, peer: &Peer, round: usize, port: u16) -> Result<Sample> {
    let time_wait = wait_for_time_wait(load.time_wait_max)?;
    let mut server = Server::start(dirs, peer, load, port)?;
    let (figures, mut details) = match &load.tool {
        Tool::Wrk(wrk) => measure_requests(dirs, load, wrk, &server),
        Tool::H2load(h2load) => measure_requests(dirs, load, h2load, &server),
        Tool::Handshakes(handshakes) => handshakes::measure(dirs, load, handshakes, &server),
        Tool::Quic(quic) => quic::measure(dirs, load, quic, &server),
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
    /// What the generator had read at its two ends.
    bytes_read: [u64; 2],
    memory: procfs::Memory,
    descriptors: usize,
}

fn measure_requests(
    dirs: &Dirs,
    load: &Load,
    generator: &dyn Generator,
    server: &Server,
) -> Result<Figures> {
    let start = |seconds: u32| {
        Child::start(Launch {
            name: generator.name(),
            command: &generator.command(dirs, load, server.address.port(), seconds)?,
            env: &generator.env(dirs, load),
            dir: &dirs.bench,
            cores: &load.client.cores,
            stdout: Stdio::piped(),
            stderr: Stdio::inherit(),
        })
    };
    let deadline = |seconds: u32| Instant::now() + Duration::from_secs(seconds.into()) + PATIENCE;

    let warm_up = start(WARM_UP_SECONDS)?;
    warm_up.finish(deadline(WARM_UP_SECONDS), |_| Ok(()))?;

    let child = start(load.seconds)?;
    let window = watch(load, server, &child)?;
    let (bytes_read, output) = child.finish(deadline(load.seconds), procfs::bytes_read)?;
    let tally = generator
        .parse(&output)
        .map_err(|e| fail!("{}: {e}\n{output}", generator.name()))?;
    // Some are being made anew in loads that close them.
    if window.descriptors < load.connections * 9 / 10 {
        eprintln!(
            "    the server holds {} descriptors for {} connections",
            window.descriptors, load.connections
        );
    }
    Ok(figures(&tally, &window, bytes_read, generator.bulk_bytes()))
}

/// Reads CPU time at both ends of the window, and memory at its end.
fn watch(load: &Load, server: &Server, generator: &Child) -> Result<Window> {
    let begin = Instant::now();
    interrupt::sleep_until(begin + Duration::from_secs_f64(load.settle_seconds))?;
    let cpu_before = procfs::cpu_times(&server.tree()?)?;
    let read_before = procfs::bytes_read(generator.pid())?;
    let opened = Instant::now();

    let end = begin + Duration::from_secs(load.seconds.into()) - BEFORE_THE_END;
    interrupt::sleep_until(end)?;
    let tree = server.tree()?;
    let cpu_after = procfs::cpu_times(&tree)?;
    let read_after = procfs::bytes_read(generator.pid())?;
    Ok(Window {
        seconds: opened.elapsed().as_secs_f64(),
        cpu_ns: procfs::cpu_between(&cpu_before, &cpu_after)?,
        bytes_read: [read_before, read_after],
        memory: procfs::memory(&tree)?,
        descriptors: procfs::descriptors(&tree)?,
    })
}

/// A generator says how many requests it completed in all, but not when. Every response has the same
/// length, so the window has that share of the requests that it has of the bytes the generator read.
fn figures(tally: &Tally, window: &Window, bytes_read: u64, bulk_bytes: Option<u64>) -> Figures {
    let [before, after] = window.bytes_read;
    let share = after.saturating_sub(before) as f64 / bytes_read.max(1) as f64;
    let requests = tally.requests as f64 * share;
    let mut figures = BTreeMap::from([
        (Metric::Rps, tally.rps),
        (Metric::RssKib, window.memory.rss_kib as f64),
        (Metric::SocketErrors, tally.socket_errors as f64),
        (Metric::BadStatuses, tally.bad_statuses as f64),
    ]);
    figures.extend(&tally.latencies);
    if requests > 0.0 {
        let cpu_ns = window.cpu_ns as f64 / requests;
        figures.insert(Metric::CpuUs, cpu_ns / 1e3);
        if let Some(bytes) = bulk_bytes {
            figures.insert(Metric::CpuNsPerByte, cpu_ns / bytes as f64);
        }
    }
    let details = BTreeMap::from([
        ("requests", tally.requests as f64),
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
    let warm_up = idle::open(server.address, idle.batch, idle, &load.client)?;
    drop(warm_up);
    interrupt::sleep(Duration::from_secs(WARM_UP_SECONDS.into()))?;
    let before = procfs::memory(&server.tree()?)?;

    let connections = idle::open(server.address, load.connections, idle, &load.client)?;
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
    use crate::{generator::Tally, procfs::Memory, spec::Metric};
    use std::collections::BTreeMap;

    fn tally() -> Tally {
        Tally {
            requests: 1000,
            rps: 500.0,
            latencies: BTreeMap::from([(Metric::P50Us, 7.0)]),
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
        let (figures, details) = figures(&tally(), &window([20_000, 70_000]), 100_000, None);
        assert!((details["window_requests"] - 500.0).abs() < 1e-9);
        assert!((figures[&Metric::CpuUs] - 10.0).abs() < 1e-9);
        assert!((figures[&Metric::P50Us] - 7.0).abs() < 1e-9);
        assert!(!figures.contains_key(&Metric::CpuNsPerByte));
    }

    #[test]
    fn long_contents_have_a_cost_per_byte() {
        let (figures, _) = figures(&tally(), &window([20_000, 70_000]), 100_000, Some(100_000));
        assert!((figures[&Metric::CpuNsPerByte] - 0.1).abs() < 1e-9);
    }

    #[test]
    fn a_window_without_requests_has_no_cpu_per_request() {
        let (figures, _) = figures(&tally(), &window([70_000, 70_000]), 100_000, None);
        assert!(!figures.contains_key(&Metric::CpuUs));
    }
}
