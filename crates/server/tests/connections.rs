//! What the engine owes a connection, over real sockets: output that waits, clients that go away,
//! unread content, a drain.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ajayserver::{
    Builder, Counter, Handle, ListenAddr, Request, Response, Result, Server, StatusCode,
};

/// How long anything may take that should happen soon: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Large enough that a few of them fill what the kernel takes for a client that does not read, and
/// too small to be sent before the next pipelined request is read.
const BIG: usize = 50_000;

/// What a client may send without anybody reading it: above the largest send and receive buffers that
/// the kernel grows to (`tcp_wmem`, `tcp_rmem`: 4 and 6 MiB), below what a server that lingers throws
/// away (16 MiB).
const KERNEL_BUFFERS: usize = 12 * 1024 * 1024;
static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

async fn answer(request: Request) -> Response {
    match request.path() {
        "/big" => Response::ok(vec![b'x'; BIG]),
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Response::ok("slow")
        }
        "/never" => std::future::pending().await,
        "/refuse" => Response::new(StatusCode::PAYLOAD_TOO_LARGE),
        _ => Response::ok("ok"),
    }
}

struct Running {
    address: SocketAddr,
    handle: Handle,
    ended: Receiver<Result<()>>,
}

impl Running {
    fn start(configure: impl FnOnce(Builder) -> Builder) -> Running {
        let builder = Server::builder().threads(1).handle_signals(false);
        let server = configure(builder)
            .listen("127.0.0.1:0")
            .and_then(Builder::bind)
            .expect("bind");
        let ListenAddr::Tcp(address) = server.local_addrs()[0] else {
            panic!("not TCP")
        };
        let handle = server.handle();
        let (end, ended) = channel();
        std::thread::spawn(move || end.send(server.run(answer)));
        Running {
            address,
            handle,
            ended,
        }
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).expect("connect");
        client.set_nodelay(true).expect("nodelay");
        client.set_read_timeout(Some(PATIENCE)).expect("timeout");
        client.set_write_timeout(Some(PATIENCE)).expect("timeout");
        client
    }

    fn count(&self, counter: Counter) -> u64 {
        self.handle.counters().get(counter)
    }

    fn wait_for(&self, what: &str, condition: impl Fn(&Running) -> bool) {
        let started = Instant::now();
        while !condition(self) {
            assert!(
                started.elapsed() < PATIENCE,
                "waited {PATIENCE:?} for {what}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Drains, which must end by itself and cut nobody.
    fn drain(self) {
        self.handle.shutdown();
        match self.ended.recv_timeout(PATIENCE) {
            Ok(ended) => ended.expect("a clean drain"),
            Err(error) => panic!("the drain has not ended after {PATIENCE:?}: {error}"),
        }
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Reads one response with `Content-Length`; returns its head.
fn response(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            other => panic!("{other:?} after {:?}", head.escape_ascii().to_string()),
        }
    }
    let head = String::from_utf8(head).expect("text");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .map_or(0, |value| value.parse().expect("a number"));
    let mut content = vec![0; length];
    client.read_exact(&mut content).expect("content");
    head
}

#[test]
fn a_handler_that_is_woken_while_output_waits_is_not_forgotten() {
    const PAIRS: usize = 40;
    let server = Running::start(|builder| builder.notsent_lowat(4096));
    let mut client = server.connect();
    let pair = request("/big") + &request("/slow");
    client
        .write_all(pair.repeat(PAIRS).as_bytes())
        .expect("send");

    // Nothing is read until the server is stuck: then a slow handler ends behind a big response.
    let (mut sent, mut since) = (0, Instant::now());
    server.wait_for("the server to be stuck", |server| {
        server.count(Counter::BytesSent) > 0
    });
    while since.elapsed() < Duration::from_millis(300) {
        let now = server.count(Counter::BytesSent);
        if now != sent {
            (sent, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(
        server.count(Counter::Requests) < 2 * PAIRS as u64,
        "it was never stuck"
    );
    for _ in 0..2 * PAIRS {
        assert!(response(&mut client).starts_with("HTTP/1.1 200 "));
    }
    drop(client);
    server.drain();
}

#[test]
fn a_client_that_goes_away_cancels_its_handler() {
    let server = Running::start(|builder| builder.handler_timeout(None));
    let mut client = server.connect();
    client
        .write_all(request("/never").as_bytes())
        .expect("send");
    server.wait_for("the handler", |server| server.count(Counter::Requests) == 1);
    drop(client);
    server.wait_for("its end", |server| {
        server.count(Counter::HandlersCancelled) == 1
    });
    server.drain();
}

#[test]
fn a_client_that_goes_on_sending_is_read_until_it_has_the_answer() {
    let server = Running::start(|builder| builder);
    let mut client = server.connect();
    let head = "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n";
    client.write_all(head.as_bytes()).expect("send");
    let answer = response(&mut client);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    // A close with unread content would be a reset, which takes the answer from slower clients. More
    // than the kernel holds between the two, so that somebody has to read it.
    for _ in 0..KERNEL_BUFFERS / PIECE.len() {
        client.write_all(&PIECE).expect("nobody reads any more");
    }
    let mut byte = [0];
    assert_eq!(client.read(&mut byte).map_err(|error| error.kind()), Ok(0));
    drop(client);
    server.drain();
}

#[test]
fn content_that_nobody_reads_is_thrown_away_up_to_its_bound() {
    const CHUNK: &str = "400\r\n";
    // A chunk with what frames it.
    const CHUNK_BYTES: u64 = 5 + 1024 + 2;
    for (chunks, is_kept) in [(64, true), (65, false)] {
        let server =
            Running::start(|builder| builder.content_discarded_bytes_max(64 * CHUNK_BYTES));
        let mut client = server.connect();
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.write_all(head.as_bytes()).expect("send");
        let answer = response(&mut client);
        assert!(!answer.contains("Connection"), "{answer}");
        for _ in 0..chunks {
            let chunk = format!("{CHUNK}{}\r\n", "x".repeat(1024));
            client.write_all(chunk.as_bytes()).expect("send");
        }
        client.write_all(b"0\r\n\r\n").expect("send");
        client.write_all(request("/").as_bytes()).expect("send");
        let mut start = [0; 9];
        match client.read(&mut start) {
            Ok(9) => assert!(is_kept && start == *b"HTTP/1.1 ", "{chunks} were discarded"),
            Ok(0) => assert!(!is_kept, "closed after {chunks}"),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                panic!("reset after {chunks}")
            }
            other => panic!("{other:?}"),
        }
        drop(client);
        server.drain();
    }
}

#[test]
fn a_drain_leaves_no_connection_out() {
    let server = Running::start(|builder| {
        builder
            .idle_timeout(None)
            .drain_idle_timeout(Duration::ZERO)
            .drain_timeout(10 * PATIENCE)
    });
    let mut clients: Vec<TcpStream> = (0..4).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(request("/").as_bytes()).expect("send");
        response(client);
    }
    // The first one leaves a gap among the places of the others.
    drop(clients.remove(0));
    server.wait_for("its end", |server| {
        server.count(Counter::ConnectionsClosed) == 1
    });
    server.drain();
    for mut client in clients {
        assert_eq!(client.read(&mut [0]).expect("an orderly end"), 0);
    }
}
