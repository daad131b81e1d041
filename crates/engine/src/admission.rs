//! Who is let in: bounds on the connections of a process, and of one address.
//!
//! Connections of an address are counted in the shared mapping, so that the bound holds for all
//! processes together. Each process has a table of its own there: what a process that was killed had
//! counted is forgotten by emptying its table, and nothing else can be wrong. A table is an array of
//! cells, each an address (40 bits of a keyed hash) and a count (24 bits) in one atomic; a cell with
//! the count 0 is free. An address is looked for in a few cells that follow its hash.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::mapping::Mapping;
use crate::request::PeerAddr;

/// What the workers of a process share about connections.
pub(crate) struct Admission {
    connections_max: usize,
    open: AtomicUsize,
    addresses: Option<Addresses>,
}

struct Addresses {
    per_address_max: u64,
    process: usize,
    mapping: Arc<Mapping>,
    seeds: [u64; 2],
}

/// What an address that asks for one more connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// Come in; to be given back with [`Admission::leave_address`].
    Counted,
    /// Come in; there is nothing to give back.
    Uncounted,
    Refused,
}

/// Cells of a table in which all connections that a process may have can be counted, at most half
/// full. Bounded: 128 KiB for the 16 000 connections of a limit of open files that is common.
pub(crate) fn address_cells(connections_max: usize) -> usize {
    (2 * connections_max.min(CONNECTIONS_COUNTED_MAX)).next_power_of_two()
}

/// 1 Mi connections of one process, 16 MiB of cells, of which only those that are used take memory.
const CONNECTIONS_COUNTED_MAX: usize = 1 << 20;

impl Admission {
    pub(crate) fn new(
        connections_max: usize,
        per_address_max: Option<usize>,
        mapping: &Arc<Mapping>,
        process: usize,
    ) -> Admission {
        let addresses = per_address_max.map(|max| Addresses {
            per_address_max: max as u64,
            process,
            mapping: Arc::clone(mapping),
            seeds: mapping.seeds(),
        });
        Admission {
            connections_max,
            open: AtomicUsize::new(0),
            addresses,
        }
    }

    /// Takes a place for one more connection, if there is one.
    pub(crate) fn admit(&self) -> bool {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        if before >= self.connections_max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Gives back what [`admit`](Admission::admit) took.
    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a connection of this address, unless it has too many.
    pub(crate) fn admit_address(&self, peer: PeerAddr) -> Admitted {
        match (&self.addresses, peer.ip_only()) {
            (Some(addresses), Some(ip)) => addresses.admit(ip),
            _ => Admitted::Uncounted,
        }
    }

    /// Gives back what was [`Counted`](Admitted::Counted).
    pub(crate) fn leave_address(&self, peer: PeerAddr) {
        if let (Some(addresses), Some(ip)) = (&self.addresses, peer.ip_only()) {
            let key = Key::of(ip, addresses.seeds);
            key.remove(addresses.mapping.address_cells(addresses.process));
        }
    }
}

/// Forgets what a process that has died had counted.
pub(crate) fn forget_addresses(mapping: &Mapping, process: usize) {
    for cell in mapping.address_cells(process) {
        cell.store(0, Ordering::Relaxed);
    }
}

impl Addresses {
    fn admit(&self, ip: IpAddr) -> Admitted {
        let key = Key::of(ip, self.seeds);
        if self.count(key) >= self.per_address_max {
            return Admitted::Refused;
        }
        let own = self.mapping.address_cells(self.process);
        if !key.add(own) {
            // Every cell this address could have is taken by others. The table has twice as many as
            // there can be connections: chance does not do that, and an attacker who does not know
            // the keys cannot.
            return Admitted::Uncounted;
        }
        // Counted first and looked at then: two that come at once never both slip in.
        if self.count(key) > self.per_address_max {
            key.remove(own);
            return Admitted::Refused;
        }
        Admitted::Counted
    }

    fn count(&self, key: Key) -> u64 {
        let processes = 0..self.mapping.shape().processes;
        processes
            .map(|process| key.count(self.mapping.address_cells(process)))
            .sum()
    }
}

/// An address as the tables know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    /// The upper 40 bits; the lower ones are those of the count.
    mark: u64,
    place: usize,
}

const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// Cells in which an address may stand.
const WINDOW: usize = 32;

impl Key {
    /// One IPv4 address, or the network of an IPv6 address: whoever has one address has all 2⁶⁴ of
    /// its /64.
    fn of(ip: IpAddr, [first, second]: [u64; 2]) -> Key {
        let number = match ip.to_canonical() {
            IpAddr::V4(ip) => u64::from(u32::from(ip)),
            // Never below 2³²: the upper half of a network in use is not zero, but for `::1`.
            IpAddr::V6(ip) => (u128::from(ip) >> 64) as u64 ^ V6_MARK,
        };
        // Twice folded multiplication with secret keys, as in wyhash.
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b | 1);
            (product as u64) ^ ((product >> 64) as u64)
        };
        let hash = fold(fold(number ^ first, second) ^ second, first);
        Key {
            mark: hash & !COUNT_MASK,
            place: fold(hash ^ second, first ^ number) as usize,
        }
    }

    fn window(self, cells: &[AtomicU64]) -> impl Iterator<Item = &AtomicU64> {
        let mask = cells.len().wrapping_sub(1);
        (0..WINDOW.min(cells.len())).map(move |step| &cells[self.place.wrapping_add(step) & mask])
    }

    fn is_in(self, cell: u64) -> bool {
        cell & COUNT_MASK != 0 && cell & !COUNT_MASK == self.mark
    }

    /// Counts this address's connections in one table.
    fn count(self, cells: &[AtomicU64]) -> u64 {
        // Two workers may have put it into two cells at once.
        self.window(cells)
            .map(|cell| cell.load(Ordering::Acquire))
            .filter(|cell| self.is_in(*cell))
            .map(|cell| cell & COUNT_MASK)
            .sum()
    }

    /// False when there is no cell for it.
    fn add(self, cells: &[AtomicU64]) -> bool {
        let more = |cell: u64| {
            let has_room = cell & COUNT_MASK < COUNT_MASK;
            (self.is_in(cell) && has_room).then_some(cell + 1)
        };
        let first = |cell: u64| (cell & COUNT_MASK == 0).then_some(self.mark | 1);
        self.update_one(cells, more) || self.update_one(cells, first)
    }

    fn remove(self, cells: &[AtomicU64]) {
        let less = |cell: u64| self.is_in(cell).then(|| cell - 1);
        self.update_one(cells, less);
    }

    fn update_one(self, cells: &[AtomicU64], change: impl Fn(u64) -> Option<u64>) -> bool {
        self.window(cells).any(|cell| {
            let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
            cell.fetch_update(set, fetch, &change).is_ok()
        })
    }
}

const V6_MARK: u64 = 0x5f3a_0000_0000_0000;

#[cfg(test)]
mod tests;
