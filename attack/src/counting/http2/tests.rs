use super::*;
use crate::h2::{data, frame, headers, rst_stream, settings, window_update};

const OK: &[u8] = &[0x88];

fn reader() -> Reader {
    Reader::new(&mut Vec::new())
}

/// Everything that comes of these frames, and what is replied.
fn events(reader: &mut Reader, frames: &[Vec<u8>]) -> (Vec<Event>, Vec<u8>) {
    let (mut events, mut replies) = (Vec::new(), Vec::new());
    // Byte by byte: nothing may depend on how the kernel cuts.
    for byte in frames.concat() {
        reader.receive(&[byte]);
        while let Some(event) = reader.next(&mut replies).unwrap() {
            events.push(event);
        }
    }
    (events, replies)
}

fn broken(frames: &[Vec<u8>]) -> Broken {
    let mut reader = reader();
    reader.receive(&frames.concat());
    loop {
        match reader.next(&mut Vec::new()) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("not broken"),
            Err(broken) => return broken,
        }
    }
}

#[test]
fn a_response_of_several_frames() {
    let trailers = frame(kind::HEADERS, flag::END_STREAM, 1, b"");
    let (seen, replies) = events(
        &mut reader(),
        &[
            headers(0, 1, b"\x08\x03103"),
            headers(0, 1, OK),
            data(0, 1, b"ab"),
            frame(kind::DATA, flag::PADDED, 1, b"\x02c\0\0"),
            trailers,
            frame(kind::CONTINUATION, flag::END_HEADERS, 1, b"\x00\x01a\x01b"),
        ],
    );
    let content = |bytes: &[u8]| Event::Content {
        stream: 1,
        bytes: bytes.to_vec(),
        ends: false,
    };
    let expected = [
        Event::Fields {
            stream: 1,
            status: Some(200),
            ends: false,
        },
        content(b"ab"),
        content(b"c"),
        Event::Fields {
            stream: 1,
            status: None,
            ends: true,
        },
    ];
    assert_eq!(seen, expected);
    assert_eq!(replies, b"");
}

#[test]
fn what_a_server_says_of_streams_and_the_connection() {
    let goaway = [0x80, 0, 0, 5, 0, 0, 0, 0xb, b'!'];
    let (seen, replies) = events(
        &mut reader(),
        &[
            settings(&[]),
            frame(kind::SETTINGS, flag::ACK, 0, b""),
            frame(kind::PING, 0, 0, b"12345678"),
            frame(kind::PING, flag::ACK, 0, b"12345678"),
            rst_stream(3, 7),
            frame(kind::UNKNOWN, 0, 0, b"ignored"),
            window_update(0, 5),
            window_update(3, 5),
            frame(kind::GOAWAY, 0, 0, &goaway),
        ],
    );
    let expected = [
        Event::Room,
        Event::Reset { stream: 3, code: 7 },
        Event::Room,
        Event::GoAway { last: 5, code: 0xb },
    ];
    assert_eq!(seen, expected);
    let acknowledged = frame(kind::SETTINGS, flag::ACK, 0, b"");
    let pong = frame(kind::PING, flag::ACK, 0, b"12345678");
    assert_eq!(replies, [acknowledged, pong].concat());
}

#[test]
fn limits_of_the_server_are_kept() {
    let mut reader = reader();
    assert!(reader.has_room(99, Place::Target));
    assert!(!reader.has_room(100, Place::Target));
    let limits = [
        (setting::MAX_CONCURRENT_STREAMS, 2),
        (setting::INITIAL_WINDOW_SIZE, 11),
    ];
    events(&mut reader, &[settings(&limits)]);
    assert!(reader.has_room(1, Place::Target));
    assert!(!reader.has_room(2, Place::Target));
    assert!(!reader.has_room(0, Place::Content));
    events(
        &mut reader,
        &[settings(&[(setting::INITIAL_WINDOW_SIZE, 12)])],
    );
    assert!(reader.has_room(0, Place::Content));

    let plan = Plan {
        place: Place::Content,
        ..Plan::new("127.0.0.1:80".parse().unwrap())
    };
    let mut asked = 0;
    while reader.has_room(0, Place::Content) {
        assert_eq!(reader.ask(&mut Vec::new(), &plan, 7), 2 * asked + 1);
        asked += 1;
    }
    assert_eq!(asked, WINDOW_INITIAL / DIGITS);
    events(&mut reader, &[window_update(0, 12)]);
    assert!(reader.has_room(0, Place::Content));
}

#[test]
fn requests_on_the_wire() {
    let plan = Plan {
        path: "/a".to_owned(),
        ..Plan::new("127.0.0.1:80".parse().unwrap())
    };
    for (place, block, content) in [
        (
            Place::Target,
            "\x04\x11/a/n/000000000007\x01\x0c127.0.0.1:80",
            "",
        ),
        (
            Place::Field,
            "\x04\x02/a\x01\x0c127.0.0.1:80\x00\x06number\x0c000000000007",
            "",
        ),
        (
            Place::Content,
            "\x04\x02/a\x01\x0c127.0.0.1:80\x0f\x0d\x0212",
            "000000000007",
        ),
    ] {
        let plan = Plan {
            place,
            ..plan.clone()
        };
        let mut sent = Vec::new();
        assert_eq!(reader().ask(&mut sent, &plan, 7), 1);
        let (method, end) = match content {
            "" => (0x82, flag::END_STREAM),
            _ => (0x83, 0),
        };
        let block = [&[method, 0x86], block.as_bytes()].concat();
        let mut expected = headers(end, 1, &block);
        if !content.is_empty() {
            expected.extend(data(flag::END_STREAM, 1, content.as_bytes()));
        }
        assert_eq!(sent, expected);
    }
}

/// What was received is given back to the connection, so that no server ever waits for it.
#[test]
fn the_connection_has_a_window_for_ever() {
    let mut reader = reader();
    let mut replies = Vec::new();
    let mut received = 0;
    while replies.is_empty() {
        reader.receive(&data(0, 1, &[0; 10_000]));
        received += 10_000;
        assert!(reader.next(&mut replies).unwrap().is_some());
    }
    assert_eq!(replies, window_update(0, received));
    assert!(received < WINDOW_MAX / 2);
}

#[test]
fn what_cannot_be_understood() {
    let begun = frame(kind::HEADERS, 0, 1, OK);
    let large = vec![0; PAYLOAD_BYTES_MAX + 1];
    for (frames, expected) in [
        (vec![frame(kind::DATA, 0, 1, &large)], Broken::FrameTooLarge),
        (
            vec![frame(kind::GOAWAY, 0, 0, &[0; 7])],
            Broken::FrameTooSmall,
        ),
        (
            vec![frame(kind::RST_STREAM, 0, 1, &[0; 3])],
            Broken::FrameTooSmall,
        ),
        (
            vec![frame(kind::SETTINGS, 0, 0, &[0; 5])],
            Broken::FrameTooSmall,
        ),
        (
            vec![frame(kind::SETTINGS, 0, 0, &[0; 7])],
            Broken::FrameTooSmall,
        ),
        (
            vec![frame(kind::DATA, flag::PADDED, 1, b"\x02a")],
            Broken::Padding,
        ),
        (vec![begun.clone(), data(0, 1, b"a")], Broken::Continuation),
        (
            vec![begun.clone(), frame(kind::CONTINUATION, 0, 3, b"")],
            Broken::Continuation,
        ),
        (
            vec![frame(kind::CONTINUATION, 0, 1, b"")],
            Broken::Continuation,
        ),
        (
            [
                vec![begun],
                vec![frame(kind::CONTINUATION, 0, 1, &large[1..]); 4],
            ]
            .concat(),
            Broken::BlockTooLong,
        ),
        (vec![frame(kind::PUSH_PROMISE, 0, 1, b"")], Broken::Push),
        (
            vec![headers(flag::END_STREAM, 1, b"\x08\x03100")],
            Broken::Interim,
        ),
    ] {
        assert_eq!(broken(&frames), expected);
    }
}
