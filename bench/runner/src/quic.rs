//! HTTP/3 by the bench's own client (`quic-client`): requests, handshakes, or connections that wait.
//!
//! The server's CPU is that of the whole run, with the handshakes of its connections: what a client has read of
//! UDP is not told by the kernel, so there is no window to take it from.

use crate::{
    error::{Result, fail},
    interrupt,
    measure::Figures,
    place::Dirs,
    process::{Child, Launch},
    procfs,
    server::Server,
    spec::{Load, Metric, Quic, QuicMode},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::Stdio,
    time::{Duration, Instant},
};

/// In cargo's target directory; the loads that use it build it.
const CLIENT: &str = "quic-load";
const WARM_UP_SECONDS: u32 = 1;
/// How long the client may take to end after its time.
const PATIENCE: Duration = Duration::from_secs(20);
/// For the server to see the end of the last connection.
const SETTLE: Duration = Duration::from_millis(100);
/// Contents from here on cost more than what is around them.
const BULK_BYTES_MIN: u64 = 64 * 1024;
/// Waiting connections are looked at this long before they are closed.
const BEFORE_THE_END: Duration = Duration::from_millis(500);

pub fn measure(dirs: &Dirs, load: &Load, quic: &Quic, server: &Server) -> Result<Figures> {
    match quic.mode {
        QuicMode::Idle => measure_idle(dirs, load, quic, server),
        QuicMode::Requests | QuicMode::Handshakes => measure_cpu(dirs, load, quic, server),
    }
}

fn measure_cpu(dirs: &Dirs, load: &Load, quic: &Quic, server: &Server) -> Result<Figures> {
    run(
        dirs,
        load,
        quic,
        server.address,
        Limit::Seconds(WARM_UP_SECONDS),
    )?;
    interrupt::sleep(SETTLE)?;
    let before = procfs::cpu_times(&server.tree()?)?;
    let count = run(
        dirs,
        load,
        quic,
        server.address,
        Limit::Seconds(load.seconds),
    )?;
    interrupt::sleep(SETTLE)?;
    let tree = server.tree()?;
    let spent = procfs::cpu_between(&before, &procfs::cpu_times(&tree)?)? as f64;
    let memory = procfs::memory(&tree)?;
    let answered = count.succeeded as f64;
    let mut figures = BTreeMap::from([
        (Metric::SocketErrors, (count.unanswered + count.lost) as f64),
        (Metric::BadStatuses, count.failed as f64),
        (Metric::RssKib, memory.rss_kib as f64),
    ]);
    if quic.mode == QuicMode::Handshakes {
        let per_second = count.handshakes as f64 / (spent / 1e9);
        figures.insert(Metric::HandshakesPerCpuSecond, per_second);
    } else {
        figures.insert(Metric::CpuUs, spent / answered / 1e3);
        figures.insert(Metric::Rps, answered / count.seconds);
        figures.insert(Metric::MeanUs, count.mean_us as f64);
        figures.insert(Metric::MaxUs, count.max_us as f64);
        figures.insert(
            Metric::DatagramsPerRequest,
            count.datagrams_received as f64 / answered,
        );
        if quic.content_bytes >= BULK_BYTES_MIN {
            let bytes = answered * quic.content_bytes as f64;
            figures.insert(Metric::CpuNsPerByte, spent / bytes);
        }
    }
    let details = BTreeMap::from([
        ("requests", answered),
        ("handshakes", count.handshakes as f64),
        ("cpu_seconds", spent / 1e9),
        ("datagrams_sent", count.datagrams_sent as f64),
        ("pss_kib", memory.pss_kib as f64),
    ]);
    Ok((figures, details))
}

fn measure_idle(dirs: &Dirs, load: &Load, quic: &Quic, server: &Server) -> Result<Figures> {
    // Code, allocator and pools as they are in a server that has worked.
    let seconds = Limit::Seconds(WARM_UP_SECONDS);
    let few = Load {
        connections: load.connections / 10,
        ..load.clone()
    };
    run(dirs, &few, quic, server.address, seconds)?;
    interrupt::sleep(Duration::from_secs(WARM_UP_SECONDS.into()))?;
    let before = procfs::memory(&server.tree()?)?;

    let began = Instant::now();
    let child = start(
        dirs,
        load,
        quic,
        server.address,
        Limit::Seconds(load.seconds),
    )?;
    let time = Duration::from_secs(load.seconds.into());
    interrupt::sleep_until(began + time - BEFORE_THE_END)?;
    let after = procfs::memory(&server.tree()?)?;
    let ((), output) = child.finish(began + time + PATIENCE, |_| Ok(()))?;
    let count = Count::parse(&output)?;
    if count.succeeded < load.connections as u64 {
        return Err(fail!(
            "{} of {} connections were answered:\n{output}",
            count.succeeded,
            load.connections
        ));
    }
    let growth = (after.pss_kib as f64 - before.pss_kib as f64) * 1024.0;
    let figures = BTreeMap::from([
        (Metric::IdleBytes, growth / load.connections as f64),
        (Metric::PssKib, after.pss_kib as f64),
        (Metric::RssKib, after.rss_kib as f64),
    ]);
    let details = BTreeMap::from([("pss_kib_before", before.pss_kib as f64)]);
    Ok((figures, details))
}

/// One request of the load has to be answered as it should be, once the server is there.
pub fn check(dirs: &Dirs, load: &Load, quic: &Quic, address: SocketAddr) -> Result<()> {
    let one = Load {
        connections: 1,
        ..load.clone()
    };
    let one_by_one = Quic {
        mode: QuicMode::Requests,
        streams: 1,
        ..quic.clone()
    };
    run(dirs, &one, &one_by_one, address, Limit::Requests(1)).map(|_| ())
}

#[derive(Clone, Copy)]
enum Limit {
    Seconds(u32),
    Requests(u32),
}

fn run(dirs: &Dirs, load: &Load, quic: &Quic, address: SocketAddr, limit: Limit) -> Result<Count> {
    let child = start(dirs, load, quic, address, limit)?;
    let seconds = match limit {
        Limit::Seconds(seconds) => seconds,
        Limit::Requests(_) => 1,
    };
    let deadline = Instant::now() + Duration::from_secs(seconds.into()) + PATIENCE;
    let ((), output) = child.finish(deadline, |_| Ok(()))?;
    let count = Count::parse(&output)?;
    if count.succeeded == 0 {
        return Err(fail!("{CLIENT} was answered nothing:\n{output}"));
    }
    Ok(count)
}

fn start(
    dirs: &Dirs,
    load: &Load,
    quic: &Quic,
    address: SocketAddr,
    limit: Limit,
) -> Result<Child> {
    Child::start(Launch {
        name: CLIENT,
        command: &command(dirs, load, quic, address, limit),
        env: &BTreeMap::new(),
        dir: &dirs.bench,
        cores: &load.client.cores,
        stdout: Stdio::piped(),
        stderr: Stdio::inherit(),
    })
}

fn command(
    dirs: &Dirs,
    load: &Load,
    quic: &Quic,
    address: SocketAddr,
    limit: Limit,
) -> Vec<String> {
    let program = dirs.target.join("release").join(CLIENT);
    let mut command = vec![program.display().to_string(), address.to_string()];
    let mut option = |name: &str, value: String| command.extend([name.into(), value]);
    option("--connections", load.connections.to_string());
    option("--streams", quic.streams.to_string());
    option("--path", quic.path.clone());
    if quic.upload {
        option("--upload-bytes", quic.content_bytes.to_string());
    } else {
        option("--content-bytes", quic.content_bytes.to_string());
    }
    match limit {
        Limit::Seconds(seconds) => option("--seconds", seconds.to_string()),
        Limit::Requests(requests) => {
            option("--seconds", "1".into());
            option("--requests", requests.to_string());
        }
    }
    match quic.mode {
        QuicMode::Requests => {}
        QuicMode::Handshakes => command.push("--handshakes".into()),
        QuicMode::Idle => command.push("--idle".into()),
    }
    command
}

/// What the client says at its end.
#[derive(Debug, Default, PartialEq)]
struct Count {
    succeeded: u64,
    failed: u64,
    unanswered: u64,
    seconds: f64,
    mean_us: u64,
    max_us: u64,
    datagrams_sent: u64,
    datagrams_received: u64,
    handshakes: u64,
    /// 1 if connections were lost.
    lost: u64,
}

impl Count {
    fn parse(output: &str) -> Result<Count> {
        let lines = output.lines().filter_map(|line| line.split_once(' '));
        let values: BTreeMap<&str, &str> = lines.collect();
        let text = |name: &str| {
            let value = values.get(name).copied();
            value.ok_or_else(|| fail!("{CLIENT} says nothing of {name}:\n{output}"))
        };
        let number = |name: &str| {
            let text = text(name)?;
            text.parse().map_err(|_| fail!("{CLIENT}: {name} {text}"))
        };
        let seconds = text("seconds")?;
        Ok(Count {
            succeeded: number("succeeded")?,
            failed: number("failed")?,
            unanswered: number("unanswered")?,
            seconds: seconds
                .parse()
                .map_err(|_| fail!("{CLIENT}: seconds {seconds}"))?,
            mean_us: number("mean_us")?,
            max_us: number("max_us")?,
            datagrams_sent: number("datagrams_sent")?,
            datagrams_received: number("datagrams_received")?,
            handshakes: number("handshakes")?,
            lost: u64::from(values.contains_key("lost")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    const OUTPUT: &str = "started 7\nsucceeded 5\nfailed 1\nunanswered 1\nseconds 2.500\nper_second 2\n\
        content_bytes 10\nmean_us 30\nmax_us 90\ndatagrams_sent 8\ndatagrams_received 9\nhandshakes 0\n";

    #[test]
    fn reads_what_the_client_says() {
        let count = Count::parse(OUTPUT).unwrap();
        let expected = Count {
            succeeded: 5,
            failed: 1,
            unanswered: 1,
            seconds: 2.5,
            mean_us: 30,
            max_us: 90,
            datagrams_sent: 8,
            datagrams_received: 9,
            handshakes: 0,
            lost: 0,
        };
        assert_eq!(count, expected);
        let lost = format!("{OUTPUT}lost timed out\n");
        assert_eq!(Count::parse(&lost).unwrap().lost, 1);
        assert!(Count::parse("succeeded 5\n").is_err());
    }
}
