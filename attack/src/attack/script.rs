//! What one connection of an attack does, as data.

use crate::Protocol;

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
