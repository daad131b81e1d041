//! What floods send, burst by burst.

use std::time::Duration;

use crate::quic::frame::{self, kind, numbers, stream};
use crate::quic::packet::{self, Header, INITIAL_BYTES, Space};
use crate::quic::peer::{Peer, State};
use crate::quic::socket::Batch;
use crate::quic::{Random, tls, varint};

/// Datagrams of a burst.
const BURST: usize = 32;
/// What a packet holds that is not to be larger than any path takes.
const PAYLOAD_BYTES: usize = 1100;

/// Bytes of HTTP/3 that a flood sends, made once.
pub(super) type Bytes = Vec<u8>;

#[derive(Debug)]
pub(super) enum Flood {
    /// First packets, each of another client; with `once` one from each port, and then silence.
    Hellos { once: bool },
    /// The same first packet again and again.
    SameHello,
    /// First packets with a token that nobody has given.
    Tokens { len: usize },
    /// CRYPTO frames of one byte in first packets, at every second offset, or behind all that is kept.
    CryptoHoles { from: u64 },
    /// Datagrams of so many bytes that are nobody's packets.
    Noise { len: usize },
    /// The handshake up to its last message; the address may have been proved.
    HalfOpen,
    /// CRYPTO frames with no end, after the handshake.
    CryptoForever,
    /// Requests, as many as the server allows or more, and what follows each.
    Requests {
        /// Frames of the request.
        bytes: Bytes,
        ends: bool,
        /// RESET_STREAM and STOP_SENDING.
        resets: bool,
        stops: bool,
        /// The server's limits are not kept.
        exceeds: bool,
    },
    /// Streams of unknown types.
    OwnStreams { resets: bool },
    /// These bytes on a stream of ours, which begin with its type, and then these again and again.
    OwnStream { first: Bytes, again: Bytes },
    /// Content in STREAM frames of one byte, all of it or with holes.
    Bytes { holes: bool },
    /// Packets that only look as if they were the connection's.
    Forged,
    /// Frames that are no stream's, packets full of them, or each in a packet.
    Frames { frame: Repeated, alone: bool },
    /// A large response, and acknowledgments of what was not received.
    Acks(Acks),
    /// Requests, each burst from another port.
    Moving { answers: bool },
    /// A request at a byte a period on each of so many streams.
    SlowRequests { bytes: Bytes, streams: u64 },
    /// Requests for `--path` whose responses may not come, or by a byte a period.
    SlowReads { streams: u64, dribbles: bool },
}

/// Which frame is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeated {
    Ping,
    PathChallenge,
    MaxData,
    RetireId,
    NewId,
}

/// What is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acks {
    /// Packets that the server is still far from.
    Unsent,
    /// All up to the last that came, also those that the server has left out.
    Skipped,
    /// A few more than came.
    Ahead,
}

/// How far a connection is with its flood.
#[derive(Debug, Default)]
pub(super) struct Progress {
    has_begun: bool,
    requests: u64,
    own_streams: u64,
    bytes: u64,
    offset: u64,
    count: u64,
}

/// When there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Again,
    AgainFromElsewhere,
    AfterPeriod,
    WhenHeard,
    End,
}

/// What a burst is made with.
pub(super) struct Hand<'a> {
    pub(super) path: &'a str,
    pub(super) hello: &'a [u8],
    pub(super) hello_id: &'a [u8],
    pub(super) random: &'a mut Random,
    pub(super) batch: &'a mut Batch,
    pub(super) age: Duration,
}

impl Flood {
    pub(super) fn needs_connection(&self) -> bool {
        !matches!(
            self,
            Flood::Hellos { .. }
                | Flood::SameHello
                | Flood::Tokens { .. }
                | Flood::CryptoHoles { .. }
                | Flood::Noise { .. }
        )
    }

    pub(super) fn stays_half_open(&self) -> bool {
        matches!(self, Flood::HalfOpen)
    }

    /// The server is not expected to say anything.
    pub(super) fn expects_silence(&self) -> bool {
        matches!(
            self,
            Flood::HalfOpen | Flood::SlowReads { .. } | Flood::SlowRequests { .. } | Flood::Forged
        )
    }

    /// A burst of a flood that has no connection.
    pub(super) fn stray(&self, progress: &mut Progress, hand: &mut Hand<'_>) -> Next {
        match *self {
            Flood::Hellos { once: true } if progress.has_begun => {
                if hand.age > PATIENCE {
                    return Next::End;
                }
                return Next::AfterPeriod;
            }
            Flood::Hellos { once } => {
                let id = hand.random.id();
                initial(hand, &id, &[], 0, 0);
                progress.has_begun = true;
                if once {
                    return Next::AfterPeriod;
                }
            }
            Flood::SameHello => {
                progress.count = match progress.count {
                    0 => hand.random.next() | 1,
                    count => count,
                };
                let id = progress.count.to_be_bytes();
                for _ in 0..BURST {
                    initial(hand, &id, &[], 0, 0);
                }
            }
            Flood::Tokens { len } => {
                let id = hand.random.id();
                let mut token = vec![0; len];
                hand.random.fill(&mut token);
                initial(hand, &id, &token, 0, 0);
            }
            Flood::CryptoHoles { from } => {
                if progress.offset.is_multiple_of(16) {
                    progress.count = hand.random.next();
                    progress.bytes = from;
                }
                let id = progress.count.to_be_bytes();
                initial(hand, &id, &[], progress.offset % 16, progress.bytes + 1);
                progress.offset += 1;
                progress.bytes += 2 * HOLES_PER_PACKET;
            }
            Flood::Noise { len } => {
                for _ in 0..BURST {
                    let random = &mut *hand.random;
                    let _ = hand.batch.datagram(|out| {
                        let start = out.len();
                        out.resize(start + len, 0);
                        random.fill(&mut out[start..]);
                        // A short header.
                        out[start] = out[start] & 0x3f | 0x40;
                        Some(())
                    });
                }
            }
            _ => return Next::End,
        }
        Next::Again
    }

    /// A burst on a connection.
    pub(super) fn burst(
        &self,
        peer: &mut Peer,
        progress: &mut Progress,
        hand: &mut Hand<'_>,
    ) -> Next {
        if self.stays_half_open() {
            // A sink has seen no first packet yet.
            if peer.hello().is_empty() && !std::mem::replace(&mut progress.has_begun, true) {
                let id = hand.random.id();
                initial(hand, &id, &[], 0, 0);
            }
            return match hand.age > PATIENCE {
                true => Next::End,
                false => Next::AfterPeriod,
            };
        }
        if peer.state != State::Open {
            return Next::WhenHeard;
        }
        peer.acknowledge(hand.batch);
        if !std::mem::replace(&mut progress.has_begun, true) {
            self.begin(peer, progress, hand);
        }
        match self {
            Flood::CryptoForever => {
                for _ in 0..BURST {
                    let offset = progress.offset;
                    peer.data(hand.batch, |out| frame::crypto(out, offset, &[0; 1000]));
                    progress.offset += 1000;
                }
                Next::Again
            }
            Flood::Requests { .. } => self.requests(peer, progress, hand),
            Flood::OwnStreams { resets } => own_streams(peer, progress, hand, *resets),
            Flood::OwnStream { again, .. } => own_stream(peer, progress, hand, again),
            Flood::Bytes { holes } => bytes(peer, progress, hand, *holes),
            Flood::Forged => {
                for _ in 0..BURST {
                    let id = &peer.server_id;
                    let number = hand.random.next();
                    let _ = hand.batch.datagram(|out| {
                        out.push(0x43);
                        out.extend_from_slice(id);
                        out.extend_from_slice(&number.to_be_bytes());
                        out.extend_from_slice(&[0x5a; 24]);
                        Some(())
                    });
                }
                Next::Again
            }
            Flood::Frames { frame, alone } => frames(peer, progress, hand, *frame, *alone),
            Flood::Acks(acks) => acknowledge(peer, progress, hand, *acks),
            Flood::Moving { answers } => {
                if *answers {
                    for challenge in std::mem::take(&mut peer.challenges) {
                        let kind = kind::PATH_RESPONSE;
                        peer.data(hand.batch, |out| frame::path(out, kind, &challenge));
                    }
                }
                let request = super::scripts::get("/");
                for _ in 0..4 {
                    if progress.requests < peer.limits.requests {
                        request_on(peer, progress, hand, &request);
                    } else {
                        peer.data(hand.batch, |out| varint(out, kind::PING));
                    }
                }
                progress.count += 1;
                // A challenge comes to the port that it is for.
                match *answers && !progress.count.is_multiple_of(BURSTS_FROM_A_PORT) {
                    true => Next::WhenHeard,
                    false => Next::AgainFromElsewhere,
                }
            }
            Flood::SlowRequests { bytes, streams } => slow(peer, progress, hand, bytes, *streams),
            Flood::SlowReads { streams, dribbles } => {
                if *dribbles {
                    progress.offset += 1;
                    for number in 0..*streams {
                        let max = DRIBBLED_FROM + progress.offset;
                        peer.data(hand.batch, |out| {
                            numbers(out, &[kind::MAX_STREAM_DATA, 4 * number, max]);
                        });
                    }
                } else {
                    peer.data(hand.batch, |out| varint(out, kind::PING));
                }
                Next::AfterPeriod
            }
            _ => Next::End,
        }
    }

    /// The control stream, and what is asked for once.
    fn begin(&self, peer: &mut Peer, progress: &mut Progress, hand: &mut Hand<'_>) {
        let first = match self {
            Flood::OwnStream { first, .. } => &first[..],
            _ => super::scripts::CONTROL,
        };
        peer.data(hand.batch, |out| stream(out, 2, 0, first, false));
        progress.own_streams = 1;
        progress.offset = match self {
            Flood::OwnStream { first, .. } => first.len() as u64,
            _ => 0,
        };
        let large = super::scripts::get(hand.path);
        let count = match self {
            Flood::SlowReads { streams, .. } => *streams,
            Flood::Acks(_) => 1,
            _ => 0,
        };
        for _ in 0..count {
            request_on(peer, progress, hand, &large);
        }
        if let Flood::Bytes { .. } = self {
            let head = super::scripts::post();
            peer.data(hand.batch, |out| stream(out, 0, 0, &head, false));
            progress.requests = 1;
            progress.offset = head.len() as u64;
        }
    }

    fn requests(&self, peer: &mut Peer, progress: &mut Progress, hand: &mut Hand<'_>) -> Next {
        let Flood::Requests {
            bytes,
            ends,
            resets,
            stops,
            exceeds,
        } = self
        else {
            return Next::End;
        };
        let len = bytes.len() as u64;
        while hand.batch.len() < BURST {
            let may = |progress: &Progress| {
                *exceeds
                    || progress.requests < peer.limits.requests
                        && progress.bytes + len <= peer.limits.bytes
            };
            if !may(progress) {
                return Next::WhenHeard;
            }
            if bytes.len() > PAYLOAD_BYTES {
                large_request(peer, progress, hand, bytes, *ends);
                continue;
            }
            let (mut packed, limits) = (Vec::new(), peer.limits);
            while packed.len() + bytes.len() + 24 < PAYLOAD_BYTES
                && (*exceeds
                    || progress.requests < limits.requests && progress.bytes + len <= limits.bytes)
            {
                let id = 4 * progress.requests;
                stream(&mut packed, id, 0, bytes, *ends);
                if *resets {
                    numbers(&mut packed, &[kind::RESET_STREAM, id, 0x10c, len]);
                }
                if *stops {
                    numbers(&mut packed, &[kind::STOP_SENDING, id, 0x10c]);
                }
                progress.requests += 1;
                progress.bytes += len;
            }
            if peer
                .data(hand.batch, |out| out.extend_from_slice(&packed))
                .is_none()
            {
                return Next::End;
            }
        }
        Next::Again
    }
}

/// How long a port waits for what may still come.
const PATIENCE: Duration = Duration::from_secs(4);
/// Of clients that answer challenges.
const BURSTS_FROM_A_PORT: u64 = 4;
/// Frames in a first packet that has only them.
const HOLES_PER_PACKET: u64 = 200;
/// What streams begin with that are opened by a byte.
pub(super) const DRIBBLED_FROM: u64 = 16;

/// Adds a client's first packet. With `number` 0 it holds the first message of TLS, later bytes with holes between
/// them.
fn initial(hand: &mut Hand<'_>, id: &[u8; 8], token: &[u8], number: u64, holes_from: u64) {
    let Some(keys) = tls::initial_keys(id) else {
        return;
    };
    let mut frames = Vec::new();
    if number == 0 && holes_from == 0 {
        frame::crypto(&mut frames, 0, hand.hello);
    } else {
        for hole in 0..HOLES_PER_PACKET {
            frame::crypto(&mut frames, holes_from + 2 * hole, b"x");
        }
    }
    let overhead = packet::initial_overhead(id, hand.hello_id, token);
    frames.resize(INITIAL_BYTES.saturating_sub(overhead), 0);
    let header = Header {
        space: Space::Initial,
        to: id,
        from: hand.hello_id,
        token,
        number,
        phase: false,
    };
    let _ = hand
        .batch
        .datagram(|out| packet::seal(out, &header, &keys.local, &frames));
}

fn request_on(peer: &mut Peer, progress: &mut Progress, hand: &mut Hand<'_>, bytes: &[u8]) {
    let id = 4 * progress.requests;
    peer.data(hand.batch, |out| stream(out, id, 0, bytes, true));
    progress.requests += 1;
    progress.bytes += bytes.len() as u64;
}

/// A request in several packets.
fn large_request(
    peer: &mut Peer,
    progress: &mut Progress,
    hand: &mut Hand<'_>,
    bytes: &[u8],
    ends: bool,
) {
    let id = 4 * progress.requests;
    let mut offset = 0;
    for piece in bytes.chunks(PAYLOAD_BYTES) {
        let is_last = offset + piece.len() == bytes.len();
        peer.data(hand.batch, |out| {
            stream(out, id, offset as u64, piece, ends && is_last);
        });
        offset += piece.len();
    }
    progress.requests += 1;
    progress.bytes += bytes.len() as u64;
}

/// Streams with a type that nobody knows.
fn own_streams(
    peer: &mut Peer,
    progress: &mut Progress,
    hand: &mut Hand<'_>,
    resets: bool,
) -> Next {
    const UNKNOWN: &[u8] = b"\x40\x40hello";
    while hand.batch.len() < BURST {
        if progress.own_streams >= peer.limits.own_streams {
            return Next::WhenHeard;
        }
        let id = 4 * progress.own_streams + 2;
        let sent = peer.data(hand.batch, |out| {
            stream(out, id, 0, UNKNOWN, !resets);
            if resets {
                numbers(out, &[kind::RESET_STREAM, id, 0x100, UNKNOWN.len() as u64]);
            }
        });
        if sent.is_none() {
            return Next::End;
        }
        progress.own_streams += 1;
    }
    Next::Again
}

/// More of a stream that has no end.
fn own_stream(peer: &mut Peer, progress: &mut Progress, hand: &mut Hand<'_>, again: &[u8]) -> Next {
    let piece = again.repeat((PAYLOAD_BYTES / again.len()).max(1));
    let len = piece.len() as u64;
    while hand.batch.len() < BURST {
        if progress.offset + len > peer.limits.bytes {
            return Next::WhenHeard;
        }
        let offset = progress.offset;
        let sent = peer.data(hand.batch, |out| stream(out, 2, offset, &piece, false));
        if sent.is_none() {
            return Next::End;
        }
        progress.offset += len;
    }
    Next::Again
}

/// Content by the byte.
fn bytes(peer: &mut Peer, progress: &mut Progress, hand: &mut Hand<'_>, holes: bool) -> Next {
    let step = if holes { 2 } else { 1 };
    for _ in 0..BURST {
        let room = peer.limits.bytes.saturating_sub(progress.offset + 2 * 64);
        if room < 64 {
            return Next::WhenHeard;
        }
        let first = progress.offset + u64::from(holes);
        peer.data(hand.batch, |out| {
            for at in 0..32 {
                stream(out, 0, first + step * at, b"x", false);
            }
        });
        progress.offset += step * 32;
    }
    Next::Again
}

/// Frames again and again.
fn frames(
    peer: &mut Peer,
    progress: &mut Progress,
    hand: &mut Hand<'_>,
    repeated: Repeated,
    alone: bool,
) -> Next {
    let in_packet = match repeated {
        _ if alone => 1,
        Repeated::NewId => PAYLOAD_BYTES / 40,
        Repeated::PathChallenge => PAYLOAD_BYTES / 9,
        _ => PAYLOAD_BYTES / 9,
    };
    if repeated == Repeated::RetireId && progress.count >= peer.ids_given {
        return Next::WhenHeard;
    }
    for _ in 0..BURST {
        let given = peer.ids_given;
        let random = &mut *hand.random;
        peer.data(hand.batch, |out| {
            for _ in 0..in_packet {
                let count = progress.count;
                progress.count += 1;
                match repeated {
                    Repeated::Ping => varint(out, kind::PING),
                    Repeated::PathChallenge => {
                        frame::path(out, kind::PATH_CHALLENGE, &random.id());
                    }
                    Repeated::MaxData => numbers(out, &[kind::MAX_DATA, (1 << 40) + count]),
                    Repeated::RetireId if count < given => {
                        numbers(out, &[kind::RETIRE_CONNECTION_ID, count]);
                    }
                    Repeated::RetireId => progress.count = count,
                    Repeated::NewId => {
                        frame::new_connection_id(out, count + 1, count + 1, &random.id());
                    }
                }
            }
        });
        if repeated == Repeated::RetireId && progress.count >= given {
            return Next::WhenHeard;
        }
    }
    Next::Again
}

/// Acknowledges what did not come.
fn acknowledge(peer: &mut Peer, progress: &mut Progress, hand: &mut Hand<'_>, acks: Acks) -> Next {
    let highest = peer.highest_seen().unwrap_or(progress.count);
    progress.count += 1;
    let range = match acks {
        Acks::Unsent => (highest, highest + 100_000),
        Acks::Skipped => (0, highest),
        Acks::Ahead => (0, highest + 8),
    };
    peer.data(hand.batch, |out| frame::ack(out, &[range]));
    match acks {
        Acks::Unsent => Next::Again,
        Acks::Skipped | Acks::Ahead => Next::WhenHeard,
    }
}

/// A byte of a request on each stream.
fn slow(
    peer: &mut Peer,
    progress: &mut Progress,
    hand: &mut Hand<'_>,
    bytes: &[u8],
    streams: u64,
) -> Next {
    let offset = progress.offset;
    let at = usize::try_from(offset).map_or(0, |at| at.min(bytes.len() - 1));
    for number in 0..streams.min(peer.limits.requests) {
        peer.data(hand.batch, |out| {
            stream(out, 4 * number, offset, &bytes[at..=at], false);
        });
    }
    progress.offset += 1;
    Next::AfterPeriod
}
