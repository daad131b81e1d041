//! Which stream may send next (RFC 9218 §10).
//!
//! The most urgent streams go first. Among equals, those that are not incremental go one after the
//! other in the order of their identifiers, and incremental ones take turns; if there are both, the
//! two kinds take turns.
//!
//! Only streams that have content and a window are in here. Each of the two kinds of each urgency is
//! a doubly linked list through the nodes of the streams' slots, so nothing is allocated and every
//! step but an insertion out of order takes constant time.

use crate::priority::{Priority, URGENCY_MAX};

/// The streams that can send.
#[derive(Debug, Default)]
pub struct Scheduler {
    nodes: Vec<Node>,
    levels: [Level; URGENCY_MAX as usize + 1],
    /// A bit for each urgency that has streams.
    occupied: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Level {
    sequential: List,
    incremental: List,
    /// Whose turn it is if there are both.
    incremental_next: bool,
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    prev: u32,
    next: u32,
    stream: u64,
    /// `None` while the stream is in no list.
    place: Option<Priority>,
}

const NONE: u32 = u32::MAX;

impl Default for List {
    fn default() -> Self {
        Self {
            head: NONE,
            tail: NONE,
        }
    }
}

impl Scheduler {
    /// Whether no stream could send.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// Adds the stream of a slot; does nothing if it is there.
    #[inline]
    pub fn insert(&mut self, slot: u32, stream: u64, priority: Priority) {
        while self.nodes.len() <= slot as usize {
            self.nodes.push(Node {
                prev: NONE,
                next: NONE,
                stream: 0,
                place: None,
            });
        }
        if self.node(slot).place.is_some() {
            return;
        }
        let list = self.list(priority);
        // Streams mostly come in the order of their identifiers.
        let mut prev = list.tail;
        if !priority.incremental {
            while prev != NONE && self.node(prev).stream > stream {
                prev = self.node(prev).prev;
            }
        }
        let next = if prev == NONE {
            list.head
        } else {
            self.node(prev).next
        };
        *self.node_mut(slot) = Node {
            prev,
            next,
            stream,
            place: Some(priority),
        };
        self.link(priority, prev, slot);
        self.link_back(priority, next, slot);
        self.occupied |= 1 << priority.urgency;
    }

    /// Takes the stream of a slot out, if it is there.
    #[inline]
    pub fn remove(&mut self, slot: u32) {
        let Some(node) = self.nodes.get_mut(slot as usize) else {
            return;
        };
        let Some(priority) = node.place.take() else {
            return;
        };
        let (prev, next) = (node.prev, node.next);
        self.link(priority, prev, next);
        self.link_back(priority, next, prev);
        let level = self.level(priority);
        if level.sequential.head == NONE && level.incremental.head == NONE {
            self.occupied &= !(1 << priority.urgency);
        }
    }

    /// The slot of the stream that is to send next.
    #[inline]
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        let level = self.levels.get(self.occupied.trailing_zeros() as usize)?;
        let (sequential, incremental) = (level.sequential.head, level.incremental.head);
        let is_incremental = sequential == NONE || (level.incremental_next && incremental != NONE);
        Some(if is_incremental {
            incremental
        } else {
            sequential
        })
    }

    /// The stream of a slot has sent a frame: the turn passes on.
    #[inline]
    pub fn pass_on(&mut self, slot: u32) {
        let node = *self.node(slot);
        let Some(priority) = node.place else {
            return;
        };
        self.level_mut(priority).incremental_next = !priority.incremental;
        if priority.incremental && node.next != NONE {
            self.remove(slot);
            self.insert(slot, node.stream, priority);
        }
    }

    /// Whether the stream of a slot is in here.
    #[inline]
    #[must_use]
    pub fn contains(&self, slot: u32) -> bool {
        self.nodes
            .get(slot as usize)
            .is_some_and(|node| node.place.is_some())
    }

    /// Gives unused memory back.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            self.nodes = Vec::new();
        }
    }

    #[inline]
    fn link(&mut self, priority: Priority, prev: u32, next: u32) {
        if prev == NONE {
            self.list_mut(priority).head = next;
        } else {
            self.node_mut(prev).next = next;
        }
    }

    #[inline]
    fn link_back(&mut self, priority: Priority, next: u32, prev: u32) {
        if next == NONE {
            self.list_mut(priority).tail = prev;
        } else {
            self.node_mut(next).prev = prev;
        }
    }

    /// Slots come from the lists or were just made room for, so the index is good.
    #[inline]
    fn node(&self, slot: u32) -> &Node {
        &self.nodes[slot as usize]
    }

    #[inline]
    fn node_mut(&mut self, slot: u32) -> &mut Node {
        &mut self.nodes[slot as usize]
    }

    #[inline]
    fn level(&self, priority: Priority) -> &Level {
        &self.levels[usize::from(priority.urgency & URGENCY_MAX)]
    }

    #[inline]
    fn level_mut(&mut self, priority: Priority) -> &mut Level {
        &mut self.levels[usize::from(priority.urgency & URGENCY_MAX)]
    }

    #[inline]
    fn list(&self, priority: Priority) -> List {
        let level = self.level(priority);
        if priority.incremental {
            level.incremental
        } else {
            level.sequential
        }
    }

    #[inline]
    fn list_mut(&mut self, priority: Priority) -> &mut List {
        let level = self.level_mut(priority);
        if priority.incremental {
            &mut level.incremental
        } else {
            &mut level.sequential
        }
    }
}

#[cfg(test)]
mod tests;
