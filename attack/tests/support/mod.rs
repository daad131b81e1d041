//! Servers for the tests: one that writes down what comes, and one that does what it is told.

// Each test program uses its part of this.
#![allow(dead_code)]

pub(crate) mod http2;
pub(crate) mod recording;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ajay_attack::Loopback;

/// Of each connection; what comes behind it stays in the socket.
const KEPT_BYTES_MAX: usize = 1024 * 1024;
/// Of further connections only the end is written down: some attacks make thousands.
const KEPT_CONNECTIONS_MAX: usize = 128;
/// Far above what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How often a thread that reads looks whether the test is over.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) fn wait_for(mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How a client ended a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// Not at all.
    #[default]
    Open,
    Fin,
    Reset,
}

/// What one connection brought.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
    /// Nothing more is written down.
    pub(crate) done: bool,
}

impl Recorded {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Writes down what comes, and answers each head with `reply` (nothing, if that is empty).
pub(crate) struct Recorder {
    pub(crate) address: Loopback,
    connections: Arc<Mutex<Vec<Recorded>>>,
    server: Server,
}

impl Recorder {
    pub(crate) fn start(reply: &[u8]) -> Recorder {
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (all, reply) = (Arc::clone(&connections), reply.to_vec());
        let server = Server::start(move |mut client| {
            let at = client.number;
            let record = |bytes: &[u8], end, done| {
                let mut all = all.lock().unwrap();
                if all.len() <= at {
                    all.resize(at + 1, Recorded::default());
                }
                let this = &mut all[at];
                this.bytes.extend_from_slice(bytes);
                (this.end, this.done) = (end, done);
                if done && at >= KEPT_CONNECTIONS_MAX {
                    this.bytes = Vec::new();
                }
                let tail = this.bytes.len().saturating_sub(bytes.len() + 3);
                let head_ended = this.bytes[tail..].windows(4).any(|w| w == b"\r\n\r\n");
                (head_ended, this.bytes.len() > KEPT_BYTES_MAX)
            };
            record(b"", End::Open, false);
            let mut piece = [0; 64 * 1024];
            loop {
                let bytes = match client.receive(&mut piece) {
                    Ok(0) if client.is_over() => return,
                    Ok(0) => {
                        record(b"", End::Fin, true);
                        return;
                    }
                    Ok(len) => &piece[..len],
                    Err(_) => {
                        record(b"", End::Reset, true);
                        return;
                    }
                };
                let (head_ended, full) = record(bytes, End::Open, false);
                // A write that fails has taken the error that a read would find.
                if head_ended && client.socket.write(&reply).is_err() {
                    record(b"", End::Reset, true);
                    return;
                }
                if full {
                    record(b"", End::Open, true);
                    client.wait_until_over();
                    return;
                }
            }
        });
        Recorder {
            address: server.address,
            connections,
            server,
        }
    }

    /// Waits until something has come.
    pub(crate) fn wait_for_reads(&self, count: u64) {
        self.server.wait_for_reads(count);
    }

    /// All connections so far, in the order in which they were accepted.
    pub(crate) fn recorded(&self) -> Vec<Recorded> {
        self.connections.lock().unwrap().clone()
    }

    /// The same without a copy.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&[Recorded]) -> T) -> T {
        at(&self.connections.lock().unwrap())
    }
}

/// A thread for each connection.
pub(crate) struct Server {
    pub(crate) address: Loopback,
    /// Reads that brought something.
    reads: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(serve: impl Fn(Client) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Loopback::new(listener.local_addr().unwrap()).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let serve = Arc::new(serve);
        let ended = Arc::clone(&over);
        let reads = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&reads);
        let acceptor = std::thread::spawn(move || {
            for (number, socket) in listener.incoming().enumerate() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(socket) = socket else { continue };
                socket.set_read_timeout(Some(LOOK)).unwrap();
                socket.set_write_timeout(Some(LOOK)).unwrap();
                let client = Client {
                    number,
                    socket,
                    held: Vec::new(),
                    over: Arc::clone(&ended),
                    reads: Arc::clone(&counter),
                };
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(client));
            }
        });
        Server {
            address,
            reads,
            over,
            acceptor: Some(acceptor),
        }
    }
}

impl Server {
    /// Waits until that much was read: with one request at a time, so many requests.
    pub(crate) fn wait_for_reads(&self, count: u64) {
        wait_for(|| self.reads.load(Ordering::SeqCst) >= count);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address.get());
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// A connection as the server has it.
pub(crate) struct Client {
    /// Connections that were accepted before.
    pub(crate) number: usize,
    pub(crate) socket: TcpStream,
    held: Vec<u8>,
    over: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
}

impl Client {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    pub(crate) fn wait_until_over(&self) {
        while !self.is_over() {
            std::thread::sleep(LOOK);
        }
    }

    /// Reads; 0 also when the test is over.
    pub(crate) fn receive(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.is_over() {
                        return Ok(0);
                    }
                }
                Ok(len) if len > 0 => {
                    self.reads.fetch_add(1, Ordering::SeqCst);
                    return Ok(len);
                }
                other => return other,
            }
        }
    }

    /// The number in the next request of the counting client; none at the end.
    pub(crate) fn request(&mut self) -> Option<u64> {
        loop {
            if let Some(end) = self.held.windows(4).position(|w| w == b"\r\n\r\n") {
                let head: Vec<u8> = self.held.drain(..end + 4).collect();
                let head = String::from_utf8(head).unwrap();
                let target = head.split(' ').nth(1).unwrap();
                let number = target.rsplit('/').next().unwrap();
                assert!(target.ends_with(&format!("/n/{number}")) && number.len() == 12);
                return Some(number.parse().unwrap());
            }
            let mut piece = [0; 16 * 1024];
            match self.receive(&mut piece) {
                Ok(0) | Err(_) => return None,
                Ok(len) => self.held.extend_from_slice(&piece[..len]),
            }
        }
    }

    /// Answers with this content.
    pub(crate) fn answer(&mut self, content: &str) {
        let length = content.len();
        self.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{content}"
        ));
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The client may be gone; the test sees that elsewhere.
        let _ = self.socket.write_all(bytes.as_ref());
    }

    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&self.socket);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}
