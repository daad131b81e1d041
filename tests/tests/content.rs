//! Request content: every size and framing, what a handler does with it, and what the server does
//! when handler and client disagree about how much should be sent.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use ajay_blackbox::{Client, PATIENCE, Server, chunked, fnv1a, pattern, program, resident_bytes};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const SIZES: &[usize] = &[
    0,
    1,
    2,
    1023,
    1024,
    8 * KIB,
    16 * KIB - 1,
    64 * KIB - 1,
    64 * KIB,
    64 * KIB + 1,
    128 * KIB,
    MIB,
    5 * MIB,
];

fn server(settings: &[&str]) -> Server {
    Server::start(program!("testserver"), settings)
}

fn echo_server() -> Server {
    Server::start_program(program!("blackbox-echo"), &["127.0.0.1:0"])
}

fn digest(content: &[u8]) -> String {
    format!("{} {:016x}\n", content.len(), fnv1a(content))
}

fn chunked_head(target: &str, lines: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{lines}\r\n")
}

/// Sends from another thread, so that the answer can be read meanwhile.
fn send_aside(client: &Client, data: Vec<u8>) -> std::thread::JoinHandle<std::io::Result<()>> {
    let mut socket = client.sender();
    std::thread::spawn(move || socket.write_all(&data))
}

fn joined(thread: std::thread::JoinHandle<std::io::Result<()>>) {
    match thread.join() {
        Ok(Ok(())) => {}
        other => panic!("sending failed: {other:?}"),
    }
}

#[test]
fn content_of_known_length_is_echoed() {
    let server = echo_server();
    let mut client = server.connect();
    for &size in SIZES {
        let content = pattern(size);
        client.send(format!(
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        ));
        let sender = send_aside(&client, content.clone());
        let response = client.response();
        joined(sender);
        if size == 0 {
            assert_eq!(response.text(), "POST /x\n");
        } else {
            assert!(response.body == content, "{size}");
        }
        assert!(!response.says_close(), "{size}");
    }
}

#[test]
fn chunked_content_is_echoed() {
    let server = echo_server();
    let mut client = server.connect();
    for &size in SIZES {
        for chunk in [1000, 70_000, 7] {
            if size / chunk > 20_000 {
                continue;
            }
            let content = pattern(size);
            client.send(chunked_head("/x", ""));
            let sender = send_aside(&client, chunked(&content, chunk, ""));
            let response = client.response();
            joined(sender);
            if size > 0 {
                assert!(response.body == content, "{size} in chunks of {chunk}");
            }
            assert!(!response.says_close(), "{size}");
        }
    }
}

#[test]
fn content_is_collected_however_it_is_split() {
    let server = server(&["content_collected_bytes_max=10000000"]);
    for &size in SIZES {
        let content = pattern(size);
        let mut client = server.connect();
        // Together with the head, and in separate segments.
        client.post("/collect", "", &content);
        assert_eq!(client.response().text(), digest(&content));
        client.send(format!(
            "POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        ));
        std::thread::yield_now();
        for piece in content.chunks(content.len().div_ceil(5).max(1)) {
            client.send(piece);
            std::thread::yield_now();
        }
        assert_eq!(client.response().text(), digest(&content));
        client.send(chunked_head("/collect", ""));
        client.send(chunked(&content, 3000, ""));
        assert_eq!(client.response().text(), digest(&content));
    }
}

#[test]
fn chunk_extensions_and_odd_sizes_are_read() {
    let server = server(&[]);
    let mut client = server.connect();
    for content in [
        "5\r\nhello\r\n0\r\n\r\n",
        "0005\r\nhello\r\n000\r\n\r\n",
        "5;a\r\nhello\r\n0\r\n\r\n",
        "5;a=b;c=\"d;\\\"e\"\r\nhello\r\n0;x\r\n\r\n",
        "5 ; a = b\r\nhello\r\n0\r\n\r\n",
        "2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n",
    ] {
        client.send(chunked_head("/collect", ""));
        client.send(content);
        assert_eq!(client.response().text(), digest(b"hello"), "{content:?}");
        // Byte by byte.
        client.send(chunked_head("/collect", ""));
        for byte in content.bytes() {
            client.send([byte]);
        }
        assert_eq!(client.response().text(), digest(b"hello"), "{content:?}");
    }
}

#[test]
fn trailers_come_in_and_go_out() {
    let server = server(&[]);
    let mut client = server.connect();
    let trailers = "X-Sum: 17\r\nX-Other: z\r\nAuthorization: secret\r\n";
    // With the head, and after it: the first is ready when the handler looks, the second is not.
    for apart in [false, true] {
        for size in [10, 300 * KIB] {
            let content = pattern(size);
            let head = chunked_head("/echo", "").into_bytes();
            let message = chunked(&content, 50_000, trailers);
            if apart {
                client.send(head);
                std::thread::sleep(Duration::from_millis(20));
                joined(send_aside(&client, message));
            } else {
                joined(send_aside(&client, [head, message].concat()));
            }
            let response = client.response();
            assert!(response.body == content);
            // A name that went through `http::HeaderMap` is in lower case.
            let expected = [("x-sum", "17"), ("x-other", "z")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(response.trailers, expected, "apart: {apart}, {size} bytes");
        }
    }
}

#[test]
fn trailers_are_seen_by_the_handler() {
    let server = server(&[]);
    let mut client = server.connect();
    for size in [10, 300 * KIB] {
        let content = pattern(size);
        client.send(chunked_head("/read", ""));
        client.send(chunked(&content, 50_000, "X-Sum: 17\r\nX-Other: z\r\n"));
        let expected = format!("{} {:016x} 2\n", size, fnv1a(&content));
        assert_eq!(client.response().text(), expected);
    }
}

#[test]
fn continue_is_sent_when_the_handler_asks() {
    let server = server(&[]);
    let mut client = server.connect();
    for target in ["/collect", "/collect-after?ms=50", "/read"] {
        client.send(format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: \
             100-continue\r\n\r\n"
        ));
        let interim = client.head().expect("100");
        assert_eq!((interim.status, interim.fields.len()), (100, 0));
        client.send("hello");
        let response = client.response();
        assert!(response.text().starts_with("5 "), "{target}");
        assert!(response.interim.is_empty() && !response.says_close());
        client.send(chunked_head(target, "Expect: 100-Continue\r\n"));
        assert_eq!(client.head().expect("100").status, 100);
        client.send(chunked(b"hello", 2, ""));
        assert!(client.response().text().starts_with("5 "), "{target}");
    }
}

#[test]
fn continue_is_not_sent_without_need() {
    let server = server(&[]);
    let mut client = server.connect();
    // The content is here already, there is none, or the client would not understand.
    client.post("/collect", "Expect: 100-continue\r\n", b"hello");
    let response = client.response();
    assert_eq!((response.status, response.interim.len()), (200, 0));
    client.get("/collect", "Expect: 100-continue\r\n");
    assert!(client.response().interim.is_empty());
    client.send(
        "POST /collect HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\nExpect: \
         100-continue\r\n\r\n",
    );
    std::thread::sleep(Duration::from_millis(50));
    client.send("hello");
    assert!(client.response().interim.is_empty());
}

#[test]
fn a_final_status_answers_an_expectation_too() {
    let server = server(&["content_bytes_max=1000000"]);
    for (target, length, status) in [
        ("/early-413", 5, 413),
        ("/ignore", 5, 200),
        ("/collect", 2_000_000, 413),
    ] {
        let mut client = server.connect();
        client.send(format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: \
             100-continue\r\n\r\n"
        ));
        let response = client.response();
        assert_eq!(response.status, status);
        assert!(response.interim.is_empty(), "{target}");
        // Whether the content will come is the client's choice: nobody could tell what follows.
        assert!(response.says_close(), "{target}");
        client.expect_fin();
    }
}

/// A handler that answers with a stream made of the request's content still wants that content.
#[test]
fn a_streaming_echo_answers_an_expectation() {
    let server = echo_server();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().expect("100").status, 100);
    client.send("hello");
    assert_eq!(client.response().text(), "hello");
}

#[test]
fn a_little_unread_content_keeps_the_connection() {
    let server = server(&["content_discarded_bytes_max=100000"]);
    for target in ["/ignore", "/ignore-late?ms=30", "/early-413"] {
        let mut client = server.connect();
        // Chunks count with their framing.
        for size in [1, 50_000, 99_000] {
            let content = pattern(size);
            client.send(format!(
                "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
            ));
            let early = client.response();
            assert!(!early.says_close(), "{target} {size}");
            client.send(&content);
            client.send(chunked_head(target, ""));
            assert!(!client.response().says_close(), "{target} {size}");
            client.send(chunked(&content, 900, "X: y\r\n"));
            assert_eq!(client.fetch("/target").text(), "GET /target\n");
        }
    }
}

#[test]
fn unread_content_in_tiny_chunks_has_to_wait_for_its_turn() {
    // 4 MiB in 250 ms is what a worker throws away, and each chunk counts 64 bytes: three times that.
    const CHUNKS: usize = 3 * 65_536;
    let server = server(&["content_discarded_bytes_max=100000000", "threads=1"]);
    let mut client = server.connect();
    let began = Instant::now();
    client.send(chunked_head("/ignore", ""));
    assert!(!client.response().says_close());
    let sender = send_aside(&client, chunked(&pattern(CHUNKS), 1, ""));
    // Others are served meanwhile.
    let mut other = server.connect();
    assert_eq!(other.fetch("/hello").status, 200);
    while !sender.is_finished() {
        assert_eq!(other.fetch("/hello").status, 200);
    }
    joined(sender);
    // Nothing of it is lost, nor what follows.
    assert_eq!(client.fetch("/target").text(), "GET /target\n");
    // Two ticks at least have to pass between the first and the last share.
    assert!(began.elapsed() >= Duration::from_millis(250), "not bounded");
}

#[test]
fn much_unread_content_closes_the_connection() {
    let server = server(&["content_discarded_bytes_max=100000"]);
    for target in ["/ignore", "/ignore-late?ms=30", "/early-413"] {
        // Known to be too much: the response says so.
        let mut client = server.connect();
        client.send(format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
        ));
        let sender = send_aside(&client, pattern(1_000_000));
        assert!(client.response().says_close(), "{target}");
        client.expect_fin();
        joined(sender);

        // Found to be too much: after a response that did not.
        let mut client = server.connect();
        client.send(chunked_head(target, ""));
        let response = client.response();
        assert!(!response.says_close(), "{target}");
        let sender = send_aside(&client, chunked(&pattern(1_000_000), 1000, ""));
        client.expect_fin();
        joined(sender);
    }
}

#[test]
fn the_end_of_the_connection_inside_content_reaches_the_handler() {
    for half_close in ["half_close=false", "half_close=true"] {
        let mut server = server(&[half_close]);
        let mut client = server.connect();
        client.send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
        server.wait_note("read begun");
        client.finish_sending();
        let response = client.response();
        assert_eq!((response.status, response.says_close()), (400, true));
        client.expect_fin();
        server.wait_note("content Incomplete");
        server.wait_counter("eof_in_content", 1);

        let mut client = server.connect();
        client.send(chunked_head("/read", ""));
        client.send("5\r\nhello\r\n");
        client.finish_sending();
        assert_eq!(client.response().status, 400);
        server.wait_counter("eof_in_content", 2);
    }
}

#[test]
fn a_reset_inside_content_drops_the_handler() {
    let mut server = server(&[]);
    let mut client = server.connect();
    client.send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    server.wait_note("read begun");
    client.reset();
    server.wait_note("read dropped");
    server.wait_counter("open", 0);
}

#[test]
fn content_kept_beyond_its_exchange_is_closed() {
    let mut server = server(&[]);
    let mut client = server.connect();
    client.send("POST /read-later HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    assert_eq!(client.response().text(), "later\n");
    server.wait_note("later Closed");
    client.send("67890");
    assert_eq!(client.fetch("/target").text(), "GET /target\n");
    // Content that was complete before is all there.
    client.post("/read-later", "", b"123");
    assert_eq!(client.response().text(), "later\n");
    server.wait_note("later 3");
}

#[test]
fn content_above_the_limit_is_refused() {
    let mut server = server(&["content_bytes_max=1000"]);
    let mut client = server.connect();
    client.post("/collect", "", &pattern(1000));
    assert_eq!(client.response().text(), digest(&pattern(1000)));
    client.send(chunked_head("/collect", ""));
    client.send(chunked(&pattern(1000), 100, ""));
    assert_eq!(client.response().text(), digest(&pattern(1000)));

    client.post("/collect", "", &pattern(1001));
    let response = client.response();
    assert_eq!((response.status, response.says_close()), (413, true));
    client.expect_fin();
    // All at once, and while the handler reads.
    for apart in [false, true] {
        let mut client = server.connect();
        let message = chunked(&pattern(1001), 100, "");
        client.send(chunked_head("/collect", ""));
        if apart {
            client.send(&message[..200]);
            std::thread::sleep(Duration::from_millis(20));
            client.send(&message[200..]);
        } else {
            client.send(&message);
        }
        let response = client.response();
        assert_eq!((response.status, response.says_close()), (413, true));
        client.expect_fin();
    }
    assert_eq!(server.counter("content_too_large"), 3);
}

#[test]
fn collecting_above_the_limit_is_413() {
    let server = server(&["content_collected_bytes_max=1000"]);
    let mut client = server.connect();
    client.post("/collect", "", &pattern(1000));
    assert_eq!(client.response().status, 200);
    client.post("/collect", "", &pattern(1001));
    assert_eq!(client.response().status, 413);
    client.send(chunked_head("/collect", ""));
    client.send(chunked(&pattern(5000), 100, ""));
    assert_eq!(client.response().status, 413);
    assert_eq!(client.fetch("/hello").status, 200, "a little was discarded");
    // The default of 4 MiB, in many reads.
    let server = Server::start(program!("testserver"), &[]);
    let mut client = server.connect();
    client.post("/collect", "", &pattern(4 * MIB));
    assert_eq!(client.response().text(), digest(&pattern(4 * MIB)));
    let mut client = server.connect();
    let mut message =
        b"POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 4194305\r\n\r\n".to_vec();
    message.extend(pattern(4 * MIB + 1));
    let sender = send_aside(&client, message);
    assert_eq!(client.response().status, 413);
    joined(sender);
}

/// A handler that reads slowly makes the client wait; the server does not hold what it sends.
#[test]
fn a_slow_reader_holds_back_the_client() {
    let mut server = server(&[]);
    let mut client = server.connect();
    assert_eq!(client.fetch("/hello").status, 200);
    let before = resident_bytes(server.pid());
    let content = pattern(40 * MIB);
    client.send(format!(
        "POST /read?pause=2 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        content.len()
    ));
    let sender = send_aside(&client, content.clone());
    server.wait_note("read begun");
    let mut most = 0;
    while !sender.is_finished() {
        most = most.max(resident_bytes(server.pid()));
        std::thread::sleep(Duration::from_millis(10));
    }
    joined(sender);
    let expected = format!("{} {:016x} 0\n", content.len(), fnv1a(&content));
    assert_eq!(client.response().text(), expected);
    let grown = most.saturating_sub(before);
    assert!(grown < 4 * MIB as u64, "grew by {grown} bytes");
}

/// A client that does not read a huge stream makes the handler wait.
#[test]
fn a_client_that_does_not_read_holds_back_the_handler() {
    let mut server = server(&["write_timeout=off", "rate_min=off"]);
    let mut warm = server.connect();
    assert_eq!(warm.fetch("/stream?n=100&bytes=60000").status, 200);
    let before = resident_bytes(server.pid());
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.get("/stream?n=10000&bytes=60000", "");
    }
    // Until the kernel takes no more: the count of sent bytes stands still.
    let mut sent = 0;
    let mut still = 0;
    while still < 20 {
        let now = server.counter("bytes_sent");
        still = if now == sent { still + 1 } else { 0 };
        sent = now;
        std::thread::sleep(Duration::from_millis(10));
    }
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    assert!(
        grown < 12 * MIB as u64,
        "20 streams grew it by {grown} bytes"
    );
    // Others are served meanwhile.
    assert_eq!(warm.fetch("/hello").status, 200);
    for client in clients {
        client.reset();
    }
    server.wait_counter("responses_aborted", 20);
}

/// A client that reads slowly, but above the minimum rate, gets everything.
#[test]
fn a_slow_client_gets_everything() {
    let server = server(&["write_timeout=1000", "rate_grace=500", "rate_min=1000"]);
    let mut client = server.connect();
    let socket = socket2::SockRef::from(client.socket()).set_recv_buffer_size(16 * KIB);
    assert!(socket.is_ok());
    client.get("/big?bytes=1500000", "Connection: close\r\n");
    let started = Instant::now();
    let (mut received, mut piece) = (Vec::new(), vec![0; 64 * KIB]);
    let mut socket = client.socket();
    loop {
        match socket.read(&mut piece) {
            Ok(0) => break,
            Ok(len) => received.extend_from_slice(&piece[..len]),
            Err(error) => panic!("after {} bytes: {error}", received.len()),
        }
        // Longer than the write timeout in all.
        if started.elapsed() < Duration::from_millis(2500) {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(started.elapsed() < PATIENCE);
    }
    assert!(received.ends_with(&pattern(1_500_000)));
}

#[test]
fn a_pipelined_request_behind_content_is_answered() {
    let server = server(&[]);
    let mut client = server.connect();
    let hello = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    for target in [
        "/collect",
        "/ignore",
        "/read",
        "/ignore-late?ms=10",
        "/collect-after?ms=10",
    ] {
        for size in [1, 5000, 70_000, 200_000] {
            let content = pattern(size);
            let mut message =
                format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
                    .into_bytes();
            message.extend_from_slice(&content);
            message.extend_from_slice(hello.as_bytes());
            message.extend_from_slice(chunked_head(target, "").as_bytes());
            message.extend_from_slice(&chunked(&content, 4000, ""));
            message.extend_from_slice(hello.as_bytes());
            let sender = send_aside(&client, message);
            for _ in 0..2 {
                assert_eq!(client.response().status, 200, "{target} {size}");
                assert_eq!(client.response().text(), "Hello, world!\n");
            }
            joined(sender);
        }
    }
}
