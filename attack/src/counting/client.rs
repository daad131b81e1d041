//! The loop of the counting client: one thread, one epoll instance, one queue of permissions to
//! send the next request.

mod streams;

use std::collections::VecDeque;
use std::io::Write as _;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::Socket;

use super::response::{Reader, Response};
use super::totals::{Phase, Totals};
use super::{Control, Place, Plan, http2};
use crate::events::{Poller, Seen, Timers, Token};
use crate::loopback::{Sources, connect};
use crate::{Protocol, Result};

/// Connections that are not answered yet: more would overflow the queue of the server's listener.
const CONNECTING_MAX: usize = 256;
/// After a connection was refused.
const BACK_OFF: Duration = Duration::from_millis(10);
/// After the last answer, for answers that nobody asked for.
const SETTLE: Duration = Duration::from_millis(50);
/// Between two looks at what other threads say.
const LOOK: Duration = Duration::from_millis(20);

/// Sends until the time is over, then waits for what is due.
pub(super) fn run(
    plan: &Plan,
    sources: Sources,
    until: Instant,
    control: &Control,
) -> Result<Totals> {
    let mut client = Client::new(plan, sources, control)?;
    client.play(until)?;
    Ok(client.finish())
}

struct Client<'a> {
    plan: &'a Plan,
    sources: Sources,
    control: &'a Control,
    poller: Poller,
    timers: Timers,
    slots: Vec<Slot>,
    /// Slots that want a connection.
    vacant: VecDeque<u32>,
    connecting: usize,
    /// Each may send one more request, when its turn has come.
    wanting: VecDeque<Token>,
    /// Requests that are under way.
    in_flight: usize,
    serial: u64,
    number: u64,
    now: Instant,
    started: Instant,
    last_answer: Instant,
    totals: Totals,
    received: Vec<u8>,
}

struct Slot {
    generation: u32,
    state: State,
}

enum State {
    Vacant,
    Connecting(Socket, Instant),
    Open(Connection),
}

struct Connection {
    socket: Socket,
    speech: Speech,
    /// Requests that are not answered, in the order in which they were sent.
    in_flight: VecDeque<Request>,
    /// What the kernel has not taken yet.
    unsent: Vec<u8>,
    /// Bytes that it took, since the connection was made.
    sent: u64,
    /// Requests so far.
    requests: u32,
    /// Permissions that the server's limits do not let us use now.
    withheld: usize,
    /// No further request goes here.
    closing: bool,
    /// Until the first byte of the first answer.
    connect_took: Option<Duration>,
}

/// What is spoken on a connection.
enum Speech {
    Http1(Reader),
    Http2(http2::Reader),
}

struct Request {
    number: u64,
    /// HTTP/2 only, as what of the answer has come.
    stream: u32,
    begun: Option<Response>,
    /// Where in what is sent on the connection it ends.
    end: u64,
    written: Option<Written>,
}

#[derive(Clone, Copy)]
pub(super) struct Written {
    pub(super) at: Instant,
    pub(super) after_mark: bool,
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Fin,
    Reset,
    /// We have no further use for it, or cannot make sense of it.
    Ours,
    /// The grace is over.
    GivenUp,
}

impl<'a> Client<'a> {
    fn new(plan: &'a Plan, sources: Sources, control: &'a Control) -> Result<Client<'a>> {
        let slots = (0..plan.connections).map(|_| Slot {
            generation: 0,
            state: State::Vacant,
        });
        let now = Instant::now();
        Ok(Client {
            plan,
            sources,
            control,
            poller: Poller::new()?,
            timers: Timers::default(),
            slots: slots.collect(),
            vacant: (0..plan.connections as u32).collect(),
            connecting: 0,
            wanting: VecDeque::new(),
            in_flight: 0,
            serial: 0,
            number: 0,
            now,
            started: now,
            last_answer: now,
            totals: Totals::default(),
            received: vec![0; 64 * 1024],
        })
    }

    fn play(&mut self, until: Instant) -> Result<()> {
        let mut ending: Option<Instant> = None;
        loop {
            self.now = Instant::now();
            if ending.is_none() && (self.now >= until || self.control.is_stopped()) {
                ending = Some(self.now);
            }
            if let Some(since) = ending {
                let quiet = self.in_flight == 0 && self.now >= self.last_answer + SETTLE;
                if quiet || self.now >= since + self.plan.grace {
                    return Ok(());
                }
            }
            while let Some(token) = self.timers.take_due(self.now) {
                self.timer(token);
            }
            let mut patience = LOOK;
            if ending.is_none() {
                self.open_vacant()?;
                patience = self.ask().min(LOOK);
            }
            if let Some(next) = self.timers.next() {
                patience = patience.min(next.saturating_duration_since(self.now));
            }
            for at in 0..self.poller.wait(patience)? {
                let (token, seen) = self.poller.get(at);
                self.now = Instant::now();
                self.event(token, seen);
            }
        }
    }

    fn open_vacant(&mut self) -> Result<()> {
        while self.connecting < CONNECTING_MAX
            && let Some(slot) = self.vacant.pop_front()
        {
            let serial = self.serial;
            self.serial += 1;
            match connect(self.plan.address, self.sources, serial, None) {
                Ok(socket) => {
                    let token = self.token(slot);
                    self.poller.add(&socket, token)?;
                    self.connecting += 1;
                    self.timers.arm(self.now, self.plan.connect_timeout, token);
                    self.slots[slot as usize].state = State::Connecting(socket, self.now);
                }
                Err(error) => {
                    if Errno::from_io_error(&error) == Some(Errno::CONNREFUSED) {
                        self.totals.connect_refused += 1;
                    } else {
                        self.totals.connect_failed += 1;
                    }
                    self.back_off(slot);
                }
            }
        }
        Ok(())
    }

    fn token(&self, slot: u32) -> Token {
        Token {
            slot,
            generation: self.slots[slot as usize].generation,
        }
    }

    fn back_off(&mut self, slot: u32) {
        let token = self.token(slot);
        self.timers.arm(self.now, BACK_OFF, token);
    }

    /// The slot's timers and permissions are void from now on.
    fn vacate(&mut self, slot: u32) -> State {
        let slot = &mut self.slots[slot as usize];
        slot.generation = slot.generation.wrapping_add(1);
        std::mem::replace(&mut slot.state, State::Vacant)
    }

    fn is_current(&self, token: Token) -> bool {
        self.slots[token.slot as usize].generation == token.generation
    }

    fn timer(&mut self, token: Token) {
        if !self.is_current(token) {
            return;
        }
        match self.slots[token.slot as usize].state {
            State::Vacant => self.vacant.push_back(token.slot),
            State::Connecting(_, since) => {
                self.totals.connect_timed_out += 1;
                self.connect_took(since);
                self.vacate(token.slot);
                self.vacant.push_back(token.slot);
            }
            State::Open(_) => {}
        }
    }

    /// A connection was established, refused or given up.
    fn connect_took(&mut self, since: Instant) -> Duration {
        self.connecting -= 1;
        let took = self.now.saturating_duration_since(since);
        self.totals.connect_max = self.totals.connect_max.max(took);
        took
    }

    fn event(&mut self, token: Token, seen: Seen) {
        if !self.is_current(token) {
            return;
        }
        let slot = token.slot as usize;
        if let State::Connecting(_, since) = self.slots[slot].state {
            if !seen.writable && !seen.broken {
                return;
            }
            self.connected(token, since, seen.broken);
        }
        if let State::Open(_) = self.slots[slot].state {
            self.receive(token.slot);
        }
        // Answers may have let further requests in.
        self.flush(token.slot);
    }

    fn connected(&mut self, token: Token, since: Instant, broken: bool) {
        let took = self.connect_took(since);
        let slot = &mut self.slots[token.slot as usize];
        let State::Connecting(socket, _) = std::mem::replace(&mut slot.state, State::Vacant) else {
            return;
        };
        if broken && matches!(socket.take_error(), Ok(Some(_))) {
            self.totals.connect_refused += 1;
            self.vacate(token.slot);
            self.back_off(token.slot);
            return;
        }
        let mut unsent = Vec::new();
        let speech = match self.plan.protocol {
            // HTTP/3 has a client of its own.
            Protocol::Http1 | Protocol::Http3 => Speech::Http1(Reader::default()),
            Protocol::Http2 => Speech::Http2(http2::Reader::new(&mut unsent)),
        };
        slot.state = State::Open(Connection {
            socket,
            speech,
            in_flight: VecDeque::with_capacity(self.plan.pipeline),
            unsent,
            sent: 0,
            requests: 0,
            withheld: 0,
            closing: false,
            connect_took: Some(took),
        });
        self.totals.connections += 1;
        for _ in 0..self.plan.pipeline {
            self.wanting.push_back(token);
        }
    }

    /// Sends requests where they are wanted, as far as the rate allows; how long until it allows
    /// the next.
    fn ask(&mut self) -> Duration {
        while let Some(token) = self.wanting.front().copied() {
            if let Some(rate) = self.plan.rate {
                let due = self.number as f64 / f64::from(rate);
                let elapsed = self
                    .now
                    .saturating_duration_since(self.started)
                    .as_secs_f64();
                if due > elapsed {
                    return Duration::from_secs_f64(due - elapsed);
                }
            }
            self.wanting.pop_front();
            if self.is_current(token) {
                self.begin(token.slot);
                // Requests that are pipelined leave together.
                let more = self.wanting.front() == Some(&token);
                if !more {
                    self.flush(token.slot);
                }
            }
        }
        LOOK
    }

    /// Puts a request behind what is to be sent, if one may go there.
    fn begin(&mut self, slot: u32) {
        let State::Open(connection) = &mut self.slots[slot as usize].state else {
            return;
        };
        let every = self.plan.new_connection_every.unwrap_or(u32::MAX);
        if connection.closing || connection.requests >= every {
            return;
        }
        let number = self.number + 1;
        let unsent = &mut connection.unsent;
        let stream = match &mut connection.speech {
            Speech::Http1(_) => {
                write_request(unsent, self.plan, number);
                0
            }
            Speech::Http2(reader) => {
                if !reader.has_room(connection.in_flight.len(), self.plan.place) {
                    connection.withheld += 1;
                    return;
                }
                reader.ask(unsent, self.plan, number)
            }
        };
        self.number = number;
        connection.requests += 1;
        connection.in_flight.push_back(Request {
            number,
            stream,
            begun: None,
            end: connection.sent + connection.unsent.len() as u64,
            written: None,
        });
        self.in_flight += 1;
    }

    /// Sends what the kernel takes, and notes which requests are now fully written.
    fn flush(&mut self, slot: u32) {
        let State::Open(connection) = &mut self.slots[slot as usize].state else {
            return;
        };
        let mut end = None;
        while !connection.unsent.is_empty() && end.is_none() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match send(&connection.socket, &connection.unsent, flags) {
                Ok(len) => {
                    connection.unsent.drain(..len);
                    connection.sent += len as u64;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => end = Some(End::Reset),
            }
        }
        // Read after the kernel has taken the bytes: a request that counts as written before the
        // mark was.
        let written = Written {
            after_mark: self.control.is_marked(),
            at: Instant::now(),
        };
        for request in &mut connection.in_flight {
            if request.written.is_none() && request.end <= connection.sent {
                request.written = Some(written);
                phase(&mut self.totals, written).written += 1;
            }
        }
        if end.is_some() {
            // An answer, or the reason, may have come before the reset.
            self.receive(slot);
            if let State::Open(_) = self.slots[slot as usize].state {
                self.end(slot, End::Reset);
            }
        }
    }

    fn receive(&mut self, slot: u32) {
        loop {
            let State::Open(connection) = &mut self.slots[slot as usize].state else {
                return;
            };
            match recv(
                &connection.socket,
                &mut self.received[..],
                RecvFlags::DONTWAIT,
            ) {
                Ok((0, _)) => return self.server_finished(slot),
                Ok((len, _)) => match &mut connection.speech {
                    Speech::Http1(reader) => {
                        reader.receive(&self.received[..len]);
                        first_byte(connection, &mut self.totals, self.now);
                        self.responses(slot);
                    }
                    Speech::Http2(reader) => {
                        reader.receive(&self.received[..len]);
                        self.frames(slot);
                    }
                },
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => return self.end(slot, End::Reset),
            }
        }
    }

    /// A response that ends with the connection is complete now.
    fn server_finished(&mut self, slot: u32) {
        if let State::Open(connection) = &mut self.slots[slot as usize].state
            && let Speech::Http1(reader) = &mut connection.speech
            && let Some(response) = reader.end()
        {
            self.response(slot, &response);
        }
        self.end(slot, End::Fin);
    }

    fn responses(&mut self, slot: u32) {
        while let State::Open(connection) = &mut self.slots[slot as usize].state
            && let Speech::Http1(reader) = &mut connection.speech
        {
            match reader.next() {
                Ok(Some(response)) => self.response(slot, &response),
                Ok(None) => {
                    let unasked = connection.in_flight.is_empty() && !reader.is_between();
                    if unasked {
                        self.unexpected(slot, "the beginning of another response");
                    }
                    return;
                }
                Err(broken) => {
                    let text = broken.to_string();
                    if connection.in_flight.is_empty() {
                        self.unexpected(slot, &text);
                    } else {
                        self.answer(slot, 0, Err(&text));
                        self.end(slot, End::Ours);
                    }
                    return;
                }
            }
        }
    }

    fn response(&mut self, slot: u32, response: &Response) {
        let State::Open(connection) = &mut self.slots[slot as usize].state else {
            return;
        };
        if connection.in_flight.is_empty() {
            return self.unexpected(slot, "another response");
        }
        connection.closing |= response.close;
        self.answer(slot, 0, Ok(response));
        self.settled(slot);
    }

    /// A request has come to its end: the next one may go out, or the connection has had its time.
    fn settled(&mut self, slot: u32) {
        let token = self.token(slot);
        let State::Open(connection) = &mut self.slots[slot as usize].state else {
            return;
        };
        let every = self.plan.new_connection_every.unwrap_or(u32::MAX);
        let used_up = connection.closing || connection.requests >= every;
        let is_between = match &connection.speech {
            Speech::Http1(reader) => reader.is_between(),
            Speech::Http2(_) => true,
        };
        if !used_up {
            self.wanting.push_back(token);
        } else if connection.in_flight.is_empty() && is_between {
            self.end(slot, End::Ours);
        }
    }

    /// The request at a place of the queue is answered: by a response, or by what is none.
    fn answer(&mut self, slot: u32, at: usize, answer: std::result::Result<&Response, &str>) {
        let State::Open(connection) = &mut self.slots[slot as usize].state else {
            return;
        };
        let Some(request) = connection.in_flight.remove(at) else {
            return;
        };
        self.in_flight -= 1;
        // A server may answer before it has read everything; what is unsent is not to be sent.
        let written = request.written.unwrap_or_else(|| {
            connection.closing = true;
            let written = Written {
                at: self.now,
                after_mark: self.control.is_marked(),
            };
            phase(&mut self.totals, written).written += 1;
            written
        });
        let totals = &mut self.totals;
        let waited = waited(totals, written, self.now);
        let gap = self.now.saturating_duration_since(self.last_answer);
        totals.longest_gap = totals.longest_gap.max(gap);
        self.last_answer = self.now;
        let number = request.number;
        match answer {
            Ok(response) if response.status != 200 => {
                phase(totals, written).other_status += 1;
                *totals.statuses.entry(response.status).or_default() += 1;
            }
            Ok(response) if !self.plan.echo || contains(&response.kept, number) => {
                phase(totals, written).answered += 1;
                totals.latency.add(waited);
            }
            Ok(response) => {
                phase(totals, written).mismatched += 1;
                totals.add_example(|| {
                    let kept = &response.kept[..response.kept.len().min(400)];
                    format!("request {number:012} got {}", kept.escape_ascii())
                });
            }
            Err(problem) => {
                phase(totals, written).mismatched += 1;
                totals.add_example(|| format!("request {number:012} got {problem}"));
            }
        }
    }

    fn unexpected(&mut self, slot: u32, what: &str) {
        self.totals.unexpected += 1;
        self.totals
            .add_example(|| format!("{what}, and no request waits for it"));
        self.end(slot, End::Ours);
    }

    /// The end of a connection is that of its requests; the slot gets another one.
    fn end(&mut self, slot: u32, end: End) {
        let State::Open(connection) = self.vacate(slot) else {
            return;
        };
        self.vacant.push_back(slot);
        if connection.in_flight.is_empty() && matches!(end, End::Fin | End::Reset) {
            self.totals.closed_idle += 1;
        }
        self.in_flight -= connection.in_flight.len();
        for request in connection.in_flight {
            let totals = &mut self.totals;
            lose(totals, &request, self.now);
            match end {
                End::Fin => totals.lost_by_fin += 1,
                End::Reset => totals.lost_by_reset += 1,
                End::GivenUp => totals.unanswered += 1,
                End::Ours => {}
            }
        }
    }

    fn finish(mut self) -> Totals {
        self.now = Instant::now();
        if self.in_flight > 0 {
            let gap = self.now.saturating_duration_since(self.last_answer);
            self.totals.longest_gap = self.totals.longest_gap.max(gap);
        }
        for slot in 0..self.slots.len() as u32 {
            match self.slots[slot as usize].state {
                State::Connecting(_, since) => {
                    // Not answered, but not overdue either.
                    self.connect_took(since);
                }
                State::Open(_) => self.end(slot, End::GivenUp),
                State::Vacant => {}
            }
        }
        self.totals.took = self.last_answer.saturating_duration_since(self.started);
        self.totals
    }
}

pub(super) fn phase(totals: &mut Totals, written: Written) -> &mut Phase {
    if written.after_mark {
        &mut totals.after
    } else {
        &mut totals.before
    }
}

fn lose(totals: &mut Totals, request: &Request, now: Instant) {
    match request.written {
        Some(written) => {
            phase(totals, written).lost_after_written += 1;
            waited(totals, written, now);
        }
        None => totals.lost_before_written += 1,
    }
}

pub(super) fn waited(totals: &mut Totals, written: Written, now: Instant) -> Duration {
    let waited = now.saturating_duration_since(written.at);
    totals.longest_wait = totals.longest_wait.max(waited);
    waited
}

/// The first byte that a new connection brings.
fn first_byte(connection: &mut Connection, totals: &mut Totals, now: Instant) {
    let written = connection.in_flight.front().and_then(|first| first.written);
    if let (Some(connected), Some(written)) = (connection.connect_took.take(), written) {
        let took = connected + now.saturating_duration_since(written.at);
        totals.first_answer_max = totals.first_answer_max.max(took);
    }
}

fn write_request(to: &mut Vec<u8>, plan: &Plan, number: u64) {
    let Plan {
        address,
        path,
        place,
        ..
    } = plan;
    let host = address.get();
    let root = if path.is_empty() { "/" } else { path };
    // Writing to a vector does not fail.
    let _ = match place {
        Place::Target => write!(
            to,
            "GET {path}/n/{number:012} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        ),
        Place::Field => write!(
            to,
            "GET {root} HTTP/1.1\r\nHost: {host}\r\nNumber: {number:012}\r\n\r\n"
        ),
        Place::Content => write!(
            to,
            "POST {root} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 12\r\n\r\n{number:012}"
        ),
    };
}

/// Whether the twelve digits of `number` stand in `bytes`, and not inside a longer number.
pub(super) fn contains(bytes: &[u8], number: u64) -> bool {
    let digits = format!("{number:012}");
    let is_digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    bytes.windows(digits.len()).enumerate().any(|(at, window)| {
        window == digits.as_bytes()
            && !is_digit(at.checked_sub(1))
            && !is_digit(Some(at + digits.len()))
    })
}
