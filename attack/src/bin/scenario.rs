//! `scenario [OPTIONS] -- SERVER --listen 127.0.0.1:{port}`: honest load beside attacks, on a
//! server and on the sink, compared.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ajay_attack::attack::Kind;
use ajay_attack::scenario::{Load, Scenario, markdown};
use ajay_attack::sink::Manner;
use ajay_attack::{Error, Protocol, Result, raise_descriptor_limit};
use clap::{Parser, ValueEnum};

/// Measures honest load beside attacks on a server, and beside the same attacks on a sink.
#[derive(Debug, Parser)]
#[command(name = "scenario", max_term_width = 100)]
struct Args {
    /// Which attacks, separated by commas [default: all in the protocol of the honest load]
    #[arg(long, value_enum, value_delimiter = ',')]
    attacks: Vec<Kind>,

    /// Connections of each attack [default: depends on the attack, 64 to 15000]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,

    /// What attacks ask for
    #[arg(long, default_value = "/")]
    path: String,

    /// How long the load is measured each time
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,

    /// Measurements of each attack
    #[arg(long, value_name = "N", default_value_t = 10)]
    rounds: usize,

    /// Rounds that measure the sink as well, to compare [default: all]
    #[arg(long, value_name = "N")]
    sink_rounds: Option<usize>,

    /// What the sink does for clients that have sent something
    #[arg(long, value_enum, value_name = "MANNER", default_value_t)]
    sink: Manner,

    /// Who asks honestly
    #[arg(long, value_enum, default_value_t = Honest::Wrk)]
    honest: Honest,

    /// Connections of the honest load [default: 64, in h2 and h3 8]
    #[arg(long, value_name = "N")]
    honest_connections: Option<usize>,

    /// Streams at once on each of them, in h2 and h3
    #[arg(long, value_name = "N", default_value_t = 8)]
    honest_streams: usize,

    /// What the honest load asks for; the counting client adds /n/NUMBER
    #[arg(long, default_value = "/")]
    honest_path: String,

    /// Addresses that attacks come from
    #[arg(long, value_name = "N", default_value_t = 16)]
    sources: u16,

    /// Threads of the attack
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,

    /// CPUs of the server, and of the sink [default: any]
    #[arg(long, value_name = "CPU,...", value_delimiter = ',')]
    server_cpus: Vec<usize>,

    /// CPUs of the honest load [default: any]
    #[arg(long, value_name = "CPU,...", value_delimiter = ',')]
    load_cpus: Vec<usize>,

    /// CPUs of the attack [default: those of the load]
    #[arg(long, value_name = "CPU,...", value_delimiter = ',')]
    attack_cpus: Vec<usize>,

    /// Shell command that prints the server's counters as `name value` lines; {pid} is its process
    #[arg(long, value_name = "COMMAND")]
    counters_command: Option<String>,

    /// All measurements, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// The server and its arguments; {port} is replaced by a free port, {address} by 127.0.0.1 and
    /// that port
    #[arg(last = true, required = true)]
    server: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Honest {
    /// wrk, HTTP/1.1
    Wrk,
    /// h2load, HTTP/2
    H2load,
    /// The counting client, HTTP/1.1
    Counting,
    /// The counting client, HTTP/2
    CountingH2,
    /// The counting client, HTTP/3
    CountingH3,
}

fn load(args: &Args) -> Load {
    let path = args.honest_path.clone();
    let prefix = path.trim_end_matches('/').to_owned();
    let connections = |usual| args.honest_connections.unwrap_or(usual);
    match args.honest {
        Honest::Wrk => Load::Wrk {
            connections: connections(64),
            path,
        },
        Honest::H2load => Load::H2load {
            connections: connections(8),
            streams: args.honest_streams,
            path,
        },
        Honest::Counting => Load::Counting {
            protocol: Protocol::Http1,
            connections: connections(64),
            streams: 1,
            path: prefix,
        },
        Honest::CountingH2 => Load::Counting {
            protocol: Protocol::Http2,
            connections: connections(8),
            streams: args.honest_streams,
            path: prefix,
        },
        Honest::CountingH3 => Load::Counting {
            protocol: Protocol::Http3,
            connections: connections(8),
            streams: args.honest_streams,
            path: prefix,
        },
    }
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scenario: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    raise_descriptor_limit()?;
    let load = load(&args);
    let protocol = load.protocol();
    let all = Kind::ALL.iter().copied();
    let usual = all.filter(|kind| kind.protocol() == protocol);
    let attack_cpus = match args.attack_cpus.is_empty() {
        true => args.load_cpus.clone(),
        false => args.attack_cpus,
    };
    let scenario = Scenario {
        server: args.server,
        attacks: match args.attacks.is_empty() {
            true => usual.collect(),
            false => args.attacks,
        },
        connections: args.connections,
        path: args.path,
        load,
        duration: Duration::from_secs(args.seconds),
        rounds: args.rounds,
        sink_rounds: args.sink_rounds.unwrap_or(args.rounds).min(args.rounds),
        sources: args.sources,
        threads: args.threads,
        server_cpus: args.server_cpus,
        load_cpus: args.load_cpus,
        attack_cpus,
        counters: args.counters_command,
        sink: sink_command(args.sink)?,
    };
    let outcomes = scenario.run(|outcome| eprintln!("scenario: {} done", outcome.kind.name()))?;
    print!("{}", markdown(&outcomes));
    if let Some(path) = args.json {
        std::fs::write(&path, format!("{}\n", scenario.json(&outcomes))).map_err(|error| {
            Error::System {
                doing: format!("write {}", path.display()),
                error,
            }
        })?;
    }
    Ok(())
}

/// The sink is built beside this program.
fn sink_command(manner: Manner) -> Result<Vec<String>> {
    let own = std::env::current_exe().map_err(|error| Error::System {
        doing: "find the sink".to_owned(),
        error,
    })?;
    let sink = own.with_file_name("sink").display().to_string();
    let manner = manner
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned());
    let words = [
        &sink,
        "--listen",
        "{address}",
        "--seconds",
        "3600",
        "--manner",
        &manner,
    ];
    Ok(words.map(str::to_owned).to_vec())
}
