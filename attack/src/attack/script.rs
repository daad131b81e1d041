//! What one connection of an attack does, as data.

use crate::Protocol;
use crate::h2::{HEADER_BYTES, kind};

/// What a connection does from its first byte to its end. The last step is one that does not end,
/// or [`Close`](Step::Close) or [`Reset`](Step::Reset).
#[derive(Debug)]
pub(super) struct Script {
    /// Under which name it is counted; scripts may share one.
    pub(super) variant: &'static str,
    pub(super) steps: Vec<Step>,
    pub(super) reading: Reading,
    /// `SO_RCVBUF`, if not the system's.
    pub(super) receive_buffer: Option<usize>,
    /// How what comes is understood.
    pub(super) protocol: Protocol,
    /// SETTINGS that were read are acknowledged, between two steps or two rounds of one. Not
    /// where only one thing may be sent.
    pub(super) acknowledges: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// All of it, as fast as it is taken.
    Send(Vec<u8>),
    /// Another one on each connection.
    SendOneOf(Vec<Vec<u8>>),
    /// Again and again.
    SendForever(Vec<u8>),
    /// Again and again, each time on new streams.
    SendStreamsForever(Streams),
    /// A byte each period.
    Trickle(Vec<u8>),
    /// A byte each period, again and again.
    TrickleForever(Vec<u8>),
    /// All of it each period, again and again.
    SendEachPeriod(Vec<u8>),
    /// Waits until something has been received.
    Await,
    /// Long enough for the server to have read what was sent.
    Pause,
    /// Reads a little each period; ends with the connection.
    ReadSlowly,
    /// Waits for the server to end the connection.
    Stay,
    /// Closes the sending side.
    Finish,
    /// Closes in order.
    Close,
    /// Closes with a reset.
    Reset,
}

/// Frames of HTTP/2 on so many streams, which every connection sends from a copy of its own.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) bytes: Vec<u8>,
    /// Where in them the identifiers are.
    identifiers: Vec<usize>,
    /// Identifiers only grow (RFC 9113 §5.1.1): by how much from one time to the next. A thousand
    /// million streams are more than anybody waits for.
    step: u32,
}

impl Streams {
    /// Of whole frames.
    pub(super) fn new(bytes: Vec<u8>, streams: u32) -> Streams {
        let mut identifiers = Vec::new();
        let mut at = 0;
        while let Some([a, b, c, kind, ..]) = bytes.get(at..at + HEADER_BYTES) {
            let own = at + 5;
            identifiers.push(own);
            let payload = at + HEADER_BYTES;
            // A stream that depends on itself goes on doing so.
            let depends = *kind == kind::PRIORITY
                && bytes.get(payload..payload + 4) == bytes.get(own..own + 4);
            identifiers.extend(depends.then_some(payload));
            at = payload + u32::from_be_bytes([0, *a, *b, *c]) as usize;
        }
        Streams {
            bytes,
            identifiers,
            step: 2 * streams,
        }
    }

    /// Makes `bytes` those of the next streams.
    pub(super) fn advance(&self, bytes: &mut [u8]) {
        for at in &self.identifiers {
            if let Some(identifier) = bytes[*at..].first_chunk_mut() {
                let next = u32::from_be_bytes(*identifier).wrapping_add(self.step);
                *identifier = next.to_be_bytes();
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// All that comes, and throws it away.
    All,
    /// Nothing, but what a step reads.
    Nothing,
}

impl Script {
    /// A script that reads all that comes.
    pub(super) fn new(variant: &'static str, steps: Vec<Step>) -> Script {
        Script {
            variant,
            steps,
            reading: Reading::All,
            receive_buffer: None,
            protocol: Protocol::Http1,
            acknowledges: false,
        }
    }

    /// The same over HTTP/2.
    pub(super) fn http2(variant: &'static str, steps: Vec<Step>) -> Script {
        Script {
            protocol: Protocol::Http2,
            acknowledges: true,
            ..Script::new(variant, steps)
        }
    }

    /// The same without reading.
    pub(super) fn unread(mut self) -> Script {
        self.reading = Reading::Nothing;
        self
    }

    /// The same without acknowledging the server's SETTINGS.
    pub(super) fn unacknowledged(mut self) -> Script {
        self.acknowledges = false;
        self
    }
}
