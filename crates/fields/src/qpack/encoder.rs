//! The encoder of field sections: static table and literals.
//!
//! A section refers to nothing that the peer must have received before, so no stream is ever blocked
//! and nothing is kept for a stream. Strings are not Huffman-encoded: it would take longer than
//! everything else together.

use ajay_http::{KnownField, StatusCode};

use super::{QpackError, pattern, static_table};
use crate::{
    field_line::Sensitivity,
    integer::{self, IntegerError},
    name::{KnownName, NameId, PseudoField},
};

/// The encoder of a connection's field sections, and the reader of the peer's decoder stream.
///
/// A section is [`begin`](Self::begin) and any number of field lines; all of them append to the
/// caller's buffer. What they append does not depend on the connection: encoded once, it can be
/// copied to any.
#[derive(Debug, Default)]
pub struct Encoder {
    /// The beginning of an instruction of the decoder stream, which is one integer.
    partial: [u8; INSTRUCTION_BYTES_MAX],
    partial_len: u8,
}

/// An integer of 62 bits: nothing longer is read.
const INSTRUCTION_BYTES_MAX: usize = 10;

impl Encoder {
    /// An encoder. Does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            partial: [0; INSTRUCTION_BYTES_MAX],
            partial_len: 0,
        }
    }

    /// Begins a field section: Required Insert Count 0 and Base 0 (§4.5.1).
    #[inline]
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0]);
    }

    /// Adds `:status`.
    #[inline]
    pub fn status(&mut self, status: StatusCode, out: &mut Vec<u8>) {
        let index = match status.as_u16() {
            103 => 24,
            200 => 25,
            304 => 26,
            404 => 27,
            503 => 28,
            100 => 63,
            204 => 64,
            206 => 65,
            302 => 66,
            400 => 67,
            403 => 68,
            421 => 69,
            425 => 70,
            500 => 71,
            _ => {
                let value = status.as_str().as_bytes();
                return self.pseudo(PseudoField::Status, value, out);
            }
        };
        indexed(index, out);
    }

    /// Adds any pseudo-header field.
    pub fn pseudo(&mut self, field: PseudoField, value: &[u8], out: &mut Vec<u8>) {
        let name = KnownName::Pseudo(field);
        line(Some(name), name.as_str().as_bytes(), value, out);
    }

    /// Adds a field line. The name is in lower case; `known` is its id if it has one.
    #[inline]
    pub fn field(
        &mut self,
        known: Option<KnownField>,
        name_lowercase: &[u8],
        value: &[u8],
        sensitivity: Sensitivity,
        out: &mut Vec<u8>,
    ) {
        let is_secret =
            sensitivity == Sensitivity::Secret || known.is_some_and(KnownField::is_secret);
        let known = known.map(KnownName::Field);
        if is_secret {
            literal(
                Indexing::Never,
                NameId::new(known),
                name_lowercase,
                value,
                out,
            );
        } else {
            line(known, name_lowercase, value, out);
        }
    }

    /// Takes bytes of the peer's decoder stream (§4.4), in pieces of any size.
    ///
    /// # Errors
    /// An instruction breaks a rule. Nothing is ever inserted, so none but a Stream Cancellation can
    /// be right.
    pub fn receive_decoder_stream(&mut self, bytes: &[u8]) -> Result<(), QpackError> {
        for &byte in bytes {
            let len = usize::from(self.partial_len);
            // There is room: ten bytes are an integer or too large.
            if let Some(place) = self.partial.get_mut(len) {
                *place = byte;
            }
            let instruction = self.partial.get(..=len).unwrap_or_default();
            match acknowledgment(instruction) {
                Ok(()) => self.partial_len = 0,
                Err(Unfinished::Truncated) => self.partial_len += 1,
                Err(Unfinished::Refused(error)) => return Err(error),
            }
        }
        Ok(())
    }
}

enum Unfinished {
    Truncated,
    Refused(QpackError),
}

/// Reads one instruction of the decoder stream.
fn acknowledgment(input: &[u8]) -> Result<(), Unfinished> {
    let first = input.first().copied().unwrap_or_default();
    let prefix_bits = if first & pattern::ACKNOWLEDGMENT != 0 {
        pattern::ACKNOWLEDGMENT_PREFIX
    } else if first & pattern::CANCELLATION != 0 {
        pattern::CANCELLATION_PREFIX
    } else {
        pattern::INCREMENT_PREFIX
    };
    let value = match integer::decode(input, prefix_bits) {
        Ok((value, _)) => value,
        Err(IntegerError::Truncated) => return Err(Unfinished::Truncated),
        Err(IntegerError::TooLarge) => {
            return Err(Unfinished::Refused(
                QpackError::AcknowledgmentIntegerTooLarge,
            ));
        }
    };
    if first & pattern::ACKNOWLEDGMENT != 0 {
        Err(Unfinished::Refused(QpackError::SectionNotOutstanding))
    } else if first & pattern::CANCELLATION != 0 {
        Ok(())
    } else if value == 0 {
        Err(Unfinished::Refused(QpackError::IncrementZero))
    } else {
        Err(Unfinished::Refused(QpackError::IncrementTooLarge))
    }
}

/// The bit of a literal that forbids indexing.
#[derive(Clone, Copy, PartialEq)]
enum Indexing {
    Allowed,
    Never,
}

#[inline]
fn line(known: Option<KnownName>, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let id = NameId::new(known);
    match static_table::index_of(id, value) {
        Some(index) => indexed(index as u64, out),
        None => literal(Indexing::Allowed, id, name, value, out),
    }
}

/// An indexed field line of the static table (§4.5.2).
#[inline]
fn indexed(index: u64, out: &mut Vec<u8>) {
    let first = pattern::INDEXED | pattern::INDEXED_STATIC;
    integer::encode(index, first, pattern::INDEXED_PREFIX, out);
}

/// A literal field line (§4.5.4, §4.5.6).
#[inline]
fn literal(indexing: Indexing, id: NameId, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let is_never = indexing == Indexing::Never;
    match static_table::index_of_name(id) {
        Some(index) => {
            let never = if is_never { pattern::NAMED_NEVER } else { 0 };
            let first = pattern::NAMED | pattern::NAMED_STATIC | never;
            integer::encode(index as u64, first, pattern::NAMED_PREFIX, out);
        }
        None => {
            let never = if is_never { pattern::LITERAL_NEVER } else { 0 };
            let first = pattern::LITERAL | never;
            integer::encode(name.len() as u64, first, pattern::LITERAL_PREFIX, out);
            out.extend_from_slice(name);
        }
    }
    integer::encode(value.len() as u64, 0, pattern::STRING_PREFIX, out);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests;
