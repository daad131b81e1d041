//! Stopping: what has arrived is answered, nothing new is taken, and it ends in time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ajay_blackbox::{Address, Client, End, Server, program, wait_for};
use rustix::process::Signal;

fn server(settings: &[&str]) -> Server {
    Server::start(program!("testserver"), settings)
}

fn binary(args: &[&str]) -> Server {
    let args = [&["--listen", "127.0.0.1:0"], args].concat();
    let server = Server::start_program(program!("blackbox-ajayserver"), &args);
    // An answer means that its signal handlers are in place.
    assert_eq!(server.connect().fetch("/").text(), "OK");
    server
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn what_is_in_flight_is_answered_with_close() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = server(&["threads=2"]);
        let mut clients: Vec<Client> = (0..40).map(|_| server.connect()).collect();
        for client in &mut clients {
            assert_eq!(client.fetch("/hello").status, 200);
            client.get("/slow?ms=600", "");
        }
        let mut streaming = server.connect();
        streaming.get("/stream?n=10&pause=50", "");
        assert_eq!(streaming.head().expect("a head").status, 200);
        server.wait_counter("requests", 81);
        server.signal(signal);
        for client in &mut clients {
            let response = client.response();
            assert_eq!((response.text(), response.says_close()), ("slow\n", true));
            client.expect_fin();
        }
        // Its head was sent before; it ends well nevertheless.
        while streaming.receive() {}
        assert!(streaming.take_received().ends_with(b"0\r\n\r\n"));
        assert_eq!(streaming.end(), End::Fin);
        assert_eq!(server.wait().code, Some(0));
    }
}

#[test]
fn idle_connections_are_closed_after_a_grace() {
    let server = server(&["drain_idle_timeout=1500"]);
    let mut idle = server.connect();
    assert_eq!(idle.fetch("/hello").status, 200);
    let mut fresh = server.connect();
    let mut late = server.connect();
    assert_eq!(late.fetch("/hello").status, 200);
    let started = Instant::now();
    server.signal(Signal::TERM);
    // The signal has been understood when nobody is let in any more. In the grace a request is
    // still answered.
    wait_for("refusal", || Client::try_connect(server.address()).err());
    late.send(HELLO);
    assert!(late.response().says_close());
    late.expect_fin();
    idle.expect_fin();
    fresh.expect_fin();
    assert_eq!(server.wait().code, Some(0));
    assert!(started.elapsed() < Duration::from_secs(4));
}

/// What has begun to arrive may arrive to its end.
#[test]
fn requests_that_have_begun_are_finished() {
    let mut server = server(&["drain_idle_timeout=300"]);
    let mut uploading = server.connect();
    let upload = "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345";
    uploading.send(upload);
    server.wait_note("read begun");
    let mut asking = server.connect();
    let half_a_head = "GET /hello HTTP/1.1\r\nHo";
    asking.send(half_a_head);
    let sent = (upload.len() + half_a_head.len()) as u64;
    wait_for("both to be read", || {
        (server.counter("bytes_received") == sent).then_some(())
    });
    server.signal(Signal::TERM);
    wait_for("refusal", || Client::try_connect(server.address()).err());
    // Longer than an idle connection would be left.
    std::thread::sleep(Duration::from_millis(900));
    asking.send("st: a\r\n\r\n");
    uploading.send("67890");
    for (client, start) in [(&mut asking, "Hello"), (&mut uploading, "10 ")] {
        let response = client.response();
        assert!(response.text().starts_with(start) && response.says_close());
        client.expect_fin();
    }
    assert_eq!(server.wait().code, Some(0));
}

/// A pipeline ends in order: with a response that says so, and no reset.
#[test]
fn a_pipeline_ends_with_a_response_that_says_close() {
    let mut server = server(&[]);
    let mut client = server.connect();
    client.send(format!(
        "{HELLO}GET /slow?ms=500 HTTP/1.1\r\nHost: a\r\n\r\n{}",
        HELLO.repeat(10)
    ));
    server.wait_note("slow begun");
    server.signal(Signal::TERM);
    assert!(!client.response().says_close());
    let mut last = client.response();
    assert_eq!(last.text(), "slow\n");
    while !last.says_close() {
        last = client.response();
    }
    client.expect_fin();
    drop(client);
    assert_eq!(server.wait().code, Some(0));
}

#[test]
fn new_connections_are_refused() {
    let mut server = server(&[]);
    let mut busy = server.connect();
    busy.get("/slow?ms=800", "");
    server.wait_counter("requests", 1);
    server.signal(Signal::TERM);
    let address = server.address().clone();
    let refused = wait_for("refusal", || Client::try_connect(&address).err());
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(busy.response().text(), "slow\n");
    assert_eq!(server.wait().code, Some(0));
}

#[test]
fn the_handle_drains_too() {
    let mut server = server(&[]);
    let mut client = server.connect();
    client.get("/slow?ms=200", "");
    server.wait_counter("requests", 1);
    assert_eq!(server.command("shutdown"), "ok");
    let response = client.response();
    assert_eq!((response.text(), response.says_close()), ("slow\n", true));
    assert_eq!(server.wait().code, Some(0));
}

#[test]
fn the_handle_stops_by_force() {
    let mut server = server(&[]);
    let mut client = server.connect();
    client.get("/never", "");
    server.wait_note("never begun");
    assert_eq!(server.command("stop"), "ok");
    assert_eq!(client.end(), End::Reset);
    assert_eq!(server.wait().code, Some(4));
}

#[test]
fn a_drain_that_takes_too_long_is_cut() {
    let mut server = server(&["drain_timeout=700"]);
    let mut client = server.connect();
    client.get("/never", "");
    server.wait_note("never begun");
    let started = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(client.end(), End::Reset);
    let exit = server.wait();
    assert_eq!(exit.code, Some(4), "{}", exit.stderr);
    let taken = started.elapsed();
    assert!(taken > Duration::from_millis(680), "{taken:?}");
    assert!(taken < Duration::from_millis(2200), "{taken:?}");
}

/// A client that does not close what we have closed neither delays the end for long nor counts as
/// cut: it has its answer.
#[test]
fn clients_that_do_not_close_are_not_waited_for() {
    let mut server = server(&["linger_timeout=30000", "drain_timeout=30000"]);
    let mut before = server.connect();
    assert!(before.fetch("/close").says_close());
    before.expect_fin();
    let mut busy = server.connect();
    busy.get("/slow?ms=300", "");
    server.wait_counter("requests", 2);
    let started = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(busy.response().text(), "slow\n");
    busy.expect_fin();
    assert_eq!(server.wait().code, Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));

    let mut server = Server::start(
        program!("testserver"),
        &[
            "linger_timeout=30000",
            "drain_idle_timeout=30000",
            "drain_timeout=500",
        ],
    );
    let mut client = server.connect();
    assert!(client.fetch("/close").says_close());
    client.expect_fin();
    assert_eq!(server.command("shutdown"), "ok");
    assert_eq!(server.wait().code, Some(0), "nothing was cut");
    assert_eq!(client.end(), End::Fin);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = server(&["drain_timeout=30000"]);
    let mut client = server.connect();
    client.get("/never", "");
    server.wait_note("never begun");
    server.signal(Signal::TERM);
    // The first one has been understood when nobody is let in any more.
    let address = server.address().clone();
    wait_for("refusal", || Client::try_connect(&address).err());
    server.signal(Signal::INT);
    assert_eq!(client.end(), End::Reset);
    assert_eq!(server.wait().code, Some(4));
}

#[test]
fn the_binary_exits_with_0_after_a_drain() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = binary(&[]);
        let mut idle = server.connect();
        assert_eq!(idle.fetch("/").status, 200);
        server.signal(signal);
        idle.expect_fin();
        let exit = server.wait();
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    }
}

#[test]
fn the_binary_exits_with_4_when_it_had_to_cut() {
    let server = binary(&["--drain-timeout", "500ms", "--head-timeout", "off"]);
    let mut client = server.connect();
    client.send("GET / HT");
    // Certainly read.
    assert_eq!(server.connect().fetch("/").status, 200);
    server.signal(Signal::TERM);
    assert_eq!(client.end(), End::Reset);
    let exit = server.wait();
    assert_eq!(exit.code, Some(4));
    let last = exit.stderr.lines().last().unwrap_or_default();
    assert_eq!(
        last,
        "ajayserver: 1 connections were cut at the end of the drain"
    );
}

/// Every request that was written before the signal is answered: on connections that were idle,
/// and on such that the server has not accepted yet.
#[test]
fn requests_written_before_the_signal_are_all_answered() {
    for round in 0..20 {
        let server = Server::start(program!("testserver"), &["threads=2"]);
        let mut clients: Vec<Client> = (0..60).map(|_| server.connect()).collect();
        for client in &mut clients {
            if round % 2 == 0 {
                assert_eq!(client.fetch("/hello").status, 200);
            }
        }
        let fresh = (0..60).map(|_| server.connect());
        clients.extend(fresh);
        for client in &mut clients {
            client.send(HELLO);
        }
        server.signal(Signal::TERM);
        for (number, client) in clients.iter_mut().enumerate() {
            let response = client.try_response_to("GET");
            let response = response
                .unwrap_or_else(|error| panic!("round {round}, connection {number}: {error}"));
            assert_eq!(response.status, 200);
        }
        drop(clients);
        assert_eq!(server.wait().code, Some(0));
    }
}

/// Under load each connection ends between two responses, never inside one.
#[test]
fn a_drain_under_load_breaks_no_response() {
    for _ in 0..5 {
        let server = Server::start(program!("testserver"), &["threads=2"]);
        let Address::Tcp(address) = *server.address() else {
            unreachable!("it is a TCP server");
        };
        let (started, running) = std::sync::mpsc::channel();
        let threads: Vec<_> = (0..16)
            .map(|_| {
                let started = started.clone();
                std::thread::spawn(move || load(address, &started))
            })
            .collect();
        for _ in &threads {
            assert!(running.recv().is_ok());
        }
        server.signal(Signal::TERM);
        for thread in threads {
            match thread.join() {
                Ok(Ok(())) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(server.wait().code, Some(0));
    }
}

/// Asks for ever until a response says close; each must be whole, and the last one says so.
fn load(
    address: std::net::SocketAddr,
    started: &std::sync::mpsc::Sender<()>,
) -> Result<(), String> {
    let mut socket = TcpStream::connect(address).map_err(|error| error.to_string())?;
    let mut client = socket
        .try_clone()
        .and_then(Client::over)
        .map_err(|error| error.to_string())?;
    for number in 0.. {
        socket
            .write_all(HELLO.as_bytes())
            .map_err(|error| format!("request {number}: {error}"))?;
        let response = client.try_response_to("GET")?;
        if number == 3 {
            let _ = started.send(());
        }
        if response.says_close() {
            break;
        }
    }
    match socket.read(&mut [0]) {
        Ok(0) => Ok(()),
        other => Err(format!("after the last response: {other:?}")),
    }
}

/// Whoever connects during a drain is answered or refused, and never reset: nothing is lost
/// between the last connection that is accepted and the end of the listener.
#[test]
fn who_connects_during_a_drain_is_answered_or_refused() {
    let name = format!("ajay-blackbox-drain-{}", std::process::id());
    let unix = format!("listen=unix:{}", std::env::temp_dir().join(name).display());
    for listen in [&["threads=2"][..], &["threads=2", &unix]] {
        for _ in 0..5 {
            let server = Server::start(program!("testserver"), listen);
            let (started, running) = std::sync::mpsc::channel();
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let (address, started) = (server.address().clone(), started.clone());
                    std::thread::spawn(move || connect_again_and_again(&address, &started))
                })
                .collect();
            for _ in &threads {
                assert!(running.recv().is_ok());
            }
            server.signal(Signal::TERM);
            for thread in threads {
                match thread.join() {
                    Ok(Ok(())) => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(server.wait().code, Some(0));
        }
    }
}

/// Who waits in the queue of a listener because the server has as many connections as it may is let
/// in when there is room, also during a drain, and not reset with the listener.
#[test]
fn who_waits_for_room_when_a_drain_begins_is_answered() {
    let server = server(&["connections_max=2", "drain_idle_timeout=600"]);
    let mut inside: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    for client in &mut inside {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    let mut waiting: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(HELLO);
    }
    server.signal(Signal::TERM);
    for client in inside.iter_mut() {
        client.expect_fin();
    }
    drop(inside);
    for client in &mut waiting {
        let response = client.response();
        assert_eq!((response.status, response.says_close()), (200, true));
        client.expect_fin();
    }
    drop(waiting);
    assert_eq!(server.wait().code, Some(0));
}

/// A new connection for every request, until one is refused.
fn connect_again_and_again(
    address: &Address,
    started: &std::sync::mpsc::Sender<()>,
) -> Result<(), String> {
    for number in 0.. {
        let mut client = match Client::try_connect(address) {
            Ok(client) => client,
            Err(error) if number > 0 => {
                return match error.kind() {
                    // The file of a Unix socket is removed at the end.
                    ErrorKind::ConnectionRefused | ErrorKind::NotFound => Ok(()),
                    _ => Err(format!("connection {number}: {error}")),
                };
            }
            Err(error) => return Err(error.to_string()),
        };
        client.send(HELLO);
        client
            .try_response_to("GET")
            .map_err(|error| format!("connection {number}: {error}"))?;
        if number == 3 {
            let _ = started.send(());
        }
    }
    Ok(())
}
