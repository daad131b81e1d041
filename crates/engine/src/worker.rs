//! A worker: one thread, one tokio runtime, one epoll instance, and the turn that joins them.
//!
//! # The turn
//!
//! ```text
//!   events of the reactor ──> listeners marked ready, connections driven
//!   accept                ──> new connections registered
//!   slots that were woken ──> their connections driven
//!   requests under way    ──> their connections driven, as long as the rest of the turn took
//!   deadlines             ──> fired, as long as that
//!   a new tick            ──> deadlines looked up, drain advanced
//! ```
//!
//! Turns follow each other until one finds little to do. Then the worker arms its wake-ups and
//! gives the thread back to tokio, which sleeps in its own epoll until the reactor's descriptor,
//! a waker, a timer or another task of the runtime has something.

mod orders;

use std::collections::VecDeque;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::Sleep;

use crate::Config;
use crate::accept::{ACCEPTS_PER_TURN, Accepted, Acceptor, Attempt};
use crate::admission::Admission;
use crate::connection::{Close, Connection, Ending, Starving, Wait};
use crate::context::Context;
use crate::counters::Counter;
use crate::deadline::{DueList, TICK, Tick, Wheel};
use crate::desk::Desk;
use crate::exchange::Slots;
use crate::link::Link;
use crate::listener::Listener;
use crate::places::Places;
use crate::quic::{self, Quic};
use crate::reactor::{EventFlags, Reactor, Token};
use crate::service::Service;
use crate::session::tls::Tls;
use crate::session::{Outcome, Session};
use crate::tls::Entries;

/// Turns before the worker lets tokio look at its own timers, sockets and tasks: about half a
/// millisecond under full load.
const TURNS_BEFORE_YIELD: u32 = 16;

/// Room in the worker's lists from the start: few of them ever need more, and those grow once.
const LIST_LEN: usize = 64;

const TICK_MICROS: u64 = TICK.as_micros() as u64;

/// With fewer events than this the turn was a quiet one, and the worker goes to sleep rather than
/// asking once more.
const QUIET_EVENTS: usize = 4;

/// Connections in the midst of a request or response have at least this much of a turn, and otherwise as
/// much as new requests had. New requests go first: 5 000 clients that send or take a byte a second
/// have all their events at once, and whoever asked in that moment had to wait for all of them. It is what
/// a few large reads take.
const LATER_MIN: Duration = Duration::from_micros(250);

/// How often events are taken in a turn, at most: 16 384 of them.
const TAKES_PER_TURN: usize = 64;

/// Tokens from here up belong to listeners, and those below to connections over TCP and QUIC.
const LISTENERS_FROM: u32 = u32::MAX - 0xffff;

/// Of these, those from here up belong to UDP sockets, and the last one to what other workers forward.
const UDP_FROM: u32 = u32::MAX - 0x7fff;
const FORWARDED: u32 = u32::MAX;

pub(crate) struct Worker<S: Service> {
    link: Arc<Link>,
    admission: Arc<Admission>,
    cx: Context,
    reactor: Reactor,
    acceptor: Acceptor,
    places: Places,
    open: usize,
    slots: Slots<S::Future>,
    service: S,
    wheel: Wheel,
    started: Instant,
    second: u64,
    /// The last turn was not followed by sleep, so its length is known when the next one begins.
    is_busy: bool,
    timer: Pin<Box<Sleep>>,
    /// When a drain that was asked for begins: the end of `drain_delay`.
    drain_at: Option<Tick>,
    drain_deadline: Option<Tick>,
    /// Connections that had an event in the midst of a request or response, or have work left over.
    later: VecDeque<Token>,
    /// Connections with work that waits for the next tick.
    next_tick: Vec<Token>,
    /// Connections with content that is not read because we hold too much.
    starved: Vec<Token>,
    /// Connections in the order in which they began to linger, some of them closed since.
    lingering: VecDeque<Token>,
    /// How many of them are open.
    lingering_open: usize,
    /// Emptied in every turn; kept for their memory.
    woken: Vec<u32>,
    woken_http2: Vec<Token>,
    expired: Vec<u32>,
    /// Connections whose deadlines may have passed.
    due: DueList,
    quic: Option<Box<Quic>>,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ended {
    /// Connections that were cut because the drain took too long, or was ended by force.
    pub(crate) cut: usize,
}

impl<S: Service> Worker<S> {
    /// Must be called inside the worker's tokio runtime.
    pub(crate) fn new(
        config: Arc<Config>,
        entries: Arc<Entries>,
        link: Arc<Link>,
        admission: Arc<Admission>,
        listeners: Vec<Listener>,
        quic: Option<quic::Setup>,
        service: S,
    ) -> std::io::Result<Worker<S>> {
        let reactor = Reactor::new()?;
        let mut acceptor = Acceptor::default();
        for listener in listeners {
            watch(&reactor, acceptor.add(listener, None))?;
        }
        let mut cx = Context::new(config, entries, link.counters.clone());
        let quic = quic.map(|setup| Quic::new(&cx, setup)).transpose()?;
        if let Some(quic) = &quic {
            cx.alt_svc = quic.alt_svc(cx.config.http3.alt_svc_max_age);
        }
        for (place, socket) in quic.iter().flat_map(Quic::descriptors) {
            watch_udp(&reactor, place, socket)?;
        }
        let mut worker = Worker {
            slots: Slots::new(Arc::clone(&link.queue)),
            link,
            admission,
            cx,
            reactor,
            acceptor,
            places: Places::default(),
            open: 0,
            service,
            wheel: Wheel::new(),
            started: Instant::now(),
            second: 0,
            is_busy: false,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            drain_at: None,
            drain_deadline: None,
            later: VecDeque::with_capacity(LIST_LEN),
            next_tick: Vec::new(),
            starved: Vec::new(),
            lingering: VecDeque::new(),
            lingering_open: 0,
            woken: Vec::with_capacity(LIST_LEN),
            woken_http2: Vec::new(),
            expired: Vec::with_capacity(LIST_LEN),
            due: DueList::new(),
            quic: quic.map(Box::new),
        };
        worker.read_clocks();
        Ok(worker)
    }

    /// One turn. Returns whether it found so little to do that the worker may sleep.
    fn turn(&mut self) -> std::io::Result<bool> {
        self.read_clocks();
        self.obey();
        let events = self.take_events()?;
        if self.acceptor.has_work() {
            self.accept(ACCEPTS_PER_TURN);
        }
        self.drive_woken();
        self.quic_turn();
        if !self.later.is_empty() || !self.due.is_empty() {
            let rest = self.since_turn_began();
            self.drive_later(rest);
            self.fire_deadlines(rest);
        }
        if !self.starved.is_empty() && !self.cx.held.is_above(self.bytes_max()) {
            self.feed_starved();
        }
        let has_work = !self.later.is_empty()
            || !self.due.is_empty()
            || self.acceptor.has_work()
            || self.quic.as_ref().is_some_and(|quic| quic.has_work());
        Ok(events < QUIET_EVENTS && !has_work)
    }

    /// Takes events, and returns how many. More than once, while most of them belong to connections that
    /// are left for later: so a new request does not wait behind a crowd of them.
    fn take_events(&mut self) -> std::io::Result<usize> {
        let (mut taken, mut driven) = (0, 0);
        for _ in 0..TAKES_PER_TURN {
            let events = self.reactor.take_events()?;
            taken += events;
            for at in 0..events {
                if let Some((token, flags)) = self.reactor.event(at) {
                    driven += usize::from(self.handle_event(token, flags));
                }
            }
            if !self.reactor.was_full() || driven > events / 2 {
                break;
            }
        }
        Ok(taken)
    }

    fn read_clocks(&mut self) {
        let micros = self.started.elapsed().as_micros() as u64;
        if self.is_busy {
            let turn = micros - self.cx.micros;
            self.cx.counters.turn_time.record(turn);
        }
        self.is_busy = true;
        self.cx.micros = micros;
        let now = Tick::try_from(micros / TICK_MICROS).unwrap_or(Tick::MAX - 1);
        let tick_passed = now != self.cx.now;
        self.cx.now = now;
        // A clock before 1970 counts as 1970.
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        if wall != self.second {
            self.second = wall;
            self.cx.date = ajay_http::date::imf_fixdate(wall);
            let date = self.cx.config.send_date.then_some(&self.cx.date);
            self.cx.opening.restart(self.cx.config.server_name, date);
        }
        if tick_passed {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.acceptor.resume(self.cx.now);
        self.wheel.expire(self.cx.now, &mut self.expired);
        for index in self.expired.drain(..) {
            self.due.push(index);
        }
        let limits = &self.cx.config.connections;
        self.cx.discard_bytes = limits.discard_bytes_per_tick();
        self.cx.tiny_frames = limits.tiny_frames_per_tick();
        for token in std::mem::take(&mut self.next_tick) {
            self.drive_queued(token);
        }
        // Readers may have taken what they had, on other threads and without a word to us.
        self.feed_starved();
        self.with_quic(|quic, desk, admission| quic.tick(desk, admission));
        if self.drain_at.is_some_and(|at| at <= self.cx.now) {
            self.begin_drain();
        }
        if self.cx.draining && !self.acceptor.is_closed() {
            self.close_listeners();
        }
        if self
            .drain_deadline
            .is_some_and(|deadline| deadline <= self.cx.now)
        {
            self.stop();
        }
    }

    /// Notes an event. True when its connection was driven at once.
    fn handle_event(&mut self, token: Token, flags: EventFlags) -> bool {
        if token.index >= UDP_FROM {
            let place = (token.index != FORWARDED).then(|| (token.index - UDP_FROM) as usize);
            if let Some(quic) = &mut self.quic {
                quic.note_event(place, flags);
            }
            return false;
        }
        if token.index >= LISTENERS_FROM {
            self.acceptor
                .set_ready((token.index - LISTENERS_FROM) as usize);
            return false;
        }
        let Some(mut connection) = self.places.take(token) else {
            return false;
        };
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP) {
            connection.readable = true;
        }
        if flags.contains(EventFlags::RDHUP) {
            connection.read_closed = true;
        }
        if flags.contains(EventFlags::ERR) {
            self.cx.counters.count(Counter::ConnectionErrors);
            connection.broken = true;
        } else if flags.contains(EventFlags::HUP) {
            // Both directions are closed. What arrived before is still read, but a response has
            // nobody to go to.
            connection.readable = true;
            connection.read_closed = true;
            connection.broken = connection.is_serving();
        } else if flags == EventFlags::OUT && connection.pending.is_none() {
            // A new socket is writable, which is no news.
            self.put_back(connection);
            return false;
        }
        if connection.is_in_midst() && !connection.broken {
            if !std::mem::replace(&mut connection.queued, true) {
                self.later.push_back(token);
            }
            self.put_back(connection);
            return false;
        }
        self.drive(connection);
        true
    }

    fn accept(&mut self, budget: u32) {
        for index in self.acceptor.ready() {
            for _ in 0..budget {
                let cx = &self.cx;
                let max = cx.config.connections.connections_per_worker_max;
                let is_full = max.is_some_and(|max| self.open >= max);
                match self
                    .acceptor
                    .accept(index, is_full, &self.admission, &cx.counters, cx.now)
                {
                    Attempt::Accepted(accepted) => self.add(accepted),
                    Attempt::Refused(socket) => refuse(&socket),
                    Attempt::Failed => {}
                    Attempt::Empty => break,
                }
            }
        }
    }

    fn add(&mut self, accepted: Accepted) {
        let Accepted {
            socket,
            peer,
            local,
            entry,
            is_counted,
        } = accepted;
        self.cx.counters.count(Counter::ConnectionsAccepted);
        self.open += 1;
        let token = self.places.reserve();
        let mut connection = Box::new(Connection::new(socket, token, peer, local, self.cx.now));
        connection.is_counted = is_counted;
        connection.entry = entry as u32;
        connection.is_settled = !self.cx.config.http2.cleartext;
        if self.cx.draining {
            connection.tell_to_go(self.cx.now);
        }
        if self.cx.entries.tls(entry).is_some() && !self.begin_tls(&mut connection, entry) {
            self.close(connection, Close::Plain);
            return;
        }
        if let Err(error) = self.reactor.register(&connection.socket, token) {
            tracing::warn!(%error, "cannot watch a connection");
            self.close(connection, Close::Plain);
            return;
        }
        self.put_back(connection);
    }

    /// Makes a connection speak TLS, unless there are too many that begin to.
    fn begin_tls(&mut self, connection: &mut Connection, entry: usize) -> bool {
        let Some(config) = self.cx.entries.tls(entry) else {
            return true;
        };
        if self.cx.handshakes >= self.cx.config.connections.handshakes_max {
            self.cx.counters.count(Counter::HandshakesRefused);
            return false;
        }
        match ajay_tls::Session::new(config) {
            Ok(session) => {
                self.cx.handshakes += 1;
                connection.tls = Some(Box::new(Tls::new(session)));
                connection.clock.restart(Wait::Handshake, self.cx.now);
                true
            }
            Err(failure) => {
                tracing::error!(%failure, "cannot begin a TLS session");
                false
            }
        }
    }

    fn drive_woken(&mut self) {
        let mut woken = std::mem::take(&mut self.woken);
        self.link.queue.take(&mut woken);
        for slot in woken.drain(..) {
            let Some(token) = self.slots.woken(slot) else {
                continue;
            };
            if token.index >= quic::CONNECTIONS_FROM {
                if let Some(quic) = &mut self.quic {
                    quic.wake(token, slot);
                }
                continue;
            }
            let Some(mut connection) = self.places.take(token) else {
                continue;
            };
            if let Some(http2) = &mut connection.http2 {
                // Driven below, once for all of its exchanges, so that they leave in one send.
                http2.woken.push(slot);
                if !std::mem::replace(&mut http2.is_listed, true) {
                    self.woken_http2.push(token);
                }
                self.put_back(connection);
            } else {
                connection.woken = true;
                self.drive(connection);
            }
        }
        self.woken = woken;
        let mut listed = std::mem::take(&mut self.woken_http2);
        for token in listed.drain(..) {
            if let Some(mut connection) = self.places.take(token) {
                if let Some(http2) = &mut connection.http2 {
                    http2.is_listed = false;
                }
                self.drive(connection);
            }
        }
        self.woken_http2 = listed;
    }

    /// Does what is to be done for QUIC.
    fn quic_turn(&mut self) {
        self.with_quic(|quic, desk, admission| quic.turn(desk, admission));
    }

    #[inline]
    fn with_quic(&mut self, work: impl FnOnce(&mut Quic, &mut Desk<'_, S>, &Admission)) {
        let Some(quic) = self.quic.as_deref_mut() else {
            return;
        };
        quic.set_now(self.started + Duration::from_micros(self.cx.micros));
        let mut desk = Desk {
            cx: &mut self.cx,
            slots: &mut self.slots,
            service: &self.service,
        };
        work(quic, &mut desk, &self.admission);
    }

    fn quic_open(&self) -> usize {
        self.quic.as_ref().map_or(0, |quic| quic.open())
    }

    fn since_turn_began(&self) -> Duration {
        let now = self.started.elapsed();
        now.saturating_sub(Duration::from_micros(self.cx.micros))
    }

    /// Drives connections that are in the midst of something, in the order in which that was found, for
    /// as long as the rest of the turn took.
    fn drive_later(&mut self, rest: Duration) {
        if self.later.is_empty() {
            return;
        }
        let until = self.started.elapsed() + rest.max(LATER_MIN);
        while let Some(token) = self.later.pop_front() {
            self.drive_queued(token);
            if self.started.elapsed() >= until {
                break;
            }
        }
    }

    /// Ends what has taken too long, for as long as the rest of the turn took: thousands of connections
    /// that came together have their deadlines together.
    fn fire_deadlines(&mut self, rest: Duration) {
        if self.due.is_empty() {
            return;
        }
        let until = self.started.elapsed() + rest.max(LATER_MIN);
        while let Some(index) = self.due.pop() {
            self.handle_due(index);
            if self.started.elapsed() >= until {
                break;
            }
        }
    }

    fn drive_queued(&mut self, token: Token) {
        if let Some(mut connection) = self.places.take(token) {
            connection.queued = false;
            self.drive(connection);
        }
    }

    fn bytes_max(&self) -> usize {
        self.cx.config.connections.buffered_bytes_max
    }

    /// Looks again at the connections for which no content was read.
    fn feed_starved(&mut self) {
        for token in std::mem::take(&mut self.starved) {
            if let Some(mut connection) = self.places.take(token) {
                connection.starving = Starving::No;
                self.drive(connection);
            }
        }
    }

    fn handle_due(&mut self, index: u32) {
        let Some(mut connection) = self.places.take_at(index) else {
            return;
        };
        let (mut tick, mut counter) = connection.clock.due(&self.cx.waits);
        if tick <= self.cx.now && counter == Counter::TimeoutWriteRate {
            connection.credit_kernel_queue();
            (tick, counter) = connection.clock.due(&self.cx.waits);
        }
        if tick > self.cx.now {
            self.put_back(connection);
            return;
        }
        let outcome = self.guarded(&mut connection, |session| session.timed_out(counter));
        self.settle(connection, outcome);
    }

    fn drive(&mut self, mut connection: Box<Connection>) {
        let outcome = self.guarded(&mut connection, |session| session.drive());
        self.settle(connection, outcome);
    }

    /// Runs a step of one connection. A defect of ours that panics in it costs that connection,
    /// and no other.
    fn guarded(
        &mut self,
        connection: &mut Connection,
        step: impl FnOnce(&mut Session<'_, S>) -> Outcome,
    ) -> Outcome {
        let mut session = self.session(connection);
        catch_unwind(AssertUnwindSafe(|| step(&mut session))).unwrap_or_else(|_| {
            tracing::error!("a connection was cut because the engine panicked on it");
            Outcome::Close(Close::Reset)
        })
    }

    fn session<'w>(&'w mut self, connection: &'w mut Connection) -> Session<'w, S> {
        Session::new(connection, &mut self.cx, &mut self.slots, &self.service)
    }

    fn settle(&mut self, mut connection: Box<Connection>, outcome: Outcome) {
        if connection.starving == Starving::Noticed {
            connection.starving = Starving::Listed;
            self.starved.push(connection.token);
        }
        match outcome {
            Outcome::Wait => self.put_back(connection),
            Outcome::Again => {
                if !std::mem::replace(&mut connection.queued, true) {
                    self.later.push_back(connection.token);
                }
                self.put_back(connection);
            }
            Outcome::NextTick => {
                if !std::mem::replace(&mut connection.queued, true) {
                    self.next_tick.push(connection.token);
                }
                self.put_back(connection);
            }
            Outcome::Close(how) => self.close(connection, how),
        }
    }

    fn close(&mut self, mut connection: Box<Connection>, how: Close) {
        let mut session = self.session(&mut connection);
        session.abandon();
        if how == Close::Plain {
            session.say_goodbye();
        }
        self.cx.held.replace(&mut connection.held, 0);
        if let Some(http2) = &mut connection.http2 {
            http2.count_waiting(&mut self.cx.waiting_streams);
        }
        // What was written for a connection that is cut goes to nobody.
        self.cx.outbox.clear();
        self.cx.sealed.clear();
        let index = connection.token.index;
        self.wheel.remove(index);
        self.places.release(index);
        self.open -= 1;
        self.cx.counters.count(Counter::ConnectionsClosed);
        if connection.is_counted {
            self.admission.leave_address(connection.peer);
        }
        self.admission.leave();
        self.acceptor.resume_now();
        self.lingering_open -= usize::from(connection.lingers);
        if how == Close::Reset {
            // With a linger time of zero, closing sends RST.
            let none = Some(Duration::ZERO);
            let _ = rustix::net::sockopt::set_socket_linger(&connection.socket, none);
        }
    }

    fn put_back(&mut self, mut connection: Box<Connection>) {
        let holds = connection.holds();
        self.cx.held.replace(&mut connection.held, holds);
        if let Some(http2) = &mut connection.http2 {
            http2.count_waiting(&mut self.cx.waiting_streams);
        }
        let index = connection.token.index;
        self.wheel
            .file(index, connection.clock.due(&self.cx.waits).0);
        let begins_to_linger = connection.ending == Ending::Lingering && !connection.lingers;
        connection.lingers |= begins_to_linger;
        let token = connection.token;
        self.places.put(connection);
        if begins_to_linger {
            self.note_lingering(token);
        }
    }

    /// One more connection lingers. Where they are too many, those whose clients have had the most time to
    /// see their last response are closed.
    #[cold]
    fn note_lingering(&mut self, token: Token) {
        self.lingering.push_back(token);
        self.lingering_open += 1;
        let max = self.cx.config.connections.lingering_max;
        while let Some(&oldest) = self.lingering.front() {
            let is_too_much = self.lingering_open > max;
            if !is_too_much && self.places.holds(oldest) {
                return;
            }
            self.lingering.pop_front();
            if let Some(connection) = self.places.take(oldest) {
                self.cx.counters.count(Counter::LingerCut);
                self.close(connection, Close::Plain);
            }
        }
    }

    /// Arms the timer while there is anything a tick could matter to. True when a tick is due
    /// already.
    fn poll_timer(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let is_draining = self.drain_at.is_some() || self.drain_deadline.is_some();
        let open = self.open + self.quic_open();
        let timer = self.quic.as_ref().and_then(|quic| quic.next_timer());
        let is_ticking = open > 0 || self.acceptor.is_paused() || is_draining;
        let tick = is_ticking.then(|| self.started + TICK * (self.cx.now + 1));
        let Some(next) = tick.into_iter().chain(timer).min() else {
            return false;
        };
        if self.timer.deadline().into_std() != next {
            self.timer.as_mut().reset(next.into());
        }
        self.timer.as_mut().poll(cx).is_ready()
    }

    fn is_done(&self) -> bool {
        self.cx.draining && self.open == 0 && self.quic_open() == 0 && self.acceptor.is_closed()
    }

    /// Runs until the drain is over.
    pub(crate) async fn run(mut self) -> std::io::Result<Ended> {
        std::future::poll_fn(|cx| self.poll_turns(cx)).await
    }

    fn poll_turns(&mut self, cx: &mut TaskContext<'_>) -> Poll<std::io::Result<Ended>> {
        self.link.queue.begin_turn(cx.waker());
        for _ in 0..TURNS_BEFORE_YIELD {
            // First of all: what arrives from here on is a new edge.
            let _ = self.reactor.poll_wake(cx)?;
            let quiet = self.turn()?;
            if self.is_done() {
                let cut = self.cx.counters.get(Counter::DrainCut) as usize;
                return Poll::Ready(Ok(Ended { cut }));
            }
            if !tokio::task::coop::has_budget_remaining() {
                break;
            }
            if !quiet || self.reactor.was_full() {
                continue;
            }
            if self.reactor.poll_wake(cx)?.is_ready() || self.poll_timer(cx) {
                continue;
            }
            if self.link.queue.end_turn() {
                self.is_busy = false;
                return Poll::Pending;
            }
        }
        // There is more to do, after tokio has had a look at its own.
        self.link.queue.end_turn();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Wants events of a listener.
fn watch(reactor: &Reactor, (index, socket): (usize, &OwnedFd)) -> std::io::Result<()> {
    let token = Token {
        index: LISTENERS_FROM + index as u32,
        generation: 0,
    };
    reactor.register(socket, token)
}

/// Wants events of a UDP socket, or of the one through which other workers forward.
fn watch_udp(reactor: &Reactor, place: Option<usize>, socket: &OwnedFd) -> std::io::Result<()> {
    let token = Token {
        index: place.map_or(FORWARDED, |place| UDP_FROM + place as u32),
        generation: 0,
    };
    reactor.register(socket, token)
}

/// Tells a client that it has too many connections, without keeping it.
///
/// A request that has arrived is taken off the socket: unread, it would turn the close into a
/// reset. One that comes later meets the reset when the response has arrived.
fn refuse(socket: &OwnedFd) {
    const RESPONSE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\
        Connection: close\r\n\r\n";
    let _ = rustix::net::send(socket, RESPONSE, rustix::net::SendFlags::NOSIGNAL);
    let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Write);
    let mut unread = [0; 4096];
    let _ = rustix::net::recv(socket, &mut unread, rustix::net::RecvFlags::empty());
}
