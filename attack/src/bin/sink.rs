//! `sink --listen 127.0.0.1:9000`: reads and throws away.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::Duration;

use ajay_attack::sink::{Manner, Sink};
use ajay_attack::{Loopback, Result, raise_descriptor_limit};
use clap::Parser;

/// Accepts connections, reads and throws away.
#[derive(Debug, Parser)]
#[command(name = "sink", max_term_width = 100)]
struct Args {
    /// Loopback address; port 0 lets the kernel choose
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: Loopback,

    /// What it does for clients that have sent something
    #[arg(long, value_enum, default_value_t)]
    manner: Manner,

    /// It ends by itself after so many
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sink: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    raise_descriptor_limit()?;
    let duration = Duration::from_secs(args.seconds);
    let sink = Sink::start(args.listen, duration, args.manner)?;
    // Read by whoever asked for port 0.
    println!("sink: listening on {}", sink.address().get());
    let totals = sink.join()?;
    println!(
        "sink: {} connections, {} ended, {} datagrams, {} bytes",
        totals.accepted, totals.ended, totals.datagrams, totals.bytes
    );
    Ok(())
}
