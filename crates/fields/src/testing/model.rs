//! An encoder of QPACK that uses the dynamic table, as a client may (RFC 9204 §2.1). Written for
//! clarity; it keeps every rule of an encoder and panics if the peer's decoder stream breaks one.

use std::collections::VecDeque;

use super::Line;
use crate::{dynamic_table::ENTRY_OVERHEAD_BYTES, huffman, integer, qpack::static_table};

/// An encoder whose choices are made by the caller.
#[derive(Debug)]
pub struct ModelEncoder {
    table_bytes_max: u32,
    blocked_streams_max: u32,
    capacity: usize,
    /// The oldest first.
    entries: VecDeque<Line>,
    insert_count: u64,
    /// Insertions that the peer has told of (§2.1.4).
    known_received: u64,
    /// Sections that refer to entries and were not acknowledged, in their order.
    outstanding: Vec<Outstanding>,
    encoder_stream: Vec<u8>,
    /// The beginning of an instruction of the decoder stream.
    partial: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    stream: u64,
    required_insert_count: u64,
    lowest: u64,
}

/// A representation whose indices are absolute.
enum Representation {
    Static(u64),
    Dynamic(u64),
    StaticName(u64, Line),
    DynamicName(u64, Line),
    Literal(Line),
}

impl ModelEncoder {
    /// An encoder for a peer with these SETTINGS_QPACK_MAX_TABLE_CAPACITY and
    /// SETTINGS_QPACK_BLOCKED_STREAMS. The table's capacity is 0 at first.
    #[must_use]
    pub fn new(table_bytes_max: u32, blocked_streams_max: u32) -> Self {
        Self {
            table_bytes_max,
            blocked_streams_max,
            capacity: 0,
            entries: VecDeque::new(),
            insert_count: 0,
            known_received: 0,
            outstanding: Vec::new(),
            encoder_stream: Vec::new(),
            partial: Vec::new(),
        }
    }

    /// How many entries were inserted.
    #[must_use]
    pub const fn insert_count(&self) -> u64 {
        self.insert_count
    }

    /// The entries, the oldest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Line> {
        self.entries.iter()
    }

    /// Takes the bytes of the encoder stream that were written since the last call.
    pub fn take_encoder_stream(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.encoder_stream)
    }

    /// Changes the capacity, if no entry stands against it; says whether it did.
    pub fn set_capacity(&mut self, capacity: u32) -> bool {
        let capacity = capacity.min(self.table_bytes_max);
        let is_possible = self.evict_to(capacity as usize, u64::MAX);
        if is_possible {
            self.capacity = capacity as usize;
            integer::encode(u64::from(capacity), 0x20, 5, &mut self.encoder_stream);
        }
        is_possible
    }

    /// Encodes a section. `choose` gives a number for each decision: whether to insert, to refer, to
    /// compress; where Base is. Zeros choose references and insertions wherever they are allowed.
    pub fn encode(
        &mut self,
        stream: u64,
        lines: &[Line],
        mut choose: impl FnMut() -> u8,
    ) -> Vec<u8> {
        let count_before = self.insert_count;
        let mut section = Outstanding {
            stream,
            required_insert_count: 0,
            lowest: u64::MAX,
        };
        let mut representations = Vec::new();
        for line in lines {
            let representation = self.represent(line, &mut section, &mut choose);
            if let Representation::Dynamic(index) | Representation::DynamicName(index, _) =
                representation
            {
                section.required_insert_count = section.required_insert_count.max(index + 1);
                section.lowest = section.lowest.min(index);
            }
            representations.push(representation);
        }

        let required = section.required_insert_count;
        let entries_max = u64::from(self.table_bytes_max / 32);
        // Never further away than the table is long, which lsqpack does not bear.
        let base = match choose() % 4 {
            0 => required,
            1 => count_before,
            2 => required.saturating_sub(u64::from(choose()) % entries_max.max(1)),
            _ => required + u64::from(choose()) % (self.insert_count - required + 1),
        };
        let mut out = Vec::new();
        if required == 0 {
            out.push(0);
            integer::encode(base, 0, 7, &mut out);
        } else {
            let encoded = required % (2 * entries_max) + 1;
            integer::encode(encoded, 0, 8, &mut out);
            match base.checked_sub(required) {
                Some(delta) => integer::encode(delta, 0, 7, &mut out),
                None => integer::encode(required - base - 1, 0x80, 7, &mut out),
            }
            self.outstanding.push(section);
        }
        for representation in representations {
            write(&representation, base, &mut choose, &mut out);
        }
        out
    }

    fn represent(
        &mut self,
        line: &Line,
        section: &mut Outstanding,
        choose: &mut impl FnMut() -> u8,
    ) -> Representation {
        let entries = || (0..).map_while(static_table::get).zip(0_u64..);
        let static_name = entries()
            .find(|(entry, _)| entry.name.as_bytes() == line.name)
            .map(|(_, index)| index);
        if !line.never_indexed {
            let same = |entry: &static_table::StaticEntry| {
                entry.name.as_bytes() == line.name && entry.value == line.value
            };
            let exact = entries().find(|(entry, _)| same(entry));
            if let Some((_, index)) = exact
                && !choose().is_multiple_of(4)
            {
                return Representation::Static(index);
            }
            let choice = choose() % 8;
            if let Some(index) = self.find(|entry| entry == line) {
                if choice == 7 {
                    self.duplicate(index, section.lowest);
                } else if choice != 6 && self.may_refer(index, section) {
                    return Representation::Dynamic(index);
                }
            } else if choice < 6 && self.insert(line, static_name, section.lowest, choose) {
                let index = self.insert_count - 1;
                if choice < 5 && self.may_refer(index, section) {
                    return Representation::Dynamic(index);
                }
            }
        }
        let dynamic_name = self
            .find(|entry| entry.name == line.name)
            .filter(|&index| self.may_refer(index, section));
        match (dynamic_name, static_name, choose() % 4) {
            (Some(index), _, 0 | 1) => Representation::DynamicName(index, line.clone()),
            (_, Some(index), 0 | 2) => Representation::StaticName(index, line.clone()),
            _ => Representation::Literal(line.clone()),
        }
    }

    /// The absolute index of the newest entry like that.
    fn find(&self, is_wanted: impl Fn(&Line) -> bool) -> Option<u64> {
        let at = self.entries.iter().rposition(is_wanted)?;
        Some(self.oldest() + at as u64)
    }

    /// The absolute index of the oldest entry.
    fn oldest(&self) -> u64 {
        self.insert_count - self.entries.len() as u64
    }

    /// Whether a section may refer to an entry: it may block its stream only if not too many are
    /// (§2.1.2).
    fn may_refer(&self, index: u64, section: &Outstanding) -> bool {
        if index < self.known_received {
            return true;
        }
        let mut blocked: Vec<u64> = self
            .outstanding
            .iter()
            .filter(|it| it.required_insert_count > self.known_received)
            .map(|it| it.stream)
            .collect();
        blocked.sort_unstable();
        blocked.dedup();
        blocked.contains(&section.stream) || blocked.len() < self.blocked_streams_max as usize
    }

    /// Makes room if the entries that are in its way may be evicted: none may that a section refers
    /// to, or whose insertion was not acknowledged (§2.1.1).
    fn evict_to(&mut self, size_max: usize, lowest: u64) -> bool {
        let referred = self.outstanding.iter().map(|it| it.lowest).min();
        let kept = lowest
            .min(self.known_received)
            .min(referred.unwrap_or(u64::MAX));
        let mut size: usize = self.entries.iter().map(size_of_line).sum();
        let mut count = 0;
        for entry in &self.entries {
            if size <= size_max {
                break;
            }
            if self.oldest() + count >= kept {
                return false;
            }
            size -= size_of_line(entry);
            count += 1;
        }
        for _ in 0..count {
            self.entries.pop_front();
        }
        true
    }

    fn insert(
        &mut self,
        line: &Line,
        static_name: Option<u64>,
        lowest: u64,
        choose: &mut impl FnMut() -> u8,
    ) -> bool {
        let Some(others_max) = self.capacity.checked_sub(size_of_line(line)) else {
            return false;
        };
        // The name's entry may be one that is evicted, so it is looked for before.
        let dynamic_name = self
            .find(|entry| entry.name == line.name)
            .map(|index| self.insert_count - 1 - index);
        if !self.evict_to(others_max, lowest) {
            return false;
        }
        let out = &mut self.encoder_stream;
        match (dynamic_name, static_name, choose() % 4) {
            (Some(age), _, 0 | 1) => integer::encode(age, 0x80, 6, out),
            (_, Some(index), 0 | 2) => integer::encode(index, 0xc0, 6, out),
            _ => string(&line.name, 0x40, 5, choose(), out),
        }
        string(&line.value, 0, 7, choose(), out);
        self.entries.push_back(line.clone());
        self.insert_count += 1;
        true
    }

    fn duplicate(&mut self, index: u64, lowest: u64) {
        let age = self.insert_count - 1 - index;
        let line = self.entries[self.entries.len() - 1 - age as usize].clone();
        let others_max = self.capacity - size_of_line(&line);
        if self.evict_to(others_max, lowest) {
            integer::encode(age, 0, 5, &mut self.encoder_stream);
            self.entries.push_back(line);
            self.insert_count += 1;
        }
    }

    /// Takes bytes of the peer's decoder stream, in any pieces.
    ///
    /// # Panics
    /// They break a rule.
    pub fn receive_decoder_stream(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        while let Some(&first) = self.partial.first() {
            let prefix_bits = if first & 0x80 != 0 { 7 } else { 6 };
            let Ok((value, rest)) = integer::decode(&self.partial, prefix_bits) else {
                return;
            };
            let len = self.partial.len() - rest.len();
            self.partial.drain(..len);
            match first >> 6 {
                0 => {
                    assert!(value > 0, "an increment of 0");
                    self.known_received += value;
                }
                1 => self.outstanding.retain(|it| it.stream != value),
                _ => {
                    let at = self.outstanding.iter().position(|it| it.stream == value);
                    let section = self.outstanding.remove(at.expect("an outstanding section"));
                    self.known_received = self.known_received.max(section.required_insert_count);
                }
            }
            assert!(self.known_received <= self.insert_count);
        }
    }
}

fn size_of_line(line: &Line) -> usize {
    line.name.len() + line.value.len() + ENTRY_OVERHEAD_BYTES
}

fn write(
    representation: &Representation,
    base: u64,
    choose: &mut impl FnMut() -> u8,
    out: &mut Vec<u8>,
) {
    let never = |line: &Line, bit: u8| if line.never_indexed { bit } else { 0 };
    let line = match representation {
        Representation::Static(index) => return integer::encode(*index, 0xc0, 6, out),
        Representation::Dynamic(index) => {
            return match base.checked_sub(index + 1) {
                Some(relative) => integer::encode(relative, 0x80, 6, out),
                None => integer::encode(index - base, 0x10, 4, out),
            };
        }
        Representation::StaticName(index, line) => {
            integer::encode(*index, 0x50 | never(line, 0x20), 4, out);
            line
        }
        Representation::DynamicName(index, line) => {
            match base.checked_sub(index + 1) {
                Some(relative) => integer::encode(relative, 0x40 | never(line, 0x20), 4, out),
                None => integer::encode(index - base, never(line, 0x08), 3, out),
            }
            line
        }
        Representation::Literal(line) => {
            string(&line.name, 0x20 | never(line, 0x10), 3, choose(), out);
            line
        }
    };
    string(&line.value, 0, 7, choose(), out);
}

fn string(text: &[u8], first: u8, prefix_bits: u32, choice: u8, out: &mut Vec<u8>) {
    if choice.is_multiple_of(2) {
        integer::encode(text.len() as u64, first, prefix_bits, out);
        out.extend_from_slice(text);
    } else {
        let len = huffman::encoded_len(text) as u64;
        integer::encode(len, first | 1 << prefix_bits, prefix_bits, out);
        huffman::encode(text, out);
    }
}
