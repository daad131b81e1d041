//! Abuse budgets (RFC 9114 §10.5): how often a peer may do what costs us more than it costs the peer.
//!
//! What exceeds a budget ends the connection with H3_EXCESSIVE_LOAD. Bounds on one thing (a field section,
//! the number of streams) stand where that thing is.

use ajay_mux::{Bucket, Budget};

use crate::Violation;

/// The budgets of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budgets {
    /// Requests that the peer gives up before they were answered: RESET_STREAM, STOP_SENDING.
    pub resets: Budget,
    /// Requests that the peer makes us reset.
    pub provoked_resets: Budget,
    /// Requests beyond the limit on concurrent ones.
    pub refused_streams: Budget,
    /// Requests answered by the core's own verdict: 413, 414, 417, 431, 501.
    pub refused_heads: Budget,
    /// PRIORITY_UPDATE, MAX_PUSH_ID, CANCEL_PUSH and GOAWAY.
    pub control_frames: Budget,
    /// DATA without content.
    pub empty_frames: Budget,
    /// DATA with at most [`TINY_DATA_BYTES_MAX`] of content.
    pub tiny_data: Budget,
    /// Frames of unknown types, and 16 KiB of their payload each.
    pub stray_frames: Budget,
    /// Unidirectional streams of unknown types.
    pub stray_streams: Budget,
}

impl Budgets {
    /// The defaults: those of HTTP/2, for the same reasons.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            resets: Budget::new(200, 50),
            provoked_resets: Budget::new(100, 10),
            refused_streams: Budget::new(500, 20),
            refused_heads: Budget::new(100, 10),
            control_frames: Budget::new(1000, 100),
            empty_frames: Budget::new(100, 10),
            tiny_data: Budget::new(10_000, 2000),
            stray_frames: Budget::new(2000, 200),
            // One now and then, to see whether servers bear it.
            stray_streams: Budget::new(32, 4),
        }
    }

    const fn of(&self, kind: Kind) -> Budget {
        match kind {
            Kind::Resets => self.resets,
            Kind::ProvokedResets => self.provoked_resets,
            Kind::RefusedStreams => self.refused_streams,
            Kind::RefusedHeads => self.refused_heads,
            Kind::ControlFrames => self.control_frames,
            Kind::EmptyFrames => self.empty_frames,
            Kind::TinyData => self.tiny_data,
            Kind::StrayFrames => self.stray_frames,
            Kind::StrayStreams => self.stray_streams,
        }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self::new()
    }
}

/// DATA with so little content costs more to handle than to send.
pub const TINY_DATA_BYTES_MAX: u64 = 32;

/// What a bucket is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Resets,
    ProvokedResets,
    RefusedStreams,
    RefusedHeads,
    ControlFrames,
    EmptyFrames,
    TinyData,
    StrayFrames,
    StrayStreams,
}

impl Kind {
    const COUNT: usize = 9;

    const fn violation(self) -> Violation {
        match self {
            Self::Resets => Violation::ResetFlood,
            Self::ProvokedResets => Violation::ProvokedResetFlood,
            Self::RefusedStreams => Violation::RefusedStreamsFlood,
            Self::RefusedHeads => Violation::RefusedHeadFlood,
            Self::ControlFrames => Violation::ControlFrameFlood,
            Self::EmptyFrames => Violation::EmptyFrameFlood,
            Self::TinyData => Violation::TinyDataFlood,
            Self::StrayFrames => Violation::StrayFrameFlood,
            Self::StrayStreams => Violation::StrayStreamFlood,
        }
    }
}

/// What is left of the budgets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buckets([Bucket; Kind::COUNT]);

impl Buckets {
    /// Takes one out of a bucket at a time in milliseconds.
    pub(crate) fn spend(
        &mut self,
        budgets: &Budgets,
        kind: Kind,
        now: u64,
    ) -> Result<(), Violation> {
        let bucket = self.0.get_mut(kind as usize);
        match bucket.is_none_or(|bucket| bucket.spend(budgets.of(kind), now)) {
            true => Ok(()),
            false => Err(kind.violation()),
        }
    }
}
