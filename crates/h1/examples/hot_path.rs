//! Measures the hot paths: nanoseconds, or instructions under callgrind.
//!
//! ```text
//! cargo run --release -p ajay-h1 --example hot_path
//! valgrind --tool=callgrind --toggle-collect='*measured*' .../hot_path short 1000
//! ```
//! The second form runs one case a given number of times; divide the instructions by that number.
#![allow(clippy::print_stdout, reason = "a measuring tool prints its result")]

use std::{hint::black_box, time::Instant};

use ajay_h1::{Config, Connection, ContentSize, Event, ResponseHead};
use ajay_http::{FieldSection, RequestHead, StatusCode};

const SHORT: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const USUAL: &[u8] = b"GET /assets/app.js?v=12 HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Connection: keep-alive\r\n\r\n";
const BROWSER: &[u8] = b"GET /en/docs/articles/2026/http?lang=en&page=2 HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://www.example.org/en/docs/\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Priority: u=0, i\r\n\
    X-Own-Field: something of our own\r\n\
    Connection: keep-alive\r\n\r\n";

/// Runs a case so many times.
type Case = fn(u32);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let cases: [(&str, Case); 4] = [
        ("short", |count| parse_measured(SHORT, count)),
        ("usual", |count| parse_measured(USUAL, count)),
        ("browser", |count| parse_measured(BROWSER, count)),
        ("exchange", exchange_measured),
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
        "bytes: short {}, usual {}, browser {}",
        SHORT.len(),
        USUAL.len(),
        BROWSER.len()
    );
    for (name, run) in cases {
        let mut rounds: Vec<f64> = (0..15)
            .map(|_| {
                let start = Instant::now();
                run(300_000);
                start.elapsed().as_nanos() as f64 / 300_000.0
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        println!(
            "{name:8} best {:6.1} ns  median {:6.1} ns",
            rounds[0],
            rounds[rounds.len() / 2]
        );
    }
}

/// A head is read from a recycled connection, as on a keep-alive connection.
#[inline(never)]
fn parse_measured(input: &[u8], count: u32) {
    let config = Config::default();
    let mut head = RequestHead::new();
    for _ in 0..count {
        let mut connection = Connection::new();
        let step = connection.next_event(&config, black_box(input), &mut head);
        assert!(matches!(step, Ok(step) if matches!(step.event, Event::Request { .. })));
        black_box(&head);
    }
}

/// Whole exchanges on one connection: `short`, and a 200 with four fields and 13 bytes of content.
/// Minus `short`, this is what a response costs.
#[inline(never)]
fn exchange_measured(count: u32) {
    let config = Config::default();
    let mut head = RequestHead::new();
    let mut connection = Connection::new();
    let (fields, date) = (FieldSection::new(), *b"Sun, 06 Nov 1994 08:49:37 GMT");
    let mut out = Vec::with_capacity(4096);
    for _ in 0..count {
        out.clear();
        let step = connection.next_event(&config, black_box(SHORT), &mut head);
        assert!(matches!(step, Ok(step) if matches!(step.event, Event::Request { .. })));
        let response = ResponseHead {
            status: StatusCode::OK,
            fields: &fields,
            content_type: Some("text/plain; charset=utf-8"),
            server: Some("ajay"),
            date: Some(&date),
        };
        connection
            .send_head(black_box(&response), ContentSize::Exact(13), &mut out)
            .expect("a valid response");
        connection.frame_data(13, &mut out).expect("as declared");
        out.extend_from_slice(b"Hello, World!");
        connection.end_data(&mut out);
        connection.finish(None, &mut out).expect("all sent");
        connection.start_next_cycle().expect("both halves ended");
        black_box(&out);
    }
}
