//! The decoder: the peer's dynamic table, and the field sections that refer to it.

use super::{
    error::QpackError,
    instruction::{InvalidInteger, Partial, Read},
    pattern, static_table,
};
use crate::{
    dynamic_table::{DynamicTable, ENTRY_OVERHEAD_BYTES, Entry},
    field_line::{DecodedField, FieldSink, Gate, Scratch, is_lower_token},
    integer,
    literal::{Text, string},
    name::KnownName,
};

/// The decoder of a connection's field sections.
///
/// After an error the dynamic table means nothing, and the decoder must not be used again.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// SETTINGS_QPACK_MAX_TABLE_CAPACITY, as we announce it.
    capacity_max: u32,
    /// SETTINGS_QPACK_BLOCKED_STREAMS, as we announce it.
    blocked_streams_max: u32,
    lines_max: u32,
    /// Streams with a section that waits for entries.
    blocked: Vec<u64>,
    /// Entries that the encoder knows that we have (§2.1.4).
    acknowledged: u64,
    partial: Partial,
    /// Instructions that are to be sent.
    instructions: Vec<u8>,
}

/// What came of a field section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decoded {
    /// All its lines were given to the sink.
    Done,
    /// It needs entries that have not come; nothing was given to the sink. It can be decoded once
    /// [`Decoder::insert_count`] is this.
    Blocked {
        /// The section's Required Insert Count.
        required_insert_count: u64,
    },
}

/// The prefix of a field section.
#[derive(Clone, Copy)]
struct Prefix {
    required_insert_count: u64,
    base: u64,
}

/// Instructions longer than this are none: a name and a value that fill the table, each Huffman-encoded in
/// the longest way, and their lengths.
const fn instruction_bytes_max(capacity: u32) -> usize {
    capacity as usize * 8 + 32
}

impl InvalidInteger for QpackError {
    const INVALID_INTEGER: Self = Self::EncoderInstructionInvalid;
}

impl Decoder {
    /// A decoder for a peer to which our SETTINGS announce `table_bytes_max` (65 535 at most, see
    /// [`table_bytes_max`](Self::table_bytes_max)) and `blocked_streams_max`. Does not allocate.
    #[must_use]
    pub fn new(table_bytes_max: u32, blocked_streams_max: u32) -> Self {
        Self {
            // Its capacity is zero until the encoder sets it (§3.2.3).
            table: DynamicTable::new(0),
            capacity_max: table_bytes_max.min(crate::dynamic_table::TABLE_BYTES_LIMIT),
            blocked_streams_max,
            lines_max: u32::MAX,
            blocked: Vec::new(),
            acknowledged: 0,
            partial: Partial::default(),
            instructions: Vec::new(),
        }
    }

    /// From how many lines on a section is an error, instead of being decoded to its end whatever the sink
    /// says. At first there is no bound.
    pub const fn set_lines_max(&mut self, lines_max: u32) {
        self.lines_max = lines_max;
    }

    /// What SETTINGS_QPACK_MAX_TABLE_CAPACITY must say: what was asked for, but 65 535 at most.
    #[must_use]
    pub const fn table_bytes_max(&self) -> u32 {
        self.capacity_max
    }

    /// How many entries were ever inserted.
    #[must_use]
    pub const fn insert_count(&self) -> u64 {
        self.table.insertions()
    }

    /// Memory held, used or not.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.table.capacity_bytes()
            + self.partial.capacity_bytes()
            + self.instructions.capacity()
            + self.blocked.capacity() * size_of::<u64>()
    }

    /// Takes bytes of the peer's encoder stream, in whatever pieces they come. The beginning of an
    /// instruction is kept.
    ///
    /// # Errors
    /// An instruction breaks a rule.
    pub fn receive_encoder_stream(&mut self, bytes: &[u8]) -> Result<(), QpackError> {
        let mut partial = std::mem::take(&mut self.partial);
        let mut scratch = Vec::new();
        let result = partial.read(
            bytes,
            instruction_bytes_max(self.capacity_max),
            QpackError::EntryTooLarge,
            |rest| self.instruction(rest, &mut scratch),
        );
        self.partial = partial;
        result
    }

    /// Carries out the instruction at the start of `input` (§4.3), and returns its length.
    fn instruction(
        &mut self,
        input: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Result<usize, Read<QpackError>> {
        const INSERT_NAMED: u8 = 0x80;
        const INSERT_NAMED_STATIC: u8 = 0x40;
        const INSERT_LITERAL: u8 = 0x40;
        const SET_CAPACITY: u8 = 0x20;
        let first = input.first().copied().unwrap_or_default();
        let rest = if first & INSERT_NAMED != 0 {
            self.expect_capacity()?;
            let (index, rest) = integer::decode(input, 6)?;
            let name = match first & INSERT_NAMED_STATIC {
                0 => self
                    .relative(index)
                    .map(|entry| self.copy_name(entry, scratch)),
                _ => static_table::get(index).map(|entry| static_name(entry, scratch)),
            };
            let name = name.ok_or(Read::Invalid(QpackError::EncoderIndexOutOfRange))?;
            let (value, rest) = self.string(rest, 7, scratch, name.scratch_len())?;
            self.insert(&name, &value, scratch)?;
            rest
        } else if first & INSERT_LITERAL != 0 {
            self.expect_capacity()?;
            let (name, rest) = self.string(input, 5, scratch, 0)?;
            let (value, rest) = self.string(rest, 7, scratch, name.scratch_end())?;
            self.insert(&Name::literal(name), &value, scratch)?;
            rest
        } else if first & SET_CAPACITY != 0 {
            let (capacity, rest) = integer::decode(input, 5)?;
            match u32::try_from(capacity) {
                Ok(capacity) if capacity <= self.capacity_max => {
                    self.table.set_bytes_max(capacity);
                }
                _ => return Err(Read::Invalid(QpackError::CapacityTooLarge)),
            }
            rest
        } else {
            let (index, rest) = integer::decode(input, 5)?;
            let entry = self.relative(index);
            let entry = entry.ok_or(Read::Invalid(QpackError::EncoderIndexOutOfRange))?;
            // It may be evicted to make room for itself (§3.2.2).
            scratch.clear();
            scratch.extend_from_slice(entry.name);
            scratch.extend_from_slice(entry.value);
            let (name, value) = scratch.split_at(entry.name.len());
            let (known, is_name_valid) = (entry.known, entry.is_name_valid);
            let is_value_valid = entry.is_value_valid;
            self.table.insert(&Entry {
                known,
                name,
                value,
                is_name_valid,
                is_value_valid,
            });
            rest
        };
        Ok(input.len() - rest.len())
    }

    /// Nothing can be inserted into a table without capacity, so nothing need be read.
    fn expect_capacity(&self) -> Result<(), Read<QpackError>> {
        if (self.table.bytes_max() as usize) < ENTRY_OVERHEAD_BYTES {
            return Err(Read::Invalid(QpackError::EntryTooLarge));
        }
        Ok(())
    }

    /// A string of an instruction.
    fn string<'a>(
        &self,
        input: &'a [u8],
        prefix_bits: u32,
        scratch: &mut Vec<u8>,
        scratch_start: usize,
    ) -> Result<(Text<'a>, &'a [u8]), Read<QpackError>> {
        let (len, _) = integer::decode(input, prefix_bits)?;
        // No symbol takes more than 30 bits: it cannot fit, so there is no use in waiting for it.
        if len > instruction_bytes_max(self.table.bytes_max()) as u64 {
            return Err(Read::Invalid(QpackError::EntryTooLarge));
        }
        string(input, prefix_bits, scratch, scratch_start).map_err(
            |error: QpackError| match error {
                QpackError::Truncated => Read::Incomplete,
                _ => Read::Invalid(QpackError::EncoderInstructionInvalid),
            },
        )
    }

    fn insert(
        &mut self,
        name: &Name<'_>,
        value: &Text<'_>,
        scratch: &[u8],
    ) -> Result<(), Read<QpackError>> {
        let (known, name, is_name_valid) = name.resolve(scratch);
        let entry = Entry {
            known,
            name,
            value: value.bytes(scratch),
            is_name_valid,
            is_value_valid: value.is_field_value(),
        };
        if entry.size() > self.table.bytes_max() as usize {
            return Err(Read::Invalid(QpackError::EntryTooLarge));
        }
        self.table.insert(&entry);
        Ok(())
    }

    /// The entry of an index that counts from the newest (§3.2.5).
    fn relative(&self, index: u64) -> Option<Entry<'_>> {
        self.table.get(usize::try_from(index).ok()?)
    }

    /// A name of the dynamic table is copied, because the new entry may evict the old one.
    fn copy_name(&self, entry: Entry<'_>, scratch: &mut Vec<u8>) -> Name<'static> {
        name_of(entry.known, entry.name, entry.is_name_valid, scratch)
    }

    /// Decodes a whole encoded field section of a stream and gives its lines to `sink`.
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
        let (prefix, rest) = self.prefix(section)?;
        let required_insert_count = prefix.required_insert_count;
        if required_insert_count > self.insert_count() {
            self.block(stream)?;
            return Ok(Decoded::Blocked {
                required_insert_count,
            });
        }
        self.lines(prefix, rest, scratch, sink)?;
        if required_insert_count > 0 {
            self.acknowledge(stream, required_insert_count);
        }
        Ok(Decoded::Done)
    }

    fn block(&mut self, stream: u64) -> Result<(), QpackError> {
        if self.blocked.contains(&stream) {
            return Ok(());
        }
        if self.blocked.len() >= self.blocked_streams_max as usize {
            return Err(QpackError::TooManyBlockedStreams);
        }
        self.blocked.push(stream);
        Ok(())
    }

    /// Section Acknowledgment (§4.4.1).
    #[cold]
    fn acknowledge(&mut self, stream: u64, required_insert_count: u64) {
        const SECTION_ACKNOWLEDGMENT: u8 = 0x80;
        self.blocked.retain(|blocked| *blocked != stream);
        integer::encode(stream, SECTION_ACKNOWLEDGMENT, 7, &mut self.instructions);
        self.acknowledged = self.acknowledged.max(required_insert_count);
    }

    /// The stream was reset, or will not be read: what its sections refer to is not needed any more
    /// (§4.4.2).
    pub fn cancel(&mut self, stream: u64) {
        const STREAM_CANCELLATION: u8 = 0x40;
        self.blocked.retain(|blocked| *blocked != stream);
        if self.capacity_max > 0 {
            integer::encode(stream, STREAM_CANCELLATION, 6, &mut self.instructions);
        }
    }

    /// Appends the instructions for our decoder stream that were not sent: acknowledgments and
    /// cancellations, and one Insert Count Increment for all entries that no acknowledgment covers
    /// (§4.4.3). At most 11 bytes for each section or stream since the last call.
    pub fn write_decoder_stream(&mut self, out: &mut Vec<u8>) {
        const INSERT_COUNT_INCREMENT: u8 = 0x00;
        out.append(&mut self.instructions);
        let increment = self.insert_count() - self.acknowledged;
        if increment > 0 {
            integer::encode(increment, INSERT_COUNT_INCREMENT, 6, out);
            self.acknowledged = self.insert_count();
        }
    }

    /// Whether there is anything for our decoder stream.
    #[inline]
    #[must_use]
    pub fn has_instructions(&self) -> bool {
        !self.instructions.is_empty() || self.acknowledged < self.insert_count()
    }

    /// The prefix of a section (§4.5.1).
    #[inline]
    fn prefix<'a>(&self, section: &'a [u8]) -> Result<(Prefix, &'a [u8]), QpackError> {
        if let [0, 0, rest @ ..] = section {
            let prefix = Prefix {
                required_insert_count: 0,
                base: 0,
            };
            return Ok((prefix, rest));
        }
        self.dynamic_prefix(section)
    }

    #[cold]
    fn dynamic_prefix<'a>(&self, section: &'a [u8]) -> Result<(Prefix, &'a [u8]), QpackError> {
        let (encoded, rest) = integer::decode(section, pattern::REQUIRED_INSERT_COUNT_PREFIX)?;
        let required_insert_count = self.required_insert_count(encoded)?;
        let is_negative = rest
            .first()
            .is_some_and(|first| first & pattern::DELTA_BASE_SIGN != 0);
        let (delta, rest) = integer::decode(rest, pattern::DELTA_BASE_PREFIX)?;
        let base = match is_negative {
            false => required_insert_count.checked_add(delta),
            true => required_insert_count
                .checked_sub(delta)
                .and_then(|base| base.checked_sub(1)),
        };
        let prefix = Prefix {
            required_insert_count,
            base: base.ok_or(QpackError::BaseNegative)?,
        };
        Ok((prefix, rest))
    }

    /// §4.5.1.1.
    fn required_insert_count(&self, encoded: u64) -> Result<u64, QpackError> {
        if encoded == 0 {
            return Ok(0);
        }
        let invalid = QpackError::RequiredInsertCountInvalid;
        let entries_max = u64::from(self.capacity_max) / ENTRY_OVERHEAD_BYTES as u64;
        let full_range = 2 * entries_max;
        if encoded > full_range {
            return Err(invalid);
        }
        let value_max = self.insert_count() + entries_max;
        let wrapped_max = value_max / full_range * full_range;
        let mut count = wrapped_max + encoded - 1;
        if count > value_max {
            count = count.checked_sub(full_range).ok_or(invalid)?;
        }
        if count == 0 {
            return Err(invalid);
        }
        Ok(count)
    }

    #[inline]
    fn lines(
        &self,
        prefix: Prefix,
        section: &[u8],
        scratch: &mut Scratch,
        sink: &mut impl FieldSink,
    ) -> Result<(), QpackError> {
        let mut sink = Gate::new(sink);
        let mut rest = section;
        let mut lines_left = self.lines_max;
        while let Some(&first) = rest.first() {
            let Some(left) = lines_left.checked_sub(1) else {
                return Err(QpackError::TooManyLines);
            };
            lines_left = left;
            rest = if first & pattern::INDEXED != 0 {
                let (index, rest) = integer::decode(rest, pattern::INDEXED_PREFIX)?;
                match first & pattern::INDEXED_STATIC {
                    0 => self.pass_dynamic(prefix, prefix.base.checked_sub(index), 1, &mut sink)?,
                    _ => pass_static(index, &mut sink)?,
                }
                rest
            } else if first & pattern::NAMED != 0 {
                let (index, rest) = integer::decode(rest, pattern::NAMED_PREFIX)?;
                let name = match first & pattern::NAMED_STATIC {
                    0 => {
                        let entry = self.entry(prefix, prefix.base.checked_sub(index), 1)?;
                        self.copy_name(entry, &mut scratch.0)
                    }
                    _ => {
                        let entry = static_table::get(index);
                        let entry = entry.ok_or(QpackError::IndexOutOfRange)?;
                        static_name(entry, &mut scratch.0)
                    }
                };
                let never_indexed = first & pattern::NAMED_NEVER_INDEXED != 0;
                pass_literal(&name, rest, never_indexed, &mut scratch.0, &mut sink)?
            } else if first & pattern::LITERAL != 0 {
                let (name, rest) =
                    string::<QpackError>(rest, pattern::LITERAL_NAME_PREFIX, &mut scratch.0, 0)?;
                let never_indexed = first & pattern::LITERAL_NEVER_INDEXED != 0;
                let name = Name::literal(name);
                pass_literal(&name, rest, never_indexed, &mut scratch.0, &mut sink)?
            } else if first & pattern::POST_BASE != 0 {
                let (index, rest) = integer::decode(rest, pattern::POST_BASE_PREFIX)?;
                self.pass_dynamic(prefix, prefix.base.checked_add(index), 0, &mut sink)?;
                rest
            } else {
                let (index, rest) = integer::decode(rest, pattern::POST_BASE_NAMED_PREFIX)?;
                let entry = self.entry(prefix, prefix.base.checked_add(index), 0)?;
                let name = self.copy_name(entry, &mut scratch.0);
                let never_indexed = first & pattern::POST_BASE_NAMED_NEVER_INDEXED != 0;
                pass_literal(&name, rest, never_indexed, &mut scratch.0, &mut sink)?
            };
        }
        Ok(())
    }

    /// The entry with an absolute index (§3.2.4), which is `less` below `index`. It must be one that the
    /// section says it needs.
    fn entry(
        &self,
        prefix: Prefix,
        index: Option<u64>,
        less: u64,
    ) -> Result<Entry<'_>, QpackError> {
        let index = index.and_then(|index| index.checked_sub(less));
        index
            .filter(|index| *index < prefix.required_insert_count)
            .and_then(|index| self.insert_count().checked_sub(index + 1))
            .and_then(|age| self.relative(age))
            .ok_or(QpackError::IndexOutOfRange)
    }

    fn pass_dynamic(
        &self,
        prefix: Prefix,
        index: Option<u64>,
        less: u64,
        sink: &mut Gate<'_, impl FieldSink>,
    ) -> Result<(), QpackError> {
        let entry = self.entry(prefix, index, less)?;
        sink.pass(|| DecodedField {
            known: entry.known,
            name: entry.name,
            value: entry.value,
            never_indexed: false,
            is_name_valid: entry.is_name_valid,
            is_value_valid: entry.is_value_valid,
        });
        Ok(())
    }
}

#[inline]
fn pass_static(index: u64, sink: &mut Gate<'_, impl FieldSink>) -> Result<(), QpackError> {
    let entry = static_table::get(index).ok_or(QpackError::IndexOutOfRange)?;
    sink.pass(|| DecodedField {
        known: entry.known,
        name: entry.name.as_bytes(),
        value: entry.value,
        never_indexed: false,
        is_name_valid: true,
        is_value_valid: true,
    });
    Ok(())
}

/// The value of a literal field line, and the line to the sink. Returns what comes after it.
#[inline]
fn pass_literal<'a>(
    name: &Name<'_>,
    input: &'a [u8],
    never_indexed: bool,
    scratch: &mut Vec<u8>,
    sink: &mut Gate<'_, impl FieldSink>,
) -> Result<&'a [u8], QpackError> {
    let (value, rest) =
        string::<QpackError>(input, pattern::STRING_PREFIX, scratch, name.scratch_len())?;
    sink.pass(|| {
        let (known, name, is_name_valid) = name.resolve(scratch);
        DecodedField {
            known,
            name,
            value: value.bytes(scratch),
            never_indexed,
            is_name_valid,
            is_value_valid: value.is_field_value(),
        }
    });
    Ok(rest)
}

/// The name of a literal.
enum Name<'a> {
    Known(KnownName),
    /// The first bytes of the scratch buffer.
    Copied {
        len: usize,
        is_valid: bool,
    },
    Literal(Text<'a>),
}

impl<'a> Name<'a> {
    fn literal(text: Text<'a>) -> Self {
        Self::Literal(text)
    }

    /// How much of the scratch buffer it takes up.
    #[inline]
    fn scratch_len(&self) -> usize {
        match self {
            Self::Known(_) => 0,
            Self::Copied { len, .. } => *len,
            Self::Literal(text) => text.scratch_end(),
        }
    }

    /// Its id, its bytes, and whether they are valid.
    #[inline]
    fn resolve<'b>(&self, scratch: &'b [u8]) -> (Option<KnownName>, &'b [u8], bool)
    where
        'a: 'b,
    {
        match self {
            Self::Known(known) => (Some(*known), known.as_str().as_bytes(), true),
            Self::Copied { len, is_valid } => {
                (None, scratch.get(..*len).unwrap_or_default(), *is_valid)
            }
            Self::Literal(text) => {
                let name = text.bytes(scratch);
                let known = KnownName::from_name(name);
                (known, name, known.is_some() || is_lower_token(name))
            }
        }
    }
}

#[inline]
fn static_name(entry: &static_table::StaticEntry, scratch: &mut Vec<u8>) -> Name<'static> {
    name_of(entry.known, entry.name.as_bytes(), true, scratch)
}

#[inline]
fn name_of(
    known: Option<KnownName>,
    name: &[u8],
    is_valid: bool,
    scratch: &mut Vec<u8>,
) -> Name<'static> {
    if let Some(known) = known {
        return Name::Known(known);
    }
    let len = name.len();
    if scratch.len() < len {
        scratch.resize(len, 0);
    }
    if let Some(place) = scratch.get_mut(..len) {
        place.copy_from_slice(name);
    }
    Name::Copied { len, is_valid }
}
