//! Every bound the engine enforces, in one place: name, default, unit, and why.
//!
//! `docs/src/reference/limits.md` shows the same table with what happens at each bound.

mod quic;

use std::time::Duration;

use ajay_http::Limits;

use crate::deadline::TICK;

pub use quic::{Congestion, Http3Options, QuicOptions, Retry};

/// What a set of workers needs to know before it starts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Worker processes. With more than one, the process that binds is a master, which runs no
    /// worker itself: it starts the program again for each, and keeps it running. Default: one,
    /// which is no master and has no second process.
    pub processes: Processes,
    /// Worker threads of each process. Default: the CPUs this process may run on, divided by the
    /// number of processes, see [`Threads`].
    pub threads: Threads,
    /// Pin worker *n* to the *n*-th CPU of the process's affinity mask. Default: off, because a
    /// pinned worker cannot move away from a CPU that something else keeps busy.
    pub pin_workers: bool,
    /// Whom to run as once the addresses are bound: `NAME`, `NAME:GROUP` or `UID:GID`. Default:
    /// whoever started the process.
    pub user: Option<String>,
    /// Bounds on what one request may occupy.
    pub limits: Limits,
    /// Bounds on connections and on what is buffered for them.
    pub connections: ConnectionLimits,
    /// HTTP/2.
    pub http2: Http2Options,
    /// HTTP/3.
    pub http3: Http3Options,
    /// QUIC, below HTTP/3.
    pub quic: QuicOptions,
    /// Bounds on time.
    pub deadlines: Deadlines,
    /// Options of the sockets.
    pub sockets: SocketOptions,
    /// Bounds on blocking work.
    pub blocking: BlockingLimits,
    /// Send `Date` (RFC 9110 §6.6.1). Default: on; a server with a clock must.
    pub send_date: bool,
    /// The value of `Server` (RFC 9110 §10.2.4), or none to leave the field out.
    /// Default: `ajayserver`, without a version.
    pub server_name: Option<&'static str>,
    /// Keep a handler running when the client has closed its sending side. Default: off: a client
    /// that was killed and one that called `shutdown(SHUT_WR)` look the same, and the handler of
    /// either is cancelled.
    pub half_close: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            processes: Processes::Exactly(1),
            threads: Threads::Auto,
            pin_workers: false,
            user: None,
            limits: Limits::default(),
            connections: ConnectionLimits::default(),
            http2: Http2Options::default(),
            http3: Http3Options::default(),
            quic: QuicOptions::default(),
            deadlines: Deadlines::default(),
            sockets: SocketOptions::default(),
            blocking: BlockingLimits::default(),
            send_date: true,
            server_name: Some("ajayserver"),
            half_close: false,
        }
    }
}

/// How many worker processes to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processes {
    /// One for each CPU that may be used.
    Auto,
    /// Exactly this many; 0 counts as 1.
    Exactly(usize),
}

impl Processes {
    /// The number of processes this means on this machine.
    pub fn count(self) -> usize {
        match self {
            Processes::Auto => usable_cpus(),
            Processes::Exactly(n) => n.max(1),
        }
    }
}

/// How many worker threads to start in each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// One for each CPU that may be used, over all processes, and at least one in each.
    Auto,
    /// Exactly this many; 0 counts as 1.
    Exactly(usize),
}

impl Threads {
    /// The number of threads this means on this machine, for each of so many processes.
    pub fn count(self, processes: usize) -> usize {
        match self {
            Threads::Auto => (usable_cpus() / processes.max(1)).max(1),
            Threads::Exactly(n) => n.max(1),
        }
    }
}

/// The smaller of the affinity mask and the cgroup quota (v1 and v2), which std reads.
fn usable_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// Open connections in this process. At the limit the workers stop accepting, and the kernel's
    /// backlog holds what comes. Default: the descriptor limit less [`DESCRIPTOR_RESERVE`].
    pub connections_max: Option<usize>,
    /// Open connections of one worker. At the limit that worker stops accepting; what the kernel
    /// gives to it waits in its backlog. Default: none.
    pub connections_per_worker_max: Option<usize>,
    /// Open connections from one IPv4 address, or one IPv6 network of 64 bits, in all processes
    /// together. One more is answered 503 and closed. Default: none.
    pub connections_per_address_max: Option<usize>,
    /// TLS handshakes of one worker at a time. One more connection is closed at once. Default: 4096:
    /// each holds some 20 KiB until it is complete, and a burst of clients that a worker cannot serve
    /// within `handshake_timeout` is larger.
    pub handshakes_max: usize,
    /// Requests on one connection, after which it is closed. Default: none.
    pub requests_per_connection_max: Option<u32>,
    /// What a worker holds for all its connections: parts of heads, content that no handler has read
    /// yet, output that no client has taken yet, in bytes. Above it requests are answered 503, and
    /// content is read only for handlers that have nothing left to read. Default: 256 MiB, one
    /// 16 KiB head for each of 16 000 connections.
    pub buffered_bytes_max: usize,
    /// Content held for a handler that has not read it yet, in bytes per connection: reading from
    /// the socket pauses above it. Default: 64 KiB, one read.
    pub content_buffer_bytes_max: usize,
    /// What [`Content::collect`](crate::Content::collect) gathers at most. Default: 4 MiB,
    /// fasthttp's `MaxRequestBodySize`.
    pub content_collected_bytes_max: usize,
    /// Content that is read and thrown away after a response that came before its end, so that
    /// the connection can be kept. More closes it. Default: 256 KiB: below that a new connection
    /// costs more than the bytes.
    pub content_discarded_bytes_max: u64,
    /// What a worker throws away for all its connections in a second: of clients that were refused and
    /// send on, and of content that nobody reads in tiny pieces, counted as 64 bytes each; and as many
    /// tiny DATA frames of HTTP/2, read or not, counted as 8 each. Who comes after that waits. Default: 16
    /// MiB, or two million such frames, for which a fifth of a core is enough. Without a bound, clients that send
    /// without end after they were refused took nine tenths of the worker from everybody else.
    pub discard_rate_max: usize,
    /// Connections of a worker that linger: our side is closed, and the client's not yet. One more
    /// closes the one that lingers longest, and its client is free to come back: with 1024 those who
    /// flood left honest clients a sixth of what they had with more. Default: 8192. Without a bound,
    /// clients that came back as fast as they were refused had 14 000 of them open in ten seconds.
    pub lingering_max: usize,
}

impl ConnectionLimits {
    /// What may be thrown away in each of the clock's ticks.
    pub(crate) fn discard_bytes_per_tick(&self) -> usize {
        (self.discard_rate_max as u128 * TICK.as_millis() / 1000) as usize
    }

    /// How many tiny DATA frames may be served in each tick. They do not come out of the same bytes:
    /// clients that linger would take them from those who are to be told that they flood.
    pub(crate) fn tiny_frames_per_tick(&self) -> usize {
        self.discard_bytes_per_tick() / TINY_FRAME_BYTES
    }
}

/// What a tiny DATA frame is worth of what is thrown away: an eighth of a piece of HTTP/1 content, or those
/// who flood would be told so late.
const TINY_FRAME_BYTES: usize = 8;

/// Descriptors kept back from the connection limit: listeners, epoll, logs, and what the
/// application opens (a database pool, files).
pub const DESCRIPTOR_RESERVE: usize = 256;

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        ConnectionLimits {
            connections_max: None,
            connections_per_worker_max: None,
            connections_per_address_max: None,
            handshakes_max: 4096,
            requests_per_connection_max: None,
            buffered_bytes_max: 256 * 1024 * 1024,
            content_buffer_bytes_max: 64 * 1024,
            content_collected_bytes_max: 4 * 1024 * 1024,
            content_discarded_bytes_max: 256 * 1024,
            discard_rate_max: 16 * 1024 * 1024,
            lingering_max: 8192,
        }
    }
}

/// HTTP/2 (RFC 9113).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Http2Options {
    /// HTTP/2 on cleartext connections, for clients that begin with it (prior knowledge, §3.3).
    /// Default: on; HTTP/1 is served on the same port.
    pub cleartext: bool,
    /// Streams of a connection at once (SETTINGS_MAX_CONCURRENT_STREAMS), and requests of an HTTP/3
    /// connection. Default: 100, below which RFC 9113 §6.5.2 advises not to go.
    pub concurrent_streams_max: u32,
    /// Streams of all the worker's connections that wait for their clients, for content or for
    /// windows. Beyond it a connection that has more than 8 of them gets no further ones: each
    /// holds about 1 KiB, and costs its client nothing. Default: 8192.
    pub waiting_streams_max: usize,
    /// Content of one stream that may come before its handler reads, in bytes, at least 65 535. It
    /// grows up to `stream_window_max` when handlers read faster than that lets clients send.
    /// Default: 65 535.
    pub stream_window: u32,
    /// How far `stream_window` may grow. Default: 1 MiB, 100 Mbit/s over 80 ms.
    pub stream_window_max: u32,
    /// The same for all streams of a connection together. Default: 128 KiB.
    pub connection_window: u32,
    /// How far `connection_window` may grow. Default: 2 MiB.
    pub connection_window_max: u32,
    /// How often a client may do what costs us more than the client.
    pub budgets: ajay_h2::Budgets,
}

impl Http2Options {
    pub(crate) fn core(&self, limits: &Limits) -> ajay_h2::Config {
        ajay_h2::Config {
            limits: *limits,
            concurrent_streams_max: self.concurrent_streams_max,
            stream_window: self.stream_window,
            stream_window_max: self.stream_window_max,
            connection_window: self.connection_window,
            connection_window_max: self.connection_window_max,
            budgets: self.budgets,
            ..ajay_h2::Config::new()
        }
    }

    /// The same for connections that may have no more streams than they have.
    pub(crate) fn crowded_core(&self, limits: &Limits) -> ajay_h2::Config {
        ajay_h2::Config {
            concurrent_streams_max: 0,
            ..self.core(limits)
        }
    }
}

impl Default for Http2Options {
    fn default() -> Http2Options {
        let core = ajay_h2::Config::new();
        Http2Options {
            cleartext: true,
            concurrent_streams_max: core.concurrent_streams_max,
            waiting_streams_max: 8192,
            stream_window: core.stream_window,
            stream_window_max: core.stream_window_max,
            connection_window: core.connection_window,
            connection_window_max: core.connection_window_max,
            budgets: core.budgets,
        }
    }
}

/// Bounds on time. Each is met within 500 ms after it has passed: the wheel's buckets are 250 ms
/// wide. `None` switches one off.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Deadlines {
    /// From accept to the end of the TLS handshake. Silent close. Default: 10 s.
    pub handshake_timeout: Option<Duration>,
    /// From accept, or from the end of the TLS handshake, to the first byte of the first request.
    /// Silent close. Default: 10 s.
    pub first_byte_timeout: Option<Duration>,
    /// From a head's first byte to its last. 408, close. Default: 10 s.
    pub head_timeout: Option<Duration>,
    /// Between two reads of content while the server waits for it. 408, close. Default: 30 s.
    pub content_timeout: Option<Duration>,
    /// How long a handler may work until the head of its response; begins anew after each wait for
    /// content, which has deadlines of its own. 503, close. Default: 60 s, what proxies in front of
    /// us wait.
    pub handler_timeout: Option<Duration>,
    /// Between two writes that the peer accepts while output waits. Reset. Default: 30 s.
    pub write_timeout: Option<Duration>,
    /// The same for content and output of an HTTP/2 connection that has more than 8 streams which wait for
    /// the client, while the worker has more than [`Http2Options::waiting_streams_max`]. If more than 8
    /// exceed it: GOAWAY ENHANCE_YOUR_CALM. Looked at once a second. Default: 1 s.
    pub crowded_timeout: Option<Duration>,
    /// Content and output slower than this, in bytes per second, after `rate_grace`. 408 or
    /// reset. Default: 240 B/s, the rate of Caddy and Apache's mod_reqtimeout class: below any
    /// modem, above a slowloris.
    pub rate_min: Option<u32>,
    /// How long a transfer may be slower than `rate_min`. Default: 5 s.
    pub rate_grace: Duration,
    /// Between two requests. Silent close. Default: 75 s, nginx's `keepalive_timeout`.
    pub idle_timeout: Option<Duration>,
    /// Age of a connection after which its current response is its last. Default: none.
    pub lifetime_max: Option<Duration>,
    /// How long a connection that is closed by us is still read, so that the client sees the last
    /// response and not a reset. Default: 5 s, nginx's `lingering_timeout`.
    pub linger_timeout: Duration,
    /// On drain: how long accepting goes on, so that a load balancer that sees the server's
    /// readiness go has time to send its clients elsewhere. Default: none.
    pub drain_delay: Duration,
    /// On drain: how long an idle connection may still begin a request, and how long one that we
    /// have closed is still read. Default: 500 ms.
    pub drain_idle_timeout: Duration,
    /// On drain: when what is still open is cut. Default: 30 s.
    pub drain_timeout: Duration,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            handshake_timeout: Some(Duration::from_secs(10)),
            first_byte_timeout: Some(Duration::from_secs(10)),
            head_timeout: Some(Duration::from_secs(10)),
            content_timeout: Some(Duration::from_secs(30)),
            handler_timeout: Some(Duration::from_secs(60)),
            write_timeout: Some(Duration::from_secs(30)),
            crowded_timeout: Some(Duration::from_secs(1)),
            rate_min: Some(240),
            rate_grace: Duration::from_secs(5),
            idle_timeout: Some(Duration::from_secs(75)),
            lifetime_max: None,
            linger_timeout: Duration::from_secs(5),
            drain_delay: Duration::ZERO,
            drain_idle_timeout: Duration::from_millis(500),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Options of the sockets that accept and of those they accept.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SocketOptions {
    /// Connections the kernel completes for us before we accept them, per worker. Default: 4096,
    /// the kernel's own `somaxconn`, which bounds it.
    pub backlog: u32,
    /// `TCP_NODELAY`. Default: on; each turn's output leaves in one send, so Nagle only delays.
    pub nodelay: bool,
    /// TCP keep-alive: idle time before the first probe. Default: 60 s, with probes every 15 s;
    /// finds peers that vanished without a FIN while a handler runs long.
    pub tcp_keepalive: Option<Duration>,
    /// `TCP_NOTSENT_LOWAT` in bytes: what the kernel holds unsent for a peer that reads nothing
    /// (else 3 to 4 MiB). Default: 64 KiB.
    pub notsent_lowat: Option<u32>,
    /// IPv6 listeners accept IPv6 only. Default: on, so that `0.0.0.0` and `[::]` can both be
    /// bound on one port; off gives one listener for both families.
    pub ipv6_only: bool,
}

impl Default for SocketOptions {
    fn default() -> SocketOptions {
        SocketOptions {
            backlog: 4096,
            nodelay: true,
            tcp_keepalive: Some(Duration::from_secs(60)),
            notsent_lowat: Some(64 * 1024),
            ipv6_only: true,
        }
    }
}

/// Bounds on what handlers give to [`blocking`](crate::blocking()).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BlockingLimits {
    /// Closures that run at a time in this process, each on a thread; 0 counts as 1. Default: 64.
    /// They wait for disks, locks and other servers rather than for a CPU, so there are many more
    /// than CPUs; 64 requests keep a disk or a database busy, and their stacks cost a few MiB.
    pub blocking_threads_max: usize,
    /// Closures that wait for a thread. One more is refused. Default: 1024: at 10 ms each the
    /// last of them begins after 160 ms, at a second each after 16 s, still within
    /// `handler_timeout`.
    pub blocking_queue_max: usize,
}

impl Default for BlockingLimits {
    fn default() -> BlockingLimits {
        BlockingLimits {
            blocking_threads_max: 64,
            blocking_queue_max: 1024,
        }
    }
}
