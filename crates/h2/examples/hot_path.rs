//! Measures the hot paths: nanoseconds, or instructions under callgrind.
//!
//! ```text
//! cargo run --release -p ajay-h2 --features testing --example hot_path
//! valgrind --tool=callgrind --toggle-collect='*measured*' .../hot_path hello 1000
//! ```
//! The second form runs one case a given number of times; divide the instructions by that number. A
//! time is a turn of 32 requests.
#![allow(clippy::print_stdout, reason = "a measuring tool prints its result")]

use std::{hint::black_box, time::Instant};

use ajay_fields::hpack::Encoder;
use ajay_h2::{
    Config, Connection, Event,
    testing::wire::{CLIENT_START, block, frame},
};
use ajay_http::{FieldSection, RequestHead, ResponseHead, StatusCode};

/// Streams of a turn.
const STREAMS: u32 = 32;

/// Runs a case so many times.
type Case = fn(u32);

/// What `h2load` sends.
const SHORT: &[(&str, &[u8])] = &[
    (":method", b"GET"),
    (":path", b"/"),
    (":scheme", b"http"),
    (":authority", b"localhost:8080"),
    ("user-agent", b"h2load nghttp2/1.52.0"),
];

const BROWSER: &[(&str, &[u8])] = &[
    (":method", b"GET"),
    (":authority", b"www.example.org"),
    (":scheme", b"https"),
    (":path", b"/en/docs/articles/2026/http?lang=en&page=2"),
    (
        "user-agent",
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
          Chrome/140.0.0.0 Safari/537.36",
    ),
    (
        "accept",
        b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ),
    ("sec-fetch-site", b"same-origin"),
    ("sec-fetch-mode", b"navigate"),
    ("sec-fetch-dest", b"document"),
    ("referer", b"https://www.example.org/en/docs/"),
    ("accept-encoding", b"gzip, deflate, br, zstd"),
    ("accept-language", b"en-US,en;q=0.5"),
    ("x-own-field", b"something of our own"),
    ("priority", b"u=0, i"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let cases: [(&str, Case); 3] = [
        ("hello", |count| hello_measured(SHORT, count)),
        ("browser", |count| hello_measured(BROWSER, count)),
        ("upload", upload_measured),
    ];
    if let [_, name, count] = arguments.as_slice() {
        let count = count.parse().expect("a number");
        cases
            .iter()
            .filter(|(case, _)| case == name)
            .for_each(|(_, run)| run(count));
        return;
    }
    for (name, run) in cases {
        let mut rounds: Vec<f64> = (0..15)
            .map(|_| {
                let start = Instant::now();
                run(3000);
                start.elapsed().as_nanos() as f64 / 3000.0
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        println!(
            "{name:8} best {:8.1} ns  median {:8.1} ns",
            rounds[0],
            rounds[rounds.len() / 2]
        );
    }
}

/// A connection, and what a client sends in one turn.
struct Bench {
    config: Config,
    connection: Connection,
    head: RequestHead,
    out: Vec<u8>,
    encoder: Encoder,
    input: Vec<u8>,
    next_stream: u32,
}

impl Bench {
    fn new() -> Self {
        let (config, mut out) = (Config::default(), Vec::with_capacity(64 * 1024));
        let mut bench = Self {
            connection: Connection::new(&config, 0, &mut out),
            config,
            head: RequestHead::new(),
            out,
            encoder: Encoder::new(),
            input: CLIENT_START.to_vec(),
            next_stream: 1,
        };
        bench.serve();
        bench
    }

    fn stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    /// Answers what the input asks for. Content is given back at once.
    fn serve(&mut self) {
        let (fields, date) = (FieldSection::new(), *b"Sun, 06 Nov 1994 08:49:37 GMT");
        let response = ResponseHead {
            status: StatusCode::OK,
            fields: &fields,
            content_type: Some("text/plain; charset=utf-8"),
            server: Some("ajay"),
            date: Some(&date),
        };
        let mut rest = black_box(self.input.as_slice());
        self.out.clear();
        loop {
            let step = self
                .connection
                .next_event(&self.config, 0, rest, &mut self.head, &mut self.out)
                .expect("no violation");
            rest = &rest[step.consumed..];
            match step.event {
                Event::Request {
                    key,
                    end_of_content: true,
                    ..
                }
                | Event::EndOfContent { key } => {
                    black_box(&self.head);
                    self.connection
                        .send_whole(key, &response, b"Hello, World!", &mut self.out)
                        .expect("a valid response");
                }
                Event::Data { key, data } => {
                    let len = data.len() as u32;
                    self.connection.release(key, len, &mut self.out);
                }
                Event::NeedData => break,
                _ => {}
            }
        }
        black_box(&self.out);
    }
}

/// Turns of 32 GET, and a window update for what was sent.
fn hello_measured(fields: &[(&str, &[u8])], count: u32) {
    let mut bench = Bench::new();
    for _ in 0..count {
        bench.input.clear();
        for _ in 0..STREAMS {
            let stream = bench.stream();
            let payload = indexed_block(fields, stream == 1);
            bench.input.extend(frame(1, 5, stream, &payload));
        }
        let increment = STREAMS * 13;
        let update = frame(8, 0, 0, &increment.to_be_bytes());
        bench.input.extend(update);
        bench.serve();
    }
}

/// A field block as clients that index everything send it: the first puts lines into the dynamic
/// table, the others refer to them.
fn indexed_block(fields: &[(&str, &[u8])], is_first: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut index = 61 + fields.len() as u8;
    for (name, value) in fields {
        if is_first {
            out.extend([0x40, name.len() as u8]);
            out.extend(name.as_bytes());
            out.push(value.len() as u8);
            out.extend(*value);
        } else {
            out.push(0x80 | index);
        }
        index -= 1;
    }
    out
}

/// Turns of one POST with 64 KiB of content.
fn upload_measured(count: u32) {
    let mut bench = Bench::new();
    let content = [0; 16 * 1024];
    for _ in 0..count {
        bench.input.clear();
        let stream = bench.stream();
        let payload = block(&mut bench.encoder, SHORT);
        bench.input.extend(frame(1, 4, stream, &payload));
        for at in 0..3 {
            bench
                .input
                .extend(frame(0, u8::from(at == 2), stream, &content));
        }
        bench.input.extend(frame(8, 0, 0, &13_u32.to_be_bytes()));
        bench.serve();
    }
}
