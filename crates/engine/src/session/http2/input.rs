//! From frames to requests: heads to handlers, content to feeds, floods to the end.

use ajay_h2::{EofEffect, ErrorCode, Event, StreamKey, Violation};
use ajay_http::{ContentSize, ResponseHead};

use super::super::input::{BUDGET_STEPS, PIECE_COST_BYTES};
use super::super::output::NO_FIELDS;
use super::*;
use crate::connection::Clock;

/// So many tiny frames of a connection are served in each tick, however many the others send.
const TINY_DATA_FREE: u32 = 256;

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

impl<S: Service> Session<'_, S> {
    /// Feeds the core and does what it says. Returns how many bytes are used up.
    pub(in crate::session) fn use_frames(&mut self, input: &[u8]) -> usize {
        let (mut used, mut steps) = (0, 0);
        let mut opening: Option<Opening> = None;
        let mut parts = self.take_parts();
        while self.connection.ending == Ending::Open && self.budget > 0 && self.may_read_frames() {
            steps += 1;
            if steps % BUDGET_STEPS == 0 {
                self.budget = self.budget.saturating_sub(1);
            }
            let is_crowded = self.is_crowded();
            let Some(http2) = self.connection.http2.as_deref_mut() else {
                break;
            };
            let step = http2.core.next_event(
                match is_crowded {
                    true => &self.cx.http2_crowded,
                    false => &self.cx.http2_config,
                },
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
            let event = step.event;
            let tiny = http2.core.take_tiny_data();
            if tiny > 0 {
                self.note_tiny_data(tiny);
            }
            match event {
                Event::NeedData | Event::Paused => break,
                Event::Closed => {
                    used = input.len();
                    break;
                }
                Event::Data { key, data } => self.gather(&mut opening, key, data),
                Event::EndOfContent { key } => self.end_of_content(&mut opening, key),
                event => {
                    self.begin_opened(&mut opening);
                    opening = self.handle_event(event, &mut parts);
                }
            }
        }
        self.begin_opened(&mut opening);
        parts.recycle();
        used
    }

    /// Does what an event says that has nothing to do with content. A request of which content may be here
    /// already is given back.
    fn handle_event(&mut self, event: Event<'_>, parts: &mut Box<Parts>) -> Option<Opening> {
        match event {
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
                let request = std::mem::replace(parts, self.take_parts());
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
                    return Some(Opening {
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
            Event::Data { .. }
            | Event::EndOfContent { .. }
            | Event::NeedData
            | Event::Paused
            | Event::Closed => {}
        }
        None
    }

    /// Content of a request that has just come goes along with it; other content to its stream.
    fn gather(&mut self, opening: &mut Option<Opening>, key: StreamKey, data: &[u8]) {
        let room = self.cx.config.connections.content_buffer_bytes_max;
        match opening {
            Some(first) if first.head.key == key && first.gathered.len() + data.len() <= room => {
                first.gathered.extend_from_slice(data);
            }
            _ => {
                self.begin_opened(opening);
                self.stream_content(key, data);
            }
        }
    }

    /// A request's content is complete.
    fn end_of_content(&mut self, opening: &mut Option<Opening>, key: StreamKey) {
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        let trailers = http2.core.take_trailers();
        let Some(whole) = opening.take_if(|first| first.head.key == key) else {
            return self.stream_content_ended(key, trailers);
        };
        let len = whole.gathered.len() as u32;
        http2.core.release(key, len, &mut self.cx.outbox.buffer);
        let content = InitialContent::Complete(whole.gathered.into(), trailers);
        self.begin_stream(whole.head, whole.parts, content);
    }

    /// Content in tiny frames costs its client next to nothing: all connections share what a worker has
    /// for it in a tick.
    fn note_tiny_data(&mut self, frames: u32) {
        let now = self.cx.now;
        self.cx.tiny_frames = self.cx.tiny_frames.saturating_sub(frames as usize);
        if let Some(http2) = self.http2() {
            if http2.tiny_data.0 != now {
                http2.tiny_data = (now, 0);
            }
            http2.tiny_data.1 = http2.tiny_data.1.saturating_add(frames);
        }
    }

    /// Whether this connection's tiny frames have to wait for the next tick.
    pub(super) fn sends_too_much_tiny_data(&self) -> bool {
        let http2 = self.connection.http2.as_deref();
        self.cx.tiny_frames == 0
            && http2.is_some_and(|http2| {
                let (tick, count) = http2.tiny_data;
                tick == self.cx.now && count > TINY_DATA_FREE
            })
    }

    /// Whether more frames may be used now.
    pub(super) fn may_read_frames(&self) -> bool {
        let waiting = self.connection.pending.as_ref().map_or(0, |all| all.len());
        waiting + self.cx.outbox.len() < self.cx.http2_config.output_bytes_max
            && !self.sends_too_much_tiny_data()
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
            is_owned: false,
            is_last: false,
            is_held_back: head.expect_continue,
            remaining: head.content_length,
            discarded: 0,
        });
        let poll = self.first_poll(slot, parts);
        self.inform_stream(key);
        match poll {
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
                stream.discarded += data.len().max(PIECE_COST_BYTES) as u64;
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
                if stream.clock.wait() == Wait::Content
                    && let Some(http2) = self.http2()
                {
                    http2.set_clock(key, |clock| clock.restart(Wait::Handler, now));
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

    pub(super) fn release_content(&mut self, key: StreamKey, bytes: usize) {
        if let Some(http2) = self.connection.http2.as_deref_mut() {
            // A feed never holds more than a window.
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            http2.core.release(key, bytes, &mut self.cx.outbox.buffer);
        }
    }

    pub(super) fn ask_for_content(&mut self, key: StreamKey) {
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

    /// Gives back to the client what was read of its content, and asks for what is held back when
    /// somebody waits for it. Says whether somebody does.
    pub(super) fn look_at_feed(&mut self, key: StreamKey, slot: u32) -> bool {
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
            _ => &NO_FIELDS,
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
    pub(in crate::session) fn end_of_frames(&mut self, unused: usize) {
        let effect = self.http2().map(|http2| http2.core.handle_eof(unused));
        match effect {
            Some(EofEffect::InFrame) => self.cx.counters.count(Counter::EofInHead),
            Some(EofEffect::InStreams) => self.end_feeds(),
            _ => {}
        }
    }

    /// Content that has not come will not come any more.
    fn end_feeds(&mut self) {
        let Some(http2) = self.connection.http2.as_deref() else {
            return;
        };
        let mut is_in_content = false;
        for stream in http2.streams.iter().flatten() {
            is_in_content |= http2.core.is_receiving(stream.key);
            let feed = stream
                .exchange
                .and_then(|slot| self.slots.get(slot).feed.as_ref());
            if let Some(feed) = feed {
                feed.end(Err(ContentError::Incomplete), None);
            }
        }
        // Who only waits for responses has sent everything.
        if is_in_content {
            self.cx.counters.count(Counter::EofInContent);
        }
    }
}
