//! QPACK (RFC 9204): the field sections of HTTP/3.
//!
//! [`Decoder`] holds the dynamic table that the peer's encoder fills through a stream of its own; sections
//! that need entries which have not come wait for them. [`Encoder`] uses the static table only: what it
//! writes never waits for anything, and can be copied to any connection.

mod decoder;
mod encoder;
mod error;
mod instruction;
mod static_table;

pub use decoder::{Decoded, Decoder};
pub use encoder::Encoder;
pub use error::{Failure, QpackError};

/// First bytes of the representations of field lines (RFC 9204 §4.5), and the bits of their integers.
mod pattern {
    /// Indexed field line.
    pub(super) const INDEXED: u8 = 0x80;
    pub(super) const INDEXED_STATIC: u8 = 0x40;
    pub(super) const INDEXED_PREFIX: u32 = 6;
    /// Indexed field line with post-base index.
    pub(super) const POST_BASE: u8 = 0x10;
    pub(super) const POST_BASE_PREFIX: u32 = 4;
    /// Literal field line with name reference.
    pub(super) const NAMED: u8 = 0x40;
    pub(super) const NAMED_NEVER_INDEXED: u8 = 0x20;
    pub(super) const NAMED_STATIC: u8 = 0x10;
    pub(super) const NAMED_PREFIX: u32 = 4;
    /// Literal field line with literal name.
    pub(super) const LITERAL: u8 = 0x20;
    pub(super) const LITERAL_NEVER_INDEXED: u8 = 0x10;
    pub(super) const LITERAL_NAME_PREFIX: u32 = 3;
    /// Literal field line with post-base name reference.
    pub(super) const POST_BASE_NAMED_NEVER_INDEXED: u8 = 0x08;
    pub(super) const POST_BASE_NAMED_PREFIX: u32 = 3;
    /// A string literal that is not part of a first byte.
    pub(super) const STRING_PREFIX: u32 = 7;
    /// The prefix of a field section (§4.5.1).
    pub(super) const REQUIRED_INSERT_COUNT_PREFIX: u32 = 8;
    pub(super) const DELTA_BASE_SIGN: u8 = 0x80;
    pub(super) const DELTA_BASE_PREFIX: u32 = 7;
}

#[cfg(test)]
mod tests;
