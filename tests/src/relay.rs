//! A bad network between clients and a server: datagrams are lost, repeated, held back and overtaken, and
//! the address that the server sees changes. What happens to which datagram depends on a seed and on how
//! many came before.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the network does to datagrams, each in so many of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Never arrive.
    pub lost: u64,
    /// Arrive twice.
    pub repeated: u64,
    /// Arrive up to 20 ms later, so that others overtake them.
    pub late: u64,
}

/// The network. It ends when this is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    /// In milliseconds; 0 for never.
    ports_last: AtomicU64,
    lost: AtomicU64,
    port_changes: AtomicU64,
}

impl Relay {
    /// A network in front of `server`.
    ///
    /// # Panics
    /// When there are no sockets to be had.
    pub fn start(server: SocketAddr, seed: u64, weather: Weather) -> Relay {
        let front = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        front.set_nonblocking(true).expect("it can be so");
        let address = front.local_addr().expect("it has an address");
        let shared = Arc::new(Shared::default());
        let network = Network {
            front,
            server,
            weather,
            shared: Arc::clone(&shared),
            random: seed | 1,
            paths: BTreeMap::new(),
            late: BTreeMap::new(),
            sent: 0,
        };
        Relay {
            address,
            shared,
            thread: Some(std::thread::spawn(move || network.run())),
        }
    }

    /// Where clients send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the server sees each client at another port after each `time`. Not to be called before
    /// handshakes have ended: who moves in one loses its connection (RFC 9000 §9).
    pub fn change_ports_every(&self, time: Duration) {
        let millis = time.as_millis() as u64;
        self.shared.ports_last.store(millis, Ordering::Relaxed);
    }

    /// Datagrams that were lost so far.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// How often the server saw a client at another port.
    pub fn port_changes(&self) -> u64 {
        self.shared.port_changes.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How a client's datagrams reach the server. Ports that it had before still bring it what is under way.
struct Path {
    sockets: Vec<UdpSocket>,
    since: Instant,
}

/// A datagram on its way.
struct Datagram {
    client: SocketAddr,
    is_to_server: bool,
    bytes: Vec<u8>,
}

struct Network {
    front: UdpSocket,
    server: SocketAddr,
    weather: Weather,
    shared: Arc<Shared>,
    random: u64,
    paths: BTreeMap<SocketAddr, Path>,
    /// By when they arrive, and their number.
    late: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
}

impl Network {
    fn run(mut self) {
        while !self.shared.is_over.load(Ordering::Relaxed) {
            let mut bytes = [0; 2048];
            let mut is_quiet = true;
            while let Ok((len, client)) = self.front.recv_from(&mut bytes) {
                is_quiet = false;
                self.carry(client, true, &bytes[..len]);
            }
            let mut answers = Vec::new();
            for (client, path) in &self.paths {
                for socket in &path.sockets {
                    while let Ok(len) = socket.recv(&mut bytes) {
                        answers.push((*client, bytes[..len].to_vec()));
                    }
                }
            }
            for (client, bytes) in answers {
                is_quiet = false;
                self.carry(client, false, &bytes);
            }
            let now = Instant::now();
            while let Some(entry) = self.late.first_entry()
                && entry.key().0 <= now
            {
                let datagram = entry.remove();
                self.deliver(&datagram);
            }
            self.change_ports(now);
            if is_quiet {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }

    /// xorshift64.
    fn chance(&mut self, of_thousand: u64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 1000 < of_thousand
    }

    fn carry(&mut self, client: SocketAddr, is_to_server: bool, bytes: &[u8]) {
        if self.chance(self.weather.lost) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let times = 1 + u64::from(self.chance(self.weather.repeated));
        for _ in 0..times {
            let datagram = Datagram {
                client,
                is_to_server,
                bytes: bytes.to_vec(),
            };
            if self.chance(self.weather.late) {
                let delay = Duration::from_micros(self.random % 20_000);
                self.sent += 1;
                self.late
                    .insert((Instant::now() + delay, self.sent), datagram);
            } else {
                self.deliver(&datagram);
            }
        }
    }

    fn deliver(&mut self, datagram: &Datagram) {
        if !datagram.is_to_server {
            let _ = self.front.send_to(&datagram.bytes, datagram.client);
            return;
        }
        let server = self.server;
        let path = self.paths.entry(datagram.client).or_insert_with(|| Path {
            sockets: vec![socket_to(server)],
            since: Instant::now(),
        });
        if let Some(socket) = path.sockets.last() {
            let _ = socket.send(&datagram.bytes);
        }
    }

    fn change_ports(&mut self, now: Instant) {
        let after = match self.shared.ports_last.load(Ordering::Relaxed) {
            0 => return,
            millis => Duration::from_millis(millis),
        };
        for path in self.paths.values_mut() {
            if now.duration_since(path.since) >= after {
                path.since = now;
                path.sockets.push(socket_to(self.server));
                if path.sockets.len() > PORTS_KEPT {
                    path.sockets.remove(0);
                }
                self.shared.port_changes.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Ports of a client that the network still knows.
const PORTS_KEPT: usize = 3;

fn socket_to(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
    socket.connect(server).expect("an address");
    socket.set_nonblocking(true).expect("it can be so");
    socket
}
