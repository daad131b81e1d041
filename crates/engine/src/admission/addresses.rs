//! The table in which a process counts its connections by their clients' addresses.
//!
//! It is an array of cells, each an address (40 bits of a keyed hash) and a count (24 bits) in one
//! atomic; a cell with the count 0 is free. An address stands in one of two buckets that its hash names,
//! and a new one goes into that with more room: of two choices the fuller is hardly ever full, while
//! with one place to start from a table half full has runs of dozens of cells. Of what threads share it
//! uses [`crate::sync`] only: `tests/models` runs it through every interleaving.

use std::net::IpAddr;

use crate::sync::atomic::{AtomicU64, Ordering, fence};

/// What an address that asks for one more connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// Come in; to be given back with `Admission::leave_address`.
    Counted,
    /// Come in; there is nothing to give back.
    Uncounted,
    Refused,
}

/// An address as the tables know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The upper 40 bits; the lower ones are those of the count.
    mark: u64,
    /// Two of 32 bits, one for each bucket.
    places: u64,
}

const COUNT_BITS: u32 = 24;
pub(crate) const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// Cells of one bucket, two cache lines.
const BUCKET: usize = 16;

impl Key {
    /// One IPv4 address, or the network of an IPv6 address: whoever has one address has all 2⁶⁴ of
    /// its /64.
    pub(crate) fn of(ip: IpAddr, [first, second]: [u64; 2]) -> Key {
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
            places: fold(hash ^ second, first ^ number),
        }
    }

    /// Counts a connection of this address in the table of its process, unless there are too many in all
    /// tables together.
    pub(crate) fn admit<'c>(
        self,
        own: &[AtomicU64],
        tables: impl Iterator<Item = &'c [AtomicU64]> + Clone,
        max: u64,
    ) -> Admitted {
        let count = || -> u64 { tables.clone().map(|table| self.count(table)).sum() };
        if count() >= max {
            return Admitted::Refused;
        }
        if !self.add(own) {
            // Every cell this address could have is taken by others. The table has twice as many as
            // there can be connections: chance does not do that, and an attacker who does not know
            // the keys cannot.
            return Admitted::Uncounted;
        }
        // Counted first and looked at then: two that come at once never both slip in. They may have
        // tables of their own, and without the fence each could miss what the other has written.
        fence(Ordering::SeqCst);
        if count() > max {
            self.remove(own);
            return Admitted::Refused;
        }
        Admitted::Counted
    }

    /// The cells in which this address may stand, each once.
    fn buckets(self, cells: &[AtomicU64]) -> [&[AtomicU64]; 2] {
        if cells.len() <= BUCKET {
            return [cells, &[]];
        }
        // A power of two of buckets, at least two.
        let mask = cells.len() / BUCKET - 1;
        let first = self.places as usize & mask;
        let second = (self.places >> 32) as usize & mask;
        let second = if second == first { first ^ 1 } else { second };
        [first, second].map(|bucket| &cells[bucket * BUCKET..][..BUCKET])
    }

    fn is_in(self, cell: u64) -> bool {
        cell & COUNT_MASK != 0 && cell & !COUNT_MASK == self.mark
    }

    /// Counts this address's connections in one table.
    fn count(self, cells: &[AtomicU64]) -> u64 {
        // Two workers may have put it into two cells at once.
        let cells = self.buckets(cells).into_iter().flatten();
        cells
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
        let mut buckets = self.buckets(cells);
        if buckets.iter().any(|bucket| update_one(bucket, more)) {
            return true;
        }
        buckets.sort_by_key(|bucket| std::cmp::Reverse(free(bucket)));
        buckets.iter().any(|bucket| update_one(bucket, first))
    }

    pub(crate) fn remove(self, cells: &[AtomicU64]) {
        let less = |cell: u64| self.is_in(cell).then(|| cell - 1);
        let buckets = self.buckets(cells);
        let _is_removed = buckets.iter().any(|bucket| update_one(bucket, less));
    }
}

fn free(cells: &[AtomicU64]) -> usize {
    let is_free = |cell: &&AtomicU64| cell.load(Ordering::Relaxed) & COUNT_MASK == 0;
    cells.iter().filter(is_free).count()
}

fn update_one(cells: &[AtomicU64], change: impl Fn(u64) -> Option<u64>) -> bool {
    cells.iter().any(|cell| {
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        cell.fetch_update(set, fetch, &change).is_ok()
    })
}

const V6_MARK: u64 = 0x5f3a_0000_0000_0000;
