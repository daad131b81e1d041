//! Packets (RFC 9000 §17): sealed with any payload, and opened.

use rustls::quic::{DirectionalKeys, HeaderProtectionKey, PacketKey};

use super::{take, take_varint, varint};

/// Which of a connection's three series of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Initial,
    Handshake,
    Data,
}

/// What comes before the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a> {
    pub(crate) space: Space,
    pub(crate) to: &'a [u8],
    pub(crate) from: &'a [u8],
    /// Of an Initial packet.
    pub(crate) token: &'a [u8],
    pub(crate) number: u64,
    /// Which of two generations of keys, in the space of data.
    pub(crate) phase: bool,
}

/// Packet numbers are always as long as they can be.
const NUMBER_BYTES: usize = 4;
const TAG_BYTES: usize = 16;
/// A client's first datagrams are not smaller (§14.1).
pub(crate) const INITIAL_BYTES: usize = 1200;

const LONG: u8 = 0x80;
const FIXED: u8 = 0x40;
const PHASE: u8 = 0x04;
const VERSION_1: [u8; 4] = [0, 0, 0, 1];

/// Appends a packet.
pub(crate) fn seal(
    out: &mut Vec<u8>,
    header: &Header<'_>,
    keys: &DirectionalKeys,
    payload: &[u8],
) -> Option<()> {
    let start = out.len();
    let kind = match header.space {
        Space::Data => FIXED,
        Space::Initial => LONG | FIXED,
        Space::Handshake => LONG | FIXED | 0x20,
    };
    let phase = if header.phase { PHASE } else { 0 };
    out.push(kind | phase | (NUMBER_BYTES - 1) as u8);
    if header.space != Space::Data {
        out.extend_from_slice(&VERSION_1);
        out.push(header.to.len() as u8);
    }
    out.extend_from_slice(header.to);
    if header.space != Space::Data {
        out.push(header.from.len() as u8);
        out.extend_from_slice(header.from);
        if header.space == Space::Initial {
            varint(out, header.token.len() as u64);
            out.extend_from_slice(header.token);
        }
        let len = NUMBER_BYTES + payload.len() + TAG_BYTES;
        out.extend_from_slice(&(len as u16 | 0x4000).to_be_bytes());
    }
    let number_at = out.len() - start;
    out.extend_from_slice(&(header.number as u32).to_be_bytes());
    out.extend_from_slice(payload);
    let packet = &mut out[start..];
    let (head, body) = packet.split_at_mut(number_at + NUMBER_BYTES);
    let tag = keys
        .packet
        .encrypt_in_place(header.number, head, body)
        .ok()?;
    out.extend_from_slice(tag.as_ref());
    let packet = &mut out[start..];
    let (head, body) = packet.split_at_mut(number_at + NUMBER_BYTES);
    let (first, rest) = head.split_first_mut()?;
    let number = &mut rest[number_at - 1..];
    let sample = body.get(..keys.header.sample_len())?;
    keys.header.encrypt_in_place(sample, first, number).ok()
}

/// Bytes that an Initial packet takes beside its payload.
pub(crate) fn initial_overhead(to: &[u8], from: &[u8], token: &[u8]) -> usize {
    let token_len = if token.len() < 0x40 { 1 } else { 2 };
    let ids = 1 + to.len() + 1 + from.len();
    1 + VERSION_1.len() + ids + token_len + token.len() + 2 + NUMBER_BYTES + TAG_BYTES
}

/// What a packet of the server is, before it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outline {
    Sealed {
        space: Space,
        /// The server's identifier, in a long header.
        from: Vec<u8>,
        /// Where its number begins, and where the packet ends.
        number_at: usize,
        end: usize,
    },
    Retry {
        from: Vec<u8>,
        token: Vec<u8>,
    },
    /// Version Negotiation, or nothing that can be understood.
    Other,
}

/// Looks at the packet at the front. Our own identifiers have `id_len` bytes.
pub(crate) fn outline(datagram: &[u8], id_len: usize) -> Outline {
    long_or_short(datagram, id_len).unwrap_or(Outline::Other)
}

fn long_or_short(datagram: &[u8], id_len: usize) -> Option<Outline> {
    let mut rest = datagram;
    let first = *take(&mut rest, 1)?.first()?;
    if first & LONG == 0 {
        return Some(Outline::Sealed {
            space: Space::Data,
            from: Vec::new(),
            number_at: 1 + id_len,
            end: datagram.len(),
        });
    }
    if take(&mut rest, VERSION_1.len())? != VERSION_1 {
        return None;
    }
    let to_len = *take(&mut rest, 1)?.first()?;
    take(&mut rest, to_len.into())?;
    let from_len = *take(&mut rest, 1)?.first()?;
    let from = take(&mut rest, from_len.into())?.to_vec();
    let space = match first >> 4 & 3 {
        0 => Space::Initial,
        2 => Space::Handshake,
        3 => {
            let token_len = rest.len().checked_sub(TAG_BYTES)?;
            let token = take(&mut rest, token_len)?.to_vec();
            return Some(Outline::Retry { from, token });
        }
        _ => return None,
    };
    if space == Space::Initial {
        let len = take_varint(&mut rest)?;
        take(&mut rest, usize::try_from(len).ok()?)?;
    }
    let len = usize::try_from(take_varint(&mut rest)?).ok()?;
    let number_at = datagram.len() - rest.len();
    let end = number_at.checked_add(len)?;
    (end <= datagram.len()).then_some(Outline::Sealed {
        space,
        from,
        number_at,
        end,
    })
}

/// Takes a packet's protection off its header: its number, and where its payload begins. The first byte then says
/// its phase.
pub(crate) fn unmask(
    packet: &mut [u8],
    number_at: usize,
    keys: &dyn HeaderProtectionKey,
    expected: u64,
) -> Option<(u64, usize)> {
    let (head, body) = packet.split_at_mut_checked(number_at + NUMBER_BYTES)?;
    let sample = body.get(..keys.sample_len())?;
    let (first, rest) = head.split_first_mut()?;
    let number = rest.get_mut(number_at - 1..)?;
    keys.decrypt_in_place(sample, first, number).ok()?;
    let len = usize::from(*first & 3) + 1;
    let number = number[..len]
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some((whole_number(number, len, expected), number_at + len))
}

/// Whether a short header that was unmasked has the second of two generations of keys.
pub(crate) fn phase_of(packet: &[u8]) -> bool {
    packet
        .first()
        .is_some_and(|first| first & LONG == 0 && first & PHASE != 0)
}

/// Opens a packet that was unmasked.
pub(crate) fn open<'a>(
    packet: &'a mut [u8],
    payload_at: usize,
    number: u64,
    keys: &dyn PacketKey,
) -> Option<&'a [u8]> {
    let (head, body) = packet.split_at_mut_checked(payload_at)?;
    keys.decrypt_in_place(number, head, body).ok()
}

/// The number nearest to the expected one that ends so (RFC 9000 §A.3).
fn whole_number(truncated: u64, len: usize, expected: u64) -> u64 {
    let window = 1_u64 << (8 * len);
    let candidate = expected & !(window - 1) | truncated;
    if candidate + window / 2 <= expected {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}
