//! What a peer can do wrong in a field block.

use std::fmt;

use crate::{huffman::HuffmanError, integer::IntegerError, literal::LiteralError};

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident = $text:literal;)*) => {
        /// A rule of RFC 7541 that a field block broke.
        ///
        /// The dynamic tables of both sides may differ then: the connection ends with
        /// COMPRESSION_ERROR (RFC 9113 §4.3).
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum HpackError {
            $($(#[$doc])* $variant,)*
        }

        impl HpackError {
            /// Every error, for tables of counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// A stable name for counters and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

errors! {
    /// An indexed field line with index 0 (§6.1).
    IndexZero = "index 0";
    /// An index beyond both tables (§2.3.3).
    IndexOutOfRange = "index beyond the tables";
    /// An integer that no length or index needs (§5.1).
    IntegerTooLarge = "integer too large";
    /// The block ends inside a representation (§5, §6).
    Truncated = "field block ends inside a representation";
    /// A Huffman-encoded string has the symbol EOS (§5.2).
    HuffmanEos = "EOS in a Huffman-encoded string";
    /// The padding of a Huffman-encoded string is longer than 7 bits (§5.2).
    HuffmanPaddingTooLong = "padding of a Huffman-encoded string longer than 7 bits";
    /// The padding of a Huffman-encoded string is not the beginning of EOS (§5.2).
    HuffmanPaddingNotOnes = "padding of a Huffman-encoded string is not ones";
    /// A dynamic table size update beyond what SETTINGS allow (§6.3).
    SizeUpdateTooLarge = "dynamic table size update beyond SETTINGS_HEADER_TABLE_SIZE";
    /// A dynamic table size update that is not at the block's start (§4.2).
    SizeUpdateAfterField = "dynamic table size update after a field line";
    /// More than two dynamic table size updates in one block (§4.2).
    SizeUpdatesTooMany = "more than two dynamic table size updates in one field block";
    /// No dynamic table size update after the allowed size was reduced (RFC 9113 §4.3.1).
    SizeUpdateMissing = "no dynamic table size update after SETTINGS reduced the size";
    /// More lines than the decoder was told to take. No rule of RFC 7541: a bound of ours.
    TooManyLines = "too many lines in a field block";
}

impl fmt::Display for HpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for HpackError {}

impl From<IntegerError> for HpackError {
    fn from(error: IntegerError) -> Self {
        match error {
            IntegerError::Truncated => Self::Truncated,
            IntegerError::TooLarge => Self::IntegerTooLarge,
        }
    }
}

impl From<LiteralError> for HpackError {
    fn from(error: LiteralError) -> Self {
        match error {
            LiteralError::Integer(error) => error.into(),
            LiteralError::Huffman(error) => error.into(),
        }
    }
}

impl From<HuffmanError> for HpackError {
    fn from(error: HuffmanError) -> Self {
        match error {
            HuffmanError::Eos => Self::HuffmanEos,
            HuffmanError::PaddingTooLong => Self::HuffmanPaddingTooLong,
            HuffmanError::PaddingNotOnes => Self::HuffmanPaddingNotOnes,
        }
    }
}

#[cfg(test)]
mod tests;
