//! From streams to requests: heads to handlers, content to feeds, floods to the end.

use ajay_h3::{Event, ResetCause, Violation};
use ajay_http::{ContentSize, ResponseHead};
use bytes::Buf;
use quinn_proto::{ReadError, ReadableError};

use super::*;
use crate::desk::InitialContent;
use crate::request::Parts;
use crate::session::NO_FIELDS;
use crate::{FieldSection, StatusCode};

/// What one read takes of a stream at most.
const READ_BYTES: usize = 16 * 1024;

/// A piece of content that is thrown away costs at least so much.
const PIECE_COST_BYTES: usize = 64;

/// So many tiny frames of a connection are served in each tick, however many the others send.
const TINY_DATA_FREE: u32 = 256;

/// What came of reading from a stream.
enum Read {
    /// Bytes, in the session's scratch; and whether the stream ends with them.
    Bytes(bool),
    Reset(u64),
    /// Nothing now.
    Blocked,
    /// There is no such stream any more.
    Gone,
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

/// As much that is read counts as one more piece.
const BLOCK_BYTES: usize = 1024;

impl<S: Service> Session<'_, '_, S> {
    /// Reads what came on streams, as long as the budget lasts.
    pub(super) fn read_streams(&mut self) {
        let mut at = 0;
        while self.budget > 0 && self.connection.phase == Phase::Open {
            let Some(http) = self.http() else {
                return;
            };
            if let Some(stream) = http.core.poll_unblocked() {
                let stream = stream_id(stream);
                let held = http.held.iter().position(|(id, ..)| *id == stream);
                let (_, chunks, is_end) = match held {
                    Some(at) => http.held.swap_remove(at),
                    None => (stream, vec![Bytes::new()], false),
                };
                self.use_chunks(stream, chunks, is_end);
                if let Some(http) = self.http() {
                    http.is_readable(stream);
                }
                continue;
            }
            let Some(&stream) = http.readable.get(at) else {
                break;
            };
            match self.read_stream(stream) {
                // There may be more: the others first.
                true => at += 1,
                false => {
                    if let Some(http) = self.http()
                        && http.readable.get(at) == Some(&stream)
                    {
                        http.readable.swap_remove(at);
                    }
                }
            }
        }
    }

    /// Reads from a stream once. False when there is nothing more now, or nobody wants it.
    fn read_stream(&mut self, stream: StreamId) -> bool {
        if !self.is_wanted(stream) {
            return false;
        }
        match self.read(stream) {
            Read::Bytes(is_end) => {
                let chunks = std::mem::take(&mut self.scratch.chunks);
                self.use_chunks(stream, chunks, is_end);
                !is_end
            }
            Read::Reset(code) => {
                let millis = self.desk.cx.millis();
                let Some(http) = self.connection.http.as_deref_mut() else {
                    return false;
                };
                let config = &self.desk.cx.http3_config;
                let event = http.core.handle_reset(config, millis, stream.into(), code);
                self.use_event(event);
                false
            }
            Read::Blocked | Read::Gone => false,
        }
    }

    /// Whether what comes on a stream is to be read now: unless somebody is behind with it, or it waits for
    /// fields of another stream.
    fn is_wanted(&mut self, stream: StreamId) -> bool {
        let number = u64::from(stream);
        let Some(http) = self.http() else {
            return false;
        };
        if http.core.is_waiting_for_fields(number) {
            return false;
        }
        let Some(key) = http.core.key_of(number) else {
            return true;
        };
        let slot = http.stream(key).and_then(|stream| stream.exchange);
        let Some(slot) = slot else {
            return true;
        };
        let cx = &self.desk.cx;
        let is_scarce = cx.held.is_above(cx.config.connections.buffered_bytes_max);
        let wants = match &self.desk.slots.get(slot).feed {
            Some(feed) if is_scarce => feed.wants_more() && feed.is_empty(),
            Some(feed) => feed.wants_more(),
            // No content, or none that anybody reads: its end is to be seen.
            None => true,
        };
        if let Some(stream) = self.http().and_then(|http| http.stream(key)) {
            stream.is_unread = !wants;
        }
        wants
    }

    /// Takes bytes off a stream.
    fn read(&mut self, stream: StreamId) -> Read {
        let mut receive = self.connection.transport.recv_stream(stream);
        let mut chunks = match receive.read(true) {
            Ok(chunks) => chunks,
            Err(ReadableError::ClosedStream | ReadableError::IllegalOrderedRead) => {
                return Read::Gone;
            }
        };
        let taken = &mut self.scratch.chunks;
        taken.clear();
        let mut left = READ_BYTES;
        let read = loop {
            match chunks.next(left) {
                Ok(Some(chunk)) => {
                    left -= chunk.bytes.len();
                    taken.push(chunk.bytes);
                    if left == 0 {
                        // Whether the stream ends with this saves a second look.
                        break Read::Bytes(matches!(chunks.next(0), Ok(None)));
                    }
                }
                Ok(None) => {
                    if taken.is_empty() {
                        taken.push(Bytes::new());
                    }
                    break Read::Bytes(true);
                }
                Err(ReadError::Blocked) if taken.is_empty() => break Read::Blocked,
                Err(ReadError::Blocked) => break Read::Bytes(false),
                Err(ReadError::Reset(code)) => break Read::Reset(code.into_inner()),
            }
        };
        // Whatever this allows the client leaves with the turn's datagrams.
        let _ = chunks.finalize();
        read
    }

    /// Feeds the core with what came on a stream, one chunk after the other, and does what it says.
    fn use_chunks(&mut self, stream: StreamId, mut chunks: Vec<Bytes>, is_end: bool) {
        let mut opening: Option<Opening> = None;
        let mut parts = self.take_parts();
        let len = chunks.iter().map(Bytes::len).sum::<usize>();
        let blocks = u32::try_from(len / BLOCK_BYTES).unwrap_or(u32::MAX);
        self.budget = self.budget.saturating_sub(blocks.saturating_add(1));
        let count = chunks.len();
        for at in 0..count {
            let is_last = at + 1 == count;
            let Some(used) = self.use_bytes(
                stream,
                &chunks[at],
                is_end && is_last,
                &mut opening,
                &mut parts,
            ) else {
                continue;
            };
            // The rest waits for fields on another stream.
            let mut rest = chunks.split_off(at);
            rest[0].advance(used);
            if let Some(http) = self.http() {
                http.held.push((stream, rest, is_end));
            }
            break;
        }
        self.begin_opened(&mut opening);
        parts.recycle();
        self.obey();
        self.note_tiny_data();
        chunks.clear();
        self.scratch.chunks = chunks;
    }

    /// Feeds the core. When the stream has to wait for others, says how much was used.
    fn use_bytes(
        &mut self,
        stream: StreamId,
        input: &[u8],
        is_end: bool,
        opening: &mut Option<Opening>,
        parts: &mut Box<Parts>,
    ) -> Option<usize> {
        let mut used = 0;
        while self.connection.phase == Phase::Open {
            let is_crowded = self.is_crowded();
            let millis = self.desk.cx.millis();
            let http = self.connection.http.as_deref_mut()?;
            let config = match is_crowded {
                true => &self.desk.cx.http3_crowded,
                false => &self.desk.cx.http3_config,
            };
            let step = http.core.next_event(
                config,
                millis,
                stream.into(),
                &input[used..],
                is_end,
                &mut parts.head,
            );
            let step = match step {
                Ok(step) => step,
                Err(violation) => {
                    if let Some(opening) = opening.take() {
                        opening.parts.recycle();
                    }
                    self.connection_violated(violation);
                    return None;
                }
            };
            used += step.consumed;
            match step.event {
                Event::NeedData | Event::Closed => return None,
                Event::Blocked => return Some(used),
                Event::Data { key, data } => self.gather(opening, key, data),
                Event::EndOfContent { key } => self.end_of_content(opening, key),
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
                    let next = self.take_parts();
                    let request = std::mem::replace(parts, next);
                    *opening = self.begin(head, request, end_of_content);
                }
                other => self.use_other(other),
            }
        }
        None
    }

    /// Does what an event says that came without bytes.
    fn use_event(&mut self, event: Result<Option<Event<'static>>, Violation>) {
        match event {
            Ok(Some(event)) => self.use_other(event),
            Ok(None) => {}
            Err(violation) => self.connection_violated(violation),
        }
        self.obey();
    }

    fn use_other(&mut self, event: Event<'_>) {
        match event {
            Event::Refused { key, violation } => self.stream_refused(key, violation),
            Event::Rejected { violation, .. } => self.count_violation(violation),
            Event::Reset { key, cause } => {
                match cause {
                    ResetCause::Violation(violation) => self.count_violation(violation),
                    ResetCause::Peer(_) => self.desk.cx.counters.count(Counter::StreamsReset),
                }
                self.stream_gone(key);
            }
            _ => {}
        }
    }

    /// The client asks us to send no more on a stream.
    pub(super) fn stopped(&mut self, stream: StreamId, code: u64) {
        let millis = self.desk.cx.millis();
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        let config = &self.desk.cx.http3_config;
        let event = http
            .core
            .handle_stop_sending(config, millis, stream.into(), code);
        self.use_event(event);
    }

    /// A request has come; its content may follow at once.
    fn begin(&mut self, head: Head, request: Box<Parts>, is_complete: bool) -> Option<Opening> {
        let cx = &self.desk.cx;
        if cx.held.is_above(cx.config.connections.buffered_bytes_max) {
            request.recycle();
            self.desk.cx.counters.count(Counter::RequestsRefusedMemory);
            self.refuse_stream(head.key, StatusCode::SERVICE_UNAVAILABLE);
        } else if is_complete {
            self.begin_stream(head, request, InitialContent::None);
        } else if head.expect_continue {
            // Its content comes when it is asked for.
            self.begin_stream(head, request, InitialContent::Begun(Vec::new()));
        } else {
            return Some(Opening {
                head,
                parts: request,
                gathered: Vec::new(),
            });
        }
        None
    }

    /// Content of a request that has just come goes along with it; other content to its stream.
    fn gather(&mut self, opening: &mut Option<Opening>, key: StreamKey, data: &[u8]) {
        match opening {
            Some(first) if first.head.key == key => first.gathered.extend_from_slice(data),
            _ => self.stream_content(key, data),
        }
    }

    /// A request's content is complete.
    fn end_of_content(&mut self, opening: &mut Option<Opening>, key: StreamKey) {
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        let trailers = http.core.take_trailers();
        let Some(whole) = opening.take_if(|first| first.head.key == key) else {
            return self.stream_content_ended(key, trailers);
        };
        let content = InitialContent::Complete(whole.gathered.into(), trailers);
        self.begin_stream(whole.head, whole.parts, content);
    }

    /// Begins a request whose content is not here as a whole.
    fn begin_opened(&mut self, opening: &mut Option<Opening>) {
        if let Some(opening) = opening.take() {
            let content = InitialContent::Begun(opening.gathered);
            self.begin_stream(opening.head, opening.parts, content);
        }
    }

    fn take_parts(&self) -> Box<Parts> {
        Parts::take(&self.connection.peer, &self.connection.local)
    }

    /// Hands a request to the service and polls its handler for the first time.
    fn begin_stream(&mut self, head: Head, mut parts: Box<Parts>, content: InitialContent) {
        let key = head.key;
        self.budget = self.budget.saturating_sub(1);
        self.connection.requests = self.connection.requests.wrapping_add(1);
        self.desk.cx.counters.count(Counter::Requests);
        let slot = self.desk.slots.acquire(self.connection.token);
        self.desk.fill_content(slot, &mut parts, content, false);
        self.desk.slots.get(slot).stream = key.slot() as u32;
        let now = self.desk.cx.now;
        let mut clock = Clock::new(now);
        clock.restart(Wait::Handler, now);
        let began = self.desk.cx.micros;
        let Some(http) = self.http() else {
            return;
        };
        http.insert(Stream {
            key,
            exchange: Some(slot),
            began,
            clock,
            frames: Bytes::new(),
            output: Bytes::new(),
            framed: 0,
            is_owned: false,
            is_last: false,
            is_unread: false,
            is_held_back: head.expect_continue,
            remaining: head.content_length,
            discarded: 0,
        });
        parts.tls.clone_from(&self.connection.tls);
        parts.listener = self.connection.entry;
        let poll = self.desk.first_poll(slot, parts);
        self.inform(key);
        match poll {
            std::task::Poll::Ready(response) => self.answer(key, slot, response),
            std::task::Poll::Pending => self.exchange_waits(key, slot, Wait::Handler),
        }
    }

    /// Content of a request.
    fn stream_content(&mut self, key: StreamKey, data: &[u8]) {
        let now = self.desk.cx.now;
        let discarded_max = self.desk.cx.config.connections.content_discarded_bytes_max;
        let Some(stream) = self
            .connection
            .http
            .as_deref_mut()
            .and_then(|http| http.stream(key))
        else {
            return;
        };
        stream.clock.moved(data.len(), now);
        if stream.exchange.is_some() {
            self.connection.balance.earn_bytes(data.len());
        }
        stream.is_held_back = false;
        stream.remaining = stream
            .remaining
            .map(|bytes| bytes.saturating_sub(data.len() as u64));
        if let Some(slot) = stream.exchange {
            if let Some(feed) = &self.desk.slots.get(slot).feed {
                feed.push(data);
            }
            return;
        }
        stream.discarded += data.len().max(PIECE_COST_BYTES) as u64;
        if stream.discarded > discarded_max {
            self.stream_done(key);
        }
    }

    fn stream_content_ended(&mut self, key: StreamKey, trailers: Option<Box<FieldSection>>) {
        let now = self.desk.cx.now;
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        let Some(stream) = http.stream(key) else {
            return;
        };
        match stream.exchange {
            Some(slot) => {
                if stream.clock.wait() == Wait::Content {
                    http.set_clock(key, |clock| clock.restart(Wait::Handler, now));
                }
                if let Some(feed) = self.desk.slots.get(slot).feed.take() {
                    feed.end(Ok(()), trailers);
                }
            }
            None => self.stream_done(key),
        }
    }

    pub(super) fn ask_for_content(&mut self, key: StreamKey) {
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        if !http.core.expects_continue(key) {
            return;
        }
        self.scratch.frames.clear();
        let frames = &mut self.scratch.frames;
        if http.core.send_continue(key, frames).is_ok() {
            if let Some(stream) = http.stream(key) {
                stream.is_held_back = false;
            }
            self.write_frames(key);
        }
    }

    /// Goes on reading content that somebody has room for again, and asks for what is held back when
    /// somebody waits for it. Says whether somebody does.
    pub(super) fn look_at_feed(&mut self, key: StreamKey, slot: u32) -> bool {
        let Some(feed) = &self.desk.slots.get(slot).feed else {
            return false;
        };
        let (is_awaited, has_room) = (feed.is_awaited(), feed.wants_more());
        if let Some(http) = self.http()
            && let Some(stream) = http.stream(key)
            && stream.is_unread
            && has_room
        {
            stream.is_unread = false;
            let id = stream.id();
            http.is_readable(id);
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
        let slot = self.http().and_then(|http| http.stream(key)?.exchange);
        let Some(slot) = slot else {
            return self.refuse_stream(key, status);
        };
        // Its content became too large.
        if let Some(feed) = &self.desk.slots.get(slot).feed {
            feed.end(Err(ContentError::TooLarge), None);
        }
        if self
            .http()
            .is_some_and(|http| http.core.is_response_due(key))
        {
            self.desk.cancel_handler(slot);
            self.answer(key, slot, crate::Response::new(status));
        } else {
            self.break_off(key, ErrorCode::REQUEST_CANCELLED);
        }
    }

    /// Answers a request that cannot be served, without a handler.
    fn refuse_stream(&mut self, key: StreamKey, status: StatusCode) {
        let cx = &*self.desk.cx;
        let fields = match status {
            StatusCode::SERVICE_UNAVAILABLE => &cx.retry_later,
            _ => &NO_FIELDS,
        };
        let head = ResponseHead {
            status,
            fields,
            content_type: None,
            server: cx.config.server_name,
            date: cx.config.send_date.then_some(&cx.date),
        };
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        self.scratch.frames.clear();
        let frames = &mut self.scratch.frames;
        if http.core.is_response_due(key)
            && http
                .core
                .send_head(key, &head, ContentSize::Empty, frames)
                .is_ok()
        {
            self.desk.count_response(status);
            if !self.write_last(key)
                && let Some(http) = self.http()
            {
                // So small a response fits, unless the client lets us send nothing at all.
                let _ = http.core.reset(key, ErrorCode::REQUEST_REJECTED);
            }
        }
        self.stream_done(key);
    }

    /// The client broke a rule that ends the connection.
    pub(super) fn connection_violated(&mut self, violation: Violation) {
        self.count_violation(violation);
        self.close(violation.connection_code());
    }

    /// Content in tiny frames costs its client next to nothing: all connections share what a worker has for
    /// it in a tick. Beyond that this connection's turn is over.
    fn note_tiny_data(&mut self) {
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        let tiny = http.core.take_tiny_data();
        if tiny == 0 {
            return;
        }
        let cx = &mut *self.desk.cx;
        cx.tiny_frames = cx.tiny_frames.saturating_sub(tiny as usize);
        if http.tiny_data.0 != cx.now {
            http.tiny_data = (cx.now, 0);
        }
        http.tiny_data.1 = http.tiny_data.1.saturating_add(tiny);
        if cx.tiny_frames == 0 && http.tiny_data.1 > TINY_DATA_FREE {
            cx.counters.count(Counter::InputDeferred);
            self.is_deferred = true;
            self.budget = 0;
        }
    }

    fn count_violation(&mut self, violation: Violation) {
        self.desk.cx.counters.count(counter_of(violation));
        let peer = self.connection.peer;
        tracing::debug!(%peer, violation = violation.name(), "refused: {violation}");
    }
}

fn counter_of(violation: Violation) -> Counter {
    match violation {
        Violation::ContentTooLarge => Counter::ContentTooLarge,
        Violation::HeadTooLarge
        | Violation::TooManyFieldLines
        | Violation::PathTooLong
        | Violation::TrailersTooLarge => Counter::HeadTooLarge,
        Violation::TooManyStreams => Counter::StreamsRefused,
        Violation::FieldSectionTooLarge => Counter::FloodFieldBlock,
        Violation::ResetFlood => Counter::FloodResets,
        Violation::ProvokedResetFlood => Counter::FloodProvokedResets,
        Violation::RefusedStreamsFlood => Counter::FloodRefusedStreams,
        Violation::RefusedHeadFlood => Counter::FloodRefusedHeads,
        Violation::ControlFrameFlood => Counter::FloodPriorities,
        Violation::EmptyFrameFlood => Counter::FloodEmptyFrames,
        Violation::TinyDataFlood => Counter::FloodTinyData,
        Violation::StrayFrameFlood | Violation::StrayStreamFlood => Counter::FloodStrayFrames,
        _ => Counter::Violations,
    }
}
