//! Measures the hot paths: nanoseconds, or instructions under callgrind.
//!
//! ```text
//! cargo run --release -p ajay-fields --example hot_path
//! valgrind --tool=callgrind --toggle-collect='*measured*' .../hot_path decode-repeated 1000
//! ```
//! The second form runs one case a given number of times; divide the instructions by that number.
#![allow(clippy::print_stdout, reason = "a measuring tool prints its result")]

use std::{hint::black_box, ops::ControlFlow, time::Instant};

use ajay_fields::{
    PseudoField,
    hpack::{DecodedField, Decoder, Encoder, Sensitivity},
    huffman, integer, qpack,
};
use ajay_http::{KnownField, StatusCode};

const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36";
const ACCEPT: &str =
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// Runs a case so many times.
type Case = fn(u32);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let cases: [(&str, Case); 15] = [
        ("huffman-decode", huffman_decode_measured),
        ("huffman-encode", huffman_encode_measured),
        ("decode-first", decode_first_measured),
        ("decode-repeated", |count| decode_measured(count, false)),
        ("decode-path", |count| decode_measured(count, true)),
        ("decode-worst", decode_worst_measured),
        ("encode-hello", |count| {
            encode_measured(Encoder::new(), count);
        }),
        ("encode-stateless", |count| {
            encode_measured(Encoder::without_table(), count);
        }),
        ("encode-copied", copy_measured),
        ("encode-first", encode_first_measured),
        ("new", new_measured),
        ("hpack-static", hpack_static_measured),
        ("qpack-first", |count| {
            qpack_decode_measured(&qpack_first_request(), count)
        }),
        ("qpack-static", |count| {
            qpack_decode_measured(QPACK_STATIC, count)
        }),
        ("qpack-hello", qpack_encode_measured),
    ];
    if let [_, name, count] = arguments.as_slice() {
        let count = count.parse().expect("a number");
        cases
            .iter()
            .filter(|(case, _)| case == name)
            .for_each(|(_, run)| run(count));
        return;
    }
    println!(
        "bytes: user agent {} in {}, first request {}, hello {} or {}",
        USER_AGENT.len(),
        huffman::encoded_len(USER_AGENT.as_bytes()),
        first_request().len(),
        hello(&mut Encoder::new()).1.len(),
        hello(&mut Encoder::without_table()).1.len(),
    );
    println!(
        "state: encoder {}, decoder {}",
        size_of::<Encoder>(),
        size_of::<Decoder>()
    );
    for (name, run) in cases {
        let mut rounds: Vec<f64> = (0..15)
            .map(|_| {
                let start = Instant::now();
                run(100_000);
                start.elapsed().as_nanos() as f64 / 100_000.0
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        println!(
            "{name:16} best {:6.1} ns  median {:6.1} ns",
            rounds[0],
            rounds[rounds.len() / 2]
        );
    }
}

#[inline(never)]
fn huffman_decode_measured(count: u32) {
    let mut encoded = Vec::new();
    huffman::encode(USER_AGENT.as_bytes(), &mut encoded);
    let mut text = Vec::new();
    for _ in 0..count {
        let decoded = huffman::decode(black_box(&encoded), &mut text, 0);
        assert!(decoded.is_ok_and(|decoded| decoded.end == USER_AGENT.len()));
    }
}

#[inline(never)]
fn huffman_encode_measured(count: u32) {
    let mut out = Vec::with_capacity(256);
    for _ in 0..count {
        out.clear();
        huffman::encode(black_box(USER_AGENT.as_bytes()), &mut out);
        black_box(&out);
    }
}

/// A browser's first request, whose strings are Huffman-encoded literals.
fn first_request() -> Vec<u8> {
    let mut out = Vec::new();
    request(&mut Encoder::new(), "/", &mut out);
    out
}

fn request(encoder: &mut Encoder, path: &str, out: &mut Vec<u8>) {
    encoder.begin(out);
    for (field, value) in [
        (PseudoField::Method, "GET"),
        (PseudoField::Scheme, "https"),
        (PseudoField::Authority, "www.example.org"),
        (PseudoField::Path, path),
    ] {
        encoder.pseudo(field, value.as_bytes(), out);
    }
    for (field, value) in [
        (KnownField::UserAgent, USER_AGENT),
        (KnownField::Accept, ACCEPT),
        (KnownField::AcceptLanguage, "en-US,en;q=0.5"),
        (KnownField::AcceptEncoding, "gzip, deflate, br, zstd"),
    ] {
        let name = field.as_str().as_bytes();
        encoder.field(
            Some(field),
            name,
            value.as_bytes(),
            Sensitivity::Public,
            out,
        );
    }
}

#[inline(never)]
fn decode_first_measured(count: u32) {
    let block = first_request();
    for _ in 0..count {
        let mut decoder = Decoder::new(4096);
        decode(&mut decoder, &block);
    }
}

/// A request of which all lines are in the tables, or all but a path that is new.
#[inline(never)]
fn decode_measured(count: u32, is_path_new: bool) {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(4096);
    let mut block = Vec::new();
    request(&mut encoder, "/", &mut block);
    decode(&mut decoder, &block);
    block.clear();
    let path = if is_path_new {
        "/assets/app.js?v=12"
    } else {
        "/"
    };
    request(&mut encoder, path, &mut block);
    for _ in 0..count {
        decode(&mut decoder, black_box(&block));
    }
}

/// The most that 1 000 bytes can ask for: a name of half the table, which each two bytes insert again.
#[inline(never)]
fn decode_worst_measured(count: u32) {
    let mut decoder = Decoder::new(4096);
    let name = [b'x'; 1900];
    let mut block = vec![0x40, 0x7f, 0xed, 0x0d];
    block.extend_from_slice(&name);
    block.push(0);
    decode(&mut decoder, &block);
    let block = [0x7e, 0x00].repeat(500);
    for _ in 0..count / 100 {
        decode(&mut decoder, black_box(&block));
    }
}

fn decode(decoder: &mut Decoder, block: &[u8]) {
    let mut bytes = 0;
    let result = decoder.decode(block, &mut |field: DecodedField<'_>| {
        bytes += field.size();
        ControlFlow::Continue(())
    });
    assert!(result.is_ok());
    black_box(bytes);
}

fn encode_hello(encoder: &mut Encoder, out: &mut Vec<u8>) {
    encoder.begin(out);
    encoder.status(StatusCode::OK, out);
    for (field, value) in [
        (KnownField::ContentType, &b"text/plain; charset=utf-8"[..]),
        (KnownField::Server, b"ajay"),
        (KnownField::Date, DATE),
        (KnownField::ContentLength, b"13"),
    ] {
        encoder.field(
            Some(field),
            field.as_str().as_bytes(),
            black_box(value),
            Sensitivity::Public,
            out,
        );
    }
}

/// The first block of a connection and one that repeats it.
fn hello(encoder: &mut Encoder) -> (Vec<u8>, Vec<u8>) {
    let mut blocks = [Vec::new(), Vec::new(), Vec::new()];
    for block in &mut blocks {
        encode_hello(encoder, block);
    }
    let [first, _, third] = blocks;
    (first, third)
}

#[inline(never)]
fn encode_measured(mut encoder: Encoder, count: u32) {
    hello(&mut encoder);
    let mut out = Vec::with_capacity(256);
    for _ in 0..count {
        out.clear();
        encode_hello(&mut encoder, &mut out);
        black_box(&out);
    }
}

/// A block that is kept and copied as long as the table is what it was.
#[inline(never)]
fn copy_measured(count: u32) {
    let mut encoder = Encoder::new();
    let (_, kept) = hello(&mut encoder);
    let version = encoder.table_version();
    let mut out = Vec::with_capacity(256);
    for _ in 0..count {
        out.clear();
        encoder.begin(&mut out);
        if black_box(&encoder).table_version() == version {
            out.extend_from_slice(black_box(&kept));
        }
        black_box(&out);
    }
}

#[inline(never)]
fn encode_first_measured(count: u32) {
    let mut out = Vec::with_capacity(256);
    for _ in 0..count {
        out.clear();
        let mut encoder = Encoder::new();
        encode_hello(&mut encoder, &mut out);
        black_box(&out);
    }
}

#[inline(never)]
fn new_measured(count: u32) {
    for _ in 0..count {
        black_box((Encoder::new(), Decoder::new(4096)));
    }
}

/// A browser's first request without a dynamic table: static lines and names, and Huffman-encoded
/// literals.
fn qpack_first_request() -> Vec<u8> {
    let mut out = vec![0, 0];
    for index in [17, 23, 1] {
        out.push(0xc0 | index);
    }
    for (index, value) in [
        (0, "www.example.org"),
        (95, USER_AGENT),
        (29, ACCEPT),
        (72, "en-US,en;q=0.5"),
        (31, "gzip, deflate, br, zstd"),
    ] {
        integer::encode(index, 0x50, 4, &mut out);
        let len = huffman::encoded_len(value.as_bytes()) as u64;
        integer::encode(len, 0x80, 7, &mut out);
        huffman::encode(value.as_bytes(), &mut out);
    }
    out
}

/// What h2load sends: lines of the static table, and an authority and a user agent in plain text.
const QPACK_STATIC: &[u8] = b"\x00\x00\xd1\xd7\xc1\x50\x09127.0.0.1\x5f\x50\x06h2load";
/// The same in HPACK, nothing inserted.
const HPACK_STATIC: &[u8] = b"\x82\x87\x84\x01\x09127.0.0.1\x0f\x2b\x06h2load";

#[inline(never)]
fn qpack_decode_measured(section: &[u8], count: u32) {
    let mut decoder = qpack::Decoder::new(0, 0);
    let mut scratch = qpack::Scratch::new();
    for _ in 0..count {
        let mut bytes = 0;
        let result = decoder.decode(
            &mut scratch,
            0,
            black_box(section),
            &mut |field: DecodedField<'_>| {
                bytes += field.size();
                ControlFlow::Continue(())
            },
        );
        assert!(result.is_ok());
        black_box(bytes);
    }
}

#[inline(never)]
fn hpack_static_measured(count: u32) {
    let mut decoder = Decoder::new(4096);
    for _ in 0..count {
        decode(&mut decoder, black_box(HPACK_STATIC));
    }
}

#[inline(never)]
fn qpack_encode_measured(count: u32) {
    let mut encoder = qpack::Encoder::new();
    let mut out = Vec::with_capacity(256);
    for _ in 0..count {
        out.clear();
        encoder.begin(&mut out);
        encoder.status(StatusCode::OK, &mut out);
        for (field, value) in [
            (KnownField::ContentType, &b"text/plain; charset=utf-8"[..]),
            (KnownField::Server, b"ajay"),
            (KnownField::Date, DATE),
            (KnownField::ContentLength, b"13"),
        ] {
            let name = field.as_str().as_bytes();
            encoder.field(
                Some(field),
                name,
                black_box(value),
                Sensitivity::Public,
                &mut out,
            );
        }
        black_box(&out);
    }
}
