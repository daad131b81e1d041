//! What the kernel says about a process and its descendants.
//!
//! CPU time comes from the process CPU clock (`clock_getcpuclockid`): nanoseconds, user and system,
//! of all threads, those that ended included. `/proc/PID/stat` counts in ticks of 10 ms and
//! `/proc/PID/task/*/schedstat` forgets threads that ended.

use crate::error::{Context as _, Result, fail};
use std::{collections::BTreeMap, fs, io};

/// CPU time by process, in nanoseconds.
pub type CpuTimes = BTreeMap<i32, u64>;

/// The process and all its descendants.
pub fn tree(root: i32) -> Result<Vec<i32>> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").context(|| "read /proc".into())? {
        let name = entry.context(|| "read /proc".into())?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end between the listing and the reading.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(pid) = tree.get(next) {
        tree.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    Ok(tree)
}

/// The parent's id out of `/proc/PID/stat`: the second field after the name, which may hold anything.
fn parent(stat: &str) -> Option<i32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// CPU time of each process until now.
pub fn cpu_times(pids: &[i32]) -> Result<CpuTimes> {
    pids.iter()
        .map(|pid| {
            Ok((
                *pid,
                cpu_time(*pid).context(|| format!("CPU time of {pid}"))?,
            ))
        })
        .collect()
}

/// CPU spent between two readings, in nanoseconds. A process that was not there before began with
/// 0; one that is not there any more is an error of the measurement.
pub fn cpu_between(before: &CpuTimes, after: &CpuTimes) -> Result<u64> {
    if let Some(gone) = before.keys().find(|pid| !after.contains_key(pid)) {
        return Err(fail!(
            "process {gone} of the server ended while it was measured"
        ));
    }
    let spent = after
        .iter()
        .map(|(pid, time)| time.saturating_sub(before.get(pid).copied().unwrap_or(0)));
    Ok(spent.sum())
}

fn cpu_time(pid: i32) -> io::Result<u64> {
    let mut clock = 0;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: both pointers are to values of the type that the calls fill.
    unsafe {
        // Returns the error instead of setting errno.
        let error = libc::clock_getcpuclockid(pid, &raw mut clock);
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        if libc::clock_gettime(clock, &raw mut time) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs())
}

/// Memory of a set of processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    pub rss_kib: u64,
    /// Shared pages counted in parts, so that the sum over processes is honest.
    pub pss_kib: u64,
}

pub fn memory(pids: &[i32]) -> Result<Memory> {
    let mut sum = Memory::default();
    for pid in pids {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).context(|| format!("read {path}"))?;
        let part = |name| field(&text, name).ok_or_else(|| fail!("{path} has no {name}"));
        sum.rss_kib += part("Rss:")?;
        sum.pss_kib += part("Pss:")?;
    }
    Ok(sum)
}

/// Bytes that a process has read so far, by all its threads. Works until it is reaped.
pub fn bytes_read(pid: i32) -> Result<u64> {
    io_bytes(pid, "rchar:")
}

/// The same of what it has written.
pub fn bytes_written(pid: i32) -> Result<u64> {
    io_bytes(pid, "wchar:")
}

fn io_bytes(pid: i32, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/io");
    let text = fs::read_to_string(&path).context(|| format!("read {path}"))?;
    field(&text, name).ok_or_else(|| fail!("{path} has no {name}"))
}

/// Descriptors open in a set of processes.
pub fn descriptors(pids: &[i32]) -> Result<usize> {
    let mut sum = 0;
    for pid in pids {
        let path = format!("/proc/{pid}/fd");
        sum += fs::read_dir(&path)
            .context(|| format!("read {path}"))?
            .count();
    }
    Ok(sum)
}

/// Sockets in TIME_WAIT.
pub fn time_wait() -> Result<usize> {
    let path = "/proc/net/sockstat";
    let text = fs::read_to_string(path).context(|| format!("read {path}"))?;
    time_wait_in(&text).ok_or_else(|| fail!("{path} has no TCP tw"))
}

fn time_wait_in(sockstat: &str) -> Option<usize> {
    let tcp = sockstat
        .lines()
        .find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = tcp.split_whitespace();
    words.find(|word| *word == "tw")?;
    words.next()?.parse().ok()
}

/// The number after `name` at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{cpu_between, cpu_time, field, parent, time_wait_in, tree};
    use std::{collections::BTreeMap, process};

    #[test]
    fn a_name_may_look_like_anything() {
        assert_eq!(parent("12 (a) R 1) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (a"), None);
    }

    #[test]
    fn fields_are_read_by_name() {
        let text = "Rss:      10 kB\nPss:       4 kB\nPss_Dirty: 3 kB\n";
        assert_eq!(field(text, "Pss:"), Some(4));
        assert_eq!(field(text, "Swap:"), None);
        let sockstat = "sockets: used 9\nTCP: inuse 5 orphan 0 tw 31 alloc 8 mem 1\n";
        assert_eq!(time_wait_in(sockstat), Some(31));
        assert_eq!(time_wait_in("TCP: inuse 5"), None);
    }

    #[test]
    fn a_process_that_ends_spoils_the_measurement() {
        let before = BTreeMap::from([(1, 10), (2, 20)]);
        assert_eq!(
            cpu_between(&before, &BTreeMap::from([(1, 15), (2, 21), (3, 4)])).unwrap(),
            10
        );
        assert!(cpu_between(&before, &BTreeMap::from([(1, 15)])).is_err());
    }

    #[test]
    fn sees_itself() {
        let own = i32::try_from(process::id()).unwrap();
        assert!(tree(own).unwrap().contains(&own));
        assert!(cpu_time(own).unwrap() > 0);
    }
}
