//! What the worker keeps for a QUIC connection.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto::{ConnectionEvent, ConnectionHandle};

use super::balance::Balance;
use super::id::ID_LEN;
use super::session::Http3;
use crate::connection::{Clock, Wait};
use crate::deadline::Tick;
use crate::reactor::Token;
use crate::request::PeerAddr;
use crate::tls::TlsInfo;

pub(crate) struct Connection {
    pub(super) token: Token,
    pub(super) handle: ConnectionHandle,
    pub(super) transport: quinn_proto::Connection,
    /// From the end of the handshake to the end of the connection.
    pub(super) http: Option<Box<Http3>>,
    pub(super) phase: Phase,
    /// The socket that its packets come to.
    pub(super) port: usize,
    /// Its client's address when the connection began. It may change (RFC 9000 §9).
    pub(super) peer: PeerAddr,
    pub(super) local: Option<SocketAddr>,
    pub(super) entry: usize,
    /// What requests are told of TLS.
    pub(super) tls: Option<Arc<TlsInfo>>,
    /// Its address is counted, and to be given back to the admission.
    pub(super) is_counted: bool,
    /// Its part of what the worker holds, but for content in a feed.
    pub(super) held: usize,
    pub(super) clock: Clock,
    /// When it comes up in the worker's [`Timers`](super::timers::Timers).
    pub(super) filed: Option<Instant>,
    /// Stands in the worker's list of connections that something has happened to.
    pub(super) is_listed: bool,
    /// Waits for its socket to take more.
    pub(super) is_waiting: bool,
    /// Bytes that may still go to an address that nobody has proved to be there: three for each that came
    /// (RFC 9000 §8.1). None once that is proved.
    pub(super) credit: Option<usize>,
    /// Datagrams that came and that the transport has not seen.
    pub(super) inbox: VecDeque<ConnectionEvent>,
    pub(super) balance: Balance,
    pub(super) requests: u32,
    /// It does not count as one of the worker's any more.
    pub(super) is_released: bool,
    /// Our identifier that its client learns first, during its handshake.
    pub(super) first_id: Option<[u8; ID_LEN]>,
}

/// RFC 9000 §8.1.
const AMPLIFICATION_MAX: usize = 3;

/// How far a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Handshake,
    Open,
    /// Nothing is served any more; the transport answers what still comes, for three times its timeout
    /// (RFC 9000 §10.2).
    Closing,
}

impl Connection {
    /// One whose handshake begins. Where its client is has to be set.
    pub(super) fn new(
        token: Token,
        handle: ConnectionHandle,
        transport: quinn_proto::Connection,
        now: Tick,
    ) -> Connection {
        let mut clock = Clock::new(now);
        clock.restart(Wait::Handshake, now);
        Connection {
            token,
            handle,
            transport,
            http: None,
            phase: Phase::Handshake,
            port: 0,
            peer: PeerAddr::Unix,
            local: None,
            entry: 0,
            tls: None,
            is_counted: false,
            held: 0,
            clock,
            filed: None,
            is_listed: false,
            is_waiting: false,
            credit: None,
            inbox: VecDeque::new(),
            balance: Balance::new(),
            requests: 0,
            is_released: false,
            first_id: None,
        }
    }

    /// A datagram has come from its client, or what claims to be one.
    pub(super) fn note_received(&mut self, bytes: usize) {
        if let Some(credit) = &mut self.credit {
            *credit = credit.saturating_add(AMPLIFICATION_MAX * bytes);
        }
    }

    /// What is held for it now.
    pub(super) fn holds(&self) -> usize {
        self.http.as_ref().map_or(0, |http| http.holds())
    }

    /// On drain: its grace begins now if it waits for a request.
    pub(super) fn tell_to_go(&mut self, now: Tick) {
        self.clock.hasten(now);
    }
}
