//! QPACK (RFC 9204): the field sections of HTTP/3.
//!
//! A [`Decoder`] has the dynamic table that the peer's encoder fills through its encoder stream. A
//! field section names the number of insertions it needs, and waits until they have come: streams
//! arrive in any order. An [`Encoder`] uses the static table and literals only, so what it writes
//! depends on nothing.

mod decoder;
mod encoder;
mod error;
mod instruction;
pub(crate) mod static_table;

pub use crate::field_line::{DecodedField, FieldSink, Scratch, Sensitivity};
pub use decoder::{Decoded, Decoder};
pub use encoder::Encoder;
pub use error::QpackError;

/// First bytes of the representations and instructions, and the bits of their integer.
mod pattern {
    /// Required Insert Count of a field section (§4.5.1).
    pub(super) const INSERT_COUNT_PREFIX: u32 = 8;
    /// Delta Base and its sign (§4.5.1).
    pub(super) const BASE_SIGN: u8 = 0x80;
    pub(super) const BASE_PREFIX: u32 = 7;

    /// Indexed field line (§4.5.2).
    pub(super) const INDEXED: u8 = 0x80;
    pub(super) const INDEXED_STATIC: u8 = 0x40;
    pub(super) const INDEXED_PREFIX: u32 = 6;
    /// Literal field line with name reference (§4.5.4).
    pub(super) const NAMED: u8 = 0x40;
    pub(super) const NAMED_NEVER: u8 = 0x20;
    pub(super) const NAMED_STATIC: u8 = 0x10;
    pub(super) const NAMED_PREFIX: u32 = 4;
    /// Literal field line with literal name (§4.5.6).
    pub(super) const LITERAL: u8 = 0x20;
    pub(super) const LITERAL_NEVER: u8 = 0x10;
    pub(super) const LITERAL_PREFIX: u32 = 3;
    /// Indexed field line with post-Base index (§4.5.3).
    pub(super) const POST_BASE: u8 = 0x10;
    pub(super) const POST_BASE_PREFIX: u32 = 4;
    /// Literal field line with post-Base name reference (§4.5.5): no bit but this one may be set.
    pub(super) const POST_BASE_NAMED_NEVER: u8 = 0x08;
    pub(super) const POST_BASE_NAMED_PREFIX: u32 = 3;
    /// A value's length (§4.1.2).
    pub(super) const STRING_PREFIX: u32 = 7;

    /// Insert with name reference (§4.3.2).
    pub(super) const INSERT_NAMED: u8 = 0x80;
    pub(super) const INSERT_NAMED_STATIC: u8 = 0x40;
    pub(super) const INSERT_NAMED_PREFIX: u32 = 6;
    /// Insert with literal name (§4.3.3).
    pub(super) const INSERT_LITERAL: u8 = 0x40;
    pub(super) const INSERT_LITERAL_PREFIX: u32 = 5;
    /// Set Dynamic Table Capacity (§4.3.1).
    pub(super) const CAPACITY: u8 = 0x20;
    pub(super) const CAPACITY_PREFIX: u32 = 5;
    /// Duplicate (§4.3.4): no bit above its integer is set.
    pub(super) const DUPLICATE_PREFIX: u32 = 5;

    /// Section Acknowledgment (§4.4.1).
    pub(super) const ACKNOWLEDGMENT: u8 = 0x80;
    pub(super) const ACKNOWLEDGMENT_PREFIX: u32 = 7;
    /// Stream Cancellation (§4.4.2).
    pub(super) const CANCELLATION: u8 = 0x40;
    pub(super) const CANCELLATION_PREFIX: u32 = 6;
    /// Insert Count Increment (§4.4.3).
    pub(super) const INCREMENT: u8 = 0;
    pub(super) const INCREMENT_PREFIX: u32 = 6;
}

#[cfg(test)]
mod tests;
