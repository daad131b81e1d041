//! One HTTP/2 connection: many exchanges at once, on the same socket, buffers and deadlines as HTTP/1.
//!
//! A connection begins as HTTP/1 and becomes this when its first bytes are HTTP/2's preface, or when TLS
//! agreed on it. From then on [`Session::drive`] ends up here, and does in this order what can be done
//! now, until nothing more can be or the turn's budget is spent:
//!
//! | what | as long as |
//! |---|---|
//! | exchanges that were woken: their handlers, streamed bodies, content that was read | there are any |
//! | frames that came | the output that waits is not too much |
//! | content of responses, by the core's permission | the socket takes it |
//!
//! Unlike HTTP/1, reading goes on while output waits for the socket: a client may write until its own
//! output is gone before it reads ours.
//!
//! # A stream's states
//!
//! | state | is left when |
//! |---|---|
//! | handler runs | it returns a response, its deadline passes, or the client resets the stream |
//! | output waits | all of it was framed |
//! | a streamed body has nothing | its waker is used |
//! | response complete, content still comes | the content ends or is too much |

mod deadlines;
mod input;
mod output;

use ajay_h2::{Drain, Preface, StreamKey};
use bytes::Bytes;

use super::*;
use crate::connection::Clock;
use crate::deadline::Tick;

/// So many streams of a connection may wait for the client, however many of others do.
const WAITING_FREE: usize = 8;

/// What an HTTP/2 connection has beside what every connection has.
pub(crate) struct Http2 {
    core: ajay_h2::Connection,
    /// In the places of their keys.
    streams: Vec<Option<Stream>>,
    /// Exchanges whose wakers were used, and that were not looked at since.
    pub(crate) woken: Vec<u32>,
    /// Stands in the worker's list of connections with such exchanges.
    pub(crate) is_listed: bool,
    /// Content of responses that is here for them only and has not been framed.
    output_bytes: usize,
    /// How the client opens the connection's window, while content waits for that.
    window_clock: Clock,
    drain: DrainState,
    /// Streams that wait for the client: for content to come, or for responses to leave.
    waiting: usize,
    /// As many of them as the worker knows of.
    waiting_counted: usize,
    /// Streams that were reset because their client took nothing.
    stalls: u32,
    /// When the clocks of the streams were looked at.
    looked_at: Tick,
    /// What only a busy connection needs was given back, and none was opened since.
    is_shrunk: bool,
    /// Requests of the connection when that was last thought of.
    requests_seen: u32,
    /// The last tick in which tiny frames came, and how many.
    tiny_data: (Tick, u32),
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
    /// Content of its response that is to be framed next.
    output: Bytes,
    /// `output` is held for this response, and not shared with others.
    is_owned: bool,
    /// Nothing follows `output`.
    is_last: bool,
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
}

impl Http2 {
    /// Bytes that exist for this connection only.
    pub(crate) fn holds(&self) -> usize {
        self.output_bytes + self.core.capacity_bytes()
    }

    /// Whether requests are under way.
    pub(crate) fn is_serving(&self) -> bool {
        !self.core.is_idle()
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

    /// Corrects the worker's sum of streams that wait for their clients.
    pub(crate) fn count_waiting(&mut self, sum: &mut usize) {
        *sum = *sum - self.waiting_counted + self.waiting;
        self.waiting_counted = self.waiting;
    }

    fn insert(&mut self, stream: Stream) {
        let place = stream.key.slot();
        if self.streams.len() <= place {
            self.streams.resize_with(place + 1, || None);
        }
        self.streams[place] = Some(stream);
        self.is_shrunk = false;
    }

    /// Gives back what only a busy connection needs.
    fn shrink(&mut self) {
        self.core.shrink();
        self.streams = Vec::new();
        self.woken = Vec::new();
        self.is_shrunk = true;
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
}

impl<S: Service> Session<'_, S> {
    /// Looks at a connection's first bytes. False when more of them are needed.
    pub(super) fn settle_protocol(&mut self, input: &[u8]) -> bool {
        match Preface::find(input) {
            Preface::Partial => return false,
            Preface::Yes => self.become_http2(),
            Preface::No => {}
        }
        self.connection.is_settled = true;
        true
    }

    /// From here on the connection is an HTTP/2 one.
    pub(super) fn become_http2(&mut self) {
        self.connection.is_settled = true;
        self.cx.counters.count(Counter::Http2Connections);
        let core = ajay_h2::Connection::new(
            &self.cx.http2_config,
            self.cx.millis(),
            &mut self.cx.outbox.buffer,
        );
        self.connection.http2 = Some(Box::new(Http2 {
            core,
            streams: Vec::new(),
            woken: Vec::new(),
            is_listed: false,
            output_bytes: 0,
            window_clock: Clock::new(self.cx.now),
            drain: DrainState::No,
            waiting: 0,
            waiting_counted: 0,
            stalls: 0,
            looked_at: self.cx.now,
            is_shrunk: false,
            requests_seen: 0,
            tiny_data: (self.cx.now, 0),
        }));
    }

    /// Does what can be done now.
    pub(super) fn run_http2(&mut self) -> Result<Outcome, Close> {
        self.poll_woken();
        self.look_at_streams();
        let mut is_full = false;
        loop {
            if self.connection.broken {
                return Err(self.cut_http2());
            }
            self.advance_drain();
            let must_flush = self.cx.outbox.len() >= OUTBOX_BYTES;
            // A socket that is full stays so for this turn.
            if !is_full && (must_flush || self.connection.pending.is_some()) {
                is_full = !self.flush()?;
            }
            match self.connection.ending {
                Ending::Open => {}
                Ending::Lingering => return self.linger(),
                Ending::CloseAfterOutput | Ending::LingerAfterOutput => return Ok(Outcome::Wait),
            }
            if self.budget == 0 {
                return Ok(Outcome::Again);
            }
            let mut progress = self.may_read_frames() && self.read_input()?;
            if self.connection.ending == Ending::Open && self.connection.pending.is_none() {
                progress |= self.send_content()?;
            }
            if self.is_http2_over() && self.connection.ending == Ending::Open {
                self.connection.ending = if self.connection.eof {
                    Ending::CloseAfterOutput
                } else {
                    Ending::LingerAfterOutput
                };
                progress = true;
            }
            if !progress {
                // What was answered in this turn leaves first.
                if self.connection.eof && !self.cx.config.half_close {
                    let _ = self.flush()?;
                    return Err(self.cut_http2());
                }
                return Ok(self.http2_rests());
            }
        }
    }

    /// Nothing can be done now. What the client was told of the end is followed up in the next tick.
    fn http2_rests(&mut self) -> Outcome {
        if self.sends_too_much_tiny_data() {
            self.cx.counters.count(Counter::InputDeferred);
            return Outcome::NextTick;
        }
        match self.http2().map(|http2| http2.drain) {
            Some(DrainState::Announced(_)) => Outcome::NextTick,
            _ => Outcome::Wait,
        }
    }

    fn http2(&mut self) -> Option<&mut Http2> {
        self.connection.http2.as_deref_mut()
    }

    /// Whether too many streams of the worker wait for their clients, and this connection has more than a
    /// few of them.
    fn is_crowded(&self) -> bool {
        let http2 = self.connection.http2.as_deref();
        http2.is_some_and(|http2| {
            let others = self.cx.waiting_streams - http2.waiting_counted;
            http2.waiting > WAITING_FREE
                && others + http2.waiting > self.cx.config.http2.waiting_streams_max
        })
    }

    fn is_http2_over(&mut self) -> bool {
        self.http2()
            .is_some_and(|http2| http2.core.wants_close() && http2.core.is_idle())
    }

    fn abandon_stream(&mut self, stream: &Stream) {
        let Some(slot) = stream.exchange else {
            return;
        };
        let is_running = self.slots.get(slot).is_running();
        self.cx.counters.count(match is_running {
            true => Counter::HandlersCancelled,
            false => Counter::ResponsesAborted,
        });
        if let Some(feed) = &self.slots.get(slot).feed {
            feed.end(Err(ContentError::Incomplete), None);
        }
        self.end_exchange(stream.key, slot);
    }

    /// Gives back what all streams hold.
    pub(super) fn abandon_streams(&mut self) {
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        (http2.output_bytes, http2.waiting) = (0, 0);
        for stream in std::mem::take(&mut http2.streams).into_iter().flatten() {
            self.abandon_stream(&stream);
        }
    }

    /// Ends the connection at once. Responses that have begun must not look complete, which their
    /// frames see to.
    fn cut_http2(&mut self) -> Close {
        if self.connection.pending.is_some() {
            return Close::Reset;
        }
        Close::Plain
    }

    /// Goes on with the end of the connection where it has been asked for.
    fn advance_drain(&mut self) {
        let (now, is_wanted) = (self.cx.now, self.is_last_request());
        let clock = &self.connection.clock;
        let is_past_lifetime = is_wanted && clock.is_past_lifetime(&self.cx.waits, now);
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        let out = &mut self.cx.outbox.buffer;
        match http2.drain {
            DrainState::No if is_wanted => {
                if is_past_lifetime && http2.core.is_idle() {
                    self.cx.counters.count(Counter::TimeoutLifetime);
                }
                http2.core.drain(Drain::Announce, out);
                http2.drain = DrainState::Announced(now);
            }
            // By now the client has seen it, and what it had sent before has come.
            DrainState::Announced(at) if at < now => {
                http2.core.drain(Drain::Last, out);
                http2.drain = DrainState::Last;
            }
            _ => {}
        }
    }
}
