//! HTTP/2 frames (RFC 9113 §4 and §6), written and read by hand: attackers write what no library
//! would, and who counts must know which byte belongs to which request.

pub(crate) mod fields;
mod scanner;

pub(crate) use scanner::{Frame, Scanner};

/// What a client sends first (§3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Of a frame.
pub(crate) const HEADER_BYTES: usize = 9;
/// The largest payload that everybody takes.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 16_384;
/// Of a stream and of the connection, until somebody says otherwise.
pub(crate) const WINDOW_INITIAL: u32 = 65_535;
pub(crate) const WINDOW_MAX: u32 = (1 << 31) - 1;
/// The upper bit of stream identifiers, last stream identifiers and increments means nothing.
const RESERVED_BIT: u32 = 1 << 31;

/// Frame types.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0x0;
    pub(crate) const HEADERS: u8 = 0x1;
    pub(crate) const PRIORITY: u8 = 0x2;
    pub(crate) const RST_STREAM: u8 = 0x3;
    pub(crate) const SETTINGS: u8 = 0x4;
    pub(crate) const PUSH_PROMISE: u8 = 0x5;
    pub(crate) const PING: u8 = 0x6;
    pub(crate) const GOAWAY: u8 = 0x7;
    pub(crate) const WINDOW_UPDATE: u8 = 0x8;
    pub(crate) const CONTINUATION: u8 = 0x9;
    /// RFC 9218 §7.1.
    pub(crate) const PRIORITY_UPDATE: u8 = 0x10;
    /// Nobody's: §5.5 says that such frames are ignored.
    pub(crate) const UNKNOWN: u8 = 0xbb;
}

/// Flags of frames.
pub(crate) mod flag {
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// Settings that are sent or looked at.
pub(crate) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 0x1;
    pub(crate) const ENABLE_PUSH: u16 = 0x2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 0x4;
}

/// Error codes (§7) that are sent or looked at.
pub(crate) mod code {
    pub(crate) const REFUSED_STREAM: u32 = 0x7;
    pub(crate) const CANCEL: u32 = 0x8;
}

const CODE_NAMES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// An error code by name.
pub(crate) fn code_name(code: u32) -> &'static str {
    let at = usize::try_from(code).unwrap_or(usize::MAX);
    CODE_NAMES.get(at).copied().unwrap_or("unknown code")
}

/// A frame, with this payload whatever its type would want.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
    put_frame(&mut frame, kind, flags, stream, payload);
    frame
}

pub(crate) fn put_frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let len = payload.len() as u32;
    to.extend_from_slice(&len.to_be_bytes()[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}

/// A whole field block: HEADERS, and CONTINUATION for what does not fit.
pub(crate) fn put_headers(to: &mut Vec<u8>, flags: u8, stream: u32, block: &[u8]) {
    let mut rest = block;
    let mut kind = kind::HEADERS;
    let mut flags = flags;
    loop {
        let (fragment, behind) = rest.split_at(rest.len().min(PAYLOAD_BYTES_MAX));
        let end = if behind.is_empty() {
            flag::END_HEADERS
        } else {
            0
        };
        put_frame(to, kind, flags | end, stream, fragment);
        if behind.is_empty() {
            return;
        }
        (rest, kind, flags) = (behind, kind::CONTINUATION, 0);
    }
}

pub(crate) fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    let mut frames = Vec::with_capacity(HEADER_BYTES + block.len());
    put_headers(&mut frames, flags, stream, block);
    frames
}

pub(crate) fn data(flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    frame(kind::DATA, flags, stream, content)
}

pub(crate) fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub(crate) fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let pairs = settings.iter().map(|(setting, value)| {
        let [a, b, c, d] = value.to_be_bytes();
        let [high, low] = setting.to_be_bytes();
        [high, low, a, b, c, d]
    });
    let payload: Vec<u8> = pairs.flatten().collect();
    frame(kind::SETTINGS, 0, 0, &payload)
}

pub(crate) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub(crate) fn ping(flags: u8) -> Vec<u8> {
    frame(kind::PING, flags, 0, b"attacker")
}

/// PRIORITY as of RFC 7540 §6.3.
pub(crate) fn priority(stream: u32, depends_on: u32) -> Vec<u8> {
    let [a, b, c, d] = depends_on.to_be_bytes();
    frame(kind::PRIORITY, 0, stream, &[a, b, c, d, 15])
}

/// The payload of DATA or HEADERS without padding and priority; none if they do not fit.
pub(crate) fn content_of(kind: u8, flags: u8, payload: &[u8]) -> Option<&[u8]> {
    let mut rest = payload;
    if flags & flag::PADDED != 0 {
        let (padding, behind) = rest.split_first()?;
        let len = behind.len().checked_sub(usize::from(*padding))?;
        rest = &behind[..len];
    }
    if kind == kind::HEADERS && flags & flag::PRIORITY != 0 {
        rest = rest.get(5..)?;
    }
    Some(rest)
}

/// The 32 bits at `at`, without the reserved one.
pub(crate) fn number_at(payload: &[u8], at: usize) -> Option<u32> {
    Some(whole_number_at(payload, at)? & !RESERVED_BIT)
}

/// The 32 bits at `at`.
pub(crate) fn whole_number_at(payload: &[u8], at: usize) -> Option<u32> {
    let bytes = payload.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests;
