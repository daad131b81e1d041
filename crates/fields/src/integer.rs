//! Integers with a prefix (RFC 7541 §5.1, also RFC 9204 §4.1.1): the low bits of a first byte, and
//! seven bits a byte after it when these do not suffice.

/// The largest integer that is read: QPACK must read 62 bits (RFC 9204 §4.1.1), HPACK needs far
/// fewer.
pub const MAX: u64 = (1 << 62) - 1;

/// Bytes after the first: as many as [`MAX`] needs. More are leading zeros that only cost time.
const CONTINUATION_BYTES_MAX: usize = 9;

/// Why an integer was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IntegerError {
    /// The input ends inside it.
    Truncated,
    /// It is larger than [`MAX`], or longer than that needs.
    TooLarge,
}

/// Reads an integer whose first byte has it in its low `prefix_bits` (1 to 8); returns it and what
/// comes after it.
///
/// # Errors
/// See [`IntegerError`].
#[inline]
pub fn decode(input: &[u8], prefix_bits: u32) -> Result<(u64, &[u8]), IntegerError> {
    let (&first, rest) = input.split_first().ok_or(IntegerError::Truncated)?;
    let prefix_max = prefix_max(prefix_bits);
    let value = first & prefix_max;
    if value < prefix_max {
        return Ok((u64::from(value), rest));
    }
    continuation(u64::from(value), rest)
}

fn continuation(prefix: u64, input: &[u8]) -> Result<(u64, &[u8]), IntegerError> {
    let mut value = prefix;
    for at in 0..CONTINUATION_BYTES_MAX {
        let &byte = input.get(at).ok_or(IntegerError::Truncated)?;
        // At most 255 and nine times seven bits: no overflow of 64.
        value += u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            if value > MAX {
                return Err(IntegerError::TooLarge);
            }
            return Ok((value, input.get(at + 1..).unwrap_or_default()));
        }
    }
    Err(IntegerError::TooLarge)
}

/// Writes an integer; `pattern` holds the bits of the first byte above its `prefix_bits`.
#[inline]
pub fn encode(value: u64, pattern: u8, prefix_bits: u32, out: &mut Vec<u8>) {
    let prefix_max = prefix_max(prefix_bits);
    if value < u64::from(prefix_max) {
        // The prefix holds it: the cast loses nothing.
        out.push(pattern | value as u8);
    } else {
        out.push(pattern | prefix_max);
        encode_continuation(value - u64::from(prefix_max), out);
    }
}

fn encode_continuation(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
const fn prefix_max(prefix_bits: u32) -> u8 {
    debug_assert!(1 <= prefix_bits && prefix_bits <= 8);
    (0xff_u32 >> (8 - prefix_bits)) as u8
}

#[cfg(test)]
mod tests;
