//! The decoder of field sections.
//!
//! Entries have absolute indices, counted from the first insertion (§3.2.4). A section of a stream is
//!
//! | Required Insert Count | what happens |
//! |---|---|
//! | 0 | decoded; it refers to no dynamic entry |
//! | at most what was inserted | decoded and acknowledged (§4.4.1) |
//! | more | blocked until the encoder stream has brought the insertions (§2.1.2) |
//!
//! A Required Insert Count larger than the section needs is accepted (§2.2.1 leaves that open): it
//! only costs its sender a wait. One that is smaller shows in an entry that it does not cover.

use super::{
    QpackError,
    instruction::{self, Extent},
    pattern, static_table,
};
use crate::{
    dynamic_table::{DynamicTable, ENTRY_OVERHEAD_BYTES, Entry, TABLE_BYTES_LIMIT},
    field_line::{DecodedField, FieldSink, Gate, Scratch, is_lower_token},
    integer,
    literal::{self, LiteralError, Text},
    name::KnownName,
};

/// The decoder of a connection's field sections.
///
/// After an error it must not be used again: all errors end the connection. Its memory is bounded by
/// the table's largest size: the table, four times that for an instruction that has not come whole,
/// twice that for strings; beside it, 16 bytes a stream that may be blocked, and 16 KiB for the
/// decoder stream.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// What our SETTINGS say.
    table_bytes_max: u32,
    blocked_streams_max: u32,
    lines_max: u32,
    /// The beginning of an instruction of the encoder stream.
    partial: Vec<u8>,
    /// How long `partial` must be before it is worth a look.
    partial_needed: usize,
    /// For the strings of the encoder stream.
    scratch: Scratch,
    /// Streams whose section waits. Those whose insertions have come leave when there is need.
    blocked: Vec<Blocked>,
    /// Acknowledgments and cancellations that have yet to be sent.
    pending: Vec<u8>,
    is_stalled: bool,
    /// Insertions that the peer knows, or will from `pending`, that we have (§2.1.4).
    acknowledged: u64,
}

#[derive(Clone, Copy, Debug)]
struct Blocked {
    stream: u64,
    required_insert_count: u64,
}

/// What became of a field section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decoded {
    /// All of its lines were given to the sink.
    Done,
    /// None were, for insertions are missing: it is to be decoded again when
    /// [`is_ready`](Decoder::is_ready).
    Blocked {
        /// How many insertions it needs.
        required_insert_count: u64,
    },
}

/// What may be pending for the decoder stream before the peer is taken for one that does not read
/// it: some thousand instructions, each of which had a request of its own.
const PENDING_BYTES_MAX: usize = 16 * 1024;

impl Decoder {
    /// A decoder for a peer to which our SETTINGS announce a
    /// [capacity](Self::table_bytes_max) (SETTINGS_QPACK_MAX_TABLE_CAPACITY) of `table_bytes_max`,
    /// 65 535 at most, and SETTINGS_QPACK_BLOCKED_STREAMS of `blocked_streams_max`. Does not
    /// allocate.
    #[must_use]
    pub fn new(table_bytes_max: u32, blocked_streams_max: u32) -> Self {
        Self {
            // The capacity is 0 until the peer's encoder sets it (§3.2.3).
            table: DynamicTable::new(0),
            table_bytes_max: table_bytes_max.min(TABLE_BYTES_LIMIT),
            blocked_streams_max,
            lines_max: u32::MAX,
            partial: Vec::new(),
            partial_needed: 0,
            scratch: Scratch::new(),
            blocked: Vec::new(),
            pending: Vec::new(),
            is_stalled: false,
            acknowledged: 0,
        }
    }

    /// From now on a section of more lines is an error, and its work ends there whatever the sink
    /// says. A reference to a table takes one byte, so a section can have as many lines as bytes. At
    /// first there is no bound.
    pub const fn set_lines_max(&mut self, lines_max: u32) {
        self.lines_max = lines_max;
    }

    /// What SETTINGS_QPACK_MAX_TABLE_CAPACITY must say: what was asked for, but 65 535 at most.
    #[must_use]
    pub const fn table_bytes_max(&self) -> u32 {
        self.table_bytes_max
    }

    /// The dynamic table.
    #[must_use]
    pub const fn table(&self) -> &DynamicTable {
        &self.table
    }

    /// How many entries were inserted so far (§3.2.4).
    #[inline]
    #[must_use]
    pub const fn insert_count(&self) -> u64 {
        self.table.insertions()
    }

    /// Whether a section that was [blocked](Decoded::Blocked) can be decoded.
    #[inline]
    #[must_use]
    pub const fn is_ready(&self, required_insert_count: u64) -> bool {
        required_insert_count <= self.insert_count()
    }

    /// How many streams are blocked.
    #[must_use]
    pub fn blocked_streams(&self) -> usize {
        let is_blocked = |blocked: &&Blocked| !self.is_ready(blocked.required_insert_count);
        self.blocked.iter().filter(is_blocked).count()
    }

    /// Memory held, used or not.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.table.capacity_bytes()
            + self.partial.capacity()
            + self.scratch.capacity_bytes()
            + self.blocked.capacity() * size_of::<Blocked>()
            + self.pending.capacity()
    }

    /// Takes bytes of the peer's encoder stream (§4.3), in pieces of any size. What instructions can
    /// cost is a copy of an entry each: a Duplicate is one byte long.
    ///
    /// # Errors
    /// An instruction breaks a rule.
    pub fn receive_encoder_stream(&mut self, bytes: &[u8]) -> Result<(), QpackError> {
        let mut rest = bytes;
        while !self.partial.is_empty() {
            let missing = self.partial_needed.saturating_sub(self.partial.len());
            let (piece, after) = rest.split_at(missing.min(rest.len()));
            self.partial.extend_from_slice(piece);
            rest = after;
            if self.partial.len() < self.partial_needed {
                return Ok(());
            }
            match instruction::measure(&self.partial, self.capacity())? {
                Extent::AtLeast(needed) => self.wait_for(needed),
                Extent::Whole(_) => {
                    let mut partial = std::mem::take(&mut self.partial);
                    let result = self.instruction(&partial);
                    partial.clear();
                    partial.shrink_to(PARTIAL_BYTES_KEPT);
                    self.partial = partial;
                    result?;
                }
            }
        }
        loop {
            match instruction::measure(rest, self.capacity())? {
                Extent::Whole(len) => {
                    let (whole, after) = rest.split_at(len);
                    self.instruction(whole)?;
                    rest = after;
                }
                Extent::AtLeast(needed) => {
                    self.partial.extend_from_slice(rest);
                    self.wait_for(needed);
                    return Ok(());
                }
            }
        }
    }

    /// The instruction in `partial` needs so many bytes, or more.
    fn wait_for(&mut self, needed: usize) {
        self.partial_needed = needed;
        if !self.partial.is_empty() {
            self.partial
                .reserve_exact(needed.saturating_sub(self.partial.len()));
        }
    }

    fn capacity(&self) -> usize {
        self.table.bytes_max() as usize
    }

    /// Carries out one instruction, which is whole.
    fn instruction(&mut self, input: &[u8]) -> Result<(), QpackError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let result = self.instruction_with(input, &mut scratch.0);
        if scratch.capacity_bytes() > self.capacity() * 2 {
            scratch.shrink_to(self.capacity() * 2);
        }
        self.scratch = scratch;
        result
    }

    #[inline]
    fn instruction_with(&mut self, input: &[u8], scratch: &mut Vec<u8>) -> Result<(), QpackError> {
        let first = input.first().copied().unwrap_or_default();
        if first & pattern::INSERT_NAMED != 0 {
            let (index, rest) = instruction_integer(input, pattern::INSERT_NAMED_PREFIX)?;
            let (known, name_len, is_name_valid) = if first & pattern::INSERT_NAMED_STATIC != 0 {
                let entry =
                    static_table::get(index).ok_or(QpackError::InsertStaticIndexOutOfRange)?;
                let name = if entry.known.is_none() {
                    entry.name
                } else {
                    ""
                };
                copy(name.as_bytes(), scratch, 0);
                (entry.known, name.len(), true)
            } else {
                // The name is copied, because its entry may be evicted (§3.2.2).
                let entry = self.newest(index)?;
                let name = if entry.known.is_none() {
                    entry.name
                } else {
                    &[]
                };
                copy(name, scratch, 0);
                (entry.known, name.len(), entry.is_name_valid)
            };
            let (value, _) = instruction_string(rest, pattern::STRING_PREFIX, scratch, name_len)?;
            let name = match known {
                Some(known) => known.as_str().as_bytes(),
                None => scratch.get(..name_len).unwrap_or_default(),
            };
            let entry = Entry {
                known,
                name,
                value: value.bytes(scratch),
                is_name_valid,
                is_value_valid: value.is_field_value(),
            };
            return insert(&mut self.table, &entry);
        }
        if first & pattern::INSERT_LITERAL != 0 {
            let (name, rest) =
                instruction_string(input, pattern::INSERT_LITERAL_PREFIX, scratch, 0)?;
            let value_start = name.scratch_end();
            let (value, _) =
                instruction_string(rest, pattern::STRING_PREFIX, scratch, value_start)?;
            let name = name.bytes(scratch);
            let known = KnownName::from_name(name);
            let entry = Entry {
                known,
                name,
                value: value.bytes(scratch),
                is_name_valid: known.is_some() || is_lower_token(name),
                is_value_valid: value.is_field_value(),
            };
            return insert(&mut self.table, &entry);
        }
        if first & pattern::CAPACITY != 0 {
            let (capacity, _) = instruction_integer(input, pattern::CAPACITY_PREFIX)?;
            return match u32::try_from(capacity) {
                Ok(capacity) if capacity <= self.table_bytes_max => {
                    self.table.set_bytes_max(capacity);
                    Ok(())
                }
                _ => Err(QpackError::CapacityTooLarge),
            };
        }
        let (index, _) = instruction_integer(input, pattern::DUPLICATE_PREFIX)?;
        self.duplicate(index, scratch)
    }

    /// Inserts an entry once more (§4.3.4).
    fn duplicate(&mut self, index: u64, scratch: &mut Vec<u8>) -> Result<(), QpackError> {
        let entry = self.newest(index)?;
        // Copied, because it may be evicted by itself.
        let (known, name_len) = (entry.known, entry.name.len());
        let (is_name_valid, is_value_valid) = (entry.is_name_valid, entry.is_value_valid);
        let end = name_len + entry.value.len();
        copy(entry.name, scratch, 0);
        copy(entry.value, scratch, name_len);
        let entry = Entry {
            known,
            name: scratch.get(..name_len).unwrap_or_default(),
            value: scratch.get(name_len..end).unwrap_or_default(),
            is_name_valid,
            is_value_valid,
        };
        insert(&mut self.table, &entry)
    }

    /// The entry before which `index` others were inserted last: relative indices of the encoder
    /// stream (§3.2.5).
    fn newest(&self, index: u64) -> Result<Entry<'_>, QpackError> {
        usize::try_from(index)
            .ok()
            .and_then(|age| self.table.get(age))
            .ok_or(QpackError::InsertEntryMissing)
    }

    /// Decodes a whole encoded field section of a stream, and gives its lines to `sink`. If it is
    /// blocked, nothing was given and it counts as blocked until its insertions have come or the
    /// stream is [cancelled](Self::cancel).
    ///
    /// # Errors
    /// The section breaks a rule; lines before that place were given to the sink.
    #[inline]
    pub fn decode(
        &mut self,
        scratch: &mut Scratch,
        stream: u64,
        section: &[u8],
        sink: &mut impl FieldSink,
    ) -> Result<Decoded, QpackError> {
        let (prefix, lines) = self.prefix(section)?;
        let required_insert_count = prefix.required_insert_count;
        if !self.is_ready(required_insert_count) {
            self.block(stream, required_insert_count)?;
            return Ok(Decoded::Blocked {
                required_insert_count,
            });
        }
        let lines_of_section = Lines {
            table: &self.table,
            prefix,
        };
        lines_of_section.decode(lines, self.lines_max, &mut scratch.0, &mut Gate::new(sink))?;
        if required_insert_count > 0 {
            self.acknowledge(stream, required_insert_count)?;
        }
        Ok(Decoded::Done)
    }

    /// The prefix of a section (§4.5.1).
    #[inline]
    fn prefix<'a>(&self, section: &'a [u8]) -> Result<(Prefix, &'a [u8]), QpackError> {
        let (encoded, rest) = section_integer(section, pattern::INSERT_COUNT_PREFIX)?;
        let is_negative = rest
            .first()
            .is_some_and(|first| first & pattern::BASE_SIGN != 0);
        let (delta, rest) = section_integer(rest, pattern::BASE_PREFIX)?;
        let required_insert_count = if encoded == 0 {
            0
        } else {
            self.required_insert_count(encoded)?
        };
        // Neither overflows: both have 62 bits, insertions by far fewer.
        let base = if is_negative {
            required_insert_count
                .checked_sub(delta + 1)
                .ok_or(QpackError::BaseNegative)?
        } else {
            required_insert_count + delta
        };
        let prefix = Prefix {
            required_insert_count,
            base,
        };
        Ok((prefix, rest))
    }

    /// Required Insert Count from its remainder, which is not 0 (§4.5.1.1): the one nearest to what
    /// was inserted.
    fn required_insert_count(&self, encoded: u64) -> Result<u64, QpackError> {
        let entries_max = u64::from(self.table_bytes_max) / ENTRY_OVERHEAD_BYTES as u64;
        let full_range = 2 * entries_max;
        if encoded > full_range {
            return Err(QpackError::InsertCountInvalid);
        }
        let value_max = self.insert_count() + entries_max;
        // Not 0, for `encoded` is not, and not larger.
        let wrapped_max = value_max / full_range * full_range;
        let mut count = wrapped_max + encoded - 1;
        if count > value_max {
            if count <= full_range {
                return Err(QpackError::InsertCountInvalid);
            }
            count -= full_range;
        }
        if count == 0 {
            return Err(QpackError::InsertCountInvalid);
        }
        Ok(count)
    }

    /// A stream waits (§2.1.2).
    fn block(&mut self, stream: u64, required_insert_count: u64) -> Result<(), QpackError> {
        let insert_count = self.insert_count();
        self.blocked
            .retain(|it| it.stream != stream && it.required_insert_count > insert_count);
        if self.blocked.len() >= self.blocked_streams_max as usize {
            return Err(QpackError::BlockedStreamsTooMany);
        }
        self.blocked.push(Blocked {
            stream,
            required_insert_count,
        });
        Ok(())
    }

    fn acknowledge(&mut self, stream: u64, required_insert_count: u64) -> Result<(), QpackError> {
        integer::encode(
            stream,
            pattern::ACKNOWLEDGMENT,
            pattern::ACKNOWLEDGMENT_PREFIX,
            &mut self.pending,
        );
        // The peer concludes that all these insertions have come (§2.1.4).
        self.acknowledged = self.acknowledged.max(required_insert_count);
        if self.is_stalled || self.pending.len() > PENDING_BYTES_MAX {
            return Err(QpackError::DecoderStreamStalled);
        }
        Ok(())
    }

    /// A stream was reset or will not be read to its end (§2.2.2.2): it is not blocked any more, and
    /// the peer's encoder is told, unless it can have no dynamic table.
    pub fn cancel(&mut self, stream: u64) {
        if self.table_bytes_max == 0 {
            return;
        }
        self.blocked.retain(|blocked| blocked.stream != stream);
        if self.pending.len() > PENDING_BYTES_MAX {
            // The next acknowledgment says so: it cannot be said here.
            self.is_stalled = true;
            return;
        }
        integer::encode(
            stream,
            pattern::CANCELLATION,
            pattern::CANCELLATION_PREFIX,
            &mut self.pending,
        );
    }

    /// Whether [`write_decoder_stream`](Self::write_decoder_stream) has anything to write.
    #[inline]
    #[must_use]
    pub const fn has_pending(&self) -> bool {
        !self.pending.is_empty() || self.acknowledged < self.insert_count()
    }

    /// Appends what our decoder stream has to say (§4.4): acknowledgments, cancellations, and one
    /// Insert Count Increment for all insertions that no acknowledgment told of.
    ///
    /// To be called as long as the stream takes bytes. What is not fetched adds up to 16 KiB; a peer
    /// that makes us say more without reading breaks [`QpackError::DecoderStreamStalled`].
    pub fn write_decoder_stream(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pending);
        self.pending.clear();
        let increment = self.insert_count() - self.acknowledged;
        if increment > 0 {
            integer::encode(
                increment,
                pattern::INCREMENT,
                pattern::INCREMENT_PREFIX,
                out,
            );
            self.acknowledged = self.insert_count();
        }
    }
}

/// What is kept of the memory of an instruction that came in pieces.
const PARTIAL_BYTES_KEPT: usize = 256;

#[derive(Clone, Copy)]
struct Prefix {
    required_insert_count: u64,
    base: u64,
}

/// The lines of a section whose insertions have come.
struct Lines<'a> {
    table: &'a DynamicTable,
    prefix: Prefix,
}

impl Lines<'_> {
    #[inline]
    fn decode(
        &self,
        lines: &[u8],
        lines_max: u32,
        scratch: &mut Vec<u8>,
        sink: &mut Gate<'_, impl FieldSink>,
    ) -> Result<(), QpackError> {
        let mut rest = lines;
        let mut lines_left = lines_max;
        while let Some(&first) = rest.first() {
            let Some(left) = lines_left.checked_sub(1) else {
                return Err(QpackError::TooManyLines);
            };
            lines_left = left;
            rest = if first & pattern::INDEXED != 0 {
                self.indexed(first, rest, sink)?
            } else if first & pattern::NAMED != 0 {
                let (index, after) = section_integer(rest, pattern::NAMED_PREFIX)?;
                let name = if first & pattern::NAMED_STATIC != 0 {
                    Name::of_static(index)?
                } else {
                    Name::of_entry(&self.relative(index)?)
                };
                let never_indexed = first & pattern::NAMED_NEVER != 0;
                literal(name, never_indexed, after, scratch, sink)?
            } else if first & pattern::LITERAL != 0 {
                literal_name(first, rest, scratch, sink)?
            } else if first & pattern::POST_BASE != 0 {
                let (index, after) = section_integer(rest, pattern::POST_BASE_PREFIX)?;
                let entry = self.post_base(index)?;
                sink.pass(|| field_of(&entry));
                after
            } else {
                let (index, after) = section_integer(rest, pattern::POST_BASE_NAMED_PREFIX)?;
                let name = Name::of_entry(&self.post_base(index)?);
                let never_indexed = first & pattern::POST_BASE_NAMED_NEVER != 0;
                literal(name, never_indexed, after, scratch, sink)?
            };
        }
        Ok(())
    }

    /// An indexed field line (§4.5.2).
    #[inline]
    fn indexed<'a>(
        &self,
        first: u8,
        input: &'a [u8],
        sink: &mut Gate<'_, impl FieldSink>,
    ) -> Result<&'a [u8], QpackError> {
        let (index, rest) = section_integer(input, pattern::INDEXED_PREFIX)?;
        if first & pattern::INDEXED_STATIC != 0 {
            let entry = static_table::get(index).ok_or(QpackError::StaticIndexOutOfRange)?;
            sink.pass(|| DecodedField {
                known: entry.known,
                name: entry.name.as_bytes(),
                value: entry.value,
                never_indexed: false,
                is_name_valid: true,
                is_value_valid: true,
            });
        } else {
            let entry = self.relative(index)?;
            sink.pass(|| field_of(&entry));
        }
        Ok(rest)
    }

    /// The entry of a relative index, counted down from Base (§3.2.5).
    fn relative(&self, index: u64) -> Result<Entry<'_>, QpackError> {
        let absolute = self
            .prefix
            .base
            .checked_sub(1)
            .and_then(|newest| newest.checked_sub(index))
            .ok_or(QpackError::RelativeIndexOutOfRange)?;
        self.absolute(absolute)
    }

    /// The entry of a post-Base index, counted up from Base (§3.2.6).
    fn post_base(&self, index: u64) -> Result<Entry<'_>, QpackError> {
        // Does not overflow: Base has less than 63 bits and an index 62.
        self.absolute(self.prefix.base + index)
    }

    fn absolute(&self, index: u64) -> Result<Entry<'_>, QpackError> {
        if index >= self.prefix.required_insert_count {
            return Err(QpackError::EntryNotCovered);
        }
        // Not negative: the Required Insert Count is at most what was inserted.
        let age = self.table.insertions() - 1 - index;
        usize::try_from(age)
            .ok()
            .and_then(|age| self.table.get(age))
            .ok_or(QpackError::EntryEvicted)
    }
}

/// The name of a literal field line, of a table.
struct Name<'a> {
    known: Option<KnownName>,
    name: &'a [u8],
    is_valid: bool,
}

impl<'a> Name<'a> {
    #[inline]
    fn of_static(index: u64) -> Result<Self, QpackError> {
        let entry = static_table::get(index).ok_or(QpackError::StaticIndexOutOfRange)?;
        Ok(Self {
            known: entry.known,
            name: entry.name.as_bytes(),
            is_valid: true,
        })
    }

    fn of_entry(entry: &Entry<'a>) -> Self {
        Self {
            known: entry.known,
            name: entry.name,
            is_valid: entry.is_name_valid,
        }
    }
}

fn field_of<'a>(entry: &Entry<'a>) -> DecodedField<'a> {
    DecodedField {
        known: entry.known,
        name: entry.name,
        value: entry.value,
        never_indexed: false,
        is_name_valid: entry.is_name_valid,
        is_value_valid: entry.is_value_valid,
    }
}

/// The value of a literal field line whose name is in a table (§4.5.4, §4.5.5).
#[inline]
fn literal<'a>(
    name: Name<'_>,
    never_indexed: bool,
    input: &'a [u8],
    scratch: &mut Vec<u8>,
    sink: &mut Gate<'_, impl FieldSink>,
) -> Result<&'a [u8], QpackError> {
    let (value, rest) = section_string(input, pattern::STRING_PREFIX, scratch, 0)?;
    sink.pass(|| DecodedField {
        known: name.known,
        name: name.name,
        value: value.bytes(scratch),
        never_indexed,
        is_name_valid: name.is_valid,
        is_value_valid: value.is_field_value(),
    });
    Ok(rest)
}

/// A literal field line with literal name (§4.5.6).
#[inline]
fn literal_name<'a>(
    first: u8,
    input: &'a [u8],
    scratch: &mut Vec<u8>,
    sink: &mut Gate<'_, impl FieldSink>,
) -> Result<&'a [u8], QpackError> {
    let (name, rest) = section_string(input, pattern::LITERAL_PREFIX, scratch, 0)?;
    let value_start = name.scratch_end();
    let (value, rest) = section_string(rest, pattern::STRING_PREFIX, scratch, value_start)?;
    sink.pass(|| {
        let name = name.bytes(scratch);
        let known = KnownName::from_name(name);
        DecodedField {
            known,
            name,
            value: value.bytes(scratch),
            never_indexed: first & pattern::LITERAL_NEVER != 0,
            is_name_valid: known.is_some() || is_lower_token(name),
            is_value_valid: value.is_field_value(),
        }
    });
    Ok(rest)
}

/// Inserts an entry that the table can hold (§3.2.2).
fn insert(table: &mut DynamicTable, entry: &Entry<'_>) -> Result<(), QpackError> {
    if entry.size() > table.bytes_max() as usize {
        return Err(QpackError::EntryTooLarge);
    }
    table.insert(entry);
    Ok(())
}

/// Copies text into a scratch buffer, which only ever grows.
fn copy(text: &[u8], scratch: &mut Vec<u8>, start: usize) {
    let end = start + text.len();
    if scratch.len() < end {
        scratch.resize(end, 0);
    }
    if let Some(place) = scratch.get_mut(start..end) {
        place.copy_from_slice(text);
    }
}

#[inline]
fn section_integer(input: &[u8], prefix_bits: u32) -> Result<(u64, &[u8]), QpackError> {
    integer::decode(input, prefix_bits)
        .map_err(|error| QpackError::of_section(LiteralError::Integer(error)))
}

#[inline]
fn section_string<'a>(
    input: &'a [u8],
    prefix_bits: u32,
    scratch: &mut Vec<u8>,
    scratch_start: usize,
) -> Result<(Text<'a>, &'a [u8]), QpackError> {
    literal::string(input, prefix_bits, scratch, scratch_start).map_err(QpackError::of_section)
}

/// An integer of an instruction that was measured.
fn instruction_integer(input: &[u8], prefix_bits: u32) -> Result<(u64, &[u8]), QpackError> {
    integer::decode(input, prefix_bits).map_err(|_| QpackError::InstructionIntegerTooLarge)
}

/// A string of an instruction that was measured.
fn instruction_string<'a>(
    input: &'a [u8],
    prefix_bits: u32,
    scratch: &mut Vec<u8>,
    scratch_start: usize,
) -> Result<(Text<'a>, &'a [u8]), QpackError> {
    literal::string(input, prefix_bits, scratch, scratch_start).map_err(|error| match error {
        LiteralError::Integer(_) => QpackError::InstructionIntegerTooLarge,
        LiteralError::Huffman(error) => QpackError::of_instruction(error),
    })
}

#[cfg(test)]
mod tests;
