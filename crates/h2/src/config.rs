//! What connections share.

use ajay_http::Limits;

use crate::{
    Budgets,
    flow::{WINDOW_INITIAL, WINDOW_MAX},
    frame::{PAYLOAD_LEN_MAX, PAYLOAD_LEN_MIN_MAX},
};

/// What connections share. Passed by reference, so that a connection does not hold it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// Bounds on requests.
    pub limits: Limits,
    /// Streams at once. Beyond it: REFUSED_STREAM.
    pub concurrent_streams_max: u32,
    /// Content of a stream that may come before any of it is used; at least 65 535.
    pub stream_window: u32,
    /// To which size that grows for fast uploads.
    pub stream_window_max: u32,
    /// Content of all streams that may come before any of it is used; at least 65 535.
    pub connection_window: u32,
    /// To which size that grows for fast uploads.
    pub connection_window_max: u32,
    /// The largest payload of a frame that we take, at least 16 384. The caller must be able to hold
    /// one frame and its header.
    pub frame_bytes_max: u32,
    /// Bytes of the dynamic table that the peer's encoder may use.
    pub header_table_bytes_max: u32,
    /// Bytes that may wait in the caller's output buffer before nothing more is read.
    pub output_bytes_max: usize,
    /// How often a peer may do what costs us more than the peer.
    pub budgets: Budgets,
}

impl Config {
    /// 100: what RFC 9113 §6.5.2 recommends not to go below, and what browsers expect.
    pub const CONCURRENT_STREAMS_MAX: u32 = 100;
    /// 65 535: what every stream has without a word; most uploads are smaller.
    pub const STREAM_WINDOW: u32 = WINDOW_INITIAL;
    /// 1 MiB: 100 Mbit/s over 80 ms.
    pub const STREAM_WINDOW_MAX: u32 = 1024 * 1024;
    /// 128 KiB: two streams' worth. It is what handlers that do not read can make us hold.
    pub const CONNECTION_WINDOW: u32 = 128 * 1024;
    /// 2 MiB: two fast uploads at once.
    pub const CONNECTION_WINDOW_MAX: u32 = 2 * 1024 * 1024;
    /// 16 KiB: the least that is allowed. Larger frames would only make others wait.
    pub const FRAME_BYTES_MAX: u32 = PAYLOAD_LEN_MIN_MAX;
    /// 4 KiB: the initial size. It holds a browser's usual fields; each connection pays for it.
    pub const HEADER_TABLE_BYTES_MAX: u32 = 4096;
    /// 256 KiB: more than a turn's responses to 32 streams; a peer that sends and never reads stops
    /// us there.
    pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;

    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            limits: Limits::new(),
            concurrent_streams_max: Self::CONCURRENT_STREAMS_MAX,
            stream_window: Self::STREAM_WINDOW,
            stream_window_max: Self::STREAM_WINDOW_MAX,
            connection_window: Self::CONNECTION_WINDOW,
            connection_window_max: Self::CONNECTION_WINDOW_MAX,
            frame_bytes_max: Self::FRAME_BYTES_MAX,
            header_table_bytes_max: Self::HEADER_TABLE_BYTES_MAX,
            output_bytes_max: Self::OUTPUT_BYTES_MAX,
            budgets: Budgets::new(),
        }
    }

    /// A stream's window. Never smaller than the initial one: the peer may use that until it has
    /// read our SETTINGS.
    pub(crate) fn stream_window(&self) -> u32 {
        self.stream_window.clamp(WINDOW_INITIAL, WINDOW_MAX)
    }

    /// The connection's window, which can only grow (§6.9.2).
    pub(crate) fn connection_window(&self) -> u32 {
        self.connection_window.clamp(WINDOW_INITIAL, WINDOW_MAX)
    }

    pub(crate) fn frame_bytes_max(&self) -> u32 {
        self.frame_bytes_max
            .clamp(PAYLOAD_LEN_MIN_MAX, PAYLOAD_LEN_MAX)
    }

    /// The largest windows of a stream and of the connection.
    pub(crate) fn windows_max(&self) -> (u32, u32) {
        (
            self.stream_window_max.min(WINDOW_MAX),
            self.connection_window_max.min(WINDOW_MAX),
        )
    }

    /// The longest field block, compressed. Twice what a head may have: a head that is a little too
    /// large is answered, what is larger is no accident.
    pub(crate) const fn block_bytes_max(&self) -> usize {
        self.limits.head_bytes_max as usize * 2
    }

    /// The most lines of a field block, each of which may be a single byte. A head with a few too many
    /// is answered; what has many times more is made to cost us time.
    pub(crate) const fn block_lines_max(&self) -> u32 {
        let lines = self.limits.field_lines_max as u32 * 4;
        if lines < BLOCK_LINES_MIN {
            BLOCK_LINES_MIN
        } else {
            lines
        }
    }
}

/// However few lines a head may have, so many are read; that takes less than ten microseconds.
const BLOCK_LINES_MIN: u32 = 1000;

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
