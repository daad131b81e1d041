//! As much of HPACK (RFC 7541) as it takes to ask and to read a status.
//!
//! Requests need no table beyond the static one. Responses come without the dynamic one, because
//! every connection says `SETTINGS_HEADER_TABLE_SIZE` 0; a status is then one of the static table,
//! or three digits.

/// Indices of the static table (appendix A).
pub(crate) mod index {
    pub(crate) const AUTHORITY: u8 = 1;
    pub(crate) const PATH: u8 = 4;
    pub(crate) const ACCEPT_ENCODING: u8 = 16;
    pub(crate) const CONTENT_LENGTH: u8 = 28;
    /// The newest entry of the dynamic table.
    pub(crate) const NEWEST: u8 = 62;
}

/// An indexed field (§6.1) is this with the index.
const INDEXED: u8 = 0x80;
/// A literal that goes into the table (§6.2.1).
const LITERAL_INDEXED: u8 = 0x40;
/// A string is coded with Huffman's code (§5.2).
const HUFFMAN: u8 = 0x80;
const METHOD_GET: u8 = INDEXED | 2;
const METHOD_POST: u8 = INDEXED | 3;
const SCHEME_HTTP: u8 = INDEXED | 6;
const PATH_ROOT: u8 = INDEXED | 4;

/// The pseudo-header fields of a request, without use of the dynamic table.
pub(crate) fn request(is_post: bool, host: &str, path: &str) -> Vec<u8> {
    let method = if is_post { METHOD_POST } else { METHOD_GET };
    let mut block = vec![method, SCHEME_HTTP];
    if path == "/" {
        block.push(PATH_ROOT);
    } else {
        put_known(&mut block, index::PATH, path.as_bytes());
    }
    put_known(&mut block, index::AUTHORITY, host.as_bytes());
    block
}

/// A whole field of a table.
pub(crate) fn indexed(index: u8) -> u8 {
    INDEXED | index
}

/// A field whose name is in the static table; not indexed (§6.2.2).
pub(crate) fn put_known(to: &mut Vec<u8>, index: u8, value: &[u8]) {
    put_integer(to, 0, 4, usize::from(index));
    put_string(to, value);
}

/// A field with a name of its own; not indexed.
pub(crate) fn put_literal(to: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    to.push(0);
    put_string(to, name);
    put_string(to, value);
}

/// The same, and it is the newest entry of the dynamic table from now on.
pub(crate) fn put_into_table(to: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    to.push(LITERAL_INDEXED);
    put_string(to, name);
    put_string(to, value);
}

/// A field whose value is so many zeros in Huffman's code, eight of them in five bytes.
pub(crate) fn put_huffman_zeros(to: &mut Vec<u8>, name: &[u8], eights: usize) {
    to.push(0);
    put_string(to, name);
    put_integer(to, HUFFMAN, 7, eights * 5);
    to.resize(to.len() + eights * 5, 0);
}

fn put_string(to: &mut Vec<u8>, text: &[u8]) {
    put_integer(to, 0, 7, text.len());
    to.extend_from_slice(text);
}

/// An integer with a prefix of so many bits (§5.1) behind what the other bits say.
fn put_integer(to: &mut Vec<u8>, other_bits: u8, prefix_bits: u32, value: usize) {
    let prefix_max = (1 << prefix_bits) - 1;
    if value < prefix_max {
        to.push(other_bits | value as u8);
        return;
    }
    to.push(other_bits | prefix_max as u8);
    let mut rest = value - prefix_max;
    while rest >= 0x80 {
        to.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    to.push(rest as u8);
}

/// The status of a response, of whose field block this is the beginning. None for trailers.
pub(crate) fn status_of(block: &[u8]) -> Option<u16> {
    let mut rest = block;
    // Sizes of the dynamic table (§6.3) can come first.
    while rest.first()? & 0xe0 == 0x20 {
        let more = rest[0] & 0x1f == 0x1f;
        rest = &rest[1..];
        if more {
            let last = rest.iter().position(|byte| byte & 0x80 == 0)?;
            rest = &rest[last + 1..];
        }
    }
    let (first, rest) = rest.split_first()?;
    const STATUSES: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match first {
        0x88..=0x8e => Some(STATUSES[usize::from(first - 0x88)]),
        // Its name by any index that has it; indexed, not indexed, never indexed.
        0x48..=0x4e | 0x08..=0x0e | 0x18..=0x1e => digits(rest),
        _ => None,
    }
}

/// The three digits of a string.
fn digits(string: &[u8]) -> Option<u16> {
    let (len, rest) = string.split_first()?;
    let text = rest.get(..usize::from(len & !HUFFMAN))?;
    let digits = if len & HUFFMAN == 0 {
        <[u8; 3]>::try_from(text)
            .ok()?
            .map(|c| c.wrapping_sub(b'0'))
    } else {
        huffman_digits(text)?
    };
    if digits.iter().any(|digit| *digit > 9) {
        return None;
    }
    let number = digits.iter().fold(0, |sum, d| sum * 10 + u16::from(*d));
    (100..600).contains(&number).then_some(number)
}

/// RFC 7541 appendix B: 0 to 2 have five bits, 3 to 9 have six.
fn huffman_digits(text: &[u8]) -> Option<[u8; 3]> {
    // Three digits have 15 to 18 bits.
    if !(2..=3).contains(&text.len()) {
        return None;
    }
    let mut bits = [0xff; 4];
    bits[..text.len()].copy_from_slice(text);
    let mut bits = u32::from_be_bytes(bits);
    let mut digits = [0; 3];
    for digit in &mut digits {
        let (five, six) = ((bits >> 27) as u8, (bits >> 26) as u8);
        let (value, len) = match (five, six) {
            (0..=2, _) => (five, 5),
            (_, 25..=31) => (six - 22, 6),
            _ => return None,
        };
        *digit = value;
        bits <<= len;
    }
    Some(digits)
}

#[cfg(test)]
mod tests;
