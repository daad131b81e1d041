//! One runner for all benchmarks: load definitions × peers, both data. See `bench/README.md`.

mod error;
mod files;
mod generator;
mod h1;
mod h2;
mod h2load;
mod handshakes;
mod idle;
mod interrupt;
mod machine;
mod measure;
mod place;
mod process;
mod procfs;
mod quic;
mod report;
mod run;
mod server;
mod setup;
mod spec;
mod stats;
mod summary;
mod wrk;

use clap::{Parser, Subcommand};
use error::{Error, Result, fail};
use place::Dirs;
use std::{collections::BTreeMap, process::ExitCode};

/// Runs load definitions against peers and compares them.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs the tools (Debian, as root) and builds the peers.
    Setup {
        /// Only these peers.
        #[arg(long = "peer", value_name = "PEER")]
        peers: Vec<String>,
    },
    /// Measures, in interleaved rounds, and judges the targets.
    Run(run::Options),
    /// Lists the loads and the peers.
    List,
}

fn main() -> ExitCode {
    interrupt::install();
    match command(Cli::parse().command) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e}");
            match e {
                Error::Interrupted => ExitCode::from(130),
                Error::Message(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn command(command: Command) -> Result<ExitCode> {
    let dirs = Dirs::find()?;
    let loads = spec::loads(&dirs.bench)?;
    let peers = spec::peers(&dirs.bench)?;
    match command {
        Command::Setup { peers: names } => {
            let chosen = choose("peer", &peers, &names)?;
            let packages = loads
                .values()
                .flat_map(|load| &load.apt)
                .chain(chosen.iter().flat_map(|peer| &peer.apt));
            setup::install(packages)?;
            files::prepare(&dirs)?;
            setup::build(&dirs, loads.values(), chosen.iter())?;
        }
        Command::Run(options) => return run::run(&dirs, &loads, &peers, &options),
        Command::List => {
            println!("loads:");
            for load in loads.values() {
                println!("  {:<20} {}", load.name, load.what);
            }
            println!("peers:");
            for peer in peers.values() {
                println!("  {:<20} {}", peer.name, peer.what);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The named ones, or all when none is named.
fn choose<T: Clone>(kind: &str, all: &BTreeMap<String, T>, names: &[String]) -> Result<Vec<T>> {
    if names.is_empty() {
        return Ok(all.values().cloned().collect());
    }
    let find = |name: &String| {
        all.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            fail!("there is no {kind} {name}; there are: {}", known.join(", "))
        })
    };
    names.iter().map(find).collect()
}
