//! The chunked transfer coding (RFC 9112 §7.1).
//!
//! ```text
//! chunked-body = *chunk last-chunk trailer-section CRLF
//! chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//! chunk-ext    = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
//! ```
//!
//! The decoder is a machine over bytes; only chunk-data goes by in one piece. Line ends are CR LF
//! everywhere, and whitespace stands only where the grammar has it.
//!
//! | state             | in                                   | next                                  |
//! |-------------------|--------------------------------------|---------------------------------------|
//! | `Size`            | 1 to 16 hex digits                   | `SpaceBeforeExtension`, `ExtensionStart`, `SizeLf` |
//! | `SpaceBeforeExtension` | BWS after size or value         | `ExtensionStart`                      |
//! | `ExtensionStart`  | BWS after `;`                        | `ExtensionName`                       |
//! | `ExtensionName`   | token                                | `SpaceAfterName`, `ValueStart`, `ExtensionStart`, `SizeLf` |
//! | `SpaceAfterName`  | BWS after a name                     | `ValueStart`, `ExtensionStart`        |
//! | `ValueStart`      | BWS after `=`                        | `ValueToken`, `Quoted`                |
//! | `ValueToken`      | token                                | `SpaceBeforeExtension`, `ExtensionStart`, `SizeLf` |
//! | `Quoted`          | quoted-string                        | `QuotedPair`, `ValueEnd`              |
//! | `QuotedPair`      | the byte after a backslash           | `Quoted`                              |
//! | `ValueEnd`        | after the closing quote              | `SpaceBeforeExtension`, `ExtensionStart`, `SizeLf` |
//! | `SizeLf`          | LF                                   | `Data`, after last-chunk `Trailers`   |
//! | `Data`            | chunk-data                           | `DataCr`                              |
//! | `DataCr`, `DataLf`| CR, LF                               | `Size`                                |
//! | `Trailers`        | field lines, empty line              | done                                  |

use ajay_http::{FieldSection, Limits, class, trailers};

use crate::{
    Violation,
    field_lines::{FieldLines, LineLimit},
};

/// What was decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decoded<'i> {
    /// All input that can be used has been used.
    NeedData,
    /// Content.
    Data(&'i [u8]),
    /// The message is complete.
    End,
}

/// A chunked body being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder {
    state: State,
    /// Bytes of chunk extensions so far, in all chunks.
    extension_bytes: u32,
    /// Bytes of content declared so far, in all chunks.
    content_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Size { digits: u8, size: u64 },
    SpaceBeforeExtension { size: u64 },
    ExtensionStart { size: u64 },
    ExtensionName { size: u64 },
    SpaceAfterName { size: u64 },
    ValueStart { size: u64 },
    ValueToken { size: u64 },
    Quoted { size: u64 },
    QuotedPair { size: u64 },
    ValueEnd { size: u64 },
    SizeLf { size: u64 },
    Data { remaining: u64 },
    DataCr,
    DataLf,
    Trailers(FieldLines),
}

/// 16 digits are 64 bits. More, even zeros, are no size anybody needs to write.
const SIZE_DIGITS_MAX: u8 = 16;

impl Decoder {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Size { digits: 0, size: 0 },
            extension_bytes: 0,
            content_bytes: 0,
        }
    }

    /// Reads on: how much of `input` was used, and what came of it. The trailer section is used in
    /// one piece: until it is complete the caller keeps its bytes.
    #[inline(never)]
    pub(crate) fn decode<'i>(
        &mut self,
        input: &'i [u8],
        limits: &Limits,
        section: &mut Option<Box<FieldSection>>,
    ) -> Result<(usize, Decoded<'i>), Violation> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            match self.state {
                State::Data { remaining } => {
                    if rest.is_empty() {
                        return Ok((at, Decoded::NeedData));
                    }
                    let len = usize::try_from(remaining)
                        .unwrap_or(usize::MAX)
                        .min(rest.len());
                    let data = rest.get(..len).unwrap_or_default();
                    self.state = match remaining - len as u64 {
                        0 => State::DataCr,
                        remaining => State::Data { remaining },
                    };
                    return Ok((at + len, Decoded::Data(data)));
                }
                State::Trailers(mut lines) => {
                    let end = read_trailers(&mut lines, rest, limits, section)?;
                    self.state = State::Trailers(lines);
                    return Ok(match end {
                        Some(len) => (at + len, Decoded::End),
                        None => (at, Decoded::NeedData),
                    });
                }
                state => {
                    let Some(&byte) = rest.first() else {
                        return Ok((at, Decoded::NeedData));
                    };
                    self.state = state.next(byte)?;
                    at += 1;
                    self.account(state, limits)?;
                }
            }
        }
    }

    /// Counts what the step from `before` to the state now adds to the bounded sums.
    #[inline]
    fn account(&mut self, before: State, limits: &Limits) -> Result<(), Violation> {
        if self.state.is_in_extension() {
            self.extension_bytes = self.extension_bytes.saturating_add(1);
            if self.extension_bytes > limits.chunk_extension_bytes_max {
                return Err(Violation::ChunkExtensionsTooLarge);
            }
        }
        if let (State::SizeLf { size }, State::Data { .. }) = (before, self.state) {
            self.content_bytes = self.content_bytes.saturating_add(size);
            if self.content_bytes > limits.content_bytes_max {
                return Err(Violation::ContentTooLarge);
            }
        }
        Ok(())
    }
}

impl State {
    /// The state after `byte`, for the states that go byte by byte.
    #[inline]
    fn next(self, byte: u8) -> Result<Self, Violation> {
        let is_token = class::TCHAR[usize::from(byte)];
        match (self, byte) {
            (Self::Size { digits, size }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits >= SIZE_DIGITS_MAX {
                    return Err(Violation::ChunkSizeTooLong);
                }
                Ok(Self::Size {
                    digits: digits + 1,
                    size: size << 4 | hex_digit(byte),
                })
            }
            (Self::Size { digits: 0, .. }, _) => Err(Violation::ChunkSizeInvalid),

            // The line may end after the size, a name and a value, but not after whitespace.
            (
                Self::Size { size, .. }
                | Self::ExtensionName { size }
                | Self::ValueToken { size }
                | Self::ValueEnd { size },
                b'\r',
            ) => Ok(Self::SizeLf { size }),
            (Self::SizeLf { size: 0 }, b'\n') => Ok(Self::Trailers(FieldLines::starting_at(0))),
            (Self::SizeLf { size }, b'\n') => Ok(Self::Data { remaining: size }),
            (Self::SizeLf { .. }, _) => Err(Violation::BareCr),

            (
                Self::Size { size, .. }
                | Self::SpaceBeforeExtension { size }
                | Self::ExtensionName { size }
                | Self::SpaceAfterName { size }
                | Self::ValueToken { size }
                | Self::ValueEnd { size },
                b';',
            ) => Ok(Self::ExtensionStart { size }),
            (
                Self::Size { size, .. }
                | Self::SpaceBeforeExtension { size }
                | Self::ValueToken { size }
                | Self::ValueEnd { size },
                b' ' | b'\t',
            ) => Ok(Self::SpaceBeforeExtension { size }),
            (Self::Size { .. }, b'\n') => Err(Violation::BareLf),
            (Self::Size { .. }, _) => Err(Violation::ChunkSizeInvalid),

            (Self::ExtensionStart { size }, b' ' | b'\t') => Ok(Self::ExtensionStart { size }),
            (Self::ExtensionStart { size } | Self::ExtensionName { size }, _) if is_token => {
                Ok(Self::ExtensionName { size })
            }
            (Self::ExtensionName { size } | Self::SpaceAfterName { size }, b' ' | b'\t') => {
                Ok(Self::SpaceAfterName { size })
            }
            (Self::ExtensionName { size } | Self::SpaceAfterName { size }, b'=') => {
                Ok(Self::ValueStart { size })
            }
            (Self::ValueStart { size }, b' ' | b'\t') => Ok(Self::ValueStart { size }),
            (Self::ValueStart { size }, b'"') => Ok(Self::Quoted { size }),
            (Self::ValueStart { size } | Self::ValueToken { size }, _) if is_token => {
                Ok(Self::ValueToken { size })
            }
            (Self::Quoted { size }, b'"') => Ok(Self::ValueEnd { size }),
            (Self::Quoted { size }, b'\\') => Ok(Self::QuotedPair { size }),
            (Self::Quoted { size }, _) if class::QDTEXT[usize::from(byte)] => {
                Ok(Self::Quoted { size })
            }
            (Self::QuotedPair { size }, _) if class::FIELD_VALUE[usize::from(byte)] => {
                Ok(Self::Quoted { size })
            }
            (_, b'\n') if self.is_in_extension() => Err(Violation::BareLf),

            (Self::DataCr, b'\r') => Ok(Self::DataLf),
            (Self::DataLf, b'\n') => Ok(Self::Size { digits: 0, size: 0 }),
            (Self::DataCr | Self::DataLf, _) => Err(Violation::ChunkDataUnterminated),
            _ => Err(Violation::ChunkExtensionInvalid),
        }
    }

    const fn is_in_extension(self) -> bool {
        matches!(
            self,
            Self::SpaceBeforeExtension { .. }
                | Self::ExtensionStart { .. }
                | Self::ExtensionName { .. }
                | Self::SpaceAfterName { .. }
                | Self::ValueStart { .. }
                | Self::ValueToken { .. }
                | Self::Quoted { .. }
                | Self::QuotedPair { .. }
                | Self::ValueEnd { .. }
        )
    }
}

#[inline]
const fn hex_digit(byte: u8) -> u64 {
    // Letters: the low nibble of `a` and `A` is 1.
    (if byte.is_ascii_digit() {
        byte - b'0'
    } else {
        (byte & 0x0f) + 9
    }) as u64
}

/// Reads the trailer section at the start of `input`; returns its length when it is complete.
fn read_trailers(
    lines: &mut FieldLines,
    input: &[u8],
    limits: &Limits,
    section: &mut Option<Box<FieldSection>>,
) -> Result<Option<usize>, Violation> {
    match input {
        [b'\r', b'\n', ..] => return Ok(Some(2)),
        [] | [b'\r'] => return Ok(None),
        _ => {}
    }
    let bytes_max = limits.trailer_bytes_max as usize;
    let window = input.get(..bytes_max).unwrap_or(input);
    let limit = LineLimit {
        lines_max: limits.trailer_lines_max,
        violation: Violation::TooManyTrailerLines,
    };
    // Almost no message has trailers: only these pay for the box.
    let trailers = section.get_or_insert_default();
    let Some(end) = lines.parse(window, trailers, limit)? else {
        return if window.len() >= bytes_max {
            Err(Violation::TrailersTooLarge)
        } else {
            Ok(None)
        };
    };
    trailers.set_bytes(window.get(..end).unwrap_or_default());
    if trailers.contains_any(trailers::REFUSED) {
        return Err(Violation::TrailerFieldForbidden);
    }
    trailers.retain(|known, _| !known.is_some_and(trailers::is_ignored));
    Ok(Some(end))
}

/// Bytes of the longest chunk prefix: 16 digits and CRLF.
const PREFIX_LEN_MAX: usize = 18;

/// Writes what stands before a chunk's data: its size and CRLF. `len` is not zero: that would be
/// the last chunk.
#[inline]
pub(crate) fn chunk_prefix(len: u64, out: &mut Vec<u8>) {
    debug_assert!(len > 0);
    let digits = (u64::BITS - len.leading_zeros()).div_ceil(4).max(1) as usize;
    let mut text = [0; PREFIX_LEN_MAX];
    let mut rest = len;
    for place in text.iter_mut().take(digits).rev() {
        *place = HEX_DIGITS[(rest & 0xf) as usize];
        rest >>= 4;
    }
    if let Some([cr, lf]) = text.get_mut(digits..digits + 2) {
        (*cr, *lf) = (b'\r', b'\n');
    }
    out.extend_from_slice(text.get(..digits + 2).unwrap_or_default());
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes the last chunk and the trailer section, without the fields that may not be in one.
pub(crate) fn last_chunk(trailers: Option<&FieldSection>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        let mut lines = trailers.iter();
        while let Some((known, name, value)) = lines.next_with_known() {
            if !known.is_some_and(trailers::is_ignored) {
                crate::response::field_line(known, name, value, out);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
