//! A bad network between clients and a server: datagrams are lost, repeated, held back and overtaken, and
//! the address that the server sees changes. What happens to which datagram depends on a seed and on how
//! many came before.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::epoll;

/// What the network does to datagrams, each in so many of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// How long each takes, in either direction.
    pub delay: Duration,
    /// Never arrive.
    pub lost: u64,
    /// Arrive twice.
    pub repeated: u64,
    /// Arrive up to 20 ms later than others, which overtake them.
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
    /// How often clients have been told to move at once.
    moves: AtomicU64,
    lost: AtomicU64,
    port_changes: AtomicU64,
}

impl Relay {
    /// A network in front of `server`.
    ///
    /// # Panics
    /// When there are no sockets to be had.
    pub fn start(server: SocketAddr, seed: u64, weather: Weather) -> Relay {
        let front = socket();
        let address = front.local_addr().expect("it has an address");
        let shared = Arc::new(Shared::default());
        let network = Network {
            front,
            server,
            weather,
            bytes: vec![0; 2048],
            shared: Arc::clone(&shared),
            random: seed | 1,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll instance"),
            paths: HashMap::new(),
            ports: HashMap::new(),
            next_port: 0,
            moved: 0,
            under_way: BTreeMap::new(),
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

    /// The server sees all clients at other ports from now on; as
    /// [`change_ports_every`](Relay::change_ports_every).
    pub fn change_ports(&self) {
        self.shared.moves.fetch_add(1, Ordering::Relaxed);
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
    ports: VecDeque<u64>,
    since: Instant,
}

/// The server's view of a client, for a time.
struct Port {
    client: SocketAddr,
    socket: UdpSocket,
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
    epoll: OwnedFd,
    bytes: Vec<u8>,
    paths: HashMap<SocketAddr, Path>,
    ports: HashMap<u64, Port>,
    next_port: u64,
    /// Of the moves that were told, those that are done.
    moved: u64,
    /// By when they arrive, and their number.
    under_way: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
}

/// What events of the front socket carry; those of ports carry their number.
const FRONT: u64 = u64::MAX;
/// Datagrams taken from a socket before the others are looked at.
const BATCH: usize = 64;
/// The network looks around this often, also when nothing comes.
const PATIENCE: Duration = Duration::from_millis(2);

impl Network {
    fn run(mut self) {
        self.watch(&self.front, FRONT);
        let mut events = Vec::with_capacity(256);
        while !self.shared.is_over.load(Ordering::Relaxed) {
            let now = Instant::now();
            let next = self.under_way.keys().next().map(|(due, _)| *due);
            let sleep = next.map_or(PATIENCE, |due| due.saturating_duration_since(now));
            let sleep = sleep.min(PATIENCE).try_into().expect("a short time");
            events.clear();
            let into = rustix::buffer::spare_capacity(&mut events);
            if epoll::wait(&self.epoll, into, Some(&sleep)).is_err() {
                continue;
            }
            for event in &events {
                match event.data.u64() {
                    FRONT => self.take_requests(),
                    port => self.take_answers(port),
                }
            }
            let now = Instant::now();
            while let Some(entry) = self.under_way.first_entry()
                && entry.key().0 <= now
            {
                let datagram = entry.remove();
                self.deliver(&datagram);
            }
            self.change_ports(now);
        }
    }

    fn watch(&self, socket: &UdpSocket, number: u64) {
        let data = epoll::EventData::new_u64(number);
        epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN).expect("it can be watched");
    }

    fn take_requests(&mut self) {
        for _ in 0..BATCH {
            match self.front.recv_from(&mut self.bytes) {
                Ok((len, client)) => self.carry(client, true, len),
                Err(_) => return,
            }
        }
    }

    fn take_answers(&mut self, port: u64) {
        for _ in 0..BATCH {
            // One that is not there any more has brought its last.
            let Some(Port { client, socket }) = self.ports.get(&port) else {
                return;
            };
            let client = *client;
            match socket.recv(&mut self.bytes) {
                Ok(len) => self.carry(client, false, len),
                Err(_) => return,
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

    fn carry(&mut self, client: SocketAddr, is_to_server: bool, len: usize) {
        if self.chance(self.weather.lost) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let times = 1 + u64::from(self.chance(self.weather.repeated));
        for _ in 0..times {
            let datagram = Datagram {
                client,
                is_to_server,
                bytes: self.bytes[..len].to_vec(),
            };
            let mut delay = self.weather.delay;
            if self.chance(self.weather.late) {
                delay += Duration::from_micros(self.random % 20_000);
            }
            if delay.is_zero() {
                self.deliver(&datagram);
            } else {
                self.sent += 1;
                let due = Instant::now() + delay;
                self.under_way.insert((due, self.sent), datagram);
            }
        }
    }

    fn deliver(&mut self, datagram: &Datagram) {
        if !datagram.is_to_server {
            let _ = self.front.send_to(&datagram.bytes, datagram.client);
            return;
        }
        if !self.paths.contains_key(&datagram.client) {
            self.open_port(datagram.client);
        }
        let port = self.paths[&datagram.client].ports.back();
        if let Some(port) = port.and_then(|port| self.ports.get(port)) {
            let _ = port.socket.send(&datagram.bytes);
        }
    }

    /// From here on the server sees a client at another port, or for the first time.
    fn open_port(&mut self, client: SocketAddr) {
        let socket = socket();
        socket.connect(self.server).expect("an address");
        let number = self.next_port;
        self.next_port += 1;
        self.watch(&socket, number);
        self.ports.insert(number, Port { client, socket });
        let path = self.paths.entry(client).or_insert_with(|| Path {
            ports: VecDeque::new(),
            since: Instant::now(),
        });
        path.since = Instant::now();
        path.ports.push_back(number);
        if path.ports.len() > PORTS_KEPT
            && let Some(first) = path.ports.pop_front()
        {
            self.ports.remove(&first);
        }
    }

    fn change_ports(&mut self, now: Instant) {
        let moves = self.shared.moves.load(Ordering::Relaxed);
        let is_told = std::mem::replace(&mut self.moved, moves) != moves;
        let after = match self.shared.ports_last.load(Ordering::Relaxed) {
            0 if !is_told => return,
            0 => Duration::MAX,
            millis => Duration::from_millis(millis),
        };
        let paths = self.paths.iter();
        let due = paths.filter(|(_, path)| is_told || now.duration_since(path.since) >= after);
        for client in due.map(|(client, _)| *client).collect::<Vec<_>>() {
            self.open_port(client);
            self.shared.port_changes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Ports of a client that the network still knows.
const PORTS_KEPT: usize = 3;

/// A network queues more than the kernel does by default.
const BUFFER_BYTES: usize = 4 << 20;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
    socket.set_nonblocking(true).expect("it can be so");
    // Without the privilege, as much as the kernel allows.
    use rustix::net::sockopt;
    if sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(&socket, BUFFER_BYTES);
    }
    socket
}
