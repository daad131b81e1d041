//! String literals with a length prefix of any width.

use std::ops::Range;

use ajay_http::class;

use crate::{
    huffman::{self, HuffmanError},
    integer::{self, IntegerError},
};

/// A string literal.
pub(crate) enum Text<'a> {
    /// As it stands in the block.
    Plain(&'a [u8]),
    /// Where it was decoded to in the scratch buffer.
    Decoded {
        range: Range<usize>,
        is_field_value: bool,
    },
}

impl<'a> Text<'a> {
    /// How much of the scratch buffer is taken up.
    pub(crate) fn scratch_end(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Decoded { range, .. } => range.end,
        }
    }

    #[inline]
    pub(crate) fn bytes<'b>(&self, scratch: &'b [u8]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Decoded { range, .. } => scratch.get(range.clone()).unwrap_or_default(),
        }
    }

    #[inline]
    pub(crate) fn is_field_value(&self) -> bool {
        match self {
            Self::Plain(bytes) => class::is_field_value(bytes),
            Self::Decoded { is_field_value, .. } => *is_field_value,
        }
    }
}

/// Reads a string literal (RFC 7541 §5.2, RFC 9204 §4.1.2) whose length has `prefix_bits`, below the
/// bit that tells of Huffman encoding. Such a string is decoded into the scratch buffer from
/// `scratch_start` on.
#[inline]
pub(crate) fn string<'a>(
    input: &'a [u8],
    prefix_bits: u32,
    scratch: &mut Vec<u8>,
    scratch_start: usize,
) -> Result<(Text<'a>, &'a [u8]), LiteralError> {
    let is_huffman = input
        .first()
        .is_some_and(|first| first & (1 << prefix_bits) != 0);
    let (len, rest) = integer::decode(input, prefix_bits)?;
    let (text, rest) = usize::try_from(len)
        .ok()
        .and_then(|len| rest.split_at_checked(len))
        .ok_or(IntegerError::Truncated)?;
    if !is_huffman {
        return Ok((Text::Plain(text), rest));
    }
    let decoded = huffman::decode(text, scratch, scratch_start)?;
    let text = Text::Decoded {
        range: scratch_start..decoded.end,
        is_field_value: decoded.is_field_value,
    };
    Ok((text, rest))
}

/// Why a literal was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LiteralError {
    /// Its length; also that the input ends inside the string.
    Integer(IntegerError),
    Huffman(HuffmanError),
}

impl From<IntegerError> for LiteralError {
    fn from(error: IntegerError) -> Self {
        Self::Integer(error)
    }
}

impl From<HuffmanError> for LiteralError {
    fn from(error: HuffmanError) -> Self {
        Self::Huffman(error)
    }
}
