//! Bytes of a client.

use ajay_fields::{Sensitivity, qpack::Encoder};

use crate::{frame, varint};

/// A client's control stream with empty SETTINGS.
pub const CONTROL: &[u8] = b"\x00\x04\x00";

/// A number.
#[must_use]
pub fn number(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint::encode(value, &mut out);
    out
}

/// A frame.
#[must_use]
pub fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_header(kind, payload.len() as u64, &mut out);
    out.extend_from_slice(payload);
    out
}

/// HEADERS with these lines, all of them literals.
#[must_use]
pub fn headers(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut section = Vec::new();
    let mut encoder = Encoder::new();
    encoder.begin(&mut section);
    for (name, value) in lines {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        encoder.field(None, name, value, Sensitivity::Public, &mut section);
    }
    frame(frame::kind::HEADERS, &section)
}

/// DATA.
#[must_use]
pub fn data(content: &[u8]) -> Vec<u8> {
    frame(frame::kind::DATA, content)
}

/// The four lines of a request for `/`.
pub const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "a"),
    (":path", "/"),
];

/// HEADERS of a request for `/` with more lines.
#[must_use]
pub fn request(method: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut lines = GET.to_vec();
    lines[0].1 = method;
    lines.extend_from_slice(more);
    headers(&lines)
}
