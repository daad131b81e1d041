//! Decoded field lines: what decoders give out, and where to.

use std::ops::ControlFlow;

use ajay_http::class;

use crate::{dynamic_table::ENTRY_OVERHEAD_BYTES, name::KnownName};

/// A field line of a block or section. The strings live until the sink returns.
///
/// Whether they consist of allowed bytes was found out once, when they came as literals: for a line
/// from a table it is remembered. That is not judged here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DecodedField<'a> {
    /// The name's id; such a name is in lower case.
    pub known: Option<KnownName>,
    /// The name.
    pub name: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// Whether it is a literal that no intermediary may index (RFC 7541 §6.2.3, RFC 9204 §4.5.4).
    pub never_indexed: bool,
    /// Whether the name is known, or a token without upper case (RFC 9113 §8.2).
    pub is_name_valid: bool,
    /// Whether every byte of the value may stand in a field value (RFC 9110 §5.5). It may still
    /// begin or end with whitespace.
    pub is_value_valid: bool,
}

impl DecodedField<'_> {
    /// What it counts for limits on a field section (RFC 9113 §6.5.2, RFC 9114 §4.2.2).
    #[inline]
    #[must_use]
    pub const fn size(&self) -> usize {
        self.name.len() + self.value.len() + ENTRY_OVERHEAD_BYTES
    }
}

/// Takes the field lines of a block or section in order.
pub trait FieldSink {
    /// Takes one. After [`ControlFlow::Break`] it is not called again for this block, which
    /// is decoded to its end all the same: a rule may be broken there, and in HTTP/2 it changes the
    /// dynamic table.
    fn field(&mut self, field: DecodedField<'_>) -> ControlFlow<()>;
}

impl<F: FnMut(DecodedField<'_>) -> ControlFlow<()>> FieldSink for F {
    #[inline]
    fn field(&mut self, field: DecodedField<'_>) -> ControlFlow<()> {
        self(field)
    }
}

/// Where Huffman-encoded strings are decoded to. One serves any number of decoders, one after the
/// other; it grows to 1.6 times the longest block.
#[derive(Debug, Default)]
pub struct Scratch(pub(crate) Vec<u8>);

impl Scratch {
    /// An empty one. Does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Memory held.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.0.capacity()
    }

    /// Gives memory beyond `bytes` back.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.0.truncate(bytes);
        self.0.shrink_to(bytes);
    }
}

/// Whether a value may enter tables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sensitivity {
    /// It may, unless the field's name forbids it.
    Public,
    /// It must not, here and at any intermediary (RFC 7541 §7.1.3, RFC 9204 §7.1.3).
    Secret,
}

/// Whether a name is a token without upper case (RFC 9113 §8.2, RFC 9114 §4.2).
pub(crate) fn is_lower_token(name: &[u8]) -> bool {
    class::is_token(name) && !name.iter().any(u8::is_ascii_uppercase)
}

/// A sink until it has said that it wants no more.
pub(crate) struct Gate<'a, S> {
    sink: &'a mut S,
    pub(crate) is_open: bool,
}

impl<'a, S: FieldSink> Gate<'a, S> {
    pub(crate) fn new(sink: &'a mut S) -> Self {
        Self {
            sink,
            is_open: true,
        }
    }

    #[inline]
    pub(crate) fn pass<'b>(&mut self, field: impl FnOnce() -> DecodedField<'b>) {
        if self.is_open {
            self.is_open = self.sink.field(field()).is_continue();
        }
    }
}
