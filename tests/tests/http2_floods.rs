//! What a client may not do without end (RFC 9113 §10.5): each budget ends the connection that exceeds it,
//! is counted, and costs nobody else anything.

use std::time::{Duration, Instant};

use ajay_blackbox::http2::{
    Frame, Http2, PREFACE, code, field_block, flag, headers, kind, setting,
};
use ajay_blackbox::{Server, program, resident_bytes};

fn server(settings: &[&str]) -> Server {
    Server::start(program!("testserver"), settings)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    Frame::new(kind, flags, stream, payload).to_bytes()
}

fn request(stream: u32, path: &str, other: &[(&str, &str)], end: bool) -> Vec<u8> {
    let control = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a"),
    ];
    let fields = control.iter().chain(other).copied();
    headers(stream, &field_block(fields), end)
}

/// The n-th stream of a client.
fn stream(number: usize) -> u32 {
    number as u32 * 2 + 1
}

/// A client sends `harmless` and lives, another one sends `too_much` and is ended. A third one is served all
/// the time.
fn flood(settings: &[&str], counter: &str, harmless: &[u8], too_much: &[u8]) {
    let mut server = server(settings);
    let mut bystander = server.connect_http2();
    assert_eq!(bystander.fetch("/hello").status, 200);

    let mut client = RawClient::connect(&server);
    client.0.send(harmless);
    client.0.ping();
    assert_eq!(server.counter(counter), 0, "{counter}: too strict");
    drop(client);

    let mut client = RawClient::connect(&server);
    // The server may have closed before all is sent, and reads the rest.
    client.0.send(too_much);
    let slow = bystander.get("/slow?ms=50");
    client.0.expect_goodbye(code::ENHANCE_YOUR_CALM);
    assert_eq!(bystander.response(slow).status, 200);
    drop(client);
    server.wait_counter(counter, 1);
    assert_eq!(bystander.fetch("/hello").status, 200);
    server.wait_counter("open", 1);
    // Its handlers are gone as well.
    let counters = server.counters();
    let floods = counters
        .iter()
        .filter(|(name, value)| name.starts_with("flood_") && **value > 0);
    assert_eq!(floods.count(), 1, "{counters:?}");
}

/// One whose streams are opened by hand, up to any number.
struct RawClient(Http2);

impl RawClient {
    fn connect(server: &Server) -> RawClient {
        let mut client = server.connect_http2();
        client.ping();
        for _ in 0..10_000 {
            client.opened_by_hand();
        }
        RawClient(client)
    }
}

fn repeated(count: usize, one: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(one).collect()
}

#[test]
fn resets() {
    let one = |number| {
        let reset = frame(kind::RST_STREAM, flag::NONE, stream(number), &[0, 0, 0, 8]);
        [request(stream(number), "/never", &[], true), reset].concat()
    };
    flood(
        &[],
        "flood_resets",
        &repeated(150, one),
        &repeated(600, one),
    );
}

/// Requests that were answered are no abuse, however many are reset then.
#[test]
fn resets_after_the_answer() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    for _ in 0..500 {
        let stream = client.get("/hello");
        assert_eq!(client.response(stream).status, 200);
        client.reset(stream, code::CANCEL);
    }
    client.ping();
    assert_eq!(server.counter("flood_resets"), 0);
}

/// CVE-2025-8671: the client makes the server do it.
#[test]
fn provoked_resets() {
    let with_a_wrong_field = |number| request(stream(number), "/hello", &[("Upper", "case")], true);
    let with_a_wrong_window = |number| {
        let update = frame(kind::WINDOW_UPDATE, flag::NONE, stream(number), &[0; 4]);
        [request(stream(number), "/never", &[], true), update].concat()
    };
    let with_too_much = |number| {
        let length = [("content-length", "1")];
        let data = frame(kind::DATA, flag::END_STREAM, stream(number), b"12");
        [request(stream(number), "/never", &length, false), data].concat()
    };
    flood(
        &[],
        "flood_provoked_resets",
        &repeated(80, with_a_wrong_field),
        &repeated(300, with_a_wrong_field),
    );
    flood(
        &[],
        "flood_provoked_resets",
        &repeated(80, with_a_wrong_window),
        &repeated(300, with_a_wrong_window),
    );
    flood(
        &[],
        "flood_provoked_resets",
        &repeated(80, with_too_much),
        &repeated(300, with_too_much),
    );
}

#[test]
fn refused_streams() {
    let one = |number| request(stream(number), "/never", &[], true);
    flood(
        &["concurrent_streams_max=1"],
        "flood_refused_streams",
        &repeated(80, one),
        &repeated(200, one),
    );
    // One that cannot know yet how many it may open is forgiven more.
    let mut server = server(&["concurrent_streams_max=1"]);
    let mut client = server.connect_http2();
    for _ in 0..400 {
        client.opened_by_hand();
    }
    client.send(repeated(400, one));
    client.ping();
    assert_eq!(server.counter("flood_refused_streams"), 0);
}

#[test]
fn refused_heads() {
    let one = |number| request(stream(number), "/hello", &[("expect", "much")], true);
    flood(
        &[],
        "flood_refused_heads",
        &repeated(80, one),
        &repeated(300, one),
    );
    let long = "p".repeat(9000);
    let one = |number| request(stream(number), &format!("/{long}"), &[], true);
    flood(
        &[],
        "flood_refused_heads",
        &repeated(80, one),
        &repeated(300, one),
    );
}

#[test]
fn field_blocks_of_too_many_frames() {
    let block = field_block([
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/hello"),
        (":authority", "a"),
    ]);
    let in_frames = |pieces: usize| {
        let size = block.len().div_ceil(pieces);
        let last = block.chunks(size).count() - 1;
        let frames = block.chunks(size).enumerate().map(|(number, piece)| {
            let (kind, ends) = match number {
                0 => (kind::HEADERS, flag::END_STREAM),
                _ => (kind::CONTINUATION, 0),
            };
            let flags = ends | (u8::from(number == last) * flag::END_HEADERS);
            frame(kind, flags, 1, piece)
        });
        frames.flatten().collect::<Vec<u8>>()
    };
    flood(&[], "flood_field_block", &in_frames(10), &in_frames(40));
}

#[test]
fn field_blocks_of_too_many_bytes() {
    // What is a little too large is answered; see the limits.
    let of = |bytes: usize| request(1, "/hello", &[("x", &"v".repeat(bytes))], true);
    flood(&[], "flood_field_block", &of(20_000), &of(40_000));
}

/// A byte of the block is a line, and a line may be as long as the table: decoding all of them would take a
/// hundred times as long as sending.
#[test]
fn field_blocks_of_too_many_lines() {
    let of = |lines: usize| {
        let mut block = field_block([
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/hello"),
            (":authority", "a"),
        ]);
        // Indexed field lines: `accept-encoding: gzip, deflate`.
        block.resize(block.len() + lines, 0x80 | 16);
        headers(1, &block, true)
    };
    // A few too many are answered.
    let server = server(&[]);
    let mut client = server.connect_http2();
    client.opened_by_hand();
    client.send(of(900));
    assert_eq!(client.response(1).status, 431);
    flood(&[], "flood_field_block", &of(900), &of(1100));
    flood(&[], "flood_field_block", &of(900), &of(14_000));
}

#[test]
fn settings() {
    let one = |_| Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 70_000)]).to_bytes();
    flood(
        &[],
        "flood_settings",
        &repeated(20, one),
        &repeated(100, one),
    );
    let acknowledgement = |_| frame(kind::SETTINGS, flag::ACK, 0, &[]);
    flood(
        &[],
        "flood_settings",
        &repeated(20, acknowledgement),
        &repeated(100, acknowledgement),
    );
}

#[test]
fn pings() {
    let one = |_| frame(kind::PING, flag::NONE, 0, &[7; 8]);
    flood(&[], "flood_pings", &repeated(80, one), &repeated(400, one));
    let pong = |_| frame(kind::PING, flag::ACK, 0, &[7; 8]);
    flood(
        &[],
        "flood_pings",
        &repeated(80, pong),
        &repeated(400, pong),
    );
}

#[test]
fn priorities() {
    let old = |number| {
        frame(
            kind::PRIORITY,
            flag::NONE,
            stream(number % 500),
            &[0, 0, 0, 0, 1],
        )
    };
    flood(
        &[],
        "flood_priorities",
        &repeated(900, old),
        &repeated(3000, old),
    );
    let new = |number: usize| {
        let payload = [&stream(number % 500).to_be_bytes()[..], b"u=1"].concat();
        frame(kind::PRIORITY_UPDATE, flag::NONE, 0, &payload)
    };
    flood(
        &[],
        "flood_priorities",
        &repeated(900, new),
        &repeated(3000, new),
    );
}

#[test]
fn window_updates() {
    let one = |_| frame(kind::WINDOW_UPDATE, flag::NONE, 0, &[0, 0, 0, 1]);
    flood(
        &[],
        "flood_window_updates",
        &repeated(900, one),
        &repeated(3000, one),
    );
}

/// Who takes a large response a byte at a time pays for each of them.
#[test]
fn window_updates_by_one() {
    let mut server = server(&["rate_min=off"]);
    let closed = [(setting::INITIAL_WINDOW_SIZE, 0)];
    let mut client = Http2::connect_with(server.address(), &closed).holding_windows();
    let stream = client.get("/big?bytes=1000000");
    client.head(stream);
    // Four for each frame that comes of it are free: this goes on, slowly.
    for len in 1..=300 {
        client.give(stream, 1);
        client.wait(stream, |answer| answer.body.len() == len);
    }
    assert_eq!(server.counter("flood_window_updates"), 0);
}

#[test]
fn empty_frames() {
    let of = |count| {
        let data = repeated(count, |_| frame(kind::DATA, flag::NONE, 1, b""));
        [request(1, "/never", &[], false), data].concat()
    };
    flood(&[], "flood_empty_frames", &of(80), &of(400));
    // Padding is no content.
    let of = |count| {
        let data = repeated(count, |_| {
            frame(kind::DATA, flag::PADDED, 1, b"\x04\0\0\0\0")
        });
        [request(1, "/never", &[], false), data].concat()
    };
    flood(&[], "flood_empty_frames", &of(80), &of(400));
}

#[test]
fn tiny_data() {
    let of = |count| {
        let data = repeated(count, |_| frame(kind::DATA, flag::NONE, 1, b"x"));
        [request(1, "/read", &[], false), data].concat()
    };
    flood(&["rate_min=off"], "flood_tiny_data", &of(8000), &of(60_000));
}

/// All connections of a worker share what it takes of tiny frames in 250 ms, and each has some for itself.
#[test]
fn tiny_data_of_many() {
    let of = |count| {
        let data = repeated(count, |_| frame(kind::DATA, flag::NONE, 1, b"x"));
        [request(1, "/read", &[], false), data].concat()
    };
    // 10 240 frames in 250 ms.
    let mut server = server(&["rate_min=off", "discard_rate_max=327680"]);
    let mut one = server.connect_http2();
    one.opened_by_hand();
    one.send(of(200));
    one.ping();
    assert_eq!(server.counter("input_deferred"), 0);
    let mut many: Vec<Http2> = (0..6)
        .map(|_| {
            let mut client = server.connect_http2();
            client.opened_by_hand();
            client.send(of(9000));
            client
        })
        .collect();
    // What takes five ticks came in less than one, and is read all the same.
    for client in &mut many {
        client.ping();
    }
    assert!(server.counter("input_deferred") > 0);
    let mut bystander = server.connect_http2();
    assert_eq!(bystander.fetch("/hello").status, 200);
    for mut client in many {
        client.send(frame(kind::DATA, flag::END_STREAM, 1, b""));
        assert_eq!(client.response(1).text().split(' ').next(), Some("9000"));
    }
}

#[test]
fn stray_frames() {
    let unknown = |_| frame(0x42, flag::NONE, 0, b"?");
    flood(
        &[],
        "flood_stray_frames",
        &repeated(1800, unknown),
        &repeated(6000, unknown),
    );
    let goodbye = |_| frame(kind::GOAWAY, flag::NONE, 0, &[0; 8]);
    // The stream keeps the connection open.
    let of = |count| [request(1, "/never", &[], true), repeated(count, goodbye)].concat();
    flood(&[], "flood_stray_frames", &of(1800), &of(6000));
}

/// Content for streams that were reset: a window full of it may be under way, but not without end.
#[test]
fn content_for_streams_that_are_over() {
    let of = |count| {
        let data = repeated(count, |_| frame(kind::DATA, flag::NONE, 1, &[0; 100]));
        // A wrong window makes the server reset it.
        let provoked = frame(kind::WINDOW_UPDATE, flag::NONE, 1, &[0; 4]);
        [request(1, "/never", &[], false), provoked, data].concat()
    };
    flood(&[], "flood_stray_frames", &of(500), &of(6000));
}

#[test]
fn stalls() {
    let mut server = server(&["write_timeout=700", "rate_min=off"]);
    let mut bystander = server.connect_http2();
    let closed = [(setting::INITIAL_WINDOW_SIZE, 0)];
    // Some stalls are an accident.
    let mut client = Http2::connect_with(server.address(), &closed);
    let streams: Vec<u32> = (0..8).map(|_| client.get("/big?bytes=100000")).collect();
    for stream in streams {
        assert_eq!(client.reset_code(stream), code::CANCEL);
    }
    assert_eq!(client.fetch("/status?code=204").status, 204);
    assert_eq!(server.counter("flood_stalls"), 0);
    client.get("/big?bytes=100000");
    client.expect_goodbye(code::ENHANCE_YOUR_CALM);
    server.wait_counter("flood_stalls", 1);
    assert_eq!(bystander.fetch("/hello").status, 200);
}

/// A client that never reads what it makes us write: reading stops long before memory is short.
#[test]
fn answers_that_nobody_reads() {
    let mut server = server(&["write_timeout=2000"]);
    let mut bystander = server.connect_http2();
    let before = resident_bytes(server.pid());
    let mut client = server.connect();
    client.send(PREFACE);
    client.send(Frame::settings(&[]).to_bytes());
    let started = Instant::now();
    let mut number = 0;
    while started.elapsed() < Duration::from_secs(10) {
        let requests = repeated(100, |at| {
            request(stream(number + at), "/status?code=404", &[], true)
        });
        number += 100;
        if client.try_send(requests).is_err() {
            break;
        }
        assert_eq!(bystander.fetch("/hello").status, 200);
    }
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes");
    drop(client);
    server.wait_counter("open", 1);
}
