//! Frames in what is received, piece by piece. Of each payload only the beginning is kept, so that
//! thousands of connections cost little and content is not copied.

use super::HEADER_BYTES;

/// Enough for GOAWAY, and for the status in HEADERS behind padding length, priority and table size.
const BEGINNING_BYTES: usize = 16;

/// A frame whose last byte has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    /// Of the payload.
    pub(crate) beginning: &'a [u8],
}

/// The frames of one connection.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    header: [u8; HEADER_BYTES],
    header_len: usize,
    beginning: [u8; BEGINNING_BYTES],
    beginning_len: usize,
    /// Bytes of the payload that have not come.
    left: usize,
}

impl Scanner {
    /// Tells each frame that ends in `bytes`. What is no HTTP/2 at all looks like frames, too.
    pub(crate) fn scan(&mut self, bytes: &[u8], mut seen: impl FnMut(Frame<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.header_len < HEADER_BYTES {
                let taken = fill(&mut self.header[self.header_len..], rest);
                self.header_len += taken;
                rest = &rest[taken..];
                if self.header_len < HEADER_BYTES {
                    return;
                }
                let [a, b, c, ..] = self.header;
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
                self.beginning_len = 0;
            }
            let payload = &rest[..rest.len().min(self.left)];
            self.beginning_len += fill(&mut self.beginning[self.beginning_len..], payload);
            self.left -= payload.len();
            rest = &rest[payload.len()..];
            if self.left == 0 {
                self.header_len = 0;
                seen(self.frame());
            }
        }
    }

    fn frame(&self) -> Frame<'_> {
        let [_, _, _, kind, flags, a, b, c, d] = self.header;
        Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([a & 0x7f, b, c, d]),
            beginning: &self.beginning[..self.beginning_len],
        }
    }
}

/// Copies what fits; how much that was.
fn fill(to: &mut [u8], from: &[u8]) -> usize {
    let len = to.len().min(from.len());
    to[..len].copy_from_slice(&from[..len]);
    len
}

#[cfg(test)]
mod tests;
