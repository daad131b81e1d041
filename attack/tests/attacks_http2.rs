//! Each attack over HTTP/2 does what it says: frames on the wire, and what nghttpd makes of them.

mod support;

use std::net::Shutdown;
use std::time::Duration;

use ajay_attack::Protocol;
use ajay_attack::attack::{self, Kind, Plan, Tally};
use ajay_attack::counting;
use support::http2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, Http2, Nghttpd, PING,
    PREFACE, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, frames,
};
use support::recording::{DURATION, Seen, check_sum, each_brought, record};
use support::{PATIENCE, Recorded, Server};

const PRIORITY_UPDATE: u8 = 0x10;
const UNKNOWN: u8 = 0xbb;
const WHOLE: u8 = END_HEADERS | END_STREAM;
/// HEADERS that content follows.
const OPEN: u8 = END_HEADERS;
/// Enough to see what an attack is about.
const MUCH: usize = 20_000;

/// What each variant sends behind its SETTINGS, of which all have at least these two.
fn recorded_frames(kind: Kind, variants: usize, bytes: usize) -> Vec<Vec<Frame>> {
    let Seen { recorded, .. } = record(kind, variants, b"", each_brought(variants, bytes));
    let first = recorded.iter().take(variants);
    first.map(behind_settings).collect()
}

fn behind_settings(recorded: &Recorded) -> Vec<Frame> {
    let mut frames = frames(&recorded.bytes);
    let settings = frames.remove(0);
    assert_eq!((settings.kind, settings.flags), (SETTINGS, 0));
    let begins = [0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0];
    assert_eq!(settings.payload[..12], begins);
    frames
}

/// As many whole rounds as there are, of frames of these kinds and flags on one stream after the
/// other.
fn assert_rounds(frames: &[Frame], round: &[(u8, u8)]) {
    let rounds = frames.chunks_exact(round.len());
    assert!(rounds.len() > 100, "{} rounds", rounds.len());
    for (number, frames) in rounds.enumerate() {
        for (frame, expected) in frames.iter().zip(round) {
            assert_eq!((frame.kind, frame.flags), *expected);
            assert_eq!(frame.stream, 2 * number as u32 + 1);
        }
    }
}

/// Nothing but this.
fn assert_all(frames: &[Frame], kind: u8, check: impl Fn(&Frame) -> bool) {
    assert!(frames.len() > 2, "{} frames", frames.len());
    for frame in frames {
        assert!(frame.kind == kind && check(frame), "{frame:?}");
    }
}

/// So many requests, and what follows them.
fn held(frames: &[Frame], flags: u8) -> &[Frame] {
    let (requests, rest) = frames.split_at(100);
    for (number, request) in requests.iter().enumerate() {
        assert_eq!((request.kind, request.flags), (HEADERS, flags));
        assert_eq!(request.stream, 2 * number as u32 + 1);
    }
    rest
}

fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(*payload.first_chunk().unwrap())
}

#[test]
fn rapid_reset() {
    let variants = recorded_frames(Kind::RapidReset, 4, MUCH);
    let reset = (RST_STREAM, 0);
    for (at, head) in [(0, WHOLE), (1, OPEN), (3, WHOLE)] {
        assert_rounds(&variants[at], &[(HEADERS, head), reset]);
    }
    let batches = &variants[2];
    let rest = held(batches, WHOLE);
    assert!(rest[..100].iter().all(|frame| frame.kind == RST_STREAM));
    assert_eq!((rest[0].stream, rest[99].stream), (1, 199));
    assert_eq!((rest[100].kind, rest[100].stream), (HEADERS, 201));
    let resets = variants.iter().flatten().filter(|f| f.kind == RST_STREAM);
    resets.for_each(|frame| assert_eq!(frame.payload, [0, 0, 0, 8]));
}

#[test]
fn the_head_of_a_request() {
    let Seen { recorded, host, .. } = record(Kind::RapidReset, 1, b"", each_brought(1, 100));
    let head = &behind_settings(&recorded[0])[0];
    let mut expected = vec![0x82, 0x86, 0x84, 0x01, host.len() as u8];
    expected.extend_from_slice(host.as_bytes());
    assert_eq!(head.payload, expected);
}

#[test]
fn made_you_reset() {
    let variants = recorded_frames(Kind::MadeYouReset, 7, MUCH);
    let head = (HEADERS, WHOLE);
    for (at, provocation) in [
        (WINDOW_UPDATE, 0),
        (WINDOW_UPDATE, 0),
        (DATA, 0),
        (HEADERS, WHOLE),
        (PRIORITY, 0),
        (PRIORITY, 0),
    ]
    .into_iter()
    .enumerate()
    {
        assert_rounds(&variants[at], &[head, provocation]);
    }
    assert_rounds(&variants[6], &[head]);
    assert_eq!(variants[0][1].payload, [0; 4]);
    assert_eq!(variants[1][1].payload, [0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(variants[4][1].payload.len(), 4);
    assert_eq!(variants[5][1].payload[..4], [0, 0, 0, 1]);
    assert!(variants[6][0].payload.ends_with(b"\x0f\x0d\x015"));
}

#[test]
fn continuation_flood() {
    let variants = recorded_frames(Kind::ContinuationFlood, 5, 100_000);
    let payloads = [16_380..16_385, 16_384..16_385, 7..8, 0..1, 16_380..16_385];
    for (at, (frames, payload)) in variants.iter().zip(payloads).enumerate() {
        let begun = if at == 4 {
            assert_eq!((frames[0].kind, frames[0].flags), (HEADERS, OPEN));
            assert_eq!((frames[1].kind, frames[1].flags), (DATA, 0));
            2
        } else {
            0
        };
        let head = &frames[begun];
        assert_eq!((head.kind, head.flags), (HEADERS, END_STREAM));
        assert_all(&frames[begun + 1..], CONTINUATION, |frame| {
            frame.flags == 0 && frame.stream == 1 && payload.contains(&frame.payload.len())
        });
    }
}

#[test]
fn floods_on_the_connection() {
    let variants = recorded_frames(Kind::SettingsFlood, 4, MUCH);
    for frames in &variants[..2] {
        assert_all(frames, SETTINGS, |frame| frame.payload.is_empty());
    }
    let many = held(&variants[2], WHOLE);
    assert_eq!(many[0].payload[..12], [0, 4, 0, 0, 0, 1, 0, 4, 0, 0, 0, 0]);
    assert_eq!(many[0].payload.len(), 16_380);
    assert_all(&variants[3], SETTINGS, |frame| frame.flags == ACK);

    let variants = recorded_frames(Kind::PingFlood, 3, MUCH);
    for (frames, flags) in variants.iter().zip([0, 0, ACK]) {
        assert_all(frames, PING, |f| f.flags == flags && f.payload.len() == 8);
    }

    let variants = recorded_frames(Kind::PriorityFlood, 3, MUCH);
    assert_all(&variants[0][1..], PRIORITY, |frame| {
        frame.stream == 1 && frame.payload.len() == 5
    });
    assert_all(&variants[1], PRIORITY, |frame| {
        number(&frame.payload) != frame.stream
    });
    assert_all(&variants[2], PRIORITY_UPDATE, |frame| {
        frame.stream == 0 && number(&frame.payload) % 2 == 1 && frame.payload.ends_with(b"u=1, i")
    });

    let variants = recorded_frames(Kind::WindowUpdateFlood, 3, MUCH);
    assert_all(&variants[0], WINDOW_UPDATE, |frame| frame.stream == 0);
    assert_all(&variants[1][1..], WINDOW_UPDATE, |frame| frame.stream == 1);
    assert_all(held(&variants[2], OPEN), WINDOW_UPDATE, |frame| {
        frame.stream < 200 && frame.payload == [0, 0, 0, 1]
    });
}

#[test]
fn frames_with_little_in_them() {
    let variants = recorded_frames(Kind::EmptyFrames, 3, MUCH);
    assert_all(&variants[0][1..], DATA, |frame| {
        frame.flags == 0 && frame.payload.is_empty() && frame.stream == 1
    });
    assert_all(held(&variants[1], OPEN), DATA, |frame| {
        frame.flags == 0 && frame.payload.is_empty()
    });
    assert_all(&variants[2], UNKNOWN, |frame| frame.payload.is_empty());

    // All of it, no more than anybody must take, and then the end.
    let variants = recorded_frames(Kind::TinyData, 2, 600_000);
    for (frames, begun) in variants.iter().zip([1, 100]) {
        let content = &frames[begun..];
        assert_all(content, DATA, |f| f.flags == 0 && f.payload == b"x");
        assert_eq!(content.len(), 60_000);
    }
}

#[test]
fn field_lists() {
    let variants = recorded_frames(Kind::HpackBomb, 5, 100_000);
    for (frames, name) in variants[..2].iter().zip([&b"x-a"[..], b"cookie"]) {
        let entry = &frames[0].payload;
        // Into the table: name, value of 4000 bytes.
        let literal = [&[0x40, name.len() as u8], name, &[0x7f, 0xa1, 0x1e]].concat();
        assert!(entry.windows(literal.len()).any(|w| w == literal));
        assert!(entry.ends_with(b"xxxx"));
        assert_rounds_of_headers(&frames[1..], |block| block.ends_with(&[0xbe; 14_000]));
    }
    assert_rounds_of_headers(&variants[2], |block| block.ends_with(&[0x90; 14_000]));
    let literals = &variants[3][..4];
    let kinds: Vec<_> = literals.iter().map(|f| (f.kind, f.flags)).collect();
    let more = (CONTINUATION, 0);
    let expected = [
        (HEADERS, END_STREAM),
        more,
        more,
        (CONTINUATION, END_HEADERS),
    ];
    assert_eq!(kinds, expected);
    assert_rounds_of_headers(&variants[4], |block| block.ends_with(&[0; 14_000]));

    let variants = recorded_frames(Kind::Http2Bomb, 4, 10_000);
    for (frames, references) in variants.iter().zip([14_000, 14_000, 64, 64]) {
        let requests: Vec<&Frame> = frames.iter().filter(|f| f.kind == HEADERS).collect();
        assert!(requests.len() > 10);
        let referring = |f: &&Frame| f.payload.ends_with(&vec![0xbe; references]);
        assert!(requests.iter().all(referring));
        assert!(requests.iter().all(|f| f.flags == WHOLE));
    }
}

fn assert_rounds_of_headers(frames: &[Frame], block: impl Fn(&[u8]) -> bool) {
    assert_all(frames, HEADERS, |frame| {
        frame.flags == WHOLE && block(&frame.payload)
    });
}

#[test]
fn streams_that_are_held() {
    let request = 9 + 20;
    let all = 100 * request;
    let variants = recorded_frames(Kind::ZeroWindow, 4, all);
    for (at, frames) in variants.iter().enumerate() {
        let rest = held(frames, WHOLE);
        match at {
            0 | 1 => assert_eq!(rest, []),
            2 => assert!(rest.iter().all(|frame| frame.kind == PING)),
            _ => assert_all(rest, WINDOW_UPDATE, |f| f.payload == [0, 0, 0, 1]),
        }
    }

    let Seen { recorded, .. } = record(Kind::ZeroWindow, 2, b"", each_brought(2, all));
    for (recorded, window) in recorded.iter().zip([0, 0x7fff_ffff]) {
        let settings = &frames(&recorded.bytes)[0].payload;
        assert_eq!(settings[12..14], [0, 4]);
        assert_eq!(number(&settings[14..]), window);
    }

    let variants = recorded_frames(Kind::UnfinishedStreams, 5, 60);
    for (at, frames) in variants[..4].iter().enumerate() {
        let rest = held(frames, OPEN);
        match at {
            0 => assert_eq!(rest, []),
            1 => assert_all(rest, DATA, |f| f.payload == b"hello"),
            2 => assert_all(rest, DATA, |f| f.flags == 0 && f.payload == b"x"),
            _ => assert_all(rest, PING, |_| true),
        }
    }
    let half = &variants[4];
    assert_eq!((half.len(), half[0].kind, half[0].flags), (1, HEADERS, 0));

    let variants = recorded_frames(Kind::StreamFlood, 3, MUCH);
    for (frames, flags) in variants.iter().zip([OPEN, WHOLE, WHOLE]) {
        assert_rounds(frames, &[(HEADERS, flags)]);
    }
}

#[test]
fn slow_preface() {
    let Seen { recorded, .. } = record(Kind::SlowPreface, 5, b"", each_brought(5, 5));
    let opening = [
        PREFACE,
        &frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]),
        &frame(PING, 0, 0, b"attacker").repeat(1000),
    ]
    .concat();
    let begun = PREFACE.len() + 9 + 12;
    for (at, from, to) in [
        (0, 2, begun),
        (1, PREFACE.len() + 2, begun + 1000),
        (3, begun, begun),
        (4, begun + 17, begun + 17_000),
    ] {
        let sent = &recorded[at].bytes;
        assert!(opening.starts_with(sent), "{at}: {sent:?}");
        assert!((from..=to).contains(&sent.len()), "{at}: {}", sent.len());
    }
    // A frame of which the end is far away.
    let request = &recorded[2].bytes[begun..];
    assert!((2..200).contains(&request.len()));
    assert_eq!(request[0], 0);
}

/// Acknowledged between frames: SETTINGS in answer to SETTINGS, once.
#[test]
fn settings_of_the_server_are_acknowledged() {
    let (told, heard) = std::sync::mpsc::channel();
    let server = Server::start(move |client| {
        let mut connection = Http2::new(client);
        while let Some(frame) = connection.next() {
            let _ = told.send(frame);
        }
    });
    let running = attack::start(&Plan {
        connections: 2,
        ..Plan::new(Kind::ZeroWindow, server.address)
    })
    .unwrap();
    let mut acknowledged = 0;
    while acknowledged < 2 {
        let frame = heard.recv_timeout(PATIENCE).unwrap();
        let is_acknowledgement = frame.kind == SETTINGS && frame.flags == ACK;
        assert!(!is_acknowledgement || frame.payload.is_empty());
        acknowledged += u32::from(is_acknowledgement);
    }
    running.stop();
    running.join().unwrap();
}

/// A server that says what it thinks of it, and closes.
#[test]
fn what_the_server_says_is_counted() {
    let server = Server::start(|client| {
        let mut connection = Http2::new(client);
        if connection.next().is_some() {
            connection.send(&frame(HEADERS, END_HEADERS, 1, &[0x20, 0x88]));
            connection.send(&frame(HEADERS, END_HEADERS, 3, b"\x08\x03429"));
            // Trailers are no response.
            connection.send(&frame(HEADERS, WHOLE, 1, b"\x00\x01a\x01b"));
            connection.reset_stream(3, 1);
            connection.reset_stream(5, 7);
            connection.reset_stream(7, 7);
            connection.go_away(7, 0xb);
            // No reset that could overtake what was said.
            let _ = connection.client.socket.shutdown(Shutdown::Write);
            while connection.next().is_some() {}
        }
    });
    let plan = Plan {
        connections: 4,
        duration: DURATION,
        ..Plan::new(Kind::SlowPreface, server.address)
    };
    let plan = Plan {
        period: Duration::from_millis(1),
        ..plan
    };
    let report = attack::run(&plan).unwrap();
    let total = report.total();
    check_sum(&total);
    let closed = total.closed_by_fin;
    assert!(closed > 4);
    assert_eq!(
        total.closed_after_goaway().collect::<Vec<_>>(),
        [("ENHANCE_YOUR_CALM", closed)],
        "{report}"
    );
    assert_eq!(total.closed_after().count(), 0);
    let (codes, counts): (Vec<_>, Vec<_>) = total.stream_resets().unzip();
    assert_eq!(codes, ["PROTOCOL_ERROR", "REFUSED_STREAM"]);
    assert_eq!(counts[1], 2 * counts[0]);
    let statuses: Vec<_> = total.responses().map(|(status, _)| status).collect();
    assert_eq!(statuses, [200, 429]);
    let goaways: u64 = total.goaways().map(|(_, count)| count).sum();
    assert_eq!(total.told_after.count(), goaways);
    assert!(total.told_after.max() <= Some(2 * DURATION));
    let table = report.to_string();
    assert!(table.contains("GOAWAY ENHANCE_YOUR_CALM x "), "{table}");
    assert!(table.contains("RST_STREAM REFUSED_STREAM x "), "{table}");
    let json = report.json().to_string();
    assert!(json.contains(r#""closed_after_goaway":{"ENHANCE_YOUR_CALM":"#));
}

/// Against a server that others have written: it hears every attack, answers some of it or cuts it,
/// and serves honest clients afterwards.
#[test]
fn all_attacks_on_nghttpd() {
    let server = Nghttpd::start(&[]);
    let all = Kind::ALL.iter().copied();
    for kind in all.filter(|kind| kind.protocol() == Protocol::Http2) {
        // As long as it takes nghttpd to come to it.
        let mut duration = DURATION;
        loop {
            let report = attack::run(&Plan {
                connections: 8,
                duration,
                period: Duration::from_millis(20),
                path: "/large".to_owned(),
                ..Plan::new(kind, server.address)
            })
            .unwrap();
            let total = report.total();
            check_sum(&total);
            if is_taken_as_meant(kind, &total) {
                break;
            }
            duration *= 2;
            assert!(duration < PATIENCE, "{report}");
        }
    }
    let totals = counting::run(&counting::Plan {
        protocol: Protocol::Http2,
        path: "/".to_owned(),
        place: counting::Place::Field,
        duration: Duration::from_millis(200),
        grace: PATIENCE,
        ..counting::Plan::new(server.address)
    })
    .unwrap();
    assert!(totals.all().answered > 10);
    assert_eq!(totals.all().answered, totals.all().written, "{totals}");
}

/// What nghttpd must have understood for the attack to be what it says.
fn is_taken_as_meant(kind: Kind, total: &Tally) -> bool {
    let answered = |wanted| total.responses().any(|(status, _)| status == wanted);
    let reset = |wanted| total.stream_resets().any(|(code, _)| code == wanted);
    let told = |wanted| total.goaways().any(|(code, _)| code == wanted);
    // Its SETTINGS at least.
    if total.opened < 8 || total.bytes_received == 0 {
        return false;
    }
    match kind {
        Kind::MadeYouReset => told("PROTOCOL_ERROR") && reset("FLOW_CONTROL_ERROR"),
        Kind::ContinuationFlood => total.closed() > 0,
        // Acknowledgements.
        Kind::SettingsFlood | Kind::PingFlood => total.bytes_received > 10_000,
        Kind::HpackBomb => total.stream_resets().count() > 0,
        Kind::Http2Bomb | Kind::ZeroWindow => answered(200),
        Kind::StreamFlood => reset("REFUSED_STREAM"),
        Kind::TinyData => total.closed_by_fin > 0,
        _ => true,
    }
}
