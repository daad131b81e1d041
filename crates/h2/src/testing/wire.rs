//! The wire seen from the other side: frames that a client writes, and those of a server read back.

use ajay_fields::{KnownName, PseudoField, hpack};
use ajay_http::KnownField;

/// What a client begins with: the preface and empty SETTINGS.
pub const CLIENT_START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A frame that was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// A frame's bytes.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Reads the frame that `bytes` starts with, if it is all there; returns its length too.
#[must_use]
pub fn read_frame(bytes: &[u8]) -> Option<(Frame, usize)> {
    let header: &[u8; 9] = bytes.first_chunk()?;
    let len = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
    let frame = Frame {
        kind: header[3],
        flags: header[4],
        stream: u32::from_be_bytes([header[5], header[6], header[7], header[8]]),
        payload: bytes.get(9..9 + len)?.to_vec(),
    };
    Some((frame, 9 + len))
}

/// All frames of some bytes.
///
/// # Panics
/// The bytes do not end with a frame's end.
#[must_use]
pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, len) = read_frame(bytes).expect("whole frames");
        bytes = &bytes[len..];
        frames.push(frame);
    }
    frames
}

/// Field lines as a client's encoder writes them.
pub fn block(encoder: &mut hpack::Encoder, fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    for (name, value) in fields {
        match PseudoField::from_name(name.as_bytes()) {
            Some(pseudo) => encoder.pseudo(pseudo, value, &mut out),
            None => encoder.field(
                KnownField::from_name(name.as_bytes()),
                name.as_bytes(),
                value,
                hpack::Sensitivity::Public,
                &mut out,
            ),
        }
    }
    out
}

/// The field lines of a block.
///
/// # Panics
/// The block cannot be decoded.
pub fn fields(decoder: &mut hpack::Decoder, block: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut lines = Vec::new();
    let mut sink = |field: hpack::DecodedField<'_>| {
        let name = String::from_utf8(field.name.to_vec()).expect("a name is ASCII");
        assert_eq!(field.known.map(KnownName::as_str).unwrap_or(&name), name);
        lines.push((name, field.value.to_vec()));
        std::ops::ControlFlow::Continue(())
    };
    decoder.decode(block, &mut sink).expect("a valid block");
    lines
}
