//! What the encoders of both kinds have in common.

use ajay_http::{KnownField, StatusCode};

use crate::{field_line::Sensitivity, hpack, qpack};

/// An encoder of a response's field blocks or sections: [`begin`](Self::begin) and any number of field
/// lines, all of which append to the caller's buffer.
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

macro_rules! delegate {
    ($encoder:ty) => {
        impl FieldEncoder for $encoder {
            #[inline]
            fn begin(&mut self, out: &mut Vec<u8>) {
                Self::begin(self, out);
            }

            #[inline]
            fn status(&mut self, status: StatusCode, out: &mut Vec<u8>) {
                Self::status(self, status, out);
            }

            #[inline]
            fn field(
                &mut self,
                known: Option<KnownField>,
                name_lowercase: &[u8],
                value: &[u8],
                sensitivity: Sensitivity,
                out: &mut Vec<u8>,
            ) {
                Self::field(self, known, name_lowercase, value, sensitivity, out);
            }
        }
    };
}

delegate!(hpack::Encoder);
delegate!(qpack::Encoder);
