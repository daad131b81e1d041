//! Getters: what the caller's deadlines, limits and counters ask for.

use super::{Connection, DrainState};
use crate::{
    Priority, StreamKey,
    stream::{Receive, Send},
};

/// What is being read, for the choice of a deadline.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// Requests.
    Streams,
    /// Nothing: there are no requests.
    Idle,
    /// Nothing will be read any more.
    Done,
}

impl Connection {
    /// What is being read.
    #[must_use]
    pub fn reading(&self) -> Reading {
        if self.is_closed {
            Reading::Done
        } else if self.is_idle() {
            Reading::Idle
        } else {
            Reading::Streams
        }
    }

    /// Since when there have been no requests, in the caller's milliseconds, if that is so.
    #[must_use]
    pub fn idle_since(&self) -> Option<u64> {
        self.is_idle().then_some(self.idle_since)
    }

    /// A stream that no event has told of, whose request's head has been incomplete since that time or
    /// longer.
    #[must_use]
    pub fn find_incomplete(&self, since: u64) -> Option<u64> {
        self.streams
            .iter()
            .find(|(_, stream)| !stream.is_known && stream.opened_at <= since)
            .map(|(key, _)| key.id())
    }

    /// How many DATA frames with at most [`TINY_DATA_BYTES_MAX`](crate::TINY_DATA_BYTES_MAX) of content came
    /// since this was last asked, wanted or not.
    #[inline]
    pub fn take_tiny_data(&mut self) -> u32 {
        std::mem::take(&mut self.tiny_data)
    }

    /// The request of that number.
    #[inline]
    #[must_use]
    pub fn key_of(&self, stream: u64) -> Option<StreamKey> {
        self.streams.find(stream)
    }

    /// The number of requests, those included that were reset and are not done.
    #[inline]
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether there are no requests.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.streams.len() == 0
    }

    /// Whether content could be sent now: [`next_grant`](Self::next_grant) would say yes.
    #[inline]
    #[must_use]
    pub const fn has_grants(&self) -> bool {
        !self.scheduler.is_empty()
    }

    /// Whether nothing more is to happen: the connection is closed, or it is draining, and no request is
    /// left.
    #[must_use]
    pub fn wants_close(&self) -> bool {
        let is_ending = matches!(self.drain, DrainState::Last(_));
        self.is_closed || (is_ending && self.is_idle())
    }

    /// Whether the client has said that it will send no more requests, or none that it expects an answer
    /// to: it sent GOAWAY.
    #[must_use]
    pub const fn is_peer_leaving(&self) -> bool {
        self.peer_goaway.is_some()
    }

    /// Whether nothing is read any more.
    #[inline]
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether the transport takes no more of a stream, as far as was told.
    #[must_use]
    pub fn is_blocked(&self, key: StreamKey) -> bool {
        self.streams
            .get(key)
            .is_some_and(|stream| stream.is_blocked)
    }

    /// Whether a stream waits for [`send_continue`](Self::send_continue): the client asked for it, it was
    /// not sent, and neither content nor a final response has begun.
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
        self.streams.get(key).is_some_and(|stream| {
            matches!(
                stream.receive,
                Receive::Content { .. } | Receive::Trailers | Receive::Discard
            )
        })
    }

    /// A stream's priority as the peer has told it (RFC 9218).
    #[must_use]
    pub fn priority(&self, key: StreamKey) -> Option<Priority> {
        self.streams.get(key).map(|stream| stream.priority)
    }

    /// Unidirectional streams of the peer that are open.
    #[must_use]
    pub fn open_unidirectional(&self) -> usize {
        self.unidirectional.len()
    }

    /// Memory held beside this value itself, but for that of streams without a field section.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        let sections = self.streams.iter();
        let sections = sections.map(|(_, stream)| stream.reading.capacity_bytes());
        self.decoder.capacity_bytes()
            + self.scratch.capacity_bytes()
            + self.control_output.capacity()
            + self.decoder_output.capacity()
            + self.unidirectional.capacity_bytes()
            + sections.sum::<usize>()
    }
}
