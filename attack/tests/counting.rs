//! The counting client against servers that are right, and against one of each fault.

mod support;

use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use ajay_attack::Loopback;
use ajay_attack::counting::{self, Control, Phase, Place, Plan, Running, Totals};
use support::{Client, PATIENCE, Recorder, Server};

fn plan(server: &Server) -> Plan {
    Plan {
        echo: true,
        connections: 3,
        duration: PATIENCE,
        grace: Duration::from_millis(300),
        ..Plan::new(server.address)
    }
}

/// Asks until the server has read that often.
fn run(plan: &Plan, server: &Server, reads: u64) -> Totals {
    let running = counting::start(plan).unwrap();
    server.wait_for_reads(reads);
    running.stop();
    finish(running)
}

fn finish(running: Running) -> Totals {
    let totals = running.join().unwrap();
    check_sum(&totals);
    totals
}

fn check_sum(totals: &Totals) {
    for phase in [totals.before, totals.after] {
        assert_eq!(
            phase.written,
            phase.answered + phase.mismatched + phase.other_status + phase.lost_after_written
        );
    }
    assert!(totals.lost_by_fin + totals.lost_by_reset + totals.unanswered <= totals.lost());
    assert_eq!(totals.latency.count(), totals.all().answered);
}

/// Answers each request as `answer` says, until that is false.
fn serve(answer: impl Fn(&mut Client, u64) -> bool + Send + Sync + 'static) -> Server {
    Server::start(move |mut client| {
        while let Some(number) = client.request() {
            if !answer(&mut client, number) {
                return;
            }
        }
    })
}

fn right(client: &mut Client, number: u64) {
    client.answer(&format!("number {number:012}."));
}

/// True once.
fn first(done: &AtomicU64) -> bool {
    done.fetch_add(1, Ordering::SeqCst) == 0
}

#[test]
fn a_right_server_has_every_request_answered() {
    for pipeline in [1, 16] {
        let answered = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&answered);
        let server = serve(move |client, number| {
            count.fetch_add(1, Ordering::SeqCst);
            right(client, number);
            true
        });
        let totals = run(
            &Plan {
                pipeline,
                ..plan(&server)
            },
            &server,
            60,
        );
        let all = totals.all();
        assert!(all.written >= 60);
        assert_eq!(all.answered, all.written);
        assert_eq!(all.answered, answered.load(Ordering::SeqCst));
        assert_eq!((totals.lost(), totals.mismatches()), (0, 0));
        assert_eq!((totals.connections, totals.connect_refused), (3, 0));
        assert_eq!(totals.after, Phase::default());
    }
}

#[test]
fn connections_are_replaced_and_the_rate_is_kept() {
    let server = serve(|client, number| {
        right(client, number);
        true
    });
    let started = Instant::now();
    let totals = run(
        &Plan {
            new_connection_every: Some(5),
            rate: Some(200),
            connections: 1,
            sources: 4,
            ..plan(&server)
        },
        &server,
        20,
    );
    let written = totals.all().written;
    let allowed = started.elapsed().as_millis() as u64 / 5 + 1;
    assert!((20..=allowed).contains(&written), "{written}");
    assert_eq!(totals.all().answered, written);
    let needed = written.div_ceil(5);
    assert!((needed..=needed + 1).contains(&totals.connections));
}

#[test]
fn the_number_can_be_in_a_field_or_in_content() {
    for (place, expected) in [
        (
            Place::Field,
            "GET /a HTTP/1.1\r\nHost: HOST\r\nNumber: 000000000001\r\n\r\n",
        ),
        (
            Place::Content,
            "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 12\r\n\r\n000000000001",
        ),
        (
            Place::Target,
            "GET /a/n/000000000001 HTTP/1.1\r\nHost: HOST\r\n\r\n",
        ),
    ] {
        let recorder = Recorder::start(b"");
        let running = counting::start(&Plan {
            place,
            path: "/a".to_owned(),
            connections: 1,
            duration: PATIENCE,
            grace: Duration::from_millis(100),
            ..Plan::new(recorder.address)
        })
        .unwrap();
        recorder.wait_for_reads(1);
        running.stop();
        let totals = finish(running);
        let host = recorder.address.get().to_string();
        let sent = recorder.recorded()[0].text();
        assert_eq!(sent, expected.replace("HOST", &host));
        // Nobody answered.
        assert_eq!(
            (totals.lost(), totals.unanswered, totals.lost_by_fin),
            (1, 1, 0)
        );
        assert!(totals.longest_wait >= Duration::from_millis(100));
        assert!(totals.longest_gap >= Duration::from_millis(100));
    }
}

#[test]
fn mismatch() {
    let server = serve(|client, number| {
        let wrong = u64::from(number == 7);
        right(client, number + wrong);
        true
    });
    let totals = run(&plan(&server), &server, 30);
    assert_eq!(totals.mismatches(), 1);
    assert_eq!(totals.all().answered, totals.all().written - 1);
    assert!(totals.examples[0].starts_with("request 000000000007 got HTTP/1.1 200 OK"));
    assert!(totals.examples[0].ends_with("number 000000000008."));

    // The digits of another number do not pass for ours.
    let server = serve(|client, number| {
        client.answer(&format!("1{number:012}"));
        true
    });
    let totals = run(&plan(&server), &server, 30);
    assert_eq!(totals.mismatches(), totals.all().written);
}

#[test]
fn without_echo_any_200_is_right() {
    let server = serve(|client, _| {
        client.answer("OK");
        true
    });
    let totals = run(
        &Plan {
            echo: false,
            ..plan(&server)
        },
        &server,
        30,
    );
    assert_eq!(totals.all().answered, totals.all().written);
    assert_eq!(totals.mismatches(), 0);
}

#[test]
fn duplicated_responses() {
    for (echo, pipeline) in [(true, 1), (true, 4), (false, 1)] {
        let done = AtomicU64::new(0);
        let server = serve(move |client, number| {
            right(client, number);
            if first(&done) {
                right(client, number);
            }
            true
        });
        let totals = run(
            &Plan {
                echo,
                pipeline,
                connections: 1,
                ..plan(&server)
            },
            &server,
            10,
        );
        assert!(totals.mismatches() > 0, "{echo} {pipeline}: {totals}");
    }
}

/// The last response comes twice, and no further request finds the second.
#[test]
fn a_response_too_many_at_the_end() {
    let server = serve(|client, number| {
        right(client, number);
        right(client, number);
        true
    });
    let totals = run(
        &Plan {
            rate: Some(1),
            connections: 1,
            ..plan(&server)
        },
        &server,
        1,
    );
    assert!(totals.unexpected > 0, "{totals}");
}

#[test]
fn reordered_responses() {
    let server = Server::start(|mut client| {
        while let (Some(one), Some(two)) = (client.request(), client.request()) {
            right(&mut client, two);
            right(&mut client, one);
        }
    });
    let totals = run(
        &Plan {
            pipeline: 2,
            connections: 1,
            ..plan(&server)
        },
        &server,
        4,
    );
    assert!(totals.mismatches() >= 2);
    assert_eq!(totals.all().answered, 0);
}

#[test]
fn lost_with_fin_or_reset() {
    for reset in [false, true] {
        let server = Server::start(move |mut client| {
            while let Some(number) = client.request() {
                if number % 5 == 0 {
                    if reset {
                        client.reset();
                    }
                    return;
                }
                right(&mut client, number);
            }
        });
        let totals = run(
            &Plan {
                rate: Some(200),
                connections: 1,
                ..plan(&server)
            },
            &server,
            30,
        );
        let lost = totals.all().written / 5;
        assert!(lost > 0);
        assert_eq!(totals.all().lost_after_written, lost);
        assert_eq!(totals.lost_before_written, 0);
        let expected = if reset { (0, lost) } else { (lost, 0) };
        assert_eq!((totals.lost_by_fin, totals.lost_by_reset), expected);
        assert_eq!(totals.mismatches(), 0);
    }
}

#[test]
fn a_response_that_is_cut_off_is_lost() {
    for cut in [
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n0000",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
    ] {
        let server = serve(move |client, _| {
            client.send(cut);
            false
        });
        let totals = run(
            &Plan {
                rate: Some(100),
                connections: 1,
                ..plan(&server)
            },
            &server,
            4,
        );
        assert!(totals.all().written > 0);
        assert_eq!(totals.all().lost_after_written, totals.all().written);
        assert_eq!(totals.mismatches(), 0, "{cut}");
    }
}

/// More than the kernel takes, and a server that reads only some of it.
#[test]
fn lost_before_written() {
    let server = Server::start(|mut client| {
        let _ = client.receive(&mut [0; 1000]);
        client.reset();
    });
    let totals = run(
        &Plan {
            path: format!("/{}", "a".repeat(8_000_000)),
            connections: 1,
            pipeline: 2,
            ..plan(&server)
        },
        &server,
        2,
    );
    assert!(totals.lost_before_written > 0);
    assert_eq!(totals.all().written, totals.all().lost_after_written);
}

#[test]
fn what_is_no_response_is_a_mismatch() {
    let server = serve(|client, _| {
        client.send("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nOK");
        true
    });
    let totals = run(&Plan { ..plan(&server) }, &server, 4);
    assert!(totals.mismatches() > 0);
    assert_eq!(totals.all().mismatched, totals.all().written);
    assert!(totals.examples[0].ends_with("got not a Content-Length"));
}

#[test]
fn other_statuses_are_neither_right_nor_lost() {
    let server = serve(|client, number| {
        if number % 2 == 0 {
            client.send("HTTP/1.1 503 Later\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            return false;
        }
        right(client, number);
        true
    });
    let totals = run(&plan(&server), &server, 30);
    let all = totals.all();
    assert!(all.other_status > 0 && all.answered > 0);
    assert_eq!(all.other_status, totals.statuses[&503]);
    assert_eq!((totals.lost(), totals.mismatches()), (0, 0));
}

#[test]
fn refused_and_not_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Loopback::new(listener.local_addr().unwrap()).unwrap();
    drop(listener);
    let plan = Plan {
        connections: 2,
        duration: Duration::from_millis(500),
        ..Plan::new(address)
    };
    let totals = finish(counting::start(&plan).unwrap());
    assert!((4..1000).contains(&totals.connect_refused));
    assert_eq!((totals.connections, totals.connect_timed_out), (0, 0));

    // A queue of one, which is full: the kernel drops what else comes.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&address.get().into()).unwrap();
    socket.listen(0).unwrap();
    let totals = finish(
        counting::start(&Plan {
            connections: 8,
            connect_timeout: Duration::from_millis(50),
            grace: Duration::from_millis(50),
            ..plan
        })
        .unwrap(),
    );
    assert!(totals.connect_timed_out >= 4);
    assert!(totals.connect_max >= Duration::from_millis(50));
    assert_eq!(totals.connect_refused, 0);
}

/// The server sets the mark when it has the sixth request, and loses the eighth.
#[test]
fn the_mark_divides_requests() {
    let control: Arc<OnceLock<Control>> = Arc::default();
    let told = Arc::clone(&control);
    let server = serve(move |client, number| {
        if number == 6 {
            // The client has written it, and may not have noticed yet.
            std::thread::sleep(Duration::from_millis(50));
            told.wait().mark();
        }
        if number == 8 {
            return false;
        }
        right(client, number);
        true
    });
    let running = counting::start(&Plan {
        connections: 1,
        ..plan(&server)
    })
    .unwrap();
    assert!(control.set(running.control()).is_ok());
    server.wait_for_reads(12);
    running.stop();
    let totals = finish(running);
    let before = Phase {
        written: 6,
        answered: 6,
        ..Phase::default()
    };
    assert_eq!(totals.before, before);
    assert_eq!(totals.after.lost_after_written, 1);
    assert!(totals.after.answered > 0);
    assert!(totals.longest_wait >= Duration::from_millis(50));
    assert!(totals.longest_gap >= Duration::from_millis(50));
}

#[test]
fn the_first_answer_of_a_connection_is_timed() {
    let slow = Duration::from_millis(60);
    let fresh = Mutex::new(true);
    let server = serve(move |client, number| {
        if std::mem::replace(&mut *fresh.lock().unwrap(), false) {
            std::thread::sleep(slow);
        }
        right(client, number);
        true
    });
    let totals = run(
        &Plan {
            connections: 1,
            ..plan(&server)
        },
        &server,
        3,
    );
    assert!(totals.first_answer_max >= slow);
    assert!(totals.first_answer_max < Duration::from_secs(5));
}

#[test]
fn the_program_says_by_its_exit_code_what_it_saw() {
    let run = |server: &Server, more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_counting-client"))
            .args([
                "--seconds",
                "1",
                "--rate",
                "50",
                "--connections",
                "2",
                "--echo",
                "--json",
            ])
            .args(["--address", &server.address.get().to_string()])
            .args(more)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with(r#"{"written":"#) && text.lines().count() == 1);
        output.status.code()
    };
    let losing = serve(|client, number| {
        right(client, number);
        number != 10
    });
    assert_eq!(run(&losing, &["--strict"]), Some(0));
    let losing = serve(|client, number| {
        if number != 10 {
            right(client, number);
        }
        number != 10
    });
    assert_eq!(run(&losing, &[]), Some(0));
    assert_eq!(run(&losing, &["--strict"]), Some(1));
    let mixing = serve(|client, number| {
        right(client, number.max(11));
        true
    });
    assert_eq!(run(&mixing, &[]), Some(1));
}
