//! The streams of a connection: a slab, an index, and a memory of those that are over.

use std::collections::VecDeque;

use crate::stream::{Receive, Send, Stream};

/// Names a stream in commands and events.
///
/// It leads to the stream without a search. A key of a stream that is over leads nowhere, and never
/// to another stream: identifiers are not used again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StreamKey {
    id: u32,
    slot: u32,
}

impl StreamKey {
    /// The stream identifier (RFC 9113 §5.1.1).
    #[inline]
    #[must_use]
    pub const fn id(self) -> u32 {
        self.id
    }

    /// A small number that no other stream of the connection has as long as this one lives: a place
    /// in a table of the caller. It is smaller than the largest number of streams there ever were at
    /// once.
    #[inline]
    #[must_use]
    pub const fn slot(self) -> usize {
        self.slot as usize
    }
}

#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// A free slot has the identifier 0, which no stream has.
    slots: Vec<Stream>,
    free: Vec<u32>,
    /// The slots in the order of the streams' identifiers. They are opened in that order, so entries
    /// are added at the end, and mostly end at the beginning.
    index: VecDeque<(u32, u32)>,
    past: Past,
}

impl Streams {
    /// The number of streams, those that were reset and are not done included.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Adds a stream, whose identifier is larger than all before.
    #[inline]
    pub(crate) fn insert(&mut self, stream: Stream) -> StreamKey {
        let id = stream.id;
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = stream;
                }
                slot
            }
            None => {
                self.slots.push(stream);
                self.slots.len() as u32 - 1
            }
        };
        self.index.push_back((id, slot));
        StreamKey { id, slot }
    }

    /// Removes a stream.
    #[inline]
    pub(crate) fn remove(&mut self, key: StreamKey) {
        let Some(stream) = self.get_mut(key) else {
            return;
        };
        stream.id = 0;
        self.free.push(key.slot);
        if let Ok(at) = self.place(key.id) {
            self.index.remove(at);
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: StreamKey) -> Option<&Stream> {
        let stream = self.slots.get(key.slot as usize)?;
        (stream.id == key.id).then_some(stream)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        let stream = self.slots.get_mut(key.slot as usize)?;
        (stream.id == key.id).then_some(stream)
    }

    /// The key of the stream in a slot.
    #[inline]
    pub(crate) fn key_of_slot(&self, slot: u32) -> Option<StreamKey> {
        let id = self.slots.get(slot as usize)?.id;
        (id != 0).then_some(StreamKey { id, slot })
    }

    /// Finds a stream by its identifier.
    #[inline]
    pub(crate) fn find(&self, id: u32) -> Option<StreamKey> {
        let at = self.place(id).ok()?;
        let &(id, slot) = self.index.get(at)?;
        Some(StreamKey { id, slot })
    }

    /// All streams in the order of their identifiers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (StreamKey, &Stream)> {
        self.index.iter().filter_map(|&(id, slot)| {
            let key = StreamKey { id, slot };
            Some((key, self.get(key)?))
        })
    }

    /// Ends both halves and keeps the stream until the application is done with it.
    pub(crate) fn mark_reset(&mut self, key: StreamKey, by: Ending) {
        if let Some(stream) = self.get_mut(key) {
            (stream.receive, stream.send) = (Receive::Reset, Send::Reset);
            stream.ready = 0;
            stream.blocked_since = None;
            self.past.add(key.id, by);
        }
    }

    /// Remembers how a stream ended.
    #[inline]
    pub(crate) fn remember(&mut self, id: u32, ending: Ending) {
        self.past.add(id, ending);
    }

    /// How a stream ended that is no longer here, if that is still known.
    pub(crate) fn ending_of(&self, id: u32) -> Option<Ending> {
        self.past.find(id)
    }

    /// Gives unused memory back.
    pub(crate) fn shrink(&mut self) {
        if self.index.is_empty() {
            (self.slots, self.free, self.index) = (Vec::new(), Vec::new(), VecDeque::new());
        }
    }

    #[inline]
    fn place(&self, id: u32) -> Result<usize, usize> {
        self.index.binary_search_by_key(&id, |&(known, _)| known)
    }
}

/// How a stream ended: what comes for it afterwards is judged by that (RFC 9113 §5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// Both sides sent END_STREAM.
    Complete,
    /// The peer reset it: nothing may follow.
    ResetByPeer,
    /// We reset it: frames may be under way.
    ResetByUs,
}

/// The streams that ended last, in two rings: many requests that end as they should must not make us
/// forget what we have reset.
#[derive(Debug, Default)]
struct Past {
    reset_by_us: Ring,
    others: Ring,
}

/// As many as may be under way at once by default, rounded up a little. Of what ended longer ago is
/// known only that it did.
const REMEMBERED: usize = 64;

#[derive(Debug, Default)]
struct Ring {
    /// Identifiers. The lowest bit, which is 1 in all of them, is 0 for streams that are complete.
    entries: Vec<u32>,
    next: usize,
}

impl Past {
    #[inline]
    fn add(&mut self, id: u32, ending: Ending) {
        match ending {
            Ending::ResetByUs => self.reset_by_us.add(id),
            Ending::ResetByPeer => self.others.add(id),
            // Client streams are odd: the lowest bit is free.
            Ending::Complete => self.others.add(id & !1),
        }
    }

    fn find(&self, id: u32) -> Option<Ending> {
        if self.reset_by_us.entries.contains(&id) {
            Some(Ending::ResetByUs)
        } else if self.others.entries.contains(&id) {
            Some(Ending::ResetByPeer)
        } else if self.others.entries.contains(&(id & !1)) {
            Some(Ending::Complete)
        } else {
            None
        }
    }
}

impl Ring {
    #[inline]
    fn add(&mut self, entry: u32) {
        if self.entries.len() < REMEMBERED {
            self.entries.push(entry);
        } else if let Some(place) = self.entries.get_mut(self.next) {
            *place = entry;
            self.next = (self.next + 1) % REMEMBERED;
        }
    }
}

#[cfg(test)]
mod tests;
