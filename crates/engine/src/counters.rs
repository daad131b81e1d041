//! Counters: one cell per worker and counter, written by that worker only, read by anyone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Times a worker stopped accepting at `connections_max`.
    ConnectionsMaxReached => "connections_max_reached",
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
    /// Heads, targets or field counts over their limit (431, 414).
    HeadTooLarge => "head_too_large",
    /// Content over its limit (413).
    ContentTooLarge => "content_too_large",
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
}

const COUNTERS: usize = Counter::ALL.len();

/// The counters of one worker.
#[derive(Debug)]
pub(crate) struct Counters {
    cells: [AtomicU64; COUNTERS],
}

impl Counters {
    pub(crate) fn new() -> Arc<Counters> {
        Arc::new(Counters {
            cells: [const { AtomicU64::new(0) }; COUNTERS],
        })
    }

    /// Only the owning worker calls this: a load and a store are enough, and cheaper than a
    /// locked add.
    #[inline]
    pub(crate) fn add(&self, counter: Counter, n: u64) {
        let cell = &self.cells[counter as usize];
        cell.store(
            cell.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn get(&self, counter: Counter) -> u64 {
        self.cells[counter as usize].load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }
}

/// The counters of all workers added up at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CountersSnapshot {
    values: [u64; COUNTERS],
}

impl CountersSnapshot {
    pub(crate) fn sum<'a>(workers: impl Iterator<Item = &'a Counters>) -> CountersSnapshot {
        let mut values = [0; COUNTERS];
        for worker in workers {
            for (value, cell) in values.iter_mut().zip(&worker.cells) {
                *value += cell.load(Ordering::Relaxed);
            }
        }
        CountersSnapshot { values }
    }

    /// The value of one counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize]
    }

    /// Connections open at that moment.
    pub fn open_connections(&self) -> u64 {
        self.get(Counter::ConnectionsAccepted)
            .saturating_sub(self.get(Counter::ConnectionsClosed))
    }

    /// Every counter with its value.
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
