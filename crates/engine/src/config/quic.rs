//! QUIC and HTTP/3.

#[cfg(feature = "qlog")]
use std::path::PathBuf;

use ajay_http::Limits;

/// QUIC (RFC 9000), the transport of HTTP/3.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QuicOptions {
    /// The congestion controller. Default: Cubic.
    pub congestion: Congestion,
    /// When clients have to prove that they receive at their address before anything is kept for them
    /// (RFC 9000 §8.1.2), which costs them a round trip. Default: while more than 512 handshakes of a
    /// worker are under way.
    pub retry: Retry,
    /// Let clients change their address (RFC 9000 §9). Default: on; off ends connections whose clients
    /// move to another network.
    pub migration: bool,
    /// Make the kernel give each packet to the worker that has its connection. Default: on; where the
    /// kernel refuses, or with this off, packets are forwarded between workers.
    pub steering: bool,
    /// Unacknowledged and unread content of one request's stream that a client may send, in bytes.
    /// Default: 1 MiB, 100 Mbit/s over 80 ms.
    pub stream_window: u32,
    /// The same for all streams of a connection together. Default: 2 MiB, two fast uploads at once.
    pub connection_window: u32,
    /// What may be handed to a connection's transport beyond its congestion window, in bytes. Default:
    /// 64 KiB: it is sent in the order in which it was handed over, whatever becomes more urgent
    /// meanwhile.
    pub send_ahead_bytes: u32,
    /// The largest UDP payload that path MTU discovery tries (RFC 8899). Default: 1452, an Ethernet frame
    /// over IPv6.
    pub datagram_bytes_max: u16,
    /// Receive buffer of each UDP socket (`SO_RCVBUF`), in bytes. Default: 4 MiB; the kernel allows
    /// `net.core.rmem_max`, and a warning says when that is less.
    pub receive_buffer_bytes: usize,
    /// Send buffer of each UDP socket (`SO_SNDBUF`), in bytes. Default: 4 MiB.
    pub send_buffer_bytes: usize,
    /// Close a connection that has been silent for this long (RFC 9000 §10.1), in seconds; the client's own
    /// value counts where it is smaller. Default: 30 s: what NATs remember of UDP is shorter.
    pub silence_timeout: u32,
    /// Ask for a sign of life when a connection with requests has been silent for this long, in seconds.
    /// Default: none.
    pub keep_alive: Option<u32>,
    /// Write each connection's events here as qlog (draft-ietf-quic-qlog-main-schema), into a file
    /// `ID.sqlog` of its own, named for the connection id that its client chose; for finding faults, since
    /// workers wait for each write. Default: none.
    #[cfg(feature = "qlog")]
    pub qlog_directory: Option<PathBuf>,
}

/// How fast a connection sends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Congestion {
    /// RFC 9438.
    #[default]
    Cubic,
    /// BBR: faster where packets are lost for other reasons than congestion.
    Bbr,
}

/// When clients must prove their address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Retry {
    /// Always.
    Always,
    /// While more handshakes than this are under way on a worker.
    Above(usize),
}

impl Default for QuicOptions {
    fn default() -> QuicOptions {
        QuicOptions {
            congestion: Congestion::default(),
            retry: Retry::Above(512),
            migration: true,
            steering: true,
            stream_window: 1024 * 1024,
            connection_window: 2 * 1024 * 1024,
            send_ahead_bytes: 64 * 1024,
            datagram_bytes_max: 1452,
            receive_buffer_bytes: 4 * 1024 * 1024,
            send_buffer_bytes: 4 * 1024 * 1024,
            silence_timeout: 30,
            keep_alive: None,
            #[cfg(feature = "qlog")]
            qlog_directory: None,
        }
    }
}

/// HTTP/3 (RFC 9114).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Http3Options {
    /// Bytes of the dynamic table that a client's encoder may use (RFC 9204 §3.2.3). Default: 0, which
    /// makes a request take a few hundred bytes more and rules out whatever could be done with a table.
    pub qpack_table_bytes_max: u32,
    /// Requests of a connection that may wait for its encoder (RFC 9204 §2.1.2). Default: 0.
    pub qpack_blocked_streams_max: u32,
    /// For how long other versions on the same port tell clients of HTTP/3 (RFC 7838), in seconds; 0 tells
    /// them nothing. Default: one day.
    pub alt_svc_max_age: u32,
    /// How often a client may do what costs us more than the client.
    pub budgets: ajay_h3::Budgets,
}

impl Http3Options {
    /// With so many requests of a connection at once.
    pub(crate) fn core(&self, limits: &Limits, concurrent_streams_max: u32) -> ajay_h3::Config {
        ajay_h3::Config {
            limits: *limits,
            concurrent_streams_max,
            qpack_table_bytes_max: self.qpack_table_bytes_max,
            qpack_blocked_streams_max: self.qpack_blocked_streams_max,
            budgets: self.budgets,
        }
    }
}

impl Default for Http3Options {
    fn default() -> Http3Options {
        Http3Options {
            qpack_table_bytes_max: 0,
            qpack_blocked_streams_max: 0,
            alt_svc_max_age: 86_400,
            budgets: ajay_h3::Budgets::new(),
        }
    }
}
