//! When which connection wants to be looked at: loss detection and pacing need milliseconds, where the
//! wheel of the other deadlines has ticks.
//!
//! A deadline that moves away, as most do with every packet, needs no work: the connection comes up when
//! the earlier one passes, and is filed again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Connections by deadline.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u32)>>,
}

impl Timers {
    /// Sees to it that a connection comes up not later than at `deadline`. `filed` is when it will, and
    /// belongs to the connection.
    #[inline]
    pub(super) fn file(
        &mut self,
        index: u32,
        filed: &mut Option<Instant>,
        deadline: Option<Instant>,
    ) {
        let Some(deadline) = deadline else {
            return;
        };
        if filed.is_some_and(|filed| filed <= deadline) {
            return;
        }
        *filed = Some(deadline);
        self.heap.push(Reverse((deadline, index)));
    }

    /// The next connection whose deadline has passed, with that deadline. It may be another connection's
    /// by now, or one that was filed earlier meanwhile.
    #[inline]
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, u32)> {
        match self.heap.peek() {
            Some(Reverse((deadline, _))) if *deadline <= now => {
                self.heap.pop().map(|Reverse(entry)| entry)
            }
            _ => None,
        }
    }

    /// When the next connection comes up.
    #[inline]
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((deadline, _))| *deadline)
    }
}
