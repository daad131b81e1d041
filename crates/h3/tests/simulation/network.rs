//! The same over QUIC (quinn-proto on both sides), on a network that loses, repeats and reorders datagrams, in
//! virtual time. The keys of TLS are not from the seed, and with them the last bytes of some datagrams.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    Event, ReadError, ServerConfig, StreamEvent, StreamId, VarInt, WriteError,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Totals;
use crate::client::{Client, is_request};
use crate::plan::{Act, Plan, Random};
use crate::server::Server;

/// One side's transport, and what waits to be handed to it.
struct Side {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    is_client: bool,
    is_connected: bool,
    /// Streams that were opened, by the numbers that the other side knows them by.
    waiting: BTreeMap<u64, (VecDeque<u8>, bool)>,
    readable: Vec<StreamId>,
    opened: [u64; 2],
}

struct Network {
    now: Instant,
    /// By when they arrive, and their number.
    under_way: BTreeMap<(Instant, u64), (bool, BytesMut)>,
    sent: u64,
    lost: u64,
    repeated: u64,
    of_thousand: [usize; 3],
    /// Both sides know that the handshake is over. Before, nothing is lost: that is the transport's own affair.
    is_up: bool,
}

fn address(is_client: bool) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, if is_client { 1111 } else { 443 }).into()
}

/// Made once: a key takes longer than a run.
fn configs() -> &'static (ClientConfig, ServerConfig) {
    static CONFIGS: OnceLock<(ClientConfig, ServerConfig)> = OnceLock::new();
    CONFIGS.get_or_init(|| {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
        let certificate = CertificateDer::from(issued.cert.der().to_vec());
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).expect("a key");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).expect("a certificate");
        let client = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("they fit");
        let client = QuicClientConfig::try_from(client).expect("TLS 1.3");
        let server = QuicServerConfig::try_from(server).expect("TLS 1.3");
        (
            ClientConfig::new(Arc::new(client)),
            ServerConfig::with_crypto(Arc::new(server)),
        )
    })
}

impl Side {
    fn new(is_client: bool, now: Instant) -> Side {
        let (client, server) = configs();
        let config = Arc::new(EndpointConfig::default());
        let server = (!is_client).then(|| Arc::new(server.clone()));
        let mut endpoint = Endpoint::new(config, server, false, Some([7; 32]));
        let connection = is_client.then(|| {
            let begun = endpoint.connect(now, client.clone(), address(false), "localhost");
            begun.expect("a connection")
        });
        Side {
            endpoint,
            connection,
            is_client,
            is_connected: false,
            waiting: BTreeMap::new(),
            readable: Vec::new(),
            opened: [0; 2],
        }
    }

    fn arrived(&mut self, now: Instant, datagram: BytesMut) {
        let mut buffer = Vec::new();
        let from = address(!self.is_client);
        let handled = self
            .endpoint
            .handle(now, from, None, None, datagram, &mut buffer);
        match handled {
            Some(DatagramEvent::NewConnection(incoming)) if self.connection.is_none() => {
                let accepted = self.endpoint.accept(incoming, now, &mut buffer, None);
                self.connection = Some(accepted.map_err(|error| error.cause).expect("a handshake"));
            }
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, connection)) = &mut self.connection {
                    connection.handle_event(event);
                }
            }
            _ => {}
        }
    }

    /// What the transport has to say, as acts of the other side.
    fn events(&mut self) -> Vec<Act> {
        let mut acts = Vec::new();
        let Some((handle, connection)) = &mut self.connection else {
            return acts;
        };
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
        while let Some(event) = connection.poll() {
            match event {
                Event::Connected => self.is_connected = true,
                Event::ConnectionLost { reason } => panic!("the connection is lost: {reason}"),
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = connection.streams().accept(dir) {
                        self.readable.push(id);
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => self.readable.push(id),
                Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    acts.push(Act::Stop(number(id), error_code.into_inner()));
                }
                _ => {}
            }
        }
        for id in std::mem::take(&mut self.readable) {
            read(connection, id, &mut acts);
        }
        acts
    }

    /// Does what its application wants.
    fn act(&mut self, act: Act) {
        let Some((_, connection)) = &mut self.connection else {
            panic!("acts come after the handshake");
        };
        let (Act::Bytes(stream, ..) | Act::Reset(stream, _) | Act::Stop(stream, _)) = act;
        let dir = if is_request(stream) {
            Dir::Bi
        } else {
            Dir::Uni
        };
        let is_ours = is_request(stream) == self.is_client || dir == Dir::Uni;
        while is_ours && self.opened[dir as usize] <= stream / 4 {
            // They are opened in their order, which is that of their numbers.
            connection.streams().open(dir).expect("the peer allows it");
            self.opened[dir as usize] += 1;
        }
        match act {
            Act::Bytes(stream, bytes, end) => {
                let (queue, ends) = self.waiting.entry(stream).or_default();
                queue.extend(bytes);
                *ends |= end;
            }
            Act::Reset(stream, code) => {
                self.waiting.remove(&stream);
                let code = VarInt::from_u64(code).expect("a code");
                let _ = connection.send_stream(id(stream)).reset(code);
            }
            Act::Stop(stream, code) => {
                let code = VarInt::from_u64(code).expect("a code");
                let _ = connection.recv_stream(id(stream)).stop(code);
            }
        }
    }

    /// Hands over what the transport takes.
    fn write(&mut self) {
        let Some((_, connection)) = &mut self.connection else {
            return;
        };
        self.waiting.retain(|stream, (queue, ends)| {
            let mut send = connection.send_stream(id(*stream));
            while !queue.is_empty() {
                let (front, _) = queue.as_slices();
                match send.write(front) {
                    Ok(taken) => drop(queue.drain(..taken)),
                    Err(WriteError::Blocked) => return true,
                    // Stopped: nobody wants it.
                    Err(_) => return false,
                }
            }
            if *ends {
                let _ = send.finish();
            }
            !*ends
        });
    }

    fn transmit(&mut self, network: &mut Network, random: &mut Random) {
        let Some((_, connection)) = &mut self.connection else {
            return;
        };
        let mut buffer = Vec::new();
        while connection
            .poll_transmit(network.now, 1, &mut buffer)
            .is_some()
        {
            network.send(!self.is_client, &buffer, random);
            buffer.clear();
        }
    }

    fn has_waiting(&self) -> bool {
        let mut waiting = self.waiting.values();
        waiting.any(|(queue, ends)| !queue.is_empty() || *ends)
    }

    fn timeout(&mut self) -> Option<Instant> {
        self.connection.as_mut()?.1.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some((_, connection)) = &mut self.connection {
            connection.handle_timeout(now);
        }
    }
}

fn number(id: StreamId) -> u64 {
    VarInt::from(id).into_inner()
}

fn id(stream: u64) -> StreamId {
    StreamId::from(VarInt::from_u64(stream).expect("a stream's number"))
}

fn read(connection: &mut Connection, id: StreamId, acts: &mut Vec<Act>) {
    let stream = number(id);
    let mut receive = connection.recv_stream(id);
    let Ok(mut chunks) = receive.read(true) else {
        return;
    };
    loop {
        match chunks.next(usize::MAX) {
            Ok(Some(chunk)) => acts.push(Act::Bytes(stream, chunk.bytes.to_vec(), false)),
            Ok(None) => {
                acts.push(Act::Bytes(stream, Vec::new(), true));
                break;
            }
            Err(ReadError::Blocked) => break,
            Err(ReadError::Reset(code)) => {
                acts.push(Act::Reset(stream, code.into_inner()));
                break;
            }
        }
    }
    let _ = chunks.finalize();
}

impl Network {
    fn send(&mut self, to_client: bool, bytes: &[u8], random: &mut Random) {
        let mut chance = |of_thousand| random.below(1000) < of_thousand;
        let [lost, repeated, late] = match self.is_up {
            true => self.of_thousand,
            false => [0; 3],
        };
        if chance(lost) {
            self.lost += 1;
            return;
        }
        let times = 1 + usize::from(chance(repeated));
        self.repeated += times as u64 - 1;
        for _ in 0..times {
            let mut delay = Duration::from_millis(10);
            if random.below(1000) < late {
                delay += Duration::from_micros(random.below(30_000) as u64);
            }
            self.sent += 1;
            let datagram = BytesMut::from(Bytes::copy_from_slice(bytes));
            let due = self.now + delay;
            self.under_way
                .insert((due, self.sent), (to_client, datagram));
        }
    }
}

pub(crate) fn run(seed: u64) -> Totals {
    let random = &mut Random(seed);
    let plan = Plan::new(random);
    let mut client = Client::new(&plan, random);
    let mut server = Server::new(&plan);
    let mut network = Network {
        now: Instant::now(),
        under_way: BTreeMap::new(),
        sent: 0,
        lost: 0,
        repeated: 0,
        of_thousand: [random.below(80), random.below(80), random.below(300)],
        is_up: false,
    };
    let mut sides = [Side::new(true, network.now), Side::new(false, network.now)];
    let began = network.now;
    for step in 0.. {
        assert!(step < 200_000, "the simulation does not end");
        let [here, there] = &mut sides;
        for act in here.events() {
            client
                .receive(act)
                .into_iter()
                .for_each(|act| here.act(act));
        }
        for act in there.events() {
            server.receive(&plan, act);
        }
        network.is_up = here.is_connected && there.is_connected;
        let mut progress = false;
        if here.is_connected {
            progress |= random.one_in(2) && client.begin(&plan, random);
            for _ in 0..random.below(6) {
                let act = client.act(&plan, random);
                progress |= act.is_some();
                act.into_iter().for_each(|act| here.act(act));
            }
        }
        if there.is_connected {
            for _ in 0..random.below(6) {
                progress |= server.turn(&plan, random);
            }
            server.output.drain(..).for_each(|act| there.act(act));
        }
        for side in &mut sides {
            side.write();
            side.transmit(&mut network, random);
        }
        if progress || random.one_in(3) {
            continue;
        }
        let [here, there] = &mut sides;
        let timers = [here.timeout(), there.timeout()];
        let arrival = network.under_way.keys().next().map(|(due, _)| *due);
        let is_done = client.is_done(&plan) && server.is_done() && network.under_way.is_empty();
        if is_done && client.has_answers() && !here.has_waiting() && !there.has_waiting() {
            if !plan.drains || client.knows_of_the_end() {
                break;
            }
            if !server.is_drained() {
                server.drain();
                server.output.drain(..).for_each(|act| there.act(act));
                continue;
            }
        }
        let next = timers.into_iter().flatten().chain(arrival).min();
        let next = next.expect("something is to come").max(network.now);
        let are_done = client.is_done(&plan) && server.is_done();
        if next - network.now > Duration::from_secs(1) && !are_done && network.is_up {
            // Somebody only has not wanted to yet.
            continue;
        }
        network.now = next;
        let idle = Duration::from_secs(25);
        assert!(network.now - began < idle * 100, "nothing moves");
        while let Some(entry) = network.under_way.first_entry()
            && entry.key().0 <= network.now
        {
            let (to_client, datagram) = entry.remove();
            sides[usize::from(!to_client)].arrived(network.now, datagram);
        }
        for (side, timer) in sides.iter_mut().zip(timers) {
            if timer.is_some_and(|timer| timer <= network.now) {
                side.handle_timeout(network.now);
            }
        }
    }
    Totals {
        lost: network.lost,
        repeated: network.repeated,
        ..Totals::of(&plan, &mut client, &mut server)
    }
}
