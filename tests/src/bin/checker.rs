//! Sends requests that are all different to the echo example and checks every byte that comes
//! back.
//!
//! ```text
//! cargo run --release --example echo -- 127.0.0.1:8080
//! cargo run --release -p ajay-blackbox --bin checker -- \
//!     --address 127.0.0.1:8080 --requests 100000 --connections 16 --seed 1
//! ```
//!
//! It prints `N requests, M mismatches, K errors` and exits with 0 only if there are neither. A
//! run with the same seed sends the same bytes.

#![forbid(unsafe_code)]

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use ajay_blackbox::{Address, Client, Random, Response};
use clap::Parser;

/// Sends requests that are all different to the echo example and checks what comes back.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Where the echo example listens
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: SocketAddr,

    /// Requests in all
    #[arg(long, default_value_t = 100_000)]
    requests: usize,

    /// Connections at once
    #[arg(long, default_value_t = 8)]
    connections: usize,

    /// What is sent follows from this
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let connections = args.connections.max(1);
    let threads = (0..connections).map(|number| {
        let share = args.requests / connections + usize::from(number < args.requests % connections);
        let seed = args
            .seed
            .wrapping_mul(1_000_003)
            .wrapping_add(number as u64);
        std::thread::spawn(move || check(args.address, number, share, seed))
    });
    let mut total = Tally::default();
    for thread in threads.collect::<Vec<_>>() {
        match thread.join() {
            Ok(tally) => total.add(&tally),
            // A response that never came: the client gave up.
            Err(_) => total.errors += 1,
        }
    }
    let Tally {
        requests,
        mismatches,
        errors,
    } = total;
    let line = format!("{requests} requests, {mismatches} mismatches, {errors} errors");
    let _ = writeln!(std::io::stdout(), "{line}");
    ExitCode::from(u8::from(
        mismatches + errors > 0 || requests < args.requests,
    ))
}

/// What was found.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    requests: usize,
    mismatches: usize,
    errors: usize,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.requests += other.requests;
        self.mismatches += other.mismatches;
        self.errors += other.errors;
    }
}

/// One request, and what has to come back.
struct Probe {
    bytes: Vec<u8>,
    method: &'static str,
    echo: String,
    content: Vec<u8>,
    trailers: Vec<(String, String)>,
    closes: bool,
}

/// Sends one connection's share, in groups that are pipelined; opens a new connection when the
/// last one was to be closed.
fn check(address: SocketAddr, number: usize, share: usize, seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    let mut client = None;
    let mut made = 0;
    while tally.requests < share && tally.errors < ERRORS_MAX {
        let group = if random.one_in(3) {
            random.within(1..20)
        } else {
            1
        };
        let mut probes = Vec::with_capacity(group);
        for _ in 0..group.min(share - tally.requests) {
            let probe = Probe::make(&mut random, &format!("{number}-{made}"));
            made += 1;
            let last = probe.closes;
            probes.push(probe);
            if last {
                break;
            }
        }
        let connected = match client.take() {
            Some(client) => Ok(client),
            None => Client::try_connect(&Address::Tcp(address)),
        };
        let result = connected
            .map_err(|error| error.to_string())
            .and_then(|mut client| {
                exchange(&mut client, &probes, &mut random, &mut tally)?;
                Ok(client)
            });
        match result {
            Ok(open) if !probes.last().is_some_and(|probe| probe.closes) => client = Some(open),
            Ok(_) => {}
            Err(error) => {
                complain(&format!("connection {number}, request {made}: {error}"));
                tally.errors += 1;
            }
        }
    }
    tally
}

/// A connection that fails so often has nothing new to tell.
const ERRORS_MAX: usize = 20;

/// Sends a group from a thread of its own, so that neither side waits for the other for ever, and
/// reads the answers.
fn exchange(
    client: &mut Client,
    probes: &[Probe],
    random: &mut Random,
    tally: &mut Tally,
) -> Result<(), String> {
    let bytes = probes
        .iter()
        .flat_map(|probe| probe.bytes.iter().copied())
        .collect();
    let (socket, seed) = (client.sender(), random.bits());
    let sender = std::thread::spawn(move || send_in_pieces(socket, bytes, &mut Random::new(seed)));
    for probe in probes {
        let response = client.try_response_to(probe.method)?;
        tally.requests += 1;
        if let Err(mismatch) = probe.check(&response) {
            complain(&format!("{mismatch} for {:?}", probe.echo));
            tally.mismatches += 1;
        }
    }
    match sender.join() {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("sending: {error}")),
        Err(_) => Err("the sender panicked".to_owned()),
    }
}

fn send_in_pieces(
    mut socket: TcpStream,
    bytes: Vec<u8>,
    random: &mut Random,
) -> std::io::Result<()> {
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let longest = match random.within(0..10) {
            0 => 3,
            1..5 => 200,
            _ => 100_000,
        };
        let (piece, later) = rest.split_at(random.within(1..longest).min(rest.len()));
        socket.write_all(piece)?;
        rest = later;
        if random.one_in(50) {
            std::thread::sleep(Duration::from_micros(random.within(0..2000) as u64));
        }
    }
    Ok(())
}

impl Probe {
    fn make(random: &mut Random, name: &str) -> Probe {
        let echo = format!(
            "{name}-{:x}-{}",
            random.bits(),
            "e".repeat(random.within(0..50))
        );
        let len = match random.within(0..20) {
            0 => random.within(0..300_000),
            1..4 => random.within(0..20_000),
            4 => [0, 1, 65_535, 65_536, 65_537, 131_072][random.within(0..6)],
            _ => random.within(0..500),
        };
        let (method, form) = match random.within(0..8) {
            0..3 => ("GET", Form::None),
            3 => ("HEAD", Form::None),
            4..6 => ("POST", Form::Length),
            _ => ("PUT", Form::Chunked),
        };
        let closes = random.one_in(60);
        let target = format!("/{name}?{}", "q".repeat(random.within(0..40)));
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
        let mut lines = vec![format!("Echo: {echo}\r\n")];
        for line in 0..random.within(0..12) {
            let value = "v".repeat(random.within(0..60));
            lines.push(format!("X-Filler-{line}: {value}\r\n"));
        }
        if closes {
            lines.push("Connection: close\r\n".to_owned());
        }
        // The line that is echoed stands anywhere among the others.
        let place = random.within(0..lines.len());
        lines.swap(0, place);
        head.extend(lines);

        let mut probe = Probe {
            bytes: Vec::new(),
            method,
            echo,
            content: Vec::new(),
            trailers: Vec::new(),
            closes,
        };
        match form {
            Form::None => {
                probe.bytes = format!("{head}\r\n").into_bytes();
                probe.content = format!("{method} {target}\n").into_bytes();
            }
            Form::Length => {
                probe.content = random.bytes(len);
                probe.bytes = format!("{head}Content-Length: {len}\r\n\r\n").into_bytes();
                probe.bytes.extend_from_slice(&probe.content);
            }
            Form::Chunked => {
                probe.content = random.bytes(len);
                probe.bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
                probe.add_chunks(random);
            }
        }
        if probe.content.is_empty() && form == Form::Length {
            probe.content = format!("{method} {target}\n").into_bytes();
        }
        probe
    }

    fn add_chunks(&mut self, random: &mut Random) {
        let longest = [10, 1000, 100_000][random.within(0..3)];
        // Tiny chunks of much content would only take long.
        let longest = longest.max(self.content.len() / 200 + 2);
        let mut rest = &self.content[..];
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(random.within(1..longest).min(rest.len()));
            let extension = if random.one_in(10) { ";x=\"y\"" } else { "" };
            let size = format!("{:x}{extension}\r\n", chunk.len());
            self.bytes.extend_from_slice(size.as_bytes());
            self.bytes.extend_from_slice(chunk);
            self.bytes.extend_from_slice(b"\r\n");
            rest = later;
        }
        self.bytes.extend_from_slice(b"0\r\n");
        if random.one_in(3) && !self.content.is_empty() {
            let value = format!("{:x}", random.bits());
            self.bytes
                .extend_from_slice(format!("X-Check: {value}\r\n").as_bytes());
            self.trailers.push(("x-check".to_owned(), value));
        }
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn check(&self, response: &Response) -> Result<(), String> {
        let wrong = |what: &str, is: &dyn std::fmt::Debug| Err(format!("{what} is {is:?}"));
        if response.status != 200 {
            return wrong("status", &response.status);
        }
        if response.field("echo") != Some(&self.echo) {
            return wrong("Echo", &response.field("echo"));
        }
        if response.says_close() != self.closes {
            return wrong("Connection", &response.connection());
        }
        if response.field("date").is_none() || response.field("server") != Some("ajayserver") {
            return wrong("Date or Server", &response.fields);
        }
        if self.method == "HEAD" {
            let length = self.content.len().to_string();
            return match response.field("content-length") {
                Some(told) if told == length => Ok(()),
                told => wrong("Content-Length", &told),
            };
        }
        if response.trailers != self.trailers {
            return wrong("the trailer section", &response.trailers);
        }
        // Chunked content of no bytes is none to the example once it has arrived, and a stream
        // before that.
        if response.body != self.content && !(self.content.is_empty() && self.method == "PUT") {
            return wrong("length of the content", &response.body.len());
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    None,
    Length,
    Chunked,
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
