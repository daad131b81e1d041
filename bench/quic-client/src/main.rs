//! Load over HTTP/3: so many requests under way on each of so many connections, from one thread.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Parser;
use mio::{Events, Interest, Poll, Token};
use quic_client::{Connection, Options, Progress, Request, Session};

/// Requests over HTTP/3.
#[derive(Debug, Parser)]
struct Args {
    /// Address and port of the server
    server: SocketAddr,
    #[arg(long, short, default_value_t = 1)]
    connections: usize,
    /// Requests under way on each connection
    #[arg(long, short = 'm', default_value_t = 1)]
    streams: usize,
    /// How long to go on, in seconds
    #[arg(long, short, default_value_t = 5)]
    seconds: u64,
    /// Stop after so many requests
    #[arg(long, short = 'n')]
    requests: Option<u64>,
    #[arg(long, default_value = "/")]
    path: String,
    /// The length that each response's content must have
    #[arg(long)]
    content_bytes: Option<u64>,
    /// Send POST with so many bytes
    #[arg(long)]
    upload_bytes: Option<usize>,
    #[arg(long)]
    bbr: bool,
    /// Flow control of a stream, in bytes
    #[arg(long, default_value_t = 1 << 20)]
    window: u32,
    /// Make a new connection for each request
    #[arg(long)]
    handshakes: bool,
    /// Make the connections, send one request on each, and hold them
    #[arg(long)]
    idle: bool,
}

/// Connections that wait are made so many at a time: more would overflow their server's buffers.
const HANDSHAKES_MAX: usize = 32;

struct Client {
    connection: Connection,
    session: Session,
    timeout: Option<Instant>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let options = Options {
        server: args.server,
        bbr: args.bbr,
        window: args.window,
    };
    let request = match args.upload_bytes {
        Some(bytes) => Request::post(&args.path, vec![b'x'; bytes].into()),
        None => Request::get(&args.path),
    };
    let mut poll = Poll::new()?;
    let mut clients = Vec::with_capacity(args.connections);
    let at_once = match args.idle {
        true => args.connections.min(HANDSHAKES_MAX),
        false => args.connections,
    };
    for at in 0..at_once {
        clients.push(connect(&poll, &options, at)?);
    }
    let began = Instant::now();
    let until = began + Duration::from_secs(args.seconds);
    let mut total = Progress::default();
    let mut datagrams = (0, 0);
    let mut handshakes = 0_u64;
    let mut lost: Option<String> = None;
    let mut ready: Vec<usize> = (0..clients.len()).collect();
    let mut events = Events::with_capacity(1024);
    loop {
        let now = Instant::now();
        let is_over = now >= until;
        for at in ready.drain(..) {
            let client = &mut clients[at];
            client.connection.receive(now)?;
            client
                .session
                .events(&mut client.connection.quic, now, args.content_bytes);
            let limit = match (args.handshakes || args.idle, args.streams) {
                (true, _) => 1,
                (false, streams) => streams,
            };
            while client.session.is_connected
                && client.session.is_lost.is_none()
                && !is_over
                && client.session.open() < limit
                && args.requests.is_none_or(|max| total.started < max)
                && !(args.idle && client.session.done.started > 0)
            {
                if !client
                    .session
                    .request(&mut client.connection.quic, &request, now)
                {
                    break;
                }
                total.started += 1;
            }
            client.timeout = client.connection.timeout(now);
            client.connection.transmit(now)?;
            client.timeout = client.connection.timeout(now).or(client.timeout);
            let done = &mut client.session.done;
            total.succeeded += done.succeeded;
            total.failed += done.failed;
            total.content_bytes += done.content_bytes;
            total.micros += done.micros;
            total.micros_max = total.micros_max.max(done.micros_max);
            let answered = done.succeeded + done.failed;
            *done = Progress {
                started: done.started,
                ..Progress::default()
            };
            if let Some(why) = client.session.is_lost.take() {
                lost.get_or_insert(why);
                client.session.is_connected = false;
            }
            if args.handshakes && answered > 0 {
                handshakes += 1;
                client
                    .connection
                    .quic
                    .close(now, 0x100_u32.into(), bytes::Bytes::new());
                client.connection.transmit(now)?;
                clients[at] = connect(&poll, &options, at)?;
                clients[at].connection.transmit(now)?;
            }
        }
        // The next one comes when one has been answered.
        let unanswered =
            clients.len() as u64 - (total.succeeded + total.failed).min(clients.len() as u64);
        if args.idle && clients.len() < args.connections && unanswered < HANDSHAKES_MAX as u64 {
            ready.push(clients.len());
            clients.push(connect(&poll, &options, clients.len())?);
        }
        let pending: usize = clients.iter().map(|client| client.session.open()).sum();
        let has_all = args
            .requests
            .is_some_and(|max| total.succeeded + total.failed >= max);
        let is_late = now >= until + Duration::from_secs(10);
        if has_all || (is_over && pending == 0) || is_late {
            break;
        }
        let next = clients.iter().filter_map(|client| client.timeout).min();
        let wait = next.unwrap_or(until).min(if !ready.is_empty() {
            now
        } else if is_over {
            now + Duration::from_millis(100)
        } else {
            until
        });
        poll.poll(
            &mut events,
            Some(wait.saturating_duration_since(Instant::now())),
        )?;
        for event in &events {
            ready.push(event.token().0);
        }
        let now = Instant::now();
        for (at, client) in clients.iter().enumerate() {
            if client.timeout.is_some_and(|timeout| timeout <= now)
                || (is_over && client.session.open() > 0)
            {
                ready.push(at);
            }
        }
        ready.sort_unstable();
        ready.dedup();
    }
    let seconds = began.elapsed().as_secs_f64();
    for client in &clients {
        datagrams.0 += client.connection.datagrams_sent;
        datagrams.1 += client.connection.datagrams_received;
    }
    let pending: usize = clients.iter().map(|client| client.session.open()).sum();
    println!("started {}", total.started);
    println!("succeeded {}", total.succeeded);
    println!("failed {}", total.failed);
    println!("unanswered {pending}");
    println!("seconds {seconds:.3}");
    println!("per_second {:.0}", total.succeeded as f64 / seconds);
    println!("content_bytes {}", total.content_bytes);
    println!("mean_us {}", total.micros / total.succeeded.max(1));
    println!("max_us {}", total.micros_max);
    println!("datagrams_sent {}", datagrams.0);
    println!("datagrams_received {}", datagrams.1);
    println!("handshakes {handshakes}");
    if let Some(why) = lost {
        println!("lost {why}");
    }
    Ok(())
}

fn connect(
    poll: &Poll,
    options: &Options,
    at: usize,
) -> Result<Client, Box<dyn std::error::Error>> {
    let mut connection = Connection::connect(options)?;
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(connection.socket(), Token(at), interest)?;
    connection.transmit(Instant::now())?;
    Ok(Client {
        connection,
        session: Session::default(),
        timeout: None,
    })
}
