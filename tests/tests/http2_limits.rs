//! Limits and deadlines of HTTP/2: what fits passes, what is too much or too late costs its stream, and its
//! connection only where there is no other way.

use std::io::Read;
use std::time::{Duration, Instant};

use ajay_blackbox::http2::{
    Frame, GoAway, Http2, PREFACE, STREAM_MAX, WINDOW_INITIAL, code, field_block, flag, headers,
    kind, setting,
};
use ajay_blackbox::{End, Server, cpu_time, pattern, program, resident_bytes};

fn server(settings: &[&str]) -> Server {
    Server::start(program!("testserver"), settings)
}

/// No window for streams that are opened.
const CLOSED: &[(u16, u32)] = &[(setting::INITIAL_WINDOW_SIZE, 0)];

// Limits.

/// The bytes of a request's lines as SETTINGS_MAX_HEADER_LIST_SIZE counts them.
fn counted(fields: &[(&str, &str)]) -> usize {
    fields
        .iter()
        .map(|(name, value)| name.len() + value.len() + 32)
        .sum()
}

#[test]
fn head_bytes() {
    let control = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/hello"),
    ];
    for (settings, max) in [(&[][..], 16 * 1024), (&["head_bytes_max=1000"][..], 1000)] {
        let mut server = server(settings);
        let mut client = server.connect_http2();
        for (bytes, status) in [(max, 200), (max + 1, 431), (max + 500, 431), (max, 200)] {
            let value = "v".repeat(bytes - counted(&control) - counted(&[("x", "")]));
            let stream = client.request("GET", "/hello", &[("x", &value)], true);
            assert_eq!(client.response(stream).status, status, "{bytes}");
        }
        assert_eq!(server.counter("head_too_large"), 2);
        assert_eq!(server.counter("requests"), 2);
    }
}

#[test]
fn path_bytes_and_field_lines() {
    let mut server = server(&["target_bytes_max=50", "field_lines_max=5"]);
    let mut client = server.connect_http2();
    for (len, status) in [(50, 200), (51, 414)] {
        let path = format!("/hello?{}", "q".repeat(len - 7));
        assert_eq!(client.fetch(&path).status, status, "{len}");
    }
    for (lines, status) in [(5, 200), (6, 431)] {
        let stream = client.request("GET", "/hello", &vec![("x", "y"); lines], true);
        assert_eq!(client.response(stream).status, status, "{lines}");
    }
    let stream = client.request(&"M".repeat(33), "/hello", &[], true);
    assert_eq!(client.response(stream).status, 501);
    assert_eq!(server.counter("head_too_large"), 2);
}

#[test]
fn trailer_bytes_and_lines() {
    let server = server(&["trailer_bytes_max=100", "trailer_lines_max=2"]);
    let mut client = server.connect_http2();
    let (fits, long) = ("v".repeat(100 - 33), "v".repeat(100 - 33 + 1));
    for (trailers, fits) in [
        (&[("x", fits.as_str())][..], true),
        (&[("x", long.as_str())][..], false),
        (&[("x", ""), ("x", "")][..], true),
        (&[("x", ""), ("x", ""), ("x", "")][..], false),
    ] {
        let stream = client.request("POST", "/collect", &[], false);
        client.trailers(stream, trailers);
        if fits {
            assert_eq!(client.response(stream).status, 200);
        } else {
            assert_eq!(client.reset_code(stream), code::ENHANCE_YOUR_CALM);
        }
    }
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn content_bytes() {
    let mut server = server(&["content_bytes_max=100000"]);
    let mut client = server.connect_http2();
    let (fits, long) = (pattern(100_000), pattern(100_001));
    let stream = client.post("/collect", &fits);
    assert_eq!(client.response(stream).status, 200);
    // Declared: nothing of it is awaited.
    for target in ["/collect", "/never"] {
        let stream = client.request("POST", target, &[("content-length", "100001")], false);
        let answer = client.response(stream);
        assert_eq!(answer.status, 413);
        assert!(answer.is_complete);
        assert_eq!(client.reset_code(stream), code::NO_ERROR);
    }
    // Found out on the way.
    for (target, cancelled) in [("/collect", "content TooLarge"), ("/read", "read dropped")] {
        let stream = client.request("POST", target, &[], false);
        client.upload(stream, &long, true);
        assert_eq!(client.response(stream).status, 413, "{target}");
        if target == "/read" {
            server.wait_note(cancelled);
        }
    }
    server.wait_counter("content_too_large", 4);
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn collected_bytes() {
    let server = server(&["content_collected_bytes_max=100000"]);
    let mut client = server.connect_http2();
    let stream = client.post("/collect", &pattern(100_000));
    assert_eq!(client.response(stream).status, 200);
    let stream = client.post("/collect", &pattern(100_001));
    assert_eq!(client.response(stream).status, 413);
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn one_stream_more_than_may_be_open_is_refused() {
    let mut server = server(&["concurrent_streams_max=5"]);
    let mut client = server.connect_http2();
    let open: Vec<u32> = (0..5).map(|_| client.get("/never")).collect();
    for round in 1..=10 {
        let stream = client.get("/hello");
        assert_eq!(client.reset_code(stream), code::REFUSED_STREAM);
        server.wait_counter("streams_refused", round);
    }
    // One goes, one comes.
    client.reset(open[0], code::CANCEL);
    assert_eq!(client.fetch("/hello").status, 200);
    // Fields of requests that were refused belong to the state of compression nevertheless.
    assert_eq!(server.counter("violations"), 0);
    assert_eq!(server.counter("requests"), 6);
}

#[test]
fn requests_per_connection() {
    let server = server(&["requests_per_connection_max=3"]);
    let mut client = server.connect_http2();
    for _ in 0..2 {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    assert_eq!(client.fetch("/slow?ms=100").status, 200);
    let goaway = client.goaway();
    assert_eq!(
        goaway,
        GoAway {
            last: STREAM_MAX,
            code: code::NO_ERROR
        }
    );
    assert_eq!(
        client.goaway(),
        GoAway {
            last: 5,
            code: code::NO_ERROR
        }
    );
    assert_eq!(client.end(), End::Fin);
}

/// What waits in us for windows that nobody opens is held, and counts.
#[test]
fn new_requests_are_refused_while_too_much_is_held() {
    let mut server = server(&["buffered_bytes_max=2000000", "rate_min=off"]);
    let mut slow = Http2::connect_with(server.address(), CLOSED);
    let stream = slow.get("/big?bytes=12000000");
    assert_eq!(slow.head(stream).status, 200);
    let mut other = server.connect_http2();
    let answer = other.fetch("/hello");
    assert_eq!(
        (answer.status, answer.field("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(server.connect().fetch("/hello").status, 503);
    server.wait_counter("requests_refused_memory", 2);
    slow.reset(stream, code::CANCEL);
    slow.ping();
    assert_eq!(other.fetch("/hello").status, 200, "the connection goes on");
}

#[test]
fn shared_content_is_not_held() {
    let mut server = server(&["buffered_bytes_max=2000000", "rate_min=off"]);
    let mut slow = Http2::connect_with(server.address(), CLOSED);
    for _ in 0..12 {
        let stream = slow.get("/static-big");
        slow.head(stream);
    }
    assert_eq!(server.connect_http2().fetch("/hello").status, 200);
    assert_eq!(server.counter("requests_refused_memory"), 0);
}

/// Streams cost a client that leaves them waiting nothing, and us memory. Many of them are refused to
/// those who have many, and to nobody else.
#[test]
fn streams_that_wait_for_their_clients_are_bounded() {
    let mut server = server(&[
        "waiting_streams_max=30",
        "crowded_timeout=off",
        "rate_min=off",
    ]);
    let waiting = |client: &mut Http2, way: usize| match way % 4 {
        // Content, of any length, that has no window.
        0 => client.get("/big?bytes=100000"),
        1 => client.get("/stream?n=10&bytes=10"),
        // Content that is read and does not come.
        2 => client.request("POST", "/collect", &[], false),
        // A response that did not wait for the content.
        _ => client.request("POST", "/hello", &[], false),
    };
    let connect = |server: &Server| Http2::connect_with(server.address(), CLOSED);
    let mut first = connect(&server);
    let mut streams: Vec<u32> = (0..22).map(|way| waiting(&mut first, way)).collect();
    first.ping();
    let mut second = connect(&server);
    let more: Vec<u32> = (0..9).map(|way| waiting(&mut second, way)).collect();
    second.ping();
    assert_eq!(server.counter("streams_refused"), 0);

    // 31 wait: who has more than eight of them gets no more, and who has fewer does.
    let refused = [first.get("/hello"), second.get("/hello")];
    for (client, stream) in [&mut first, &mut second].into_iter().zip(refused) {
        assert_eq!(client.reset_code(stream), code::REFUSED_STREAM);
    }
    let mut third = connect(&server);
    for way in 0..9 {
        waiting(&mut third, way);
    }
    third.ping();
    assert_eq!(server.counter("streams_refused"), 2);
    assert_eq!(server.connect_http2().fetch("/hello").status, 200);
    assert_eq!(server.connect().fetch("/hello").status, 200);

    // They are counted as long as they wait, however that ends: by the client's reset, at their own end,
    // with their connection.
    for stream in streams.drain(..5) {
        first.reset(stream, code::CANCEL);
    }
    first.ping();
    let stream = second.get("/hello");
    assert_eq!(second.reset_code(stream), code::REFUSED_STREAM, "35 wait");
    second.give(more[0], 100_000);
    second.give(more[1], 100);
    for stream in &more[..2] {
        assert_eq!(second.response(*stream).status, 200);
    }
    drop(third);
    server.wait_counter("open", 2);
    let stream = first.get("/hello");
    assert_eq!(first.head(stream).status, 200, "24 wait");
    first.reset(stream, code::CANCEL);
    for stream in streams {
        first.reset(stream, code::CANCEL);
    }
    for stream in &more[2..] {
        second.reset(*stream, code::CANCEL);
    }
    first.ping();
    second.ping();

    // All is forgotten: as many as at first have room.
    let mut again = connect(&server);
    for way in 0..31 {
        waiting(&mut again, way);
    }
    again.ping();
    assert_eq!(server.counter("streams_refused"), 3);
    let stream = again.get("/hello");
    assert_eq!(again.reset_code(stream), code::REFUSED_STREAM);
}

/// In a crowd, who has many streams that wait is told so long before their deadlines, and others are not.
#[test]
fn a_crowd_does_not_wait_for_its_deadlines() {
    for way in ["GET /big?bytes=100000", "POST /collect", "POST /hello"] {
        let mut server = server(&["waiting_streams_max=30", "crowded_timeout=700"]);
        let (method, path) = way.split_once(' ').unwrap_or_default();
        let [mut few, mut many] = [(); 2].map(|()| Http2::connect_with(server.address(), CLOSED));
        let kept = few.get("/big?bytes=1000");
        for _ in 0..7 {
            few.request(method, path, &[], method == "GET");
        }
        few.ping();
        for _ in 0..30 {
            many.request(method, path, &[], method == "GET");
        }
        in_time(DEADLINE, || {
            many.expect_goodbye(code::ENHANCE_YOUR_CALM);
        });
        assert_eq!(server.counter("flood_stalls"), 1, "{way}");
        few.give(kept, 1000);
        assert_eq!(few.response(kept).body.len(), 1000, "{way}");
    }
}

#[test]
fn an_idle_connection_costs_little() {
    let mut server = server(&[]);
    let mut clients: Vec<Http2> = (0..20).map(|_| server.connect_http2()).collect();
    for client in &mut clients {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    std::thread::sleep(Duration::from_millis(1700));
    let before = resident_bytes(server.pid());
    let mut more: Vec<Http2> = (0..400).map(|_| server.connect_http2()).collect();
    for client in &mut more {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    server.wait_counter("open", 420);
    std::thread::sleep(Duration::from_millis(1700));
    let each = resident_bytes(server.pid()).saturating_sub(before) / 400;
    assert!(each < 8192, "{each} bytes for an idle connection");
}

/// Whatever a connection waits for, it costs no CPU time meanwhile.
#[test]
fn waiting_costs_nothing() {
    let mut server = server(&["rate_min=off"]);
    let mut closed = Http2::connect_with(server.address(), CLOSED);
    let streams =
        ["/big?bytes=1000000", "/stream?n=1000&bytes=1000"].map(|target| closed.get(target));
    let mut held = server.connect_http2().holding_windows();
    let exhausting = held.get("/big?bytes=1000000");
    let mut pending = server.connect_http2();
    pending.get("/never");
    pending.request("POST", "/never", &[("expect", "100-continue")], false);
    let unread = pending.request("POST", "/never", &[], false);
    pending.upload(unread, &pattern(WINDOW_INITIAL as usize), false);
    let mut deaf = Http2::connect_with(
        server.address(),
        &[(setting::INITIAL_WINDOW_SIZE, STREAM_MAX)],
    );
    deaf.give(0, STREAM_MAX - WINDOW_INITIAL as u32);
    deaf.get("/big?bytes=60000000");
    let mut partial = server.connect_http2();
    partial.send([0, 0, 9, 1]);
    let mut beginning = server.connect();
    beginning.send(&PREFACE[..10]);
    let mut ended = server.connect_http2();
    ended.ping();
    ended.send_frame(kind::DATA, flag::NONE, 0, b"x");
    let idle: Vec<Http2> = (0..50).map(|_| server.connect_http2()).collect();

    for stream in streams {
        assert_eq!(closed.head(stream).status, 200);
    }
    held.wait(exhausting, |answer| {
        answer.body.len() == WINDOW_INITIAL as usize
    });
    server.wait_counter("requests", 7);
    server.wait_counter("open", 57);
    std::thread::sleep(Duration::from_millis(300));
    let (before, started) = (cpu_time(server.pid()), Instant::now());
    std::thread::sleep(Duration::from_millis(2000));
    let used = cpu_time(server.pid()) - before;
    assert!(
        used * 16 < started.elapsed(),
        "{used:?} in two seconds of waiting"
    );
    drop(idle);
}

/// A client that asks and never reads makes us hold no more than a bounded amount.
#[test]
fn who_never_reads_is_not_answered_without_end() {
    let mut server = server(&["write_timeout=1000", "rate_min=off"]);
    let mut client = server.connect_http2();
    client.settings();
    let before = resident_bytes(server.pid());
    let request = |stream| {
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/status?code=204"),
            (":authority", "a"),
        ];
        headers(stream, &field_block(fields), true)
    };
    // Until the server takes no more: it has stopped reading, and in the end it resets.
    let mut sent = 0_u64;
    for stream in (1..40_000_001).step_by(2) {
        if client.connection().try_send(request(stream)).is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < 2_000_000, "{sent} requests were taken");
    server.wait_counter("timeout_write", 1);
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes");
    server.wait_counter("open", 0);
}

// Deadlines.

/// The deadline under test in most of these.
const DEADLINE: Duration = Duration::from_millis(700);

/// The clocks of streams are looked at once a second; the rest is for a busy machine.
const LATE_MAX: Duration = Duration::from_millis(3000);

/// Runs `wait`, which ends when the deadline has passed.
fn in_time<T>(deadline: Duration, wait: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let value = wait();
    let taken = started.elapsed();
    // The clock of the client starts a little later than the server's.
    let earliest = deadline - Duration::from_millis(20);
    assert!(taken >= earliest, "too early: {taken:?}");
    assert!(taken <= deadline + LATE_MAX, "too late: {taken:?}");
    value
}

#[test]
fn a_preface_that_does_not_come() {
    let mut server = server(&["first_byte_timeout=700"]);
    // Not a byte of it, and a part.
    for (round, part) in [0, 1, 23].into_iter().enumerate() {
        in_time(DEADLINE, || {
            let mut client = server.connect();
            client.send(&PREFACE[..part]);
            client.expect_fin();
        });
        server.wait_counter("timeout_first_byte", round as u64 + 1);
    }
    // All of it, and no SETTINGS.
    in_time(DEADLINE, || {
        // Nor an acknowledgement of the server's, which would be a first frame of the wrong kind.
        let mut client = server.connect();
        client.send(PREFACE);
        while client.receive() {}
        let calm = Frame::new(kind::GOAWAY, flag::NONE, 0, [0, 0, 0, 0, 0, 0, 0, 11]);
        assert!(client.take_received().ends_with(&calm.to_bytes()));
        assert_eq!(client.end(), End::Fin);
    });
    server.wait_counter("timeout_first_byte", 4);
    // Who has begun is not bound by it.
    let mut client = server.connect_http2();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn a_frame_or_field_block_that_does_not_end() {
    let mut server = server(&["head_timeout=700"]);
    let block = field_block([(":method", "GET"), (":path", "/hello")]);
    let whole = headers(1, &block, true);
    let unfinished = Frame::new(kind::HEADERS, flag::END_STREAM, 1, block).to_bytes();
    let cases = [&whole[..5], &whole[..20], &unfinished[..]];
    for (round, part) in cases.iter().enumerate() {
        let mut client = server.connect_http2();
        client.ping();
        client.send(part);
        in_time(DEADLINE, || client.expect_goodbye(code::ENHANCE_YOUR_CALM));
        server.wait_counter("timeout_head", round as u64 + 1);
    }
    // Byte by byte is no better.
    let mut client = server.connect_http2();
    client.ping();
    in_time(DEADLINE, || {
        for byte in &whole {
            if client.connection().try_send([*byte]).is_err() {
                break;
            }
            client.listen_for(Duration::from_millis(50));
        }
        assert_eq!(client.goaway().code, code::ENHANCE_YOUR_CALM);
    });
    server.wait_counter("timeout_head", 4);
}

#[test]
fn a_handler_that_takes_too_long() {
    let mut server = server(&["handler_timeout=700"]);
    let mut client = server.connect_http2();
    let stream = client.get("/never");
    let streaming = client.get("/stream?n=20&pause=100");
    let answer = in_time(DEADLINE, || client.response(stream));
    assert_eq!((answer.status, answer.is_complete), (503, true));
    server.wait_note("never dropped");
    server.wait_counter("timeout_handler", 1);
    // Others of the same connection go on.
    assert_eq!(client.fetch("/slow?ms=100").status, 200);
    assert_eq!(client.response(streaming).body.len(), 20);
    assert_eq!(server.counter("handlers_cancelled"), 0);
}

#[test]
fn content_that_stops() {
    let mut server = server(&["content_timeout=700", "handler_timeout=10000"]);
    let mut client = server.connect_http2();
    for (round, fields) in [&[("content-length", "10")][..], &[][..]]
        .iter()
        .enumerate()
    {
        let stream = client.request("POST", "/read", fields, false);
        client.data(stream, b"12345", false);
        let other = client.get("/stream?n=30&pause=50");
        let answer = in_time(DEADLINE, || client.response(stream));
        assert_eq!(answer.status, 408);
        server.wait_note("read dropped");
        assert!(server.counter("timeout_content") > round as u64);
        assert_eq!(client.response(other).body.len(), 30);
    }
    // The response has begun: only a reset can tell.
    let stream = client.request("POST", "/echo", &[("content-length", "10")], false);
    client.data(stream, b"12345", false);
    client.head(stream);
    in_time(DEADLINE, || client.reset_code(stream));
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn content_that_nobody_reads_and_that_does_not_end() {
    let mut server = server(&["content_timeout=700"]);
    let mut client = server.connect_http2();
    let stream = client.request("POST", "/ignore", &[("content-length", "10")], false);
    client.data(stream, b"12345", false);
    assert_eq!(client.response(stream).status, 200);
    let code = in_time(DEADLINE, || client.reset_code(stream));
    assert_eq!(code, code::NO_ERROR);
    server.wait_counter("timeout_content", 1);
}

#[test]
fn content_that_goes_on_is_not_cut() {
    let server = server(&[
        "content_timeout=1500",
        "handler_timeout=1500",
        "rate_min=off",
    ]);
    let mut client = server.connect_http2();
    let stream = client.request("POST", "/read", &[("content-length", "10")], false);
    // Longer in all than the deadline.
    for number in 0..10 {
        client.data(stream, b"x", number == 9);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(client.response(stream).text().starts_with("10 "));
}

#[test]
fn content_below_the_minimum_rate() {
    let mut server = server(&["rate_min=1000", "rate_grace=700", "content_timeout=10000"]);
    let mut client = server.connect_http2();
    for (round, target) in ["/read", "/collect"].iter().enumerate() {
        let stream = client.request("POST", target, &[("content-length", "100000")], false);
        let answer = in_time(DEADLINE, || {
            while client.so_far(stream).status == 0 {
                client.data(stream, b"x", false);
                client.listen_for(Duration::from_millis(30));
            }
            client.response(stream)
        });
        assert_eq!(answer.status, 408, "{target}");
        assert!(server.counter("timeout_content_rate") > round as u64);
    }
    assert_eq!(client.fetch("/hello").status, 200);
    // Above it there is no end.
    let stream = client.request("POST", "/read", &[("content-length", "25000")], false);
    for number in 0..25 {
        client.upload(stream, &[b'x'; 1000], number == 24);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(client.response(stream).text().starts_with("25000 "));
}

#[test]
fn a_window_that_is_not_opened() {
    let mut server = server(&["write_timeout=700", "rate_min=off"]);
    let mut client = Http2::connect_with(server.address(), CLOSED);
    for (round, target) in ["/big?bytes=1000000", "/stream?n=1000&bytes=1000", "/hello"]
        .iter()
        .enumerate()
    {
        let stream = client.get(target);
        assert_eq!(client.head(stream).status, 200);
        let code = in_time(DEADLINE, || {
            // Others of the same connection live on meanwhile.
            while client.so_far(stream).reset.is_none() {
                let other = client.get("/big?bytes=1000");
                client.give(other, 1000);
                assert_eq!(client.response(other).body.len(), 1000);
                client.listen_for(Duration::from_millis(50));
            }
            client.reset_code(stream)
        });
        assert_eq!(code, code::CANCEL);
        server.wait_counter("timeout_write", round as u64 + 1);
    }
    assert_eq!(client.fetch("/status?code=204").status, 204);
}

#[test]
fn a_connection_window_that_is_not_opened() {
    let mut server = server(&["write_timeout=700", "rate_min=off"]);
    let settings = [(setting::INITIAL_WINDOW_SIZE, STREAM_MAX)];
    let mut client = Http2::connect_with(server.address(), &settings).holding_windows();
    let stream = client.get("/big?bytes=1000000");
    client.wait(stream, |answer| {
        answer.body.len() == WINDOW_INITIAL as usize
    });
    let code = in_time(DEADLINE, || client.reset_code(stream));
    assert_eq!(code, code::CANCEL);
    server.wait_counter("timeout_write", 1);
    // The client had time for the first; for the next it opens the window.
    let stream = client.get("/big?bytes=100000");
    client.head(stream);
    client.give(0, 100_000);
    assert!(client.response(stream).body == pattern(100_000));
}

/// Streams that wait for their turn, not for their client, are not late.
#[test]
fn who_waits_for_others_of_its_connection_is_not_reset() {
    let mut server = server(&["write_timeout=1500", "rate_min=off"]);
    let settings = [(setting::INITIAL_WINDOW_SIZE, STREAM_MAX)];
    let mut client = Http2::connect_with(server.address(), &settings).holding_windows();
    let streams: Vec<u32> = (0..4).map(|_| client.get("/big?bytes=300000")).collect();
    // Some 200 000 bytes a second for all of them: the last begins after four.
    let mut given = WINDOW_INITIAL as usize;
    while given < 1_200_000 {
        client.listen_for(Duration::from_millis(100));
        client.give(0, 20_000);
        given += 20_000;
    }
    for stream in streams {
        assert!(client.response(stream).body == pattern(300_000));
    }
    assert_eq!(server.counter("timeout_write"), 0);
}

#[test]
fn output_below_the_minimum_rate() {
    let mut server = server(&["rate_min=1000", "rate_grace=700", "write_timeout=10000"]);
    let mut client = Http2::connect_with(server.address(), CLOSED).holding_windows();
    let stream = client.get("/big?bytes=100000");
    client.head(stream);
    let code = in_time(DEADLINE, || {
        while client.so_far(stream).reset.is_none() {
            client.give(stream, 1);
            client.listen_for(Duration::from_millis(30));
        }
        client.reset_code(stream)
    });
    assert_eq!(code, code::CANCEL);
    server.wait_counter("timeout_write_rate", 1);
}

/// The socket itself takes nothing more.
#[test]
fn a_client_that_reads_nothing_is_reset() {
    let mut server = server(&["write_timeout=700", "rate_min=off"]);
    let settings = [(setting::INITIAL_WINDOW_SIZE, STREAM_MAX)];
    let mut client = Http2::connect_with(server.address(), &settings);
    client.give(0, STREAM_MAX - WINDOW_INITIAL as u32);
    client.get("/big?bytes=60000000");
    in_time(DEADLINE, || server.wait_counter("timeout_write", 1));
    let mut socket = client.connection().socket();
    let mut piece = vec![0; 1 << 16];
    let error = loop {
        match socket.read(&mut piece) {
            Ok(0) => panic!("FIN inside a response"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    server.wait_counter("open", 0);
}

#[test]
fn idle() {
    let mut server = server(&["idle_timeout=1500"]);
    let mut client = server.connect_http2();
    // Requests restart it.
    for _ in 0..4 {
        assert_eq!(client.fetch("/hello").status, 200);
        client.listen_for(Duration::from_millis(700));
    }
    assert_eq!(client.fetch("/hello").status, 200);
    in_time(Duration::from_millis(1500), || {
        // A PING is no request.
        client.listen_for(Duration::from_millis(700));
        client.ping();
        client.expect_goodbye(code::NO_ERROR);
    });
    server.wait_counter("timeout_idle", 1);
}

/// What a stream waits for has its own deadlines; the connection is not idle then.
#[test]
fn a_stream_may_be_silent() {
    let mut server = server(&[
        "handler_timeout=300",
        "idle_timeout=300",
        "write_timeout=300",
        "first_byte_timeout=300",
        "head_timeout=300",
    ]);
    let mut client = server.connect_http2();
    assert_eq!(client.fetch("/stream?n=2&pause=2000").body.len(), 2);
    drop(client);
    server.wait_counter("open", 0);
}

#[test]
fn lifetime() {
    let mut server = server(&["lifetime_max=700"]);
    // Of one that is idle.
    let mut client = server.connect_http2();
    assert_eq!(client.fetch("/hello").status, 200);
    in_time(Duration::from_millis(600), || {
        client.expect_goodbye(code::NO_ERROR)
    });
    server.wait_counter("timeout_lifetime", 1);
    // Of one that is busy: what has begun is finished.
    let mut client = server.connect_http2();
    let stream = client.get("/stream?n=3&pause=800");
    in_time(DEADLINE, || client.goaway());
    assert_eq!(client.response(stream).body.len(), 3);
    assert_eq!(client.end(), End::Fin);
}

#[test]
fn a_client_that_does_not_close_is_closed() {
    let mut server = server(&["linger_timeout=700"]);
    let mut client = server.connect_http2();
    client.ping();
    client.send_frame(kind::DATA, flag::NONE, 0, b"x");
    client.expect_goodbye(code::PROTOCOL_ERROR);
    in_time(DEADLINE - Duration::from_millis(100), || {
        server.wait_counter("open", 0);
    });
}

#[test]
fn deadlines_that_are_off() {
    let off = ["first_byte", "head", "content", "handler", "write", "idle"];
    let settings: Vec<String> = off
        .iter()
        .map(|name| format!("{name}_timeout=off"))
        .chain(["rate_min=off".to_owned()])
        .collect();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let server = server(&settings);
    let mut client = server.connect_http2();
    client.listen_for(Duration::from_millis(1500));
    let stream = client.request("POST", "/read", &[], false);
    client.listen_for(Duration::from_millis(1500));
    client.data(stream, b"12345", true);
    assert!(client.response(stream).text().starts_with("5 "));
    assert_eq!(client.fetch("/slow?ms=1500").status, 200);
}

/// Connections and streams whose deadlines pass in the same tick.
#[test]
fn many_deadlines_at_once() {
    let mut server = server(&["handler_timeout=1000"]);
    let mut clients: Vec<Http2> = (0..20).map(|_| server.connect_http2()).collect();
    let streams: Vec<Vec<u32>> = clients
        .iter_mut()
        .map(|client| (0..50).map(|_| client.get("/never")).collect())
        .collect();
    for (client, streams) in clients.iter_mut().zip(streams) {
        for stream in streams {
            assert_eq!(client.response(stream).status, 503);
        }
    }
    server.wait_counter("timeout_handler", 1000);
}
