//! The encoder: static table and literals.
//!
//! Strings of literals are not Huffman-encoded: it would take longer than everything else together, for a
//! fifth of a few dozen bytes.

use ajay_http::{KnownField, StatusCode};

use super::{
    error::QpackError,
    instruction::{Partial, Read},
    pattern, static_table,
};
use crate::{
    encoder::{FieldEncoder, Sensitivity},
    integer,
    name::{KnownName, NameId, PseudoField},
};

/// The encoder of a connection's field sections. It inserts nothing into the peer's table, so what it
/// writes can be decoded at once and in any order.
#[derive(Debug, Default)]
pub struct Encoder {
    partial: Partial,
}

impl Encoder {
    /// A new one. Does not allocate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes of the peer's decoder stream, in whatever pieces they come.
    ///
    /// # Errors
    /// The decoder acknowledges what was not sent, or an instruction is not well encoded.
    pub fn receive_decoder_stream(&mut self, bytes: &[u8]) -> Result<(), QpackError> {
        let too_long = QpackError::DecoderInstructionInvalid;
        self.partial
            .read(bytes, INSTRUCTION_BYTES_MAX, too_long, instruction)
    }
}

/// An integer of 62 bits.
const INSTRUCTION_BYTES_MAX: usize = 11;

/// Reads an instruction of the decoder (§4.4), and returns its length.
fn instruction(input: &[u8]) -> Result<usize, Read<QpackError>> {
    const SECTION_ACKNOWLEDGMENT: u8 = 0x80;
    const STREAM_CANCELLATION: u8 = 0x40;
    let first = input.first().copied().unwrap_or_default();
    let (prefix_bits, error) = if first & SECTION_ACKNOWLEDGMENT != 0 {
        (7, Some(QpackError::AcknowledgmentUnexpected))
    } else if first & STREAM_CANCELLATION != 0 {
        (6, None)
    } else {
        (6, Some(QpackError::IncrementInvalid))
    };
    let rest = match integer::decode(input, prefix_bits) {
        Ok((_, rest)) => rest,
        Err(integer::IntegerError::Truncated) => return Err(Read::Incomplete),
        Err(integer::IntegerError::TooLarge) => {
            return Err(Read::Invalid(QpackError::DecoderInstructionInvalid));
        }
    };
    match error {
        Some(error) => Err(Read::Invalid(error)),
        None => Ok(input.len() - rest.len()),
    }
}

impl FieldEncoder for Encoder {
    /// The prefix of a section that refers to nothing dynamic (§4.5.1).
    #[inline]
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0]);
    }

    #[inline]
    fn status(&mut self, status: StatusCode, out: &mut Vec<u8>) {
        let index: u8 = match status.as_u16() {
            100 => 63,
            103 => 24,
            200 => 25,
            204 => 64,
            206 => 65,
            302 => 66,
            304 => 26,
            400 => 67,
            403 => 68,
            404 => 27,
            421 => 69,
            425 => 70,
            500 => 71,
            503 => 28,
            _ => {
                let name = NameId::new(Some(KnownName::Pseudo(PseudoField::Status)));
                let value = status.as_str().as_bytes();
                return literal(Sensitivity::Public, name, &[], value, out);
            }
        };
        indexed(index, out);
    }

    #[inline]
    fn field(
        &mut self,
        known: Option<KnownField>,
        name_lowercase: &[u8],
        value: &[u8],
        sensitivity: Sensitivity,
        out: &mut Vec<u8>,
    ) {
        let id = NameId::new(known.map(KnownName::Field));
        let is_secret = known.is_some_and(KnownField::is_secret);
        if is_secret || sensitivity == Sensitivity::Secret {
            return literal(Sensitivity::Secret, id, name_lowercase, value, out);
        }
        match static_table::index_of(id, value) {
            Some(index) => indexed(index, out),
            None => literal(Sensitivity::Public, id, name_lowercase, value, out),
        }
    }
}

#[inline]
fn indexed(index: u8, out: &mut Vec<u8>) {
    let first = pattern::INDEXED | pattern::INDEXED_STATIC;
    integer::encode(index.into(), first, pattern::INDEXED_PREFIX, out);
}

#[inline]
fn literal(sensitivity: Sensitivity, id: NameId, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let is_secret = sensitivity == Sensitivity::Secret;
    match static_table::index_of_name(id) {
        Some(index) => {
            let first = pattern::NAMED
                | pattern::NAMED_STATIC
                | if is_secret {
                    pattern::NAMED_NEVER_INDEXED
                } else {
                    0
                };
            integer::encode(index.into(), first, pattern::NAMED_PREFIX, out);
        }
        None => {
            let first = pattern::LITERAL
                | if is_secret {
                    pattern::LITERAL_NEVER_INDEXED
                } else {
                    0
                };
            let len = name.len() as u64;
            integer::encode(len, first, pattern::LITERAL_NAME_PREFIX, out);
            out.extend_from_slice(name);
        }
    }
    integer::encode(value.len() as u64, 0, pattern::STRING_PREFIX, out);
    out.extend_from_slice(value);
}
