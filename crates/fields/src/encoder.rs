//! What encoders of field blocks have in common.

use ajay_http::{KnownField, StatusCode};

/// An encoder of a response's field blocks: [`begin`](Self::begin) and any number of field lines, all of
/// which append to the caller's buffer.
pub trait FieldEncoder {
    /// Begins a field block.
    fn begin(&mut self, out: &mut Vec<u8>);

    /// Adds `:status`.
    fn status(&mut self, status: StatusCode, out: &mut Vec<u8>);

    /// Adds a field line. The name is in lower case; `known` is its id if it has one.
    fn field(
        &mut self,
        known: Option<KnownField>,
        name_lowercase: &[u8],
        value: &[u8],
        sensitivity: Sensitivity,
        out: &mut Vec<u8>,
    );
}

/// Whether a value may enter tables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sensitivity {
    /// It may, unless the field's name forbids it.
    Public,
    /// It must not, here and at any intermediary (RFC 7541 §7.1.3).
    Secret,
}
