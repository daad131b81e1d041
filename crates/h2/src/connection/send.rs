//! Commands: responses, resets, windows, and the end of the connection.

use ajay_http::{ContentSize, FieldSection, ResponseHead, SendBody, StatusCode};
use ajay_mux::response;

use super::{Connection, Drain, DrainState, Grant, control::PROBE};
use crate::{
    ErrorCode, Misuse, StreamKey,
    frame::{self, FrameHeader, PAYLOAD_LEN_MIN_MAX, flag, kind},
    stream::{Send, Stream},
    streams::Ending,
};

/// Responses.
///
/// After [`Event::Reset`](super::Event::Reset), and once both halves of a stream have ended, its key
/// leads nowhere, and commands with it are refused as [`Misuse::StreamClosed`].
impl Connection {
    /// Writes 100 (Continue) if the client waits for it; else nothing.
    ///
    /// # Errors
    /// No response is due.
    pub fn send_continue(&mut self, key: StreamKey, out: &mut Vec<u8>) -> Result<(), Misuse> {
        if self.open_stream(key)?.send != Send::Due {
            return Err(Misuse::NoResponseDue);
        }
        if self.expects_continue(key) {
            self.send_informational(key, StatusCode::CONTINUE, &FieldSection::new(), out)?;
        }
        Ok(())
    }

    /// Writes an informational response (RFC 9110 §15.2).
    ///
    /// # Errors
    /// The status code is not informational or is 101, or no response is due.
    pub fn send_informational(
        &mut self,
        key: StreamKey,
        status: StatusCode,
        fields: &FieldSection,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Misuse::NotInformational);
        }
        let stream = self.open_stream(key)?;
        if stream.send != Send::Due {
            return Err(Misuse::NoResponseDue);
        }
        if status == StatusCode::CONTINUE {
            stream.expects_continue = false;
        }
        let start = frame::begin_headers(out);
        response::write_informational(&mut self.encoder, status, fields, out);
        self.end_headers(start, key, false, out);
        Ok(())
    }

    /// Writes the head of the final response. If no content follows, the response is finished.
    ///
    /// # Errors
    /// No response is due, or the head contradicts itself or the content. Nothing was written then.
    #[inline]
    pub fn send_head(
        &mut self,
        key: StreamKey,
        head: &ResponseHead<'_>,
        content: ContentSize,
        out: &mut Vec<u8>,
    ) -> Result<SendBody, Misuse> {
        let stream = self.open_stream(key)?;
        if stream.send != Send::Due {
            return Err(Misuse::NoResponseDue);
        }
        let plan = response::plan(stream.method, head, content)?;
        stream.send = Send::after(plan);
        stream.expects_continue = false;
        let is_finished = stream.send == Send::Finished;
        let start = frame::begin_headers(out);
        response::write_head(&mut self.encoder, head, plan.length(), out);
        self.end_headers(start, key, is_finished, out);
        if is_finished {
            self.end_sending(key);
            return Ok(SendBody::None);
        }
        Ok(SendBody::Payload)
    }

    /// Writes a whole response if it may leave at once: it fits the windows and one frame, and
    /// nothing else waits for its turn. Else writes nothing and says no; the other commands send it
    /// then.
    ///
    /// # Errors
    /// As [`send_head`](Self::send_head).
    #[inline]
    pub fn send_whole(
        &mut self,
        key: StreamKey,
        head: &ResponseHead<'_>,
        content: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, Misuse> {
        let len = content.len();
        if !self.scheduler.is_empty() || len > self.frame_len_max(key) as usize {
            return Ok(false);
        }
        // No content says nothing of what GET would have: HEAD may not tell a length of 0 then.
        let size = match len {
            0 => ContentSize::Empty,
            len => ContentSize::Exact(len as u64),
        };
        let body = self.send_head(key, head, size, out)?;
        if body == SendBody::Payload {
            self.frame_data(key, len as u32, true, out)?;
            out.extend_from_slice(content);
        }
        Ok(true)
    }

    /// Says how many bytes of content the caller has ready for a stream now, so that it gets its
    /// turns; zero takes it off the list. What [`frame_data`](Self::frame_data) accounts for is
    /// subtracted. An unknown amount is [`u64::MAX`].
    ///
    /// # Errors
    /// The head was not sent, or the response is finished.
    #[inline]
    pub fn set_ready(&mut self, key: StreamKey, bytes: u64, now: u64) -> Result<(), Misuse> {
        self.now = now;
        let stream = self.open_stream(key)?;
        match stream.send {
            Send::Due => return Err(Misuse::HeadNotSent),
            Send::Length { .. } | Send::Unbounded => {}
            Send::Finished | Send::Reset => return Err(Misuse::StreamClosed),
        }
        stream.ready = bytes;
        self.reschedule(key);
        Ok(())
    }

    /// The stream whose turn it is to send content (RFC 9218 §10), if one has both content and a
    /// window. The same until something changes.
    #[inline]
    pub fn next_grant(&mut self, now: u64) -> Option<Grant> {
        self.now = now;
        let slot = self.scheduler.first()?;
        let key = self.streams.key_of_slot(slot)?;
        let ready = self.streams.get(key)?.ready;
        let bytes_max = u32::try_from(ready)
            .unwrap_or(u32::MAX)
            .min(self.frame_len_max(key));
        if bytes_max == 0 {
            self.since.blocked = self.since.blocked.or(Some(now));
            return None;
        }
        Some(Grant { key, bytes_max })
    }

    /// Accounts for `len` bytes of content and writes the header of their frame; the bytes are to
    /// follow in the output. `end`: nothing follows them. No bytes and no end are nothing.
    ///
    /// # Errors
    /// No head was sent, there is more or less content than declared, or more than
    /// [`next_grant`](Self::next_grant) would allow for this stream. Nothing was written then.
    #[inline]
    pub fn frame_data(
        &mut self,
        key: StreamKey,
        len: u32,
        end: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let len_max = self.frame_len_max(key);
        let stream = self.open_stream(key)?;
        match &mut stream.send {
            Send::Due => return Err(Misuse::HeadNotSent),
            Send::Finished | Send::Reset => return Err(Misuse::StreamClosed),
            Send::Length { remaining } => {
                let rest = remaining
                    .checked_sub(u64::from(len))
                    .ok_or(Misuse::ContentTooLong)?;
                if end && rest > 0 {
                    return Err(Misuse::ContentTooShort);
                }
                if len > len_max {
                    return Err(Misuse::WindowExceeded);
                }
                *remaining = rest;
            }
            Send::Unbounded if len > len_max => return Err(Misuse::WindowExceeded),
            Send::Unbounded => {}
        }
        if len == 0 && !end {
            return Ok(());
        }
        stream.window.take(len);
        stream.ready = stream.ready.saturating_sub(u64::from(len));
        self.window.take(len);
        let header = FrameHeader {
            len,
            kind: kind::DATA,
            flags: u8::from(end) * flag::END_STREAM,
            stream: key.id(),
        };
        out.extend_from_slice(&header.to_bytes());
        self.buckets.earn_window_updates();
        if end {
            self.end_sending(key);
        } else if self.scheduler.contains(key.slot() as u32) {
            self.scheduler.pass_on(key.slot() as u32);
            self.reschedule(key);
        }
        Ok(())
    }

    /// Finishes a response, with trailers if there are any: fields that may not be in a trailer
    /// section are left out. It needs no window.
    ///
    /// # Errors
    /// No head was sent, or there was less content than declared.
    pub fn finish(
        &mut self,
        key: StreamKey,
        trailers: Option<&FieldSection>,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        match self.open_stream(key)?.send {
            Send::Due => return Err(Misuse::HeadNotSent),
            Send::Finished | Send::Reset => return Err(Misuse::StreamClosed),
            Send::Length { remaining: 1.. } => return Err(Misuse::ContentTooShort),
            Send::Length { remaining: 0 } | Send::Unbounded => {}
        }
        match trailers {
            Some(fields) if response::has_trailers(fields) => {
                let start = frame::begin_headers(out);
                response::write_trailers(&mut self.encoder, fields, out);
                self.end_headers(start, key, true, out);
                self.end_sending(key);
                Ok(())
            }
            _ => self.frame_data(key, 0, true, out),
        }
    }

    /// Resets a stream (§6.4). It counts until [`stream_done`](Self::stream_done).
    ///
    /// # Errors
    /// The stream is over.
    pub fn reset(
        &mut self,
        key: StreamKey,
        code: ErrorCode,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        self.open_stream(key)?;
        frame::write_rst_stream(key.id(), code, out);
        self.mark_reset(key, Ending::ResetByUs);
        Ok(())
    }

    /// The application is done with a stream that `Request` or `Refused` told of: its handler has
    /// ended and will read no more content. To be called once for each, whatever became of it; it
    /// does nothing if the stream is gone.
    ///
    /// A request of which content is still coming is reset with NO_ERROR if its response is complete
    /// (§8.1), and with INTERNAL_ERROR if it is not.
    pub fn stream_done(&mut self, key: StreamKey, out: &mut Vec<u8>) {
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        if !stream.is_reset() {
            let code = if stream.send == Send::Finished {
                ErrorCode::NO_ERROR
            } else {
                ErrorCode::INTERNAL_ERROR
            };
            frame::write_rst_stream(key.id(), code, out);
            self.streams.remember(key.id(), Ending::ResetByUs);
        }
        self.remove(key);
    }

    #[inline]
    fn open_stream(&mut self, key: StreamKey) -> Result<&mut Stream, Misuse> {
        match self.streams.get_mut(key) {
            Some(stream) if !stream.is_reset() => Ok(stream),
            _ => Err(Misuse::StreamClosed),
        }
    }

    #[inline]
    fn end_headers(&self, start: usize, key: StreamKey, end: bool, out: &mut Vec<u8>) {
        frame::end_headers(start, key.id(), end, self.peer.frame_bytes_max, out);
    }

    /// What one DATA frame of a stream may hold now. Larger frames than everybody takes would only
    /// make others wait.
    #[inline]
    fn frame_len_max(&self, key: StreamKey) -> u32 {
        let window = self
            .streams
            .get(key)
            .map_or(0, |stream| stream.window.bytes());
        window
            .min(self.window.bytes())
            .min(self.peer.frame_bytes_max)
            .min(PAYLOAD_LEN_MIN_MAX)
    }

    /// END_STREAM was sent.
    #[inline]
    fn end_sending(&mut self, key: StreamKey) {
        self.scheduler.remove(key.slot() as u32);
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        stream.send = Send::Finished;
        stream.ready = 0;
        stream.blocked_since = None;
        if !stream.is_receiving() {
            self.streams.remember(key.id(), Ending::Complete);
            self.remove(key);
        }
    }

    /// Puts a stream on the list of those that can send, or takes it off.
    #[inline]
    pub(super) fn reschedule(&mut self, key: StreamKey) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        stream.note_blocked(now);
        if stream.can_send() {
            let priority = stream.priority;
            self.scheduler
                .insert(key.slot() as u32, key.id().into(), priority);
        } else {
            self.scheduler.remove(key.slot() as u32);
        }
    }
}

/// Windows for content that was received.
impl Connection {
    /// Gives back bytes of content that were used or thrown away, so that the peer may send more
    /// (§6.9). Every byte of [`Event::Data`](super::Event::Data) is to be given back once, also after
    /// its stream is over.
    #[inline]
    pub fn release(&mut self, key: StreamKey, len: u32, out: &mut Vec<u8>) {
        if len == 0 {
            return;
        }
        self.release_connection(len, out);
        let size = self.tuner.stream();
        if let Some(stream) = self.streams.get_mut(key)
            && stream.is_receiving()
        {
            stream.receive_window.release(len);
            // What will not come needs no window. Padding may take more than there seemed to be, but
            // it is given back as it comes, and then this is asked again.
            if !stream.fits_window()
                && let Some(increment) = stream.receive_window.update(size)
            {
                frame::write_window_update(key.id(), increment, out);
            }
        }
        if self.tuner.release(len, self.windows_max) && !self.is_closed() {
            frame::write_ping(0, PROBE, out);
        }
    }

    #[inline]
    pub(super) fn release_connection(&mut self, len: u32, out: &mut Vec<u8>) {
        let size = self.tuner.connection();
        self.receive_window.release(len);
        if let Some(increment) = self.receive_window.update(size)
            && !self.is_closed()
        {
            frame::write_window_update(0, increment, out);
        }
    }
}

/// The end of the connection.
impl Connection {
    /// Goes on with a graceful end (§6.8): writes GOAWAY. The phases go forwards only.
    pub fn drain(&mut self, phase: Drain, out: &mut Vec<u8>) {
        let last = match (phase, self.drain) {
            (Drain::Announce, DrainState::No) => {
                self.drain = DrainState::Announced;
                frame::STREAM_ID_MASK
            }
            (Drain::Last, DrainState::No | DrainState::Announced) => {
                self.drain = DrainState::Last(self.last_stream);
                self.last_stream
            }
            _ => return,
        };
        if !self.is_closed() {
            frame::write_goaway(last, ErrorCode::NO_ERROR, out);
        }
    }

    /// Gives memory back that only a busy connection needs. What is kept is the state of field
    /// compression.
    pub fn shrink(&mut self) {
        self.streams.shrink();
        if self.streams.len() == 0 {
            self.scheduler.shrink();
            self.trailers = None;
        }
        self.scratch.shrink_to(0);
        if self.block.is_none() {
            self.block_bytes = Vec::new();
        }
    }
}
