//! Commands: responses, resets, and the end of a stream.

use ajay_http::{ContentSize, FieldSection, ResponseHead, SendBody, StatusCode};
use ajay_mux::response;

use super::{Command, Connection, Grant};
use crate::{
    ErrorCode, Misuse, StreamKey,
    frame::{self, kind},
    stream::{Send, Stream},
};

/// What one DATA frame holds at most: the others of the same urgency that are incremental have their turn
/// after it.
const DATA_BYTES_MAX: u32 = 32 * 1024;

/// Responses.
///
/// After [`Event::Reset`](super::Event::Reset), and once a response is complete, commands are refused as
/// [`Misuse::StreamClosed`]. A stream counts until [`Connection::stream_done`].
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
        frame::end_headers(start, out);
        Ok(())
    }

    /// Writes the head of the final response. If no content follows, the response is finished, and the
    /// stream is to be ended after what was written.
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
        frame::end_headers(start, out);
        if is_finished {
            self.end_sending(key);
            return Ok(SendBody::None);
        }
        Ok(SendBody::Payload)
    }

    /// Writes a whole response if nothing else waits for its turn. Else writes nothing and says no; the
    /// other commands send it then. The stream is to be ended after what was written.
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
        if !self.scheduler.is_empty() || len > DATA_BYTES_MAX as usize {
            return Ok(false);
        }
        // No content says nothing of what GET would have: HEAD may not tell a length of 0 then.
        let size = match len {
            0 => ContentSize::Empty,
            len => ContentSize::Exact(len as u64),
        };
        if self.send_head(key, head, size, out)? == SendBody::Payload {
            self.frame_data(key, len as u32, true, out)?;
            out.extend_from_slice(content);
        }
        Ok(true)
    }

    /// Says how many bytes of content the caller has ready for a stream now, so that it gets its turns;
    /// zero takes it off the list. What [`frame_data`](Self::frame_data) accounts for is subtracted.
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

    /// Says whether the transport takes no more of a stream: then it gets no turns.
    #[inline]
    pub fn set_blocked(&mut self, key: StreamKey, is_blocked: bool) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if stream.is_blocked != is_blocked {
            stream.is_blocked = is_blocked;
            self.reschedule(key);
        }
    }

    /// The stream whose turn it is to send content (RFC 9218 §10), if there is one. The same until
    /// something changes.
    #[inline]
    pub fn next_grant(&mut self, now: u64) -> Option<Grant> {
        self.now = now;
        let slot = self.scheduler.first()?;
        let key = self.streams.key_of_slot(slot)?;
        let ready = self.streams.get(key)?.ready;
        let bytes_max = u32::try_from(ready).unwrap_or(u32::MAX).min(DATA_BYTES_MAX);
        Some(Grant { key, bytes_max })
    }

    /// Accounts for `len` bytes of content and writes the header of their frame; the bytes are to follow on
    /// the stream. `end`: nothing follows them, and the stream is to be ended. No bytes are no frame.
    ///
    /// # Errors
    /// No head was sent, or there is more or less content than declared. Nothing was written then.
    #[inline]
    pub fn frame_data(
        &mut self,
        key: StreamKey,
        len: u32,
        end: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
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
                *remaining = rest;
            }
            Send::Unbounded => {}
        }
        stream.ready = stream.ready.saturating_sub(u64::from(len));
        if len > 0 {
            frame::write_header(kind::DATA, len.into(), out);
        }
        if end {
            self.end_sending(key);
        } else if self.scheduler.contains(key.slot() as u32) {
            self.scheduler.pass_on(key.slot() as u32);
            self.reschedule(key);
        }
        Ok(())
    }

    /// Finishes a response, with trailers if there are any: fields that may not be in a trailer section are
    /// left out. The stream is to be ended after what was written.
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
        if let Some(fields) = trailers.filter(|fields| response::has_trailers(fields)) {
            let start = frame::begin_headers(out);
            response::write_trailers(&mut self.encoder, fields, out);
            frame::end_headers(start, out);
        }
        self.end_sending(key);
        Ok(())
    }

    /// Resets a stream (§4.1.1). It counts until [`stream_done`](Self::stream_done).
    ///
    /// # Errors
    /// The stream is over.
    pub fn reset(&mut self, key: StreamKey, code: ErrorCode) -> Result<(), Misuse> {
        self.open_stream(key)?;
        self.reset_stream(key, code);
        Ok(())
    }

    /// The application is done with a stream that `Request` or `Refused` told of: its handler has ended and
    /// will read no more content. To be called once for each, whatever became of it; it does nothing if the
    /// stream is gone.
    ///
    /// A request of which content is still coming is stopped with H3_NO_ERROR if its response is complete
    /// (§4.1.1), and reset with H3_INTERNAL_ERROR if it is not.
    pub fn stream_done(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        match stream.send {
            Send::Finished if stream.is_receiving() => {
                let (stream, code) = (key.id(), ErrorCode::NO_ERROR);
                self.unblock(key);
                self.commands
                    .push_back(Command::StopSending { stream, code });
            }
            Send::Finished | Send::Reset => {}
            _ => self.reset_stream(key, ErrorCode::INTERNAL_ERROR),
        }
        self.remove(key);
    }

    /// Gives up a stream that no event has told of.
    pub fn abandon(&mut self, stream: u64, code: ErrorCode) {
        let Some(key) = self.streams.find(stream) else {
            return;
        };
        self.reset_stream(key, code);
        self.remove(key);
    }

    /// Gives memory back that only a busy connection needs.
    pub fn shrink(&mut self) {
        self.streams.shrink();
        if self.streams.len() == 0 {
            self.scheduler.shrink();
            self.trailers = None;
            self.blocked = Vec::new();
            if self.commands.is_empty() {
                self.commands = std::collections::VecDeque::new();
            }
        }
        self.scratch.shrink_to(0);
    }

    #[inline]
    fn open_stream(&mut self, key: StreamKey) -> Result<&mut Stream, Misuse> {
        match self.streams.get_mut(key) {
            Some(stream) if !stream.is_reset() => Ok(stream),
            _ => Err(Misuse::StreamClosed),
        }
    }

    /// All of the response was framed. The caller may still hold some of it.
    #[inline]
    fn end_sending(&mut self, key: StreamKey) {
        self.scheduler.remove(key.slot() as u32);
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        stream.send = Send::Finished;
        stream.ready = 0;
    }

    /// Puts a stream on the list of those that can send, or takes it off.
    #[inline]
    pub(super) fn reschedule(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if stream.can_send() {
            let priority = stream.priority;
            self.scheduler.insert(key.slot() as u32, key.id(), priority);
        } else {
            self.scheduler.remove(key.slot() as u32);
        }
    }
}
