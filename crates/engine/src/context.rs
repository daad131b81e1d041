//! What a worker has at hand for every connection.

use std::sync::Arc;

use crate::connection::WaitLimits;
use crate::deadline::Tick;
use crate::mapping::SlotRef;
use crate::memory::Held;
use crate::outbox::Outbox;
use crate::tls::Entries;
use crate::{Config, FieldSection};

/// One read takes at most this much. Larger reads make uploads cheaper, up to about here.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Whatever the service.
pub(crate) struct Context {
    pub(crate) config: Arc<Config>,
    pub(crate) entries: Arc<Entries>,
    pub(crate) core_config: ajay_h1::Config,
    pub(crate) http2_config: ajay_h2::Config,
    /// The same for connections that get no further streams.
    pub(crate) http2_crowded: ajay_h2::Config,
    pub(crate) http3_config: ajay_h3::Config,
    /// The same for connections that get no further streams.
    pub(crate) http3_crowded: ajay_h3::Config,
    pub(crate) counters: SlotRef,
    pub(crate) waits: WaitLimits,
    /// The present, in ticks; moves once a turn.
    pub(crate) now: Tick,
    /// The present, in microseconds since the worker started; moves once a turn.
    pub(crate) micros: u64,
    /// The value of `Date`; moves once a second.
    pub(crate) date: [u8; 29],
    /// What 200 responses begin with; has that date in it.
    pub(crate) opening: ajay_h1::Opening,
    pub(crate) draining: bool,
    /// Where sockets are read into: one buffer, always warm, for all connections.
    pub(crate) scratch: Vec<u8>,
    /// Where large content is read into; given away when it is full, and empty otherwise.
    pub(crate) block: Vec<u8>,
    pub(crate) outbox: Outbox,
    /// Records of TLS that are to be sent; empty between connections.
    pub(crate) sealed: Vec<u8>,
    /// Plaintext of TLS on its way; kept for its memory.
    pub(crate) plain: Vec<u8>,
    /// TLS handshakes that are not complete.
    pub(crate) handshakes: usize,
    /// What is held for all connections.
    pub(crate) held: Held,
    /// What may still be thrown away in this tick: for lingering connections, and of content in tiny
    /// pieces.
    pub(crate) discard_bytes: usize,
    /// How many tiny DATA frames may still be served in this tick.
    pub(crate) tiny_frames: usize,
    /// HTTP/2 streams that wait for their clients.
    pub(crate) waiting_streams: usize,
    /// The value of `Alt-Svc` on connections to each entry; none where there is no HTTP/3, or nobody is told.
    pub(crate) alt_svc: Vec<Option<Box<[u8]>>>,
    /// `Retry-After`, for requests that are refused because there is too much to do.
    pub(crate) retry_later: FieldSection,
}

impl Context {
    pub(crate) fn new(config: Arc<Config>, entries: Arc<Entries>, counters: SlotRef) -> Context {
        Context {
            core_config: ajay_h1::Config {
                limits: config.limits,
            },
            http2_config: config.http2.core(&config.limits),
            http2_crowded: config.http2.crowded_core(&config.limits),
            http3_config: config
                .http3
                .core(&config.limits, config.http2.concurrent_streams_max),
            http3_crowded: config.http3.core(&config.limits, 0),
            waits: WaitLimits::new(&config.deadlines),
            discard_bytes: config.connections.discard_bytes_per_tick(),
            tiny_frames: config.connections.tiny_frames_per_tick(),
            counters,
            config,
            entries,
            now: 0,
            micros: 0,
            date: [0; 29],
            opening: ajay_h1::Opening::default(),
            draining: false,
            scratch: vec![0; SCRATCH_BYTES],
            block: Vec::new(),
            outbox: Outbox::default(),
            sealed: Vec::new(),
            plain: Vec::new(),
            waiting_streams: 0,
            handshakes: 0,
            held: Held::default(),
            retry_later: retry_later(),
            alt_svc: Vec::new(),
        }
    }

    /// The present, in milliseconds since the worker started.
    pub(crate) fn millis(&self) -> u64 {
        self.micros / 1000
    }
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3): what makes us refuse is over soon, or lasts.
fn retry_later() -> FieldSection {
    let mut fields = FieldSection::new();
    let appended = fields.append("Retry-After", b"1");
    debug_assert!(appended.is_ok(), "the field is valid");
    fields
}
