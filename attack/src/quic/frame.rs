//! Frames (RFC 9000 §19): made, and read as far as an attacker has use for them.

use super::{take, take_varint, varint};

/// Types of frames.
pub(crate) mod kind {
    pub(crate) const PING: u64 = 0x01;
    pub(crate) const ACK: u64 = 0x02;
    pub(crate) const RESET_STREAM: u64 = 0x04;
    pub(crate) const STOP_SENDING: u64 = 0x05;
    pub(crate) const CRYPTO: u64 = 0x06;
    pub(crate) const MAX_DATA: u64 = 0x10;
    pub(crate) const MAX_STREAM_DATA: u64 = 0x11;
    pub(crate) const NEW_CONNECTION_ID: u64 = 0x18;
    pub(crate) const RETIRE_CONNECTION_ID: u64 = 0x19;
    pub(crate) const PATH_CHALLENGE: u64 = 0x1a;
    pub(crate) const PATH_RESPONSE: u64 = 0x1b;
}

/// A type and a few numbers, which is what most frames are.
pub(crate) fn numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    for number in numbers {
        varint(out, *number);
    }
}

/// Content of a stream at an offset.
pub(crate) fn stream(out: &mut Vec<u8>, stream: u64, offset: u64, content: &[u8], ends: bool) {
    numbers(out, &[0x0e | u64::from(ends), stream, offset]);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

pub(crate) fn crypto(out: &mut Vec<u8>, offset: u64, content: &[u8]) {
    numbers(out, &[kind::CRYPTO, offset, content.len() as u64]);
    out.extend_from_slice(content);
}

/// Acknowledges these ranges, of which the last is the highest.
pub(crate) fn ack(out: &mut Vec<u8>, ranges: &[(u64, u64)]) {
    let mut ranges = ranges.iter().rev();
    let Some((mut low, high)) = ranges.next().copied() else {
        return;
    };
    numbers(out, &[kind::ACK, high, 0, ranges.len() as u64, high - low]);
    for (next_low, next_high) in ranges.copied() {
        numbers(out, &[low - next_high - 2, next_high - next_low]);
        low = next_low;
    }
}

pub(crate) fn new_connection_id(out: &mut Vec<u8>, sequence: u64, retire: u64, id: &[u8; 8]) {
    numbers(out, &[kind::NEW_CONNECTION_ID, sequence, retire]);
    out.push(id.len() as u8);
    out.extend_from_slice(id);
    // The token of a stateless reset.
    out.extend_from_slice(id);
    out.extend_from_slice(id);
}

pub(crate) fn path(out: &mut Vec<u8>, kind: u64, data: &[u8; 8]) {
    varint(out, kind);
    out.extend_from_slice(data);
}

/// What the server says that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Crypto {
        offset: u64,
        content: &'a [u8],
    },
    Stream {
        stream: u64,
        ends: bool,
    },
    Reset {
        stream: u64,
    },
    MaxData(u64),
    MaxStreams {
        is_bidirectional: bool,
        max: u64,
    },
    NewConnectionId {
        sequence: u64,
        id: &'a [u8],
    },
    PathChallenge([u8; 8]),
    Close {
        is_application: bool,
        code: u64,
    },
    /// Anything else; acknowledgments need none in return.
    Other {
        needs_ack: bool,
    },
}

/// The next frame of a payload.
pub(crate) fn next<'a>(from: &mut &'a [u8]) -> Option<Frame<'a>> {
    let kind = take_varint(from)?;
    let needs_ack = Frame::Other { needs_ack: true };
    Some(match kind {
        0x00 => Frame::Other { needs_ack: false },
        0x01 | 0x1e => needs_ack,
        0x02 | 0x03 => {
            skip_ack(from, kind == 0x03)?;
            Frame::Other { needs_ack: false }
        }
        0x04 => {
            let stream = take_varint(from)?;
            skip(from, 2)?;
            Frame::Reset { stream }
        }
        0x05 | 0x11 | 0x15 => skip(from, 2).map(|()| needs_ack)?,
        0x14 | 0x16 | 0x17 | 0x19 => skip(from, 1).map(|()| needs_ack)?,
        0x06 => {
            let offset = take_varint(from)?;
            let content = take_counted(from)?;
            Frame::Crypto { offset, content }
        }
        0x07 => take_counted(from).map(|_| needs_ack)?,
        0x08..=0x0f => {
            let stream = take_varint(from)?;
            if kind & 4 != 0 {
                skip(from, 1)?;
            }
            match kind & 2 {
                0 => *from = &[],
                _ => take_counted(from).map(drop)?,
            }
            let ends = kind & 1 != 0;
            Frame::Stream { stream, ends }
        }
        0x10 => Frame::MaxData(take_varint(from)?),
        0x12 | 0x13 => Frame::MaxStreams {
            is_bidirectional: kind == 0x12,
            max: take_varint(from)?,
        },
        0x18 => {
            let sequence = take_varint(from)?;
            skip(from, 1)?;
            let len = *take(from, 1)?.first()?;
            let id = take(from, len.into())?;
            take(from, 16)?;
            Frame::NewConnectionId { sequence, id }
        }
        0x1a => Frame::PathChallenge(*take(from, 8)?.first_chunk()?),
        0x1b => take(from, 8).map(|_| needs_ack)?,
        0x1c | 0x1d => {
            let code = take_varint(from)?;
            if kind == 0x1c {
                skip(from, 1)?;
            }
            take_counted(from)?;
            let is_application = kind == 0x1d;
            Frame::Close {
                is_application,
                code,
            }
        }
        _ => return None,
    })
}

fn skip(from: &mut &[u8], count: usize) -> Option<()> {
    (0..count).try_for_each(|_| take_varint(from).map(drop))
}

fn take_counted<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = take_varint(from)?;
    take(from, usize::try_from(len).ok()?)
}

fn skip_ack(from: &mut &[u8], has_ecn: bool) -> Option<()> {
    skip(from, 2)?;
    let ranges = take_varint(from)?;
    skip(from, 1)?;
    let pairs = usize::try_from(ranges.checked_mul(2)?).ok()?;
    skip(from, pairs)?;
    if has_ecn { skip(from, 3) } else { Some(()) }
}
