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

mod accept;
mod balance;
mod connection;
mod endpoint;
pub(crate) mod forward;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
pub(crate) mod id;
pub(crate) mod keys;
mod later;
#[cfg(feature = "qlog")]
mod log;
mod receive;
mod session;
pub(crate) mod socket;
mod timers;
mod transmit;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::{Endpoint, EndpointEvent, Transmit};

use crate::admission::Admission;
use crate::counters::Counter;
use crate::deadline::{TICK, Tick, Wheel};
use crate::desk::Desk;
use crate::reactor::{EventFlags, Token};
use crate::service::Service;

use connection::{Connection, Phase};
use endpoint::Servers;
use forward::Forwarding;
use id::{ID_LEN, LastId, Seat};
use later::{Class, Full, Newcomers, Waiting};
use session::{Outcome, Session};
use socket::{Batch, Port, Udp};
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
    /// Those of them that have to wait.
    waiting: Waiting,
    newcomers: Newcomers,
    last_id: LastId,
    /// Connections in their handshakes, by the identifiers that their clients know.
    in_handshake: HashSet<[u8; ID_LEN]>,
    full: Full,
    /// What those that wait took of later turns.
    overdrawn: Duration,
    heavy_overdrawn: Duration,
    /// Connections in the order in which they came, some of which are still in their handshakes.
    half_open: VecDeque<(u32, u32)>,
    /// Connections that are closed, in their order, some of which are forgotten already.
    closing: VecDeque<(u32, u32)>,
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
        let last_id = LastId::default();
        let config = endpoint::config(&secret, seat, &last_id);
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
            last_id,
            in_handshake: HashSet::new(),
            waiting: Waiting::default(),
            newcomers: Newcomers::new(secret.id_key()[0]),
            full: Full::default(),
            overdrawn: Duration::ZERO,
            heavy_overdrawn: Duration::ZERO,
            half_open: VecDeque::new(),
            closing: VecDeque::new(),
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
            || !self.waiting.is_empty()
            || !self.newcomers.is_empty()
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

    /// Time goes on. To be told before anything else is done: what is closed in the past is forgotten before
    /// its client knows.
    pub(crate) fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// One turn's work: what came, what was woken, what is due.
    pub(crate) fn turn<S: Service>(&mut self, desk: &mut Desk<'_, S>, admission: &Admission) {
        self.receive(desk, admission);
        self.receive_forwarded(desk, admission);
        while let Some((deadline, index)) = self.timers.pop(self.now) {
            self.timer_passed(deadline, index);
        }
        let light = self.drive_listed(desk, admission);
        self.drive_heavy(desk, admission, light);
        self.drive_later(desk, admission, light);
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
            let (class, generation) = (connection.class(), connection.token.generation);
            self.line_up(index, class, generation);
        }
    }

    fn line_up(&mut self, index: u32, class: Option<Class>, generation: u32) {
        match class {
            None => self.listed.push(index),
            Some(class) => self.waiting.push(class, index, generation),
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
        if !connection.inbox.is_empty() {
            // What came may be what the timer is about.
            return self.list(index);
        }
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

    /// What it took, if there was anything to do.
    fn drive_listed<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
    ) -> Option<Duration> {
        if self.listed.is_empty() {
            return None;
        }
        let mut listed = std::mem::replace(&mut self.listed, std::mem::take(&mut self.driven));
        let began = Instant::now();
        let mut now = began;
        for index in listed.drain(..) {
            now = self.drive_one(desk, admission, index, now);
        }
        self.driven = listed;
        Some(now.saturating_duration_since(began))
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
        let is_closed_now = connection.phase == Phase::Closing && !connection.is_released;
        if connection.phase == Phase::Closing || outcome == Outcome::Forget {
            self.release_connection(desk, admission, &mut connection);
        }
        let is_over = self.endpoint_events(&mut connection);
        if (connection.phase != Phase::Handshake || is_over || outcome == Outcome::Forget)
            && let Some(id) = connection.first_id.take()
        {
            self.in_handshake.remove(&id);
        }
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
        if is_closed_now {
            self.note_closed(index);
        }
        if outcome == Outcome::NextTick {
            self.next_tick.push(index);
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
