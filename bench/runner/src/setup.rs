//! Installing tools and building peers.

use crate::{
    error::{Context as _, Result, fail},
    interrupt,
    place::Dirs,
    spec::{Load, Peer, Step},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// Installs what is missing of the Debian packages of the loads and peers.
pub fn install<'a>(packages: impl Iterator<Item = &'a String>) -> Result<()> {
    let missing: BTreeSet<&str> = packages
        .map(String::as_str)
        .filter(|package| version(package).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = Vec::from_iter(missing);
    eprintln!("installing {}", names.join(" "));
    apt_get(&["update"], &names)?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[&install[..], &names].concat(), &names)
}

fn apt_get(arguments: &[&str], packages: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut command).map_err(|e| {
        fail!(
            "{e}\ninstalling needs Debian and root; the packages are: {}",
            packages.join(" ")
        )
    })
}

/// The installed version of a Debian package.
pub fn version(package: &str) -> Option<String> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status} ${Version}"])
        .arg(package)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.strip_prefix("installed ").map(String::from)
}

/// The versions of all packages that loads and peers name.
pub fn versions(loads: &[Load], peers: &BTreeMap<String, Peer>) -> BTreeMap<String, String> {
    loads
        .iter()
        .flat_map(|load| &load.apt)
        .chain(peers.values().flat_map(|peer| &peer.apt))
        .filter_map(|package| Some((package.clone(), version(package)?)))
        .collect()
}

/// Builds peers and the load generators of loads that bring one; quick when nothing changed.
pub fn build<'a>(
    dirs: &Dirs,
    loads: impl Iterator<Item = &'a Load>,
    peers: impl Iterator<Item = &'a Peer>,
) -> Result<()> {
    let of_loads = loads.map(|load| (&load.name, &load.builds));
    let of_peers = peers.map(|peer| (&peer.name, &peer.builds));
    // What several need is built once.
    let mut done: Vec<&Step> = Vec::new();
    for (name, steps) in of_loads.chain(of_peers) {
        for step in steps.iter().filter(|step| !done.contains(step)) {
            interrupt::check()?;
            eprintln!("building {name}");
            build_step(dirs, step).map_err(|e| fail!("{name}: {e}"))?;
        }
        done.extend(steps);
    }
    Ok(())
}

fn build_step(dirs: &Dirs, step: &Step) -> Result<()> {
    let names = dirs.names();
    let words = names.fill_all(&step.command)?;
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| fail!("a build command is empty"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(names.fill(&step.dir)?)
        // cargo sets these for the runner; a build in another directory is not its business.
        .env_remove("CARGO")
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH");
    for (name, value) in &step.env {
        command.env(name, names.fill(value)?);
    }
    run(&mut command)
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().context(|| format!("start {name}"))?;
    if !status.success() {
        return Err(fail!("{name} failed: {status}"));
    }
    Ok(())
}
