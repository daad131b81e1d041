//! The server from outside: its memory, what the kernel holds for it, its counters.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::children::output_of;
use crate::{Error, Result};

/// Listing sockets, or a counters command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at whether the attack's connections are gone.
const LOOK: Duration = Duration::from_millis(100);

/// Resident memory of a server and its descendants, in KiB, around one attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Before it.
    pub before_kib: u64,
    /// The largest that was seen during it.
    pub peak_kib: u64,
    /// When its connections were gone.
    pub after_kib: u64,
}

impl Memory {
    pub(super) fn before(pid: u32) -> Result<Memory> {
        let before_kib = resident_kib(pid)?;
        Ok(Memory {
            before_kib,
            peak_kib: before_kib,
            after_kib: before_kib,
        })
    }

    pub(super) fn look(&mut self, pid: u32) {
        self.peak_kib = self.peak_kib.max(resident_kib(pid).unwrap_or(0));
    }

    pub(super) fn after(&mut self, pid: u32) -> Result<()> {
        self.after_kib = resident_kib(pid)?;
        Ok(())
    }
}

/// Sum over the process and its descendants.
fn resident_kib(root: u32) -> Result<u64> {
    let mut sum = resident_of(root)
        .ok_or_else(|| Error::program(format!("process {root}"), "ended during the attack"))?;
    let mut parents = vec![root];
    let processes = processes();
    while let Some(parent) = parents.pop() {
        for (child, _) in processes.iter().filter(|(_, of)| *of == parent) {
            sum += resident_of(*child).unwrap_or(0);
            parents.push(*child);
        }
    }
    Ok(sum)
}

fn resident_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let rest = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Each process with its parent.
fn processes() -> Vec<(u32, u32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field after the name, which may hold anything.
        let (_, rest) = stat.rsplit_once(')')?;
        Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?))
    })
    .collect()
}

/// What the kernel held for the attack's connections on the server's side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Queues {
    /// Looks that saw such a connection.
    pub looks: u64,
    /// Connections at the last look.
    pub connections: u64,
    /// Bytes that the peer has not acknowledged (Send-Q), mean over connections and looks.
    pub unsent_mean: f64,
    /// The largest.
    pub unsent_max: u64,
    /// Kernel memory of the send queue, with its overhead: mean,
    pub send_memory_mean: f64,
    /// and largest.
    pub send_memory_max: u64,
}

impl Queues {
    pub(super) fn look(&mut self, port: u16) {
        // One look less is no error.
        if let Ok(sockets) = sockets(port) {
            self.add(&sockets);
        }
    }

    fn add(&mut self, sockets: &[Socket]) {
        let attackers: Vec<&Socket> = sockets.iter().filter(|s| !s.is_honest).collect();
        if attackers.is_empty() {
            return;
        }
        let count = attackers.len() as f64;
        let mean = |of: fn(&Socket) -> u64| {
            let sum: u64 = attackers.iter().map(|socket| of(socket)).sum();
            sum as f64 / count
        };
        let max = |of: fn(&Socket) -> u64| attackers.iter().map(|s| of(s)).max().unwrap_or(0);
        let looks = self.looks as f64;
        let join = |old: f64, new: f64| (old * looks + new) / (looks + 1.0);
        self.unsent_mean = join(self.unsent_mean, mean(|s| s.unsent));
        self.send_memory_mean = join(self.send_memory_mean, mean(|s| s.send_memory));
        self.unsent_max = self.unsent_max.max(max(|s| s.unsent));
        self.send_memory_max = self.send_memory_max.max(max(|s| s.send_memory));
        self.connections = attackers.len() as u64;
        self.looks += 1;
    }
}

/// A connection of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    /// From the address that attacks do not use.
    is_honest: bool,
    unsent: u64,
    send_memory: u64,
}

fn sockets(port: u16) -> Result<Vec<Socket>> {
    let command = ["ss", "-tnmHO", &format!("sport = :{port}")].map(str::to_owned);
    let text = output_of(&command, &[], COMMAND_TIMEOUT)?;
    Ok(text.lines().filter_map(socket).collect())
}

/// `ESTAB 0 4096 127.0.0.1:8080 127.0.1.7:40000 skmem:(r0,rb131072,t0,tb87040,f0,w4608,o0,bl0,d0)`.
/// Listeners, and connections that are over, are none.
fn socket(line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace();
    let state = words.next()?;
    if matches!(state, "LISTEN" | "TIME-WAIT" | "SYN-RECV") {
        return None;
    }
    let unsent = words.nth(1)?.parse().ok()?;
    let peer = words.nth(1)?;
    let memory = words.find_map(|word| word.strip_prefix("skmem:("));
    let send_memory = memory.and_then(|memory| {
        let mut parts = memory.trim_end_matches(')').split(',');
        parts.find_map(|part| part.strip_prefix('w')?.parse().ok())
    });
    Some(Socket {
        is_honest: peer.starts_with("127.0.0.1:"),
        unsent,
        send_memory: send_memory.unwrap_or(0),
    })
}

/// Waits until the attack's connections are gone, as long as that may take.
pub(super) fn wait_until_quiet(port: u16, patience: Duration) {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        let left = sockets(port).map_or(0, |sockets| {
            sockets.iter().filter(|socket| !socket.is_honest).count()
        });
        if left == 0 {
            return;
        }
        std::thread::sleep(LOOK);
    }
}

/// The `name value` lines that a shell command prints.
pub(super) fn counters(command: &str) -> Result<BTreeMap<String, u64>> {
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::program(command, error.to_string()))?;
    if !output.status.success() {
        return Err(Error::program(command, output.status.to_string()));
    }
    Ok(parse_counters(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_counters(text: &str) -> BTreeMap<String, u64> {
    let pairs = text.lines().filter_map(|line| {
        let (name, value) = line.trim().rsplit_once(char::is_whitespace)?;
        Some((name.trim().to_owned(), value.parse().ok()?))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests;
