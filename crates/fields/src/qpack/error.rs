//! What a peer can do wrong with QPACK.

use std::fmt;

use crate::{huffman::HuffmanError, integer::IntegerError};

/// What a [`QpackError`] means for the connection: its error code (RFC 9204 §6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// QPACK_DECOMPRESSION_FAILED.
    Decompression,
    /// QPACK_ENCODER_STREAM_ERROR.
    EncoderStream,
    /// QPACK_DECODER_STREAM_ERROR.
    DecoderStream,
}

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident = $text:literal;)*) => {
        /// A rule of RFC 9204 that the peer broke, in a field section or on one of its streams. The
        /// connection cannot go on (§2.2, §4.1, §6).
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum QpackError {
            $($(#[$doc])* $variant,)*
        }

        impl QpackError {
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
    /// A reference to no entry of a table: not inserted yet, evicted, beyond the static table, or at or
    /// beyond the Required Insert Count (§2.2.3, §3.1).
    IndexOutOfRange = "reference to no entry of the tables";
    /// An integer that no length or index needs (§4.1.1).
    IntegerTooLarge = "integer too large";
    /// A field section ends inside a representation (§4.5).
    Truncated = "field section ends inside a representation";
    /// A Huffman-encoded string has the symbol EOS (RFC 7541 §5.2).
    HuffmanEos = "EOS in a Huffman-encoded string";
    /// The padding of a Huffman-encoded string is longer than 7 bits (RFC 7541 §5.2).
    HuffmanPaddingTooLong = "padding of a Huffman-encoded string longer than 7 bits";
    /// The padding of a Huffman-encoded string is not the beginning of EOS (RFC 7541 §5.2).
    HuffmanPaddingNotOnes = "padding of a Huffman-encoded string is not ones";
    /// A Required Insert Count that no encoder within the table's limits has (§4.5.1.1).
    RequiredInsertCountInvalid = "invalid Required Insert Count";
    /// A Base below zero (§4.5.1.2).
    BaseNegative = "negative Base";
    /// More streams wait for the encoder than SETTINGS_QPACK_BLOCKED_STREAMS (§2.1.2).
    TooManyBlockedStreams = "too many streams wait for the QPACK encoder";
    /// More lines than the decoder was told to take. No rule of RFC 9204: a bound of ours.
    TooManyLines = "too many lines in a field section";
    /// A capacity beyond SETTINGS_QPACK_MAX_TABLE_CAPACITY (§3.2.3, §4.3.1).
    CapacityTooLarge = "dynamic table capacity beyond SETTINGS_QPACK_MAX_TABLE_CAPACITY";
    /// An entry larger than the table's capacity (§3.2.2).
    EntryTooLarge = "entry larger than the dynamic table";
    /// An instruction of the encoder that refers to no entry (§4.3).
    EncoderIndexOutOfRange = "QPACK encoder refers to no entry of the tables";
    /// An instruction of the encoder whose integer or string is not well encoded (§4.1).
    EncoderInstructionInvalid = "invalid instruction of the QPACK encoder";
    /// The decoder acknowledges a section that refers to no dynamic entry (§4.4.1).
    AcknowledgmentUnexpected = "QPACK decoder acknowledges what was not sent";
    /// The decoder counts entries that were not inserted, or none (§4.4.3).
    IncrementInvalid = "QPACK decoder counts what was not inserted";
    /// An instruction of the decoder whose integer is not well encoded (§4.1).
    DecoderInstructionInvalid = "invalid instruction of the QPACK decoder";
}

impl QpackError {
    /// What it means for the connection.
    #[must_use]
    pub const fn failure(self) -> Failure {
        match self {
            Self::IndexOutOfRange
            | Self::IntegerTooLarge
            | Self::Truncated
            | Self::HuffmanEos
            | Self::HuffmanPaddingTooLong
            | Self::HuffmanPaddingNotOnes
            | Self::RequiredInsertCountInvalid
            | Self::BaseNegative
            | Self::TooManyBlockedStreams
            | Self::TooManyLines => Failure::Decompression,
            Self::CapacityTooLarge
            | Self::EntryTooLarge
            | Self::EncoderIndexOutOfRange
            | Self::EncoderInstructionInvalid => Failure::EncoderStream,
            Self::AcknowledgmentUnexpected
            | Self::IncrementInvalid
            | Self::DecoderInstructionInvalid => Failure::DecoderStream,
        }
    }
}

impl fmt::Display for QpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for QpackError {}

impl From<IntegerError> for QpackError {
    fn from(error: IntegerError) -> Self {
        match error {
            IntegerError::Truncated => Self::Truncated,
            IntegerError::TooLarge => Self::IntegerTooLarge,
        }
    }
}

impl From<HuffmanError> for QpackError {
    fn from(error: HuffmanError) -> Self {
        match error {
            HuffmanError::Eos => Self::HuffmanEos,
            HuffmanError::PaddingTooLong => Self::HuffmanPaddingTooLong,
            HuffmanError::PaddingNotOnes => Self::HuffmanPaddingNotOnes,
        }
    }
}
