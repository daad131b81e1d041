//! How often a peer may do what costs us more than it costs the peer.

/// So much at once, and so much more every second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    /// How many at once.
    pub burst: u32,
    /// How many more every second.
    pub per_second: u32,
}

impl Budget {
    /// So many at once, and so many more every second.
    #[must_use]
    pub const fn new(burst: u32, per_second: u32) -> Self {
        Self { burst, per_second }
    }
}

/// What is left of a budget.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// When it will be full again, in microseconds.
    full_at: u64,
}

impl Bucket {
    /// Takes one out at a time in milliseconds, if there is one.
    #[must_use]
    pub fn spend(&mut self, budget: Budget, now: u64) -> bool {
        let interval = 1_000_000 / u64::from(budget.per_second.max(1));
        let now = now.saturating_mul(1000);
        let next = now.max(self.full_at).saturating_add(interval);
        let has_one = next - now <= interval * u64::from(budget.burst);
        if has_one {
            self.full_at = next;
        }
        has_one
    }
}
