//! Each attack does what it says: bytes on the wire, ends of connections, counts.

mod support;

use std::process::Command;
use std::time::Duration;

use ajay_attack::Protocol;
use ajay_attack::attack::{self, Kind, Plan};
use ajay_attack::sink::{Manner, Sink};
use support::recording::{DURATION, PERIOD, Seen, check_sum, each_brought, record};
use support::{End, Recorded, Server};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
/// A period passes between two bytes; the first comes at once.
fn slow_bytes_max(took: Duration) -> usize {
    (took.as_millis() / PERIOD.as_millis()) as usize + 1
}

fn assert_starts(recorded: &Recorded, start: &str) {
    let sent = &recorded.bytes[..recorded.bytes.len().min(start.len())];
    assert!(
        sent == start.as_bytes(),
        "{} bytes, of which {:?}… and not {:?}…",
        recorded.bytes.len(),
        sent[..sent.len().min(200)].escape_ascii().to_string(),
        &start[..start.len().min(200)]
    );
}

#[test]
fn slow_head() {
    let seen = record(Kind::SlowHead, 2, OK, each_brought(2, 2));
    let Seen { recorded, host, .. } = &seen;
    let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n");
    let lines = "X-Slow: a\r\n".repeat(1000);
    let whole = format!("{head}{lines}");
    for (at, begins_with) in [(0, 0), (1, head.len())] {
        let sent = &recorded[at];
        assert!(whole.as_bytes().starts_with(&sent.bytes), "{}", sent.text());
        let slow = sent.bytes.len() - begins_with;
        assert!(
            (2..=slow_bytes_max(seen.took)).contains(&slow),
            "{slow} bytes"
        );
    }
    let total = seen.report.total();
    assert_eq!((total.opened, total.open_at_end), (2, 2));
}

#[test]
fn slow_content() {
    let seen = record(Kind::SlowContent, 2, b"", each_brought(2, 100));
    let Seen { recorded, host, .. } = &seen;
    for (at, field, content) in [
        (0, "Content-Length: 1000000", "x".repeat(1000)),
        (1, "Transfer-Encoding: chunked", "1\r\nx\r\n".repeat(1000)),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\n{field}\r\n\r\n");
        assert_starts(&recorded[at], &head);
        let sent = &recorded[at].bytes[head.len()..];
        assert!(content.as_bytes().starts_with(sent));
        assert!((2..=slow_bytes_max(seen.took)).contains(&sent.len()));
    }
}

#[test]
fn slow_reader() {
    let large = [OK, &[b'x'; 1024 * 1024]].concat();
    let seen = record(Kind::SlowReader, 3, &large, each_brought(3, 1));
    let host = &seen.host;
    for recorded in &seen.recorded {
        assert_eq!(
            recorded.text(),
            format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
        );
    }
    let received = seen.report.total().bytes_received as usize;
    assert!((1024..=3 * 1024 * slow_bytes_max(seen.took)).contains(&received));
}

#[test]
fn churn() {
    let Seen {
        recorded,
        report,
        host,
        ..
    } = record(Kind::Churn, 4, OK, each_brought(0, 0));
    for (variant, ends, closes) in [
        ("answered", true, false),
        ("unanswered", true, false),
        ("silent", true, false),
        // The recorder never closes first.
        ("server-closes", false, false),
    ] {
        let tally = report.variant(variant).unwrap();
        assert_eq!(tally.ended > 1, ends, "{variant}");
        assert_eq!(tally.closed() > 0, closes, "{variant}");
    }
    let plain = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let close = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    for text in ["", &plain, &close] {
        assert!(recorded.iter().any(|r| r.text() == text), "{text:?}");
    }
    assert!(
        recorded
            .iter()
            .all(|r| ["", &plain, &close].contains(&r.text().as_str()))
    );
    let answered = report.variant("answered").unwrap();
    assert_eq!(answered.bytes_sent, answered.opened * plain.len() as u64);
}

#[test]
fn half_open() {
    let Seen {
        recorded,
        report,
        host,
        ..
    } = record(Kind::HalfOpen, 7, b"", |recorded| {
        // Those that finish were replaced.
        recorded.len() > 20
    });
    let open = format!("GET / HTTP/1.1\r\nHost: {host}\r\n");
    let half = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n{}",
        "x".repeat(1000)
    );
    let whole = format!("{open}\r\n");
    let expected = [
        ("nothing", ""),
        ("half-head", &open),
        ("half-content", &half),
        ("nothing-fin", ""),
        ("half-head-fin", &open),
        ("half-content-fin", &half),
        ("request-fin", &whole),
    ];
    for ((variant, text), recorded) in expected.into_iter().zip(&recorded) {
        assert_eq!(recorded.text(), text, "{variant}");
        let tally = report.variant(variant).unwrap();
        // Those that finish are closed by the recorder, and replaced.
        assert_eq!(
            tally.closed_by_fin > 0,
            variant.ends_with("-fin"),
            "{variant}"
        );
        let end = if variant.ends_with("-fin") {
            End::Fin
        } else {
            recorded.end
        };
        assert_eq!(recorded.end, end, "{variant}");
    }
}

#[test]
fn giant_heads() {
    let Seen { recorded, host, .. } = record(Kind::GiantHeads, 4, b"", |recorded| {
        each_brought(4, 64 * 1024 + 1)(recorded) && recorded[3].bytes.len() > 100 * 1024
    });
    let open = format!("GET / HTTP/1.1\r\nHost: {host}\r\n");
    for (at, start) in [
        (0, format!("{open}X-Many: a\r\nX-Many: a\r\n")),
        (1, format!("{open}X-Large: aaaa")),
        (2, "GET /aaaa".to_owned()),
        (3, format!("{open}X-Many: a\r\nX-Many: a\r\n")),
    ] {
        assert_starts(&recorded[at], &start);
        let bytes = &recorded[at].bytes;
        assert!(bytes.len() > 64 * 1024);
        assert_eq!(bytes.ends_with(b"\r\n\r\n"), at != 3);
        assert!(
            !bytes[..bytes.len() - 4]
                .windows(4)
                .any(|w| w == b"\r\n\r\n")
        );
    }
}

#[test]
fn endless_chunks_and_trailers() {
    let Seen {
        recorded,
        report,
        host,
        ..
    } = record(Kind::EndlessChunks, 4, b"", each_brought(4, 250_000));
    let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (at, chunk) in [
        "1\r\nx\r\n",
        "1;a=b\r\nx\r\n",
        "1;a=\"b;\\\"c\"\r\nx\r\n",
        "0000000000000001\r\nx\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        // Far enough to see one piece end and the next begin.
        assert_starts(&recorded[at], &format!("{head}{}", chunk.repeat(12_000)));
    }
    assert!(report.total().bytes_sent >= 1_000_000);

    let Seen { recorded, host, .. } =
        record(Kind::EndlessTrailers, 2, b"", each_brought(2, 150_000));
    let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let lines = "X-Trailer: a\r\n".repeat(10_000);
    assert_starts(&recorded[0], &format!("{head}1\r\nx\r\n0\r\n{lines}"));
    let line = "a".repeat(100_000);
    assert_starts(
        &recorded[1],
        &format!("{head}1\r\nx\r\n0\r\nX-Trailer: {line}"),
    );
}

#[test]
fn pipeline_reads_nothing_or_everything() {
    let Seen {
        recorded,
        report,
        host,
        ..
    } = record(Kind::Pipeline, 2, OK, each_brought(2, 200_000));
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for recorded in &recorded {
        assert_starts(recorded, &request.repeat(3000));
    }
    assert_eq!(report.variant("unread").unwrap().bytes_received, 0);
    let read = report.variant("read").unwrap();
    assert!(read.bytes_received > 0 && read.bytes_received.is_multiple_of(OK.len() as u64));
}

#[test]
fn reset_at_every_state() {
    let Seen {
        recorded,
        report,
        host,
        ..
    } = record(Kind::Reset, 12, OK, |recorded| recorded.len() > 100);
    let open = format!("GET / HTTP/1.1\r\nHost: {host}\r\n");
    let post = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n");
    let half = format!("{post}{}", "x".repeat(1000));
    let get = format!("{open}\r\n");
    let known = ["", &open, &post, &half, &get];
    for text in known {
        // A reset at once can overtake what was sent; one after a pause cannot.
        let seen = recorded
            .iter()
            .any(|r| r.text() == text && r.end == End::Reset);
        assert!(seen, "{text:?}");
    }
    for recorded in recorded.iter().filter(|r| r.end != End::Open) {
        assert_eq!(recorded.end, End::Reset);
        assert!(known.contains(&recorded.text().as_str()));
    }
    for (variant, tally) in report.variants() {
        assert!(tally.ended > 1, "{variant}");
        assert_eq!(tally.bytes_received, 0, "{variant}");
    }
}

#[test]
fn idle_connections_ask_once_and_stay() {
    let Seen {
        recorded,
        report,
        host,
        ..
    } = record(Kind::Idle, 100, OK, each_brought(100, 1));
    assert_eq!(recorded.len(), 100);
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert!(recorded.iter().all(|r| r.text() == request));
    let total = report.total();
    assert_eq!((total.opened, total.open_at_end), (100, 100));
    let answered: u64 = total.responses().map(|(_, count)| count).sum();
    assert_eq!(total.bytes_received, answered * OK.len() as u64);
    assert!(answered > 0);
}

#[test]
fn expectations() {
    let reply = b"HTTP/1.1 100 Continue\r\n\r\n";
    let Seen {
        recorded, report, ..
    } = record(Kind::Expect, 5, reply, each_brought(5, 1));
    let length = "Content-Length: 1000000\r\n";
    for (recorded, lines) in recorded.iter().zip([
        format!("Expect: 100-continue\r\n{length}\r\n"),
        "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        format!("Expect: 100-continue\r\nExpect: 100-continue\r\n{length}\r\n"),
        format!("Expect: the-unexpected\r\n{length}\r\n"),
        format!("Expect: 100-continue, a=b\r\n{length}\r\n"),
    ]) {
        // No content follows, whatever the server says.
        assert!(recorded.text().ends_with(&lines), "{}", recorded.text());
    }
    assert_eq!((report.total().opened, report.total().open_at_end), (5, 5));
}

#[test]
fn bytes_that_are_not_http1() {
    let Seen { recorded, .. } = record(Kind::Http09, 4, b"", each_brought(4, 1));
    let many = "GET /\r\n".repeat(1000);
    for (recorded, text) in
        recorded
            .iter()
            .zip(["GET /\r\n", "GET /\n", "GET / HTTP/0.9\r\n\r\n", &many])
    {
        assert_eq!(recorded.text(), text);
    }

    let Seen { recorded, .. } = record(Kind::Tls, 3, b"", each_brought(3, 1));
    for recorded in [&recorded[0], &recorded[2]] {
        // Handshake, TLS 1.0 for compatibility; ClientHello; TLS 1.2 for compatibility.
        let bytes = &recorded.bytes;
        assert_eq!(bytes[..3], [0x16, 0x03, 0x01]);
        let record = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        assert_eq!(bytes[5..7], [0x01, 0x00]);
        let hello = usize::from(u16::from_be_bytes([bytes[7], bytes[8]]));
        assert_eq!(hello + 4, record);
        assert_eq!(bytes[9..11], [0x03, 0x03]);
        assert!(bytes[..5 + record].windows(9).any(|w| w == b"localhost"));
    }
    assert_eq!(recorded[1].bytes[..3], [0x80, 0x1c, 0x01]);
    assert_eq!(recorded[1].bytes.len(), 2 + 0x1c);

    let Seen { recorded, .. } = record(Kind::Random, 2, b"", |recorded| {
        recorded.len() > 5 && recorded[1].bytes.len() > 100_000
    });
    let mut counts = [0u32; 256];
    recorded[1]
        .bytes
        .iter()
        .for_each(|b| counts[usize::from(*b)] += 1);
    assert!(counts.iter().all(|count| *count > 0));
    let mutated: Vec<_> = recorded
        .iter()
        .filter(|r| r.bytes.len() < 1000 && !r.bytes.is_empty())
        .collect();
    assert!(
        mutated
            .windows(2)
            .any(|pair| pair[0].bytes != pair[1].bytes)
    );
}

/// Closed by the server: counted by status, and replaced at once.
#[test]
fn closed_connections_are_counted_and_replaced() {
    let server = Server::start(|mut client| {
        client.send("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n");
    });
    let plan = Plan {
        connections: 4,
        duration: DURATION,
        sources: 3,
        ..Plan::new(Kind::SlowHead, server.address)
    };
    let total = attack::run(&plan).unwrap().total();
    check_sum(&total);
    assert!(total.closed() > 4);
    let with_status = total.closed_after().find(|(status, _)| *status == 408);
    assert!(with_status.is_some_and(|(_, count)| count > 4));

    let server = Server::start(|mut client| {
        // So that the reset comes while the attacker is at it.
        let _ = client.receive(&mut [0]);
        client.reset();
    });
    let plan = Plan {
        address: server.address,
        ..plan
    };
    let total = attack::run(&plan).unwrap().total();
    check_sum(&total);
    assert!(total.closed_by_reset > 4);
    assert_eq!(total.closed_by_fin, 0);
    assert!(total.lived.max().unwrap() <= 2 * DURATION);
}

#[test]
fn nobody_listens() {
    let address = Sink::start(
        "127.0.0.1:0".parse().unwrap(),
        Duration::ZERO,
        Manner::Silent,
    )
    .map(|sink| (sink.address(), sink.join().unwrap()))
    .unwrap()
    .0;
    let plan = Plan {
        connections: 2,
        duration: DURATION,
        ..Plan::new(Kind::Churn, address)
    };
    let total = attack::run(&plan).unwrap().total();
    assert_eq!(total.opened, 0);
    // It backs off, and tries again.
    assert!((3..1000).contains(&total.connect_refused));
}

/// What the attackers say they sent is what a sink says it read, and no less than half of it was
/// read when the attackers stopped.
#[test]
fn all_attacks_on_a_sink() {
    // Those over QUIC wait for a handshake, if they are not blind: `attacks_http3` has them.
    let over_tcp = |kind: &&Kind| kind.protocol() != Protocol::Http3;
    for kind in Kind::ALL.iter().filter(over_tcp) {
        let sink = Sink::start(
            "127.0.0.1:0".parse().unwrap(),
            Duration::from_secs(60),
            Manner::Silent,
        )
        .unwrap();
        let total = attack::run(&Plan {
            connections: 24,
            threads: 2,
            sources: 4,
            duration: Duration::from_millis(200),
            ..Plan::new(*kind, sink.address())
        })
        .unwrap()
        .total();
        sink.stop();
        let totals = sink.join().unwrap();
        check_sum(&total);
        assert!(total.opened >= 24, "{kind:?}");
        assert!(totals.bytes <= total.bytes_sent, "{kind:?}");
        assert!(
            totals.accepted <= total.opened + total.connect_failed,
            "{kind:?}"
        );
        assert_eq!(
            (total.bytes_received, total.connect_refused),
            (0, 0),
            "{kind:?}"
        );
        assert!(totals.ended <= totals.accepted);
    }
}

#[test]
fn an_attack_can_be_stopped_and_has_bounds() {
    let sink = Sink::start(
        "127.0.0.1:0".parse().unwrap(),
        Duration::from_secs(60),
        Manner::Silent,
    )
    .unwrap();
    let plan = Plan {
        duration: Duration::from_secs(3600),
        connections: 2,
        ..Plan::new(Kind::Idle, sink.address())
    };
    let running = attack::start(&plan).unwrap();
    running.stop();
    running.join().unwrap();
    for broken in [
        Plan {
            connections: 0,
            ..plan.clone()
        },
        Plan {
            connections: 10_000_000,
            ..plan.clone()
        },
        Plan {
            threads: 3,
            ..plan.clone()
        },
        Plan {
            threads: 0,
            ..plan.clone()
        },
        Plan {
            duration: Duration::from_secs(3601),
            ..plan.clone()
        },
        Plan {
            duration: Duration::ZERO,
            ..plan.clone()
        },
        Plan {
            sources: 0,
            ..plan.clone()
        },
    ] {
        assert!(attack::start(&broken).is_err(), "{broken:?}");
    }
}

#[test]
fn the_program_prints_json_and_refuses_other_machines() {
    let sink = Sink::start(
        "127.0.0.1:0".parse().unwrap(),
        Duration::from_secs(60),
        Manner::Silent,
    )
    .unwrap();
    let run = |address: &str| {
        Command::new(env!("CARGO_BIN_EXE_attack"))
            .args(["tls", "--seconds", "1", "--connections", "3", "--json"])
            .args(["--address", address])
            .output()
            .unwrap()
    };
    let output = run(&sink.address().get().to_string());
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(r#"{"attack":"tls","total":{"opened":3,"closed_by_fin":0,"#));
    assert!(text.ends_with("}}}\n") && text.lines().count() == 1);

    let output = run("192.0.2.1:80");
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("192.0.2.1:80 is not a loopback address"),
        "{text}"
    );
}
