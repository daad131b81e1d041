//! QUIC version 1 (RFC 9000) as an attacker speaks it: packets with any frames in them, and no rule that has to be
//! kept. Keys and the handshake are rustls's; nothing is sent again.

pub(crate) mod frame;
pub(crate) mod packet;
pub(crate) mod peer;
pub(crate) mod socket;
pub(crate) mod tls;

use std::time::SystemTime;

/// Appends a number in the fewest bytes (RFC 9000 §16).
pub(crate) fn varint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// Takes a number off the front.
pub(crate) fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let first = *from.first()?;
    let len = 1 << (first >> 6);
    let bytes = take(from, len)?;
    let rest = bytes[1..].iter();
    Some(rest.fold(u64::from(first & 0x3f), |value, byte| {
        value << 8 | u64::from(*byte)
    }))
}

/// Takes so many bytes off the front.
pub(crate) fn take<'a>(from: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken)
}

/// Numbers that need not be secret: xorshift64*.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Others in each run: a server remembers identifiers.
    pub(crate) fn of_this_run(thread: u64) -> Random {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let time = time.map_or(0, |time| time.as_nanos() as u64);
        Random::new(time ^ u64::from(std::process::id()) << 48 ^ thread)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.next().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }

    pub(crate) fn id(&mut self) -> [u8; 8] {
        self.next().to_be_bytes()
    }
}

#[cfg(test)]
mod tests;
