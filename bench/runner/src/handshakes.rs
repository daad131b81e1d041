//! TLS handshakes, by `openssl s_time` one connection after the other, or by the bench's own client
//! (`tls-client`), on several at once.
//!
//! The server's CPU is that of the whole run, divided by its connections: there is nothing else in it.

use crate::{
    error::{Result, fail},
    interrupt,
    measure::Figures,
    place::Dirs,
    process::{Child, Launch},
    procfs,
    server::Server,
    spec::{HandshakeClient, Handshakes, Load, Metric},
};
use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};
use tls_client::{CIPHER, Count};

/// In cargo's target directory; the loads that use it build it.
const RUSTLS_CLIENT: &str = "tls-handshakes";
const WARM_UP_SECONDS: u32 = 1;
/// How long the client may take to end after its time.
const PATIENCE: Duration = Duration::from_secs(20);
/// For the server to see the end of the last connection.
const SETTLE: Duration = Duration::from_millis(100);
/// The least share of connections that must have been resumed where they should.
const RESUMED_MIN: f64 = 0.95;

pub fn measure(
    dirs: &Dirs,
    load: &Load,
    handshakes: &Handshakes,
    server: &Server,
) -> Result<Figures> {
    run(dirs, load, handshakes, server, WARM_UP_SECONDS)?;
    interrupt::sleep(SETTLE)?;
    let before = procfs::cpu_times(&server.tree()?)?;
    let count = run(dirs, load, handshakes, server, load.seconds)?;
    interrupt::sleep(SETTLE)?;
    let tree = server.tree()?;
    let spent = procfs::cpu_between(&before, &procfs::cpu_times(&tree)?)?;
    let memory = procfs::memory(&tree)?;
    let cpu_seconds = spent as f64 / 1e9;
    let figures = BTreeMap::from([
        (
            Metric::HandshakesPerCpuSecond,
            count.connections as f64 / cpu_seconds,
        ),
        (Metric::RssKib, memory.rss_kib as f64),
    ]);
    let details = BTreeMap::from([
        ("connections", count.connections as f64),
        ("resumed", count.resumed as f64),
        ("cpu_seconds", cpu_seconds),
        ("pss_kib", memory.pss_kib as f64),
    ]);
    Ok((figures, details))
}

fn run(
    dirs: &Dirs,
    load: &Load,
    handshakes: &Handshakes,
    server: &Server,
    seconds: u32,
) -> Result<Count> {
    let name = handshakes.client.name();
    let address = server.address.to_string();
    let command = match handshakes.client {
        HandshakeClient::Openssl => openssl_command(handshakes, &address, seconds),
        HandshakeClient::Rustls => rustls_command(dirs, load, handshakes, &address, seconds),
    };
    let child = Child::start(Launch {
        name,
        command: &command,
        env: &BTreeMap::new(),
        dir: &dirs.bench,
        cores: &load.client.cores,
        stdout: Stdio::piped(),
        stderr: Stdio::inherit(),
    })?;
    let deadline = Instant::now() + Duration::from_secs(seconds.into()) + PATIENCE;
    let ((), output) = child.finish(deadline, |_| Ok(()))?;
    let count = match handshakes.client {
        HandshakeClient::Openssl => parse_openssl(&output),
        HandshakeClient::Rustls => output.parse().ok(),
    }
    .filter(|count| count.connections > 0)
    .ok_or_else(|| fail!("{name} says nothing of connections:\n{output}"))?;
    if !is_right(count, handshakes.resumed) {
        let (part, whole) = (count.resumed, count.connections);
        return Err(fail!("{part} of {whole} connections were resumed"));
    }
    Ok(count)
}

fn openssl_command(handshakes: &Handshakes, address: &str, seconds: u32) -> Vec<String> {
    let seconds = seconds.to_string();
    let mut words = vec!["openssl", "s_time", "-connect", address];
    if handshakes.resumed {
        // TLS 1.3 brings tickets after the handshake: only who reads a response has them.
        words.extend(["-reuse", "-www", "/ok.txt"]);
    } else {
        words.push("-new");
    }
    words.extend(["-tls1_3", "-ciphersuites", CIPHER, "-time", &seconds]);
    words.into_iter().map(String::from).collect()
}

fn rustls_command(
    dirs: &Dirs,
    load: &Load,
    handshakes: &Handshakes,
    address: &str,
    seconds: u32,
) -> Vec<String> {
    let program = dirs.target.join("release").join(RUSTLS_CLIENT);
    let mut command = vec![program.display().to_string()];
    let mut option = |name: &str, value: &str| command.extend([name.into(), value.into()]);
    option("--connect", address);
    option("--seconds", &seconds.to_string());
    option("--connections", &load.connections.to_string());
    option("--group", handshakes.group.name());
    if handshakes.resumed {
        command.push("--resumed".into());
    }
    command
}

/// Whether as many were resumed as the load wants: none, or all but the first ones.
fn is_right(count: Count, resumed: bool) -> bool {
    if resumed {
        count.resumed as f64 >= count.connections as f64 * RESUMED_MIN
    } else {
        count.resumed == 0
    }
}

/// Reads `N connections in S real seconds`, and the line with a letter for each connection: `r`
/// where the session was resumed.
fn parse_openssl(output: &str) -> Option<Count> {
    let connections = output.lines().find_map(|line| {
        let (count, rest) = line.split_once(" connections in ")?;
        rest.contains(" real seconds").then(|| count.parse().ok())?
    })?;
    let letters = output
        .lines()
        .filter(|line| !line.contains(' '))
        .max_by_key(|line| line.len())?;
    let resumed = letters.bytes().filter(|letter| *letter == b'r').count() as u64;
    Some(Count {
        connections,
        resumed,
    })
}

#[cfg(test)]
mod tests {
    use super::{is_right, parse_openssl};
    use tls_client::Count;

    fn full() -> String {
        format!(
            "Collecting connection statistics for 1 seconds\n{}\n\n\
             614 connections in 0.69s; 889.86 connections/user sec, bytes read 0\n\
             614 connections in 2 real seconds, 0 bytes read per connection\n",
            "*".repeat(614)
        )
    }

    fn resumed() -> String {
        format!(
            "\n\nNow timing with session id reuse.\nstarting\n{}\n\n\
             1520 connections in 0.72s; 2111.11 connections/user sec, bytes read 348080\n\
             1520 connections in 2 real seconds, 229 bytes read per connection\n",
            "r".repeat(1520)
        )
    }

    fn count(connections: u64, resumed: u64) -> Option<Count> {
        Some(Count {
            connections,
            resumed,
        })
    }

    #[test]
    fn reads_both_kinds() {
        assert_eq!(parse_openssl(&full()), count(614, 0));
        assert_eq!(parse_openssl(&resumed()), count(1520, 1520));
        let some = resumed().replacen('r', "*", 21);
        // 2 of them are in the words before.
        assert_eq!(parse_openssl(&some), count(1520, 1501));
        assert_eq!(parse_openssl("ERROR\n"), None);
    }

    #[test]
    fn a_full_handshake_that_was_resumed_is_none() {
        let is_right =
            |connections, resumed, wanted| is_right(count(connections, resumed).unwrap(), wanted);
        assert!(is_right(100, 0, false));
        assert!(!is_right(100, 1, false));
        assert!(is_right(100, 95, true));
        assert!(!is_right(100, 94, true));
    }
}
