//! Getters: what the caller's deadlines, limits and counters ask for.

use super::{Connection, DrainState, Receive};
use crate::{Priority, StreamKey, stream::Send};

/// What is being read, for the choice of a deadline.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// The client's connection preface and its first SETTINGS.
    Preface,
    /// The rest of a frame or of a field block.
    Frame,
    /// Frames of open streams.
    Streams,
    /// Nothing: there are no streams.
    Idle,
    /// Nothing will be read any more.
    Done,
}

/// Since when something is unfinished, in the caller's milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnfinishedSince {
    /// What [`Connection::reading`] says, for `Preface`, `Frame` and `Idle`.
    pub reading: Option<u64>,
    /// Our SETTINGS were not acknowledged (RFC 9113 §6.5.3).
    pub settings: Option<u64>,
    /// Content waits for a window, of the connection or of the stream that has waited longest.
    pub output: Option<u64>,
}

impl Connection {
    /// What is being read.
    #[must_use]
    pub fn reading(&self) -> Reading {
        match self.receive {
            Receive::Preface { .. } | Receive::Frames { is_first: true } => Reading::Preface,
            Receive::Closed => Reading::Done,
            _ if self.since.incomplete.is_some() => Reading::Frame,
            _ if self.is_idle() => Reading::Idle,
            Receive::Frames { .. } | Receive::Data(_) | Receive::Skip { .. } => Reading::Streams,
        }
    }

    /// How many DATA frames with at most [`TINY_DATA_BYTES_MAX`](crate::TINY_DATA_BYTES_MAX) of content
    /// that do not end it came since this was last asked, wanted or not.
    #[inline]
    pub fn take_tiny_data(&mut self) -> u32 {
        std::mem::take(&mut self.tiny_data)
    }

    /// Since when what is unfinished has been so. Looks at every stream: meant for a timer's tick.
    #[must_use]
    pub fn unfinished_since(&self) -> UnfinishedSince {
        let blocked = self
            .streams
            .iter()
            .filter_map(|(_, stream)| stream.blocked_since);
        UnfinishedSince {
            reading: match self.reading() {
                Reading::Preface | Reading::Idle => Some(self.since.idle),
                Reading::Frame => self.since.incomplete,
                Reading::Streams | Reading::Done => None,
            },
            settings: self.since.settings,
            output: blocked.chain(self.since.blocked).min(),
        }
    }

    /// A stream whose content has waited for its window since that time or longer.
    #[must_use]
    pub fn find_blocked(&self, since: u64) -> Option<StreamKey> {
        self.streams
            .iter()
            .find(|(_, stream)| stream.blocked_since.is_some_and(|blocked| blocked <= since))
            .map(|(key, _)| key)
    }

    /// Whether content of a stream waits for the stream's own window, and not for its turn.
    #[must_use]
    pub fn is_blocked(&self, key: StreamKey) -> bool {
        let stream = self.streams.get(key);
        stream.is_some_and(|stream| stream.blocked_since.is_some())
    }

    /// Whether streams that could send content wait for the connection's window.
    #[inline]
    #[must_use]
    pub fn is_window_exhausted(&self) -> bool {
        self.window.bytes() == 0 && !self.scheduler.is_empty()
    }

    /// A stream of which no content has come since that time or longer, although the peer may send
    /// some and has not ended it.
    #[must_use]
    pub fn find_stalled(&self, since: u64) -> Option<StreamKey> {
        self.streams
            .iter()
            .find(|(_, stream)| {
                stream.is_receiving()
                    && stream.received_at <= since
                    && stream.receive_window.available() > 0
                    && self.receive_window.available() > 0
            })
            .map(|(key, _)| key)
    }

    /// The number of streams, those included that were reset and are not done.
    #[inline]
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether there are no streams.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.streams.len() == 0
    }

    /// Whether content could be sent now: [`next_grant`](Self::next_grant) would say yes.
    #[inline]
    #[must_use]
    pub fn has_grants(&self) -> bool {
        !self.scheduler.is_empty() && self.window.bytes() > 0
    }

    /// Whether nothing more is to happen: the connection is closed, or it is draining, or the peer is
    /// leaving, and no stream is left. The output is to be sent before the connection is closed.
    #[must_use]
    pub fn wants_close(&self) -> bool {
        let is_ending = self.peer_is_leaving || matches!(self.drain, DrainState::Last(_));
        self.is_closed() || (is_ending && self.is_idle())
    }

    /// Whether nothing is read any more.
    #[inline]
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.receive, Receive::Closed)
    }

    /// Whether a stream waits for [`send_continue`](Self::send_continue): the client asked for it, it
    /// was not sent, and neither content nor a final response has begun.
    #[must_use]
    pub fn expects_continue(&self, key: StreamKey) -> bool {
        self.streams
            .get(key)
            .is_some_and(|stream| stream.expects_continue && stream.send == Send::Due)
    }

    /// Whether a final response's head is due.
    #[must_use]
    pub fn is_response_due(&self, key: StreamKey) -> bool {
        self.streams
            .get(key)
            .is_some_and(|stream| stream.send == Send::Due)
    }

    /// Whether more of a request's content may come.
    #[must_use]
    pub fn is_receiving(&self, key: StreamKey) -> bool {
        self.streams
            .get(key)
            .is_some_and(crate::stream::Stream::is_receiving)
    }

    /// A stream's priority as the peer has told it (RFC 9218).
    #[must_use]
    pub fn priority(&self, key: StreamKey) -> Option<Priority> {
        self.streams.get(key).map(|stream| stream.priority)
    }

    /// Memory held beside this value itself, but for the streams'.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.decoder.capacity_bytes()
            + self.encoder.table().capacity_bytes()
            + self.scratch.capacity_bytes()
            + self.block_bytes.capacity()
    }
}
