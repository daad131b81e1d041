//! The `ajayserver` binary: serves what a configuration says, or without one a directory or a text.

#![forbid(unsafe_code)]

mod args;
mod config;
mod counters;
mod explain;
mod password;
mod plan;
mod routing;
mod run;
mod serve;
mod template;
mod units;

use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ajayserver::{Body, Builder, ContentType, Error, Files, ListenAddr, Response, Server};
use clap::Parser;

use crate::args::{Args, Options, Task};
use crate::config::DEFAULT_FILE;
use crate::plan::Plan;

/// Exit codes beside 0, and 2 for wrong arguments, which is clap's.
const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_CANNOT_LISTEN: u8 = 3;
const EXIT_DRAIN_CUT: u8 = 4;

fn main() -> ExitCode {
    // Who gives a flag says everything by flags: the file is for those who say nothing.
    let has_arguments = std::env::args_os().len() > 1;
    let args = Args::parse();
    let result = match args.task {
        Some(Task::Counters { pid, workers }) => counters::print(pid, workers).map_err(|error| {
            (
                format!("cannot read the counters of {pid}: {error}"),
                EXIT_FAILED,
            )
        }),
        Some(Task::Check { config }) => return check(&config),
        Some(Task::Explain {
            method,
            url,
            header,
            client,
            config,
        }) => load(&config).and_then(|plan| {
            let text = explain::explain(&plan, &method, &url, &header, client);
            text.map(|text| print(&text))
                .map_err(|why| (why, EXIT_USAGE))
        }),
        Some(Task::Init { config }) => init(&config),
        Some(Task::HashPassword { stdin }) => password::read(stdin)
            .map_err(|error| error.to_string())
            .and_then(|password| password::hash(&password))
            .map(|hash| print(&format!("{hash}\n")))
            .map_err(|why| (why, EXIT_FAILED)),
        Some(Task::Respond { text, options }) => serve_text(&options, text),
        Some(Task::Files { directory, options }) => serve_files(&options, directory),
        Some(Task::Run {
            config: Some(config),
        }) => serve_plan(&config),
        Some(Task::Run { config: None }) => serve_default(&args.options, args.body),
        None if !has_arguments => serve_default(&args.options, args.body),
        None => {
            if Path::new(DEFAULT_FILE).exists() {
                say(&format!("{DEFAULT_FILE} is not used: flags say what to do"));
            }
            serve_text(&args.options, args.body)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err((why, code)) => fail(&why, code),
    }
}

/// Why the program ends, and with which code.
type Failure = (String, u8);

fn failure(error: Error) -> Failure {
    (error.to_string(), exit_code(&error))
}

fn fail(why: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "ajayserver: {why}");
    ExitCode::from(code)
}

/// Standard output may be closed: then nobody wants to know.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn check(path: &Path) -> ExitCode {
    let loaded = config::load(path);
    let _ = write!(std::io::stderr(), "{}", loaded.report);
    let plural = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let warnings = plural(loaded.warnings, "warning");
    match loaded.plan {
        Some(plan) => {
            let sites = plural(plan.sites.len(), "site");
            let also = match loaded.warnings {
                0 => String::new(),
                _ => format!(", {warnings}"),
            };
            print(&format!("{}: good: {sites}{also}\n", path.display()));
            ExitCode::SUCCESS
        }
        None => {
            let errors = plural(loaded.errors, "error");
            fail(
                &format!("{}: {errors}, {warnings}", path.display()),
                EXIT_FAILED,
            )
        }
    }
}

/// The plan of a file; all that is wrong goes to standard error.
fn load(path: &Path) -> Result<Plan, Failure> {
    let loaded = config::load(path);
    if !ajayserver::is_worker_process() {
        let _ = write!(std::io::stderr(), "{}", loaded.report);
    }
    loaded.plan.ok_or_else(|| {
        let why = format!("{} cannot be used", path.display());
        (why, EXIT_FAILED)
    })
}

fn init(path: &Path) -> Result<(), Failure> {
    let file = std::fs::File::create_new(path);
    file.and_then(|mut file| file.write_all(include_bytes!("starter.toml")))
        .map(|()| print(&format!("wrote {}\n", path.display())))
        .map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::AlreadyExists => "it exists already".to_owned(),
                _ => error.to_string(),
            };
            (
                format!("cannot write {}: {why}", path.display()),
                EXIT_FAILED,
            )
        })
}

/// The file in this directory, or without one what to answer without a configuration.
fn serve_default(options: &Options, body: String) -> Result<(), Failure> {
    let path = Path::new(DEFAULT_FILE);
    match path.exists() {
        true => serve_plan(path),
        false => serve_text(options, body),
    }
}

fn serve_plan(path: &Path) -> Result<(), Failure> {
    start_logging();
    let mut plan = load(path)?;
    if plan.listeners.iter().any(|it| it.is_default) && !has_ipv6() {
        run::without_ipv6(&mut plan.listeners);
    }
    let (generation, sites) = (plan.generation, plan.sites.len());
    say(&format!(
        "serving {}, generation {generation}, {sites} sites",
        path.display()
    ));
    let server = run::bind(&plan).map_err(failure)?;
    announce(&server);
    server.run(serve::Served::new(plan)).map_err(failure)
}

fn serve_text(options: &Options, text: String) -> Result<(), Failure> {
    start_logging();
    let server = bind(options).map_err(failure)?;
    announce(&server);
    // The body lives as long as the process: sent from where it is, for every request.
    let body: &'static str = text.leak();
    let answer = async move |_| Response::ok(Body::from(body)).with_content_type(ContentType::TEXT);
    server.run(answer).map_err(failure)
}

fn serve_files(options: &Options, directory: PathBuf) -> Result<(), Failure> {
    start_logging();
    if !directory.is_dir() {
        return Err((
            format!("{} is no directory", directory.display()),
            EXIT_USAGE,
        ));
    }
    let server = bind(options).map_err(failure)?;
    announce(&server);
    server.run(Files::new(directory)).map_err(failure)
}

fn bind(args: &Options) -> Result<Server, Error> {
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
    let addresses = match has_ipv6() {
        true => default,
        false => &default[..1],
    };
    addresses
        .iter()
        .try_fold(builder, |builder, address| listen(builder, address))
}

/// Nobody asked for IPv6 by name: a machine without it is served on IPv4. Every process finds the
/// same, before it binds.
fn has_ipv6() -> bool {
    match UdpSocket::bind(("::1", 0)) {
        Ok(_) => true,
        Err(error) => {
            say(&format!(
                "no IPv6 on this machine ({error}); going on without it"
            ));
            false
        }
    }
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
