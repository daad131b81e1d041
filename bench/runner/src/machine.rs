//! What the results were measured on, for the JSON file.

use crate::place::Dirs;
use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

pub fn describe(dirs: &Dirs) -> BTreeMap<&'static str, String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_string())
        })
        .unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(&dirs.root).args(arguments);
        first_line(&mut command)
    };
    let changed = if git(&["status", "--porcelain"]).is_empty() {
        ""
    } else {
        " with changes"
    };
    BTreeMap::from([
        ("cpu", cpu),
        ("cores", cores.to_string()),
        ("kernel", first_line(Command::new("uname").arg("-r"))),
        ("rustc", first_line(Command::new("rustc").arg("--version"))),
        ("commit", git(&["rev-parse", "HEAD"]) + changed),
    ])
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout);
    let text = String::from_utf8_lossy(&output.unwrap_or_default()).into_owned();
    text.lines().next().unwrap_or_default().to_string()
}

/// Now, in UTC, fit for a file name: `2026-05-31T12-00-00Z`.
pub fn timestamp() -> String {
    let text = first_line(Command::new("date").args(["-u", "+%Y-%m-%dT%H-%M-%SZ"]));
    if !text.is_empty() {
        return text;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs()).to_string()
}
