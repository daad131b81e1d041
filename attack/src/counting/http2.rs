//! What one connection of HTTP/2 says (RFC 9113): as much as it takes to know where each answer
//! ends and what the server has not processed, and no leniency, so that whatever is mixed up shows.

use std::fmt;

use super::{Place, Plan};
use crate::h2::{
    self, HEADER_BYTES, PAYLOAD_BYTES_MAX, PREFACE, WINDOW_INITIAL, WINDOW_MAX, fields, flag, kind,
    setting,
};

/// Streams at once, until the server has said how many: what it should allow at least (§6.5.2).
const STREAMS_UNTOLD: u32 = 100;
/// A field block may not be longer.
const BLOCK_BYTES_MAX: usize = 64 * 1024;
/// Content that was received, until the server may send as much more.
const GIVEN_BACK_BYTES: u32 = 1024 * 1024;
/// Of a number.
const DIGITS: u32 = 12;

/// What a frame came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A head, or trailers, which have no status.
    Fields {
        stream: u32,
        status: Option<u16>,
        ends: bool,
    },
    Content {
        stream: u32,
        bytes: Vec<u8>,
        ends: bool,
    },
    /// RST_STREAM.
    Reset { stream: u32, code: u32 },
    /// GOAWAY: streams above `last` were not and will not be processed.
    GoAway { last: u32, code: u32 },
    /// There may be room for further requests.
    Room,
}

/// Why a connection cannot be understood any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    FrameTooLarge,
    FrameTooSmall,
    Padding,
    BlockTooLong,
    /// Something else where CONTINUATION had to be, or the other way round.
    Continuation,
    /// We have said that we want none.
    Push,
    Interim,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Broken::FrameTooLarge => "a frame above 16 KiB",
            Broken::FrameTooSmall => "a frame that is too small",
            Broken::Padding => "more padding than payload",
            Broken::BlockTooLong => "a field block without end",
            Broken::Continuation => "a field block that is interrupted",
            Broken::Push => "a push",
            Broken::Interim => "an informational response that ends",
        })
    }
}

/// One connection, without its socket.
#[derive(Debug)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were used.
    used: usize,
    next_stream: u32,
    streams_max: u32,
    /// What we may send on the connection, and on a new stream.
    window: u32,
    stream_window: u32,
    /// Content that was received and not given back to the connection's window.
    taken: u32,
    block: Option<Block>,
}

/// A field block whose end has not come.
#[derive(Debug)]
struct Block {
    stream: u32,
    ends: bool,
    bytes: Vec<u8>,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Reader {
    /// A connection, and what it sends first.
    pub(super) fn new(to: &mut Vec<u8>) -> Reader {
        to.extend_from_slice(PREFACE);
        // Without a table a status can be read by itself.
        to.extend(h2::settings(&[
            (setting::HEADER_TABLE_SIZE, 0),
            (setting::ENABLE_PUSH, 0),
            (setting::INITIAL_WINDOW_SIZE, WINDOW_MAX),
        ]));
        to.extend(h2::window_update(0, WINDOW_MAX - WINDOW_INITIAL));
        Reader {
            buffer: Vec::new(),
            used: 0,
            next_stream: 1,
            streams_max: STREAMS_UNTOLD,
            window: WINDOW_INITIAL,
            stream_window: WINDOW_INITIAL,
            taken: 0,
            block: None,
        }
    }

    /// Whether another request may go out now. One with content goes only where all of it may.
    pub(super) fn has_room(&self, in_flight: usize, place: Place) -> bool {
        let content = if place == Place::Content { DIGITS } else { 0 };
        in_flight < self.streams_max as usize
            && self.next_stream <= WINDOW_MAX
            && content <= self.window.min(self.stream_window)
    }

    /// Writes a request; on which stream.
    pub(super) fn ask(&mut self, to: &mut Vec<u8>, plan: &Plan, number: u64) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let host = plan.address.get().to_string();
        let number = format!("{number:012}");
        let root = if plan.path.is_empty() {
            "/"
        } else {
            &plan.path
        };
        match plan.place {
            Place::Target => {
                let target = format!("{}/n/{number}", plan.path);
                let block = fields::request(false, &host, &target);
                h2::put_headers(to, flag::END_STREAM, stream, &block);
            }
            Place::Field => {
                let mut block = fields::request(false, &host, root);
                fields::put_literal(&mut block, b"number", number.as_bytes());
                h2::put_headers(to, flag::END_STREAM, stream, &block);
            }
            Place::Content => {
                let mut block = fields::request(true, &host, root);
                fields::put_known(&mut block, fields::index::CONTENT_LENGTH, b"12");
                h2::put_headers(to, 0, stream, &block);
                h2::put_frame(to, kind::DATA, flag::END_STREAM, stream, number.as_bytes());
                self.window -= DIGITS;
            }
        }
        stream
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        if self.used > 0 {
            self.buffer.drain(..self.used);
            self.used = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event, if its frame has come. What has to be replied goes to `to`.
    pub(super) fn next(&mut self, to: &mut Vec<u8>) -> Result<Option<Event>, Broken> {
        while let Some(frame) = self.frame()? {
            if let Some(event) = self.take(frame, to)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn frame(&mut self) -> Result<Option<Frame>, Broken> {
        let rest = &self.buffer[self.used..];
        let Some((header, rest)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let [a, b, c, kind, flags, ..] = *header;
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        if len > PAYLOAD_BYTES_MAX {
            return Err(Broken::FrameTooLarge);
        }
        let Some(payload) = rest.get(..len) else {
            return Ok(None);
        };
        let frame = Frame {
            kind,
            flags,
            stream: number_at(header, 5)?,
            payload: payload.to_vec(),
        };
        self.used += HEADER_BYTES + len;
        Ok(Some(frame))
    }

    fn take(&mut self, frame: Frame, to: &mut Vec<u8>) -> Result<Option<Event>, Broken> {
        let Frame {
            kind,
            flags,
            stream,
            payload,
        } = frame;
        let acknowledges = flags & flag::ACK != 0;
        if self.block.is_some() != (kind == kind::CONTINUATION) {
            return Err(Broken::Continuation);
        }
        match kind {
            kind::DATA => self.data(stream, flags, &payload, to).map(Some),
            kind::HEADERS => {
                let fragment = h2::content_of(kind, flags, &payload).ok_or(Broken::Padding)?;
                let block = Block {
                    stream,
                    ends: flags & flag::END_STREAM != 0,
                    bytes: fragment.to_vec(),
                };
                self.fragment(block, flags)
            }
            kind::CONTINUATION => {
                let mut block = self.block.take().ok_or(Broken::Continuation)?;
                if block.stream != stream {
                    return Err(Broken::Continuation);
                }
                block.bytes.extend_from_slice(&payload);
                self.fragment(block, flags)
            }
            kind::RST_STREAM => {
                let code = whole_number_at(&payload, 0)?;
                Ok(Some(Event::Reset { stream, code }))
            }
            kind::SETTINGS if !acknowledges => {
                self.settings(&payload)?;
                h2::put_frame(to, kind::SETTINGS, flag::ACK, 0, b"");
                Ok(Some(Event::Room))
            }
            kind::PUSH_PROMISE => Err(Broken::Push),
            kind::PING if !acknowledges => {
                h2::put_frame(to, kind::PING, flag::ACK, 0, &payload);
                Ok(None)
            }
            kind::GOAWAY => Ok(Some(Event::GoAway {
                last: number_at(&payload, 0)?,
                code: whole_number_at(&payload, 4)?,
            })),
            kind::WINDOW_UPDATE if stream == 0 => {
                self.window = self.window.saturating_add(number_at(&payload, 0)?);
                Ok(Some(Event::Room))
            }
            // Of a stream's window we never need more than it has at first.
            _ => Ok(None),
        }
    }

    fn data(
        &mut self,
        stream: u32,
        flags: u8,
        payload: &[u8],
        to: &mut Vec<u8>,
    ) -> Result<Event, Broken> {
        // Padding counts, too.
        self.taken += payload.len() as u32;
        if self.taken >= GIVEN_BACK_BYTES {
            to.extend(h2::window_update(0, std::mem::take(&mut self.taken)));
        }
        let bytes = h2::content_of(kind::DATA, flags, payload).ok_or(Broken::Padding)?;
        Ok(Event::Content {
            stream,
            bytes: bytes.to_vec(),
            ends: flags & flag::END_STREAM != 0,
        })
    }

    /// A field block has grown, or ended.
    fn fragment(&mut self, block: Block, flags: u8) -> Result<Option<Event>, Broken> {
        if block.bytes.len() > BLOCK_BYTES_MAX {
            return Err(Broken::BlockTooLong);
        }
        if flags & flag::END_HEADERS == 0 {
            self.block = Some(block);
            return Ok(None);
        }
        let Block {
            stream,
            ends,
            bytes,
        } = block;
        let status = fields::status_of(&bytes);
        match status {
            Some(100..200) if ends => Err(Broken::Interim),
            Some(100..200) => Ok(None),
            _ => Ok(Some(Event::Fields {
                stream,
                status,
                ends,
            })),
        }
    }

    fn settings(&mut self, payload: &[u8]) -> Result<(), Broken> {
        for pair in payload.chunks(6) {
            let value = whole_number_at(pair, 2)?;
            match u16::from_be_bytes([pair[0], pair[1]]) {
                setting::MAX_CONCURRENT_STREAMS => self.streams_max = value,
                setting::INITIAL_WINDOW_SIZE => self.stream_window = value,
                _ => {}
            }
        }
        Ok(())
    }
}

fn number_at(bytes: &[u8], at: usize) -> Result<u32, Broken> {
    h2::number_at(bytes, at).ok_or(Broken::FrameTooSmall)
}

fn whole_number_at(bytes: &[u8], at: usize) -> Result<u32, Broken> {
    h2::whole_number_at(bytes, at).ok_or(Broken::FrameTooSmall)
}

#[cfg(test)]
mod tests;
