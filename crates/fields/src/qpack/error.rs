//! What a peer can do wrong in field sections and on the two streams.

use std::fmt;

use crate::{huffman::HuffmanError, integer::IntegerError, literal::LiteralError};

/// QPACK_DECOMPRESSION_FAILED (§6).
const DECOMPRESSION_FAILED: u64 = 0x200;
/// QPACK_ENCODER_STREAM_ERROR (§6).
const ENCODER_STREAM_ERROR: u64 = 0x201;
/// QPACK_DECODER_STREAM_ERROR (§6).
const DECODER_STREAM_ERROR: u64 = 0x202;
/// H3_EXCESSIVE_LOAD (RFC 9114 §8.1).
const EXCESSIVE_LOAD: u64 = 0x107;

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident = $code:ident, $text:literal;)*) => {
        /// A rule of RFC 9204 that a peer broke. All of them end the connection (§2.2, §6).
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

            /// The error code that closes the connection (§6).
            #[must_use]
            pub const fn code(self) -> u64 {
                match self {
                    $(Self::$variant => $code,)*
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
    /// A field section ends inside its prefix or a representation (§4.5).
    SectionTruncated = DECOMPRESSION_FAILED, "field section ends inside a representation";
    /// An integer of a field section that is larger than 62 bits (§4.1.1).
    SectionIntegerTooLarge = DECOMPRESSION_FAILED, "integer too large in a field section";
    /// A Huffman-encoded string of a field section has the symbol EOS (RFC 7541 §5.2).
    SectionHuffmanEos = DECOMPRESSION_FAILED, "EOS in a Huffman-encoded string of a field section";
    /// The padding of such a string is longer than 7 bits (RFC 7541 §5.2).
    SectionHuffmanPaddingTooLong = DECOMPRESSION_FAILED,
        "padding of a Huffman-encoded string of a field section longer than 7 bits";
    /// The padding of such a string is not the beginning of EOS (RFC 7541 §5.2).
    SectionHuffmanPaddingNotOnes = DECOMPRESSION_FAILED,
        "padding of a Huffman-encoded string of a field section is not ones";
    /// A Required Insert Count that no encoder of ours could have meant (§4.5.1.1).
    InsertCountInvalid = DECOMPRESSION_FAILED, "Required Insert Count that cannot be";
    /// A Base below 0 (§4.5.1.2).
    BaseNegative = DECOMPRESSION_FAILED, "negative Base";
    /// A static index of 99 or more in a field section (§3.1).
    StaticIndexOutOfRange = DECOMPRESSION_FAILED, "index beyond the static table";
    /// A relative index that leads below the first entry (§3.2.5).
    RelativeIndexOutOfRange = DECOMPRESSION_FAILED, "relative index beyond the first entry";
    /// An entry that the Required Insert Count does not cover (§2.2.3, §4.5.1).
    EntryNotCovered = DECOMPRESSION_FAILED, "entry beyond the Required Insert Count";
    /// An entry that was evicted (§2.2.3).
    EntryEvicted = DECOMPRESSION_FAILED, "entry that was evicted";
    /// More blocked streams than SETTINGS_QPACK_BLOCKED_STREAMS allows (§2.1.2).
    BlockedStreamsTooMany = DECOMPRESSION_FAILED, "too many blocked streams";
    /// More lines than the decoder was told to take. No rule of RFC 9204: a bound of ours.
    TooManyLines = EXCESSIVE_LOAD, "too many lines in a field section";

    /// An integer of the encoder stream that is larger than 62 bits (§4.1.1).
    InstructionIntegerTooLarge = ENCODER_STREAM_ERROR, "integer too large on the encoder stream";
    /// A Huffman-encoded string of the encoder stream has the symbol EOS (RFC 7541 §5.2).
    InstructionHuffmanEos = ENCODER_STREAM_ERROR,
        "EOS in a Huffman-encoded string of the encoder stream";
    /// The padding of such a string is longer than 7 bits (RFC 7541 §5.2).
    InstructionHuffmanPaddingTooLong = ENCODER_STREAM_ERROR,
        "padding of a Huffman-encoded string of the encoder stream longer than 7 bits";
    /// The padding of such a string is not the beginning of EOS (RFC 7541 §5.2).
    InstructionHuffmanPaddingNotOnes = ENCODER_STREAM_ERROR,
        "padding of a Huffman-encoded string of the encoder stream is not ones";
    /// A capacity beyond SETTINGS_QPACK_MAX_TABLE_CAPACITY (§4.3.1).
    CapacityTooLarge = ENCODER_STREAM_ERROR,
        "dynamic table capacity beyond SETTINGS_QPACK_MAX_TABLE_CAPACITY";
    /// A static index of 99 or more on the encoder stream (§3.1).
    InsertStaticIndexOutOfRange = ENCODER_STREAM_ERROR,
        "index beyond the static table on the encoder stream";
    /// An instruction refers to an entry that is not in the table (§2.2.3).
    InsertEntryMissing = ENCODER_STREAM_ERROR, "instruction refers to an entry that is not there";
    /// An entry that is larger than the table's capacity (§3.2.2).
    EntryTooLarge = ENCODER_STREAM_ERROR, "entry larger than the dynamic table's capacity";

    /// An integer of the decoder stream that is larger than 62 bits (§4.1.1).
    AcknowledgmentIntegerTooLarge = DECODER_STREAM_ERROR,
        "integer too large on the decoder stream";
    /// A Section Acknowledgment for a stream without a section to acknowledge (§4.4.1).
    SectionNotOutstanding = DECODER_STREAM_ERROR,
        "acknowledgment of a field section that refers to no dynamic entry";
    /// An Insert Count Increment of 0 (§4.4.3).
    IncrementZero = DECODER_STREAM_ERROR, "Insert Count Increment of 0";
    /// An Insert Count Increment beyond what was inserted (§4.4.3).
    IncrementTooLarge = DECODER_STREAM_ERROR, "Insert Count Increment beyond what was inserted";

    /// The peer takes nothing from our decoder stream and goes on making us write to it. No rule of
    /// RFC 9204: a bound of ours.
    DecoderStreamStalled = EXCESSIVE_LOAD, "decoder stream not read";
}

impl QpackError {
    /// What is wrong with a literal or an integer of a field section.
    pub(super) const fn of_section(error: LiteralError) -> Self {
        match error {
            LiteralError::Integer(IntegerError::Truncated) => Self::SectionTruncated,
            LiteralError::Integer(IntegerError::TooLarge) => Self::SectionIntegerTooLarge,
            LiteralError::Huffman(HuffmanError::Eos) => Self::SectionHuffmanEos,
            LiteralError::Huffman(HuffmanError::PaddingTooLong) => {
                Self::SectionHuffmanPaddingTooLong
            }
            LiteralError::Huffman(HuffmanError::PaddingNotOnes) => {
                Self::SectionHuffmanPaddingNotOnes
            }
        }
    }

    /// What is wrong with a Huffman-encoded string of the encoder stream.
    pub(super) const fn of_instruction(error: HuffmanError) -> Self {
        match error {
            HuffmanError::Eos => Self::InstructionHuffmanEos,
            HuffmanError::PaddingTooLong => Self::InstructionHuffmanPaddingTooLong,
            HuffmanError::PaddingNotOnes => Self::InstructionHuffmanPaddingNotOnes,
        }
    }
}

impl fmt::Display for QpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for QpackError {}

#[cfg(test)]
mod tests;
