//! Makes TLS handshakes for some seconds and prints how many, and how many were resumed.

use clap::Parser;
use std::{net::SocketAddr, process::ExitCode, time::Duration};
use tls_client::{
    Group, Sessions,
    handshakes::{self, Load},
};

/// Makes TLS 1.3 handshakes and counts them.
#[derive(Parser)]
struct Cli {
    #[arg(long, value_name = "ADDRESS:PORT")]
    connect: SocketAddr,
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// At a time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// With the session of an earlier connection; each connection then makes a request.
    #[arg(long)]
    resumed: bool,
    /// The one group for the key exchange: x25519 or x25519mlkem768.
    #[arg(long, default_value_t)]
    group: Group,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let load = Load {
        address: cli.connect,
        group: cli.group,
        sessions: if cli.resumed {
            Sessions::Resumed
        } else {
            Sessions::New
        },
        connections: cli.connections.into(),
        duration: Duration::from_secs(cli.seconds),
    };
    match handshakes::run(&load) {
        Ok(count) => {
            println!("{count}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
