//! HTTP/2 on the wire: how a connection begins, messages, content and windows, what applications do right or
//! wrong, and clients that go away.

use std::process::Command;
use std::time::{Duration, Instant};

use ajay_blackbox::http2::{
    Frame, Http2, PREFACE, STREAM_MAX, WINDOW_INITIAL, code, field_block, flag, headers, kind,
    setting,
};
use ajay_blackbox::{Client, End, Server, fnv1a, pattern, program, wait_for};

fn server(settings: &[&str]) -> Server {
    Server::start(program!("testserver"), settings)
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

fn digest(content: &[u8]) -> String {
    format!("{} {:016x}\n", content.len(), fnv1a(content))
}

/// Windows so large that none of these tests meets them.
fn with_large_windows(server: &Server) -> Http2 {
    let settings = [(setting::INITIAL_WINDOW_SIZE, STREAM_MAX)];
    let mut client = Http2::connect_with(server.address(), &settings);
    client.give(0, STREAM_MAX - WINDOW_INITIAL as u32);
    client.holding_windows()
}

// How a connection begins.

#[test]
fn a_response_has_its_parts() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    let answer = client.fetch("/hello");
    assert_eq!((answer.status, answer.text()), (200, "Hello, world!\n"));
    assert_eq!(answer.field("content-length"), Some("14"));
    assert_eq!(answer.field("server"), Some("ajayserver"));
    assert_eq!(
        answer.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert!(
        answer
            .field("date")
            .is_some_and(|date| date.ends_with(" GMT"))
    );
    assert_eq!(answer.fields.len(), 4, "{answer:?}");
    assert_eq!(server.counter("http2_connections"), 1);
    assert_eq!(server.counter("requests"), 1);
    assert_eq!(server.counter("responses_2xx"), 1);
}

#[test]
fn the_application_sees_the_version_and_the_authority() {
    let server = server(&[]);
    let answer = server.connect_http2().fetch("/connection");
    assert!(
        answer.text().contains(" HTTP/2.0 Some(\"localhost\")"),
        "{}",
        answer.text()
    );
}

#[test]
fn settings_announce_the_limits() {
    for (options, streams, head) in [
        (&[][..], 100, 16 * 1024),
        (
            &["concurrent_streams_max=7", "head_bytes_max=3000"][..],
            7,
            3000,
        ),
    ] {
        let server = server(options);
        let settings = server.connect_http2().settings();
        let expected = [
            (setting::HEADER_TABLE_SIZE, 4096),
            (setting::MAX_CONCURRENT_STREAMS, streams),
            (setting::INITIAL_WINDOW_SIZE, 65_535),
            (setting::MAX_FRAME_SIZE, 16_384),
            (setting::MAX_HEADER_LIST_SIZE, head),
            (setting::NO_RFC7540_PRIORITIES, 1),
        ];
        assert_eq!(settings, expected.into());
    }
}

#[test]
fn settings_are_acknowledged() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    client.wait_acknowledged(1);
    client.send_settings(&[(setting::ENABLE_PUSH, 0), (0x7777, 12)]);
    client.wait_acknowledged(2);
    client.ping();
}

/// All that a first request needs.
fn opening() -> Vec<u8> {
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/hello"),
        (":authority", "a"),
    ];
    let parts = [
        PREFACE.to_vec(),
        Frame::settings(&[]).to_bytes(),
        headers(1, &field_block(fields), true),
    ];
    parts.concat()
}

/// Takes the answer to [`opening`].
fn expect_hello(connection: Client) {
    let mut client = Http2::over(connection);
    let stream = client.opened_by_hand();
    assert_eq!(client.response(stream).text(), "Hello, world!\n");
}

#[test]
fn the_preface_may_come_byte_by_byte() {
    let server = server(&[]);
    let mut client = server.connect();
    for byte in opening() {
        client.send([byte]);
    }
    expect_hello(client);
}

#[test]
fn the_preface_may_be_split_anywhere() {
    let server = server(&[]);
    let opening = opening();
    for at in 1..opening.len() {
        let mut client = server.connect();
        client.send(&opening[..at]);
        std::thread::yield_now();
        client.send(&opening[at..]);
        expect_hello(client);
    }
}

#[test]
fn both_versions_are_served_on_one_port() {
    let mut server = server(&[]);
    let mut old: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    let mut new: Vec<Http2> = (0..20).map(|_| server.connect_http2()).collect();
    for round in 0..10 {
        let target = format!("/target?{round}");
        for client in &mut old {
            client.get(&target, "");
        }
        let streams: Vec<u32> = new.iter_mut().map(|client| client.get(&target)).collect();
        for client in &mut old {
            assert_eq!(client.response().text(), format!("GET {target}\n"));
        }
        for (client, stream) in new.iter_mut().zip(streams) {
            assert_eq!(client.response(stream).text(), format!("GET {target}\n"));
        }
    }
    assert_eq!(server.counter("http2_connections"), 20);
    assert_eq!(server.counter("requests"), 400);
}

#[test]
fn what_only_begins_like_the_preface_is_http_1() {
    let server = server(&[]);
    for (request, status) in [
        ("PRI /target HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (
            "PUT /target HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            200,
        ),
        ("P /target HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("PRI * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 505),
        ("\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ] {
        // Also where every byte is looked at by itself.
        for pieces in [1, request.len()] {
            let mut client = server.connect();
            for piece in request.as_bytes().chunks(request.len().div_ceil(pieces)) {
                client.send(piece);
            }
            let response = client.response();
            assert_eq!(response.status, status, "{request:?}");
            if status == 200 {
                let method = request.split(' ').next().unwrap_or_default();
                assert_eq!(response.text(), format!("{method} /target\n"));
            }
        }
    }
}

#[test]
fn a_connection_that_has_begun_as_http_1_stays_so() {
    let server = server(&[]);
    let mut client = server.connect();
    assert_eq!(client.fetch("/hello").status, 200);
    client.send(PREFACE);
    assert_eq!(client.response().status, 505);
    client.expect_fin();
    // An upgrade is ignored: what follows is HTTP/1.
    let mut client = server.connect();
    client.get(
        "/hello",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    );
    let response = client.response();
    assert_eq!((response.status, response.field("upgrade")), (200, None));
    client.send(HELLO);
    assert_eq!(client.response().text(), "Hello, world!\n");
}

#[test]
fn without_http2_on_cleartext_the_preface_is_a_version_we_do_not_speak() {
    let mut server = server(&["http2_cleartext=false"]);
    let mut client = server.connect();
    client.send(opening());
    let response = client.response();
    assert_eq!((response.status, response.says_close()), (505, true));
    client.expect_fin();
    assert_eq!(server.connect().fetch("/hello").status, 200);
    assert_eq!(server.counter("http2_connections"), 0);
}

// Messages.

#[test]
fn requests_follow_one_another_on_a_connection() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    for number in 0..200 {
        let answer = client.fetch(&format!("/target?{number}"));
        assert_eq!(answer.text(), format!("GET /target?{number}\n"));
    }
    assert_eq!(server.counter("connections_accepted"), 1);
    assert_eq!(server.counter("requests"), 200);
}

#[test]
fn many_requests_in_one_write_are_all_answered() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    // Not more at once than may be open at once.
    for _ in 0..5 {
        let streams: Vec<u32> = (0..100)
            .map(|number| client.get(&format!("/target?{number}")))
            .collect();
        for (number, stream) in streams.into_iter().enumerate() {
            assert_eq!(
                client.response(stream).text(),
                format!("GET /target?{number}\n")
            );
        }
    }
}

#[test]
fn streams_do_not_wait_for_one_another() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    let slow = client.get("/slow?ms=400");
    let started = Instant::now();
    for _ in 0..10 {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    assert!(!client.so_far(slow).is_complete);
    let streams: Vec<u32> = (0..99)
        .map(|_| client.get("/stream?n=5&bytes=100&pause=40"))
        .collect();
    for stream in streams {
        assert!(client.response(stream).body == pattern(100).repeat(5));
    }
    assert_eq!(client.response(slow).text(), "slow\n");
    // One after another they would take twenty seconds.
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn received_fields_reach_the_application() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    let fields = [
        ("a", "1"),
        ("b", "2"),
        ("a", "3"),
        ("empty", ""),
        ("high", "\u{e9}"),
    ];
    let stream = client.request("GET", "/fields", &fields, true);
    let text = client.response(stream).text().to_owned();
    assert_eq!(text, "a: 1\nb: 2\na: 3\nempty: \nhigh: \\xc3\\xa9\n");
    // Cookies in several lines are one for the application (RFC 9113 §8.2.3).
    let fields = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")];
    let stream = client.request("GET", "/fields", &fields, true);
    let text = client.response(stream).text().to_owned();
    assert!(
        text.contains("cookie: a=1; b=2\n") && text.contains("x: y\n"),
        "{text}"
    );
}

#[test]
fn fields_of_http_1_are_not_sent() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    for (target, status) in [("/close", 200), ("/connection-option", 200)] {
        let answer = client.fetch(target);
        // The client refuses `connection` itself.
        assert_eq!(answer.status, status, "{target}");
    }
    let answer = client.fetch("/own-fields");
    assert_eq!(answer.field("server"), Some("mine"));
    assert_eq!(answer.field("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    let cookies = answer
        .fields
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    let cookies: Vec<&str> = cookies.map(|(_, value)| value.as_str()).collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(
        client.fetch("/hello").status,
        200,
        "`close` does not close it"
    );
}

#[test]
fn head_has_the_fields_and_no_content() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    for (target, length) in [
        ("/hello", Some("14")),
        ("/big?bytes=100000", Some("100000")),
        ("/stream?n=5", None),
        ("/not-there", None),
    ] {
        let stream = client.request("HEAD", target, &[], true);
        let answer = client.response(stream);
        assert_eq!(answer.field("content-length"), length, "{target}");
        assert!(answer.pieces.is_empty(), "{target}");
    }
}

#[test]
fn statuses_without_content_have_none() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    for (code, length) in [(204, None), (304, None), (205, Some("0"))] {
        let answer = client.fetch(&format!("/status?code={code}&body=text"));
        assert_eq!(
            (answer.status, answer.field("content-length")),
            (code, length)
        );
        assert!(answer.pieces.is_empty(), "{code}");
    }
    for code in [201, 301, 404, 418, 500, 599] {
        let answer = client.fetch(&format!("/status?code={code}&body=text"));
        assert_eq!((answer.status, answer.text()), (code, "text"));
    }
}

#[test]
fn methods_and_targets_of_all_kinds() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    for (method, target) in [
        ("GET", "/target"),
        ("GET", "/target?a=b?c/d"),
        ("DELETE", "/target"),
        ("M-SEARCH", "/target"),
        ("get", "/target"),
        ("PRI", "/target"),
    ] {
        let stream = client.request(method, target, &[], true);
        assert_eq!(
            client.response(stream).text(),
            format!("{method} {target}\n")
        );
    }
    let stream = client.request("OPTIONS", "*", &[], true);
    assert_eq!(
        client.response(stream).status,
        404,
        "this application has no *"
    );
}

/// There is no tunnel here, and no protocol to switch to.
#[test]
fn nothing_is_switched_to() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    assert_eq!(client.fetch("/status?code=101").status, 501);
    let connect = [(":method", "CONNECT"), (":authority", "example.com:443")];
    let stream = client.open(&connect, false);
    let answer = client.wait(stream, |answer| {
        answer.status != 0 || answer.reset.is_some()
    });
    assert!(answer.status >= 400, "{answer:?}");
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn long_heads_come_and_go_in_several_frames() {
    let server = server(&["head_bytes_max=60000"]);
    let mut client = server.connect_http2();
    let value = "v".repeat(40_000);
    let stream = client.request("GET", "/fields", &[("long", &value)], true);
    assert_eq!(client.response(stream).text(), format!("long: {value}\n"));
}

// Content.

const SIZES: &[usize] = &[
    0,
    1,
    16_383,
    16_384,
    16_385,
    65_535,
    65_536,
    131_072,
    1024 * 1024,
    5 * 1024 * 1024,
];

#[test]
fn content_is_collected() {
    let server = server(&["content_collected_bytes_max=10000000"]);
    let mut client = server.connect_http2();
    for &size in SIZES {
        let content = pattern(size);
        let stream = client.post("/collect", &content);
        assert_eq!(client.response(stream).text(), digest(&content));
        // Without a declared length, and with an end of its own.
        let stream = client.request("POST", "/read", &[], false);
        client.upload(stream, &content, false);
        client.data(stream, b"", true);
        assert_eq!(
            client.response(stream).text(),
            format!("{} 0\n", digest(&content).trim())
        );
    }
}

/// In both directions at once, while every window is kept.
#[test]
fn content_is_echoed() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    for &size in SIZES {
        let content = pattern(size);
        let stream = client.post("/echo", &content);
        let answer = client.response(stream);
        assert_eq!(answer.status, 200);
        assert!(answer.body == content, "{size}");
    }
}

#[test]
fn uploads_side_by_side_are_kept_apart() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    let contents: Vec<Vec<u8>> = (0..20).map(|number| vec![number; 20_000]).collect();
    let streams: Vec<u32> = contents
        .iter()
        .map(|_| client.request("POST", "/read", &[], false))
        .collect();
    for start in (0..20_000).step_by(1000) {
        for (stream, content) in streams.iter().zip(&contents) {
            let is_last = start + 1000 == content.len();
            client.upload(*stream, &content[start..start + 1000], is_last);
        }
    }
    for (stream, content) in streams.iter().zip(&contents) {
        let expected = format!("{} 0\n", digest(content).trim());
        assert_eq!(client.response(*stream).text(), expected);
    }
}

#[test]
fn large_contents_arrive_whole() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    for bytes in [
        0, 1, 8191, 8192, 8193, 65_535, 65_536, 1_000_000, 20_000_000,
    ] {
        let answer = client.fetch(&format!("/big?bytes={bytes}"));
        assert!(answer.body == pattern(bytes), "{bytes}");
    }
    assert!(client.fetch("/static-big").body == pattern(1024 * 1024));
    let answer = client.fetch("/stream?n=300&bytes=10000");
    assert!(answer.body == pattern(10_000).repeat(300));
    assert_eq!(answer.field("content-length"), None);
    // Also where nothing holds them back.
    let mut client = with_large_windows(&server);
    assert!(client.fetch("/big?bytes=20000000").body == pattern(20_000_000));
}

#[test]
fn large_contents_side_by_side_take_turns() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    // Incremental ones share the connection (RFC 9218 §4.2).
    let fields = [("priority", "i")];
    let streams: Vec<u32> = (0..4)
        .map(|_| client.request("GET", "/big?bytes=1000000", &fields, true))
        .collect();
    client.wait(streams[0], |answer| answer.is_complete);
    for stream in &streams[1..] {
        assert!(
            client.so_far(*stream).body.len() > 500_000,
            "stream {stream} had no turn"
        );
    }
    for stream in streams {
        assert!(client.response(stream).body == pattern(1_000_000));
    }
}

#[test]
fn urgent_responses_go_first() {
    let server = server(&[]);
    let settings = [(setting::INITIAL_WINDOW_SIZE, 1 << 20)];
    let mut client = Http2::connect_with(server.address(), &settings).holding_windows();
    // Uses the connection's window up.
    let first = client.get("/big?bytes=65535");
    assert_eq!(client.response(first).body.len(), 65_535);
    let late = client.request("GET", "/big?bytes=30000", &[("priority", "u=5")], true);
    let early = client.request("GET", "/big?bytes=30000", &[("priority", "u=1")], true);
    client.head(late);
    client.head(early);
    client.give(0, 30_000);
    assert_eq!(client.response(early).body.len(), 30_000);
    assert!(client.so_far(late).body.is_empty());
    // The client may change its mind.
    let last = client.get("/big?bytes=30000");
    client.head(last);
    let update = [&late.to_be_bytes()[..], b"u=7"].concat();
    client.send_frame(kind::PRIORITY_UPDATE, flag::NONE, 0, update);
    client.give(0, 30_000);
    assert_eq!(client.response(last).body.len(), 30_000);
    assert!(client.so_far(late).body.is_empty());
    client.give(0, 30_000);
    assert_eq!(client.response(late).body.len(), 30_000);
}

/// Asks for responses that wait for the connection's window; then the updates come, then the window.
/// Returns the streams in the order in which the server's log has them complete, counted from the first.
fn completed(server: &Server, priorities: &[&str], updates: &[(usize, &str)]) -> Vec<usize> {
    let settings = [(setting::INITIAL_WINDOW_SIZE, 1 << 20)];
    let mut client = Http2::connect_with(server.address(), &settings).holding_windows();
    let first = client.get("/big?bytes=65535");
    client.response(first);
    let before = server.stderr().len();
    let streams: Vec<u32> = priorities
        .iter()
        .map(|priority| client.request("GET", "/big?bytes=30000", &[("priority", priority)], true))
        .collect();
    for stream in &streams {
        client.head(*stream);
    }
    for (index, priority) in updates {
        let update = [&streams[*index].to_be_bytes()[..], priority.as_bytes()].concat();
        client.send_frame(kind::PRIORITY_UPDATE, flag::NONE, 0, update);
    }
    client.give(0, 30_000 * streams.len() as u32);
    for stream in &streams {
        client.response(*stream);
    }
    wait_for("the log", || {
        let log = server.stderr().split_off(before);
        let lines = log
            .lines()
            .filter(|line| line.contains("a response is complete"));
        let ids = lines.filter_map(|line| line.split("stream=").nth(1)?.trim().parse().ok());
        let order: Vec<usize> = ids
            .filter_map(|id: u32| streams.iter().position(|stream| *stream == id))
            .collect();
        (order.len() >= streams.len()).then_some(order)
    })
}

#[test]
fn the_log_shows_the_order_of_priorities() {
    let mut command = Command::new(program!("testserver"));
    command.env("TESTSERVER_TRACE", "1");
    let server = Server::start_command(command);
    // Urgency first, then the order of requests (RFC 9218 section 10); 3 is the default.
    let mixed = ["u=7", "u=0", "u=3", "", "u=5", "u=1", "u=3", "u=6"];
    assert_eq!(completed(&server, &mixed, &[]), [1, 5, 2, 3, 6, 4, 7, 0]);
    // Updates replace what the request said, the last one counts, and what cannot be read is the
    // default (section 7).
    let updates = [(0, "u=0"), (1, "u=7"), (5, "u=2"), (5, "u=4"), (7, "")];
    let order = [0, 2, 3, 6, 7, 5, 4, 1];
    assert_eq!(completed(&server, &mixed, &updates), order);
    let reversed = [(0, "u=7"), (1, "u=6"), (2, "u=5"), (3, "u=4"), (4, "u=2")];
    let order = [4, 5, 6, 7, 3, 2, 1, 0];
    assert_eq!(completed(&server, &[""; 8], &reversed), order);
    // Those that may be mixed share the connection: all that were alike end last, in turn, and one
    // that may not be is done before they go on.
    let incremental = ["i", "i", "u=2", "i", "u=2, i", "u=2, i", "i", "i"];
    let order = completed(&server, &incremental, &[(3, "u=1, i")]);
    assert_eq!(order, [3, 2, 4, 5, 0, 1, 6, 7]);
}

#[test]
fn a_stream_that_nobody_takes_waits() {
    let mut server = server(&["rate_min=off"]);
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0)];
    let mut client = Http2::connect_with(server.address(), &settings).holding_windows();
    for target in ["/stream?n=1000&bytes=1000", "/big?bytes=1000000"] {
        let stream = client.get(target);
        assert_eq!(client.head(stream).status, 200);
        client.listen_for(Duration::from_millis(200));
        assert_eq!(client.so_far(stream).body.len(), 0, "{target}");
        for window in [1, 999, 4000] {
            let before = client.so_far(stream).body.len();
            client.give(stream, window);
            client.wait(stream, |answer| {
                answer.body.len() == before + window as usize
            });
            client.listen_for(Duration::from_millis(50));
        }
        client.give(stream, 1_000_000);
        client.give(0, 1_000_000);
        let content = match target {
            "/big?bytes=1000000" => pattern(1_000_000),
            _ => pattern(1000).repeat(1000),
        };
        assert!(client.response(stream).body == content, "{target}");
    }
    // The application was held back as well.
    let stream = client.get("/stream?n=1000&bytes=1000");
    client.head(stream);
    client.listen_for(Duration::from_millis(200));
    let notes = server.command("notes");
    assert_eq!(notes.matches("stream written").count(), 1, "{notes}");
}

#[test]
fn windows_of_streams_that_are_open_follow_settings() {
    let server = server(&[]);
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0)];
    let mut client = Http2::connect_with(server.address(), &settings).holding_windows();
    let stream = client.get("/big?bytes=5000");
    assert_eq!(client.head(stream).status, 200);
    client.send_settings(&[(setting::INITIAL_WINDOW_SIZE, 2000)]);
    client.wait(stream, |answer| answer.body.len() == 2000);
    client.listen_for(Duration::from_millis(50));
    assert_eq!(client.so_far(stream).body.len(), 2000);
    client.send_settings(&[(setting::INITIAL_WINDOW_SIZE, 5000)]);
    assert!(client.response(stream).body == pattern(5000));
}

#[test]
fn content_that_nobody_reads_gets_no_window() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    client.settings();
    let unread = client.request("POST", "/never", &[], false);
    for piece in pattern(WINDOW_INITIAL as usize).chunks(16_384) {
        client.data(unread, piece, false);
    }
    client.listen_for(Duration::from_millis(200));
    assert_eq!(client.sendable(unread), 0);
    // It does not use up the window of others.
    let content = pattern(1_000_000);
    let stream = client.post("/collect", &content);
    assert_eq!(client.response(stream).text(), digest(&content));
    assert_eq!(client.sendable(unread), 0);
}

#[test]
fn trailers_come_in_and_go_out() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    let trailers = [
        ("x-sum", "17"),
        ("x-other", "z"),
        ("authorization", "secret"),
    ];
    let kept = [("x-sum", "17"), ("x-other", "z")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    for size in [0, 10, 300_000] {
        let content = pattern(size);
        for target in ["/read", "/echo"] {
            let stream = client.request("POST", target, &[], false);
            if size > 0 {
                client.upload(stream, &content, false);
            }
            client.trailers(stream, &trailers);
            let answer = client.response(stream);
            if target == "/read" {
                assert_eq!(answer.text(), format!("{} 2\n", digest(&content).trim()));
            } else {
                assert!(answer.body == content, "{size}");
                assert_eq!(answer.trailers, kept, "{size}");
            }
        }
    }
    let answer = client.fetch("/stream-trailers?n=3&bytes=5");
    assert_eq!(answer.body.len(), 15);
    let kept = [("x-pieces".to_owned(), "3".to_owned())];
    assert_eq!(answer.trailers, kept, "Set-Cookie may not be there");
}

#[test]
fn continue_is_sent_when_the_handler_asks() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    for target in ["/collect", "/collect-after?ms=50", "/read", "/echo"] {
        let fields = [("expect", "100-continue"), ("content-length", "5")];
        let stream = client.request("POST", target, &fields, false);
        let answer = client.wait(stream, |answer| !answer.interim.is_empty());
        assert_eq!(answer.interim, [100], "{target}");
        client.data(stream, b"hello", true);
        let answer = client.response(stream);
        assert_eq!(
            (answer.status, answer.interim),
            (200, vec![100]),
            "{target}"
        );
        // Who does not wait for it needs none.
        let stream = client.request("POST", target, &fields, false);
        client.data(stream, b"hello", true);
        assert_eq!(client.response(stream).status, 200);
    }
    let fields = [("expect", "something"), ("content-length", "5")];
    let stream = client.request("POST", "/collect", &fields, false);
    assert_eq!(client.response(stream).status, 417);
}

#[test]
fn a_handler_that_refuses_without_reading_asks_for_no_content() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    let fields = [("expect", "100-continue"), ("content-length", "5")];
    for (target, status) in [("/ignore", 200), ("/early-413", 413)] {
        let stream = client.request("POST", target, &fields, false);
        let answer = client.response(stream);
        assert_eq!((answer.status, answer.interim.len()), (status, 0));
        // The response is whole, and the content is not wanted (RFC 9113 §8.1).
        assert_eq!(client.reset_code(stream), code::NO_ERROR);
    }
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn a_little_content_that_nobody_reads_is_thrown_away() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    let content = pattern(100_000);
    for target in ["/ignore", "/ignore-late?ms=50"] {
        let stream = client.request("POST", target, &[], false);
        client.upload(stream, &content, true);
        let answer = client.response(stream);
        assert_eq!((answer.status, answer.reset), (200, None));
        let stream = client.post(target, &content);
        let answer = client.response(stream);
        assert_eq!((answer.status, answer.reset), (200, None));
    }
    client.ping();
    assert_eq!(server.counter("violations"), 0);
    // Windows were given back for all of it.
    assert!(client.sendable(STREAM_MAX) >= WINDOW_INITIAL);
}

#[test]
fn much_content_that_nobody_reads_is_refused() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    // Of declared length, and of any.
    for fields in [&[("content-length", "1000000")][..], &[][..]] {
        for target in ["/ignore", "/early-413"] {
            let stream = client.request("POST", target, fields, false);
            client.upload(stream, &pattern(1_000_000), true);
            let answer = client.response(stream);
            assert_eq!(answer.status, if target == "/ignore" { 200 } else { 413 });
            assert!(answer.is_complete, "the response comes before the reset");
            assert_eq!(
                client.reset_code(stream),
                code::NO_ERROR,
                "{target} {fields:?}"
            );
        }
    }
    // What was under way when the reset was sent hurts nobody.
    assert_eq!(client.fetch("/hello").status, 200);
    assert_eq!(server.counter("violations"), 0);
}

#[test]
fn content_may_be_read_after_the_response_has_begun() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    let stream = client.request("POST", "/read-later", &[], false);
    assert_eq!(client.response(stream).text(), "later\n");
    // The response is over, and with it the exchange: who still reads is told.
    server.wait_note("later Closed");
}

// Applications that fail.

#[test]
fn a_panic_costs_its_stream_only() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    let slow = client.get("/slow?ms=300");
    let streaming = client.get("/stream?n=30&bytes=10&pause=10");
    for target in ["/panic", "/panic-later"] {
        assert_eq!(client.fetch(target).status, 500, "{target}");
    }
    for target in ["/stream-panic?n=1&bytes=10", "/stream-panic-at-once"] {
        let stream = client.get(target);
        assert_eq!(client.reset_code(stream), code::INTERNAL_ERROR, "{target}");
    }
    assert_eq!(client.response(slow).text(), "slow\n");
    assert_eq!(client.response(streaming).body.len(), 300);
    assert_eq!(server.counter("handler_panics"), 4);
}

#[test]
fn a_broken_response_does_not_look_complete() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    for target in [
        "/stream-abort?n=3&bytes=10",
        "/stream-drop?n=3&bytes=10",
        "/stream-abort?n=3&bytes=10&pause=20",
        "/stream-length?n=3&length=100",
        "/stream-length?n=300&length=100",
        "/stream-length-abort?n=3&length=100",
    ] {
        let stream = client.get(target);
        assert_eq!(client.reset_code(stream), code::INTERNAL_ERROR, "{target}");
        assert!(!client.so_far(stream).is_complete, "{target}");
    }
    assert_eq!(client.fetch("/hello").status, 200);
    assert_eq!(server.counter("responses_aborted"), 6);
}

#[test]
fn an_application_cannot_break_the_framing() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    for target in ["/bad-field", "/wrong-length", "/transfer-encoding"] {
        let answer = client.fetch(target);
        assert_eq!(answer.status, 500, "{target}");
        assert_eq!(answer.field("set-cookie"), None);
    }
    assert_eq!(server.counter("response_misuse"), 2);
    assert_eq!(client.fetch("/hello").status, 200);
}

// Clients that go away, or break rules.

#[test]
fn a_reset_cancels_the_handler_of_its_stream() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    let other = client.get("/slow?ms=300");
    let stream = client.get("/never");
    server.wait_note("never begun");
    client.reset(stream, code::CANCEL);
    server.wait_note("never dropped");
    server.wait_counter("handlers_cancelled", 1);
    assert_eq!(server.counter("streams_reset"), 1);
    assert_eq!(client.response(other).text(), "slow\n");
}

#[test]
fn a_reset_in_the_midst_of_content_is_told_to_the_handler() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    let stream = client.request("POST", "/read", &[], false);
    client.data(stream, b"12345", false);
    server.wait_note("read begun");
    client.reset(stream, code::CANCEL);
    server.wait_note("read dropped");
    server.wait_counter("handlers_cancelled", 1);
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn a_reset_ends_a_streamed_response() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    for (round, target) in [
        "/stream?n=1000000&bytes=1000",
        "/stream?n=1000000&pause=5",
        "/stream-never?n=1",
    ]
    .iter()
    .enumerate()
    {
        let stream = client.get(target);
        assert_eq!(client.head(stream).status, 200);
        client.reset(stream, code::CANCEL);
        server.wait_counter("responses_aborted", round as u64 + 1);
    }
    server.wait_note("stream dropped");
    // What was sent of them is taken out of the connection's window, and given back by us.
    assert!(client.fetch("/big?bytes=1000000").body == pattern(1_000_000));
}

#[test]
fn a_panic_while_a_handler_is_dropped_hurts_nobody() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    let stream = client.get("/never-panic-on-drop");
    server.wait_note("never begun");
    client.reset(stream, code::CANCEL);
    server.wait_counter("handlers_cancelled", 1);
    assert_eq!(client.fetch("/hello").status, 200);
}

#[test]
fn a_client_that_closes_cancels_all_its_handlers() {
    let mut server = server(&[]);
    for end in ["close", "fin", "reset"] {
        let before = server.counter("handlers_cancelled");
        let mut client = server.connect_http2();
        for _ in 0..5 {
            client.get("/never");
        }
        client.ping();
        match end {
            "fin" => {
                client.connection().finish_sending();
                server.wait_counter("handlers_cancelled", before + 5);
            }
            "reset" => {
                let socket = socket2::SockRef::from(client.connection().socket());
                assert!(socket.set_linger(Some(Duration::ZERO)).is_ok());
                drop(client);
            }
            _ => drop(client),
        }
        server.wait_counter("handlers_cancelled", before + 5);
        server.wait_counter("open", 0);
    }
}

#[test]
fn with_half_close_handlers_go_on() {
    let mut server = server(&["half_close=true"]);
    let mut client = server.connect_http2();
    let streams = [
        client.get("/slow?ms=300"),
        client.get("/stream?n=3&pause=50"),
    ];
    server.wait_note("slow begun");
    client.connection().finish_sending();
    assert_eq!(client.response(streams[0]).text(), "slow\n");
    assert_eq!(client.response(streams[1]).body.len(), 3);
    assert_eq!(client.end(), End::Fin);
    assert_eq!(server.counter("handlers_cancelled"), 0);
}

#[test]
fn requests_that_are_ready_at_once_are_answered_after_fin() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    let streams: Vec<u32> = (0..50).map(|_| client.get("/hello")).collect();
    client.connection().finish_sending();
    for stream in streams {
        assert_eq!(client.response(stream).status, 200);
    }
    assert_eq!(client.end(), End::Fin);
}

#[test]
fn the_end_inside_a_frame_or_content_is_counted() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    client.settings();
    let frame = Frame::new(kind::PING, flag::NONE, 0, [0; 8]).to_bytes();
    client.send(&frame[..12]);
    client.connection().finish_sending();
    client.end();
    server.wait_counter("eof_in_head", 1);
    let mut client = server.connect_http2();
    let stream = client.request("POST", "/read", &[("content-length", "10")], false);
    client.data(stream, b"12345", false);
    server.wait_note("read begun");
    client.connection().finish_sending();
    client.end();
    server.wait_counter("eof_in_content", 1);
    // A request that is complete has no content to come.
    let mut client = server.connect_http2();
    client.get("/never");
    client.ping();
    client.connection().finish_sending();
    client.end();
    server.wait_counter("open", 0);
    assert_eq!(server.counter("eof_in_head"), 1);
    assert_eq!(server.counter("eof_in_content"), 1);
}

/// A client that has sent its GOAWAY is served to the end of what it has begun.
#[test]
fn a_client_may_say_goodbye() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    let stream = client.get("/slow?ms=200");
    client.send_frame(kind::GOAWAY, flag::NONE, 0, [0; 8]);
    assert_eq!(client.response(stream).text(), "slow\n");
    assert_eq!(client.end(), End::Fin);
}

#[test]
fn a_malformed_request_costs_its_stream_only() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    let slow = client.get("/slow?ms=300");
    let cases: [&[(&str, &str)]; 8] = [
        &[("Upper", "case")],
        &[("connection", "close")],
        &[("transfer-encoding", "chunked")],
        &[("te", "gzip")],
        &[("x", "a\r\nset-cookie: b")],
        &[("x", " padded ")],
        &[("content-length", "5"), ("content-length", "6")],
        &[(":path", "/again")],
    ];
    for (number, fields) in cases.iter().enumerate() {
        let stream = client.request("GET", "/hello", fields, true);
        assert_eq!(
            client.reset_code(stream),
            code::PROTOCOL_ERROR,
            "{fields:?}"
        );
        assert_eq!(client.so_far(stream).status, 0, "{fields:?}");
        assert_eq!(server.counter("violations"), number as u64 + 1);
    }
    assert_eq!(client.response(slow).text(), "slow\n");
}

#[test]
fn less_or_more_content_than_declared_costs_its_stream_only() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    for content in [&b"1234"[..], b"123456"] {
        for target in ["/read", "/never"] {
            let stream = client.request("POST", target, &[("content-length", "5")], false);
            client.data(stream, content, true);
            assert_eq!(client.reset_code(stream), code::PROTOCOL_ERROR);
        }
    }
    server.wait_counter("violations", 4);
    assert_eq!(client.fetch("/hello").status, 200);
}

/// (what is sent, the code of GOAWAY)
fn connection_errors() -> Vec<(Vec<u8>, u32)> {
    let frame =
        |kind, flags, stream, payload: &[u8]| Frame::new(kind, flags, stream, payload).to_bytes();
    let garbage = headers(1, &[0xff; 20], true);
    vec![
        (frame(kind::DATA, flag::NONE, 0, b"x"), code::PROTOCOL_ERROR),
        (frame(kind::DATA, flag::NONE, 5, b"x"), code::PROTOCOL_ERROR),
        (
            frame(kind::HEADERS, flag::END_HEADERS, 2, b""),
            code::PROTOCOL_ERROR,
        ),
        (
            frame(kind::RST_STREAM, flag::NONE, 9, &[0; 4]),
            code::PROTOCOL_ERROR,
        ),
        (
            frame(kind::SETTINGS, flag::NONE, 0, &[0; 5]),
            code::FRAME_SIZE_ERROR,
        ),
        (
            frame(kind::SETTINGS, flag::NONE, 0, &[0, 4, 255, 0, 0, 0]),
            code::FLOW_CONTROL_ERROR,
        ),
        (
            frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[0; 4]),
            code::PROTOCOL_ERROR,
        ),
        (
            frame(kind::PING, flag::NONE, 0, &[0; 7]),
            code::FRAME_SIZE_ERROR,
        ),
        (
            frame(kind::WINDOW_UPDATE, flag::NONE, 0, &[0; 4]),
            code::PROTOCOL_ERROR,
        ),
        (
            frame(kind::WINDOW_UPDATE, flag::NONE, 0, &[127, 255, 255, 255]),
            code::FLOW_CONTROL_ERROR,
        ),
        (
            frame(kind::CONTINUATION, flag::END_HEADERS, 1, b""),
            code::PROTOCOL_ERROR,
        ),
        (
            frame(kind::PRIORITY_UPDATE, flag::NONE, 0, &[0; 4]),
            code::PROTOCOL_ERROR,
        ),
        (
            frame(0x42, flag::NONE, 0, &[0; 16_385]),
            code::FRAME_SIZE_ERROR,
        ),
        (garbage, code::COMPRESSION_ERROR),
    ]
}

#[test]
fn a_rule_of_the_connection_that_is_broken_ends_it() {
    let mut server = server(&[]);
    for (round, (bytes, code)) in connection_errors().into_iter().enumerate() {
        let mut client = server.connect_http2();
        client.ping();
        client.send(&bytes);
        client.expect_goodbye(code);
        server.wait_counter("violations", round as u64 + 1);
    }
    server.wait_counter("open", 0);
}

#[test]
fn the_first_frame_must_be_settings() {
    let mut server = server(&[]);
    for first in [
        Frame::new(kind::PING, flag::NONE, 0, [0; 8]),
        Frame::new(kind::SETTINGS, flag::ACK, 0, []),
        Frame::new(kind::HEADERS, flag::END_HEADERS, 1, []),
    ] {
        let mut client = Http2::over(server.connect());
        client.send(PREFACE);
        client.send(first.to_bytes());
        client.expect_goodbye(code::PROTOCOL_ERROR);
    }
    server.wait_counter("violations", 3);
}

#[test]
fn a_connection_that_ends_cancels_its_handlers() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    for _ in 0..5 {
        client.get("/never");
    }
    client.ping();
    client.send_frame(kind::DATA, flag::NONE, 0, b"x");
    client.expect_goodbye(code::PROTOCOL_ERROR);
    server.wait_counter("handlers_cancelled", 5);
}

#[test]
fn what_may_be_ignored_is_ignored() {
    let server = server(&[]);
    let mut client = server.connect_http2();
    // Unknown frames and flags, the priorities of RFC 7540, what crosses with the end of a stream.
    client.send_frame(0x42, 0xff, 77, b"whatever");
    client.send_frame(kind::PING, 0xfe, 0, [0; 8]);
    client.send_frame(kind::PRIORITY, flag::NONE, 9, [0, 0, 0, 1, 16]);
    let stream = client.get("/hello");
    assert_eq!(client.response(stream).status, 200);
    client.give(stream, 1000);
    client.send_frame(kind::RST_STREAM, flag::NONE, stream, [0, 0, 0, 8]);
    assert_eq!(client.fetch("/hello").status, 200);
    // Padding counts for the windows and is no content.
    let stream = client.request("POST", "/collect", &[], false);
    client.send_frame(kind::DATA, flag::PADDED, stream, b"\x04hello\0\0\0\0");
    client.data(stream, b"", true);
    assert_eq!(client.response(stream).text(), digest(b"hello"));
}
