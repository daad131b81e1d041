//! One stream (RFC 9113 §5.1).
//!
//! A stream's two halves run independently, like those of an HTTP/1 exchange, and the states of the
//! RFC are pairs of theirs:
//!
//! | state of the RFC     | `receive`              | `send`                       |
//! |----------------------|------------------------|------------------------------|
//! | open                 | `Content`, `Discard`   | `Due`, `Length`, `Unbounded` |
//! | half-closed (remote) | `Ended`                | `Due`, `Length`, `Unbounded` |
//! | half-closed (local)  | `Content`, `Discard`   | `Finished`                   |
//! | closed by a reset    | `Reset`                | `Reset`                      |
//!
//! A stream both of whose halves have ended is removed at once. One that was reset stays, and counts
//! as a concurrent stream, until the application is done with it: its handler still costs us.

use ajay_mux::{MethodClass, Priority, response::Plan};

use crate::flow::{ReceiveWindow, SendWindow};

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: u32,
    pub(crate) receive: Receive,
    pub(crate) send: Send,
    pub(crate) method: MethodClass,
    /// The client waits for 100 (Continue).
    pub(crate) expects_continue: bool,
    pub(crate) priority: Priority,
    pub(crate) window: SendWindow,
    pub(crate) receive_window: ReceiveWindow,
    /// Content that the caller has and did not send yet.
    pub(crate) ready: u64,
    /// When the last content came, or the head.
    pub(crate) received_at: u64,
    /// Since when there is content but hardly a window.
    pub(crate) blocked_since: Option<u64>,
}

/// The receiving half.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Receive {
    /// Content is coming.
    Content {
        /// What `Content-Length` says.
        declared: Option<u64>,
        received: u64,
    },
    /// Content is coming that nobody will read.
    Discard,
    /// The request is complete.
    Ended,
    /// The stream was reset.
    Reset,
}

/// The sending half.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Send {
    /// A final response's head is due.
    Due,
    /// So many bytes of content are due.
    Length { remaining: u64 },
    /// Content of an unknown length, or what goes through a tunnel.
    Unbounded,
    /// The response is complete.
    Finished,
    /// The stream was reset.
    Reset,
}

impl Send {
    /// The state after the head.
    #[inline]
    pub(crate) const fn after(plan: Plan) -> Self {
        match plan {
            Plan::NoContent { .. } | Plan::Length(0) => Self::Finished,
            Plan::Length(remaining) => Self::Length { remaining },
            Plan::Unbounded => Self::Unbounded,
        }
    }
}

impl Stream {
    #[inline]
    pub(crate) fn is_reset(&self) -> bool {
        self.receive == Receive::Reset
    }

    /// Whether the peer may still send content.
    #[inline]
    pub(crate) const fn is_receiving(&self) -> bool {
        matches!(self.receive, Receive::Content { .. } | Receive::Discard)
    }

    /// Whether all content that is to come fits the window that the peer has.
    #[inline]
    pub(crate) fn fits_window(&self) -> bool {
        match self.receive {
            Receive::Content {
                declared: Some(declared),
                received,
            } => declared - received <= u64::from(self.receive_window.available()),
            _ => false,
        }
    }

    /// Whether content could be sent now but for the connection's window.
    #[inline]
    pub(crate) const fn can_send(&self) -> bool {
        self.ready > 0 && self.window.bytes() > 0
    }

    /// Whether content waits for a window: there is hardly any. A peer that opens it byte by byte
    /// is as good as one that does not.
    #[inline]
    pub(crate) const fn is_blocked(&self) -> bool {
        let window = self.window.bytes();
        window < BLOCKED_BELOW_BYTES && (window as u64) < self.ready
    }

    /// Notes whether content waits for a window.
    #[inline]
    pub(crate) fn note_blocked(&mut self, now: u64) {
        if !self.is_blocked() {
            self.blocked_since = None;
        } else if self.blocked_since.is_none() {
            self.blocked_since = Some(now);
        }
    }
}

/// A window smaller than this is none: the smallest initial window that anybody uses in earnest is
/// larger.
const BLOCKED_BELOW_BYTES: u32 = 256;
