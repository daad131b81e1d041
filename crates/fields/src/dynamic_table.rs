//! The storage of a dynamic table (RFC 7541 §2.3.2, §4; RFC 9204 §3.2): first in, first out, over
//! one contiguous buffer.
//!
//! The buffer is filled from its start to its end. When the end is reached, what still lives is
//! moved to the start; evicting an entry moves nothing. A table holds as much memory as it has
//! needed, never more than its largest size, and 8 bytes an entry.
//!
//! The bytes of a known name are not stored, only its id.

use std::collections::VecDeque;

use crate::name::{KnownName, NameId};

/// What an entry counts beside its name and value (RFC 7541 §4.1).
pub(crate) const ENTRY_OVERHEAD_BYTES: usize = 32;

/// No table is larger, whatever is asked for: ranges of its entries are 16 bits wide. Sixteen times
/// HTTP/2's initial size.
pub(crate) const TABLE_BYTES_LIMIT: u32 = u16::MAX as u32;

/// The buffer's first size: a few entries of a client that sends little.
const BUFFER_BYTES_MIN: usize = 256;

/// A field line in the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry<'a> {
    /// The name's id.
    pub known: Option<KnownName>,
    /// The name.
    pub name: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// What was found out about the name when it was inserted; see
    /// [`DecodedField`](crate::hpack::DecodedField).
    pub is_name_valid: bool,
    /// The same about the value.
    pub is_value_valid: bool,
}

impl Entry<'_> {
    /// Its size (RFC 7541 §4.1).
    #[must_use]
    pub const fn size(&self) -> usize {
        self.name.len() + self.value.len() + ENTRY_OVERHEAD_BYTES
    }
}

/// A dynamic table.
#[derive(Debug, Default)]
pub struct DynamicTable {
    /// Unknown names and all values, in the order of `slots`; before the oldest slot's, garbage.
    bytes: Vec<u8>,
    slots: VecDeque<Slot>,
    size: usize,
    bytes_max: usize,
    insertions: u64,
}

/// INVARIANT (not relied on for memory safety, readers use checked ranges): name, if it is unknown,
/// and value stand in the buffer from `start` on. Their sum is smaller than [`TABLE_BYTES_LIMIT`]
/// because the entry's size is at most that.
#[derive(Clone, Copy, Debug)]
struct Slot {
    start: u16,
    name_len: u16,
    value_len: u16,
    id: NameId,
    validity: u8,
}

const _: () = assert!(size_of::<Slot>() == 8);

const NAME_VALID: u8 = 1;
const VALUE_VALID: u8 = 2;

fn validity(entry: &Entry<'_>) -> u8 {
    let name = if entry.is_name_valid { NAME_VALID } else { 0 };
    let value = if entry.is_value_valid { VALUE_VALID } else { 0 };
    name | value
}

impl Slot {
    /// How many bytes of its name are in the buffer.
    fn stored_name_len(self) -> usize {
        if self.id == NameId::UNKNOWN {
            usize::from(self.name_len)
        } else {
            0
        }
    }

    fn size(self) -> usize {
        usize::from(self.name_len) + usize::from(self.value_len) + ENTRY_OVERHEAD_BYTES
    }
}

impl DynamicTable {
    /// An empty table of at most `bytes_max`, and at most 65 535. Does not allocate.
    #[must_use]
    pub fn new(bytes_max: u32) -> Self {
        Self {
            bytes_max: bytes_max.min(TABLE_BYTES_LIMIT) as usize,
            ..Self::default()
        }
    }

    /// Its size (RFC 7541 §4.1).
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// What its size may become.
    #[inline]
    #[must_use]
    pub const fn bytes_max(&self) -> u32 {
        self.bytes_max as u32
    }

    /// Changes what its size may become; evicts what has no room (RFC 7541 §4.3).
    pub fn set_bytes_max(&mut self, bytes_max: u32) {
        self.bytes_max = bytes_max.min(TABLE_BYTES_LIMIT) as usize;
        self.evict_to(self.bytes_max);
        if self.bytes.capacity() > self.bytes_max {
            self.move_to_start();
            self.bytes.shrink_to(self.bytes_max);
        }
    }

    /// The number of entries.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many entries were ever inserted, those included that were too large to stay.
    #[inline]
    #[must_use]
    pub const fn insertions(&self) -> u64 {
        self.insertions
    }

    /// Memory held, used or not.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity() + self.slots.capacity() * size_of::<Slot>()
    }

    /// The entry before which `age` others were inserted last: 0 is the newest.
    #[inline]
    #[must_use]
    pub fn get(&self, age: usize) -> Option<Entry<'_>> {
        let at = self.slots.len().checked_sub(age)?.checked_sub(1)?;
        let slot = *self.slots.get(at)?;
        let known = slot.id.known();
        let value_start = usize::from(slot.start) + slot.stored_name_len();
        let name = match known {
            Some(known) => known.as_str().as_bytes(),
            None => self.bytes.get(usize::from(slot.start)..value_start)?,
        };
        let value_end = value_start + usize::from(slot.value_len);
        Some(Entry {
            known,
            name,
            value: self.bytes.get(value_start..value_end)?,
            is_name_valid: slot.validity & NAME_VALID != 0,
            is_value_valid: slot.validity & VALUE_VALID != 0,
        })
    }

    /// Inserts an entry and evicts what it displaces; one that is larger than the table empties it
    /// (RFC 7541 §4.4).
    pub fn insert(&mut self, entry: &Entry<'_>) {
        self.insertions += 1;
        let size = entry.size();
        let Some(others_max) = self.bytes_max.checked_sub(size) else {
            self.evict_to(0);
            return;
        };
        self.evict_to(others_max);
        let id = NameId::new(entry.known);
        let name = if id == NameId::UNKNOWN {
            entry.name
        } else {
            &[]
        };
        self.make_room(name.len() + entry.value.len());
        // The casts lose nothing: what is stored is smaller than the table, whose limit is 16 bits.
        let slot = Slot {
            start: self.bytes.len() as u16,
            name_len: entry.name.len() as u16,
            value_len: entry.value.len() as u16,
            id,
            validity: validity(entry),
        };
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(entry.value);
        self.slots.push_back(slot);
        self.size += size;
    }

    #[inline]
    fn evict_to(&mut self, size_max: usize) {
        while self.size > size_max
            && let Some(slot) = self.slots.pop_front()
        {
            self.size -= slot.size();
        }
    }

    /// Makes room for so many bytes at the buffer's end. They fit into the table.
    #[inline]
    fn make_room(&mut self, bytes: usize) {
        if self.bytes.len() + bytes > self.bytes.capacity().min(self.bytes_max) {
            self.move_and_grow(bytes);
        }
    }

    fn move_and_grow(&mut self, bytes: usize) {
        self.move_to_start();
        let needed = self.bytes.len() + bytes;
        // A buffer more than half full would be moved often.
        if needed * 2 > self.bytes.capacity() && self.bytes.capacity() < self.bytes_max {
            let target = (needed * 2).max(BUFFER_BYTES_MIN).min(self.bytes_max);
            self.bytes.reserve_exact(target - self.bytes.len());
        }
    }

    fn move_to_start(&mut self) {
        let Some(start) = self.slots.front().map(|slot| slot.start) else {
            self.bytes.clear();
            return;
        };
        if start > 0 {
            self.bytes.drain(..usize::from(start).min(self.bytes.len()));
            for slot in &mut self.slots {
                slot.start -= start;
            }
        }
    }
}

#[cfg(test)]
mod tests;
