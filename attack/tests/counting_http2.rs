//! The counting client over HTTP/2, against nghttpd and against a server of each fault.

mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ajay_attack::counting::{self, Control, Phase, Place, Plan, Running, Totals};
use ajay_attack::{Loopback, Protocol};
use support::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, Nghttpd, OK, PING, Request,
    SETTINGS, UNAVAILABLE, answer_of, frame,
};
use support::{PATIENCE, Server, wait_for};

const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const NO_ERROR: u32 = 0;
const CALM: u32 = 0xb;

fn plan(address: Loopback) -> Plan {
    Plan {
        protocol: Protocol::Http2,
        echo: true,
        connections: 2,
        pipeline: 4,
        duration: PATIENCE,
        grace: Duration::from_millis(300),
        ..Plan::new(address)
    }
}

fn finish(running: Running) -> Totals {
    let totals = running.join().unwrap();
    check_sum(&totals);
    totals
}

fn check_sum(totals: &Totals) {
    for phase in [totals.before, totals.after] {
        let known = phase.answered
            + phase.mismatched
            + phase.other_status
            + phase.lost_after_written
            + phase.refused;
        assert_eq!(phase.written, known, "{totals}");
    }
    assert_eq!(totals.latency.count(), totals.all().answered);
}

/// A server that does with each request what `answer` says, until that is false.
struct Counted {
    server: Server,
    requests: Arc<AtomicU64>,
}

fn serve(answer: impl Fn(&mut Http2, Request) -> bool + Send + Sync + 'static) -> Counted {
    let requests = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&requests);
    let server = Server::start(move |client| {
        let mut connection = Http2::new(client);
        while let Some(request) = connection.request() {
            let goes_on = answer(&mut connection, request);
            counter.fetch_add(1, Ordering::SeqCst);
            if !goes_on {
                return;
            }
        }
    });
    Counted { server, requests }
}

impl Counted {
    fn plan(&self) -> Plan {
        plan(self.server.address)
    }

    /// Asks until so many requests were served.
    fn run(&self, plan: &Plan, requests: u64) -> Totals {
        let running = counting::start(plan).unwrap();
        wait_for(|| self.requests.load(Ordering::SeqCst) >= requests);
        running.stop();
        finish(running)
    }
}

fn one_connection(plan: Plan) -> Plan {
    Plan {
        connections: 1,
        ..plan
    }
}

/// All numbers come back as content from nghttpd, however many streams there are at once.
#[test]
fn nghttpd_answers_every_request() {
    let server = Nghttpd::start(&["--echo-upload"]);
    for (pipeline, every) in [(1, None), (16, None), (256, None), (8, Some(20))] {
        let plan = Plan {
            place: Place::Content,
            pipeline,
            new_connection_every: every,
            duration: Duration::from_millis(500),
            grace: PATIENCE,
            ..plan(server.address)
        };
        let totals = finish(counting::start(&plan).unwrap());
        let all = totals.all();
        assert!(all.written > 50, "{totals}");
        // The first requests went out before nghttpd had said that it takes 100 streams at once.
        assert_eq!(all.answered, all.written, "{totals}");
        assert_eq!((totals.lost(), totals.mismatches()), (0, 0));
        match every {
            None => assert_eq!(totals.connections, 2),
            Some(every) => {
                assert!(totals.connections >= all.written / u64::from(every));
            }
        }
    }
}

#[test]
fn nghttpd_knows_no_such_file() {
    let server = Nghttpd::start(&[]);
    let plan = Plan {
        echo: false,
        duration: Duration::from_millis(300),
        ..plan(server.address)
    };
    let totals = finish(counting::start(&plan).unwrap());
    assert!(totals.all().written > 10);
    assert_eq!(totals.statuses[&404], totals.all().written);
    // And it knows this one, with more content than a frame or the first window holds.
    let plan = Plan {
        path: "/large".to_owned(),
        place: Place::Field,
        ..plan
    };
    let totals = finish(counting::start(&plan).unwrap());
    assert!(totals.all().written > 2);
    assert_eq!(totals.all().answered, totals.all().written, "{totals}");
}

/// With 2 streams allowed, further ones are held back, not refused.
#[test]
fn the_limit_of_nghttpd_is_kept() {
    let server = Nghttpd::start(&["--max-concurrent-streams=2"]);
    let plan = Plan {
        echo: false,
        path: "/".to_owned(),
        place: Place::Field,
        pipeline: 16,
        duration: Duration::from_millis(300),
        ..plan(server.address)
    };
    let totals = finish(counting::start(&plan).unwrap());
    let all = totals.all();
    assert!(all.answered > 50, "{totals}");
    // Only what went out before the limit was known, once on each connection.
    assert!(all.refused <= 2 * 16, "{totals}");
    assert_eq!(totals.lost(), 0, "{totals}");
}

/// Killed under load: what was in flight is lost, at most as many as there are streams.
#[test]
fn nghttpd_is_killed() {
    let mut server = Nghttpd::start(&["--echo-upload"]);
    let plan = Plan {
        place: Place::Content,
        ..plan(server.address)
    };
    let running = counting::start(&plan).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server.kill();
    std::thread::sleep(Duration::from_millis(50));
    running.stop();
    let totals = finish(running);
    assert!(totals.all().answered > 10);
    // One connection more than two may have been in the queue of the listener.
    let at_once = 4 * totals.connections;
    assert!((1..=at_once).contains(&totals.lost()), "{totals}");
    assert_eq!(totals.mismatches(), 0);
    assert!(totals.connect_refused > 0);
}

/// Answers in another order, in pieces, with frames between them that say nothing.
#[test]
fn answers_may_come_in_any_order_and_form() {
    let server = Server::start(|client| {
        let mut connection = Http2::new(client);
        while let (Some(one), Some(two)) = (connection.request(), connection.request()) {
            connection.send(&frame(PING, 0, 0, b"01234567"));
            connection.send(&frame(0xee, 0, 0, b"extension"));
            connection.send(&frame(HEADERS, 0, two.stream, b"\x20"));
            connection.send(&frame(CONTINUATION, END_HEADERS, two.stream, OK));
            connection.right(one);
            let content = format!("{:012}", two.number);
            for digit in content.as_bytes().chunks(5) {
                connection.send(&frame(DATA, 0, two.stream, digit));
            }
            let trailers = frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                two.stream,
                b"\x00\x01a\x01b",
            );
            connection.send(&trailers);
        }
    });
    let plan = Plan {
        pipeline: 2,
        rate: Some(200),
        duration: Duration::from_millis(400),
        grace: Duration::from_millis(300),
        ..plan(server.address)
    };
    let totals = finish(counting::start(&plan).unwrap());
    let all = totals.all();
    assert!(all.answered > 10, "{totals}");
    assert_eq!((all.mismatched, totals.unexpected), (0, 0), "{totals}");
    // The server waits for a second one.
    assert!(totals.unanswered <= 2);
}

#[test]
fn mixed_up_answers() {
    let server = serve(|connection, request| {
        let wrong = u64::from(request.number == 7);
        connection.answer(request.stream, request.number + wrong);
        true
    });
    let totals = server.run(&server.plan(), 30);
    assert_eq!(totals.mismatches(), 1);
    assert_eq!(totals.all().answered, totals.all().written - 1);
    let example = &totals.examples[0];
    assert_eq!(example, "request 000000000007 got number 000000000008.");
}

#[test]
fn answers_that_nobody_asked_for() {
    for (stray, mismatched, unexpected) in [
        // The same again; its two frames count.
        (None, 0, 2),
        (Some(answer_of(99, b"more")), 0, 2),
        // On the stream itself.
        (
            Some(frame(HEADERS, END_HEADERS, 1, b"\x00\x01a\x01b")),
            1,
            0,
        ),
        (Some(frame(DATA, 0, 1, b"no head")), 1, 0),
        // What is no frame of a server.
        (Some(frame(5, END_HEADERS, 1, b"\0\0\0\x02")), 0, 1),
        (Some(frame(DATA, 0, 1, &[0; 16_385])), 0, 1),
    ] {
        let server = serve(move |connection, request| {
            if request.number == 1 {
                match &stray {
                    None => connection.right(request),
                    Some(stray) => connection.send(stray),
                }
            }
            connection.right(request);
            true
        });
        let plan = Plan {
            pipeline: 1,
            ..one_connection(server.plan())
        };
        let totals = server.run(&plan, 3);
        assert_eq!(totals.unexpected, unexpected, "{totals}");
        assert_eq!(totals.all().mismatched, mismatched, "{totals}");
    }
}

#[test]
fn other_statuses_are_neither_right_nor_lost() {
    let server = serve(|connection, request| {
        if request.number.is_multiple_of(2) {
            let flags = END_HEADERS | END_STREAM;
            connection.send(&frame(HEADERS, flags, request.stream, UNAVAILABLE));
        } else {
            connection.right(request);
        }
        true
    });
    let totals = server.run(&server.plan(), 30);
    let all = totals.all();
    assert_eq!(all.other_status, totals.statuses[&503]);
    assert!(all.other_status > 0 && all.answered > 0);
    assert_eq!((totals.lost(), totals.mismatches()), (0, 0));
}

/// REFUSED_STREAM is no loss, any other code is; the connection goes on.
#[test]
fn streams_that_are_reset() {
    for (code, name) in [(REFUSED_STREAM, "REFUSED_STREAM"), (CANCEL, "CANCEL")] {
        let server = serve(move |connection, request| {
            if request.number.is_multiple_of(5) {
                connection.reset_stream(request.stream, code);
            } else {
                connection.right(request);
                // Says only that the rest of the request is of no interest.
                connection.reset_stream(request.stream, NO_ERROR);
            }
            true
        });
        let totals = server.run(&server.plan(), 40);
        let fifth = totals.all().written / 5;
        let (refused, lost) = match code {
            REFUSED_STREAM => (fifth, 0),
            _ => (0, fifth),
        };
        assert!(fifth > 0);
        assert_eq!((totals.all().refused, totals.lost()), (refused, lost));
        assert_eq!(totals.lost_by_stream_reset, lost);
        assert_eq!(totals.stream_resets[name], fifth);
        assert_eq!(totals.connections, 2);
        assert_eq!(totals.mismatches(), 0);
    }
}

/// The server processes one of two requests, and says so: the other may be sent again.
#[test]
fn goaway_refuses_what_is_above_the_last_stream() {
    for code in [NO_ERROR, CALM] {
        let server = Server::start(move |client| {
            let mut connection = Http2::new(client);
            let (Some(one), Some(_)) = (connection.request(), connection.request()) else {
                return;
            };
            connection.go_away(one.stream, code);
            connection.right(one);
            connection.client.wait_until_over();
        });
        let plan = Plan {
            pipeline: 2,
            rate: Some(100),
            duration: Duration::from_millis(400),
            ..one_connection(plan(server.address))
        };
        let totals = finish(counting::start(&plan).unwrap());
        let all = totals.all();
        assert!(all.answered > 3, "{totals}");
        // The last connection may have seen one request only.
        let on_last = all.written % 2;
        assert_eq!(
            (all.answered, all.refused),
            (all.written / 2, all.written / 2)
        );
        assert_eq!(totals.unanswered, on_last, "{totals}");
        assert_eq!(totals.goaways.values().sum::<u64>(), all.answered);
        // Replaced without waiting for the server to close.
        assert!(totals.connections >= all.answered);
        assert_eq!((totals.lost_by_fin, totals.lost_by_reset), (0, 0));
    }
}

/// First the warning of a server that drains, then the word; everything in flight is answered.
#[test]
fn a_graceful_goaway_loses_nothing() {
    let server = serve(|connection, request| {
        if request.number.is_multiple_of(10) {
            connection.go_away(u32::MAX >> 1, NO_ERROR);
        }
        connection.right(request);
        true
    });
    let totals = server.run(&server.plan(), 100);
    let all = totals.all();
    assert_eq!(all.answered, all.written, "{totals}");
    assert!(totals.connections > 5, "{totals}");
    assert!(totals.goaways["NO_ERROR"] > 5, "{totals}");
}

#[test]
fn lost_with_fin_or_reset() {
    for reset in [false, true] {
        let server = Server::start(move |client| {
            let mut connection = Http2::new(client);
            while let Some(request) = connection.request() {
                if request.number % 5 == 0 {
                    if reset {
                        connection.client.reset();
                    }
                    return;
                }
                connection.right(request);
            }
        });
        let plan = Plan {
            pipeline: 1,
            rate: Some(200),
            duration: Duration::from_millis(300),
            ..one_connection(plan(server.address))
        };
        let totals = finish(counting::start(&plan).unwrap());
        let lost = totals.all().written / 5;
        assert!(lost > 0);
        assert_eq!(totals.all().lost_after_written, lost, "{totals}");
        // The client may notice by a write that fails.
        assert_eq!(totals.lost_by_fin + totals.lost_by_reset, lost);
        assert_eq!(totals.mismatches(), 0);
    }
}

/// A server that ends in the midst of an answer.
#[test]
fn an_answer_that_is_cut_off_is_lost() {
    let server = serve(|connection, request| {
        let whole = answer_of(request.stream, b"000000000001");
        connection.send(&whole[..whole.len() - 3]);
        false
    });
    let plan = Plan {
        rate: Some(100),
        pipeline: 1,
        ..one_connection(server.plan())
    };
    let totals = server.run(&plan, 4);
    assert!(totals.all().written >= 4);
    assert_eq!(totals.all().lost_after_written, totals.all().written);
    assert_eq!(totals.mismatches(), 0);
}

/// No request is begun where the server says that there is no room, and none is forgotten.
#[test]
fn a_limit_that_is_lifted() {
    let limit = |streams: u32| {
        let payload = [&[0, 3], &streams.to_be_bytes()[..]].concat();
        frame(SETTINGS, 0, 0, &payload)
    };
    let server = serve(move |connection, request| {
        if request.number == 5 {
            connection.send(&limit(0));
            connection.right(request);
            std::thread::sleep(Duration::from_millis(50));
            connection.send(&limit(100));
        } else {
            connection.right(request);
        }
        true
    });
    let totals = server.run(&one_connection(server.plan()), 50);
    assert_eq!(totals.all().answered, totals.all().written);
    assert!(totals.longest_gap >= Duration::from_millis(25), "{totals}");
}

/// The server sets the mark when it has the sixth request, and refuses the eighth.
#[test]
fn the_mark_divides_requests() {
    let control: Arc<OnceLock<Control>> = Arc::default();
    let told = Arc::clone(&control);
    let server = serve(move |connection, request| {
        if request.number == 6 {
            // The client has written it, and may not have noticed yet.
            std::thread::sleep(Duration::from_millis(50));
            told.wait().mark();
        }
        if request.number == 8 {
            connection.reset_stream(request.stream, REFUSED_STREAM);
        } else {
            connection.right(request);
        }
        true
    });
    let running = counting::start(&Plan {
        pipeline: 1,
        ..one_connection(server.plan())
    })
    .unwrap();
    assert!(control.set(running.control()).is_ok());
    wait_for(|| server.requests.load(Ordering::SeqCst) >= 12);
    running.stop();
    let totals = finish(running);
    let before = Phase {
        written: 6,
        answered: 6,
        ..Phase::default()
    };
    assert_eq!(totals.before, before);
    assert_eq!(totals.after.refused, 1);
    assert!(totals.after.answered > 0);
}

#[test]
fn the_program_speaks_it() {
    let server = Nghttpd::start(&["--echo-upload"]);
    let output = Command::new(env!("CARGO_BIN_EXE_counting-client"))
        .args(["--protocol", "h2", "--in", "content", "--echo", "--strict"])
        .args(["--seconds", "1", "--connections", "2", "--pipeline", "4"])
        .args(["--json", "--address", &server.address.get().to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.starts_with(r#"{"written":"#) && text.lines().count() == 1);
    assert!(text.contains(r#""refused":0,"#), "{text}");
}
