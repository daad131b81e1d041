//! What connections share.

use ajay_http::Limits;

use crate::Budgets;

/// What connections share. Passed by reference, so that a connection does not hold it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// Bounds on requests.
    pub limits: Limits,
    /// Requests at once. Beyond it: H3_REQUEST_REJECTED. The transport's own limit is to be the same, so
    /// that clients know.
    pub concurrent_streams_max: u32,
    /// Bytes of the dynamic table that the peer's encoder may use (SETTINGS_QPACK_MAX_TABLE_CAPACITY).
    pub qpack_table_bytes_max: u32,
    /// Requests that may wait for the peer's encoder (SETTINGS_QPACK_BLOCKED_STREAMS).
    pub qpack_blocked_streams_max: u32,
    /// How often a peer may do what costs us more than the peer.
    pub budgets: Budgets,
}

impl Config {
    /// 100, as in HTTP/2.
    pub const CONCURRENT_STREAMS_MAX: u32 = 100;
    /// None: a request takes a few hundred bytes more, and nothing ever waits.
    pub const QPACK_TABLE_BYTES_MAX: u32 = 0;
    /// None.
    pub const QPACK_BLOCKED_STREAMS_MAX: u32 = 0;

    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            limits: Limits::new(),
            concurrent_streams_max: Self::CONCURRENT_STREAMS_MAX,
            qpack_table_bytes_max: Self::QPACK_TABLE_BYTES_MAX,
            qpack_blocked_streams_max: Self::QPACK_BLOCKED_STREAMS_MAX,
            budgets: Budgets::new(),
        }
    }

    /// Lines of a field section that are decoded at all. Indexed lines take one byte each: those beyond the
    /// limits are refused, and these not even looked at.
    pub(crate) fn section_lines_max(&self) -> u32 {
        let limits = &self.limits;
        let most = limits.field_lines_max.max(limits.trailer_lines_max);
        u32::from(most).saturating_mul(LINES_FACTOR).max(LINES_MIN)
    }

    /// Bytes of an encoded field section that are gathered.
    pub(crate) fn section_bytes_max(&self) -> u64 {
        let most = self
            .limits
            .head_bytes_max
            .max(self.limits.trailer_bytes_max);
        u64::from(most) + SECTION_OVERHEAD_BYTES
    }
}

/// As for HTTP/2's field blocks: whoever sends so many more than allowed does not want an answer.
const LINES_FACTOR: u32 = 4;
const LINES_MIN: u32 = 256;

/// The prefix, and what Huffman code may waste.
const SECTION_OVERHEAD_BYTES: u64 = 1024;

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
