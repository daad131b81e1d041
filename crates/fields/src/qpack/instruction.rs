//! Where an encoder instruction ends (RFC 9204 §4.3), without looking into its strings.
//!
//! That takes a constant time, so an instruction that comes in tiny pieces is not decoded again with
//! each of them, and one that announces more than the table may hold is refused before it has come.

use super::{QpackError, pattern};
use crate::{
    dynamic_table::ENTRY_OVERHEAD_BYTES,
    integer::{self, IntegerError},
};

/// How much of an instruction is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Extent {
    /// It is whole, and so long.
    Whole(usize),
    /// At least so many bytes are needed; more than there are.
    AtLeast(usize),
}

/// The bits of a Huffman code at most (RFC 7541 appendix B).
const CODE_BITS_MAX: usize = 30;
/// The bits of a Huffman-encoded string that may be padding (RFC 7541 §5.2).
const PADDING_BITS_MAX: usize = 7;

/// Measures the instruction that `input` begins with. `capacity` is the table's.
///
/// An instruction is at most 3.75 times as long as the capacity, and 20 bytes: that many a string of
/// the longest codes takes.
#[inline]
pub(super) fn measure(input: &[u8], capacity: usize) -> Result<Extent, QpackError> {
    let mut cursor = Cursor {
        input,
        at: 0,
        // What name and value may take. Names that are referred to count when they are inserted.
        room: capacity.checked_sub(ENTRY_OVERHEAD_BYTES),
    };
    let Some(&first) = input.first() else {
        return Ok(Extent::AtLeast(1));
    };
    let result = if first & pattern::INSERT_NAMED != 0 {
        cursor
            .integer(pattern::INSERT_NAMED_PREFIX)
            .and_then(|_| cursor.string(pattern::STRING_PREFIX))
    } else if first & pattern::INSERT_LITERAL != 0 {
        cursor
            .string(pattern::INSERT_LITERAL_PREFIX)
            .and_then(|()| cursor.string(pattern::STRING_PREFIX))
    } else {
        // Both have an integer of that width and nothing else.
        cursor.integer(pattern::CAPACITY_PREFIX).map(|_| ())
    };
    match result {
        Ok(()) if cursor.at <= input.len() => Ok(Extent::Whole(cursor.at)),
        Ok(()) => Ok(Extent::AtLeast(cursor.at)),
        Err(Stop::AtLeast(len)) => Ok(Extent::AtLeast(len)),
        Err(Stop::Refused(error)) => Err(error),
    }
}

struct Cursor<'a> {
    input: &'a [u8],
    /// May be beyond the input's end: then a string has not come whole.
    at: usize,
    room: Option<usize>,
}

enum Stop {
    AtLeast(usize),
    Refused(QpackError),
}

impl Cursor<'_> {
    #[inline]
    fn integer(&mut self, prefix_bits: u32) -> Result<u64, Stop> {
        let Some(rest) = self.input.get(self.at..).filter(|rest| !rest.is_empty()) else {
            return Err(Stop::AtLeast(self.at + 1));
        };
        match integer::decode(rest, prefix_bits) {
            Ok((value, after)) => {
                self.at += rest.len() - after.len();
                Ok(value)
            }
            Err(IntegerError::Truncated) => Err(Stop::AtLeast(self.input.len() + 1)),
            Err(IntegerError::TooLarge) => {
                Err(Stop::Refused(QpackError::InstructionIntegerTooLarge))
            }
        }
    }

    #[inline]
    fn string(&mut self, prefix_bits: u32) -> Result<(), Stop> {
        let is_huffman = self
            .input
            .get(self.at)
            .is_some_and(|first| first & (1 << prefix_bits) != 0);
        let len = self.integer(prefix_bits)?;
        let too_large = Stop::Refused(QpackError::EntryTooLarge);
        let Some((room, len)) = self.room.zip(usize::try_from(len).ok()) else {
            return Err(too_large);
        };
        let decoded_min = if is_huffman {
            (len.saturating_mul(8).saturating_sub(PADDING_BITS_MAX)).div_ceil(CODE_BITS_MAX)
        } else {
            len
        };
        let Some(room) = room.checked_sub(decoded_min) else {
            return Err(too_large);
        };
        self.room = Some(room);
        self.at += len;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
