//! One side of a connection that obeys nobody. It gets through the handshake and reads what the server says; what it
//! sends is up to who has it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::quic::{ClientConnection, KeyChange, Keys, PacketKeySet, Secrets, Version};

use super::frame::{self, Frame};
use super::packet::{self, Header, INITIAL_BYTES, Outline, Space};
use super::socket::Batch;
use super::{Random, take_varint, tls, varint};

/// What the server may send (RFC 9000 §18.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub(crate) connection: u64,
    pub(crate) stream: u64,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Handshake,
    Open,
    Closed(Close),
}

/// What the server said at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Close {
    /// CONNECTION_CLOSE with an error code of QUIC or TLS.
    Transport(u64),
    /// CONNECTION_CLOSE with one of HTTP/3.
    Application(u64),
    /// A packet that cannot be opened: a stateless reset.
    Reset,
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Close::Reset => "stateless reset",
            Close::Application(0x100) => "H3_NO_ERROR",
            Close::Application(0x103) => "H3_STREAM_CREATION_ERROR",
            Close::Application(0x104) => "H3_CLOSED_CRITICAL_STREAM",
            Close::Application(0x105) => "H3_FRAME_UNEXPECTED",
            Close::Application(0x106) => "H3_FRAME_ERROR",
            Close::Application(0x107) => "H3_EXCESSIVE_LOAD",
            Close::Application(0x108) => "H3_ID_ERROR",
            Close::Application(0x200) => "QPACK_DECOMPRESSION_FAILED",
            Close::Application(0x201) => "QPACK_ENCODER_STREAM_ERROR",
            Close::Transport(0x0) => "NO_ERROR",
            Close::Transport(0x1) => "INTERNAL_ERROR",
            Close::Transport(0x2) => "CONNECTION_REFUSED",
            Close::Transport(0x3) => "FLOW_CONTROL_ERROR",
            Close::Transport(0x4) => "STREAM_LIMIT_ERROR",
            Close::Transport(0x9) => "CONNECTION_ID_LIMIT_ERROR",
            Close::Transport(0xa) => "PROTOCOL_VIOLATION",
            Close::Transport(0xb) => "INVALID_TOKEN",
            Close::Transport(0xd) => "CRYPTO_BUFFER_EXCEEDED",
            Close::Application(code) => return write!(f, "HTTP/3 error {code:#x}"),
            Close::Transport(code) => return write!(f, "QUIC error {code:#x}"),
        };
        f.write_str(name)
    }
}

/// What may be sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) requests: u64,
    pub(crate) own_streams: u64,
    pub(crate) bytes: u64,
}

pub(crate) struct Peer {
    tls: Option<ClientConnection>,
    own_id: [u8; 8],
    pub(crate) server_id: Vec<u8>,
    /// The server has chosen its identifier.
    knows_server: bool,
    token: Vec<u8>,
    was_retried: bool,
    hello: Vec<u8>,
    series: [Series; 3],
    /// The generation of keys of data, and the one after it.
    phase: bool,
    later: Option<(PacketKeySet, Secrets)>,
    pub(crate) state: State,
    pub(crate) limits: Limits,
    /// Sequence number of the last identifier that the server has given.
    pub(crate) ids_given: u64,
    /// Challenges that were not answered.
    pub(crate) challenges: Vec<[u8; 8]>,
    /// Responses that have ended, in whichever way.
    pub(crate) responses: u64,
    frames: Vec<u8>,
}

/// One series of packets.
#[derive(Default)]
struct Series {
    keys: Option<Keys>,
    next: u64,
    crypto_sent: u64,
    crypto_read: u64,
    /// What came early of the handshake.
    early: BTreeMap<u64, Vec<u8>>,
    seen: Seen,
}

/// Packets that came, in ranges.
#[derive(Default)]
struct Seen {
    ranges: Vec<(u64, u64)>,
    owes_ack: bool,
}

/// Of the ranges of packets that came.
const RANGES_MAX: usize = 32;

impl Seen {
    fn add(&mut self, number: u64) {
        match self.ranges.last_mut() {
            Some((_, high)) if *high + 1 == number => *high = number,
            Some((_, high)) if *high >= number => {}
            _ => self.ranges.push((number, number)),
        }
        if self.ranges.len() > RANGES_MAX {
            self.ranges.remove(0);
        }
    }

    fn expected(&self) -> u64 {
        self.ranges.last().map_or(0, |(_, high)| high + 1)
    }
}

const fn place(space: Space) -> usize {
    match space {
        Space::Initial => 0,
        Space::Handshake => 1,
        Space::Data => 2,
    }
}

impl Peer {
    /// Begins; the first packets are in the batch.
    pub(crate) fn connect(
        config: &Arc<rustls::ClientConfig>,
        windows: Windows,
        random: &mut Random,
        batch: &mut Batch,
    ) -> Option<Peer> {
        let own_id = random.id();
        let name = ServerName::try_from("localhost").ok()?;
        let parameters = parameters(windows, &own_id);
        let tls = ClientConnection::new(Arc::clone(config), Version::V1, name, parameters).ok()?;
        let first_id = random.id();
        let mut peer = Peer::new(Some(tls), own_id, first_id.to_vec());
        peer.series[0].keys = tls::initial_keys(&first_id);
        peer.flight(batch)?;
        Some(peer)
    }

    /// One for a sink, which answers nothing: it believes that the handshake is over, and that everything is allowed.
    pub(crate) fn blind(random: &mut Random) -> Option<Peer> {
        let server_id = random.id();
        let mut peer = Peer::new(None, random.id(), server_id.to_vec());
        peer.series[2].keys = tls::initial_keys(&server_id);
        peer.state = State::Open;
        peer.limits = Limits {
            requests: u64::MAX >> 4,
            own_streams: u64::MAX >> 4,
            bytes: u64::MAX >> 4,
        };
        Some(peer)
    }

    fn new(tls: Option<ClientConnection>, own_id: [u8; 8], server_id: Vec<u8>) -> Peer {
        Peer {
            tls,
            own_id,
            server_id,
            knows_server: false,
            token: Vec::new(),
            was_retried: false,
            hello: Vec::new(),
            series: Default::default(),
            phase: false,
            later: None,
            state: State::Handshake,
            limits: Limits::default(),
            ids_given: 0,
            challenges: Vec::new(),
            responses: 0,
            frames: Vec::new(),
        }
    }

    /// It has been heard of: the server has answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.knows_server
    }

    /// Appends a packet with these frames to the batch, as a datagram of its own.
    pub(crate) fn send(&mut self, space: Space, frames: &[u8], batch: &mut Batch) -> Option<()> {
        let series = &mut self.series[place(space)];
        let header = Header {
            space,
            to: &self.server_id,
            from: &self.own_id,
            token: &self.token,
            number: series.next,
            phase: self.phase && space == Space::Data,
        };
        series.next += 1;
        let keys = &series.keys.as_ref()?.local;
        batch.datagram(|out| packet::seal(out, &header, keys, frames))
    }

    /// The same in the space of data, with frames that a closure makes.
    pub(crate) fn data(
        &mut self,
        batch: &mut Batch,
        make: impl FnOnce(&mut Vec<u8>),
    ) -> Option<()> {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        make(&mut frames);
        // Long enough to be opened.
        frames.resize(frames.len().max(SHORT_PAYLOAD), 0);
        let sent = self.send(Space::Data, &frames, batch);
        self.frames = frames;
        sent
    }

    /// The highest packet number of data that came.
    pub(crate) fn highest_seen(&self) -> Option<u64> {
        self.series[2].seen.ranges.last().map(|(_, high)| *high)
    }

    /// Acknowledges what came, if anything did.
    pub(crate) fn acknowledge(&mut self, batch: &mut Batch) {
        let seen = &mut self.series[2].seen;
        if std::mem::take(&mut seen.owes_ack) {
            let mut frames = Vec::new();
            frame::ack(&mut frames, &seen.ranges);
            self.data(batch, |out| out.extend_from_slice(&frames));
        }
    }

    /// Takes what the server has sent; what the handshake answers is in the batch.
    pub(crate) fn receive(&mut self, mut datagram: &mut [u8], batch: &mut Batch) -> Option<()> {
        while !datagram.is_empty() && !matches!(self.state, State::Closed(_)) {
            match packet::outline(datagram, self.own_id.len()) {
                Outline::Other => return None,
                Outline::Retry { from, token } => return self.retry(from, token, batch),
                Outline::Sealed {
                    space,
                    from,
                    number_at,
                    end,
                } => {
                    if space != Space::Data && !std::mem::replace(&mut self.knows_server, true) {
                        self.server_id = from;
                    }
                    let (packet, rest) = datagram.split_at_mut(end);
                    datagram = rest;
                    self.open(space, packet, number_at);
                    // What follows may need the keys that this one brings.
                    if self.state == State::Handshake {
                        self.flight(batch)?;
                    }
                }
            }
        }
        Some(())
    }

    /// An address has to be proved (§8.1.2).
    fn retry(&mut self, from: Vec<u8>, token: Vec<u8>, batch: &mut Batch) -> Option<()> {
        if self.knows_server || std::mem::replace(&mut self.was_retried, true) {
            return None;
        }
        self.series[0].keys = tls::initial_keys(&from);
        self.server_id = from;
        self.token = token;
        self.send_hello(batch)
    }

    fn open(&mut self, space: Space, packet: &mut [u8], number_at: usize) -> Option<()> {
        let series = &mut self.series[place(space)];
        let keys = series.keys.as_ref()?;
        let expected = series.seen.expected();
        let (number, at) = packet::unmask(packet, number_at, &*keys.remote.header, expected)?;
        if space == Space::Data && packet::phase_of(packet) != self.phase {
            self.update_keys();
        }
        let series = &mut self.series[place(space)];
        let keys = &*series.keys.as_ref()?.remote.packet;
        let Some(mut payload) = packet::open(packet, at, number, keys) else {
            if space == Space::Data && self.state == State::Open {
                self.state = State::Closed(Close::Reset);
            }
            return None;
        };
        series.seen.add(number);
        while !payload.is_empty() {
            let frame = frame::next(&mut payload)?;
            if !matches!(
                frame,
                Frame::Other { needs_ack: false } | Frame::Close { .. }
            ) {
                self.series[place(space)].seen.owes_ack = true;
            }
            self.take(space, &frame);
        }
        Some(())
    }

    /// The server has gone on to the next generation of keys (RFC 9001 §6).
    fn update_keys(&mut self) {
        let Some((set, mut secrets)) = self.later.take() else {
            return;
        };
        if let Some(keys) = &mut self.series[2].keys {
            keys.local.packet = set.local;
            keys.remote.packet = set.remote;
        }
        self.phase = !self.phase;
        self.later = Some((secrets.next_packet_keys(), secrets));
    }

    fn take(&mut self, space: Space, frame: &Frame<'_>) {
        match *frame {
            // Tickets of a session are of no use.
            Frame::Crypto { .. } if space == Space::Data => {}
            Frame::Crypto { offset, content } => {
                let early = &mut self.series[place(space)].early;
                early.insert(offset, content.to_vec());
                self.read_handshake(space);
            }
            Frame::MaxData(max) => self.limits.bytes = self.limits.bytes.max(max),
            Frame::MaxStreams {
                is_bidirectional,
                max,
            } => {
                let limit = match is_bidirectional {
                    true => &mut self.limits.requests,
                    false => &mut self.limits.own_streams,
                };
                *limit = max.max(*limit);
            }
            Frame::Stream { stream, ends: true } | Frame::Reset { stream } if stream & 3 == 0 => {
                self.responses += 1;
            }
            Frame::NewConnectionId { sequence, id } => {
                self.ids_given = self.ids_given.max(sequence);
                // The newest is not retired.
                if sequence == self.ids_given {
                    self.server_id = id.to_vec();
                }
            }
            Frame::PathChallenge(data) => self.challenges.push(data),
            Frame::Close {
                is_application,
                code,
            } => {
                self.state = State::Closed(match is_application {
                    true => Close::Application(code),
                    false => Close::Transport(code),
                });
            }
            Frame::Stream { .. } | Frame::Reset { .. } | Frame::Other { .. } => {}
        }
    }

    /// Gives TLS what comes next.
    fn read_handshake(&mut self, space: Space) -> Option<()> {
        let series = &mut self.series[place(space)];
        while let Some((offset, content)) = series.early.pop_first() {
            if offset > series.crypto_read {
                series.early.insert(offset, content);
                return None;
            }
            let known = (series.crypto_read - offset) as usize;
            let Some(new) = content.get(known..) else {
                continue;
            };
            series.crypto_read += new.len() as u64;
            self.tls.as_mut()?.read_hs(new).ok()?;
        }
        Some(())
    }

    /// Sends what TLS has to say.
    fn flight(&mut self, batch: &mut Batch) -> Option<()> {
        let mut space = match self.series {
            [_, Series { keys: None, .. }, _] => Space::Initial,
            _ => Space::Handshake,
        };
        loop {
            let mut said = Vec::new();
            let change = self.tls.as_mut()?.write_hs(&mut said);
            if !said.is_empty() {
                if space == Space::Initial {
                    self.hello = said;
                    self.send_hello(batch)?;
                } else {
                    let series = &mut self.series[place(space)];
                    let mut frames = Vec::new();
                    frame::ack(&mut frames, &series.seen.ranges);
                    frame::crypto(&mut frames, series.crypto_sent, &said);
                    series.crypto_sent += said.len() as u64;
                    self.send(space, &frames, batch)?;
                }
            }
            match change {
                Some(KeyChange::Handshake { keys }) => {
                    self.series[1].keys = Some(keys);
                    space = Space::Handshake;
                }
                Some(KeyChange::OneRtt { keys, mut next }) => {
                    self.series[2].keys = Some(keys);
                    self.later = Some((next.next_packet_keys(), next));
                    self.opened();
                    return Some(());
                }
                None => return Some(()),
            }
        }
    }

    fn opened(&mut self) {
        self.state = State::Open;
        let parameters = self
            .tls
            .as_ref()
            .and_then(|tls| tls.quic_transport_parameters());
        for (id, value) in numbers_in(parameters.unwrap_or_default()) {
            match id {
                4 => self.limits.bytes = value,
                8 => self.limits.requests = value,
                9 => self.limits.own_streams = value,
                _ => {}
            }
        }
        // It is not needed any more, and takes memory.
        self.tls = None;
    }

    fn send_hello(&mut self, batch: &mut Batch) -> Option<()> {
        let mut frames = Vec::new();
        frame::crypto(&mut frames, 0, &self.hello);
        let overhead = packet::initial_overhead(&self.server_id, &self.own_id, &self.token);
        frames.resize(frames.len().max(INITIAL_BYTES - overhead), 0);
        self.send(Space::Initial, &frames, batch)
    }

    /// What its first packets say that its identifier is, and TLS repeats.
    pub(crate) fn own_id(&self) -> [u8; 8] {
        self.own_id
    }

    /// The first message of TLS.
    pub(crate) fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// What was given to prove the address.
    pub(crate) fn token(&self) -> &[u8] {
        &self.token
    }
}

/// Identifiers of the server's that are remembered, or so it is told.
const IDS_MAX: u64 = 8;
/// With a number of four bytes and a tag this is more than a sample needs.
const SHORT_PAYLOAD: usize = 1;

/// Transport parameters of a client (§18).
fn parameters(windows: Windows, own_id: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (id, value) in [
        (1, 30_000),
        (4, windows.connection),
        (5, windows.stream),
        (7, windows.stream),
        (9, 8),
        (14, IDS_MAX),
    ] {
        let mut bytes = Vec::new();
        varint(&mut bytes, value);
        varint(&mut all, id);
        varint(&mut all, bytes.len() as u64);
        all.extend(bytes);
    }
    varint(&mut all, 15);
    varint(&mut all, own_id.len() as u64);
    all.extend_from_slice(own_id);
    all
}

/// Those of the server's transport parameters that are numbers.
fn numbers_in(mut all: &[u8]) -> Vec<(u64, u64)> {
    let mut numbers = Vec::new();
    while let Some(id) = take_varint(&mut all)
        && let Some(len) = take_varint(&mut all)
        && let Some(mut value) = usize::try_from(len)
            .ok()
            .and_then(|len| super::take(&mut all, len))
    {
        numbers.extend(take_varint(&mut value).map(|value| (id, value)));
    }
    numbers
}
