//! HPACK (RFC 7541): the field blocks of HTTP/2.
//!
//! [`Decoder`] and [`Encoder`] each hold one dynamic table, which is state of the connection: blocks
//! are decoded whole and in the order they were sent, or the connection cannot go on.

mod decoder;
mod encoder;
mod error;
mod static_table;

pub use crate::field_line::{DecodedField, FieldSink, Scratch, Sensitivity};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::HpackError;

/// The size that a dynamic table may have before any SETTINGS (RFC 9113 §6.5.2).
pub const TABLE_BYTES_INITIAL: u32 = 4096;

/// Entries of the static table, whose indices come first (RFC 7541 §2.3.3).
const STATIC_LEN: usize = static_table::ENTRIES.len();

/// First bytes of the representations (RFC 7541 §6) and the bits of their integer.
mod pattern {
    /// Indexed field line.
    pub(super) const INDEXED: u8 = 0x80;
    pub(super) const INDEXED_PREFIX: u32 = 7;
    /// Literal field line with incremental indexing.
    pub(super) const INCREMENTAL: u8 = 0x40;
    pub(super) const INCREMENTAL_PREFIX: u32 = 6;
    /// Dynamic table size update.
    pub(super) const SIZE_UPDATE: u8 = 0x20;
    pub(super) const SIZE_UPDATE_PREFIX: u32 = 5;
    /// Literal field line never indexed.
    pub(super) const NEVER_INDEXED: u8 = 0x10;
    /// Literal field line without indexing.
    pub(super) const NOT_INDEXED: u8 = 0;
    pub(super) const NOT_INDEXED_PREFIX: u32 = 4;
    /// A string literal that is Huffman-encoded (§5.2).
    pub(super) const HUFFMAN: u8 = 0x80;
    pub(super) const STRING_PREFIX: u32 = 7;
}

#[cfg(test)]
mod tests;
