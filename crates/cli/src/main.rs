//! The `ajayserver` binary. For now it answers every request with one body; configuration by file
//! comes with the sites.

#![forbid(unsafe_code)]

mod args;
mod counters;
mod units;

use std::io::Write;
use std::net::UdpSocket;
use std::process::ExitCode;

use ajayserver::{Body, Builder, ContentType, Error, ListenAddr, Response, Server};
use clap::Parser;

use crate::args::{Args, Task};

/// Exit codes beside 0, and 2 for wrong arguments, which is clap's.
const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_CANNOT_LISTEN: u8 = 3;
const EXIT_DRAIN_CUT: u8 = 4;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Task::Counters { pid, workers }) = args.task {
        return match counters::print(pid, workers) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(
                &format!("cannot read the counters of {pid}: {error}"),
                EXIT_FAILED,
            ),
        };
    }
    start_logging();
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), exit_code(&error)),
    }
}

fn fail(why: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "ajayserver: {why}");
    ExitCode::from(code)
}

fn serve(args: Args) -> Result<(), Error> {
    let server = bind(&args)?;
    announce(&server);
    // The body lives as long as the process: sent from where it is, for every request.
    let body: &'static str = args.body.leak();
    server.run(async move |_| Response::ok(Body::from(body)).with_content_type(ContentType::TEXT))
}

fn bind(args: &Args) -> Result<Server, Error> {
    let tls = args.tls();
    // Who names an address for TLS only gets no other.
    let is_tls_only = args.listen.is_empty() && !args.tls_listen.is_empty();
    let mut builder = args.builder();
    if !is_tls_only {
        builder = listen_on(
            builder,
            &args.listen,
            args::DEFAULT_LISTEN,
            |builder| match args.redirect_to_https {
                Some(port) => builder.redirect_to_https(port),
                None => builder,
            },
        )?;
    }
    match &tls {
        Some(tls) => {
            let speak = |builder: Builder| builder.tls(tls.clone());
            builder = listen_on(builder, &args.tls_listen, args::DEFAULT_TLS_LISTEN, speak)?;
        }
        None if !args.tls_listen.is_empty() => {
            fail(
                "--tls-listen needs --tls-cert and --tls-key, or --tls-self-signed",
                EXIT_USAGE,
            );
            std::process::exit(EXIT_USAGE.into());
        }
        None => {}
    }
    builder.bind()
}

fn listen_on(
    builder: Builder,
    named: &[String],
    default: &[&str],
    set: impl Fn(Builder) -> Builder,
) -> Result<Builder, Error> {
    let listen = |builder: Builder, address: &str| builder.listen(address).map(&set);
    if !named.is_empty() {
        return named
            .iter()
            .try_fold(builder, |builder, address| listen(builder, address));
    }
    // Nobody asked for IPv6 by name: a machine without it is served on IPv4. Every process finds the
    // same, before it binds.
    let addresses = match UdpSocket::bind(("::1", 0)) {
        Ok(_) => default,
        Err(error) => {
            say(&format!(
                "no IPv6 on this machine ({error}); going on without it"
            ));
            &default[..1]
        }
    };
    addresses
        .iter()
        .try_fold(builder, |builder, address| listen(builder, address))
}

fn announce(server: &Server) {
    for (place, address) in server.local_addrs().iter().enumerate() {
        let tls = server.speaks_tls(place);
        match (address, tls) {
            (ListenAddr::Tcp(address), false) => say(&format!("listening on http://{address}")),
            (ListenAddr::Tcp(address), true) => say(&format!("listening on https://{address}")),
            (other, false) => say(&format!("listening on {other}")),
            (other, true) => say(&format!("listening on {other} with TLS")),
        }
    }
    say("stop with Ctrl-C or SIGTERM; what has arrived is answered first");
}

/// One line for whoever started us, once, whatever the number of processes. Standard error may be
/// closed, or a file on a disk that is full.
fn say(line: &str) {
    if !ajayserver::is_worker_process() {
        let _ = writeln!(std::io::stderr(), "ajayserver: {line}");
    }
}

fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("AJAYSERVER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // What cannot be written is lost; a panic because of it would be worse.
        .log_internal_errors(false)
        .init();
}

fn exit_code(error: &Error) -> u8 {
    if error.is_invalid_address() {
        EXIT_USAGE
    } else if error.is_bind() {
        EXIT_CANNOT_LISTEN
    } else if error.is_drain_cut() {
        EXIT_DRAIN_CUT
    } else {
        EXIT_FAILED
    }
}
