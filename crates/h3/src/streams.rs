//! The requests of a connection: a slab, an index, and a memory of those that are over.

use std::collections::VecDeque;

use crate::stream::Stream;

/// Names a request's stream in commands and events.
///
/// It leads to the stream without a search. A key of a stream that is over leads nowhere, and never to
/// another stream: numbers are not used again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StreamKey {
    id: u64,
    slot: u32,
}

impl StreamKey {
    /// The stream's number (RFC 9000 §2.1).
    #[inline]
    #[must_use]
    pub const fn id(self) -> u64 {
        self.id
    }

    /// A small number that no other request of the connection has as long as this one lives: a place in a
    /// table of the caller. It is smaller than the largest number of requests there ever were at once.
    #[inline]
    #[must_use]
    pub const fn slot(self) -> usize {
        self.slot as usize
    }
}

#[derive(Debug, Default)]
pub(crate) struct Streams {
    slots: Vec<Option<Stream>>,
    free: Vec<u32>,
    /// The slots in the order of the streams' numbers. They mostly come in that order.
    index: VecDeque<(u64, u32)>,
    past: Past,
}

impl Streams {
    /// The number of streams, those that were reset and are not done included.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Adds a stream.
    #[inline]
    pub(crate) fn insert(&mut self, stream: Stream) -> StreamKey {
        let id = stream.id;
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = Some(stream);
                }
                slot
            }
            None => {
                self.slots.push(Some(stream));
                self.slots.len() as u32 - 1
            }
        };
        match self.index.back() {
            Some((last, _)) if *last > id => {
                let at = self.index.partition_point(|(known, _)| *known < id);
                self.index.insert(at, (id, slot));
            }
            _ => self.index.push_back((id, slot)),
        }
        StreamKey { id, slot }
    }

    /// Removes a stream.
    #[inline]
    pub(crate) fn remove(&mut self, key: StreamKey) {
        if self.get(key).is_none() {
            return;
        }
        if let Some(place) = self.slots.get_mut(key.slot as usize) {
            *place = None;
        }
        self.free.push(key.slot);
        if let Ok(at) = self.place(key.id) {
            self.index.remove(at);
        }
        self.past.add(key.id);
    }

    #[inline]
    pub(crate) fn get(&self, key: StreamKey) -> Option<&Stream> {
        let stream = self.slots.get(key.slot as usize)?.as_ref()?;
        (stream.id == key.id).then_some(stream)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        let stream = self.slots.get_mut(key.slot as usize)?.as_mut()?;
        (stream.id == key.id).then_some(stream)
    }

    /// The key of the stream in a slot.
    #[inline]
    pub(crate) fn key_of_slot(&self, slot: u32) -> Option<StreamKey> {
        let id = self.slots.get(slot as usize)?.as_ref()?.id;
        Some(StreamKey { id, slot })
    }

    /// Finds a stream by its number.
    #[inline]
    pub(crate) fn find(&self, id: u64) -> Option<StreamKey> {
        let at = self.place(id).ok()?;
        let &(id, slot) = self.index.get(at)?;
        Some(StreamKey { id, slot })
    }

    /// All streams in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (StreamKey, &Stream)> {
        self.index.iter().filter_map(|&(id, slot)| {
            let key = StreamKey { id, slot };
            Some((key, self.get(key)?))
        })
    }

    /// Whether a stream is over.
    #[inline]
    pub(crate) fn is_over(&self, id: u64) -> bool {
        self.past.contains(id)
    }

    /// A stream is over that never was here.
    pub(crate) fn forget(&mut self, id: u64) {
        self.past.add(id);
    }

    /// Gives unused memory back.
    pub(crate) fn shrink(&mut self) {
        if self.index.is_empty() {
            (self.slots, self.free, self.index) = (Vec::new(), Vec::new(), VecDeque::new());
            self.past.above.shrink_to_fit();
        }
    }

    #[inline]
    fn place(&self, id: u64) -> Result<usize, usize> {
        self.index.binary_search_by_key(&id, |&(known, _)| known)
    }
}

/// The streams that are over: all below one number, and some above it.
#[derive(Debug, Default)]
struct Past {
    below: u64,
    /// In ascending order.
    above: Vec<u64>,
}

/// Numbers of a client's bidirectional streams are this far apart (RFC 9000 §2.1).
const STEP: u64 = 4;

/// Streams that are over while older ones are not: no more than the transport lets be open at once, in
/// practice. Of older ones beyond that it is forgotten that they are not.
const ABOVE_MAX: usize = 1024;

impl Past {
    #[inline]
    fn add(&mut self, id: u64) {
        if id == self.below {
            self.below += STEP;
            if !self.above.is_empty() {
                self.catch_up();
            }
        } else if id > self.below
            && let Err(at) = self.above.binary_search(&id)
        {
            self.above.insert(at, id);
            if self.above.len() > ABOVE_MAX {
                self.below = self.above.remove(0) + STEP;
                self.catch_up();
            }
        }
    }

    fn catch_up(&mut self) {
        let mut count = 0;
        while self.above.get(count) == Some(&self.below) {
            self.below += STEP;
            count += 1;
        }
        self.above.drain(..count);
    }

    #[inline]
    fn contains(&self, id: u64) -> bool {
        id < self.below || (!self.above.is_empty() && self.above.binary_search(&id).is_ok())
    }
}

#[cfg(test)]
mod tests;
