//! Counters: one cell per worker and counter, written by that worker only, read by anyone.
//!
//! The cells lie in memory that all processes of a server share, see [`Mapping`].

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::histogram::{BUCKETS, HistogramSnapshot};
use crate::mapping::{Mapping, Slot};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+) => {
        /// What is counted. [`name`](Counter::name) gives the metric's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[repr(usize)]
        pub enum Counter {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Counter {
            /// All counters, in the order of their declaration.
            pub const ALL: &'static [Counter] = &[$(Counter::$variant),+];

            /// The name in logs and metrics.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Counter::$variant => $name,)+
                }
            }
        }
    };
}

counters! {
    /// Connections accepted.
    ConnectionsAccepted => "connections_accepted",
    /// Connections closed, for whatever reason.
    ConnectionsClosed => "connections_closed",
    /// Connections refused at `connections_per_address_max`.
    ConnectionsRefusedAddress => "connections_refused_address",
    /// TLS handshakes that were completed.
    TlsHandshakes => "tls_handshakes",
    /// Those of them that resumed a session.
    TlsResumptions => "tls_resumptions",
    /// TLS sessions that failed, in the handshake or later.
    TlsFailures => "tls_failures",
    /// Connections that spoke HTTP to a port for HTTPS (400).
    TlsPlainHttp => "tls_plain_http",
    /// Connections refused at `handshakes_max`.
    HandshakesRefused => "handshakes_refused",
    /// Connections that turned out to be HTTP/2's.
    Http2Connections => "http2_connections",
    /// QUIC connections that came to the end of their handshake, all of them HTTP/3's.
    Http3Connections => "http3_connections",
    /// UDP datagrams received.
    QuicDatagramsReceived => "quic_datagrams_received",
    /// UDP datagrams sent.
    QuicDatagramsSent => "quic_datagrams_sent",
    /// Datagrams that came to the wrong worker and were sent on to the right one.
    QuicForwards => "quic_forwards",
    /// Those of them for which the right one had no room.
    QuicForwardsLost => "quic_forwards_lost",
    /// Datagrams that were thrown away before they were looked at.
    QuicDatagramsDropped => "quic_datagrams_dropped",
    /// Datagrams that other workers sent on to this one.
    QuicForwardsReceived => "quic_forwards_received",
    /// Clients that were asked to prove their address (Retry).
    QuicRetries => "quic_retries",
    /// Lingering connections that were closed at `lingering_max`.
    LingerCut => "linger_cut",
    /// Times a worker stopped accepting at `connections_max`.
    ConnectionsMaxReached => "connections_max_reached",
    /// Requests refused at `buffered_bytes_max` (503).
    RequestsRefusedMemory => "requests_refused_memory",
    /// Errors of `accept` (out of descriptors, out of memory, aborted connections).
    AcceptErrors => "accept_errors",
    /// Request heads that were read completely and were valid.
    Requests => "requests",
    /// Final responses with a 1xx (101) or 2xx status.
    ResponsesSuccess => "responses_2xx",
    /// Final responses with a 3xx status.
    ResponsesRedirection => "responses_3xx",
    /// Final responses with a 4xx status.
    ResponsesClientError => "responses_4xx",
    /// Final responses with a 5xx status.
    ResponsesServerError => "responses_5xx",
    /// Bytes received.
    BytesReceived => "bytes_received",
    /// Bytes sent.
    BytesSent => "bytes_sent",
    /// Requests that broke a rule of the protocol (400, 501, 505 …).
    Violations => "violations",
    /// Times a connection had to wait for the next tick, because content in tiny pieces had used up
    /// what a worker takes of it in one.
    InputDeferred => "input_deferred",
    /// Streams that the client reset.
    StreamsReset => "streams_reset",
    /// Streams above `concurrent_streams_max` or `waiting_streams_max` (REFUSED_STREAM).
    StreamsRefused => "streams_refused",
    /// HTTP/2 connections ended because of `resets`: requests reset before they were answered.
    FloodResets => "flood_resets",
    /// HTTP/2 connections ended because of `provoked_resets`: requests that we had to reset.
    FloodProvokedResets => "flood_provoked_resets",
    /// HTTP/2 connections ended because of `refused_streams`.
    FloodRefusedStreams => "flood_refused_streams",
    /// HTTP/2 connections ended because of `refused_heads`.
    FloodRefusedHeads => "flood_refused_heads",
    /// HTTP/2 connections ended because of a field block of too many frames, bytes or lines.
    FloodFieldBlock => "flood_field_block",
    /// HTTP/2 connections ended because of `settings`.
    FloodSettings => "flood_settings",
    /// HTTP/2 connections ended because of `pings`.
    FloodPings => "flood_pings",
    /// HTTP/2 connections ended because of `priorities`.
    FloodPriorities => "flood_priorities",
    /// HTTP/2 connections ended because of `window_updates`.
    FloodWindowUpdates => "flood_window_updates",
    /// HTTP/2 connections ended because of `empty_frames`.
    FloodEmptyFrames => "flood_empty_frames",
    /// HTTP/2 connections ended because of `tiny_data`.
    FloodTinyData => "flood_tiny_data",
    /// HTTP/2 connections ended because of `stray_frames`.
    FloodStrayFrames => "flood_stray_frames",
    /// HTTP/2 connections ended because too many of their responses stalled until `write_timeout`.
    FloodStalls => "flood_stalls",
    /// Heads, targets or field counts over their limit (431, 414).
    HeadTooLarge => "head_too_large",
    /// Content over its limit (413).
    ContentTooLarge => "content_too_large",
    /// `handshake_timeout` passed.
    TimeoutHandshake => "timeout_handshake",
    /// `first_byte_timeout` passed.
    TimeoutFirstByte => "timeout_first_byte",
    /// `head_timeout` passed.
    TimeoutHead => "timeout_head",
    /// `content_timeout` passed.
    TimeoutContent => "timeout_content",
    /// Content came slower than `rate_min`.
    TimeoutContentRate => "timeout_content_rate",
    /// `handler_timeout` passed.
    TimeoutHandler => "timeout_handler",
    /// `write_timeout` passed.
    TimeoutWrite => "timeout_write",
    /// Output was taken slower than `rate_min`.
    TimeoutWriteRate => "timeout_write_rate",
    /// `idle_timeout` passed.
    TimeoutIdle => "timeout_idle",
    /// `lifetime_max` passed.
    TimeoutLifetime => "timeout_lifetime",
    /// Connections that ended inside a head.
    EofInHead => "eof_in_head",
    /// Connections that ended inside content.
    EofInContent => "eof_in_content",
    /// Connections reset by the peer, or broken otherwise.
    ConnectionErrors => "connection_errors",
    /// Handlers dropped because the client went away.
    HandlersCancelled => "handlers_cancelled",
    /// Handlers that panicked.
    HandlerPanics => "handler_panics",
    /// Responses a handler built wrongly (answered 500).
    ResponseMisuse => "response_misuse",
    /// Closures refused because the blocking pool's queue was full.
    BlockingRefused => "blocking_refused",
    /// Response streams that failed or were dropped before their end.
    ResponsesAborted => "responses_aborted",
    /// Connections cut at the end of a drain.
    DrainCut => "drain_cut",
    /// Connections that were open in a process when it crashed.
    ConnectionsLost => "connections_lost",
    /// Worker processes that ended without being told to, and were replaced.
    ProcessCrashes => "process_crashes",
}

const COUNTERS: usize = Counter::ALL.len();

/// A number that changes with what a worker's slot holds: FNV-1a over the counters' names and the
/// histograms' size.
pub(crate) const LAYOUT_HASH: u64 = {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut counter = 0;
    while counter < COUNTERS {
        let name = Counter::ALL[counter].name().as_bytes();
        let mut at = 0;
        while at < name.len() {
            hash = (hash ^ name[at] as u64).wrapping_mul(0x0100_0000_01b3);
            at += 1;
        }
        counter += 1;
    }
    (hash ^ BUCKETS as u64).wrapping_mul(0x0100_0000_01b3)
};

/// The counters of one worker.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Counters {
    cells: [AtomicU64; COUNTERS],
}

impl Slot {
    /// Only the owning worker calls this: a load and a store are enough, and cheaper than a
    /// locked add.
    #[inline]
    pub(crate) fn add(&self, counter: Counter, n: u64) {
        let cell = &self.counters.cells[counter as usize];
        cell.store(
            cell.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn get(&self, counter: Counter) -> u64 {
        self.counters.cells[counter as usize].load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Connections that are open. Closed ones are read first: the number is never below what it
    /// was at some moment in between.
    pub(crate) fn open_connections(&self) -> u64 {
        let closed = self.get(Counter::ConnectionsClosed);
        self.get(Counter::ConnectionsAccepted)
            .saturating_sub(closed)
    }
}

/// The counters of some workers added up at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CountersSnapshot {
    values: [u64; COUNTERS],
    request_time: HistogramSnapshot,
    turn_time: HistogramSnapshot,
}

impl CountersSnapshot {
    /// Of these workers.
    pub(crate) fn sum(mapping: &Mapping, workers: impl Iterator<Item = usize>) -> CountersSnapshot {
        let mut all = CountersSnapshot {
            values: [0; COUNTERS],
            request_time: HistogramSnapshot::default(),
            turn_time: HistogramSnapshot::default(),
        };
        for worker in workers {
            let slot = mapping.slot(worker);
            for (value, cell) in all.values.iter_mut().zip(&slot.counters.cells) {
                *value += cell.load(Ordering::Relaxed);
            }
            all.request_time.add(&slot.request_time);
            all.turn_time.add(&slot.turn_time);
        }
        all
    }

    /// Of each worker.
    pub(crate) fn each(mapping: &Mapping) -> Vec<CountersSnapshot> {
        (0..mapping.shape().workers())
            .map(|worker| CountersSnapshot::sum(mapping, worker..worker + 1))
            .collect()
    }

    /// The value of one counter, since the server was started. In a server of several processes it goes on when
    /// one of them is replaced.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize]
    }

    /// Connections open at that moment.
    pub fn open_connections(&self) -> u64 {
        self.get(Counter::ConnectionsAccepted)
            .saturating_sub(self.get(Counter::ConnectionsClosed))
    }

    /// How long requests took, from the head of the request to the head of the response. Time is
    /// read once a turn: a handler that is ready when it is first polled counts as 0.
    pub fn request_time(&self) -> &HistogramSnapshot {
        &self.request_time
    }

    /// How long turns of the workers took that were followed by another one at once: what one
    /// connection may have had to wait for others, or for a handler that blocks its thread.
    pub fn turn_time(&self) -> &HistogramSnapshot {
        &self.turn_time
    }

    /// Every counter with its value, in the order of [`Counter::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL
            .iter()
            .map(|counter| (*counter, self.get(*counter)))
    }
}

impl fmt::Debug for CountersSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.iter().filter(|(_, value)| *value != 0);
        f.debug_map()
            .entries(seen.map(|(counter, value)| (counter.name(), value)))
            .finish()
    }
}
