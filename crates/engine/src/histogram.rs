//! Distributions: how often a value fell between two powers of two.

use std::sync::atomic::{AtomicU64, Ordering};

/// The first bucket holds what is below 128 µs: a request that is answered in the turn it arrived in
/// counts as 0. Each further one is twice as wide; the last one holds what is above 67 s.
const FIRST_BITS: u32 = 7;
pub(crate) const BUCKETS: usize = 21;

/// Written by one worker, read by anyone.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl Histogram {
    /// Counts a value. Only the owning worker calls this.
    #[inline]
    pub(crate) fn record(&self, micros: u64) {
        let bucket = (u64::BITS - micros.leading_zeros()).saturating_sub(FIRST_BITS) as usize;
        add(&self.buckets[bucket.min(BUCKETS - 1)], 1);
        if micros > 0 {
            add(&self.sum, micros);
        }
    }
}

fn add(cell: &AtomicU64, n: u64) {
    cell.store(
        cell.load(Ordering::Relaxed).wrapping_add(n),
        Ordering::Relaxed,
    );
}

/// A distribution of times at one moment, of all workers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramSnapshot {
    buckets: [u64; BUCKETS],
    sum: u64,
}

impl HistogramSnapshot {
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        for (value, cell) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *value += cell.load(Ordering::Relaxed);
        }
        self.sum += histogram.sum.load(Ordering::Relaxed);
    }

    /// Buckets in ascending order: the upper bound in microseconds, exclusive (none for the last
    /// bucket), and how many values fell below it and not below the bound before.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let bound = |at: usize| (at + 1 < BUCKETS).then(|| 1 << (FIRST_BITS + at as u32));
        let buckets = self.buckets.iter().enumerate();
        buckets.map(move |(at, count)| (bound(at), *count))
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All values added up, in microseconds.
    pub fn sum_micros(&self) -> u64 {
        self.sum
    }
}

#[cfg(test)]
mod tests;
