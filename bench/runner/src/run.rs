//! `run`: rounds of measurements, peers interleaved.

use crate::{
    choose,
    error::{Context as _, Error, Result, fail},
    files, machine,
    measure::{self, Sample},
    place::Dirs,
    process,
    report::{self, LoadResults, Results},
    server::Server,
    setup,
    spec::{Load, Peer},
    summary::{self, Verdict},
};
use clap::Args;
use std::{collections::BTreeMap, fs, path::Path, process::ExitCode, thread};

#[derive(Args)]
pub struct Options {
    /// Only these loads.
    #[arg(long = "load", value_name = "LOAD")]
    loads: Vec<String>,
    /// Only these peers, of those that take part in a load.
    #[arg(long = "peer", value_name = "PEER")]
    peers: Vec<String>,
    /// Only ours and the peers that the load's targets name.
    #[arg(long)]
    only_targets: bool,
    #[arg(long, default_value_t = summary::ROUNDS_MIN, value_parser = at_least_one)]
    rounds: usize,
    /// Seconds per measurement, instead of what the load says.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: Option<u32>,
    /// The peer that the others are held against.
    #[arg(long, default_value = "ajayserver")]
    ours: String,
    #[arg(long, default_value_t = 18080)]
    port: u16,
    /// Take the peers as they were built last.
    #[arg(long)]
    no_build: bool,
    /// Fail when a target is missed or was not measured.
    #[arg(long)]
    strict: bool,
}

fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1 is needed".into()),
        Ok(number) => Ok(number),
    }
}

pub fn run(
    dirs: &Dirs,
    loads: &BTreeMap<String, Load>,
    peers: &BTreeMap<String, Peer>,
    options: &Options,
) -> Result<ExitCode> {
    let loads = choose("load", loads, &options.loads)?;
    let chosen = choose("peer", peers, &options.peers)?;
    choose("peer", peers, std::slice::from_ref(&options.ours))?;
    let plan: Vec<(Load, Vec<Peer>)> = loads
        .iter()
        .map(|load| plan_load(load, &chosen, options))
        .collect();
    check_cores(&plan)?;
    process::raise_own_descriptor_limit()?;
    files::prepare(dirs)?;
    if !options.no_build {
        build(dirs, &plan)?;
    }
    check_peers(dirs, &plan, options.port)?;

    let started = machine::timestamp();
    let folder = dirs.bench.join("results");
    fs::create_dir_all(&folder).context(|| format!("create {}", folder.display()))?;
    let path = folder.join(format!("{started}.json"));
    let mut results = Results {
        started,
        ours: options.ours.clone(),
        machine: machine::describe(dirs),
        packages: setup::versions(&loads, peers),
        loads: Vec::new(),
    };
    let mut all_hold = true;
    let mut failed = 0;
    for (load, peers) in &plan {
        if peers.is_empty() {
            eprintln!("{}: none of the chosen peers takes part", load.name);
            continue;
        }
        failed += measure_load(dirs, load, peers, options, &mut results, &path)?;
        if let Some(done) = results.loads.last() {
            let text = report::markdown(load, &options.ours, &done.summary, options.rounds);
            println!("{text}");
            let mut judgements = done.summary.judgements.iter();
            all_hold &= judgements.all(|judgement| judgement.verdict == Verdict::Holds);
        }
    }
    eprintln!("all rounds: {}", path.display());
    if failed > 0 {
        return Err(fail!("{failed} measurements failed"));
    }
    if options.strict && !all_hold {
        eprintln!("a target is missed or was not measured");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The load as it will be run, and who takes part.
fn plan_load(load: &Load, chosen: &[Peer], options: &Options) -> (Load, Vec<Peer>) {
    let mut load = load.clone();
    load.seconds = measure::seconds(&load, options.seconds);
    let takes_part = |peer: &&Peer| {
        let named = peer.name == options.ours
            || load
                .targets
                .iter()
                .any(|target| target.of.as_ref() == Some(&peer.name));
        peer.loads.contains(&load.name) && (named || !options.only_targets)
    };
    let peers = chosen.iter().filter(takes_part).cloned().collect();
    (load, peers)
}

fn check_cores(plan: &[(Load, Vec<Peer>)]) -> Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for (load, _) in plan {
        let mut wanted = load.server.cores.iter().chain(&load.client.cores);
        if let Some(core) = wanted.find(|core| **core >= cores) {
            return Err(fail!(
                "{} wants core {core}; this machine has {cores}",
                load.name
            ));
        }
    }
    Ok(())
}

fn build(dirs: &Dirs, plan: &[(Load, Vec<Peer>)]) -> Result<()> {
    let loads = plan.iter().map(|(load, _)| load);
    let peers = plan.iter().flat_map(|(_, peers)| peers);
    setup::build(dirs, loads, peers)
}

/// Every peer must start and answer before hours are spent on the others.
fn check_peers(dirs: &Dirs, plan: &[(Load, Vec<Peer>)], port: u16) -> Result<()> {
    for (load, peers) in plan {
        for peer in peers {
            Server::start(dirs, peer, load, port)?;
        }
    }
    Ok(())
}

/// All rounds of a load; the file is written after each measurement. Returns how many failed: such
/// a round has no figures of that peer, and the others go on.
fn measure_load(
    dirs: &Dirs,
    load: &Load,
    peers: &[Peer],
    options: &Options,
    results: &mut Results,
    path: &Path,
) -> Result<usize> {
    let mut failed = 0;
    results.loads.push(LoadResults {
        load: load.name.clone(),
        seconds: load.seconds,
        samples: Vec::new(),
        summary: summary::summarize(load, &options.ours, &[]),
    });
    for round in 0..options.rounds {
        let mut order: Vec<&Peer> = peers.iter().collect();
        order.rotate_left(round % peers.len());
        for peer in order {
            eprintln!(
                "{} {}/{}: {}",
                load.name,
                round + 1,
                options.rounds,
                peer.name
            );
            match measure::measure(dirs, load, peer, round, options.port) {
                Ok(sample) => {
                    warn(&sample);
                    if let Some(done) = results.loads.last_mut() {
                        done.samples.push(sample);
                        done.summary = summary::summarize(load, &options.ours, &done.samples);
                    }
                    results.write(path)?;
                }
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(e) => {
                    failed += 1;
                    eprintln!("    failed: {e}");
                }
            }
        }
    }
    Ok(failed)
}

fn warn(sample: &Sample) {
    use crate::spec::Metric::{BadStatuses, SocketErrors};
    for metric in [SocketErrors, BadStatuses] {
        if let Some(count) = sample.figures.get(&metric).filter(|count| **count > 0.0) {
            eprintln!("    {}: {count}", metric.title());
        }
    }
}
