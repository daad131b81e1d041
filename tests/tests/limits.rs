//! Limits: what fits passes, one more does not; and running out of something is survived.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use ajay_blackbox::http2::{code, flag, kind};
use ajay_blackbox::{Client, End, Server, cpu_time, program, run, wait_for};

fn server(settings: &[&str]) -> Server {
    Server::start(program!("testserver"), settings)
}

/// A request whose head has exactly `len` bytes.
fn head_of(len: usize) -> String {
    let (start, end) = ("GET /hello HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n");
    format!("{start}{}{end}", "x".repeat(len - start.len() - end.len()))
}

/// The status that this message is answered with, and whether the connection ends.
fn status(server: &Server, message: &str) -> u16 {
    let mut client = server.connect();
    client.send(message);
    let response = client.response();
    if response.says_close() {
        client.expect_fin();
    } else {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    response.status
}

#[test]
fn head_bytes() {
    for (settings, max) in [(&[][..], 16 * 1024), (&["head_bytes_max=300"][..], 300)] {
        let server = server(settings);
        assert_eq!(status(&server, &head_of(max)), 200);
        assert_eq!(status(&server, &head_of(max + 1)), 431);
        // The limit is for each head, also when they come together.
        let two = head_of(max) + &head_of(max);
        let mut client = server.connect();
        client.send(two);
        assert_eq!(client.response().status, 200);
        assert_eq!(client.response().status, 200);
        // In two parts.
        let mut client = server.connect();
        let head = head_of(max + 1);
        client.send(&head[..max]);
        std::thread::yield_now();
        assert_eq!(client.response().status, 431);
    }
}

#[test]
fn target_bytes() {
    for (settings, max) in [(&[][..], 8 * 1024), (&["target_bytes_max=50"][..], 50)] {
        let server = server(settings);
        for (len, expected) in [(max, 200), (max + 1, 414), (max + 1000, 414)] {
            let target = format!("/hello?{}", "q".repeat(len - 7));
            let message = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(status(&server, &message), expected, "{len}");
            let target = format!("http://a/hello?{}", "q".repeat(len - 15));
            let message = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(status(&server, &message), expected, "{len}");
        }
    }
}

#[test]
fn field_lines() {
    for (settings, max) in [(&[][..], 100), (&["field_lines_max=5"][..], 5)] {
        let server = server(settings);
        for (lines, expected) in [(max, 200), (max + 1, 431)] {
            let others = "X: y\r\n".repeat(lines - 1);
            let message = format!("GET /hello HTTP/1.1\r\nHost: a\r\n{others}\r\n");
            assert_eq!(status(&server, &message), expected, "{lines}");
        }
    }
}

fn with_trailers(trailers: &str) -> String {
    format!(
        "POST /collect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \
         chunked\r\n\r\n0\r\n{trailers}\r\n"
    )
}

#[test]
fn trailer_bytes_and_lines() {
    let server = server(&["trailer_bytes_max=100", "trailer_lines_max=5"]);
    // Its lines and the empty line.
    let section = |len: usize| format!("X: {}\r\n", "x".repeat(len - 5 - 2));
    assert_eq!(status(&server, &with_trailers(&section(100))), 200);
    assert_eq!(status(&server, &with_trailers(&section(101))), 431);
    assert_eq!(status(&server, &with_trailers(&"X: y\r\n".repeat(5))), 200);
    assert_eq!(status(&server, &with_trailers(&"X: y\r\n".repeat(6))), 431);
}

#[test]
fn chunk_extension_bytes() {
    let server = server(&["chunk_extension_bytes_max=100"]);
    let with = |extensions: &[usize]| {
        let chunks: Vec<String> = extensions
            .iter()
            .map(|len| format!("3;{}\r\nabc\r\n", "x".repeat(len - 1)))
            .collect();
        format!(
            "POST /collect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \
             chunked\r\n\r\n{}0\r\n\r\n",
            chunks.join("")
        )
    };
    assert_eq!(status(&server, &with(&[100])), 200);
    assert_eq!(status(&server, &with(&[101])), 400);
    assert_eq!(status(&server, &with(&[50, 50])), 200);
    assert_eq!(
        status(&server, &with(&[50, 51])),
        400,
        "all chunks together"
    );
}

#[test]
fn the_binary_takes_limits() {
    let args = [
        "-l",
        "127.0.0.1:0",
        "--head-bytes-max",
        "1k",
        "--target-bytes-max",
        "64",
    ];
    let server = Server::start_program(program!("blackbox-ajayserver"), &args);
    assert_eq!(status(&server, &head_of(1024)), 200);
    assert_eq!(status(&server, &head_of(1025)), 431);
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(64));
    assert_eq!(status(&server, &long), 414);
}

#[test]
fn at_the_connection_limit_accepting_pauses() {
    let mut server = server(&["connections_max=5"]);
    let mut clients: Vec<Client> = (0..5).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    // The kernel completes these; nobody accepts them.
    let mut waiting: Vec<Client> = (0..5).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.get("/hello", "");
    }
    wait_for("the limit to be met", || {
        (server.counter("connections_max_reached") > 0).then_some(())
    });
    assert_eq!(server.counter("connections_accepted"), 5);
    // While it waits it does not spin.
    let (before, started) = (cpu_time(server.pid()), Instant::now());
    std::thread::sleep(Duration::from_millis(1000));
    let used = cpu_time(server.pid()) - before;
    assert!(
        used * 4 < started.elapsed(),
        "{used:?} in a second of waiting"
    );
    assert_eq!(clients[0].fetch("/hello").status, 200);
    // One goes, one comes.
    for (gone, client) in clients.drain(..).zip(&mut waiting) {
        drop(gone);
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(server.counter("open"), 5);
}

#[test]
fn at_the_limit_per_address_the_answer_is_503() {
    let mut server = server(&["connections_per_address_max=3"]);
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    for round in 1..=20 {
        let mut refused = server.connect();
        let response = refused.response();
        assert_eq!((response.status, response.says_close()), (503, true));
        refused.expect_fin();
        server.wait_counter("connections_refused_address", round);
    }
    drop(clients.pop());
    server.wait_counter("open", 2);
    assert_eq!(server.connect().fetch("/hello").status, 200);
}

/// Like a real client, it sends its request at once; the answer is not lost in a reset.
#[test]
fn a_client_over_the_limit_per_address_that_has_sent_its_request_reads_503() {
    let server = server(&["connections_per_address_max=1"]);
    let mut first = server.connect();
    assert_eq!(first.fetch("/hello").status, 200);
    for _ in 0..50 {
        let mut refused = server.connect();
        let _ = refused.try_send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(refused.response().status, 503);
    }
}

/// Slow readers of large responses hold what is above the bound: new requests are turned away until
/// they are gone, and those that have begun are served.
#[test]
fn new_requests_are_refused_while_too_much_is_held() {
    let mut server = server(&["buffered_bytes_max=2000000"]);
    let mut honest = server.connect();
    assert_eq!(honest.fetch("/hello").status, 200);
    let mut slow = server.connect();
    slow.get("/big?bytes=12000000", "");
    let mut later = server.connect();
    server.wait_counter("requests", 2);
    let response = later.fetch("/hello");
    assert_eq!((response.status, response.says_close()), (503, true));
    assert_eq!(response.field("Retry-After"), Some("1"));
    later.expect_fin();
    let mut another = server.connect();
    another.send("GET /hel");
    assert_eq!(
        another.response().status,
        503,
        "also for a head that has only begun"
    );
    server.wait_counter("requests_refused_memory", 2);
    // What was begun is completed, and makes room.
    assert!(slow.response().body == ajay_blackbox::pattern(12_000_000));
    assert_eq!(honest.fetch("/hello").status, 200);
}

/// A response that every client shares is not held for each of them.
#[test]
fn shared_content_is_not_held() {
    let mut server = server(&["buffered_bytes_max=2000000", "notsent_lowat=4096"]);
    let mut slow: Vec<Client> = (0..12).map(|_| server.connect()).collect();
    for client in &mut slow {
        client.get("/static-big", "");
    }
    server.wait_counter("requests", 12);
    assert_eq!(server.connect().fetch("/hello").status, 200);
}

/// Uploads that handlers do not read wait with the kernel instead of here, and go on later.
#[test]
fn content_that_waits_is_bounded_in_sum() {
    let mut server = server(&[
        "buffered_bytes_max=300000",
        "content_buffer_bytes_max=200000",
    ]);
    let content = ajay_blackbox::pattern(400_000);
    let mut clients: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    // All are let in while nothing is held yet.
    for client in &mut clients {
        client.send(format!(
            "POST /collect-after?ms=700 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            content.len()
        ));
    }
    server.wait_counter("requests", 8);
    let senders: Vec<_> = clients
        .iter()
        .map(|client| {
            let (mut socket, content) = (client.sender(), content.clone());
            std::thread::spawn(move || socket.write_all(&content).is_ok())
        })
        .collect();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let received = server.counter("bytes_received");
    // One read may pass the bound, and each that has nothing may read once.
    assert!(received < 1_200_000, "{received} bytes are held");
    for client in &mut clients {
        assert!(client.response().text().starts_with("400000 "));
    }
    for sender in senders {
        assert!(matches!(sender.join(), Ok(true)));
    }
    assert_eq!(server.counter("requests_refused_memory"), 0);
}

/// A reader in a task of its own takes what it has while nothing more is read for it. All that is left stands in
/// the kernel then, and nothing but the server itself can go on.
#[test]
fn uploads_that_were_held_back_go_on() {
    let mut server = server(&[
        "buffered_bytes_max=100000",
        "content_buffer_bytes_max=200000",
        "content_timeout=8000",
    ]);
    let content = ajay_blackbox::pattern(500_000);
    let mut clients: Vec<Client> = (0..6).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(format!(
            "POST /read-elsewhere?pause=150 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            content.len()
        ));
    }
    // All are let in while nothing is held yet.
    server.wait_counter("requests", 6);
    let uploads: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let content = content.clone();
            std::thread::spawn(move || {
                client.send(content);
                client.response().text().to_owned()
            })
        })
        .collect();
    for upload in uploads {
        let text = upload.join().unwrap_or_default();
        assert!(text.starts_with("500000 "), "{text}");
    }
}

/// Out of descriptors: the server says so, serves whom it has, does not spin, and recovers.
#[test]
fn running_out_of_descriptors_is_survived() {
    let mut command = Command::new("sh");
    // 40 descriptors; the limit on connections must not be what is met.
    command.args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\""]);
    command.args([program!("testserver"), "connections_max=1000"]);
    let mut server = Server::start_command(command);
    let mut clients: Vec<Client> = (0..60).map(|_| server.connect()).collect();
    wait_for("accept to fail", || {
        (server.counter("accept_errors") > 0).then_some(())
    });
    assert_eq!(clients[0].fetch("/hello").status, 200);
    let (before, started) = (cpu_time(server.pid()), Instant::now());
    std::thread::sleep(Duration::from_millis(1000));
    let used = cpu_time(server.pid()) - before;
    assert!(
        used * 4 < started.elapsed(),
        "{used:?} in a second of waiting"
    );
    for client in &mut clients {
        client.get("/hello", "Connection: close\r\n");
    }
    // Those that were answered make room for the others.
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
        client.expect_fin();
    }
    drop(clients);
    server.wait_counter("open", 0);
    assert_eq!(server.connect().fetch("/hello").status, 200);
    assert!(
        server.stderr().contains("accept failed"),
        "{}",
        server.stderr()
    );
}

#[test]
fn the_descriptor_limit_is_raised_and_a_low_one_is_told() {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -Sn 64 && exec \"$0\" \"$@\"",
        program!("testserver"),
    ]);
    let server = Server::start_command(command);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid()));
    let limits = limits.unwrap_or_default();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let columns: Vec<&str> = files.unwrap_or_default().split_whitespace().collect();
    assert_eq!(columns.get(3), columns.get(4), "soft and hard limit");

    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -n 300 && exec \"$0\" \"$@\"",
        program!("testserver"),
    ]);
    let server = Server::start_command(command);
    assert_eq!(server.connect().fetch("/hello").status, 200);
    assert!(server.stderr().contains("limit of open files is low"));
}

/// Idle connections cost no CPU time and little memory.
#[test]
fn idle_connections_cost_little() {
    let mut server = server(&[]);
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    let before = ajay_blackbox::resident_bytes(server.pid());
    let mut more: Vec<Client> = (0..400).map(|_| server.connect()).collect();
    for client in &mut more {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    server.wait_counter("open", 420);
    let each = ajay_blackbox::resident_bytes(server.pid()).saturating_sub(before) / 400;
    assert!(each < 4096, "{each} bytes for an idle connection");
    let (cpu, started) = (cpu_time(server.pid()), Instant::now());
    std::thread::sleep(Duration::from_millis(1000));
    let used = cpu_time(server.pid()) - cpu;
    assert!(
        used * 8 < started.elapsed(),
        "{used:?} in a second of idling"
    );
}

#[test]
fn wrong_arguments_are_explained() {
    for (args, expected) in [
        (&["--head-timeout", "fast"][..], "`fast` is not a time"),
        (&["--head-bytes-max", "5x"][..], "`5x` is not a size"),
        (&["--threads", "0"][..], "0 is not in 1.."),
        (&["--no-such-flag"][..], "--no-such-flag"),
    ] {
        let output = run(Command::new(program!("blackbox-ajayserver")).args(args));
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(expected), "{stderr}");
    }
}

/// A refused client that does not close keeps its connection open for `linger_timeout`. When there are too
/// many of them, those go that have had the most time to see their answer, and nobody else.
#[test]
fn connections_that_linger_are_bounded() {
    let mut server = server(&["lingering_max=3", "linger_timeout=60000"]);
    let mut kept = server.connect();
    assert_eq!(kept.fetch("/hello").status, 200);
    let mut refused = Vec::new();
    for count in 1..=8_u64 {
        let mut client = server.connect();
        client.send("BAD\r\n\r\n");
        assert_eq!(client.response().status, 400);
        assert_eq!(client.end(), End::Fin);
        refused.push(client);
        server.wait_counter("linger_cut", count.saturating_sub(3));
        server.wait_counter("open", 1 + count.min(3));
    }
    // Who closes makes room.
    refused.truncate(6);
    server.wait_counter("open", 2);
    let mut clients = [server.connect_http2(), server.connect_http2()];
    for client in &mut clients {
        client.send_frame(kind::DATA, flag::NONE, 0, b"x");
        client.expect_goodbye(code::PROTOCOL_ERROR);
    }
    server.wait_counter("open", 4);
    assert_eq!(server.counter("linger_cut"), 5);
    assert_eq!(kept.fetch("/hello").status, 200);
}
