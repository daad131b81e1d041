//! Variable-length integers (RFC 9000 §16).

/// The largest number there is.
pub(crate) const MAX: u64 = (1 << 62) - 1;

/// The longest encoding.
pub(crate) const LEN_MAX: usize = 8;

/// Reads a number; returns it and what comes after it, or nothing if it is not here as a whole.
#[inline]
pub(crate) fn decode(input: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, _) = input.split_first()?;
    let len = 1 << (first >> 6);
    let (bytes, rest) = input.split_at_checked(len)?;
    let value = bytes
        .iter()
        .fold(0, |value: u64, &byte| value << 8 | u64::from(byte));
    // The two bits that say the length.
    let mask = MAX >> (62 - (8 * len as u32 - 2));
    Some((value & mask, rest))
}

/// Appends a number in its shortest encoding.
#[inline]
pub(crate) fn encode(value: u64, out: &mut Vec<u8>) {
    debug_assert!(value <= MAX);
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests;
