//! Who is let in: bounds on the connections of a process, and of one address.
//!
//! Connections of an address are counted in the shared mapping, so that the bound holds for all
//! processes together. Each process has a table of its own there: what a process that was killed had
//! counted is forgotten by emptying its table, and nothing else can be wrong.

mod addresses;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use addresses::Admitted;
use addresses::Key;

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
        let tables = 0..self.mapping.shape().processes;
        let tables = tables.map(|process| self.mapping.address_cells(process));
        let own = self.mapping.address_cells(self.process);
        Key::of(ip, self.seeds).admit(own, tables, self.per_address_max)
    }
}

#[cfg(test)]
mod tests;
