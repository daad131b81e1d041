//! Abuse budgets (RFC 9113 §10.5): how often a peer may do what costs us more than it costs the peer.
//!
//! Each kind has a bucket that holds `burst` actions and refills by `per_second`. What exceeds it
//! ends the connection with ENHANCE_YOUR_CALM. Bounds on one thing (a field block, the number of
//! streams) stand where that thing is.
//!
//! A request that is answered is no abuse, however fast it comes: its cost is what we are for, and
//! SETTINGS_MAX_CONCURRENT_STREAMS paces it.

use ajay_mux::{Bucket, Budget};

use crate::Violation;

/// The budgets of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budgets {
    /// RST_STREAM for requests that were not answered yet.
    pub resets: Budget,
    /// Stream errors: requests that the peer makes us reset, or would if they were not over.
    pub provoked_resets: Budget,
    /// Streams beyond SETTINGS_MAX_CONCURRENT_STREAMS; five times each once the client has acknowledged it.
    pub refused_streams: Budget,
    /// Requests answered by the core's own verdict: 413, 414, 417, 431, 501.
    pub refused_heads: Budget,
    /// SETTINGS.
    pub settings: Budget,
    /// PING, acknowledgements that nobody waits for included.
    pub pings: Budget,
    /// PRIORITY and PRIORITY_UPDATE.
    pub priorities: Budget,
    /// WINDOW_UPDATE beyond four for each DATA frame that was sent.
    pub window_updates: Budget,
    /// DATA without content, and field block fragments without bytes, that end nothing.
    pub empty_frames: Budget,
    /// DATA with at most [`TINY_DATA_BYTES_MAX`] of content that do not end it.
    pub tiny_data: Budget,
    /// Frames of unknown types, and frames for streams that are over.
    pub stray_frames: Budget,
}

impl Budgets {
    /// 200: leaving a page cancels its 100 streams, and going back and forth does it twice. A reset
    /// request has cost us a handler.
    pub const RESETS: Budget = Budget::new(200, 50);
    /// 100: no client of any kind makes such mistakes often; one broken one must not be cut at once.
    pub const PROVOKED_RESETS: Budget = Budget::new(100, 10);
    /// 500: a client that has not read our SETTINGS yet may open any number of streams.
    pub const REFUSED_STREAMS: Budget = Budget::new(500, 20);
    /// 100: a browser with too large a cookie gets 431 for each part of a page.
    pub const REFUSED_HEADS: Budget = Budget::new(100, 10);
    /// 32: clients send one, some a second one when a window grows.
    pub const SETTINGS: Budget = Budget::new(32, 1);
    /// 100: those who measure round trips send one for each, keep-alives come every few seconds.
    pub const PINGS: Budget = Budget::new(100, 10);
    /// 1 000: a browser tells the priority of each image again when it comes into sight.
    pub const PRIORITIES: Budget = Budget::new(1000, 100);
    /// 1 000: windows for streams that are opened at once, before anything was sent.
    pub const WINDOW_UPDATES: Budget = Budget::new(1000, 100);
    /// 100: some libraries send an empty frame with each flush.
    pub const EMPTY_FRAMES: Budget = Budget::new(100, 10);
    /// 10 000: streams of small messages are honest, and up to 2 000 a second cost next to nothing.
    pub const TINY_DATA: Budget = Budget::new(10_000, 2000);
    /// 2 000: what is under way for a stream when we reset it, a window full of small frames.
    pub const STRAY_FRAMES: Budget = Budget::new(2000, 200);

    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            resets: Self::RESETS,
            provoked_resets: Self::PROVOKED_RESETS,
            refused_streams: Self::REFUSED_STREAMS,
            refused_heads: Self::REFUSED_HEADS,
            settings: Self::SETTINGS,
            pings: Self::PINGS,
            priorities: Self::PRIORITIES,
            window_updates: Self::WINDOW_UPDATES,
            empty_frames: Self::EMPTY_FRAMES,
            tiny_data: Self::TINY_DATA,
            stray_frames: Self::STRAY_FRAMES,
        }
    }

    const fn of(&self, kind: Kind) -> Budget {
        match kind {
            Kind::Resets => self.resets,
            Kind::ProvokedResets => self.provoked_resets,
            Kind::RefusedStreams => self.refused_streams,
            Kind::RefusedHeads => self.refused_heads,
            Kind::Settings => self.settings,
            Kind::Pings => self.pings,
            Kind::Priorities => self.priorities,
            Kind::WindowUpdates => self.window_updates,
            Kind::EmptyFrames => self.empty_frames,
            Kind::TinyData => self.tiny_data,
            Kind::StrayFrames => self.stray_frames,
        }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self::new()
    }
}

/// What a stream too many costs of the budget once the client has acknowledged how many it may have.
pub(crate) const REFUSED_STREAM_COST: u32 = 5;

/// DATA with so little content costs more to handle than to send: its header alone has 9 bytes.
pub const TINY_DATA_BYTES_MAX: u32 = 32;

/// WINDOW_UPDATE that a DATA frame sent by us pays for: two, for its stream and for the connection,
/// are what the most diligent client sends; twice that for those who split it.
const WINDOW_UPDATES_PER_DATA: u32 = 4;
/// What can be saved up: no more than a large window full of frames.
const WINDOW_UPDATES_SAVED_MAX: u32 = 4096;

/// What a bucket is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Resets,
    ProvokedResets,
    RefusedStreams,
    RefusedHeads,
    Settings,
    Pings,
    Priorities,
    WindowUpdates,
    EmptyFrames,
    TinyData,
    StrayFrames,
}

impl Kind {
    const COUNT: usize = 11;

    const fn violation(self) -> Violation {
        match self {
            Self::Resets => Violation::ResetFlood,
            Self::ProvokedResets => Violation::ProvokedResetFlood,
            Self::RefusedStreams => Violation::RefusedStreamsFlood,
            Self::RefusedHeads => Violation::RefusedHeadFlood,
            Self::Settings => Violation::SettingsFlood,
            Self::Pings => Violation::PingFlood,
            Self::Priorities => Violation::PriorityFlood,
            Self::WindowUpdates => Violation::WindowUpdateFlood,
            Self::EmptyFrames => Violation::EmptyFrameFlood,
            Self::TinyData => Violation::TinyDataFlood,
            Self::StrayFrames => Violation::StrayFrameFlood,
        }
    }
}

/// What is left of the budgets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buckets {
    buckets: [Bucket; Kind::COUNT],
    window_updates_saved: u32,
}

impl Buckets {
    /// Takes one out of a bucket at a time in milliseconds.
    pub(crate) fn spend(
        &mut self,
        budgets: &Budgets,
        kind: Kind,
        now: u64,
    ) -> Result<(), Violation> {
        if kind == Kind::WindowUpdates && self.window_updates_saved > 0 {
            self.window_updates_saved -= 1;
            return Ok(());
        }
        let Some(bucket) = self.buckets.get_mut(kind as usize) else {
            return Ok(());
        };
        if bucket.spend(budgets.of(kind), now) {
            Ok(())
        } else {
            Err(kind.violation())
        }
    }

    /// A DATA frame was sent: the peer may answer it.
    #[inline]
    pub(crate) fn earn_window_updates(&mut self) {
        self.window_updates_saved = self
            .window_updates_saved
            .saturating_add(WINDOW_UPDATES_PER_DATA)
            .min(WINDOW_UPDATES_SAVED_MAX);
    }
}

#[cfg(test)]
mod tests;
