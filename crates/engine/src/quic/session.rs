//! One HTTP/3 connection: moves requests and responses between its transport, its core and its handlers.
//!
//! [`Session::drive`] does what can be done now, in this order:
//!
//! | what | as long as |
//! |---|---|
//! | events of the transport: the handshake, streams that are readable, reset or stopped | there are any |
//! | exchanges that were woken: their handlers, streamed bodies, content that was read | there are any |
//! | what came on streams: frames to the core, requests to handlers, content to feeds | the turn's budget lasts |
//! | content of responses, by the core's permission | the transport takes it |
//!
//! Datagrams are made of it after that, by the caller.
//!
//! A request's stream is read as far as somebody wants its content: what is not read holds the client
//! back by the stream's window. A response is written as far as the transport's windows and
//! `send_ahead_bytes` allow; the rest waits here, where the core decides whose turn it is.

mod deadlines;
mod input;
mod output;

use std::sync::Arc;
use std::time::Instant;

use ajay_h3::{Drain, ErrorCode, StreamKey, UniStream, Violation};
use bytes::{Bytes, BytesMut};
use quinn_proto::{ConnectionError, Dir, Event as TransportEvent, StreamEvent, StreamId, VarInt};

use super::connection::{Connection, Phase};
use crate::connection::{Clock, Wait};
use crate::content::ContentError;
use crate::counters::Counter;
use crate::deadline::Tick;
use crate::desk::Desk;
use crate::service::Service;
use crate::tls::TlsInfo;

/// A connection at work, with everything of its worker that it needs.
pub(super) struct Session<'s, 'd, S: Service> {
    connection: &'s mut Connection,
    desk: &'s mut Desk<'d, S>,
    scratch: &'s mut Scratch,
    now: Instant,
    /// Requests and pieces this turn may still take.
    budget: u32,
    /// What it still has to do can wait for the next tick.
    is_deferred: bool,
}

/// What sessions need for a moment, kept by the worker for its memory.
#[derive(Default)]
pub(super) struct Scratch {
    /// What one read took off a stream.
    chunks: Vec<Bytes>,
    /// Frames on their way to a stream.
    frames: Vec<u8>,
    /// Frames are copied into this and handed to the transport as parts of it.
    block: BytesMut,
}

/// What becomes of a connection after a turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It waits for an event, a wake-up or a deadline.
    Wait,
    /// It has work left: drive it again in the next turn.
    Again,
    /// It has work that is not urgent: drive it again in the next tick.
    NextTick,
    /// Nothing more is to be done for it, and nothing said to its client.
    Forget,
}

/// What a connection has from the end of its handshake to its own end.
pub(crate) struct Http3 {
    core: ajay_h3::Connection,
    /// In the places of their keys.
    streams: Vec<Option<Stream>>,
    /// Streams that may have something to read.
    readable: Vec<StreamId>,
    /// What came after field sections that wait for others, and whether the stream ends with it. There are no
    /// more than may be blocked.
    held: Vec<(StreamId, Vec<Bytes>, bool)>,
    /// Our unidirectional streams, once they are open.
    ours: [Option<StreamId>; 3],
    /// Exchanges whose wakers were used, and that were not looked at since.
    pub(super) woken: Vec<u32>,
    /// Content of responses that is here for them only and was not handed over.
    output_bytes: usize,
    drain: DrainState,
    /// Streams that wait for the client: for content to come, or for responses to leave.
    waiting: usize,
    /// As many of them as the worker knows of.
    waiting_counted: usize,
    /// Streams that were reset because their client took nothing.
    stalls: u32,
    /// When the clocks of the streams were looked at.
    looked_at: Tick,
    /// Requests of the connection when its being idle was last thought of.
    requests_seen: u32,
    /// What only a busy connection needs was given back, and no stream was opened since.
    is_shrunk: bool,
    /// The last tick in which tiny frames came, and how many.
    tiny_data: (Tick, u32),
    /// Packets that were lost so far, and until when the last of them may still be missed.
    lost: (u64, Option<Instant>),
}

/// How far the end of the connection is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DrainState {
    No,
    /// The client was asked to open no more streams, at this tick.
    Announced(Tick),
    Last,
}

struct Stream {
    key: StreamKey,
    /// Where its handler or streamed body is; none when the response is complete.
    exchange: Option<u32>,
    /// When its head was complete, in microseconds of the worker's clock.
    began: u64,
    clock: Clock,
    /// Frames that go before `output`, and that the transport has not taken.
    frames: Bytes,
    /// Content of its response that is to be handed over next.
    output: Bytes,
    /// How much of that is in a frame of which the header is in `frames`, or was handed over.
    framed: usize,
    /// `output` is held for this response, and not shared with others.
    is_owned: bool,
    /// Nothing follows `output`.
    is_last: bool,
    /// Its content is not read until somebody wants it.
    is_unread: bool,
    /// The client holds its content back until it is asked for it.
    is_held_back: bool,
    /// Content that is still to come, where its length is known.
    remaining: Option<u64>,
    /// Content thrown away since the response was complete.
    discarded: u64,
}

impl Stream {
    fn waits_for_client(&self) -> bool {
        matches!(self.clock.wait(), Wait::Content | Wait::Write)
    }

    fn id(&self) -> StreamId {
        stream_id(self.key.id())
    }
}

/// A stream's number as the transport's type; ours never has one that is too large.
fn stream_id(number: u64) -> StreamId {
    StreamId::from(VarInt::from_u64(number).unwrap_or(VarInt::MAX))
}

impl Http3 {
    fn new(core: ajay_h3::Connection, now: Tick) -> Http3 {
        Http3 {
            core,
            streams: Vec::new(),
            readable: Vec::new(),
            held: Vec::new(),
            ours: [None; 3],
            woken: Vec::new(),
            output_bytes: 0,
            drain: DrainState::No,
            waiting: 0,
            waiting_counted: 0,
            stalls: 0,
            looked_at: now,
            requests_seen: 0,
            is_shrunk: false,
            tiny_data: (now, 0),
            lost: (0, None),
        }
    }

    /// Bytes that exist for this connection only.
    pub(super) fn holds(&self) -> usize {
        self.output_bytes + self.core.capacity_bytes()
    }

    /// Corrects the worker's sum of streams that wait for their clients.
    pub(super) fn count_waiting(&mut self, sum: &mut usize) {
        *sum = *sum - self.waiting_counted + self.waiting;
        self.waiting_counted = self.waiting;
    }

    fn stream(&mut self, key: StreamKey) -> Option<&mut Stream> {
        let stream = self.streams.get_mut(key.slot())?.as_mut()?;
        (stream.key == key).then_some(stream)
    }

    /// Changes what a stream waits for.
    fn set_clock(&mut self, key: StreamKey, change: impl FnOnce(&mut Clock)) {
        let Some(stream) = self.stream(key) else {
            return;
        };
        let before = stream.waits_for_client();
        change(&mut stream.clock);
        let after = stream.waits_for_client();
        self.waiting = self.waiting + usize::from(after) - usize::from(before);
    }

    fn insert(&mut self, stream: Stream) {
        let place = stream.key.slot();
        if self.streams.len() <= place {
            self.streams.resize_with(place + 1, || None);
        }
        self.streams[place] = Some(stream);
        self.is_shrunk = false;
    }

    fn remove(&mut self, key: StreamKey) -> Option<Stream> {
        self.stream(key)?;
        let stream = self.streams.get_mut(key.slot())?.take()?;
        if stream.is_owned {
            self.output_bytes -= stream.output.len();
        }
        self.waiting -= usize::from(stream.waits_for_client());
        Some(stream)
    }

    /// Gives back what only a busy connection needs.
    fn shrink(&mut self) {
        self.core.shrink();
        self.streams = Vec::new();
        self.readable = Vec::new();
        self.woken = Vec::new();
        self.is_shrunk = true;
    }

    fn is_readable(&mut self, stream: StreamId) {
        if !self.readable.contains(&stream) {
            self.readable.push(stream);
        }
    }
}

/// Requests and pieces that one connection may take in a turn, as over TCP.
const TURN_BUDGET: u32 = 128;
/// And as long as it has little to do: beyond that others go first. A request takes three, with its head and its content.
const TURN_BUDGET_LIGHT: u32 = 40;

const fn turn_budget(connection: &Connection) -> u32 {
    match connection.balance.is_heavy() {
        true => TURN_BUDGET,
        false => TURN_BUDGET_LIGHT,
    }
}

impl<'s, 'd, S: Service> Session<'s, 'd, S> {
    pub(super) fn new(
        connection: &'s mut Connection,
        desk: &'s mut Desk<'d, S>,
        scratch: &'s mut Scratch,
        now: Instant,
    ) -> Session<'s, 'd, S> {
        let budget = turn_budget(connection);
        Session {
            connection,
            desk,
            scratch,
            now,
            budget,
            is_deferred: false,
        }
    }

    /// The same, after what came, or a part of it.
    pub(super) fn take_in_and_drive(&mut self) -> Outcome {
        self.connection.take_in();
        self.drive()
    }

    /// Does what can be done now.
    pub(super) fn drive(&mut self) -> Outcome {
        self.take_events();
        if self.connection.phase != Phase::Open {
            return Outcome::Wait;
        }
        self.allow_sending();
        self.poll_woken();
        self.look_at_streams();
        self.advance_drain();
        self.read_streams();
        self.send_content();
        self.send_own_streams();
        self.set_clock();
        if turn_budget(self.connection).saturating_sub(self.budget) >= TURN_BUDGET_LIGHT {
            self.connection.balance.note_much();
        }
        let has_readable = self.http().is_some_and(|http| !http.readable.is_empty());
        if self.is_deferred {
            Outcome::NextTick
        } else if self.budget == 0 || has_readable {
            Outcome::Again
        } else {
            Outcome::Wait
        }
    }

    fn http(&mut self) -> Option<&mut Http3> {
        self.connection.http.as_deref_mut()
    }

    /// What the transport has to say.
    fn take_events(&mut self) {
        while let Some(event) = self.connection.transport.poll() {
            match event {
                TransportEvent::Connected => self.connected(),
                TransportEvent::ConnectionLost { reason } => self.lost(&reason),
                TransportEvent::Stream(event) if self.connection.phase == Phase::Open => {
                    self.stream_event(event);
                }
                // What comes after a rule was broken is not looked at.
                TransportEvent::Stream(_)
                | TransportEvent::HandshakeDataReady
                | TransportEvent::DatagramReceived
                | TransportEvent::DatagramsUnblocked => {}
            }
        }
    }

    #[cold]
    fn connected(&mut self) {
        self.end_handshake();
        let cx = &mut *self.desk.cx;
        cx.counters.count(Counter::TlsHandshakes);
        cx.counters.count(Counter::Http3Connections);
        let session = self.connection.transport.crypto_session();
        self.connection.tls = Some(Arc::new(TlsInfo::of_quic(session)));
        let core = ajay_h3::Connection::new(&cx.http3_config, cx.millis());
        self.connection.http = Some(Box::new(Http3::new(core, cx.now)));
        self.connection.phase = Phase::Open;
        self.connection.credit = None;
        self.connection.clock.restart(Wait::FirstByte, cx.now);
    }

    /// A handshake that does not go on any more makes room for another.
    fn end_handshake(&mut self) {
        if self.connection.phase == Phase::Handshake {
            self.desk.cx.handshakes -= 1;
        }
    }

    /// The transport is at its end: the client has closed the connection, broke a rule, or is silent.
    #[cold]
    fn lost(&mut self, reason: &ConnectionError) {
        let counters = &self.desk.cx.counters;
        let in_handshake = self.connection.phase == Phase::Handshake;
        match reason {
            ConnectionError::TimedOut => counters.count(Counter::TimeoutIdle),
            ConnectionError::LocallyClosed | ConnectionError::ApplicationClosed(_) => {}
            _ if in_handshake => counters.count(Counter::TlsFailures),
            ConnectionError::TransportError(_) => counters.count(Counter::Violations),
            _ => counters.count(Counter::ConnectionErrors),
        }
        tracing::debug!(peer = %self.connection.peer, %reason, "a QUIC connection ended");
        self.over();
    }

    fn stream_event(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Opened { dir } => {
                while let Some(stream) = self.connection.transport.streams().accept(dir) {
                    if let Some(http) = self.http() {
                        http.readable.push(stream);
                    }
                }
            }
            StreamEvent::Readable { id } => {
                if let Some(http) = self.http() {
                    http.is_readable(id);
                }
            }
            StreamEvent::Writable { id } => {
                if let Some(http) = self.http()
                    && let Some(key) = http.core.key_of(id.into())
                {
                    self.push(key);
                }
            }
            StreamEvent::Stopped { id, error_code } => {
                self.stopped(id, error_code.into_inner());
            }
            StreamEvent::Finished { .. } | StreamEvent::Available { .. } => {}
        }
    }

    /// Lets the transport take what fills the path, and a little more.
    ///
    /// It counts all that it keeps, and it keeps what was acknowledged behind a gap. So after a loss the gap
    /// would take up the window, and nothing new be sent until it is filled.
    fn allow_sending(&mut self) {
        let transport = &mut self.connection.transport;
        let path = transport.stats().path;
        let mut window = path.cwnd;
        if let Some(http) = self.connection.http.as_deref_mut() {
            if http.lost.0 != path.lost_packets {
                http.lost = (
                    path.lost_packets,
                    Some(self.now + path.rtt * GAP_ROUND_TRIPS),
                );
            }
            if http.lost.1.is_some_and(|until| self.now < until) {
                window = window.saturating_mul(GAP_WINDOWS);
            }
        }
        let ahead = u64::from(self.desk.cx.config.quic.send_ahead_bytes);
        transport.set_send_window(window.min(SEND_WINDOW_MAX) + ahead);
    }

    /// Hands the bytes of our own streams over.
    fn send_own_streams(&mut self) {
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        let transport = &mut self.connection.transport;
        for (place, kind) in UniStream::ALL.into_iter().enumerate() {
            loop {
                let bytes = http.core.output(kind);
                if bytes.is_empty() {
                    break;
                }
                let stream = match http.ours[place] {
                    Some(stream) => stream,
                    None => {
                        let Some(stream) = transport.streams().open(Dir::Uni) else {
                            break;
                        };
                        // Before content: what is said here lets the client go on.
                        let _ = transport.send_stream(stream).set_priority(1);
                        *http.ours[place].insert(stream)
                    }
                };
                match transport.send_stream(stream).write(bytes) {
                    Ok(written) => http.core.consume_output(kind, written),
                    Err(_) => break,
                }
            }
        }
        if http.core.has_too_much_output() {
            self.connection_violated(Violation::AcknowledgmentsPiledUp);
        }
    }

    /// Carries out what the core wants of the transport.
    fn obey(&mut self) {
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        let transport = &mut self.connection.transport;
        while let Some(command) = http.core.poll_command() {
            // A stream that is over needs neither.
            match command {
                ajay_h3::Command::StopSending { stream, code } => {
                    let _ = transport.recv_stream(stream_id(stream)).stop(number(code));
                }
                ajay_h3::Command::Reset { stream, code } => {
                    let _ = transport.send_stream(stream_id(stream)).reset(number(code));
                }
            }
        }
    }

    /// Ends the connection: the client is told why, and nothing more is read.
    fn close(&mut self, code: ErrorCode) {
        self.connection
            .transport
            .close(self.now, number(code), Bytes::new());
        self.over();
    }

    /// Nothing is served on this connection any more.
    fn over(&mut self) {
        self.end_handshake();
        self.abandon_streams();
        self.connection.phase = Phase::Closing;
        self.connection
            .clock
            .restart(Wait::Nothing, self.desk.cx.now);
    }

    /// Ends the connection at the end of a drain.
    pub(super) fn cut(&mut self) -> Outcome {
        self.close(ErrorCode::NO_ERROR);
        Outcome::Forget
    }

    /// Ends a connection without a word.
    pub(super) fn forget(&mut self) -> Outcome {
        self.over();
        Outcome::Forget
    }

    /// Gives back what the connection holds.
    pub(super) fn abandon(&mut self) {
        if self.connection.phase != Phase::Closing {
            self.over();
        }
    }

    /// Gives back what all streams hold.
    fn abandon_streams(&mut self) {
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        (http.output_bytes, http.waiting) = (0, 0);
        for stream in std::mem::take(&mut http.streams).into_iter().flatten() {
            self.abandon_stream(&stream);
        }
    }

    fn abandon_stream(&mut self, stream: &Stream) {
        let Some(slot) = stream.exchange else {
            return;
        };
        let place = self.desk.slots.get(slot);
        let counter = match place.is_running() {
            true => Counter::HandlersCancelled,
            false => Counter::ResponsesAborted,
        };
        if let Some(feed) = &place.feed {
            feed.end(Err(ContentError::Incomplete), None);
        }
        self.desk.cx.counters.count(counter);
        self.end_exchange(slot);
    }

    fn is_last_request(&self) -> bool {
        let cx = &self.desk.cx;
        let limit = cx.config.connections.requests_per_connection_max;
        cx.draining
            || limit.is_some_and(|max| self.connection.requests >= max)
            || self.connection.clock.is_past_lifetime(&cx.waits, cx.now)
    }

    /// Goes on with the end of the connection where it has been asked for.
    fn advance_drain(&mut self) {
        let (now, is_wanted) = (self.desk.cx.now, self.is_last_request());
        let Some(http) = self.http() else {
            return;
        };
        match http.drain {
            DrainState::No if is_wanted => {
                http.core.drain(Drain::Announce);
                http.drain = DrainState::Announced(now);
            }
            // By now the client has seen it, and what it had sent before has come.
            DrainState::Announced(at) if at < now => {
                http.core.drain(Drain::Last);
                http.drain = DrainState::Last;
            }
            _ => {}
        }
    }
}

/// An error code as the transport's type.
fn number(code: ErrorCode) -> VarInt {
    VarInt::from_u64(code.value()).unwrap_or(VarInt::MAX)
}

/// A gap is noticed after a round trip, and filled after another, unless the packet is lost again.
const GAP_ROUND_TRIPS: u32 = 3;

/// What comes behind a gap until it is filled: measured, with two of a hundred packets lost, 64 % of the
/// goodput with one window, 105 % with two, 113 % with three, 115 % with four.
const GAP_WINDOWS: u64 = 3;

/// The most that a connection's transport may hold, sent or not, until it is acknowledged: a gigabit
/// over 80 ms.
const SEND_WINDOW_MAX: u64 = 10 * 1024 * 1024;
