//! Clients that go away, and applications that fail: who notices, and who does not.

use ajay_blackbox::{Address, Client, End, Server, pattern, program, wait_for};

fn server(settings: &[&str]) -> Server {
    Server::start(program!("testserver"), settings)
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_client_that_closes_cancels_its_handler() {
    let mut server = server(&[]);
    let mut client = server.connect();
    client.get("/never", "");
    server.wait_note("never begun");
    drop(client);
    server.wait_note("never dropped");
    server.wait_counter("handlers_cancelled", 1);
    server.wait_counter("open", 0);
}

#[test]
fn a_client_that_closes_its_sending_side_cancels_its_handler() {
    let mut server = server(&[]);
    let mut client = server.connect();
    client.get("/never", "");
    server.wait_note("never begun");
    client.finish_sending();
    client.expect_fin();
    server.wait_note("never dropped");
    server.wait_counter("handlers_cancelled", 1);
}

#[test]
fn with_half_close_the_handler_goes_on() {
    let mut server = server(&["half_close=true"]);
    let mut client = server.connect();
    client.get("/slow?ms=300", "");
    server.wait_note("slow begun");
    client.finish_sending();
    assert_eq!(client.response().text(), "slow\n");
    client.expect_fin();

    let mut client = server.connect();
    client.send(format!(
        "GET /slow?ms=100 HTTP/1.1\r\nHost: a\r\n\r\n{HELLO}"
    ));
    client.finish_sending();
    assert_eq!(client.response().text(), "slow\n");
    assert_eq!(client.response().text(), "Hello, world!\n");
    client.expect_fin();
    assert_eq!(server.counter("handlers_cancelled"), 0);
}

#[test]
fn a_reset_cancels_the_handler() {
    for half_close in ["half_close=false", "half_close=true"] {
        let mut server = server(&[half_close]);
        let mut client = server.connect();
        client.get("/never", "");
        server.wait_note("never begun");
        client.reset();
        server.wait_note("never dropped");
        server.wait_counter("handlers_cancelled", 1);
        server.wait_counter("open", 0);
    }
}

#[test]
fn a_handler_that_is_ready_at_once_is_answered_after_fin() {
    let mut server = server(&[]);
    for _ in 0..50 {
        let mut client = server.connect();
        client.send(HELLO);
        client.finish_sending();
        assert_eq!(client.response().text(), "Hello, world!\n");
        client.expect_fin();
    }
    assert_eq!(server.counter("handlers_cancelled"), 0);
}

#[test]
fn pipelined_requests_are_all_answered_after_fin() {
    let server = server(&[]);
    for count in [1, 10, 300] {
        let mut client = server.connect();
        client.send(HELLO.repeat(count));
        client.finish_sending();
        for _ in 0..count {
            assert_eq!(client.response().text(), "Hello, world!\n");
        }
        client.expect_fin();
    }
}

#[test]
fn a_large_response_is_sent_whole_after_fin() {
    let server = server(&[]);
    let mut client = server.connect();
    client.get("/big?bytes=10000000", "");
    client.finish_sending();
    assert!(client.response().body == pattern(10_000_000));
    client.expect_fin();
    // A stream that always has its next piece, too.
    let mut client = server.connect();
    client.get("/stream?n=200&bytes=50000", "");
    client.finish_sending();
    assert_eq!(client.response().body.len(), 10_000_000);
    client.expect_fin();
}

#[test]
fn fin_without_a_request_is_silent() {
    let mut server = server(&[]);
    let mut client = server.connect();
    client.finish_sending();
    client.expect_fin();
    // After a request, and after empty lines.
    let mut client = server.connect();
    assert_eq!(client.fetch("/hello").status, 200);
    client.send("\r\n");
    client.finish_sending();
    client.expect_fin();
    server.wait_counter("open", 0);
    assert_eq!(server.counter("eof_in_head"), 0);
}

#[test]
fn fin_inside_a_head_is_counted_and_silent() {
    let mut server = server(&[]);
    for (round, part) in ["G", "GET /hello HTTP/1.1\r\nHost: a\r\n"]
        .iter()
        .enumerate()
    {
        let mut client = server.connect();
        client.send(part);
        client.finish_sending();
        client.expect_fin();
        server.wait_counter("eof_in_head", round as u64 + 1);
    }
}

#[test]
fn a_reset_without_a_request_hurts_nobody() {
    let mut server = server(&[]);
    let mut other = server.connect();
    assert_eq!(other.fetch("/hello").status, 200);
    for _ in 0..50 {
        server.connect().reset();
        let mut client = server.connect();
        client.send("GET /hel");
        client.reset();
        let mut client = server.connect();
        client.send(HELLO.repeat(20));
        client.reset();
    }
    server.wait_counter("open", 1);
    assert_eq!(other.fetch("/hello").status, 200);
}

#[test]
fn a_client_gone_inside_a_stream_ends_it() {
    let mut server = server(&[]);
    for (round, target) in [
        "/stream?n=1000000&bytes=1000",
        "/stream?n=1000000&pause=5",
        "/stream-never?n=1",
    ]
    .iter()
    .enumerate()
    {
        let mut client = server.connect();
        client.get(target, "");
        assert_eq!(client.head().expect("a head").status, 200);
        drop(client);
        server.wait_counter("responses_aborted", round as u64 + 1);
    }
    server.wait_note("stream dropped");
    server.wait_counter("open", 0);
}

/// What was received up to the end of a response that never ends well.
fn broken_off(mut client: Client) -> (Vec<u8>, End) {
    while client.receive() {}
    (client.take_received(), client.end())
}

#[test]
fn an_unfinished_stream_never_looks_complete() {
    let mut server = server(&[]);
    let mut aborted = 0;
    for end in ["-abort", "-drop", "-panic", "-panic-at-once"] {
        for version in ["1.1", "1.0"] {
            let mut client = server.connect();
            let target = format!("/stream{end}?n=3&bytes=10&pause=20");
            client.send(format!("GET {target} HTTP/{version}\r\nHost: a\r\n\r\n"));
            let (received, end) = broken_off(client);
            assert!(received.starts_with(b"HTTP/1.1 200 OK\r\n"), "{target}");
            assert!(!received.ends_with(b"0\r\n\r\n"), "{target}");
            assert_eq!(end, End::Reset, "{target} HTTP/{version}");
            aborted += 1;
            server.wait_counter("responses_aborted", aborted);
        }
    }
    assert_eq!(server.counter("handler_panics"), 4);
}

#[test]
fn a_stream_of_the_wrong_length_never_looks_complete() {
    let server = server(&[]);
    for (length, too_much) in [(50, false), (20, true)] {
        let mut client = server.connect();
        client.get(
            &format!("/stream-length?n=3&bytes=10&length={length}&pause=20"),
            "",
        );
        let (received, end) = broken_off(client);
        assert_eq!(end, End::Reset);
        let head = received.windows(4).position(|end| end == b"\r\n\r\n");
        let content = received.len() - head.map_or(0, |at| at + 4);
        assert!(
            content <= length && (too_much || content < length),
            "{content}"
        );
    }
}

#[test]
fn a_panic_is_500_and_the_connection_goes_on() {
    let mut server = server(&[]);
    let mut client = server.connect();
    for target in ["/panic", "/panic-later"] {
        let response = client.fetch(target);
        assert_eq!((response.status, response.says_close()), (500, false));
        assert_eq!(client.fetch("/hello").text(), "Hello, world!\n");
    }
    client.send(format!("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n{HELLO}"));
    assert_eq!(client.response().status, 500);
    assert_eq!(client.response().status, 200);
    assert_eq!(server.counter("handler_panics"), 3);
}

#[test]
fn a_panic_while_a_handler_is_dropped_hurts_nobody() {
    let mut server = server(&[]);
    let mut other = server.connect();
    assert_eq!(other.fetch("/hello").status, 200);
    let mut client = server.connect();
    client.get("/never-panic-on-drop", "");
    server.wait_note("never begun");
    drop(client);
    server.wait_counter("handlers_cancelled", 1);
    server.wait_counter("open", 1);
    assert_eq!(other.fetch("/hello").status, 200);
}

#[test]
fn a_failing_connection_does_not_hurt_its_neighbours() {
    let server = server(&[]);
    let mut neighbours: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    for neighbour in &mut neighbours {
        neighbour.get("/stream?n=50&bytes=3000&pause=5", "");
    }
    for target in [
        "/panic",
        "/stream-abort?n=3",
        "/stream-panic?n=2",
        "/never",
        "/big?bytes=3000000",
    ] {
        for _ in 0..5 {
            let mut client = server.connect();
            client.get(target, "");
            client.reset();
            let mut client = server.connect();
            client.send("BAD\r\n\r\n");
            assert_eq!(client.response().status, 400);
        }
    }
    for neighbour in &mut neighbours {
        assert!(neighbour.response().body == pattern(3000).repeat(50));
    }
}

/// Connections that come and go at random leave nothing behind.
#[test]
fn nothing_leaks() {
    let mut server = Server::start(program!("testserver"), &["threads=2"]);
    let descriptors = |pid| {
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd"));
        entries.map_or(0, Iterator::count)
    };
    drop(server.connect());
    server.wait_counter("connections_closed", 1);
    let before = descriptors(server.pid());
    let targets = [
        "/hello",
        "/never",
        "/stream?n=100000",
        "/slow?ms=5",
        "/big?bytes=500000",
    ];
    for round in 0..200 {
        let mut client = server.connect();
        client.get(targets[round % targets.len()], "");
        match round % 3 {
            0 => client.reset(),
            1 => drop(client),
            // Some part of an answer, where there is one.
            _ if round % targets.len() != 1 => assert!(client.receive()),
            _ => {}
        }
    }
    server.wait_counter("connections_closed", 201);
    server.wait_counter("open", 0);
    wait_for("the descriptors", || {
        (descriptors(server.pid()) <= before).then_some(())
    });
}

/// A thousand clients leave in the middle of their handlers: each future is dropped, once, and
/// the server has nothing more than before.
#[test]
fn a_thousand_clients_that_leave_leave_nothing() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ajayserver::{Counter, ListenAddr, Request};

    struct Guard(Arc<AtomicUsize>);

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    const CLIENTS: usize = 1000;
    let (begun, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = ajayserver::Server::builder()
        .threads(1)
        .handle_signals(false)
        .listen("127.0.0.1:0")
        .and_then(ajayserver::Builder::bind)
        .expect("bind");
    let ListenAddr::Tcp(address) = server.local_addrs()[0] else {
        panic!("not TCP")
    };
    let handle = server.handle();
    let app = {
        let (begun, dropped) = (Arc::clone(&begun), Arc::clone(&dropped));
        async move |_: Request| {
            let _guard = Guard(Arc::clone(&dropped));
            begun.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<&'static str>().await
        }
    };
    let thread = std::thread::spawn(move || server.run(app));
    let address = Address::Tcp(address);
    for round in 1..=2 {
        let mut clients: Vec<Client> = (0..CLIENTS)
            .map(|_| {
                let mut client = Client::connect(&address);
                client.get("/", "");
                client
            })
            .collect();
        wait_for("all handlers have begun", || {
            (begun.load(Ordering::SeqCst) == round * CLIENTS).then_some(())
        });
        assert_eq!(dropped.load(Ordering::SeqCst), (round - 1) * CLIENTS);
        // Half of them by FIN, half by a reset.
        let resets = clients.split_off(CLIENTS / 2);
        drop(clients);
        resets.into_iter().for_each(Client::reset);
        wait_for("all handlers are dropped", || {
            (dropped.load(Ordering::SeqCst) == round * CLIENTS).then_some(())
        });
        wait_for("no connection is left", || {
            (handle.counters().open_connections() == 0).then_some(())
        });
    }
    let cancelled = handle.counters().get(Counter::HandlersCancelled);
    assert_eq!(cancelled, 2 * CLIENTS as u64);
    assert_eq!(begun.load(Ordering::SeqCst), 2 * CLIENTS);
    handle.shutdown();
    thread.join().expect("no panic").expect("a clean drain");
    assert_eq!(dropped.load(Ordering::SeqCst), 2 * CLIENTS);
}
