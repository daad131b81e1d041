//! Reading the streams of requests (RFC 9114 §4.1, §7.2.1, §7.2.2).

use ajay_fields::qpack::Decoded;
use ajay_http::{RequestHead, Version};
use ajay_mux::{
    MethodClass,
    request::{Facts, HeadSink, TrailerSink},
};

use super::{Connection, DrainState, Event, Progress};
use crate::{
    Config, StreamKey, TINY_DATA_BYTES_MAX, Violation,
    budgets::Kind,
    frame::{FrameHeader, kind},
    stream::{Reading, Receive, Stream},
};

/// What a budget's unit pays for of payloads that nobody wants.
const SKIPPED_BYTES_PER_FRAME: u64 = 16 * 1024;

impl Connection {
    #[inline]
    pub(super) fn advance_request<'i>(
        &mut self,
        config: &Config,
        id: u64,
        input: &'i [u8],
        fin: bool,
        head: &mut RequestHead,
    ) -> Result<Progress<'i>, Violation> {
        let key = match self.streams.find(id) {
            Some(key) => key,
            None if self.streams.is_over(id) => return Ok(Progress::Done),
            None => match self.open(config, id)? {
                Ok(key) => key,
                Err(event) => return Ok(Progress::Event(input.len(), event)),
            },
        };
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(Progress::Done);
        };
        if matches!(stream.receive, Receive::Ended | Receive::Reset) {
            return Ok(Progress::Done);
        }
        let is_data = matches!(stream.reading, Reading::Data { .. });
        match &mut stream.reading {
            Reading::Header(header) if !input.is_empty() => {
                let (used, header) = header.read(input);
                let Some(header) = header else {
                    return match fin {
                        true => Err(Violation::FrameCutOff),
                        false => Ok(Progress::Used(used)),
                    };
                };
                let rest = input.get(used..).unwrap_or_default();
                self.begin_frame(config, key, header, rest, fin, head)
                    .map(|progress| after(used, progress))
            }
            Reading::Header(header) if fin && !header.is_empty() => Err(Violation::FrameCutOff),
            Reading::Header(_) if fin => self.end_request(config, key),
            Reading::Header(_) => Ok(Progress::Done),
            Reading::Data { left } | Reading::Skip { left } => {
                let len = input
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                if len == 0 {
                    return cut_off_or_done(fin);
                }
                *left -= len as u64;
                if *left == 0 {
                    stream.reading = Reading::BETWEEN_FRAMES;
                }
                let data = input.get(..len).unwrap_or_default();
                Ok(match stream.receive {
                    Receive::Content { .. } if is_data => {
                        Progress::Event(len, Event::Data { key, data })
                    }
                    _ => Progress::Used(len),
                })
            }
            Reading::Section { left, bytes } => {
                let len = input
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                if len == 0 {
                    return cut_off_or_done(fin);
                }
                bytes.extend_from_slice(input.get(..len).unwrap_or_default());
                *left -= len as u64;
                if *left > 0 {
                    return Ok(Progress::Used(len));
                }
                let section = std::mem::take(bytes);
                stream.reading = Reading::BETWEEN_FRAMES;
                let is_end = fin && len == input.len();
                self.end_section(config, key, &section, is_end, head)
                    .map(|progress| after(len, progress))
            }
            Reading::Blocked {
                required_insert_count,
                section,
            } => {
                if *required_insert_count > self.decoder.insert_count() {
                    return Ok(Progress::Event(0, Event::Blocked));
                }
                let section = std::mem::take(section);
                stream.reading = Reading::BETWEEN_FRAMES;
                self.blocked.retain(|blocked| *blocked != key);
                let is_end = fin && input.is_empty();
                self.end_section(config, key, &section, is_end, head)
            }
        }
    }

    /// A new request's stream. The inner error is the event for one that is not processed.
    #[inline]
    fn open(
        &mut self,
        config: &Config,
        id: u64,
    ) -> Result<Result<StreamKey, Event<'static>>, Violation> {
        let is_too_late = matches!(self.drain, DrainState::Last(last) if id >= last);
        let violation = if is_too_late {
            Some(Violation::RequestAfterGoAway)
        } else if self.streams.len() >= config.concurrent_streams_max as usize {
            Some(Violation::TooManyStreams)
        } else {
            None
        };
        let key = self.streams.insert(Stream::new(id, self.now));
        if let Some(violation) = violation {
            return self.refuse(config, key, violation).map(Err);
        }
        self.next_stream = self.next_stream.max(id + 4);
        Ok(Ok(key))
    }

    /// A frame's header has come; `rest` is what follows it.
    #[inline]
    fn begin_frame<'i>(
        &mut self,
        config: &Config,
        key: StreamKey,
        header: FrameHeader,
        rest: &'i [u8],
        fin: bool,
        head: &mut RequestHead,
    ) -> Result<Progress<'i>, Violation> {
        match header.kind {
            kind::HEADERS => self.begin_section(config, key, header.len, rest, fin, head),
            kind::DATA => self.begin_data(config, key, header.len),
            kind::PUSH_PROMISE => Err(Violation::PushPromiseOfClient),
            kind::CANCEL_PUSH
            | kind::SETTINGS
            | kind::GOAWAY
            | kind::MAX_PUSH_ID
            | kind::PRIORITY_UPDATE_REQUEST
            | kind::PRIORITY_UPDATE_PUSH => Err(Violation::FrameOnRequestStream),
            other if kind::is_of_http2(other) => Err(Violation::FrameOfHttp2),
            _ => {
                self.spend_on_skipped(config, header.len)?;
                self.set_reading(key, Reading::Skip { left: header.len });
                Ok(Progress::Used(0))
            }
        }
    }

    /// Frames without a use cost by their number and by their bytes.
    pub(super) fn spend_on_skipped(&mut self, config: &Config, len: u64) -> Result<(), Violation> {
        let burst = u64::from(config.budgets.stray_frames.burst);
        // More than that ends the connection anyway.
        for _ in 0..=(len / SKIPPED_BYTES_PER_FRAME).min(burst) {
            self.spend(config, Kind::StrayFrames)?;
        }
        Ok(())
    }

    /// Sets where in a frame a stream is; one without payload is over at once.
    #[inline]
    fn set_reading(&mut self, key: StreamKey, reading: Reading) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.reading = match reading {
                Reading::Data { left: 0 } | Reading::Skip { left: 0 } => Reading::BETWEEN_FRAMES,
                reading => reading,
            };
        }
    }

    #[inline]
    fn begin_data<'i>(
        &mut self,
        config: &Config,
        key: StreamKey,
        len: u64,
    ) -> Result<Progress<'i>, Violation> {
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(Progress::Used(0));
        };
        let violation = match &mut stream.receive {
            Receive::Head | Receive::Trailers => return Err(Violation::FrameOutOfOrder),
            Receive::Content { declared, received } => {
                *received = received.saturating_add(len);
                if declared.is_some_and(|declared| *received > declared) {
                    Some(Violation::ContentTooLong)
                } else if *received > config.limits.content_bytes_max {
                    Some(Violation::ContentTooLarge)
                } else {
                    stream.expects_continue = false;
                    None
                }
            }
            Receive::Discard | Receive::Ended | Receive::Reset => None,
        };
        if len == 0 {
            self.spend(config, Kind::EmptyFrames)?;
        } else if len <= TINY_DATA_BYTES_MAX {
            self.tiny_data = self.tiny_data.saturating_add(1);
            self.spend(config, Kind::TinyData)?;
        }
        if let Some(violation) = violation {
            let event = self.refuse(config, key, violation)?;
            self.set_reading(key, Reading::Data { left: len });
            return Ok(Progress::Event(0, event));
        }
        self.set_reading(key, Reading::Data { left: len });
        Ok(Progress::Used(0))
    }

    /// HEADERS: decoded at once where all of it is here.
    #[inline]
    fn begin_section<'i>(
        &mut self,
        config: &Config,
        key: StreamKey,
        len: u64,
        rest: &'i [u8],
        fin: bool,
        head: &mut RequestHead,
    ) -> Result<Progress<'i>, Violation> {
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(Progress::Used(0));
        };
        let is_trailers = match stream.receive {
            Receive::Head => false,
            Receive::Content { .. } => true,
            Receive::Trailers => return Err(Violation::FrameOutOfOrder),
            Receive::Discard | Receive::Ended | Receive::Reset => {
                stream.reading = Reading::Skip { left: len };
                return Ok(Progress::Used(0));
            }
        };
        if len > config.section_bytes_max() {
            let violation = match is_trailers {
                true => Violation::TrailersTooLarge,
                false => Violation::HeadTooLarge,
            };
            head.clear();
            // It is not decoded, and what it refers to not needed.
            self.decoder.cancel(key.id());
            let event = self.refuse(config, key, violation)?;
            self.set_reading(key, Reading::Skip { left: len });
            return Ok(Progress::Event(0, event));
        }
        match usize::try_from(len).ok().and_then(|len| rest.get(..len)) {
            Some(section) => {
                let is_end = fin && section.len() == rest.len();
                self.end_section(config, key, section, is_end, head)
                    .map(|progress| after(section.len(), progress))
            }
            None => {
                let bytes = Vec::with_capacity(rest.len());
                self.set_reading(key, Reading::Section { left: len, bytes });
                Ok(Progress::Used(0))
            }
        }
    }

    /// A field section is here. `is_end`: the stream ends with it.
    #[inline]
    fn end_section<'i>(
        &mut self,
        config: &Config,
        key: StreamKey,
        section: &[u8],
        is_end: bool,
        head: &mut RequestHead,
    ) -> Result<Progress<'i>, Violation> {
        match self.streams.get(key).map(|stream| stream.receive) {
            Some(Receive::Head) => self.end_head(config, key, section, is_end, head),
            Some(Receive::Content { declared, received }) => {
                let is_short = declared.is_some_and(|declared| received < declared);
                self.end_trailers(config, key, section, is_short)
            }
            _ => Ok(Progress::Used(0)),
        }
    }

    #[inline]
    fn end_head<'i>(
        &mut self,
        config: &Config,
        key: StreamKey,
        section: &[u8],
        is_end: bool,
        head: &mut RequestHead,
    ) -> Result<Progress<'i>, Violation> {
        let mut sink = HeadSink::new(Version::HTTP_3, head, &config.limits);
        let decoded = self
            .decoder
            .decode(&mut self.scratch, key.id(), section, &mut sink)?;
        if let Decoded::Blocked {
            required_insert_count,
        } = decoded
        {
            return Ok(self.wait_for_fields(key, required_insert_count, section));
        }
        let verdict = sink.finish().map_err(Violation::from);
        let method = MethodClass::of(head.method());
        if let Some(stream) = self.streams.get_mut(key) {
            stream.method = method;
        }
        let verdict = match verdict {
            Ok(facts) if is_end && facts.content_length.unwrap_or(0) > 0 => {
                Err(Violation::ContentTooShort)
            }
            other => other,
        };
        match verdict {
            Ok(facts) => Ok(Progress::Event(0, self.begin_request(key, &facts, is_end))),
            Err(violation) => {
                let event = self.refuse(config, key, violation)?;
                if is_end {
                    self.end_receiving(key);
                }
                Ok(Progress::Event(0, event))
            }
        }
    }

    #[inline]
    fn begin_request(&mut self, key: StreamKey, facts: &Facts, is_end: bool) -> Event<'static> {
        let early = self.early_priorities.take(key.id());
        let expect_continue = facts.expects_continue && !is_end;
        if let Some(stream) = self.streams.get_mut(key) {
            stream.is_known = true;
            // PRIORITY_UPDATE is newer than the field, even if it arrives first (RFC 9218 §7).
            stream.priority = early.unwrap_or(facts.priority);
            stream.expects_continue = expect_continue;
            stream.receive = match is_end {
                true => Receive::Ended,
                false => Receive::Content {
                    declared: facts.content_length,
                    received: 0,
                },
            };
        }
        Event::Request {
            key,
            end_of_content: is_end,
            content_length: facts.content_length,
            expect_continue,
        }
    }

    fn end_trailers<'i>(
        &mut self,
        config: &Config,
        key: StreamKey,
        section: &[u8],
        is_short: bool,
    ) -> Result<Progress<'i>, Violation> {
        let mut fields = self.trailers.take().unwrap_or_default();
        let mut sink = TrailerSink::new(&mut fields, &config.limits);
        let decoded = self
            .decoder
            .decode(&mut self.scratch, key.id(), section, &mut sink)?;
        if let Decoded::Blocked {
            required_insert_count,
        } = decoded
        {
            return Ok(self.wait_for_fields(key, required_insert_count, section));
        }
        let mut verdict = sink.finish().map_err(Violation::from);
        if is_short {
            verdict = verdict.and(Err(Violation::ContentTooShort));
        }
        if let Err(violation) = verdict {
            let event = self.refuse(config, key, violation)?;
            return Ok(Progress::Event(0, event));
        }
        if let Some(stream) = self.streams.get_mut(key) {
            stream.receive = Receive::Trailers;
            stream.trailers = Some(fields);
        }
        Ok(Progress::Used(0))
    }

    #[cold]
    fn wait_for_fields<'i>(
        &mut self,
        key: StreamKey,
        required_insert_count: u64,
        section: &[u8],
    ) -> Progress<'i> {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.reading = Reading::Blocked {
                required_insert_count,
                section: section.to_vec(),
            };
        }
        if !self.blocked.contains(&key) {
            self.blocked.push(key);
        }
        Progress::Used(0)
    }

    /// The client's half of a stream has ended between two frames.
    fn end_request<'i>(
        &mut self,
        config: &Config,
        key: StreamKey,
    ) -> Result<Progress<'i>, Violation> {
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(Progress::Done);
        };
        let violation = match stream.receive {
            Receive::Head => Some(Violation::RequestIncomplete),
            Receive::Content {
                declared: Some(declared),
                received,
            } if received < declared => Some(Violation::ContentTooShort),
            _ => None,
        };
        if let Some(violation) = violation {
            let event = self.refuse(config, key, violation)?;
            return Ok(Progress::Event(0, event));
        }
        let is_wanted = matches!(stream.receive, Receive::Content { .. } | Receive::Trailers);
        self.trailers = stream.trailers.take();
        self.end_receiving(key);
        Ok(match is_wanted {
            true => Progress::Event(0, Event::EndOfContent { key }),
            false => Progress::Done,
        })
    }

    /// Nothing more comes from the client on a stream.
    fn end_receiving(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if stream.is_receiving() {
            stream.receive = Receive::Ended;
        }
    }
}

/// What came of the bytes after the first `used`.
#[inline]
fn after(used: usize, progress: Progress<'_>) -> Progress<'_> {
    match progress {
        Progress::Used(len) => Progress::Used(used + len),
        Progress::Event(len, event) => Progress::Event(used + len, event),
        Progress::Done => Progress::Done,
    }
}

/// There is no input within a frame.
fn cut_off_or_done<'i>(fin: bool) -> Result<Progress<'i>, Violation> {
    match fin {
        true => Err(Violation::FrameCutOff),
        false => Ok(Progress::Done),
    }
}
