//! The encoder of field blocks.
//!
//! What is done with a field line depends on its name:
//!
//! | plan | names | first time | again |
//! |---|---|---|---|
//! | insert | `server`, `content-type`, `cache-control` … | inserted | one byte or two |
//! | insert if repeated | `date`, `etag`, `location`, unknown names … | literal | inserted, then one byte or two |
//! | literal | `content-length`, `age`, `x-request-id` … | literal | literal |
//! | secret | `set-cookie`, `authorization` …, or the caller says so | never indexed | never indexed |
//!
//! `date` changes each second. A connection with several responses a second inserts it with the
//! second of them; one with fewer never lets it evict what lasts longer.
//!
//! Strings are Huffman-encoded when they enter the dynamic table, if that makes them shorter: it is
//! paid once. Those of literals are not: it would take longer than everything else together.

use ajay_http::{KnownField, StatusCode};

use super::{STATIC_LEN, TABLE_BYTES_INITIAL, pattern, static_table};
use crate::{
    dynamic_table::{DynamicTable, ENTRY_OVERHEAD_BYTES, Entry},
    field_line::Sensitivity,
    huffman, integer,
    name::{KnownName, NameId, PseudoField},
};

/// The encoder of a connection's field blocks.
///
/// A block is [`begin`](Self::begin) and any number of field lines; all of them append to the
/// caller's buffer.
#[derive(Debug)]
pub struct Encoder {
    table: DynamicTable,
    /// Whether lines are inserted and looked up at all.
    uses_table: bool,
    pending: Option<SizeChange>,
    size_changes: u64,
    /// Where a line was inserted last, by hash: the low bits of [`DynamicTable::insertions`] after
    /// it. Looked up and compared, so a stale or wrong one only costs a repetition.
    places: [u16; PLACES],
    /// For each place, more of the hash of the last line with the plan [`Plan::InsertIfRepeated`].
    seen: [u8; PLACES],
}

/// What the next block has to say about the table's size (RFC 7541 §4.2). Its final size is the
/// table's own.
#[derive(Clone, Copy, Debug)]
struct SizeChange {
    smallest: u32,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder with a dynamic table of up to 4 KiB. Does not allocate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: DynamicTable::new(TABLE_BYTES_MAX),
            uses_table: true,
            pending: None,
            size_changes: 0,
            places: [0; PLACES],
            seen: [0; PLACES],
        }
    }

    /// An encoder that inserts nothing. What it appends after [`begin`](Self::begin) does not depend
    /// on the connection: encoded once, it can be copied to any.
    #[must_use]
    pub fn without_table() -> Self {
        Self {
            uses_table: false,
            ..Self::new()
        }
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE. The next block says what we make of it.
    pub fn set_table_bytes_max(&mut self, bytes_max: u32) {
        let bytes_max = bytes_max.min(TABLE_BYTES_MAX);
        if bytes_max == self.table.bytes_max() {
            return;
        }
        self.table.set_bytes_max(bytes_max);
        self.size_changes += 1;
        let smallest = self
            .pending
            .map_or(bytes_max, |change| change.smallest.min(bytes_max));
        self.pending = Some(SizeChange { smallest });
    }

    /// The dynamic table.
    #[must_use]
    pub const fn table(&self) -> &DynamicTable {
        &self.table
    }

    /// A number that changes whenever the dynamic table does. As long as it is the same, lines that
    /// were encoded while it was can be sent on this connection again as the bytes they were.
    #[inline]
    #[must_use]
    pub const fn table_version(&self) -> u64 {
        self.table.insertions() + self.size_changes
    }

    /// Begins a field block.
    #[inline]
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(change) = self.pending.take() {
            let size = self.table.bytes_max();
            if change.smallest < size {
                size_update(change.smallest, out);
            }
            size_update(size, out);
        }
    }

    /// Adds `:status`.
    #[inline]
    pub fn status(&mut self, status: StatusCode, out: &mut Vec<u8>) {
        let index = match status.as_u16() {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let value = status.as_str().as_bytes();
                return self.pseudo(PseudoField::Status, value, out);
            }
        };
        out.push(pattern::INDEXED | index);
    }

    /// Adds any pseudo-header field.
    pub fn pseudo(&mut self, field: PseudoField, value: &[u8], out: &mut Vec<u8>) {
        let name = KnownName::Pseudo(field);
        if let Some(index) = static_table::index_of(name, value) {
            return indexed(index, out);
        }
        let plan = match field {
            PseudoField::Path => Plan::InsertIfRepeated,
            _ => Plan::Insert,
        };
        self.line(plan, Some(name), name.as_str().as_bytes(), value, out);
    }

    /// Adds a field line. The name is in lower case; `known` is its id if it has one.
    #[inline]
    pub fn field(
        &mut self,
        known: Option<KnownField>,
        name_lowercase: &[u8],
        value: &[u8],
        sensitivity: Sensitivity,
        out: &mut Vec<u8>,
    ) {
        let plan = match (sensitivity, known) {
            (Sensitivity::Secret, _) => Plan::Secret,
            (Sensitivity::Public, Some(field)) => PLANS[usize::from(field.id())],
            (Sensitivity::Public, None) => Plan::InsertIfRepeated,
        };
        self.line(
            plan,
            known.map(KnownName::Field),
            name_lowercase,
            value,
            out,
        );
    }

    #[inline]
    fn line(
        &mut self,
        plan: Plan,
        known: Option<KnownName>,
        name: &[u8],
        value: &[u8],
        out: &mut Vec<u8>,
    ) {
        let id = NameId::new(known);
        match plan {
            Plan::Insert | Plan::InsertIfRepeated if self.uses_table => {}
            Plan::Secret => return literal(pattern::NEVER_INDEXED, id, name, value, out),
            _ => return literal(pattern::NOT_INDEXED, id, name, value, out),
        }
        let hash = Hash::new(id, name, value);
        let newest = self.table.insertions() as u16;
        let age = usize::from(newest.wrapping_sub(self.places[hash.place()]));
        if let Some(entry) = self.table.get(age)
            && entry.known == known
            && entry.value == value
            && (known.is_some() || entry.name == name)
        {
            return indexed(STATIC_LEN + 1 + age, out);
        }
        if plan == Plan::InsertIfRepeated && self.seen[hash.place()] != hash.tag() {
            self.seen[hash.place()] = hash.tag();
            return literal(pattern::NOT_INDEXED, id, name, value, out);
        }
        self.insert(hash, known, name, value, out);
    }

    /// A line that is in no table yet.
    fn insert(
        &mut self,
        hash: Hash,
        known: Option<KnownName>,
        name: &[u8],
        value: &[u8],
        out: &mut Vec<u8>,
    ) {
        let id = NameId::new(known);
        if let Some(index) = known.and_then(|known| static_table::index_of(known, value)) {
            return indexed(index, out);
        }
        let size = name.len() + value.len() + ENTRY_OVERHEAD_BYTES;
        // One line is not worth all others.
        if size * 2 > self.table.bytes_max() as usize {
            return literal(pattern::NOT_INDEXED, id, name, value, out);
        }
        match static_table::index_of_name(id) {
            Some(index) => integer::encode(
                index as u64,
                pattern::INCREMENTAL,
                pattern::INCREMENTAL_PREFIX,
                out,
            ),
            None => {
                out.push(pattern::INCREMENTAL);
                shorter_string(name, out);
            }
        }
        shorter_string(value, out);
        // Nobody asks an encoder whether they are valid.
        self.table.insert(&Entry {
            known,
            name,
            value,
            is_name_valid: false,
            is_value_valid: false,
        });
        self.places[hash.place()] = self.table.insertions() as u16;
    }
}

/// What is done with a field line; see the module.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Plan {
    Insert,
    InsertIfRepeated,
    Literal,
    Secret,
}

static PLANS: [Plan; KnownField::ALL.len()] = {
    let mut plans = [Plan::Insert; KnownField::ALL.len()];
    let mut id = 0;
    while id < KnownField::ALL.len() {
        plans[id] = plan(KnownField::ALL[id]);
        id += 1;
    }
    plans
};

const fn plan(field: KnownField) -> Plan {
    use KnownField as F;
    if field.is_secret() {
        return Plan::Secret;
    }
    match field {
        // Of one message, or too short to be looked for.
        F::Age
        | F::ContentDigest
        | F::ContentLength
        | F::ContentRange
        | F::IdempotencyKey
        | F::IfMatch
        | F::IfRange
        | F::Range
        | F::ReprDigest
        | F::RetryAfter
        | F::SecWebsocketAccept
        | F::SecWebsocketKey
        | F::ServerTiming
        | F::Traceparent
        | F::Tracestate
        | F::XCorrelationId
        | F::XRequestId => Plan::Literal,
        // Of one resource, or of one second.
        F::ContentDisposition
        | F::ContentLocation
        | F::Date
        | F::Etag
        | F::Expires
        | F::IfModifiedSince
        | F::IfNoneMatch
        | F::IfUnmodifiedSince
        | F::LastEventId
        | F::LastModified
        | F::Link
        | F::Location
        | F::Referer
        | F::Refresh
        | F::XForwardedFor
        | F::XRealIp => Plan::InsertIfRepeated,
        _ => Plan::Insert,
    }
}

/// A hash of a field line. It sees the ends of the strings only, which tell apart what a server
/// sends; lines that it takes for one another displace each other, and that is all.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    #[inline]
    fn new(id: NameId, name: &[u8], value: &[u8]) -> Self {
        let mut mixed = ends(value) ^ (id.as_usize() as u64).rotate_right(8);
        if id == NameId::UNKNOWN {
            mixed ^= ends(name).rotate_left(17);
        }
        Self(mixed.wrapping_mul(MULTIPLIER))
    }

    #[inline]
    const fn place(self) -> usize {
        (self.0 >> (64 - PLACE_BITS)) as usize
    }

    /// Never 0, which says that nothing was seen.
    #[inline]
    const fn tag(self) -> u8 {
        (self.0 >> (56 - PLACE_BITS)) as u8 | 1
    }
}

/// Length, first and last eight bytes in one word.
#[inline]
fn ends(text: &[u8]) -> u64 {
    let (first, last) = match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => {
            let word = text
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte));
            (word, word)
        }
    };
    // Multiplied in between, so that equal ends do not cancel each other.
    (first.wrapping_mul(MULTIPLIER).rotate_left(32) ^ last).wrapping_add(text.len() as u64)
}

#[inline]
fn indexed(index: usize, out: &mut Vec<u8>) {
    integer::encode(index as u64, pattern::INDEXED, pattern::INDEXED_PREFIX, out);
}

/// A literal that enters no table.
#[inline]
fn literal(first: u8, id: NameId, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    match static_table::index_of_name(id) {
        Some(index) => {
            integer::encode(index as u64, first, pattern::NOT_INDEXED_PREFIX, out);
        }
        None => {
            out.push(first);
            string(name, out);
        }
    }
    string(value, out);
}

#[inline]
fn string(text: &[u8], out: &mut Vec<u8>) {
    integer::encode(text.len() as u64, 0, pattern::STRING_PREFIX, out);
    out.extend_from_slice(text);
}

/// A string, Huffman-encoded if that is shorter.
fn shorter_string(text: &[u8], out: &mut Vec<u8>) {
    let len = huffman::encoded_len(text);
    if len < text.len() {
        integer::encode(len as u64, pattern::HUFFMAN, pattern::STRING_PREFIX, out);
        huffman::encode(text, out);
    } else {
        string(text, out);
    }
}

fn size_update(size: u32, out: &mut Vec<u8>) {
    integer::encode(
        u64::from(size),
        pattern::SIZE_UPDATE,
        pattern::SIZE_UPDATE_PREFIX,
        out,
    );
}

/// Our use of the peer's table: the initial size, whatever it offers. What responses repeat fits in
/// there, and each connection pays for it.
const TABLE_BYTES_MAX: u32 = TABLE_BYTES_INITIAL;

/// 64 places: a connection's responses have some ten lines that repeat.
const PLACE_BITS: u32 = 6;
const PLACES: usize = 1 << PLACE_BITS;

/// Odd, with its bits spread: the fraction of the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests;
