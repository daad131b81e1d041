//! Reading: the preface, frames, DATA and field blocks (RFC 9113 §3.4, §4, §6.1, §6.2, §6.10).

use std::ops::ControlFlow;

use ajay_fields::hpack::{DecodedField, HpackError};
use ajay_http::{RequestHead, Version};
use ajay_mux::{
    MethodClass,
    request::{Facts, HeadSink, TrailerSink},
};

use super::{Block, Connection, DataFrame, DrainState, Event, Progress, Purpose, Receive};
use crate::{
    Config, Effect, StreamKey, TINY_DATA_BYTES_MAX, Violation,
    budgets::Kind,
    flow::{ReceiveWindow, SendWindow},
    frame::{self, FrameHeader, HEADER_LEN, flag, kind},
    preface::CLIENT_PREFACE,
    stream::{Receive as StreamReceive, Send as StreamSend, Stream},
    streams::Ending,
};

/// Frames of one field block. Whoever needs more than a frame has a block larger than 16 KiB, of
/// which we take no more than a few.
const BLOCK_FRAMES_MAX: u32 = 16;
/// What the buffer for field blocks may keep: blocks in several frames are rare.
const BLOCK_BYTES_KEPT: usize = 4096;

impl Connection {
    /// Reads the client's connection preface (§3.4).
    pub(super) fn preface<'i>(
        &mut self,
        matched: usize,
        input: &[u8],
    ) -> Result<Progress<'i>, Violation> {
        let expected = CLIENT_PREFACE.get(matched..).unwrap_or_default();
        let len = expected.len().min(input.len());
        if input.get(..len) != expected.get(..len) {
            return Err(Violation::PrefaceInvalid);
        }
        if len == 0 {
            return Ok(Progress::Starved);
        }
        self.receive = if len == expected.len() {
            Receive::Frames { is_first: true }
        } else {
            Receive::Preface {
                matched: matched + len,
            }
        };
        Ok(Progress::Used(len))
    }

    /// Reads a frame (§4.1).
    #[inline]
    pub(super) fn next_frame<'i>(
        &mut self,
        config: &Config,
        is_first: bool,
        input: &'i [u8],
        head: &mut RequestHead,
        out: &mut Vec<u8>,
    ) -> Result<Progress<'i>, Violation> {
        if out.len() > config.output_bytes_max {
            return Ok(Progress::Event(0, Event::Paused));
        }
        let Some(header) = FrameHeader::read(input) else {
            self.note_incomplete(input);
            return Ok(Progress::Starved);
        };
        self.check_header(config, is_first, header)?;
        match header.kind {
            kind::DATA => return self.begin_data(config, header, input, out),
            kind::HEADERS..=kind::CONTINUATION | kind::PRIORITY_UPDATE => {}
            // §4.1, §5.5: unknown frames are ignored.
            _ => {
                self.spend(config, Kind::StrayFrames)?;
                self.since.incomplete = None;
                self.skip_payload(header.len, None);
                return Ok(Progress::Used(HEADER_LEN));
            }
        }
        let end = HEADER_LEN + header.len as usize;
        let Some(payload) = input.get(HEADER_LEN..end) else {
            self.note_incomplete(input);
            return Ok(Progress::Starved);
        };
        self.since.incomplete = None;
        if is_first {
            self.receive = Receive::Frames { is_first: false };
        }
        let event = match header.kind {
            kind::HEADERS => self.headers(config, header, payload, head, out)?,
            kind::CONTINUATION => self.continuation(config, header, payload, head, out)?,
            _ => self.control_frame(config, header, payload, out)?,
        };
        Ok(match event {
            Some(event) => Progress::Event(end, event),
            None => Progress::Used(end),
        })
    }

    /// What can be said of a frame by its header.
    #[inline]
    fn check_header(
        &self,
        config: &Config,
        is_first: bool,
        header: FrameHeader,
    ) -> Result<(), Violation> {
        if is_first && (header.kind != kind::SETTINGS || header.has(flag::ACK)) {
            return Err(Violation::SettingsNotFirst);
        }
        match &self.block {
            Some(block) if header.kind != kind::CONTINUATION || header.stream != block.stream => {
                return Err(Violation::ContinuationInterrupted);
            }
            None if header.kind == kind::CONTINUATION => {
                return Err(Violation::ContinuationUnexpected);
            }
            _ => {}
        }
        if header.len > config.frame_bytes_max() {
            return Err(Violation::FrameTooLarge);
        }
        Ok(())
    }

    fn note_incomplete(&mut self, input: &[u8]) {
        if self.since.incomplete.is_none() && !input.is_empty() {
            self.since.incomplete = Some(self.now);
        }
    }

    /// Reads the header of DATA (§6.1): all that can be wrong with the frame is known then.
    #[inline]
    fn begin_data<'i>(
        &mut self,
        config: &Config,
        header: FrameHeader,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress<'i>, Violation> {
        if header.stream == 0 {
            return Err(Violation::DataOnStreamZero);
        }
        let (consumed, padding) = if header.has(flag::PADDED) {
            match input.get(HEADER_LEN) {
                _ if header.len == 0 => return Err(Violation::PaddingTooLong),
                Some(&padding) => (HEADER_LEN + 1, u32::from(padding)),
                None => {
                    self.note_incomplete(input);
                    return Ok(Progress::Starved);
                }
            }
        } else {
            (HEADER_LEN, 0)
        };
        self.since.incomplete = None;
        let length_byte = (consumed - HEADER_LEN) as u32;
        let Some(content) = header.len.checked_sub(length_byte + padding) else {
            return Err(Violation::PaddingTooLong);
        };
        let ends_stream = header.has(flag::END_STREAM);
        if self.is_never_opened(header.stream) {
            return Err(Violation::DataOnIdle);
        }
        let key = self.find_open(header.stream);
        if !self.receive_window.receive(header.len) {
            return Err(Violation::ConnectionWindowExceeded);
        }
        if content == 0 && !ends_stream {
            self.spend(config, Kind::EmptyFrames)?;
        } else if content <= TINY_DATA_BYTES_MAX && !ends_stream {
            self.spend(config, Kind::TinyData)?;
            self.tiny_data += 1;
        }
        let verdict = match key {
            Some(key) => self.account(config, key, header.len, content, ends_stream),
            None => self.judge_late_data(header.stream),
        };
        match (verdict, key) {
            (Ok(Accepted::Content), Some(key)) => {
                self.release(key, length_byte + padding, out);
                self.receive = Receive::Data(DataFrame {
                    key,
                    content,
                    padding,
                    ends_stream,
                });
                return Ok(Progress::Used(consumed));
            }
            (Ok(Accepted::Content | Accepted::Nothing), _) => {}
            (Err(violation), key) => {
                self.release_connection(header.len, out);
                self.skip_payload(header.len - length_byte, None);
                let event = match key {
                    Some(key) => self.reset_for(config, key, violation, out)?,
                    None => self.reject(config, header.stream, violation, out)?,
                };
                // Only a response leaves the stream something to end.
                if ends_stream && violation.status().is_some() {
                    self.end_receiving(key);
                }
                return Ok(Progress::Event(consumed, event));
            }
        }
        self.release_connection(header.len, out);
        self.skip_payload(header.len - length_byte, None);
        match key.and_then(|key| self.streams.get(key)) {
            Some(stream) if stream.receive == StreamReceive::Discard => {
                if ends_stream {
                    self.end_receiving(key);
                }
            }
            _ => self.spend(config, Kind::StrayFrames)?,
        }
        Ok(Progress::Used(consumed))
    }

    /// Counts content for its stream.
    #[inline]
    fn account(
        &mut self,
        config: &Config,
        key: StreamKey,
        len: u32,
        content: u32,
        ends_stream: bool,
    ) -> Result<Accepted, Violation> {
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(Accepted::Nothing);
        };
        if !stream.receive_window.receive(len) {
            return Err(Violation::StreamWindowExceeded);
        }
        match &mut stream.receive {
            StreamReceive::Content { declared, received } => {
                *received += u64::from(content);
                match *declared {
                    Some(declared) if *received > declared => {
                        return Err(Violation::ContentTooLong);
                    }
                    Some(declared) if ends_stream && *received < declared => {
                        return Err(Violation::ContentTooShort);
                    }
                    _ if *received > config.limits.content_bytes_max => {
                        return Err(Violation::ContentTooLarge);
                    }
                    _ => {}
                }
                stream.received_at = self.now;
                stream.expects_continue = false;
                Ok(Accepted::Content)
            }
            // What is discarded is given back to the connection only: the stream's window ends it.
            StreamReceive::Discard | StreamReceive::Reset => Ok(Accepted::Nothing),
            StreamReceive::Ended => Err(Violation::DataOnClosed),
        }
    }

    /// DATA for a stream that is over (§5.1).
    fn judge_late_data(&self, stream: u32) -> Result<Accepted, Violation> {
        if self.is_beyond_last(stream) {
            return Ok(Accepted::Nothing);
        }
        match self.streams.ending_of(stream) {
            Some(Ending::ResetByUs) => Ok(Accepted::Nothing),
            Some(Ending::Complete) => Err(Violation::DataAfterClose),
            Some(Ending::ResetByPeer) | None => Err(Violation::DataOnClosed),
        }
    }

    /// Whether GOAWAY has told the peer that we ignore the stream (§6.8).
    fn is_beyond_last(&self, stream: u32) -> bool {
        matches!(self.drain, DrainState::Last(last) if stream > last)
    }

    /// Passes content on.
    #[inline]
    pub(super) fn data_piece<'i>(
        &mut self,
        data: DataFrame,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> Progress<'i> {
        if data.content == 0 {
            self.skip_payload(data.padding, data.ends_stream.then_some(data.key));
            return Progress::Used(0);
        }
        let len = input.len().min(data.content as usize);
        let Some(piece) = input.get(..len).filter(|piece| !piece.is_empty()) else {
            return Progress::Starved;
        };
        self.receive = Receive::Data(DataFrame {
            content: data.content - len as u32,
            ..data
        });
        let stream = self.streams.get_mut(data.key);
        let Some(stream) =
            stream.filter(|stream| matches!(stream.receive, StreamReceive::Content { .. }))
        else {
            self.release_connection(len as u32, out);
            return Progress::Used(len);
        };
        stream.received_at = self.now;
        let event = Event::Data {
            key: data.key,
            data: piece,
        };
        Progress::Event(len, event)
    }

    /// Skips what is of no use. Then the content of a stream may end.
    #[inline]
    pub(super) fn skip<'i>(
        &mut self,
        left: u32,
        end: Option<StreamKey>,
        input: &[u8],
    ) -> Progress<'i> {
        let len = input.len().min(left as usize);
        if len < left as usize {
            self.skip_payload(left - len as u32, end);
            return if len == 0 {
                Progress::Starved
            } else {
                Progress::Used(len)
            };
        }
        self.receive = Receive::Frames { is_first: false };
        match end {
            Some(key) if self.end_receiving(end) => {
                Progress::Event(len, Event::EndOfContent { key })
            }
            _ => Progress::Used(len),
        }
    }

    fn skip_payload(&mut self, left: u32, end: Option<StreamKey>) {
        self.receive = if left == 0 && end.is_none() {
            Receive::Frames { is_first: false }
        } else {
            Receive::Skip { left, end }
        };
    }

    /// END_STREAM has come. Says whether somebody waits for the end of the content.
    #[inline]
    fn end_receiving(&mut self, key: Option<StreamKey>) -> bool {
        let Some(key) = key else {
            return false;
        };
        let Some(stream) = self.streams.get_mut(key) else {
            return false;
        };
        let is_wanted = matches!(stream.receive, StreamReceive::Content { .. });
        if stream.is_receiving() {
            stream.receive = StreamReceive::Ended;
            if stream.send == StreamSend::Finished {
                self.streams.remember(key.id(), Ending::Complete);
                self.remove(key);
            }
        }
        is_wanted
    }

    /// Reads HEADERS (§6.2).
    #[inline]
    fn headers(
        &mut self,
        config: &Config,
        header: FrameHeader,
        payload: &[u8],
        head: &mut RequestHead,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Violation> {
        let (fragment, dependency) = split_headers(header, payload)?;
        if header.stream == 0 {
            return Err(Violation::HeadersOnStreamZero);
        }
        if header.stream.is_multiple_of(2) {
            return Err(Violation::StreamIdEven);
        }
        let is_new = header.stream > self.last_stream;
        let purpose = if dependency == Some(header.stream) {
            Purpose::Refuse(Violation::PrioritySelfDependency)
        } else if self.is_beyond_last(header.stream) {
            Purpose::Discard(None)
        } else if is_new {
            Purpose::Request
        } else {
            self.purpose_of_late_headers(header)?
        };
        if is_new {
            self.last_stream = header.stream;
        }
        let block = Block {
            stream: header.stream,
            purpose,
            ends_stream: header.has(flag::END_STREAM),
            frames: 1,
        };
        if header.has(flag::END_HEADERS) {
            if fragment.len() > config.block_bytes_max() {
                return Err(Violation::FieldBlockTooLarge);
            }
            return self.end_block(config, block, fragment, head, out);
        }
        self.block_bytes.clear();
        self.gather(config, block, fragment)?;
        Ok(None)
    }

    /// What a field block on a stream that was used before is for.
    fn purpose_of_late_headers(&self, header: FrameHeader) -> Result<Purpose, Violation> {
        let Some(key) = self.find_open(header.stream) else {
            return match self.streams.ending_of(header.stream) {
                Some(Ending::ResetByUs) => Ok(Purpose::Discard(None)),
                Some(Ending::ResetByPeer) => Ok(Purpose::Refuse(Violation::HeadersOnClosed)),
                Some(Ending::Complete) => Err(Violation::HeadersAfterClose),
                None => Err(Violation::StreamIdNotIncreased),
            };
        };
        let receive = self.streams.get(key).map(|stream| stream.receive);
        Ok(match receive {
            Some(StreamReceive::Content { .. } | StreamReceive::Discard)
                if !header.has(flag::END_STREAM) =>
            {
                Purpose::Refuse(Violation::TrailersWithoutEnd)
            }
            Some(StreamReceive::Content { .. }) => Purpose::Trailers(key),
            Some(StreamReceive::Discard) => Purpose::Discard(Some(key)),
            Some(StreamReceive::Ended) => Purpose::Refuse(Violation::HeadersOnClosed),
            Some(StreamReceive::Reset) | None => Purpose::Discard(None),
        })
    }

    /// Reads CONTINUATION (§6.10).
    fn continuation(
        &mut self,
        config: &Config,
        header: FrameHeader,
        payload: &[u8],
        head: &mut RequestHead,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Violation> {
        let Some(block) = self.block.take() else {
            return Err(Violation::ContinuationUnexpected);
        };
        let block = Block {
            frames: block.frames + 1,
            ..block
        };
        if !header.has(flag::END_HEADERS) {
            self.gather(config, block, payload)?;
            return Ok(None);
        }
        self.gather(config, block, payload)?;
        self.block = None;
        self.since.incomplete = None;
        let mut bytes = std::mem::take(&mut self.block_bytes);
        let event = self.end_block(config, block, &bytes, head, out);
        if bytes.capacity() <= BLOCK_BYTES_KEPT {
            bytes.clear();
            self.block_bytes = bytes;
        }
        event
    }

    /// Adds a fragment to a field block that is spread over several frames.
    fn gather(&mut self, config: &Config, block: Block, fragment: &[u8]) -> Result<(), Violation> {
        if fragment.is_empty() {
            self.spend(config, Kind::EmptyFrames)?;
        }
        if block.frames > BLOCK_FRAMES_MAX {
            return Err(Violation::ContinuationFlood);
        }
        if self.block_bytes.len() + fragment.len() > config.block_bytes_max() {
            return Err(Violation::FieldBlockTooLarge);
        }
        self.block_bytes.extend_from_slice(fragment);
        self.block = Some(block);
        self.since.incomplete = self.since.incomplete.or(Some(self.now));
        Ok(())
    }

    /// Decodes a complete field block (§4.3).
    #[inline]
    fn end_block(
        &mut self,
        config: &Config,
        block: Block,
        bytes: &[u8],
        head: &mut RequestHead,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Violation> {
        match block.purpose {
            Purpose::Request if self.streams.len() < config.concurrent_streams_max as usize => {
                let mut sink = HeadSink::new(Version::HTTP_2, head, &config.limits);
                self.decoder
                    .decode_with(&mut self.scratch, bytes, &mut sink)
                    .map_err(block_violation)?;
                let verdict = sink.finish().map_err(Violation::from);
                let method = MethodClass::of(head.method());
                self.open(config, block, verdict, method, out).map(Some)
            }
            Purpose::Request => {
                self.decode_only(bytes)?;
                let violation = Violation::TooManyStreams;
                self.reject(config, block.stream, violation, out).map(Some)
            }
            Purpose::Trailers(key) => self.end_with_trailers(config, key, bytes, out),
            Purpose::Discard(key) => {
                self.decode_only(bytes)?;
                if key.is_none() {
                    self.spend(config, Kind::StrayFrames)?;
                }
                if block.ends_stream {
                    self.end_receiving(key);
                }
                Ok(None)
            }
            Purpose::Refuse(violation) => {
                self.decode_only(bytes)?;
                let event = match self.find_open(block.stream) {
                    Some(key) => self.reset_for(config, key, violation, out)?,
                    None => self.reject(config, block.stream, violation, out)?,
                };
                Ok(Some(event))
            }
        }
    }

    /// Opens the stream of a request that was read, for better or worse.
    #[inline]
    fn open(
        &mut self,
        config: &Config,
        block: Block,
        verdict: Result<Facts, Violation>,
        method: MethodClass,
        out: &mut Vec<u8>,
    ) -> Result<Event<'static>, Violation> {
        let facts = match verdict {
            Ok(facts) if block.ends_stream && facts.content_length.unwrap_or(0) > 0 => {
                Err(Violation::ContentTooShort)
            }
            other => other,
        };
        let facts = match facts {
            Ok(facts) => facts,
            Err(violation) => match violation.effect() {
                Effect::Response(_) => {
                    self.spend(config, Kind::RefusedHeads)?;
                    let receive = if block.ends_stream {
                        StreamReceive::Ended
                    } else {
                        StreamReceive::Discard
                    };
                    let key = self.insert(config, block.stream, receive, method);
                    return Ok(Event::Refused { key, violation });
                }
                Effect::Connection(_) | Effect::Stream(_) => {
                    return self.reject(config, block.stream, violation, out);
                }
            },
        };
        let receive = if block.ends_stream {
            StreamReceive::Ended
        } else {
            StreamReceive::Content {
                declared: facts.content_length,
                received: 0,
            }
        };
        let key = self.insert(config, block.stream, receive, facts.method);
        let early = self.early_priorities.take(block.stream.into());
        let expect_continue = facts.expects_continue && !block.ends_stream;
        if let Some(stream) = self.streams.get_mut(key) {
            // PRIORITY_UPDATE is newer than the field, even if it arrives first (RFC 9218 §7).
            stream.priority = early.unwrap_or(facts.priority);
            stream.expects_continue = expect_continue;
        }
        Ok(Event::Request {
            key,
            end_of_content: block.ends_stream,
            content_length: facts.content_length,
            expect_continue,
        })
    }

    #[inline]
    fn insert(
        &mut self,
        config: &Config,
        id: u32,
        receive: StreamReceive,
        method: MethodClass,
    ) -> StreamKey {
        self.streams.insert(Stream {
            id,
            receive,
            send: StreamSend::Due,
            method,
            expects_continue: false,
            priority: crate::Priority::default(),
            window: SendWindow::new(self.peer.stream_window),
            receive_window: ReceiveWindow::new(config.stream_window()),
            ready: 0,
            received_at: self.now,
            blocked_since: None,
        })
    }

    fn end_with_trailers(
        &mut self,
        config: &Config,
        key: StreamKey,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Violation> {
        let fields = self.trailers.get_or_insert_default();
        let mut sink = TrailerSink::new(fields, &config.limits);
        self.decoder
            .decode_with(&mut self.scratch, bytes, &mut sink)
            .map_err(block_violation)?;
        let mut verdict = sink.finish().map_err(Violation::from);
        if let Some(StreamReceive::Content {
            declared: Some(declared),
            received,
        }) = self.streams.get(key).map(|stream| stream.receive)
            && received < declared
        {
            verdict = verdict.and(Err(Violation::ContentTooShort));
        }
        if let Err(violation) = verdict {
            self.trailers = None;
            return self.reset_for(config, key, violation, out).map(Some);
        }
        let is_wanted = self.end_receiving(Some(key));
        Ok(is_wanted.then_some(Event::EndOfContent { key }))
    }

    /// Decodes a field block that nobody wants: it changes the state of compression (§4.3).
    fn decode_only(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut sink = |_: DecodedField<'_>| ControlFlow::Break(());
        self.decoder
            .decode_with(&mut self.scratch, bytes, &mut sink)
            .map_err(block_violation)
    }

    /// Whether a stream is idle: those with even identifiers, which only we could open, always are
    /// (§5.1.1).
    #[inline]
    pub(super) const fn is_never_opened(&self, id: u32) -> bool {
        id > self.last_stream || id.is_multiple_of(2)
    }

    /// Finds a stream that is not over for the peer.
    #[inline]
    pub(super) fn find_open(&self, id: u32) -> Option<StreamKey> {
        let key = self.streams.find(id)?;
        let stream = self.streams.get(key)?;
        (!stream.is_reset()).then_some(key)
    }
}

/// What DATA is to its stream.
#[derive(Clone, Copy, PartialEq)]
enum Accepted {
    Content,
    /// Nobody wants it.
    Nothing,
}

/// What a field block that cannot be decoded means for the connection.
#[cold]
fn block_violation(error: HpackError) -> Violation {
    match error {
        HpackError::TooManyLines => Violation::FieldBlockTooLarge,
        _ => Violation::FieldBlockInvalid,
    }
}

/// Cuts padding and priority off HEADERS; returns the field block fragment and the stream that is
/// depended on. The rest of RFC 7540's priority is ignored (§5.3.2).
#[inline]
fn split_headers(header: FrameHeader, payload: &[u8]) -> Result<(&[u8], Option<u32>), Violation> {
    let mut rest = payload;
    let mut padding = 0;
    if header.has(flag::PADDED) {
        let (&len, after) = rest.split_first().ok_or(Violation::PaddingTooLong)?;
        (padding, rest) = (usize::from(len), after);
    }
    let mut dependency = None;
    if header.has(flag::PRIORITY) {
        let (priority, after) = rest
            .split_at_checked(PRIORITY_LEN)
            .ok_or(Violation::HeadersTooShort)?;
        dependency = Some(frame::number(priority) & frame::STREAM_ID_MASK);
        rest = after;
    }
    let len = rest
        .len()
        .checked_sub(padding)
        .ok_or(Violation::PaddingTooLong)?;
    Ok((rest.get(..len).unwrap_or_default(), dependency))
}

/// Bytes of a priority (RFC 7540 §6.3).
pub(super) const PRIORITY_LEN: usize = 5;
