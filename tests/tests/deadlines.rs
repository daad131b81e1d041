//! Each deadline: what the client sees, that it comes in time, and what is counted.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use ajay_blackbox::{Client, End, Server, program};

/// The deadline under test in most of these.
const DEADLINE: Duration = Duration::from_millis(700);

/// A deadline is met within 500 ms; the rest is for a busy machine.
const LATE_MAX: Duration = Duration::from_millis(1500);

fn server(settings: &[&str]) -> Server {
    Server::start(program!("testserver"), settings)
}

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

/// Sends these bytes one by one, with pauses, until all are sent or the server answers or closes.
fn drip(client: &mut Client, bytes: &[u8], pause: Duration) {
    for byte in bytes {
        if client.try_send([*byte]).is_err() {
            return;
        }
        std::thread::sleep(pause);
        let mut waiting = [0];
        let socket = client.socket();
        let set = socket.set_nonblocking(true);
        let peeked = socket.peek(&mut waiting);
        assert!(set.is_ok() && socket.set_nonblocking(false).is_ok());
        if peeked.is_ok() {
            return;
        }
    }
}

#[test]
fn first_byte() {
    let mut server = server(&["first_byte_timeout=700", "idle_timeout=10000"]);
    let mut client = server.connect();
    in_time(DEADLINE, || client.expect_fin());
    server.wait_counter("timeout_first_byte", 1);
}

#[test]
fn head_byte_by_byte() {
    let mut server = server(&["head_timeout=700"]);
    let mut client = server.connect();
    // Also where there was a request before.
    for round in 1..=2 {
        let response = in_time(DEADLINE, || {
            let request = format!("GET /hello HTTP/1.1\r\nHost: {}", "a".repeat(100));
            drip(&mut client, request.as_bytes(), Duration::from_millis(50));
            client.response()
        });
        assert_eq!((response.status, response.says_close()), (408, true));
        client.expect_fin();
        server.wait_counter("timeout_head", round);
        client = server.connect();
        assert_eq!(client.fetch("/hello").status, 200);
    }
}

#[test]
fn head_that_stops() {
    let mut server = server(&["head_timeout=700"]);
    let mut client = server.connect();
    // Behind a whole one, in the same segment.
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHo");
    assert_eq!(client.response().status, 200);
    let response = in_time(DEADLINE, || client.response());
    assert_eq!(response.status, 408);
    client.expect_fin();
    server.wait_counter("timeout_head", 1);
}

#[test]
fn content_that_stops() {
    let mut server = server(&["content_timeout=700", "handler_timeout=10000"]);
    for (round, head) in [
        "Content-Length: 10\r\n\r\n12345",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n12",
    ]
    .iter()
    .enumerate()
    {
        let mut client = server.connect();
        client.send(format!("POST /read HTTP/1.1\r\nHost: a\r\n{head}"));
        let response = in_time(DEADLINE, || client.response());
        assert_eq!((response.status, response.says_close()), (408, true));
        client.expect_fin();
        server.wait_note("read dropped");
        server.wait_counter("timeout_content", round as u64 + 1);
    }
}

#[test]
fn content_that_goes_on_is_not_cut() {
    let server = server(&["content_timeout=700", "handler_timeout=700", "rate_min=off"]);
    let mut client = server.connect();
    client.send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    // Longer in all than the deadline.
    drip(&mut client, b"0123456789", Duration::from_millis(150));
    assert!(client.response().text().starts_with("10 "));
}

#[test]
fn content_that_nobody_reads_any_more() {
    let mut server = server(&["content_timeout=700"]);
    let mut client = server.connect();
    client.send("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    assert_eq!(client.response().status, 200);
    in_time(DEADLINE, || client.expect_fin());
    server.wait_counter("timeout_content", 1);
}

#[test]
fn content_that_a_stream_waits_for() {
    let mut server = server(&["content_timeout=700"]);
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    let end = in_time(DEADLINE, || {
        while client.receive() {}
        client.take_received();
        client.end()
    });
    // The response has begun: only a reset can tell.
    assert_eq!(end, End::Reset);
    server.wait_counter("timeout_content", 1);
}

#[test]
fn content_below_the_minimum_rate() {
    let mut server = server(&["rate_min=1000", "rate_grace=700", "content_timeout=10000"]);
    for (round, target) in ["/read", "/collect", "/ignore"].iter().enumerate() {
        let mut client = server.connect();
        client.send(format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
        ));
        if *target == "/ignore" {
            assert_eq!(client.response().status, 200);
        }
        in_time(DEADLINE, || {
            drip(&mut client, &[b'x'; 200], Duration::from_millis(30));
            if *target != "/ignore" {
                assert_eq!(client.response().status, 408, "{target}");
            }
        });
        server.wait_counter("timeout_content_rate", round as u64 + 1);
    }
}

#[test]
fn content_above_the_minimum_rate() {
    let server = server(&["rate_min=1000", "rate_grace=700", "content_timeout=10000"]);
    let mut client = server.connect();
    client.send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n");
    for _ in 0..20 {
        client.send([b'x'; 1000]);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(client.response().text().starts_with("20000 "));
}

/// Time that the handler takes is not held against the client.
#[test]
fn a_slow_handler_does_not_make_the_client_slow() {
    let server = server(&["rate_min=1000", "rate_grace=500", "content_timeout=10000"]);
    let mut client = server.connect();
    client.send("POST /read?pause=500 HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n");
    for _ in 0..5 {
        client.send([b'x'; 10]);
        std::thread::sleep(Duration::from_millis(400));
    }
    assert!(client.response().text().starts_with("50 "));
}

#[test]
fn handler() {
    let mut server = server(&["handler_timeout=700"]);
    let mut client = server.connect();
    assert_eq!(client.fetch("/slow?ms=100").status, 200);
    client.get("/never", "");
    let response = in_time(DEADLINE, || client.response());
    assert_eq!((response.status, response.says_close()), (503, true));
    client.expect_fin();
    server.wait_note("never dropped");
    server.wait_counter("timeout_handler", 1);
}

#[test]
fn handler_that_ignores_content() {
    let mut server = server(&["handler_timeout=700", "content_timeout=10000"]);
    let mut client = server.connect();
    client.send("POST /never HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    assert_eq!(in_time(DEADLINE, || client.response()).status, 503);
    server.wait_counter("timeout_handler", 1);
}

#[test]
fn a_stream_may_be_silent() {
    let server = server(&[
        "handler_timeout=300",
        "idle_timeout=300",
        "write_timeout=300",
        "first_byte_timeout=300",
    ]);
    let mut client = server.connect();
    assert_eq!(client.fetch("/stream?n=2&pause=1000").body.len(), 2);
}

#[test]
fn write() {
    let mut server = server(&["write_timeout=700", "rate_min=off"]);
    for (round, target) in ["/big?bytes=30000000", "/stream?n=1000&bytes=30000"]
        .iter()
        .enumerate()
    {
        let mut client = server.connect();
        client.get(target, "");
        in_time(DEADLINE, || {
            server.wait_counter("timeout_write", round as u64 + 1);
        });
        while client.receive() {}
        let received = client.take_received().len();
        assert!(received < 30_000_000);
        assert_eq!(client.end(), End::Reset);
    }
    server.wait_counter("open", 0);
}

#[test]
fn output_below_the_minimum_rate() {
    let mut server = server(&["rate_min=20000000", "rate_grace=700", "write_timeout=10000"]);
    let client = server.connect();
    let sized = socket2::SockRef::from(client.socket()).set_recv_buffer_size(16 * 1024);
    assert!(sized.is_ok());
    let mut client = client;
    client.get("/big?bytes=60000000", "");
    let started = Instant::now();
    let mut socket = client.socket();
    let mut piece = vec![0; 10_000];
    let error = loop {
        match socket.read(&mut piece) {
            Ok(0) => panic!("FIN inside the response"),
            Ok(_) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => break error,
        }
        assert!(started.elapsed() < Duration::from_secs(15));
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    server.wait_counter("timeout_write_rate", 1);
}

/// A client whose kernel takes 4 KiB, from the beginning.
fn with_small_buffer(server: &Server) -> Client {
    let connect = || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_recv_buffer_size(4 * 1024)?;
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], server.port()));
        socket.connect(&address.into())?;
        Client::over(socket.into())
    };
    match connect() {
        Ok(client) => client,
        Err(error) => panic!("{error}"),
    }
}

/// A socket takes more only when half of what it may hold unsent is gone. What a slow client has taken
/// meanwhile counts.
#[test]
fn output_above_the_minimum_rate_is_not_cut() {
    let settings = ["rate_min=5000", "rate_grace=700", "write_timeout=10000"];
    let mut server = server(&settings);
    let mut client = with_small_buffer(&server);
    client.get("/big?bytes=60000000", "");
    let mut socket = client.socket();
    // 10 000 bytes a second, of which the server's socket makes room after three seconds.
    let mut piece = vec![0; 1000];
    for _ in 0..20 {
        match socket.read(&mut piece) {
            Ok(1..) => std::thread::sleep(Duration::from_millis(100)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.counter("timeout_write_rate"), 0);
    // Who takes nothing any more is below every rate, when what was taken is used up.
    server.wait_counter("timeout_write_rate", 1);
}

#[test]
fn idle() {
    let mut server = server(&["idle_timeout=700"]);
    let mut client = server.connect();
    // Requests restart it.
    for _ in 0..4 {
        assert_eq!(client.fetch("/hello").status, 200);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(client.fetch("/hello").status, 200);
    in_time(DEADLINE, || client.expect_fin());
    server.wait_counter("timeout_idle", 1);
}

#[test]
fn lifetime_of_an_idle_connection() {
    let mut server = server(&["lifetime_max=700"]);
    let mut client = server.connect();
    in_time(DEADLINE, || {
        assert_eq!(client.fetch("/hello").status, 200);
        client.expect_fin();
    });
    server.wait_counter("timeout_lifetime", 1);
}

#[test]
fn lifetime_of_a_busy_connection() {
    let server = server(&["lifetime_max=700"]);
    let mut client = server.connect();
    in_time(DEADLINE, || {
        while !client.fetch("/slow?ms=50").says_close() {}
        client.expect_fin();
    });
    // A response under way when the time comes is finished.
    let mut client = server.connect();
    assert_eq!(client.fetch("/stream?n=3&pause=600").body.len(), 3);
    client.expect_fin();
}

#[test]
fn requests_per_connection() {
    let server = server(&["requests_per_connection_max=3"]);
    for pipelined in [false, true] {
        let mut client = server.connect();
        for number in 1..=3 {
            if pipelined && number == 1 {
                client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5));
            } else if !pipelined {
                client.get("/hello", "");
            }
            assert_eq!(client.response().says_close(), number == 3);
        }
        client.expect_fin();
    }
}

#[test]
fn linger_of_a_silent_client() {
    let mut server = server(&["linger_timeout=700"]);
    let mut client = server.connect();
    client.send("BAD\r\n\r\n");
    assert_eq!(client.response().status, 400);
    client.expect_fin();
    in_time(DEADLINE - Duration::from_millis(100), || {
        server.wait_counter("open", 0);
    });
}

#[test]
fn linger_of_a_client_that_goes_on() {
    let mut server = server(&["linger_timeout=700"]);
    let mut client = server.connect();
    client.send("BAD\r\n\r\n");
    assert_eq!(client.response().status, 400);
    let mut socket = client.sender();
    // Until the server has closed, and a reset answers.
    in_time(DEADLINE - Duration::from_millis(100), || {
        while socket.write_all(b"more").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    server.wait_counter("open", 0);
}

#[test]
fn deadlines_that_are_off() {
    let off = ["first_byte", "head", "content", "handler", "write", "idle"];
    let settings: Vec<String> = off
        .iter()
        .map(|name| format!("{name}_timeout=off"))
        .collect();
    let settings: Vec<&str> = settings
        .iter()
        .map(String::as_str)
        .chain(["rate_min=off"])
        .collect();
    let server = server(&settings);
    let mut client = server.connect();
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(client.fetch("/slow?ms=600").status, 200);
}

/// Thousands of connections whose deadlines pass in the same tick.
#[test]
fn many_deadlines_at_once() {
    let mut server = server(&["first_byte_timeout=1500"]);
    let mut clients: Vec<Client> = (0..400).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.expect_fin();
    }
    server.wait_counter("timeout_first_byte", 400);
}
