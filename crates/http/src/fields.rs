//! The field section: field lines over one contiguous buffer.

use std::fmt;

use crate::{KnownField, class};

/// Why a field line was refused (RFC 9110 §5.1, §5.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InvalidField {
    /// The name is not a token, or is longer than 65 535 bytes.
    Name,
    /// The value holds a control character, or the section would exceed 4 GiB.
    Value,
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "invalid field name",
            Self::Value => "invalid field value",
        })
    }
}

impl std::error::Error for InvalidField {}

/// Field lines in the order they came (RFC 9110 §5.3): a header section or a trailer section.
///
/// All bytes lie in one buffer; a line is a pair of ranges and the id of its name if that is a
/// [`KnownField`]. Clearing keeps both allocations, so a recycled section allocates nothing.
///
/// Names compare case-insensitively. Where a name is shown, known ones are in lower case and others
/// as they came.
#[derive(Clone, Default)]
pub struct FieldSection {
    /// Names of unknown fields and values of all, with gaps: whatever else was in a received head
    /// and values that were replaced.
    bytes: Vec<u8>,
    /// INVARIANT (not relied on for memory safety, readers use checked ranges): the ranges lie in
    /// `bytes` from the moment a section is handed to its reader; a parser pushes lines before it
    /// sets the bytes. The name of an unknown field is a token.
    lines: Vec<FieldLine>,
    /// One bit for each known field that is among `lines`.
    known: Presence,
}

#[derive(Clone, Copy)]
struct FieldLine {
    name_start: u32,
    value_start: u32,
    value_len: u32,
    name_len: u16,
    /// The [`KnownField`]'s id, or `UNKNOWN`. A known name is never read from the buffer.
    known: u8,
}

const UNKNOWN: u8 = u8::MAX;

/// A set of known fields. Two words: shifts of a `u128` cost twice as much.
#[derive(Clone, Copy, Default)]
struct Presence([u64; 2]);

impl Presence {
    const NONE: Self = Self([0; 2]);

    #[inline]
    const fn contains(self, field: KnownField) -> bool {
        self.0[word(field)] & bit(field) != 0
    }

    #[inline]
    const fn insert(&mut self, field: KnownField) {
        self.0[word(field)] |= bit(field);
    }

    #[inline]
    const fn remove(&mut self, field: KnownField) {
        self.0[word(field)] &= !bit(field);
    }
}

#[inline]
const fn word(field: KnownField) -> usize {
    (field.id() >> 6 & 1) as usize
}

#[inline]
const fn bit(field: KnownField) -> u64 {
    1 << (field.id() & 63)
}

const _: () = assert!(size_of::<FieldLine>() == 16);

impl FieldSection {
    /// An empty section. Does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            lines: Vec::new(),
            known: Presence::NONE,
        }
    }

    /// Removes all lines and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
        self.known = Presence::NONE;
    }

    /// Adds a line at the end. Whitespace around the value is dropped.
    ///
    /// # Errors
    /// The name is not a token or the value holds a control character other than HTAB.
    pub fn append(
        &mut self,
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), InvalidField> {
        let (name, value) = (name.as_ref(), value.as_ref());
        match KnownField::from_name(name) {
            Some(field) => self.append_known(field, value),
            None => self.append_unknown(name, value),
        }
    }

    /// Adds a line with a known name at the end. Whitespace around the value is dropped.
    ///
    /// # Errors
    /// The value holds a control character other than HTAB.
    pub fn append_known(
        &mut self,
        field: KnownField,
        value: impl AsRef<[u8]>,
    ) -> Result<(), InvalidField> {
        let (value_start, value_len) = self.store_value(value.as_ref())?;
        self.push_line(0, 0, value_start, value_len, Some(field));
        Ok(())
    }

    /// Replaces all lines of that name by one, at the end.
    ///
    /// # Errors
    /// As for [`append`](Self::append); the section is unchanged then.
    pub fn set(
        &mut self,
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), InvalidField> {
        let (name, value) = (name.as_ref(), value.as_ref());
        match KnownField::from_name(name) {
            Some(field) => self.set_known(field, value),
            None => {
                check_name(name)?;
                check_value(value)?;
                self.remove(name);
                self.append_unknown(name, value)
            }
        }
    }

    /// Replaces all lines of that name by one, at the end.
    ///
    /// # Errors
    /// As for [`append_known`](Self::append_known); the section is unchanged then.
    pub fn set_known(
        &mut self,
        field: KnownField,
        value: impl AsRef<[u8]>,
    ) -> Result<(), InvalidField> {
        let value = value.as_ref();
        check_value(value)?;
        self.remove_known(field);
        self.append_known(field, value)
    }

    /// Removes all lines of that name; says whether there was one.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) -> bool {
        let name = name.as_ref();
        if let Some(field) = KnownField::from_name(name) {
            return self.remove_known(field);
        }
        let before = self.lines.len();
        let bytes = &self.bytes;
        self.lines.retain(|line| {
            line.known != UNKNOWN || !line.raw_name(bytes).eq_ignore_ascii_case(name)
        });
        self.lines.len() != before
    }

    /// Removes all lines of that name; says whether there was one.
    pub fn remove_known(&mut self, field: KnownField) -> bool {
        if !self.contains(field) {
            return false;
        }
        self.lines.retain(|line| line.known != field.id());
        self.known.remove(field);
        true
    }

    /// The value of the first line of that name.
    #[inline]
    #[must_use]
    pub fn get(&self, field: KnownField) -> Option<&[u8]> {
        if !self.contains(field) {
            return None;
        }
        let line = self.lines.iter().find(|line| line.known == field.id())?;
        Some(line.value(&self.bytes))
    }

    /// The values of all lines of that name, in order.
    #[inline]
    #[must_use]
    pub fn get_all(&self, field: KnownField) -> Values<'_> {
        let lines = if self.contains(field) {
            self.lines.as_slice()
        } else {
            &[]
        };
        Values {
            lines: lines.iter(),
            bytes: &self.bytes,
            id: field.id(),
        }
    }

    /// The value of the first line of that name.
    #[must_use]
    pub fn get_name(&self, name: &str) -> Option<&[u8]> {
        match KnownField::from_name(name.as_bytes()) {
            Some(field) => self.get(field),
            None => self
                .lines
                .iter()
                .filter(|line| line.known == UNKNOWN)
                .find(|line| {
                    line.raw_name(&self.bytes)
                        .eq_ignore_ascii_case(name.as_bytes())
                })
                .map(|line| line.value(&self.bytes)),
        }
    }

    /// Whether there is a line of that name.
    #[inline]
    #[must_use]
    pub const fn contains(&self, field: KnownField) -> bool {
        self.known.contains(field)
    }

    /// Whether there is a line of any of these names: one test for all of them when `fields` is a
    /// constant.
    #[inline]
    #[must_use]
    pub const fn contains_any(&self, fields: &[KnownField]) -> bool {
        let mut index = 0;
        let mut any = false;
        while index < fields.len() {
            any |= self.known.contains(fields[index]);
            index += 1;
        }
        any
    }

    /// The number of lines of that name.
    #[inline]
    #[must_use]
    pub fn count(&self, field: KnownField) -> usize {
        if !self.contains(field) {
            return 0;
        }
        self.lines
            .iter()
            .filter(|line| line.known == field.id())
            .count()
    }

    /// All lines in order.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            lines: self.lines.iter(),
            bytes: &self.bytes,
        }
    }

    /// The number of lines.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Memory held, used or not.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity() + self.lines.capacity() * size_of::<FieldLine>()
    }

    /// Gives memory back beyond `bytes` of text and `lines` of table: for pools that must not keep
    /// what one large request needed.
    pub fn shrink_to(&mut self, bytes: usize, lines: usize) {
        self.bytes.shrink_to(bytes);
        self.lines.shrink_to(lines);
    }

    fn append_unknown(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidField> {
        check_name(name)?;
        let name_len = u16::try_from(name.len()).map_err(|_| InvalidField::Name)?;
        let (value_start, value_len) = self.store_value(value)?;
        let name_start = u32::try_from(self.bytes.len()).map_err(|_| InvalidField::Value)?;
        self.bytes.extend_from_slice(name);
        self.push_line(name_start, name_len, value_start, value_len, None);
        Ok(())
    }

    fn store_value(&mut self, value: &[u8]) -> Result<(u32, u32), InvalidField> {
        let value = class::trim_ows(value);
        check_value(value)?;
        let start = u32::try_from(self.bytes.len()).map_err(|_| InvalidField::Value)?;
        let len = u32::try_from(value.len()).map_err(|_| InvalidField::Value)?;
        self.bytes.extend_from_slice(value);
        Ok((start, len))
    }
}

/// For the protocol cores, which validate while they scan.
impl FieldSection {
    /// Adds a line whose name and value lie, or will lie, in the section's buffer.
    ///
    /// The caller has checked that the name is a token and the value has no forbidden byte, and
    /// names in `known` the field that the name is. The name range is not read if it is known.
    #[inline]
    pub fn push_line(
        &mut self,
        name_start: u32,
        name_len: u16,
        value_start: u32,
        value_len: u32,
        known: Option<KnownField>,
    ) {
        let id = match known {
            Some(field) => {
                self.known.insert(field);
                field.id()
            }
            None => UNKNOWN,
        };
        self.lines.push(FieldLine {
            name_start,
            value_start,
            value_len,
            name_len,
            known: id,
        });
    }

    /// Replaces the buffer by a copy of `bytes`, for lines whose ranges refer to it.
    #[inline]
    pub fn set_bytes(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds bytes at the end of the buffer; returns where they start.
    ///
    /// For cores that decode names and values one by one. The text is bounded by
    /// [`Limits`](crate::Limits), far below what a `u32` can address.
    #[inline]
    pub fn push_bytes(&mut self, bytes: &[u8]) -> u32 {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        start
    }

    /// Makes one line of all lines of that name, in the place of the first, with `separator` between
    /// the values.
    pub fn join(&mut self, field: KnownField, separator: &[u8]) {
        let Self { bytes, lines, .. } = self;
        let (start, mut first) = (bytes.len() as u32, None);
        for (at, line) in lines.iter().enumerate() {
            if line.known != field.id() {
                continue;
            }
            if first.is_some() {
                bytes.extend_from_slice(separator);
            }
            first = first.or(Some(at));
            let value_end = line.value_start as usize + line.value_len as usize;
            if value_end <= bytes.len() {
                bytes.extend_from_within(line.value_start as usize..value_end);
            }
        }
        let Some(first) = first else {
            return;
        };
        lines[first].value_start = start;
        lines[first].value_len = bytes.len() as u32 - start;
        let mut at = 0;
        lines.retain(|line| {
            at += 1;
            line.known != field.id() || at - 1 == first
        });
    }

    /// The buffer.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Removes the lines for which `keep` says no. The first argument is `None` for unknown names.
    pub fn retain(&mut self, mut keep: impl FnMut(Option<KnownField>, &[u8]) -> bool) {
        let bytes = &self.bytes;
        let mut known = Presence::NONE;
        self.lines.retain(|line| {
            let field = KnownField::from_id(line.known);
            let kept = keep(field, line.value(bytes));
            if let (true, Some(field)) = (kept, field) {
                known.insert(field);
            }
            kept
        });
        self.known = known;
    }
}

impl FieldLine {
    #[inline]
    fn value<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        range(bytes, self.value_start, self.value_len)
    }

    #[inline]
    fn raw_name<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        range(bytes, self.name_start, u32::from(self.name_len))
    }

    #[inline]
    fn name<'b>(&self, bytes: &'b [u8]) -> &'b str {
        match KnownField::from_id(self.known) {
            Some(field) => field.as_str(),
            // A token is ASCII.
            None => std::str::from_utf8(self.raw_name(bytes)).unwrap_or_default(),
        }
    }
}

/// Empty for a range outside of the buffer: a parser's mistake must not become a panic.
#[inline]
fn range(bytes: &[u8], start: u32, len: u32) -> &[u8] {
    let found = bytes.get(start as usize..start as usize + len as usize);
    debug_assert!(
        found.is_some(),
        "field line outside of the section's buffer"
    );
    found.unwrap_or_default()
}

fn check_name(name: &[u8]) -> Result<(), InvalidField> {
    if class::is_token(name) && name.len() <= usize::from(u16::MAX) {
        Ok(())
    } else {
        Err(InvalidField::Name)
    }
}

fn check_value(value: &[u8]) -> Result<(), InvalidField> {
    if class::is_field_value(value) {
        Ok(())
    } else {
        Err(InvalidField::Value)
    }
}

/// The lines of a section; see [`FieldSection::iter`].
#[derive(Clone)]
pub struct Iter<'a> {
    lines: std::slice::Iter<'a, FieldLine>,
    bytes: &'a [u8],
}

impl<'a> Iter<'a> {
    /// The next line with its known field, if it is one: spares a look-up of the name.
    #[inline]
    pub fn next_with_known(&mut self) -> Option<(Option<KnownField>, &'a str, &'a [u8])> {
        let line = self.lines.next()?;
        Some((
            KnownField::from_id(line.known),
            line.name(self.bytes),
            line.value(self.bytes),
        ))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        Some((line.name(self.bytes), line.value(self.bytes)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.lines.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a FieldSection {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The values of one known field; see [`FieldSection::get_all`].
#[derive(Clone)]
pub struct Values<'a> {
    lines: std::slice::Iter<'a, FieldLine>,
    bytes: &'a [u8],
    id: u8,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.lines.find(|line| line.known == self.id)?;
        Some(line.value(self.bytes))
    }
}

impl fmt::Debug for FieldSection {
    /// Values of credentials and cookies are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        let mut lines = self.iter();
        while let Some((known, name, value)) = lines.next_with_known() {
            if known.is_some_and(KnownField::is_secret) {
                map.entry(&name, &format_args!("<hidden>"));
            } else {
                map.entry(&name, &format_args!("\"{}\"", value.escape_ascii()));
            }
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests;
