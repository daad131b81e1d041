//! Frames on the wire (RFC 9113 §4.1, §6): headers read, frames of ours written.

use crate::ErrorCode;

/// Bytes of a frame header (§4.1).
pub(crate) const HEADER_LEN: usize = 9;
/// What every peer must be able to receive, and the largest frame until settings say otherwise
/// (§4.2).
pub(crate) const PAYLOAD_LEN_MIN_MAX: u32 = 1 << 14;
/// The largest value that the length of a frame can have (§4.1).
pub(crate) const PAYLOAD_LEN_MAX: u32 = (1 << 24) - 1;

/// Frame types (§6, RFC 9218 §7.1).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0x0;
    pub(crate) const HEADERS: u8 = 0x1;
    pub(crate) const PRIORITY: u8 = 0x2;
    pub(crate) const RST_STREAM: u8 = 0x3;
    pub(crate) const SETTINGS: u8 = 0x4;
    pub(crate) const PUSH_PROMISE: u8 = 0x5;
    pub(crate) const PING: u8 = 0x6;
    pub(crate) const GOAWAY: u8 = 0x7;
    pub(crate) const WINDOW_UPDATE: u8 = 0x8;
    pub(crate) const CONTINUATION: u8 = 0x9;
    pub(crate) const PRIORITY_UPDATE: u8 = 0x10;
}

/// Flags (§6). `ACK` and `END_STREAM` share a bit on different types.
pub(crate) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// A frame header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FrameHeader {
    pub(crate) len: u32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl FrameHeader {
    /// Reads the header that `input` starts with, if it is all there. The reserved bit is ignored
    /// (§4.1).
    #[inline]
    pub(crate) fn read(input: &[u8]) -> Option<Self> {
        let &[len0, len1, len2, kind, flags, id0, id1, id2, id3] = input.first_chunk()?;
        Some(Self {
            len: u32::from_be_bytes([0, len0, len1, len2]),
            kind,
            flags,
            stream: u32::from_be_bytes([id0, id1, id2, id3]) & STREAM_ID_MASK,
        })
    }

    /// The header's bytes.
    #[inline]
    pub(crate) const fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [_, len0, len1, len2] = self.len.to_be_bytes();
        let [id0, id1, id2, id3] = self.stream.to_be_bytes();
        [len0, len1, len2, self.kind, self.flags, id0, id1, id2, id3]
    }

    #[inline]
    pub(crate) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Stream identifiers have 31 bits.
pub(crate) const STREAM_ID_MASK: u32 = (1 << 31) - 1;

/// The big-endian number that `bytes` starts with; zero if it is too short, which callers rule out.
#[inline]
pub(crate) fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().copied().map_or(0, u32::from_be_bytes)
}

/// Writes a frame with a payload of four bytes: RST_STREAM, WINDOW_UPDATE.
fn write_number(kind: u8, stream: u32, number: u32, out: &mut Vec<u8>) {
    let header = FrameHeader {
        len: 4,
        kind,
        flags: 0,
        stream,
    };
    let mut frame = [0; HEADER_LEN + 4];
    frame[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    frame[HEADER_LEN..].copy_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&frame);
}

pub(crate) fn write_rst_stream(stream: u32, code: ErrorCode, out: &mut Vec<u8>) {
    write_number(kind::RST_STREAM, stream, code.0, out);
}

pub(crate) fn write_window_update(stream: u32, increment: u32, out: &mut Vec<u8>) {
    write_number(kind::WINDOW_UPDATE, stream, increment, out);
}

pub(crate) fn write_ping(flags: u8, payload: [u8; 8], out: &mut Vec<u8>) {
    let header = FrameHeader {
        len: 8,
        kind: kind::PING,
        flags,
        stream: 0,
    };
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(&payload);
}

pub(crate) fn write_goaway(last_stream: u32, code: ErrorCode, out: &mut Vec<u8>) {
    let header = FrameHeader {
        len: 8,
        kind: kind::GOAWAY,
        flags: 0,
        stream: 0,
    };
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(&last_stream.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Writes SETTINGS with these parameters.
pub(crate) fn write_settings(parameters: &[(u16, u32)], out: &mut Vec<u8>) {
    let header = FrameHeader {
        len: parameters.len() as u32 * 6,
        kind: kind::SETTINGS,
        flags: 0,
        stream: 0,
    };
    out.extend_from_slice(&header.to_bytes());
    for (id, value) in parameters {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(crate) fn write_settings_ack(out: &mut Vec<u8>) {
    let header = FrameHeader {
        len: 0,
        kind: kind::SETTINGS,
        flags: flag::ACK,
        stream: 0,
    };
    out.extend_from_slice(&header.to_bytes());
}

/// Leaves room for the header of a HEADERS frame; [`end_headers`] fills it.
#[inline]
pub(crate) fn begin_headers(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LEN]);
    start
}

/// Makes frames of the field block that was written since [`begin_headers`] (§4.3): one, or HEADERS
/// and CONTINUATION if it is longer than the peer takes.
#[inline]
pub(crate) fn end_headers(
    start: usize,
    stream: u32,
    end_stream: bool,
    payload_max: u32,
    out: &mut Vec<u8>,
) {
    let len = out.len() - start - HEADER_LEN;
    if len > payload_max as usize {
        split_headers(start, payload_max as usize, out);
    }
    let end_stream = if end_stream { flag::END_STREAM } else { 0 };
    let end_headers = if len > payload_max as usize {
        0
    } else {
        flag::END_HEADERS
    };
    let header = FrameHeader {
        len: len.min(payload_max as usize) as u32,
        kind: kind::HEADERS,
        flags: end_stream | end_headers,
        stream,
    };
    if let Some(place) = out.get_mut(start..start + HEADER_LEN) {
        place.copy_from_slice(&header.to_bytes());
    }
    if len > payload_max as usize {
        number_continuations(start, stream, payload_max as usize, len, out);
    }
}

/// Opens gaps for the headers of the CONTINUATION frames.
#[cold]
fn split_headers(start: usize, payload_max: usize, out: &mut Vec<u8>) {
    let rest = out.split_off(start + HEADER_LEN + payload_max);
    for fragment in rest.chunks(payload_max) {
        out.extend_from_slice(&[0; HEADER_LEN]);
        out.extend_from_slice(fragment);
    }
}

/// Fills the gaps.
#[cold]
fn number_continuations(start: usize, stream: u32, payload_max: usize, len: usize, out: &mut [u8]) {
    let (mut at, mut left) = (start + HEADER_LEN + payload_max, len - payload_max);
    while left > 0 {
        let fragment = left.min(payload_max);
        left -= fragment;
        let header = FrameHeader {
            len: fragment as u32,
            kind: kind::CONTINUATION,
            flags: u8::from(left == 0) * flag::END_HEADERS,
            stream,
        };
        if let Some(place) = out.get_mut(at..at + HEADER_LEN) {
            place.copy_from_slice(&header.to_bytes());
        }
        at += HEADER_LEN + fragment;
    }
}

#[cfg(test)]
mod tests;
