//! Frames (RFC 9114 §7).

use crate::varint;

/// Frame types (§7.2, RFC 9218 §7.2).
pub(crate) mod kind {
    pub(crate) const DATA: u64 = 0x00;
    pub(crate) const HEADERS: u64 = 0x01;
    pub(crate) const CANCEL_PUSH: u64 = 0x03;
    pub(crate) const SETTINGS: u64 = 0x04;
    pub(crate) const PUSH_PROMISE: u64 = 0x05;
    pub(crate) const GOAWAY: u64 = 0x07;
    pub(crate) const MAX_PUSH_ID: u64 = 0x0d;
    pub(crate) const PRIORITY_UPDATE_REQUEST: u64 = 0xf0700;
    pub(crate) const PRIORITY_UPDATE_PUSH: u64 = 0xf0701;

    /// Whether it is a type of HTTP/2 that has no counterpart and must not be sent (§7.2.8).
    pub(crate) const fn is_of_http2(kind: u64) -> bool {
        matches!(kind, 0x02 | 0x06 | 0x08 | 0x09)
    }
}

/// A frame's type and the length of its payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: u64,
    pub(crate) len: u64,
}

/// The beginning of a frame's header.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartialHeader {
    bytes: [u8; HEADER_LEN_MAX],
    len: u8,
}

/// Two numbers.
const HEADER_LEN_MAX: usize = 2 * varint::LEN_MAX;

impl PartialHeader {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; HEADER_LEN_MAX],
            len: 0,
        }
    }

    /// Whether nothing of a frame has come.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads a header from what came before and `input`. Returns how many bytes of `input` are used, and
    /// the header if it is complete; otherwise all of them are.
    #[inline]
    pub(crate) fn read(&mut self, input: &[u8]) -> (usize, Option<FrameHeader>) {
        if self.is_empty()
            && let Some((header, rest)) = parse(input)
        {
            return (input.len() - rest.len(), Some(header));
        }
        self.read_in_pieces(input)
    }

    fn read_in_pieces(&mut self, input: &[u8]) -> (usize, Option<FrameHeader>) {
        for (at, byte) in input.iter().enumerate() {
            if let Some(place) = self.bytes.get_mut(usize::from(self.len)) {
                *place = *byte;
                self.len += 1;
            }
            let so_far = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
            if let Some((header, _)) = parse(so_far) {
                self.len = 0;
                return (at + 1, Some(header));
            }
        }
        (input.len(), None)
    }
}

#[inline]
fn parse(input: &[u8]) -> Option<(FrameHeader, &[u8])> {
    let (kind, rest) = varint::decode(input)?;
    let (len, rest) = varint::decode(rest)?;
    Some((FrameHeader { kind, len }, rest))
}

/// Appends a frame's header.
#[inline]
pub(crate) fn write_header(kind: u64, len: u64, out: &mut Vec<u8>) {
    varint::encode(kind, out);
    varint::encode(len, out);
}

/// Appends a frame whose payload is one number.
pub(crate) fn write_number(kind: u64, number: u64, out: &mut Vec<u8>) {
    let mut payload = Vec::with_capacity(varint::LEN_MAX);
    varint::encode(number, &mut payload);
    write_header(kind, payload.len() as u64, out);
    out.extend_from_slice(&payload);
}

/// Begins a HEADERS frame, whose length is not known yet; to be ended with [`end_headers`].
#[inline]
pub(crate) fn begin_headers(out: &mut Vec<u8>) -> usize {
    // Two bytes of length: enough for any head but a huge one.
    out.extend_from_slice(&[kind::HEADERS as u8, 0x40, 0x00]);
    out.len()
}

/// Writes the length of the HEADERS frame that begins before `start`.
#[inline]
pub(crate) fn end_headers(start: usize, out: &mut Vec<u8>) {
    let len = out.len() - start;
    match u16::try_from(len) {
        Ok(short) if short < 0x4000 => {
            if let Some(place) = out.get_mut(start - 2..start) {
                place.copy_from_slice(&(short | 0x4000).to_be_bytes());
            }
        }
        _ => {
            let mut longer = Vec::with_capacity(varint::LEN_MAX);
            varint::encode(len as u64, &mut longer);
            out.splice(start - 2..start, longer);
        }
    }
}

#[cfg(test)]
mod tests;
