//! One request's stream (RFC 9114 §4.1).
//!
//! What a client sends on it is a sequence of frames: HEADERS, any number of DATA, and perhaps HEADERS with
//! trailers; unknown frames may stand in between. Two states follow that: where in a frame the bytes are
//! ([`Reading`]), and where in the message the frames are ([`Receive`]).
//!
//! A stream stays, and counts as a concurrent request, until the application is done with it: its handler
//! still costs us, or what was framed of its response waits for the transport.

use ajay_http::FieldSection;
use ajay_mux::{MethodClass, Priority, response::Plan};

use crate::frame::PartialHeader;

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: u64,
    pub(crate) reading: Reading,
    pub(crate) receive: Receive,
    pub(crate) send: Send,
    /// Once they have come, until the stream ends.
    pub(crate) trailers: Option<Box<FieldSection>>,
    pub(crate) method: MethodClass,
    /// The client waits for 100 (Continue).
    pub(crate) expects_continue: bool,
    /// An event has told of it.
    pub(crate) is_known: bool,
    pub(crate) priority: Priority,
    /// Content that the caller has and did not send yet.
    pub(crate) ready: u64,
    /// The transport takes no more of it.
    pub(crate) is_blocked: bool,
    /// When its first byte came.
    pub(crate) opened_at: u64,
}

/// Where in a frame a stream is.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Before or within a frame's header.
    Header(PartialHeader),
    /// Within a field section, which is gathered.
    Section { left: u64, bytes: Vec<u8> },
    /// A field section is here that needs entries which are not.
    Blocked {
        required_insert_count: u64,
        section: Vec<u8>,
    },
    /// Within DATA.
    Data { left: u64 },
    /// Within a payload that has no use.
    Skip { left: u64 },
}

impl Reading {
    pub(crate) const BETWEEN_FRAMES: Self = Self::Header(PartialHeader::new());

    /// Memory held.
    pub(crate) fn capacity_bytes(&self) -> usize {
        match self {
            Self::Section { bytes, .. } => bytes.capacity(),
            Self::Blocked { section, .. } => section.capacity(),
            Self::Header(_) | Self::Data { .. } | Self::Skip { .. } => 0,
        }
    }
}

/// The receiving half.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Receive {
    /// The head is coming.
    Head,
    /// Content is coming.
    Content {
        /// What `Content-Length` says.
        declared: Option<u64>,
        received: u64,
    },
    /// The trailer section has come; only the stream's end is due.
    Trailers,
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
    pub(crate) fn new(id: u64, now: u64) -> Self {
        Self {
            id,
            reading: Reading::BETWEEN_FRAMES,
            receive: Receive::Head,
            send: Send::Due,
            trailers: None,
            method: MethodClass::Other,
            expects_continue: false,
            is_known: false,
            priority: Priority::default(),
            ready: 0,
            is_blocked: false,
            opened_at: now,
        }
    }

    #[inline]
    pub(crate) fn is_reset(&self) -> bool {
        self.receive == Receive::Reset
    }

    /// Whether the peer may still send something.
    #[inline]
    pub(crate) const fn is_receiving(&self) -> bool {
        !matches!(self.receive, Receive::Ended | Receive::Reset)
    }

    /// Whether content could be sent now.
    #[inline]
    pub(crate) const fn can_send(&self) -> bool {
        self.ready > 0 && !self.is_blocked
    }
}
