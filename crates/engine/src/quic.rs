//! QUIC (RFC 9000) and HTTP/3 (RFC 9114) on a worker: sockets, the endpoint, and connections that are
//! driven directly, without a task, channel or lock for any of them.
//!
//! # A turn
//!
//! ```text
//!   sockets that are readable ──> datagrams ──> the endpoint ──> connections, listed
//!   datagrams of other workers ──────^
//!   handlers that were woken, timers that have passed ────────> connections, listed
//!   each listed connection: events of the transport ──> requests ──> responses ──> datagrams
//! ```
//!
//! All that came for a connection in a turn is read before it is driven, so that the responses to many
//! requests leave in few datagrams, and those in one call to the kernel.
//!
//! # Who has a connection
//!
//! See [`id`]: identifiers name their worker. The kernel reads that, and what it gives to the wrong worker
//! is forwarded. Secrets are shared by all workers, so that whoever gets a packet can answer it.

mod connection;
mod endpoint;
pub(crate) mod forward;
pub(crate) mod id;
pub(crate) mod keys;
mod session;
pub(crate) mod socket;
mod timers;

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::{ConnectionHandle, DatagramEvent, Endpoint, EndpointEvent, Incoming, Transmit};

use crate::admission::{Admission, Admitted};
use crate::config::Retry;
use crate::connection::{Clock, Wait};
use crate::counters::Counter;
use crate::deadline::{TICK, Tick, Wheel};
use crate::desk::Desk;
use crate::reactor::{EventFlags, Token};
use crate::request::PeerAddr;
use crate::service::Service;

use connection::{Connection, Phase};
use endpoint::Servers;
use forward::{DATAGRAMS_BYTES_MAX, Forwarding};
use id::Seat;
use session::{Outcome, Session};
use socket::{Arrival, Batch, Port, Udp};
use timers::Timers;

/// Tokens of QUIC connections begin here; those of TCP connections end.
pub(crate) const CONNECTIONS_FROM: u32 = 1 << 31;

/// What all workers share to speak QUIC.
pub(crate) struct Shared {
    pub(crate) secret: keys::Secret,
    /// Between workers, where there are several.
    pub(crate) ways: Option<forward::Ways>,
    /// Counts the starts of this process.
    pub(crate) generation: u8,
}

impl Shared {
    /// # Errors
    /// The system is out of descriptors or randomness.
    pub(crate) fn new(workers: usize) -> io::Result<Shared> {
        Ok(Shared {
            secret: keys::Secret::new()?,
            ways: (workers > 1)
                .then(|| forward::Ways::new(workers))
                .transpose()?,
            generation: 0,
        })
    }

    /// What worker `number` of `workers` gets, which is this process's `thread`-th.
    ///
    /// # Errors
    /// The system is out of descriptors, or there are more workers than identifiers can tell apart.
    pub(crate) fn setup(
        &self,
        sockets: Vec<Udp>,
        thread: usize,
        number: usize,
        workers: usize,
    ) -> io::Result<Setup> {
        let too_many = |_| io::Error::other("more workers than QUIC can tell apart");
        Ok(Setup {
            sockets,
            secret: self.secret.clone(),
            seat: Seat {
                worker: u16::try_from(number).map_err(too_many)?,
                workers: u16::try_from(workers).map_err(too_many)?,
                generation: self.generation,
            },
            forwarding: self.ways.as_ref().map(|ways| ways.of(thread)).transpose()?,
        })
    }
}

/// What a worker needs to speak QUIC.
pub(crate) struct Setup {
    pub(crate) sockets: Vec<Udp>,
    pub(crate) secret: keys::Secret,
    pub(crate) seat: Seat,
    /// None where there is only one worker.
    pub(crate) forwarding: Option<Forwarding>,
}

/// All that a worker has for QUIC.
pub(crate) struct Quic {
    endpoint: Endpoint,
    servers: Servers,
    seat: Seat,
    /// Ours first, in the order that all workers have; then those of others.
    ports: Vec<Option<Port>>,
    /// Connections whose socket is full, and what it did not take.
    unsent: Vec<Unsent>,
    forwarding: Option<Forwarding>,
    has_forwarded: bool,
    places: Vec<Place>,
    /// Connections that something has happened to.
    listed: Vec<u32>,
    /// Emptied in every turn; kept for its memory.
    driven: Vec<u32>,
    /// Connections with work that waits for the next tick.
    next_tick: Vec<u32>,
    timers: Timers,
    wheel: Wheel,
    expired: Vec<u32>,
    batch: Option<Box<Batch>>,
    /// Datagrams are cut from this.
    block: BytesMut,
    /// What the endpoint itself answers.
    response: Vec<u8>,
    /// Datagrams on their way.
    datagrams: Vec<u8>,
    scratch: session::Scratch,
    open: usize,
    now: Instant,
}

#[derive(Default)]
struct Place {
    generation: u32,
    connection: Option<Box<Connection>>,
}

/// A connection whose socket is full.
struct Unsent {
    port: usize,
    connection: u32,
    /// What the socket did not take.
    transmit: Option<Transmit>,
    bytes: Vec<u8>,
}

/// Calls to receive for each socket in a turn: 64 batches would be a thousand messages.
const RECEIVES_PER_TURN: usize = 8;

/// Datagrams of other workers that are taken in a turn.
const FORWARDED_PER_TURN: usize = 256;

/// Datagrams are copied into blocks of this size. What a stream keeps of one keeps all of its block, so it is
/// not larger than what a few datagrams need.
const BLOCK_BYTES: usize = 16 * 1024;

/// One call sends so many bytes at most: a limit of the kernel, less what the last datagram may have.
const SEND_BYTES_MAX: usize = 60_000;

/// Calls to send for a connection in a turn, so that others have their turn.
const SENDS_PER_TURN: usize = 16;

/// Deadlines farther away than this stand in the wheel, and come up before they are due.
const NEAR: Duration = Duration::from_millis(500);

impl Quic {
    /// # Errors
    /// A socket cannot be used.
    pub(crate) fn new(cx: &crate::context::Context, setup: Setup) -> io::Result<Quic> {
        let Setup {
            sockets,
            secret,
            seat,
            forwarding,
        } = setup;
        let ports = sockets
            .into_iter()
            .map(|udp| Port::new(udp, None).map(Some))
            .collect::<io::Result<Vec<_>>>()?;
        let may_fragment = ports.iter().flatten().any(Port::may_fragment);
        let config = endpoint::config(&secret, seat);
        let servers = Servers::new(&cx.config, &cx.entries, &secret);
        Ok(Quic {
            endpoint: Endpoint::new(config, servers.any(), !may_fragment, None),
            servers,
            seat,
            ports,
            unsent: Vec::new(),
            has_forwarded: forwarding.is_some(),
            forwarding,
            places: Vec::new(),
            listed: Vec::new(),
            driven: Vec::new(),
            next_tick: Vec::new(),
            timers: Timers::default(),
            wheel: Wheel::new(),
            expired: Vec::new(),
            batch: Some(Box::new(Batch::new())),
            block: BytesMut::new(),
            response: Vec::new(),
            datagrams: Vec::new(),
            scratch: session::Scratch::default(),
            open: 0,
            now: Instant::now(),
        })
    }

    /// The sockets to watch, with their places; the one through which others forward has none.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = (Option<usize>, &OwnedFd)> {
        let ports = self.ports.iter().enumerate();
        let ports =
            ports.filter_map(|(place, port)| Some((Some(place), port.as_ref()?.descriptor())));
        let forwarding = self.forwarding.iter();
        ports.chain(forwarding.map(|forwarding| (None, &forwarding.own)))
    }

    /// What clients of each entry are told of HTTP/3, and for how many seconds.
    pub(crate) fn alt_svc(&self, max_age: u32) -> Vec<Option<Box<[u8]>>> {
        let mut all = Vec::new();
        for port in self.ports.iter().flatten().filter(|_| max_age > 0) {
            if all.len() <= port.entry {
                all.resize(port.entry + 1, None);
            }
            let value = format!("h3=\":{}\"; ma={max_age}", port.local.port());
            all[port.entry] = Some(value.into_bytes().into());
        }
        all
    }

    /// Takes over a socket of another process.
    pub(crate) fn adopt(&mut self, udp: Udp, process: usize) -> io::Result<(usize, &OwnedFd)> {
        let port = Port::new(udp, Some(process))?;
        let free = self.ports.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.ports.push(None);
            self.ports.len() - 1
        });
        Ok((place, self.ports[place].insert(port).descriptor()))
    }

    /// Leaves the sockets of a process to it again. Connections that came to them go on through ours of the
    /// same place.
    pub(crate) fn release(&mut self, process: usize) -> Vec<OwnedFd> {
        let mut released = Vec::new();
        for place in 0..self.ports.len() {
            let of_process = |port: &Port| port.adopted_from == Some(process);
            let Some(port) = self.ports[place].take_if(|port| of_process(port)) else {
                continue;
            };
            let is_same = |own: &Option<Port>| {
                own.as_ref()
                    .is_some_and(|own| own.adopted_from.is_none() && own.local == port.local)
            };
            let own = self.ports.iter().position(is_same).unwrap_or(0);
            for connection in self
                .places
                .iter_mut()
                .filter_map(|it| it.connection.as_mut())
            {
                if connection.port == place {
                    connection.port = own;
                }
            }
            self.unsent.retain(|unsent| unsent.port != place);
            released.push(port.into_descriptor());
        }
        released
    }

    /// Connections that are not over.
    pub(crate) const fn open(&self) -> usize {
        self.open
    }

    /// When a connection next wants to be looked at.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether there is something to do now.
    pub(crate) fn has_work(&self) -> bool {
        !self.listed.is_empty()
            || self.has_forwarded
            || self.ports.iter().flatten().any(|port| port.is_readable)
    }

    /// Notes an event of a socket; `place` is none for the one through which others forward.
    pub(crate) fn note_event(&mut self, place: Option<usize>, flags: EventFlags) {
        let Some(place) = place else {
            self.has_forwarded = true;
            return;
        };
        let Some(Some(port)) = self.ports.get_mut(place) else {
            return;
        };
        if flags.intersects(EventFlags::IN | EventFlags::ERR) {
            port.is_readable = true;
        }
        if flags.contains(EventFlags::OUT) && std::mem::take(&mut port.is_full) {
            self.send_unsent(place);
        }
    }

    /// One turn's work: what came, what was woken, what is due.
    pub(crate) fn turn<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        now: Instant,
    ) {
        self.now = now;
        self.receive(desk, admission);
        self.receive_forwarded(desk, admission);
        while let Some((deadline, index)) = self.timers.pop(now) {
            self.timer_passed(deadline, index);
        }
        self.drive_listed(desk, admission);
    }

    fn receive<S: Service>(&mut self, desk: &mut Desk<'_, S>, admission: &Admission) {
        let Some(mut batch) = self.batch.take() else {
            return;
        };
        for place in 0..self.ports.len() {
            for _ in 0..RECEIVES_PER_TURN {
                let Some(port) = self.ports[place].as_mut().filter(|port| port.is_readable) else {
                    break;
                };
                let count = match port.receive(&mut batch) {
                    Ok(count) => count,
                    Err(error) => {
                        // An ICMP message for something that we sent, most of the time.
                        tracing::trace!(%error, "receiving failed");
                        continue;
                    }
                };
                for at in 0..count {
                    let (arrival, bytes, stride) = batch.message(at);
                    self.take(desk, admission, place, &arrival, bytes, stride);
                }
            }
        }
        self.batch = Some(batch);
    }

    fn receive_forwarded<S: Service>(&mut self, desk: &mut Desk<'_, S>, admission: &Admission) {
        if !self.has_forwarded {
            return;
        }
        let Some(forwarding) = self.forwarding.take() else {
            self.has_forwarded = false;
            return;
        };
        let mut scratch = std::mem::take(&mut desk.cx.scratch);
        for _ in 0..FORWARDED_PER_TURN {
            let Some((place, arrival, datagrams)) = forwarding.receive(&mut scratch) else {
                self.has_forwarded = false;
                break;
            };
            for datagram in datagrams {
                desk.cx.counters.count(Counter::QuicForwardsReceived);
                if self.ports.get(place).is_some_and(Option::is_some) {
                    self.handle(desk, admission, place, &arrival, datagram);
                }
            }
        }
        desk.cx.scratch = scratch;
        self.forwarding = Some(forwarding);
    }

    /// Takes datagrams, all but the last of which have `stride` bytes, or sends them on to the worker that they
    /// are for.
    fn take<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        place: usize,
        arrival: &Arrival,
        bytes: &[u8],
        stride: usize,
    ) {
        let counters = &desk.cx.counters;
        let count = bytes.len().div_ceil(stride);
        counters.add(Counter::QuicDatagramsReceived, count as u64);
        counters.add(Counter::BytesReceived, bytes.len() as u64);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (datagram, after) = rest.split_at(stride.min(rest.len()));
            let Some(worker) = self.other_worker(datagram) else {
                self.handle(desk, admission, place, arrival, datagram);
                rest = after;
                continue;
            };
            // Those that go the same way go together.
            let mut len = datagram.len();
            while let Some(next) = rest.get(len..rest.len().min(len + stride))
                && !next.is_empty()
                && len + next.len() <= DATAGRAMS_BYTES_MAX
                && self.other_worker(next) == Some(worker)
            {
                len += next.len();
            }
            let (together, after) = rest.split_at(len);
            rest = after;
            let place = self.common_place(place);
            let is_sent = self
                .forwarding
                .as_ref()
                .is_some_and(|it| it.send(worker.into(), place, arrival, together, stride));
            let counter = match is_sent {
                true => Counter::QuicForwards,
                false => Counter::QuicForwardsLost,
            };
            desk.cx.counters.add(counter, len.div_ceil(stride) as u64);
        }
    }

    /// Which other worker has the connection that a datagram is for.
    #[inline]
    fn other_worker(&self, datagram: &[u8]) -> Option<u16> {
        self.forwarding.as_ref()?;
        let id = id::settled_destination(datagram)?;
        let worker = self.seat.worker_of(id)?;
        (worker != self.seat.worker).then_some(worker)
    }

    /// The place that a socket's address has in the lists of all workers.
    fn common_place(&self, place: usize) -> usize {
        match self.ports.get(place) {
            Some(Some(port)) if port.adopted_from.is_some() => {
                let is_same = |own: &Option<Port>| {
                    own.as_ref()
                        .is_some_and(|own| own.adopted_from.is_none() && own.local == port.local)
                };
                self.ports.iter().position(is_same).unwrap_or(place)
            }
            _ => place,
        }
    }

    fn handle<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        place: usize,
        arrival: &Arrival,
        datagram: &[u8],
    ) {
        let data = self.copy(datagram);
        self.response.clear();
        let event = self.endpoint.handle(
            self.now,
            arrival.remote,
            arrival.local_ip,
            arrival.ecn,
            data,
            &mut self.response,
        );
        match event {
            None => {}
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                let index = handle.0 as u32;
                let Some(connection) = self.connection(index) else {
                    return;
                };
                connection.transport.handle_event(event);
                connection.port = place;
                self.list(index);
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                self.accept(desk, admission, place, arrival, incoming, datagram);
            }
            Some(DatagramEvent::Response(transmit)) => self.respond(place, &transmit),
        }
    }

    fn copy(&mut self, datagram: &[u8]) -> BytesMut {
        if self.block.capacity() < datagram.len() {
            // Takes the old block again if nobody has a part of it any more.
            self.block.reserve(BLOCK_BYTES.max(datagram.len()));
        }
        self.block.extend_from_slice(datagram);
        self.block.split()
    }

    /// Sends what the endpoint itself answers. It is lost if the socket is full.
    fn respond(&mut self, place: usize, transmit: &Transmit) {
        if let Some(Some(port)) = self.ports.get_mut(place) {
            port.send(transmit, &self.response);
        }
    }

    /// A client wants a connection.
    fn accept<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        place: usize,
        arrival: &Arrival,
        incoming: Incoming,
        datagram: &[u8],
    ) {
        let cx = &mut *desk.cx;
        let entry = self.ports[place].as_ref().map(|port| port.entry);
        let Some((entry, server)) = entry.and_then(|entry| Some((entry, self.servers.of(entry)?)))
        else {
            return self.endpoint.ignore(incoming);
        };
        if cx.draining {
            // Another process may go on.
            let next = usize::from(self.seat.worker) + cx.config.threads.count(1);
            let is_sent = self.forwarding.as_ref().is_some_and(|forwarding| {
                let worker = next % usize::from(self.seat.workers);
                worker != usize::from(self.seat.worker)
                    && forwarding.send(
                        worker,
                        self.common_place(place),
                        arrival,
                        datagram,
                        datagram.len(),
                    )
            });
            return match is_sent {
                true => self.endpoint.ignore(incoming),
                false => self.refuse(place, incoming),
            };
        }
        let limits = &cx.config.connections;
        if cx.handshakes >= limits.handshakes_max {
            cx.counters.count(Counter::HandshakesRefused);
            return self.endpoint.ignore(incoming);
        }
        let must_prove = match cx.config.quic.retry {
            Retry::Always => true,
            Retry::Above(handshakes) => cx.handshakes > handshakes,
        };
        if must_prove && !incoming.remote_address_validated() {
            cx.counters.count(Counter::QuicRetries);
            // What cannot be asked again is refused: its token was no good.
            match self.endpoint.retry(incoming, &mut self.response) {
                Ok(transmit) => self.respond(place, &transmit),
                Err(error) => self.refuse(place, error.into_incoming()),
            }
            return;
        }
        let is_full = limits
            .connections_per_worker_max
            .is_some_and(|max| self.open >= max);
        if is_full || !admission.admit() {
            cx.counters.count(Counter::ConnectionsMaxReached);
            return self.refuse(place, incoming);
        }
        let peer = PeerAddr::Ip(incoming.remote_address());
        let admitted = admission.admit_address(peer);
        if admitted == Admitted::Refused {
            admission.leave();
            cx.counters.count(Counter::ConnectionsRefusedAddress);
            return self.refuse(place, incoming);
        }
        let local_ip = arrival.local_ip;
        let (now, response) = (self.now, &mut self.response);
        match self.endpoint.accept(incoming, now, response, Some(server)) {
            Ok((handle, transport)) => {
                let port = self.ports[place].as_ref().map(|port| port.local);
                let local = port.map(|local| {
                    let ip = local_ip.filter(|_| local.ip().is_unspecified());
                    std::net::SocketAddr::new(ip.unwrap_or(local.ip()), local.port())
                });
                let mut clock = Clock::new(cx.now);
                clock.restart(Wait::Handshake, cx.now);
                cx.handshakes += 1;
                cx.counters.count(Counter::ConnectionsAccepted);
                self.open += 1;
                let token = self.reserve(handle);
                self.put(Box::new(Connection {
                    token,
                    handle,
                    transport,
                    http: None,
                    phase: Phase::Handshake,
                    port: place,
                    peer,
                    local,
                    entry,
                    tls: None,
                    is_counted: admitted == Admitted::Counted,
                    held: 0,
                    clock,
                    filed: None,
                    is_listed: false,
                    is_waiting: false,
                    requests: 0,
                    is_released: false,
                }));
                self.list(handle.0 as u32);
            }
            Err(error) => {
                tracing::debug!(%peer, cause = %error.cause, "a QUIC connection was not accepted");
                cx.counters.count(Counter::TlsFailures);
                admission.leave();
                if admitted == Admitted::Counted {
                    admission.leave_address(peer);
                }
                if let Some(transmit) = error.response {
                    self.respond(place, &transmit);
                }
            }
        }
    }

    fn refuse(&mut self, place: usize, incoming: Incoming) {
        self.response.clear();
        let transmit = self.endpoint.refuse(incoming, &mut self.response);
        self.respond(place, &transmit);
    }

    fn reserve(&mut self, handle: ConnectionHandle) -> Token {
        if self.places.len() <= handle.0 {
            self.places.resize_with(handle.0 + 1, Place::default);
        }
        let place = &mut self.places[handle.0];
        place.generation = place.generation.wrapping_add(1);
        Token {
            index: CONNECTIONS_FROM + handle.0 as u32,
            generation: place.generation,
        }
    }

    fn put(&mut self, connection: Box<Connection>) {
        let index = connection.handle.0;
        self.places[index].connection = Some(connection);
    }

    fn connection(&mut self, index: u32) -> Option<&mut Connection> {
        let place = self.places.get_mut(index as usize)?;
        place.connection.as_deref_mut()
    }

    /// Notes that something has happened to a connection.
    fn list(&mut self, index: u32) {
        if let Some(connection) = self.connection(index)
            && !std::mem::replace(&mut connection.is_listed, true)
        {
            self.listed.push(index);
        }
    }

    /// A handler or a streamed body of a connection was woken.
    pub(crate) fn wake(&mut self, token: Token, slot: u32) {
        let index = token.index - CONNECTIONS_FROM;
        let place = self.places.get_mut(index as usize);
        let Some(place) = place.filter(|place| place.generation == token.generation) else {
            return;
        };
        let Some(http) = place.connection.as_mut().and_then(|it| it.http.as_mut()) else {
            return;
        };
        http.woken.push(slot);
        self.list(index);
    }

    fn timer_passed(&mut self, deadline: Instant, index: u32) {
        let now = self.now;
        let Some(connection) = self.connection(index) else {
            return;
        };
        if connection.filed != Some(deadline) {
            return;
        }
        connection.filed = None;
        if connection
            .transport
            .poll_timeout()
            .is_some_and(|at| at <= now)
        {
            connection.transport.handle_timeout(now);
            self.list(index);
        } else {
            self.file(index);
        }
    }

    /// Sees to it that a connection comes up in time.
    fn file(&mut self, index: u32) {
        let now = self.now;
        let place = self.places.get_mut(index as usize);
        let Some(connection) = place.and_then(|place| place.connection.as_deref_mut()) else {
            return;
        };
        let Some(deadline) = connection.transport.poll_timeout() else {
            return;
        };
        if deadline <= now + NEAR {
            self.timers
                .file(index, &mut connection.filed, Some(deadline));
        }
    }

    fn drive_listed<S: Service>(&mut self, desk: &mut Desk<'_, S>, admission: &Admission) {
        let mut listed = std::mem::replace(&mut self.listed, std::mem::take(&mut self.driven));
        for index in listed.drain(..) {
            if let Some(mut connection) = self.take_out(index) {
                connection.is_listed = false;
                let outcome = self.guarded(desk, &mut connection, |session| session.drive());
                self.settle(desk, admission, connection, outcome);
            }
        }
        self.driven = listed;
    }

    fn take_out(&mut self, index: u32) -> Option<Box<Connection>> {
        self.places.get_mut(index as usize)?.connection.take()
    }

    /// Runs a step of one connection. A defect of ours, or of the transport, that panics in it costs that
    /// connection, and no other.
    fn guarded<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        connection: &mut Connection,
        step: impl FnOnce(&mut Session<'_, '_, S>) -> Outcome,
    ) -> Outcome {
        let mut session = Session::new(connection, desk, &mut self.scratch, self.now);
        catch_unwind(AssertUnwindSafe(|| step(&mut session))).unwrap_or_else(|_| {
            tracing::error!("a QUIC connection was cut because the engine panicked on it");
            Outcome::Forget
        })
    }

    /// Sends what a connection has to send, and puts it back or ends it.
    fn settle<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        mut connection: Box<Connection>,
        outcome: Outcome,
    ) {
        let index = connection.handle.0 as u32;
        if outcome != Outcome::Forget {
            self.transmit(desk, &mut connection);
        }
        if connection.phase == Phase::Closing || outcome == Outcome::Forget {
            self.release_connection(desk, admission, &mut connection);
        }
        let is_over = self.endpoint_events(&mut connection);
        if outcome == Outcome::Forget && !is_over {
            self.endpoint
                .handle_event(connection.handle, EndpointEvent::drained());
        }
        if is_over || outcome == Outcome::Forget {
            self.wheel.remove(index);
            return;
        }
        let holds = connection.holds();
        desk.cx.held.replace(&mut connection.held, holds);
        if let Some(http) = &mut connection.http {
            http.count_waiting(&mut desk.cx.waiting_streams);
        }
        let mut due = connection.clock.due(&desk.cx.waits).0;
        if let Some(deadline) = connection.transport.poll_timeout() {
            let left = deadline.saturating_duration_since(self.now);
            if left > NEAR {
                // Never later than half a second before.
                let whole = (left - NEAR).as_millis() / TICK.as_millis();
                due = due.min(desk.cx.now.saturating_add(whole as Tick).saturating_add(1));
            }
        }
        self.wheel.file(index, due);
        self.put(connection);
        self.file(index);
        match outcome {
            Outcome::Again => self.list(index),
            Outcome::NextTick => self.next_tick.push(index),
            Outcome::Wait | Outcome::Forget => {}
        }
    }

    /// Tells the endpoint what a connection tells it. True when the connection is over for good.
    fn endpoint_events(&mut self, connection: &mut Connection) -> bool {
        while let Some(event) = connection.transport.poll_endpoint_events() {
            let is_over = event.is_drained();
            if let Some(event) = self.endpoint.handle_event(connection.handle, event) {
                connection.transport.handle_event(event);
            }
            if is_over {
                return true;
            }
        }
        false
    }

    /// Gives back what an open connection counts for, once.
    fn release_connection<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        connection: &mut Connection,
    ) {
        if connection.is_released {
            return;
        }
        connection.is_released = true;
        let mut session = Session::new(connection, desk, &mut self.scratch, self.now);
        session.abandon();
        desk.cx.held.replace(&mut connection.held, 0);
        if let Some(mut http) = connection.http.take() {
            http.count_waiting(&mut desk.cx.waiting_streams);
        }
        self.open -= 1;
        desk.cx.counters.count(Counter::ConnectionsClosed);
        if connection.is_counted {
            admission.leave_address(connection.peer);
        }
        admission.leave();
    }

    /// Sends the datagrams that a connection has, as far as the socket takes them.
    fn transmit<S: Service>(&mut self, desk: &mut Desk<'_, S>, connection: &mut Connection) {
        let Some(Some(port)) = self.ports.get_mut(connection.port) else {
            return;
        };
        if connection.is_waiting {
            return;
        }
        let index = connection.handle.0 as u32;
        let mtu = usize::from(connection.transport.current_mtu()).max(1);
        let segments = port.segments_max().min(SEND_BYTES_MAX / mtu).max(1);
        for _ in 0..SENDS_PER_TURN {
            if port.is_full {
                connection.is_waiting = true;
                self.unsent.push(Unsent {
                    port: connection.port,
                    connection: index,
                    transmit: None,
                    bytes: Vec::new(),
                });
                return;
            }
            self.datagrams.clear();
            let transport = &mut connection.transport;
            let Some(transmit) = transport.poll_transmit(self.now, segments, &mut self.datagrams)
            else {
                return;
            };
            let datagrams = match transmit.segment_size {
                Some(len) => transmit.size.div_ceil(len.max(1)),
                None => 1,
            };
            let counters = &desk.cx.counters;
            counters.add(Counter::QuicDatagramsSent, datagrams as u64);
            counters.add(Counter::BytesSent, transmit.size as u64);
            if !port.send(&transmit, &self.datagrams) {
                connection.is_waiting = true;
                self.unsent.push(Unsent {
                    port: connection.port,
                    connection: index,
                    transmit: Some(transmit),
                    bytes: std::mem::take(&mut self.datagrams),
                });
                return;
            }
        }
        // There is more: in the next turn.
        connection.is_listed = true;
        self.listed.push(index);
    }

    /// A socket takes datagrams again.
    fn send_unsent(&mut self, place: usize) {
        let mut unsent = std::mem::take(&mut self.unsent);
        let mut kept = Vec::new();
        for mut one in unsent.drain(..) {
            let Some(Some(port)) = self.ports.get_mut(one.port) else {
                continue;
            };
            let is_sent = match one.transmit.take() {
                _ if one.port != place || port.is_full => false,
                None => true,
                Some(transmit) => {
                    let is_sent = port.send(&transmit, &one.bytes);
                    one.transmit = Some(transmit);
                    is_sent
                }
            };
            if !is_sent {
                kept.push(one);
                continue;
            }
            if let Some(connection) = self.connection(one.connection) {
                connection.is_waiting = false;
            }
            self.list(one.connection);
        }
        self.unsent = kept;
    }

    /// A tick has begun: deadlines, and the next step of a drain.
    pub(crate) fn tick<S: Service>(&mut self, desk: &mut Desk<'_, S>, admission: &Admission) {
        let mut expired = std::mem::take(&mut self.expired);
        self.wheel.expire(desk.cx.now, &mut expired);
        for index in expired.drain(..) {
            self.handle_due(desk, admission, index);
        }
        self.expired = expired;
        for index in std::mem::take(&mut self.next_tick) {
            self.list(index);
        }
    }

    fn handle_due<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        index: u32,
    ) {
        let Some(mut connection) = self.take_out(index) else {
            return;
        };
        let (tick, counter) = connection.clock.due(&desk.cx.waits);
        let outcome = if tick <= desk.cx.now && connection.phase != Phase::Closing {
            self.guarded(desk, &mut connection, |session| session.timed_out(counter))
        } else {
            Outcome::Wait
        };
        self.settle(desk, admission, connection, outcome);
    }

    /// Tells all connections that the server ends.
    pub(crate) fn begin_drain(&mut self, now: Tick) {
        for index in 0..self.places.len() as u32 {
            if let Some(connection) = self.connection(index) {
                connection.tell_to_go(now);
                self.list(index);
            }
        }
    }

    /// Cuts what is still open.
    pub(crate) fn stop<S: Service>(&mut self, desk: &mut Desk<'_, S>, admission: &Admission) {
        for index in 0..self.places.len() as u32 {
            let Some(mut connection) = self.take_out(index) else {
                continue;
            };
            if connection.phase != Phase::Closing {
                desk.cx.counters.count(Counter::DrainCut);
                self.guarded(desk, &mut connection, |session| session.cut());
                self.transmit(desk, &mut connection);
            }
            self.settle(desk, admission, connection, Outcome::Forget);
        }
    }
}
