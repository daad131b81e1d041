//! Field compression that HTTP/2 and HTTP/3 share, without I/O.
//!
//! * [`hpack`]: the encoder and the decoder of HTTP/2's field blocks (RFC 7541).
//! * [`qpack`]: those of HTTP/3's field sections (RFC 9204).
//! * [`huffman`]: the static Huffman code of string literals (RFC 7541 §5.2, appendix B).
//! * [`integer`]: integers with a prefix (RFC 7541 §5.1).
//! * [`DynamicTable`]: the storage of a dynamic table (RFC 7541 §2.3.2, §4).
//! * [`KnownName`]: field names with an id, pseudo-header fields included.
//!
//! Whatever a peer sends, the work is bounded by the length of its block and the memory by the
//! table's size and that length.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod dynamic_table;
mod encoder;
mod field_line;
pub mod hpack;
pub mod huffman;
pub mod integer;
mod literal;
mod name;
pub mod qpack;
#[cfg(feature = "testing")]
pub mod testing;

pub use dynamic_table::{DynamicTable, Entry};
pub use encoder::FieldEncoder;
pub use field_line::{DecodedField, FieldSink, Scratch, Sensitivity};
pub use name::{KnownName, PseudoField};
