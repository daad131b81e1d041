//! `attack NAME --address 127.0.0.1:8080`: one attack, and what came of it.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::Duration;

use ajay_attack::attack::{self, Kind, Plan};
use ajay_attack::{Loopback, Result, raise_descriptor_limit};
use clap::Parser;

/// Attacks an HTTP server on this machine.
#[derive(Debug, Parser)]
#[command(name = "attack", max_term_width = 100)]
struct Args {
    /// Which attack
    kind: Kind,

    /// The server, on a loopback address
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: Loopback,

    /// Connections kept up [default: depends on the attack, 64 to 15000]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,

    /// How long, at most 3600
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,

    /// Threads, each with a part of the connections
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,

    /// What is asked for
    #[arg(long, default_value = "/")]
    path: String,

    /// Addresses of 127.0.0.0/8 to come from; 1 leaves it to the kernel, which has 28 000 ports
    #[arg(long, value_name = "N", default_value_t = 1)]
    sources: u16,

    /// Milliseconds between two bytes or reads of slow attacks
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    period_ms: u64,

    /// Over QUIC: the target is a sink, which never answers
    #[arg(long)]
    blind: bool,

    /// One line of JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("attack: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    raise_descriptor_limit()?;
    let plan = Plan {
        path: args.path.clone(),
        connections: args.connections.unwrap_or(args.kind.connections()),
        duration: Duration::from_secs(args.seconds),
        threads: args.threads,
        sources: args.sources,
        period: Duration::from_millis(args.period_ms),
        blind: args.blind,
        ..Plan::new(args.kind, args.address)
    };
    let report = attack::run(&plan)?;
    if args.json {
        println!("{}", report.json());
    } else {
        print!("{report}");
    }
    Ok(())
}
