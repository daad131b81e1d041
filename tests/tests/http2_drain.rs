//! Stopping with connections of HTTP/2: what has arrived is answered, clients are told in time not to begin
//! anything new, and nothing is cut that can be finished.

use std::time::{Duration, Instant};

use ajay_blackbox::http2::{GoAway, Http2, STREAM_MAX, code};
use ajay_blackbox::{Address, End, Server, program, wait_for};
use rustix::process::Signal;

fn server(settings: &[&str]) -> Server {
    Server::start(program!("testserver"), settings)
}

/// The first GOAWAY asks for no more streams, and says nothing yet about those under way.
const ANNOUNCED: GoAway = GoAway {
    last: STREAM_MAX,
    code: code::NO_ERROR,
};

fn last(last: u32) -> GoAway {
    GoAway {
        last,
        code: code::NO_ERROR,
    }
}

#[test]
fn what_is_under_way_is_answered() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = server(&["threads=2"]);
        let mut clients: Vec<Http2> = (0..10).map(|_| server.connect_http2()).collect();
        let mut asked = Vec::new();
        for client in &mut clients {
            let slow: Vec<u32> = (0..10).map(|_| client.get("/slow?ms=700")).collect();
            asked.push((slow, client.get("/stream?n=10&pause=80")));
        }
        server.wait_counter("requests", 110);
        server.signal(signal);
        for (client, (slow, streaming)) in clients.iter_mut().zip(asked) {
            assert_eq!(client.goaway(), ANNOUNCED);
            assert_eq!(client.goaway(), last(streaming));
            assert!(!client.so_far(streaming).is_complete, "told before the end");
            for stream in slow {
                assert_eq!(client.response(stream).text(), "slow\n");
            }
            assert_eq!(client.response(streaming).body.len(), 10);
            assert_eq!(client.end(), End::Fin);
        }
        drop(clients);
        assert_eq!(server.wait().code, Some(0));
    }
}

/// A request that crosses with the first GOAWAY is answered; one that comes after the second is not.
#[test]
fn requests_that_cross_with_the_announcement_are_answered() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    let slow = client.get("/slow?ms=900");
    server.wait_note("slow begun");
    server.signal(Signal::TERM);
    assert_eq!(client.goaway(), ANNOUNCED);
    let crossing = client.get("/hello");
    assert_eq!(client.response(crossing).text(), "Hello, world!\n");
    assert_eq!(client.goaway(), last(crossing));
    let late = client.get("/hello");
    assert_eq!(client.response(slow).text(), "slow\n");
    assert_eq!(client.end(), End::Fin);
    assert_eq!(
        client.so_far(late).status,
        0,
        "the client may ask elsewhere"
    );
    drop(client);
    assert_eq!(server.wait().code, Some(0));
}

#[test]
fn uploads_that_have_begun_are_finished() {
    let mut server = server(&["drain_idle_timeout=300"]);
    let mut client = server.connect_http2();
    let stream = client.request("POST", "/read", &[("content-length", "10")], false);
    client.data(stream, b"12345", false);
    server.wait_note("read begun");
    server.signal(Signal::TERM);
    assert_eq!(client.goaway(), ANNOUNCED);
    assert_eq!(client.goaway(), last(stream));
    // Longer than an idle connection would be left.
    std::thread::sleep(Duration::from_millis(900));
    client.data(stream, b"67890", true);
    assert!(client.response(stream).text().starts_with("10 "));
    assert_eq!(client.end(), End::Fin);
    drop(client);
    assert_eq!(server.wait().code, Some(0));
}

#[test]
fn idle_connections_are_told_and_closed() {
    let server = server(&[]);
    let mut used = server.connect_http2();
    assert_eq!(used.fetch("/hello").status, 200);
    let mut fresh = server.connect_http2();
    fresh.ping();
    let mut silent = server.connect();
    let started = Instant::now();
    server.signal(Signal::TERM);
    for (client, stream) in [(&mut used, 1), (&mut fresh, 0)] {
        assert_eq!(client.goaway(), ANNOUNCED);
        assert_eq!(client.goaway(), last(stream));
        assert_eq!(client.end(), End::Fin);
    }
    // This one might have become anything.
    silent.expect_fin();
    drop((used, fresh, silent));
    assert_eq!(server.wait().code, Some(0));
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn clients_that_do_not_close_are_not_waited_for() {
    let mut server = server(&["linger_timeout=30000", "drain_timeout=30000"]);
    let mut client = server.connect_http2();
    let stream = client.get("/slow?ms=300");
    server.wait_counter("requests", 1);
    let started = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(client.response(stream).text(), "slow\n");
    assert_eq!(client.end(), End::Fin);
    assert_eq!(server.wait().code, Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));
    drop(client);
}

#[test]
fn a_drain_that_takes_too_long_is_cut() {
    let mut server = server(&["drain_timeout=1000"]);
    let mut client = server.connect_http2();
    client.get("/never");
    server.wait_note("never begun");
    let started = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(client.goaway(), ANNOUNCED);
    assert_eq!(client.end(), End::Reset);
    assert_eq!(server.wait().code, Some(4));
    let taken = started.elapsed();
    assert!(
        taken > Duration::from_millis(980) && taken < Duration::from_millis(3000),
        "{taken:?}"
    );
}

#[test]
fn the_handle_stops_by_force() {
    let mut server = server(&[]);
    let mut client = server.connect_http2();
    client.get("/never");
    server.wait_note("never begun");
    assert_eq!(server.command("stop"), "ok");
    assert_eq!(server.wait().code, Some(4));
    assert_eq!(client.end(), End::Reset);
}

/// Every request that was written before the signal is answered: on connections that were idle, and on such
/// that the server has not accepted yet.
#[test]
fn requests_written_before_the_signal_are_all_answered() {
    for round in 0..20 {
        let server = server(&["threads=2"]);
        let mut clients: Vec<Http2> = (0..30).map(|_| server.connect_http2()).collect();
        for client in &mut clients {
            if round % 2 == 0 {
                assert_eq!(client.fetch("/hello").status, 200);
            }
        }
        clients.extend((0..30).map(|_| server.connect_http2()));
        let asked: Vec<Vec<u32>> = clients
            .iter_mut()
            .map(|client| (0..5).map(|_| client.get("/hello")).collect())
            .collect();
        server.signal(Signal::TERM);
        for (number, (client, streams)) in clients.iter_mut().zip(asked).enumerate() {
            for stream in streams {
                let answer = client.try_response(stream);
                let answer = answer
                    .unwrap_or_else(|error| panic!("round {round}, connection {number}: {error}"));
                assert_eq!(answer.status, 200);
            }
        }
        drop(clients);
        assert_eq!(server.wait().code, Some(0));
    }
}

/// Under load: whatever the last GOAWAY admits is answered, and nothing is reset.
#[test]
fn a_drain_under_load_loses_nothing() {
    for _ in 0..5 {
        let server = server(&["threads=2"]);
        let (started, running) = std::sync::mpsc::channel();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (address, started) = (server.address().clone(), started.clone());
                std::thread::spawn(move || load(&address, &started))
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

/// Asks ten at a time until the server says goodbye, and then waits for the rest.
fn load(address: &Address, started: &std::sync::mpsc::Sender<()>) -> Result<(), String> {
    let mut client = Http2::connect(address);
    for round in 0.. {
        let streams: Vec<u32> = (0..10).map(|_| client.get("/hello")).collect();
        for stream in streams {
            if let Err(problem) = client.try_response(stream) {
                let last = client.goaways().last().map(|goaway| goaway.last);
                return match last {
                    // The client may ask elsewhere.
                    Some(last) if stream > last => Ok(()),
                    _ => Err(format!("stream {stream}: {problem}")),
                };
            }
        }
        if round == 3 {
            let _ = started.send(());
        }
        if !client.goaways().is_empty() {
            break;
        }
    }
    match client.end() {
        End::Fin => Ok(()),
        End::Reset => Err("reset after the last response".to_owned()),
    }
}

#[test]
fn new_connections_are_refused() {
    let mut server = server(&[]);
    let mut busy = server.connect_http2();
    let stream = busy.get("/slow?ms=800");
    server.wait_counter("requests", 1);
    server.signal(Signal::TERM);
    let address = server.address().clone();
    wait_for("refusal", || {
        ajay_blackbox::Client::try_connect(&address).err()
    });
    assert_eq!(busy.response(stream).text(), "slow\n");
    drop(busy);
    assert_eq!(server.wait().code, Some(0));
}
