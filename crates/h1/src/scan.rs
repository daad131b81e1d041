//! Scanners that look at many bytes at a time.
//!
//! Long stretches go by in blocks of 16 bytes, with a test on the whole array that compiles to
//! vector instructions on every target that has them. The place inside a block is found with words:
//! a word holds eight bytes, the first one lowest, and a mask has the high bit of a byte set where
//! the byte matches. Borrows run upwards only, so the lowest set bit of a mask is always right, and
//! nothing but the lowest is used.
//!
//! What is left at the end of the input is looked at with the last word of the input, so that there
//! are no loops over single bytes but for inputs shorter than a word.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const WORD: usize = 8;
const BLOCK: usize = 16;

/// The position in `rest`, the end of `input`, of the first `:`, or the length of `rest`.
#[inline(always)]
pub(crate) fn find_colon(input: &[u8], rest: &[u8]) -> usize {
    // Names are short: words only.
    find_by_words(input, rest, rest.len(), colon_bytes)
}

/// A field name in front of its colon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    pub(crate) len: usize,
    /// Its first and last eight bytes; the whole name, padded with zeros, if it is shorter.
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// The name that `rest` starts with: all before the first `:`. `None` without a colon, and where
/// less than a word is left.
#[inline(always)]
pub(crate) fn find_name(rest: &[u8]) -> Option<Name> {
    let (word, mut unseen) = rest.split_first_chunk()?;
    let first = u64::from_le_bytes(*word);
    let found = colon_bytes(first);
    if found != 0 {
        // The bytes below the colon: below the lowest bit of the mask, which is its highest.
        let text = first & ((found & found.wrapping_neg()) >> 7).wrapping_sub(1);
        return Some(Name {
            len: first_byte(found),
            first: text,
            last: text,
        });
    }
    let mut before = first;
    loop {
        let (word, after) = unseen.split_first_chunk()?;
        let word = u64::from_le_bytes(*word);
        let found = colon_bytes(word);
        if found != 0 {
            let place = first_byte(found);
            let both = u128::from(before) | u128::from(word) << u64::BITS;
            return Some(Name {
                len: rest.len() - unseen.len() + place,
                first,
                last: (both >> (8 * place)) as u64,
            });
        }
        before = word;
        unseen = after;
    }
}

/// The position in `rest`, the end of `input`, of the first byte that may not stand in a field value
/// (a control character other than HTAB), or the length of `rest`.
#[inline(always)]
pub(crate) fn find_value_end(input: &[u8], rest: &[u8]) -> usize {
    let mut unseen = rest;
    loop {
        while let Some((block, after)) = unseen.split_first_chunk::<BLOCK>() {
            if block
                .iter()
                .fold(false, |any, &byte| any | (byte < b' ') | (byte == 0x7f))
            {
                break;
            }
            unseen = after;
        }
        let pos = find_by_words(input, unseen, rest.len(), control_bytes);
        match rest.get(pos..) {
            Some([b'\t', after @ ..]) => unseen = after,
            _ => return pos,
        }
    }
}

/// The position in `rest`, the end of `input`, of the first control character, which may be HTAB, or
/// the length of `rest`.
#[inline(always)]
pub(crate) fn find_control(input: &[u8], rest: &[u8]) -> usize {
    let mut unseen = rest;
    while let Some((block, after)) = unseen.split_first_chunk::<BLOCK>() {
        if block
            .iter()
            .fold(false, |any, &byte| any | (byte < b' ') | (byte == 0x7f))
        {
            return rest.len() - unseen.len() + first_control(block);
        }
        unseen = after;
    }
    find_last_control(input, unseen, rest.len())
}

/// The place of the control character in a block that has one.
#[inline(always)]
fn first_control(block: &[u8; BLOCK]) -> usize {
    let words = u128::from_le_bytes(*block);
    let found = control_bytes(words as u64);
    if found == 0 {
        WORD + first_byte(control_bytes((words >> u64::BITS) as u64))
    } else {
        first_byte(found)
    }
}

#[cold]
fn find_last_control(input: &[u8], unseen: &[u8], len: usize) -> usize {
    find_by_words(input, unseen, len, control_bytes)
}

/// The place of the first byte in `unseen`, the end of `input`, for which `matches` sets a bit,
/// counted in the last `len` bytes of `input`; `len` if there is none.
#[inline(always)]
fn find_by_words(
    input: &[u8],
    mut unseen: &[u8],
    len: usize,
    matches: impl Fn(u64) -> u64,
) -> usize {
    while let Some((word, after)) = unseen.split_first_chunk::<WORD>() {
        let found = matches(u64::from_le_bytes(*word));
        if found != 0 {
            return len - unseen.len() + first_byte(found);
        }
        unseen = after;
    }
    // Less than a word is left: its bytes, and above them zeros. A match in those is none.
    let word = match input.last_chunk::<WORD>() {
        Some(last) if !unseen.is_empty() => {
            u64::from_le_bytes(*last) >> (8 * (WORD - unseen.len()))
        }
        Some(_) => return len,
        None => short_word(unseen),
    };
    match matches(word) {
        0 => len,
        found => (len - unseen.len() + first_byte(found)).min(len),
    }
}

#[cold]
fn short_word(bytes: &[u8]) -> u64 {
    let mut word = [0; WORD];
    word.iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(word)
}

#[inline(always)]
const fn colon_bytes(word: u64) -> u64 {
    zero_bytes(word ^ (ONES * b':' as u64))
}

#[inline(always)]
const fn control_bytes(word: u64) -> u64 {
    let below_space = word.wrapping_sub(ONES * b' ' as u64) & !word & HIGHS;
    below_space | zero_bytes(word ^ (ONES * 0x7f))
}

#[inline(always)]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[inline(always)]
const fn first_byte(mask: u64) -> usize {
    (mask.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests;
