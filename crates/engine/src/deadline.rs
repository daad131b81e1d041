//! The bucketed deadline wheel, and the list of what came out of it.
//!
//! Time is counted in ticks of [`TICK`]. Each connection has at most one place in the wheel, kept
//! as an intrusive doubly linked list over connection indices, so that filing and removing cost a
//! few stores and no allocation. A connection is *filed* at a tick not later than its deadline:
//! a deadline that moves away needs no work at all (the common case: every request moves it), and
//! is filed anew when its old bucket comes up. Only a deadline that moves nearer than its bucket
//! is re-filed at once.

use std::collections::VecDeque;
use std::time::Duration;

/// Width of a bucket. A deadline fires in the first tick that begins after it, and the worker
/// wakes at least once a tick while it has connections: met within two ticks.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// A moment, in ticks since the worker started. `u32` lasts 34 years.
pub(crate) type Tick = u32;

/// No deadline.
pub(crate) const NEVER: Tick = Tick::MAX;

/// Ticks that a duration takes, rounded up, so that a deadline never fires early.
pub(crate) fn ticks(duration: Duration) -> Tick {
    let ticks = duration.as_millis().div_ceil(TICK.as_millis());
    // One more because "now" may stand anywhere inside its tick.
    Tick::try_from(ticks).unwrap_or(NEVER - 1).saturating_add(1)
}

/// 128 s of buckets; a longer deadline passes through its bucket more than once.
const BUCKETS: usize = 512;
const NONE: u32 = u32::MAX;

pub(crate) struct Wheel {
    heads: Box<[u32; BUCKETS]>,
    links: Vec<Link>,
    /// All ticks up to and including this one have been expired.
    current: Tick,
}

#[derive(Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
    /// The tick this entry is filed at; [`NEVER`] when it is in no bucket.
    filed: Tick,
}

impl Wheel {
    pub(crate) fn new() -> Wheel {
        Wheel {
            heads: Box::new([NONE; BUCKETS]),
            links: Vec::new(),
            current: 0,
        }
    }

    /// Sees to it that `index` comes out of [`expire`](Wheel::expire) not later than at
    /// `deadline`. It may come out earlier.
    #[inline]
    pub(crate) fn file(&mut self, index: u32, deadline: Tick) {
        let at = index as usize;
        if at >= self.links.len() {
            let empty = Link {
                previous: NONE,
                next: NONE,
                filed: NEVER,
            };
            self.links.resize(at + 1, empty);
        }
        if self.links[at].filed <= deadline {
            return;
        }
        self.remove(index);
        self.insert(index, deadline.max(self.current + 1));
    }

    /// Takes `index` out; it will not expire.
    pub(crate) fn remove(&mut self, index: u32) {
        let Some(&Link {
            previous,
            next,
            filed,
        }) = self.links.get(index as usize)
        else {
            return;
        };
        if filed == NEVER {
            return;
        }
        if previous == NONE {
            self.heads[bucket(filed)] = next;
        } else {
            self.links[previous as usize].next = next;
        }
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        self.links[index as usize].filed = NEVER;
    }

    /// Moves the wheel to `now` and appends to `due` every index filed up to then, each taken
    /// out. The caller files again what is not really due.
    pub(crate) fn expire(&mut self, now: Tick, due: &mut Vec<u32>) {
        // After a long sleep each bucket needs one look, not one per missed round.
        let first = (self.current + 1).max(now.saturating_sub(BUCKETS as Tick - 1));
        for tick in first..=now {
            let mut index = self.heads[bucket(tick)];
            while index != NONE {
                let Link { next, filed, .. } = self.links[index as usize];
                if filed <= now {
                    self.remove(index);
                    due.push(index);
                }
                index = next;
            }
        }
        self.current = self.current.max(now);
    }

    fn insert(&mut self, index: u32, tick: Tick) {
        let head = &mut self.heads[bucket(tick)];
        let next = std::mem::replace(head, index);
        self.links[index as usize] = Link {
            previous: NONE,
            next,
            filed: tick,
        };
        if next != NONE {
            self.links[next as usize].previous = index;
        }
    }
}

/// What came out of the wheel and was not looked at yet, first in first out. Each connection stands here
/// once, however often it is filed again meanwhile, so the list never outgrows the connections.
pub(crate) struct DueList {
    order: VecDeque<u32>,
    /// By connection index.
    is_listed: Vec<bool>,
}

/// Room from the start, so that a worker with few connections allocates nothing for this later.
const DUE_LEN: usize = 64;

impl DueList {
    pub(crate) fn new() -> DueList {
        DueList {
            order: VecDeque::with_capacity(DUE_LEN),
            is_listed: Vec::with_capacity(DUE_LEN),
        }
    }

    pub(crate) fn push(&mut self, index: u32) {
        let at = index as usize;
        if at >= self.is_listed.len() {
            self.is_listed.resize(at + 1, false);
        }
        if !std::mem::replace(&mut self.is_listed[at], true) {
            self.order.push_back(index);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<u32> {
        let index = self.order.pop_front()?;
        self.is_listed[index as usize] = false;
        Some(index)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

fn bucket(tick: Tick) -> usize {
    tick as usize % BUCKETS
}

#[cfg(test)]
mod tests;
