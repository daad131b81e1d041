//! The decoder of field blocks.

use super::{STATIC_LEN, TABLE_BYTES_INITIAL, error::HpackError, pattern, static_table};
use crate::{
    dynamic_table::{DynamicTable, Entry},
    field_line::{DecodedField, FieldSink, Gate, Scratch, is_lower_token},
    integer,
    literal::{self, Text},
    name::KnownName,
};

/// The decoder of a connection's field blocks.
///
/// After an error the dynamic table means nothing, and the decoder must not be used again.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    scratch: Scratch,
    /// What our SETTINGS say.
    announced_bytes_max: u32,
    /// What a size update may ask for: what we announced, or the initial size as long as the peer
    /// need not know better.
    allowed_bytes_max: u32,
    /// The peer knows that its table must shrink, and has to say that it did.
    is_update_due: bool,
    lines_max: u32,
}

impl Decoder {
    /// A decoder for a peer to which our SETTINGS announce `table_bytes_max`; see
    /// [`table_bytes_max`](Self::table_bytes_max). Does not allocate.
    #[must_use]
    pub fn new(table_bytes_max: u32) -> Self {
        let announced_bytes_max = table_bytes_max.min(crate::dynamic_table::TABLE_BYTES_LIMIT);
        Self {
            table: DynamicTable::new(TABLE_BYTES_INITIAL),
            scratch: Scratch::new(),
            announced_bytes_max,
            allowed_bytes_max: announced_bytes_max.max(TABLE_BYTES_INITIAL),
            is_update_due: false,
            lines_max: u32::MAX,
        }
    }

    /// From how many lines on a block is an error, instead of being decoded to its end whatever the
    /// sink says. A reference to a table takes one byte, so a block can have as many lines as bytes.
    /// At first there is no bound.
    pub const fn set_lines_max(&mut self, lines_max: u32) {
        self.lines_max = lines_max;
    }

    /// What SETTINGS_HEADER_TABLE_SIZE must say: what was asked for, but 65 535 at most.
    #[must_use]
    pub const fn table_bytes_max(&self) -> u32 {
        self.announced_bytes_max
    }

    /// The peer has acknowledged our SETTINGS. If they allow less than the initial size, its next
    /// block must begin with a size update (RFC 9113 §4.3.1).
    pub fn settings_acknowledged(&mut self) {
        self.allowed_bytes_max = self.announced_bytes_max;
        self.is_update_due = self.table.bytes_max() > self.allowed_bytes_max;
    }

    /// The dynamic table.
    #[must_use]
    pub const fn table(&self) -> &DynamicTable {
        &self.table
    }

    /// Memory held, used or not.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.table.capacity_bytes() + self.scratch.capacity_bytes()
    }

    /// Decodes a whole field block and gives its lines to `sink`.
    ///
    /// # Errors
    /// The block breaks a rule; lines before that place were given to the sink.
    pub fn decode(&mut self, block: &[u8], sink: &mut impl FieldSink) -> Result<(), HpackError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let result = self.decode_with(&mut scratch, block, sink);
        self.scratch = scratch;
        result
    }

    /// As [`decode`](Self::decode), with a scratch buffer that many decoders share.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_with(
        &mut self,
        scratch: &mut Scratch,
        block: &[u8],
        sink: &mut impl FieldSink,
    ) -> Result<(), HpackError> {
        let mut sink = Gate::new(sink);
        let mut rest = self.size_updates(block)?;
        let mut lines_left = self.lines_max;
        while let Some(&first) = rest.first() {
            let Some(left) = lines_left.checked_sub(1) else {
                return Err(HpackError::TooManyLines);
            };
            lines_left = left;
            rest = if first & pattern::INDEXED != 0 {
                self.indexed(rest, &mut sink)?
            } else if first & pattern::INCREMENTAL != 0 {
                self.literal(rest, Indexing::Incremental, &mut scratch.0, &mut sink)?
            } else if first & pattern::SIZE_UPDATE != 0 {
                return Err(HpackError::SizeUpdateAfterField);
            } else if first & pattern::NEVER_INDEXED != 0 {
                self.literal(rest, Indexing::Never, &mut scratch.0, &mut sink)?
            } else {
                self.literal(rest, Indexing::Without, &mut scratch.0, &mut sink)?
            };
        }
        Ok(())
    }

    /// Dynamic table size updates (§6.3) at the start of a block: two at most, for the smallest size
    /// since the last block and the one it has now (§4.2).
    #[inline]
    fn size_updates<'a>(&mut self, block: &'a [u8]) -> Result<&'a [u8], HpackError> {
        let mut rest = block;
        let mut count = 0;
        while let Some(&first) = rest.first()
            && first >> pattern::SIZE_UPDATE_PREFIX
                == pattern::SIZE_UPDATE >> pattern::SIZE_UPDATE_PREFIX
        {
            let (size, after) = integer::decode(rest, pattern::SIZE_UPDATE_PREFIX)?;
            rest = after;
            count += 1;
            if count > 2 {
                return Err(HpackError::SizeUpdatesTooMany);
            }
            match u32::try_from(size) {
                Ok(size) if size <= self.allowed_bytes_max => self.table.set_bytes_max(size),
                _ => return Err(HpackError::SizeUpdateTooLarge),
            }
            self.is_update_due = false;
        }
        if self.is_update_due {
            return Err(HpackError::SizeUpdateMissing);
        }
        Ok(rest)
    }

    /// An indexed field line (§6.1).
    #[inline]
    fn indexed<'a>(
        &mut self,
        input: &'a [u8],
        sink: &mut Gate<'_, impl FieldSink>,
    ) -> Result<&'a [u8], HpackError> {
        let (index, rest) = index(input, pattern::INDEXED_PREFIX)?;
        if let Some(entry) = static_table::get(index) {
            sink.pass(|| DecodedField {
                known: Some(entry.name),
                name: entry.name.as_str().as_bytes(),
                value: entry.value,
                never_indexed: false,
                is_name_valid: true,
                is_value_valid: true,
            });
            return Ok(rest);
        }
        if index == 0 {
            return Err(HpackError::IndexZero);
        }
        let entry = self.dynamic(index)?;
        sink.pass(|| DecodedField {
            known: entry.known,
            name: entry.name,
            value: entry.value,
            never_indexed: false,
            is_name_valid: entry.is_name_valid,
            is_value_valid: entry.is_value_valid,
        });
        Ok(rest)
    }

    /// A literal field line (§6.2).
    fn literal<'a>(
        &mut self,
        input: &'a [u8],
        indexing: Indexing,
        scratch: &mut Vec<u8>,
        sink: &mut Gate<'_, impl FieldSink>,
    ) -> Result<&'a [u8], HpackError> {
        let prefix_bits = match indexing {
            Indexing::Incremental => pattern::INCREMENTAL_PREFIX,
            Indexing::Without | Indexing::Never => pattern::NOT_INDEXED_PREFIX,
        };
        let (index, rest) = index(input, prefix_bits)?;
        let (name, rest) = match index {
            0 => {
                let (text, rest) = literal::string(rest, pattern::STRING_PREFIX, scratch, 0)?;
                (Name::Literal(text), rest)
            }
            _ => (self.indexed_name(index, scratch)?, rest),
        };
        let value_start = match &name {
            Name::Literal(name) => name.scratch_end(),
            Name::Unknown { len, .. } => *len,
            Name::Known(_) => 0,
        };
        let (value, rest) = literal::string(rest, pattern::STRING_PREFIX, scratch, value_start)?;

        let (known, name, is_name_valid) = match name {
            Name::Known(known) => (Some(known), known.as_str().as_bytes(), true),
            Name::Unknown { len, is_valid } => {
                (None, scratch.get(..len).unwrap_or_default(), is_valid)
            }
            Name::Literal(text) => {
                let name = text.bytes(scratch);
                let known = KnownName::from_name(name);
                (known, name, known.is_some() || is_lower_token(name))
            }
        };
        let entry = Entry {
            known,
            name,
            value: value.bytes(scratch),
            is_name_valid,
            is_value_valid: value.is_field_value(),
        };
        sink.pass(|| DecodedField {
            known,
            name,
            value: entry.value,
            never_indexed: indexing == Indexing::Never,
            is_name_valid,
            is_value_valid: entry.is_value_valid,
        });
        if indexing == Indexing::Incremental {
            self.table.insert(&entry);
        }
        Ok(rest)
    }

    /// The name of an entry. An unknown one of the dynamic table is copied to the scratch buffer,
    /// because inserting the new entry may evict the old one (§4.4).
    fn indexed_name<'a>(
        &self,
        index: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<Name<'a>, HpackError> {
        if let Some(entry) = static_table::get(index) {
            return Ok(Name::Known(entry.name));
        }
        let entry = self.dynamic(index)?;
        if let Some(known) = entry.known {
            return Ok(Name::Known(known));
        }
        let len = entry.name.len();
        if scratch.len() < len {
            scratch.resize(len, 0);
        }
        if let Some(place) = scratch.get_mut(..len) {
            place.copy_from_slice(entry.name);
        }
        Ok(Name::Unknown {
            len,
            is_valid: entry.is_name_valid,
        })
    }

    #[inline]
    fn dynamic(&self, index: usize) -> Result<Entry<'_>, HpackError> {
        index
            .checked_sub(STATIC_LEN + 1)
            .and_then(|age| self.table.get(age))
            .ok_or(HpackError::IndexOutOfRange)
    }
}

/// Whether a literal enters the dynamic table (§6.2).
#[derive(Clone, Copy, PartialEq)]
enum Indexing {
    Incremental,
    Without,
    Never,
}

/// The name of a literal field line.
enum Name<'a> {
    Known(KnownName),
    /// Of the dynamic table; the first bytes of the scratch buffer.
    Unknown {
        len: usize,
        is_valid: bool,
    },
    Literal(Text<'a>),
}

/// An index. One that no address space holds is out of range.
#[inline]
fn index(input: &[u8], prefix_bits: u32) -> Result<(usize, &[u8]), HpackError> {
    let (index, rest) = integer::decode(input, prefix_bits)?;
    let index = usize::try_from(index).map_err(|_| HpackError::IndexOutOfRange)?;
    Ok((index, rest))
}

#[cfg(test)]
mod tests;
