//! Connection identifiers that say which worker has the connection, and the program that makes the
//! kernel read it.
//!
//! One rule holds for every packet, whoever chose its identifier: the first two bytes of the destination
//! connection identifier, as a number modulo the count of workers, name the worker. Identifiers of clients
//! are random, so their first packets are spread evenly; ours are chosen so that they come back to us.
//!
//! ```text
//!   0        2            3                        10
//!   | worker | generation | random                  |
//! ```
//!
//! `worker` is random but for its remainder, and `generation` is masked by a keyed hash of the random
//! bytes: an observer learns the worker of a connection and nothing else (RFC 9000 §5.1).

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt::AttachReusePortCbpf};
use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};

/// The length of our identifiers. Seven random bytes: guessing one that is in use takes 2⁵⁶ packets for
/// each that there is.
pub(crate) const ID_LEN: usize = 10;

/// Which worker this is, of how many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seat {
    pub(crate) worker: u16,
    /// At least one.
    pub(crate) workers: u16,
    /// Counts the starts of the worker's process.
    pub(crate) generation: u8,
}

impl Seat {
    /// The worker that a destination connection identifier names.
    #[inline]
    pub(crate) fn worker_of(self, id: &[u8]) -> Option<u16> {
        let [first, second, ..] = id else {
            return None;
        };
        Some(u16::from_be_bytes([*first, *second]) % self.workers)
    }
}

/// The destination connection identifier of a datagram's first packet, where it must be one of ours:
/// not in packets that a client sends before it knows one (RFC 9000 §7.2).
#[inline]
pub(crate) fn settled_destination(datagram: &[u8]) -> Option<&[u8]> {
    const LONG_HEADER: u8 = 0x80;
    const HANDSHAKE: u8 = 0x20;
    const TYPE_BITS: u8 = 0x30;
    let (&first, rest) = datagram.split_first()?;
    if first & LONG_HEADER == 0 {
        return rest.get(..ID_LEN);
    }
    let [_, _, _, version, len, rest @ ..] = rest else {
        return None;
    };
    let is_settled = *version == 1 && first & TYPE_BITS == HANDSHAKE;
    (is_settled && usize::from(*len) == ID_LEN).then(|| rest.get(..ID_LEN))?
}

/// The destination connection identifier of a datagram's first packet, where that is an Initial packet with
/// one of our length: from the second flight of a handshake on it is one of ours.
#[inline]
pub(crate) fn initial_destination(datagram: &[u8]) -> Option<&[u8; ID_LEN]> {
    const INITIAL: u8 = 0x80;
    const FORM_AND_TYPE: u8 = 0xb0;
    let [first, _, _, _, 1, len, rest @ ..] = datagram else {
        return None;
    };
    let has_ours = first & FORM_AND_TYPE == INITIAL && usize::from(*len) == ID_LEN;
    has_ours.then(|| rest.first_chunk())?
}

/// The identifier that was made last.
#[derive(Clone, Default)]
pub(crate) struct LastId(Arc<Mutex<[u8; ID_LEN]>>);

impl LastId {
    pub(crate) fn get(&self) -> [u8; ID_LEN] {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, id: [u8; ID_LEN]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }
}

/// Makes our identifiers.
pub(crate) struct IdGenerator {
    seat: Seat,
    mask_key: [u64; 2],
    last: LastId,
}

impl IdGenerator {
    pub(crate) const fn new(seat: Seat, mask_key: [u64; 2], last: LastId) -> IdGenerator {
        IdGenerator {
            seat,
            mask_key,
            last,
        }
    }

    fn mask(&self, random: [u8; 7]) -> u8 {
        let [a, b, c, d, e, f, g] = random;
        let number = u64::from_le_bytes([a, b, c, d, e, f, g, 0]);
        let product = u128::from(number ^ self.mask_key[0]) * u128::from(self.mask_key[1] | 1);
        (product >> 64) as u8 ^ product as u8
    }

    fn make(&self, random: [u8; 9]) -> [u8; ID_LEN] {
        let [a, b, rest @ ..] = random;
        let workers = self.seat.workers;
        // Whole rounds only, so that adding the worker stays below 2¹⁶.
        let rounds = (u32::from(u16::MAX) + 1) / u32::from(workers);
        let round = u32::from(u16::from_be_bytes([a, b])) % rounds;
        let steer = (round * u32::from(workers)) as u16 + self.seat.worker;
        let mut id = [0; ID_LEN];
        id[..2].copy_from_slice(&steer.to_be_bytes());
        id[2] = self.seat.generation ^ self.mask(rest);
        id[3..].copy_from_slice(&rest);
        id
    }
}

impl ConnectionIdGenerator for IdGenerator {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut random = [0; 9];
        // Fails only where the system has no randomness, and then TLS has failed before.
        let _ = aws_lc_rs::rand::fill(&mut random);
        let id = self.make(random);
        self.last.set(id);
        ConnectionId::new(&id)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        let is_ours = id.len() == ID_LEN && self.seat.worker_of(id) == Some(self.seat.worker);
        if is_ours { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        ID_LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Makes the kernel give each datagram to the socket of the worker that its identifier names. `socket` is
/// any socket of a reuseport group into which one for each worker was bound, in their order.
///
/// # Errors
/// The kernel refuses the program; then it chooses by address and port.
pub(crate) fn steer(socket: impl AsFd, workers: u16) -> io::Result<()> {
    let mut program = steering_program(workers);
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    Ok(setsockopt(&socket, AttachReusePortCbpf, &program)?)
}

/// The rule above in classic BPF, which is shown a datagram's payload. What is too short for it goes to
/// the first socket, and an index that there is no socket for is chosen by address and port.
fn steering_program(workers: u16) -> [libc::sock_filter; 7] {
    // Instruction codes of linux/filter.h.
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF_WORD: u16 = 0x28;
    const JUMP_IF_SET: u16 = 0x45;
    const MODULO: u16 = 0x94;
    const JUMP: u16 = 0x05;
    const RETURN_A: u16 = 0x16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    [
        step(LOAD_BYTE, 0, 0, 0),
        // A long header has its version and a length before the identifier.
        step(JUMP_IF_SET, 0, 2, 0x80),
        step(LOAD_HALF_WORD, 0, 0, 6),
        step(JUMP, 0, 0, 1),
        step(LOAD_HALF_WORD, 0, 0, 1),
        step(MODULO, 0, 0, u32::from(workers)),
        step(RETURN_A, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests;
