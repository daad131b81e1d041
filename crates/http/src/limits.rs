//! What we accept from a peer.

/// Bounds on a request, the same for every protocol version.
///
/// Each default stands beside its reason. A bound that is met is a [`crate::StatusCode`] of the
/// 4xx class on the wire, never a panic or an unbounded buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of a request head: request-line, field lines and the empty line. Beyond it: 431.
    pub head_bytes_max: u32,
    /// Bytes of a request target. Beyond it: 414.
    pub target_bytes_max: u32,
    /// Field lines of a header section. Beyond it: 431.
    pub field_lines_max: u16,
    /// Bytes of a trailer section. Beyond it: 431.
    pub trailer_bytes_max: u32,
    /// Field lines of a trailer section. Beyond it: 431.
    pub trailer_lines_max: u16,
    /// Bytes of chunk extensions in one message, all chunks together. Beyond it: 400.
    pub chunk_extension_bytes_max: u32,
    /// Bytes of content in one request, declared or counted. Beyond it: 413.
    pub content_bytes_max: u64,
}

impl Limits {
    /// 16 KiB: large cookies and bearer tokens pass (common servers allow 8 to 32 KiB); it is also
    /// what one connection can make us hold before it has proved anything.
    pub const HEAD_BYTES_MAX: u32 = 16 * 1024;
    /// 8 KiB: RFC 9112 §3 recommends at least 8 000 bytes for a request-line.
    pub const TARGET_BYTES_MAX: u32 = 8 * 1024;
    /// 100: browsers send 10 to 30, long proxy chains some 50; each costs 16 bytes of table.
    pub const FIELD_LINES_MAX: u16 = 100;
    /// 8 KiB: trailers carry a digest or a status; half a head is generous.
    pub const TRAILER_BYTES_MAX: u32 = 8 * 1024;
    /// 32: as for the bytes.
    pub const TRAILER_LINES_MAX: u16 = 32;
    /// 4 KiB: nobody sends extensions except to make us read them; the sum over all chunks is
    /// bounded because one byte for each of many chunks costs as much as many in one.
    pub const CHUNK_EXTENSION_BYTES_MAX: u32 = 4 * 1024;
    /// 1 GiB: content is streamed, so this bounds time and disk of the application, not our memory.
    pub const CONTENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            head_bytes_max: Self::HEAD_BYTES_MAX,
            target_bytes_max: Self::TARGET_BYTES_MAX,
            field_lines_max: Self::FIELD_LINES_MAX,
            trailer_bytes_max: Self::TRAILER_BYTES_MAX,
            trailer_lines_max: Self::TRAILER_LINES_MAX,
            chunk_extension_bytes_max: Self::CHUNK_EXTENSION_BYTES_MAX,
            content_bytes_max: Self::CONTENT_BYTES_MAX,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
