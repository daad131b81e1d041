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

use std::task::Context as TaskContext;

use ajay_h2::{Drain, EofEffect, ErrorCode, Event, Misuse, Preface, Reading, StreamKey, Violation};
use ajay_http::{ContentSize, ResponseHead, SendBody};
use bytes::Bytes;

use super::*;
use crate::body::{Kind, Piece};
use crate::connection::{Clock, STREAMS_TICKS};
use crate::deadline::Tick;
use crate::outbox::COPY_BYTES_MAX;

/// What an HTTP/2 connection has beside what every connection has.
pub(crate) struct Http2 {
    core: ajay_h2::Connection,
    /// In the places of their keys.
    streams: Vec<Option<Stream>>,
    /// Exchanges whose wakers were used, and that were not looked at since.
    pub(crate) woken: Vec<u32>,
    /// Stands in the worker's list of connections with such exchanges.
    pub(crate) is_listed: bool,
    /// Content of responses that is here and has not been framed.
    output_bytes: usize,
    drain: DrainState,
    /// Streams that were reset because their client took nothing.
    stalls: u32,
    /// When the clocks of the streams were looked at.
    looked_at: Tick,
    /// What only a busy connection needs was given back, and none was opened since.
    is_shrunk: bool,
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
    /// Nothing follows `output`.
    is_last: bool,
    /// The client holds its content back until it is asked for it.
    is_held_back: bool,
    /// Content that is still to come, where its length is known.
    remaining: Option<u64>,
    /// Content thrown away since the response was complete.
    discarded: u64,
}

/// A request of which the content may be here already.
struct Opening {
    head: Head,
    parts: Box<Parts>,
    gathered: Vec<u8>,
}

/// What the core tells of a request beside its fields.
#[derive(Clone, Copy)]
struct Head {
    key: StreamKey,
    content_length: Option<u64>,
    expect_continue: bool,
}

/// A client that lets so many responses stall until their deadline does it on purpose.
const STALLS_MAX: u32 = 8;

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
        self.output_bytes -= stream.output.len();
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
            drain: DrainState::No,
            stalls: 0,
            looked_at: self.cx.now,
            is_shrunk: false,
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
        match self.http2().map(|http2| http2.drain) {
            Some(DrainState::Announced(_)) => Outcome::NextTick,
            _ => Outcome::Wait,
        }
    }

    fn http2(&mut self) -> Option<&mut Http2> {
        self.connection.http2.as_deref_mut()
    }

    fn is_http2_over(&mut self) -> bool {
        self.http2()
            .is_some_and(|http2| http2.core.wants_close() && http2.core.is_idle())
    }

    /// Whether more frames may be used now.
    fn may_read_frames(&self) -> bool {
        let waiting = self.connection.pending.as_ref().map_or(0, |all| all.len());
        waiting + self.cx.outbox.len() < self.cx.http2_config.output_bytes_max
    }

    /// Feeds the core and does what it says. Returns how many bytes are used up.
    pub(super) fn use_frames(&mut self, input: &[u8]) -> usize {
        let (mut used, mut steps) = (0, 0);
        let mut opening: Option<Opening> = None;
        let mut parts = self.take_parts();
        while self.connection.ending == Ending::Open && self.budget > 0 && self.may_read_frames() {
            steps += 1;
            if steps % input::BUDGET_STEPS == 0 {
                self.budget = self.budget.saturating_sub(1);
            }
            let Some(http2) = self.connection.http2.as_deref_mut() else {
                break;
            };
            let step = http2.core.next_event(
                &self.cx.http2_config,
                self.cx.micros / 1000,
                &input[used..],
                &mut parts.head,
                &mut self.cx.outbox.buffer,
            );
            let step = match step {
                Ok(step) => step,
                Err(violation) => {
                    // What came whole before is still a request, but nobody reads an answer.
                    if let Some(opening) = opening.take() {
                        opening.parts.recycle();
                    }
                    self.connection_violated(violation);
                    used = input.len();
                    break;
                }
            };
            used += step.consumed;
            match step.event {
                Event::Data { key, data } => {
                    let room = self.cx.config.connections.content_buffer_bytes_max;
                    match &mut opening {
                        Some(first)
                            if first.head.key == key
                                && first.gathered.len() + data.len() <= room =>
                        {
                            first.gathered.extend_from_slice(data);
                        }
                        _ => {
                            self.begin_opened(&mut opening);
                            self.stream_content(key, data);
                        }
                    }
                    continue;
                }
                Event::EndOfContent { key } => {
                    let trailers = http2.core.take_trailers();
                    match opening.take_if(|first| first.head.key == key) {
                        Some(Opening {
                            head,
                            parts,
                            gathered,
                        }) => {
                            let len = gathered.len() as u32;
                            http2.core.release(key, len, &mut self.cx.outbox.buffer);
                            let content = InitialContent::Complete(gathered.into(), trailers);
                            self.begin_stream(head, parts, content);
                        }
                        None => self.stream_content_ended(key, trailers),
                    }
                    continue;
                }
                _ => self.begin_opened(&mut opening),
            }
            match step.event {
                Event::Request {
                    key,
                    end_of_content,
                    content_length,
                    expect_continue,
                } => {
                    let head = Head {
                        key,
                        content_length,
                        expect_continue,
                    };
                    let request = std::mem::replace(&mut parts, self.take_parts());
                    if self.holds_too_much() {
                        request.recycle();
                        self.cx.counters.count(Counter::RequestsRefusedMemory);
                        self.refuse_stream(key, StatusCode::SERVICE_UNAVAILABLE);
                    } else if end_of_content {
                        self.begin_stream(head, request, InitialContent::None);
                    } else if expect_continue {
                        // Its content comes when it is asked for.
                        self.begin_stream(head, request, InitialContent::Begun(Vec::new()));
                    } else {
                        opening = Some(Opening {
                            head,
                            parts: request,
                            gathered: Vec::new(),
                        });
                    }
                }
                Event::Refused { key, violation } => self.stream_refused(key, violation),
                Event::Rejected { violation, .. } => self.count_violation(violation),
                Event::Reset { key, cause } => {
                    if let ajay_h2::ResetCause::Violation(violation) = cause {
                        self.count_violation(violation);
                    } else {
                        self.cx.counters.count(Counter::StreamsReset);
                    }
                    self.stream_gone(key);
                }
                Event::GoAway { code } => {
                    tracing::debug!(peer = %self.connection.peer, %code, "the client says goodbye");
                }
                Event::NeedData | Event::Paused => break,
                Event::Closed => {
                    used = input.len();
                    break;
                }
                Event::Data { .. } | Event::EndOfContent { .. } => {}
            }
        }
        self.begin_opened(&mut opening);
        parts.recycle();
        used
    }

    fn take_parts(&self) -> Box<Parts> {
        Parts::take(&self.connection.peer, &self.connection.local)
    }

    /// Begins a request whose content is not here as a whole.
    fn begin_opened(&mut self, opening: &mut Option<Opening>) {
        if let Some(Opening {
            head,
            parts,
            gathered,
        }) = opening.take()
        {
            self.begin_stream(head, parts, InitialContent::Begun(gathered));
        }
    }

    /// Hands a request to the service and polls its handler for the first time.
    fn begin_stream(&mut self, head: Head, mut parts: Box<Parts>, content: InitialContent) {
        let key = head.key;
        self.budget = self.budget.saturating_sub(1);
        self.connection.requests = self.connection.requests.wrapping_add(1);
        self.cx.counters.count(Counter::Requests);
        let slot = self.slots.acquire(self.connection.token);
        self.fill_content(slot, &mut parts, content);
        self.slots.get(slot).stream = key.slot() as u32;
        let mut clock = Clock::new(self.cx.now);
        clock.restart(Wait::Handler, self.cx.now);
        let began = self.cx.micros;
        let Some(http2) = self.http2() else {
            return;
        };
        http2.insert(Stream {
            key,
            exchange: Some(slot),
            began,
            clock,
            output: Bytes::new(),
            is_last: false,
            is_held_back: head.expect_continue,
            remaining: head.content_length,
            discarded: 0,
        });
        match self.first_poll(slot, parts) {
            Poll::Ready(response) => self.answer(key, slot, response),
            Poll::Pending => self.exchange_waits(key, slot, Wait::Handler),
        }
    }

    /// A handler has been polled and is not ready, or a streamed body has nothing: what they wait for
    /// sets the deadline.
    fn exchange_waits(&mut self, key: StreamKey, slot: u32, wait: Wait) {
        let is_awaited = self.look_at_feed(key, slot);
        let now = self.cx.now;
        if let Some(stream) = self.http2().and_then(|http2| http2.stream(key)) {
            let wait = if is_awaited { Wait::Content } else { wait };
            stream.clock.wait_for(wait, now);
        }
    }

    /// Gives back to the client what was read of its content, and asks for what is held back when
    /// somebody waits for it. Says whether somebody does.
    fn look_at_feed(&mut self, key: StreamKey, slot: u32) -> bool {
        let Some(feed) = &self.slots.get(slot).feed else {
            return false;
        };
        let (taken, is_awaited) = (feed.take_taken(), feed.is_awaited());
        if taken > 0 {
            self.release_content(key, taken);
        }
        if is_awaited {
            self.ask_for_content(key);
        }
        is_awaited
    }

    fn release_content(&mut self, key: StreamKey, bytes: usize) {
        if let Some(http2) = self.connection.http2.as_deref_mut() {
            // A feed never holds more than a window.
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            http2.core.release(key, bytes, &mut self.cx.outbox.buffer);
        }
    }

    fn ask_for_content(&mut self, key: StreamKey) {
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        if http2.core.expects_continue(key)
            && http2
                .core
                .send_continue(key, &mut self.cx.outbox.buffer)
                .is_ok()
            && let Some(stream) = http2.stream(key)
        {
            stream.is_held_back = false;
        }
    }

    /// Looks at the exchanges whose wakers were used.
    fn poll_woken(&mut self) {
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        let mut woken = std::mem::take(&mut http2.woken);
        for slot in woken.drain(..) {
            self.poll_exchange(slot);
        }
        if let Some(http2) = self.http2() {
            http2.woken = woken;
        }
    }

    fn poll_exchange(&mut self, slot: u32) {
        let place = self.slots.get(slot);
        // It may have ended, and be another connection's by now.
        if place.owner != Some(self.connection.token) {
            return;
        }
        let at = place.stream as usize;
        let is_running = place.is_running();
        let stream = self.http2().and_then(|http2| http2.streams.get(at));
        let Some(Some(stream)) = stream else {
            return;
        };
        if stream.exchange != Some(slot) {
            return;
        }
        let (key, has_output) = (stream.key, !stream.output.is_empty() || stream.is_last);
        self.look_at_feed(key, slot);
        if !is_running {
            if !has_output {
                self.fetch_output(key, slot);
            }
            return;
        }
        match self.poll_handler(slot) {
            Poll::Ready(response) => self.answer(key, slot, response),
            Poll::Pending => self.exchange_waits(key, slot, Wait::Handler),
        }
    }

    /// Content of a request.
    fn stream_content(&mut self, key: StreamKey, data: &[u8]) {
        let now = self.cx.now;
        let discarded_max = self.cx.config.connections.content_discarded_bytes_max;
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        let out = &mut self.cx.outbox.buffer;
        let Some(stream) = http2.stream(key) else {
            // Of a stream that was refused.
            http2.core.release(key, data.len() as u32, out);
            return;
        };
        stream.clock.moved(data.len(), now);
        stream.is_held_back = false;
        stream.remaining = stream
            .remaining
            .map(|bytes| bytes.saturating_sub(data.len() as u64));
        match stream.exchange {
            Some(slot) => {
                let feed = self.slots.get(slot).feed.as_ref();
                if !feed.is_some_and(|feed| feed.push(data)) {
                    http2.core.release(key, data.len() as u32, out);
                }
            }
            None => {
                stream.discarded += data.len().max(input::PIECE_COST_BYTES) as u64;
                let is_too_much = stream.discarded > discarded_max;
                http2.core.release(key, data.len() as u32, out);
                if is_too_much {
                    http2.core.stream_done(key, out);
                    http2.remove(key);
                }
            }
        }
    }

    fn stream_content_ended(&mut self, key: StreamKey, trailers: Option<Box<crate::FieldSection>>) {
        let now = self.cx.now;
        let Some(stream) = self
            .connection
            .http2
            .as_deref_mut()
            .and_then(|all| all.stream(key))
        else {
            return;
        };
        match stream.exchange {
            Some(slot) => {
                if stream.clock.wait() == Wait::Content {
                    stream.clock.restart(Wait::Handler, now);
                }
                // It stays: what is in it belongs to the connection's window until it is read.
                if let Some(feed) = &self.slots.get(slot).feed {
                    feed.end(Ok(()), trailers);
                }
            }
            None => {
                if let Some(http2) = self.http2() {
                    http2.remove(key);
                }
            }
        }
    }

    /// Writes a response's head, and its content as far as that may leave at once.
    fn answer(&mut self, key: StreamKey, slot: u32, response: Response) {
        let began = self
            .http2()
            .and_then(|http2| http2.stream(key))
            .map(|stream| stream.began);
        let took = self.cx.micros - began.unwrap_or(self.cx.micros);
        self.cx.counters.request_time.record(took);
        if !self.answer_usual(key, slot, &response) {
            self.answer_in_steps(key, slot, response);
        }
    }

    /// A response that leaves at once, and says whether it was one: content that is here, small, and
    /// has a window.
    fn answer_usual(&mut self, key: StreamKey, slot: u32, response: &Response) -> bool {
        let parts = response.parts();
        let content = match parts.body.kind() {
            Kind::Static(data) => *data,
            Kind::Bytes(data) => data,
            Kind::Empty => &[],
            Kind::Stream(_) => return false,
        };
        if content.len() > COPY_BYTES_MAX || parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return false;
        }
        let head = ResponseHead {
            status: parts.status,
            fields: &parts.fields,
            content_type: parts.content_type,
            server: self.cx.config.server_name,
            date: self.cx.config.send_date.then_some(&self.cx.date),
        };
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return false;
        };
        let out = &mut self.cx.outbox.buffer;
        if !matches!(http2.core.send_whole(key, &head, content, out), Ok(true)) {
            return false;
        }
        self.count_response(parts.status);
        self.complete(key, slot);
        true
    }

    #[inline(never)]
    fn answer_in_steps(&mut self, key: StreamKey, slot: u32, response: Response) {
        let mut response = response;
        let is_due = self
            .http2()
            .is_some_and(|http2| http2.core.is_response_due(key));
        if !is_due {
            // The client has reset the stream.
            self.stream_gone(key);
            return;
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            tracing::debug!(peer = %self.connection.peer, "HTTP/2 has no 101; answered 501");
            response = Response::new(StatusCode::NOT_IMPLEMENTED);
        }
        let status = response.status();
        match self.try_answer(key, slot, response) {
            Ok(()) => self.count_response(status),
            Err(misuse) => {
                self.cx.counters.count(Counter::ResponseMisuse);
                tracing::error!(%misuse, "a handler's response cannot be sent; answered 500");
                let failed = Response::new(StatusCode::INTERNAL_SERVER_ERROR);
                let status = failed.status();
                match self.try_answer(key, slot, failed) {
                    Ok(()) => self.count_response(status),
                    Err(_) => self.break_off(key, ErrorCode::INTERNAL_ERROR),
                }
            }
        }
    }

    fn try_answer(&mut self, key: StreamKey, slot: u32, response: Response) -> Result<(), Misuse> {
        if response.body().is_stream() && self.content_is_wanted(slot) {
            // The stream may be made of the content: it must not wait for a client that waits for us.
            self.ask_for_content(key);
        }
        let mut parts = response.into_parts();
        let size = match parts.body.exact_len() {
            Some(0) => ContentSize::Empty,
            Some(len) => ContentSize::Exact(len),
            None => ContentSize::Unknown,
        };
        let head = ResponseHead {
            status: parts.status,
            fields: &parts.fields,
            content_type: parts.content_type,
            server: self.cx.config.server_name,
            date: self.cx.config.send_date.then_some(&self.cx.date),
        };
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return Ok(());
        };
        let out = &mut self.cx.outbox.buffer;
        let has_payload = match http2.core.send_head(key, &head, size, out)? {
            SendBody::Payload => true,
            SendBody::None => false,
        };
        if !has_payload {
            parts.recycle();
            self.complete(key, slot);
            return Ok(());
        }
        let body = std::mem::take(&mut parts.body);
        parts.recycle();
        let output = match body.kind() {
            Kind::Stream(_) => {
                let place = self.slots.get(slot);
                place.body = Some(body);
                self.fetch_output(key, slot);
                return Ok(());
            }
            Kind::Empty => Bytes::new(),
            Kind::Static(data) => Bytes::from_static(data),
            Kind::Bytes(data) => data.clone(),
        };
        self.set_output(key, output, true);
        Ok(())
    }

    /// Makes content of a response ready to be framed.
    fn set_output(&mut self, key: StreamKey, output: Bytes, is_last: bool) {
        let (now, millis) = (self.cx.now, self.cx.millis());
        let Some(http2) = self.http2() else {
            return;
        };
        http2.output_bytes += output.len();
        if http2
            .core
            .set_ready(key, output.len() as u64, millis)
            .is_err()
        {
            http2.output_bytes -= output.len();
            return;
        }
        if let Some(stream) = http2.stream(key) {
            stream.output = output;
            stream.is_last = is_last;
            stream.clock.wait_for(Wait::Write, now);
        }
    }

    /// Takes the next piece of a streamed body.
    fn fetch_output(&mut self, key: StreamKey, slot: u32) {
        loop {
            self.budget = self.budget.saturating_sub(1);
            let place = self.slots.get(slot);
            let Some(mut body) = place.body.take() else {
                return self.break_off(key, ErrorCode::INTERNAL_ERROR);
            };
            let mut cx = TaskContext::from_waker(place.waker());
            let piece = catch_unwind(AssertUnwindSafe(|| body.poll_piece(&mut cx)));
            self.slots.get(slot).body = Some(body);
            let piece = match piece {
                Ok(Poll::Pending) => return self.exchange_waits(key, slot, Wait::Nothing),
                Ok(Poll::Ready(piece)) => piece,
                Err(_) => {
                    self.cx.counters.count(Counter::HandlerPanics);
                    Some(Err("the response stream panicked".into()))
                }
            };
            let finished = match piece {
                Some(Ok(Piece::Data(data))) if data.is_empty() => continue,
                Some(Ok(Piece::Data(data))) => return self.set_output(key, data, false),
                Some(Ok(Piece::Trailers(trailers))) => self.finish_stream_of(key, Some(&trailers)),
                None => self.finish_stream_of(key, None),
                Some(Err(error)) => {
                    let peer = self.connection.peer;
                    tracing::warn!(%peer, %error, "a response stream broke off");
                    return self.break_off(key, ErrorCode::INTERNAL_ERROR);
                }
            };
            match finished {
                Ok(()) => self.complete(key, slot),
                Err(misuse) => {
                    self.cx.counters.count(Counter::ResponseMisuse);
                    tracing::warn!(%misuse, "a response stream cannot end so; it is broken off");
                    self.break_off(key, ErrorCode::INTERNAL_ERROR);
                }
            }
            return;
        }
    }

    fn finish_stream_of(
        &mut self,
        key: StreamKey,
        trailers: Option<&crate::FieldSection>,
    ) -> Result<(), Misuse> {
        match self.connection.http2.as_deref_mut() {
            Some(http2) => http2.core.finish(key, trailers, &mut self.cx.outbox.buffer),
            None => Ok(()),
        }
    }

    /// Frames content of responses while the windows, the socket and the turn allow. True when there
    /// was any.
    fn send_content(&mut self) -> Result<bool, Close> {
        let mut progress = false;
        while self.budget > 0 {
            if self.cx.outbox.len() >= OUTBOX_BYTES && !self.flush()? {
                break;
            }
            let millis = self.cx.millis();
            let now = self.cx.now;
            let Some(http2) = self.connection.http2.as_deref_mut() else {
                break;
            };
            let Some(grant) = http2.core.next_grant(millis) else {
                break;
            };
            let key = grant.key;
            let Some(stream) = http2.stream(key) else {
                // Not one that we know: nobody has its content.
                let _ = http2.core.set_ready(key, 0, millis);
                continue;
            };
            let len = stream.output.len().min(grant.bytes_max as usize);
            let data = stream.output.split_to(len);
            let is_end = stream.is_last && stream.output.is_empty();
            let is_empty = stream.output.is_empty();
            stream.clock.moved(len, now);
            let exchange = stream.exchange;
            http2.output_bytes -= len;
            progress = true;
            self.budget -= 1;
            let out = &mut self.cx.outbox.buffer;
            if let Err(misuse) = http2.core.frame_data(key, len as u32, is_end, out) {
                self.cx.counters.count(Counter::ResponseMisuse);
                tracing::warn!(%misuse, "a response does not keep to its length; broken off");
                self.break_off(key, ErrorCode::INTERNAL_ERROR);
                continue;
            }
            self.cx.outbox.push(data);
            match exchange {
                Some(slot) if is_end => self.complete(key, slot),
                Some(slot) if is_empty => self.fetch_output(key, slot),
                _ => {}
            }
        }
        Ok(progress)
    }

    /// A response is complete.
    fn complete(&mut self, key: StreamKey, slot: u32) {
        self.end_exchange(key, slot);
        let now = self.cx.now;
        let discarded_max = self.cx.config.connections.content_discarded_bytes_max;
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        if http2.core.is_receiving(key)
            && let Some(stream) = http2.stream(key)
            && !stream.is_held_back
            && stream.remaining.is_none_or(|bytes| bytes <= discarded_max)
        {
            // A little that still comes is thrown away, and the client need not learn of it.
            stream.exchange = None;
            stream.clock.restart(Wait::Content, now);
            return;
        }
        http2.core.stream_done(key, &mut self.cx.outbox.buffer);
        http2.remove(key);
    }

    /// Gives back what an exchange holds, and to the client what is left of its content.
    fn end_exchange(&mut self, key: StreamKey, slot: u32) {
        let feed = self.slots.get(slot).feed.take();
        if let Some(feed) = feed {
            // Whoever still reads learns that the exchange is over.
            feed.abandon();
            let bytes = feed.take_all();
            if bytes > 0 {
                self.release_content(key, bytes);
            }
        }
        self.release_exchange(slot);
    }

    /// Ends a stream whose response cannot be completed.
    fn break_off(&mut self, key: StreamKey, code: ErrorCode) {
        if let Some(http2) = self.connection.http2.as_deref_mut() {
            // It may be over already.
            let _ = http2.core.reset(key, code, &mut self.cx.outbox.buffer);
        }
        self.stream_gone(key);
    }

    /// A stream was reset, by the client or by us: whoever works for it stops.
    fn stream_gone(&mut self, key: StreamKey) {
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        http2.core.stream_done(key, &mut self.cx.outbox.buffer);
        if let Some(stream) = http2.remove(key) {
            self.abandon_stream(&stream);
        }
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
        http2.output_bytes = 0;
        for stream in std::mem::take(&mut http2.streams).into_iter().flatten() {
            self.abandon_stream(&stream);
        }
    }

    /// The core wants a response that no handler gives.
    fn stream_refused(&mut self, key: StreamKey, violation: Violation) {
        self.count_violation(violation);
        let status = violation.status().unwrap_or(StatusCode::BAD_REQUEST);
        let slot = self.http2().and_then(|http2| http2.stream(key)?.exchange);
        if let Some(slot) = slot {
            // Its content became too large.
            if let Some(feed) = &self.slots.get(slot).feed {
                feed.end(Err(ContentError::TooLarge), None);
            }
            if self
                .http2()
                .is_some_and(|http2| http2.core.is_response_due(key))
            {
                self.cancel_handler(slot);
                self.answer(key, slot, Response::new(status));
            } else {
                self.break_off(key, ErrorCode::CANCEL);
            }
            return;
        }
        self.refuse_stream(key, status);
    }

    /// Answers a request that cannot be served, without a handler.
    fn refuse_stream(&mut self, key: StreamKey, status: StatusCode) {
        let fields = match status {
            StatusCode::SERVICE_UNAVAILABLE => &self.cx.retry_later,
            _ => &output::NO_FIELDS,
        };
        let head = ResponseHead {
            status,
            fields,
            content_type: None,
            server: self.cx.config.server_name,
            date: self.cx.config.send_date.then_some(&self.cx.date),
        };
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        let out = &mut self.cx.outbox.buffer;
        if http2.core.is_response_due(key)
            && http2
                .core
                .send_head(key, &head, ContentSize::Empty, out)
                .is_ok()
        {
            self.count_response(status);
        }
        if let Some(http2) = self.connection.http2.as_deref_mut() {
            http2.core.stream_done(key, &mut self.cx.outbox.buffer);
        }
    }

    /// The client broke a rule that ends the connection; GOAWAY is written.
    fn connection_violated(&mut self, violation: Violation) {
        self.count_violation(violation);
        self.abandon_streams();
        self.connection.ending = Ending::LingerAfterOutput;
    }

    fn count_violation(&mut self, violation: Violation) {
        let counter = match violation {
            Violation::ContentTooLarge => Counter::ContentTooLarge,
            Violation::HeadTooLarge | Violation::TooManyFieldLines | Violation::PathTooLong => {
                Counter::HeadTooLarge
            }
            Violation::TooManyStreams => Counter::StreamsRefused,
            Violation::RefusedStreamsFlood => Counter::FloodRefusedStreams,
            Violation::ResetFlood => Counter::FloodResets,
            Violation::ProvokedResetFlood => Counter::FloodProvokedResets,
            Violation::RefusedHeadFlood => Counter::FloodRefusedHeads,
            Violation::ContinuationFlood | Violation::FieldBlockTooLarge => {
                Counter::FloodFieldBlock
            }
            Violation::SettingsFlood => Counter::FloodSettings,
            Violation::PingFlood => Counter::FloodPings,
            Violation::PriorityFlood => Counter::FloodPriorities,
            Violation::WindowUpdateFlood => Counter::FloodWindowUpdates,
            Violation::EmptyFrameFlood => Counter::FloodEmptyFrames,
            Violation::TinyDataFlood => Counter::FloodTinyData,
            Violation::StrayFrameFlood => Counter::FloodStrayFrames,
            _ => Counter::Violations,
        };
        self.cx.counters.count(counter);
        let peer = self.connection.peer;
        tracing::debug!(%peer, violation = violation.name(), "refused: {violation}");
    }

    /// Nothing more will come.
    pub(super) fn end_of_frames(&mut self, unused: usize) {
        let effect = self.http2().map(|http2| http2.core.handle_eof(unused));
        match effect {
            Some(EofEffect::InFrame) => self.cx.counters.count(Counter::EofInHead),
            Some(EofEffect::InStreams) => self.end_feeds(),
            _ => {}
        }
    }

    /// Content that has not come will not come any more.
    fn end_feeds(&mut self) {
        let streams = self.connection.http2.as_deref().map(|http2| &http2.streams);
        let streams = streams.into_iter().flatten().flatten();
        for slot in streams.filter_map(|stream| stream.exchange) {
            if let Some(feed) = &self.slots.get(slot).feed {
                feed.end(Err(ContentError::Incomplete), None);
            }
        }
        self.cx.counters.count(Counter::EofInContent);
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
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        let out = &mut self.cx.outbox.buffer;
        match http2.drain {
            DrainState::No if is_wanted => {
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

    /// What the connection as a whole waits for.
    pub(super) fn http2_wait(&mut self) -> Wait {
        let Some(http2) = self.http2() else {
            return Wait::Nothing;
        };
        match (http2.core.reading(), http2.drain) {
            (Reading::Preface, _) => Wait::FirstByte,
            (_, DrainState::Announced(_)) => Wait::Streams,
            (Reading::Frame, _) => Wait::Head,
            (Reading::Idle, _) if !http2.is_shrunk => Wait::Streams,
            (Reading::Idle, _) => Wait::Idle,
            (Reading::Streams | Reading::Done, _) => Wait::Streams,
        }
    }

    /// A deadline of the connection as a whole has passed.
    pub(super) fn http2_timed_out(&mut self, wait: Wait, counter: Counter) -> Outcome {
        match wait {
            Wait::Streams => {
                let since = self.connection.clock.since();
                self.connection.clock.restart(Wait::Streams, self.cx.now);
                if let Some(http2) = self.http2()
                    && http2.core.is_idle()
                {
                    http2.shrink();
                }
                let outcome = self.drive();
                if self.connection.clock.wait() == Wait::Idle {
                    self.connection.clock.has_waited_since(since);
                }
                return outcome;
            }
            Wait::Idle if self.cx.draining => {
                // A request may have come in the last moment; it is answered.
                self.connection.readable = true;
                match self.drive() {
                    Outcome::Wait if self.connection.clock.wait() == Wait::Idle => {
                        return self.end_http2(ErrorCode::NO_ERROR);
                    }
                    outcome => return outcome,
                }
            }
            Wait::Write => {
                self.cx.counters.count(counter);
                return Outcome::Close(Close::Reset);
            }
            Wait::Linger => return Outcome::Close(Close::Plain),
            _ => {}
        }
        self.cx.counters.count(counter);
        tracing::debug!(peer = %self.connection.peer, deadline = counter.name(), "timed out");
        let code = match wait {
            Wait::Idle | Wait::Nothing => ErrorCode::NO_ERROR,
            _ => ErrorCode::ENHANCE_YOUR_CALM,
        };
        self.end_http2(code)
    }

    /// Says goodbye, and closes when that has left.
    fn end_http2(&mut self, code: ErrorCode) -> Outcome {
        self.abandon_streams();
        if let Some(http2) = self.connection.http2.as_deref_mut() {
            http2.core.close(code, &mut self.cx.outbox.buffer);
        }
        self.connection.ending = Ending::LingerAfterOutput;
        self.drive()
    }

    /// Looks for streams whose deadlines have passed.
    fn look_at_streams(&mut self) {
        let (now, waits) = (self.cx.now, self.cx.waits);
        match self.http2() {
            Some(http2) if http2.looked_at + STREAMS_TICKS <= now => http2.looked_at = now,
            _ => return,
        }
        let mut at = 0;
        while let Some(stream) = self
            .http2()
            .and_then(|http2| http2.streams.get(at).map(Option::as_ref))
        {
            at += 1;
            let Some(stream) = stream else {
                continue;
            };
            let (due, counter) = stream.clock.due(&waits);
            let (key, wait) = (stream.key, stream.clock.wait());
            if wait == Wait::Write && !self.is_blocked(key) {
                // It waits for others of its connection, or for the socket: not its client's fault alone.
                self.restart_clock(key, Wait::Write);
            } else if due <= now {
                self.stream_timed_out(key, wait, counter);
            }
        }
        let stalls = self.http2().map_or(0, |http2| http2.stalls);
        if stalls > STALLS_MAX && self.connection.ending == Ending::Open {
            self.cx.counters.count(Counter::FloodStalls);
            self.abandon_streams();
            if let Some(http2) = self.connection.http2.as_deref_mut() {
                let out = &mut self.cx.outbox.buffer;
                http2.core.close(ErrorCode::ENHANCE_YOUR_CALM, out);
            }
        }
    }

    fn is_blocked(&mut self, key: StreamKey) -> bool {
        self.http2().is_some_and(|http2| http2.core.is_blocked(key))
    }

    fn restart_clock(&mut self, key: StreamKey, wait: Wait) {
        let now = self.cx.now;
        if let Some(stream) = self.http2().and_then(|http2| http2.stream(key)) {
            stream.clock.restart(wait, now);
        }
    }

    fn stream_timed_out(&mut self, key: StreamKey, wait: Wait, counter: Counter) {
        self.cx.counters.count(counter);
        let peer = self.connection.peer;
        tracing::debug!(%peer, stream = key.id(), deadline = counter.name(), "timed out");
        let slot = self.http2().and_then(|http2| http2.stream(key)?.exchange);
        let status = match wait {
            Wait::Content => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        match slot {
            Some(slot) if self.slots.get(slot).is_running() => {
                if let (Wait::Content, Some(feed)) = (wait, &self.slots.get(slot).feed) {
                    feed.end(Err(ContentError::TimedOut), None);
                }
                self.cancel_handler(slot);
                self.answer(key, slot, Response::new(status));
            }
            Some(_) => {
                if let Some(http2) = self.http2() {
                    http2.stalls += 1;
                }
                self.break_off(key, ErrorCode::CANCEL);
            }
            // Its response is complete, and its content does not end.
            None => self.stream_gone(key),
        }
    }
}
