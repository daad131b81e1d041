//! How long many things took, without keeping each.

use std::time::Duration;

/// Steps within each doubling: a quantile is at most 1/32 off.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Up to 2^40 µs, which is twelve days.
const BUCKETS: usize = (36 * STEPS) as usize;

/// A histogram of times in microseconds. Smallest and largest are exact.
#[derive(Clone, Debug)]
pub struct Spread {
    buckets: Vec<u64>,
    count: u64,
    min: u64,
    max: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Spread {
            buckets: vec![0; BUCKETS],
            count: 0,
            min: u64::MAX,
            max: 0,
        }
    }
}

impl Spread {
    /// Takes one time in.
    pub fn add(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(us)] += 1;
        self.count += 1;
        self.min = self.min.min(us);
        self.max = self.max.max(us);
    }

    /// Takes in all that another has.
    pub fn merge(&mut self, other: &Spread) {
        for (own, others) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += others;
        }
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many times there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The shortest.
    pub fn min(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_micros(self.min))
    }

    /// The longest.
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_micros(self.max))
    }

    /// The time that `per_mille` of 1000 do not exceed.
    pub fn quantile(&self, per_mille: u64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let wanted = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        let at = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        let us = upper_end(at).clamp(self.min, self.max);
        Some(Duration::from_micros(us))
    }
}

/// Below [`STEPS`] one bucket for each microsecond, then [`STEPS`] for each doubling.
fn bucket(us: u64) -> usize {
    if us < STEPS {
        return us as usize;
    }
    let doubling = us.ilog2() - STEP_BITS;
    let step = (us >> doubling) - STEPS;
    let at = (u64::from(doubling) + 1) * STEPS + step;
    (at as usize).min(BUCKETS - 1)
}

/// The largest time in a bucket.
fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let doubling = bucket / STEPS - 1;
    ((STEPS + bucket % STEPS + 1) << doubling) - 1
}

#[cfg(test)]
mod tests;
