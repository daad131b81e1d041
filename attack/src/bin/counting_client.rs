//! `counting-client --address 127.0.0.1:8080`: sends numbered requests and tells what became of
//! them.
//!
//! SIGUSR1 sets the mark. The line `marked` on standard error says that it is set: a signal to the
//! server that is sent after it comes after every request that is counted as before the mark.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::Duration;

use ajay_attack::counting::{self, Control, Place, Plan};
use ajay_attack::{Error, Loopback, Protocol, Result, raise_descriptor_limit};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Sends numbered requests and tells what became of each.
#[derive(Debug, Parser)]
#[command(
    name = "counting-client",
    max_term_width = 100,
    after_help = "Exit codes: 0 nothing was mixed up (with --strict: nor lost); 1 something was; 2 wrong \
                  arguments; 3 could not run.\n\
                  SIGUSR1 sets the mark, and `marked` on standard error says that it is set."
)]
struct Args {
    /// The server, on a loopback address
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: Loopback,

    /// What is spoken
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,

    /// Before /n/NUMBER; or the whole target, if the number goes elsewhere
    #[arg(long, default_value = "")]
    path: String,

    /// Where the number goes
    #[arg(long = "in", value_enum, default_value_t = Place::Target)]
    place: Place,

    /// The response must contain the number
    #[arg(long)]
    echo: bool,

    /// Connections kept up
    #[arg(long, value_name = "N", default_value_t = 16)]
    connections: usize,

    /// Requests of one connection that may wait for their answers; in h2 each on a stream
    #[arg(long, value_name = "N", default_value_t = 1)]
    pipeline: usize,

    /// How long, at most 3600
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,

    /// Close a connection after so many requests
    #[arg(long, value_name = "K")]
    new_connection_every: Option<u32>,

    /// Requests per second in all [default: as fast as they are answered]
    #[arg(long, value_name = "R")]
    rate: Option<u32>,

    /// Addresses of 127.0.0.0/8 to come from; 1 leaves it to the kernel
    #[arg(long, value_name = "N", default_value_t = 1)]
    sources: u16,

    /// Milliseconds until a connection counts as not answered
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    connect_timeout_ms: u64,

    /// Milliseconds that answers are waited for at the end
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    grace_ms: u64,

    /// Fail when a request was lost, too
    #[arg(long)]
    strict: bool,

    /// One line of JSON instead of a table
    #[arg(long)]
    json: bool,
}

const EXIT_MISMATCH: u8 = 1;
const EXIT_FAILED: u8 = 3;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_MISMATCH),
        Err(error) => {
            eprintln!("counting-client: {error}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    raise_descriptor_limit()?;
    let running = counting::start(&Plan {
        address: args.address,
        protocol: args.protocol,
        path: args.path.clone(),
        place: args.place,
        echo: args.echo,
        connections: args.connections,
        pipeline: args.pipeline,
        duration: Duration::from_secs(args.seconds),
        new_connection_every: args.new_connection_every,
        rate: args.rate,
        sources: args.sources,
        connect_timeout: Duration::from_millis(args.connect_timeout_ms),
        grace: Duration::from_millis(args.grace_ms),
    })?;
    mark_on_signal(running.control())?;
    let totals = running.join()?;
    if args.json {
        println!("{}", totals.json());
    } else {
        print!("{totals}");
    }
    Ok(totals.mismatches() == 0 && (!args.strict || totals.lost() == 0))
}

/// Ends with the process.
fn mark_on_signal(control: Control) -> Result<()> {
    let doing = |error| Error::System {
        doing: "wait for SIGUSR1".to_owned(),
        error,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(doing)?;
    // Registered before this returns, so that no early signal ends the process.
    let mut signals = {
        let _inside = runtime.enter();
        signal(SignalKind::user_defined1()).map_err(doing)?
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            while signals.recv().await.is_some() {
                control.mark();
                eprintln!("marked");
            }
        });
    });
    Ok(())
}
