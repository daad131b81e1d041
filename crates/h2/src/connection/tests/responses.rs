//! Responses: heads, content, trailers, resets.

use ajay_http::{ContentSize, SendBody};

use super::*;

const END: u8 = 1;

fn fields(lines: &[(&str, &str)]) -> FieldSection {
    let mut section = FieldSection::new();
    for (name, value) in lines {
        section.append(name, value).unwrap();
    }
    section
}

#[test]
fn a_whole_response_is_two_frames() {
    let mut server = Server::new();
    let key = server.request(1, "GET", true);
    let own = fields(&[
        ("X-Own", "v"),
        ("connection", "close"),
        ("content-length", "5"),
    ]);
    let response = ResponseHead {
        content_type: Some("text/plain"),
        server: Some("ajay"),
        date: Some(b"Sun, 06 Nov 1994 08:49:37 GMT"),
        ..head(&own)
    };
    let sent = server
        .connection
        .send_whole(key, &response, b"hello", &mut server.out);
    assert_eq!(sent, Ok(true));
    let frames = server.frames();
    assert_eq!((frames[0].flags, frames[0].stream), (4, 1));
    let lines = server.fields_of(&frames[0]);
    let expected = [
        (":status", "200"),
        ("server", "ajay"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("x-own", "v"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(lines, expected);
    assert_eq!(
        frames[1..],
        [Frame {
            flags: END,
            ..plain(0, 1, b"hello")
        }]
    );
    assert!(server.connection.is_idle());
}

#[test]
fn some_responses_have_no_content() {
    for (method, status, own, content, expected) in [
        ("HEAD", 200, &[][..], ContentSize::Exact(5), Some("5")),
        (
            "HEAD",
            200,
            &[("content-length", "7")],
            ContentSize::Empty,
            Some("7"),
        ),
        ("HEAD", 200, &[], ContentSize::Unknown, None),
        (
            "GET",
            204,
            &[("content-length", "7")],
            ContentSize::Empty,
            None,
        ),
        (
            "GET",
            304,
            &[("content-length", "7")],
            ContentSize::Empty,
            Some("7"),
        ),
        ("GET", 205, &[], ContentSize::Empty, Some("0")),
        ("GET", 200, &[], ContentSize::Empty, Some("0")),
        ("GET", 200, &[], ContentSize::Exact(0), Some("0")),
    ] {
        let mut server = Server::new();
        let key = server.request(1, method, true);
        let own = fields(own);
        let response = ResponseHead {
            status: StatusCode::from_u16(status).unwrap(),
            ..head(&own)
        };
        let sent = server
            .connection
            .send_head(key, &response, content, &mut server.out);
        assert_eq!(sent, Ok(SendBody::None));
        let frames = server.frames();
        assert_eq!((frames.len(), frames[0].flags), (1, 4 | END));
        let lines = server.fields_of(&frames[0]);
        let length = lines.iter().find(|(name, _)| name == "content-length");
        assert_eq!(length.map(|(_, value)| value.as_str()), expected);
        assert!(server.connection.is_idle());
    }
}

#[test]
fn heads_that_contradict_themselves_are_refused() {
    let mut server = Server::new();
    let key = server.request(1, "GET", true);
    let two = ContentSize::Exact(2);
    for (status, own, misuse) in [
        (
            200,
            &[("transfer-encoding", "chunked")][..],
            Misuse::TransferEncodingSet,
        ),
        (
            200,
            &[("content-length", "3")],
            Misuse::ContentLengthMismatch,
        ),
        (
            200,
            &[("content-length", "x")],
            Misuse::ContentLengthMismatch,
        ),
        (
            200,
            &[("content-length", "2"), ("content-length", "2")],
            Misuse::ContentLengthMismatch,
        ),
        (101, &[], Misuse::InformationalAsFinal),
        (103, &[], Misuse::InformationalAsFinal),
    ] {
        let own = fields(own);
        let response = ResponseHead {
            status: StatusCode::from_u16(status).unwrap(),
            ..head(&own)
        };
        let sent = server
            .connection
            .send_head(key, &response, two, &mut server.out);
        assert_eq!(sent, Err(misuse));
    }
    assert!(server.out.is_empty() && server.connection.is_response_due(key));
}

#[test]
fn commands_have_their_order() {
    let mut server = Server::new();
    let key = server.request(1, "GET", true);
    let Server {
        connection, out, ..
    } = &mut server;
    let none = FieldSection::new();
    assert_eq!(
        connection.frame_data(key, 1, false, out),
        Err(Misuse::HeadNotSent)
    );
    assert_eq!(connection.set_ready(key, 1, 0), Err(Misuse::HeadNotSent));
    assert_eq!(connection.finish(key, None, out), Err(Misuse::HeadNotSent));
    let informational = |connection: &mut Connection, status, out: &mut Vec<u8>| {
        connection.send_informational(key, status, &none, out)
    };
    for status in [StatusCode::OK, StatusCode::SWITCHING_PROTOCOLS] {
        let sent = informational(connection, status, out);
        assert_eq!(sent, Err(Misuse::NotInformational));
    }
    assert!(out.is_empty());
    assert_eq!(
        informational(connection, StatusCode::EARLY_HINTS, out),
        Ok(())
    );
    let two = ContentSize::Exact(2);
    assert_eq!(
        connection.send_head(key, &head(&none), two, out),
        Ok(SendBody::Payload)
    );
    let again = connection.send_head(key, &head(&none), two, out);
    assert_eq!(again, Err(Misuse::NoResponseDue));
    let sent = informational(connection, StatusCode::EARLY_HINTS, out);
    assert_eq!(sent, Err(Misuse::NoResponseDue));
    let len = out.len();
    assert_eq!(
        connection.frame_data(key, 3, false, out),
        Err(Misuse::ContentTooLong)
    );
    assert_eq!(
        connection.frame_data(key, 1, true, out),
        Err(Misuse::ContentTooShort)
    );
    assert_eq!(
        connection.finish(key, None, out),
        Err(Misuse::ContentTooShort)
    );
    assert_eq!(connection.frame_data(key, 0, false, out), Ok(()));
    assert_eq!(out.len(), len, "nothing was written");
    assert_eq!(connection.frame_data(key, 2, false, out), Ok(()));
    out.extend_from_slice(b"ab");
    assert_eq!(connection.finish(key, None, out), Ok(()));
    assert_eq!(connection.finish(key, None, out), Err(Misuse::StreamClosed));
    let frames = server.frames();
    let shapes: Vec<_> = frames
        .iter()
        .map(|frame| (frame.kind, frame.flags))
        .collect();
    assert_eq!(shapes, [(1, 4), (1, 4), (0, 0), (0, END)]);
}

#[test]
fn trailers_end_a_response() {
    let mut server = Server::new();
    let key = server.request(1, "GET", true);
    let none = FieldSection::new();
    let Server {
        connection, out, ..
    } = &mut server;
    connection
        .send_head(key, &head(&none), ContentSize::Unknown, out)
        .unwrap();
    connection.frame_data(key, 1, false, out).unwrap();
    out.push(b'x');
    let trailers = fields(&[("X-Sum", "1"), ("content-length", "1"), ("set-cookie", "x")]);
    connection.finish(key, Some(&trailers), out).unwrap();
    let frames = server.frames();
    assert_eq!(server.fields_of(&frames[0]).len(), 1, "no length");
    assert_eq!((frames[2].kind, frames[2].flags), (1, 4 | END));
    assert_eq!(
        server.fields_of(&frames[2]),
        [("x-sum".to_owned(), "1".to_owned())]
    );

    let key = server.request(3, "GET", true);
    let Server {
        connection, out, ..
    } = &mut server;
    connection
        .send_head(key, &head(&none), ContentSize::Unknown, out)
        .unwrap();
    let nothing = fields(&[("content-length", "1")]);
    connection.finish(key, Some(&nothing), out).unwrap();
    let frames = server.frames();
    assert_eq!((frames[1].kind, frames[1].flags), (0, END));
}

#[test]
fn continue_is_sent_once_and_only_if_it_is_waited_for() {
    let mut server = Server::new();
    let waiting = server.request_with(1, "POST", false, &[("expect", b"100-continue")]);
    let other = server.request(3, "POST", false);
    for key in [waiting, waiting, other] {
        server
            .connection
            .send_continue(key, &mut server.out)
            .unwrap();
    }
    let frames = server.frames();
    assert_eq!(frames.len(), 1);
    let lines = server.fields_of(&frames[0]);
    assert_eq!(lines, [(":status".to_owned(), "100".to_owned())]);
    assert_eq!(frames[0].flags, 4);

    let started = server.request_with(5, "POST", false, &[("expect", b"100-continue")]);
    assert!(server.connection.expects_continue(started));
    server.receive(&frame(0, 0, 5, b"x"));
    assert!(
        !server.connection.expects_continue(started),
        "it has begun to send"
    );
}

#[test]
fn a_tunnel_has_content_both_ways() {
    let mut server = Server::new();
    let mut encoder = hpack::Encoder::without_table();
    let payload = block(
        &mut encoder,
        &[(":method", b"CONNECT"), (":authority", b"a:1")],
    );
    server.receive(&frame(1, 4, 1, &payload));
    let key = server.connection.streams.find(1).unwrap();
    let none = FieldSection::new();
    let sent = server
        .connection
        .send_head(key, &head(&none), ContentSize::Empty, &mut server.out);
    assert_eq!(sent, Ok(SendBody::Payload));
    let frames = server.frames();
    assert_eq!(server.fields_of(&frames[0]).len(), 1, "no content-length");
    let seen = server.receive(&frame(0, 0, 1, b"up"));
    assert_eq!(seen, [Seen::Data(key, b"up".to_vec())]);
    server
        .connection
        .frame_data(key, 4, false, &mut server.out)
        .unwrap();
}

/// A handler that leaves the content out for HEAD does not know its length: 0 would be a lie.
#[test]
fn no_content_for_head_tells_no_length() {
    let mut server = Server::new();
    let none = FieldSection::new();
    for (method, told) in [("HEAD", false), ("GET", true)] {
        let stream = if told { 3 } else { 1 };
        let key = server.request(stream, method, true);
        let sent = server
            .connection
            .send_whole(key, &head(&none), b"", &mut server.out);
        assert_eq!(sent, Ok(true));
        let frames = server.frames();
        let lines = server.fields_of(&frames[0]);
        let length = lines.iter().any(|(name, _)| name == "content-length");
        assert_eq!(length, told, "{method}");
    }
}

#[test]
fn an_early_response_stops_the_content() {
    let mut server = Server::new();
    let key = server.request(1, "POST", false);
    let none = FieldSection::new();
    let sent = server
        .connection
        .send_whole(key, &head(&none), b"no", &mut server.out);
    assert_eq!(sent, Ok(true));
    assert!(
        server.connection.is_receiving(key),
        "the handler may still read"
    );
    server.frames();
    server.connection.stream_done(key, &mut server.out);
    assert_eq!(server.frames(), [plain(3, 1, b"\0\0\0\0")], "NO_ERROR");
    assert!(server.connection.is_idle());
    assert_eq!(server.receive(&frame(0, 1, 1, b"late")), []);
    assert_eq!(server.frames(), []);
}

#[test]
fn an_abandoned_response_is_an_error() {
    let mut server = Server::new();
    let key = server.request(1, "GET", true);
    server.connection.stream_done(key, &mut server.out);
    server.connection.stream_done(key, &mut server.out);
    assert_eq!(
        server.frames(),
        [plain(3, 1, b"\0\0\0\x02")],
        "INTERNAL_ERROR"
    );
}

#[test]
fn a_reset_stream_counts_until_its_handler_has_ended() {
    let mut server = Server::with(Config {
        concurrent_streams_max: 1,
        ..Config::new()
    });
    let key = server.request(1, "POST", false);
    let seen = server.receive(&frame(3, 0, 1, b"\0\0\0\x08"));
    let cause = ResetCause::Peer(ErrorCode::CANCEL);
    assert_eq!(seen, [Seen::Other(Event::Reset { key, cause })]);
    let payload = b"\x82\x84\x86\x01\x01a";
    let seen = server.receive(&frame(1, 5, 3, payload));
    let violation = Violation::TooManyStreams;
    let stream = 3;
    assert_eq!(seen, [Seen::Other(Event::Rejected { stream, violation })]);
    let late = server.connection.finish(key, None, &mut server.out);
    assert_eq!(late, Err(Misuse::StreamClosed));
    server.connection.stream_done(key, &mut server.out);
    server.request(5, "GET", true);
    assert_eq!(
        server.frames(),
        [plain(3, 3, b"\0\0\0\x07")],
        "REFUSED_STREAM"
    );
}

#[test]
fn a_reset_of_ours_is_told_and_counts_too() {
    let mut server = Server::new();
    let key = server.request(1, "POST", false);
    let reset = |server: &mut Server| {
        server
            .connection
            .reset(key, ErrorCode::CANCEL, &mut server.out)
    };
    assert_eq!(reset(&mut server), Ok(()));
    assert_eq!(reset(&mut server), Err(Misuse::StreamClosed));
    assert_eq!(server.connection.open_streams(), 1);
    server.connection.stream_done(key, &mut server.out);
    assert_eq!(server.frames(), [plain(3, 1, b"\0\0\0\x08")]);
}

#[test]
fn a_refused_request_is_answered() {
    let mut server = Server::with(Config {
        limits: ajay_http::Limits {
            target_bytes_max: 4,
            ..ajay_http::Limits::new()
        },
        ..Config::new()
    });
    let payload = b"\x82\x04\x05/long\x86\x01\x01a";
    let seen = server.receive(&frame(1, 4, 1, payload));
    let [Seen::Other(Event::Refused { key, violation })] = seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(violation.status(), Some(StatusCode::URI_TOO_LONG));
    assert_eq!(server.receive(&frame(0, 0, 1, b"discarded")), []);
    let none = FieldSection::new();
    let response = ResponseHead {
        status: StatusCode::URI_TOO_LONG,
        ..head(&none)
    };
    let sent = server
        .connection
        .send_whole(key, &response, b"", &mut server.out);
    assert_eq!(sent, Ok(true));
    server.connection.stream_done(key, &mut server.out);
    let frames = server.frames();
    assert_eq!((frames[0].kind, frames[0].flags), (1, 4 | END));
    assert_eq!(frames[1], plain(3, 1, b"\0\0\0\0"));
}

#[test]
fn long_heads_are_continued() {
    let mut server = Server::new();
    let key = server.request(1, "GET", true);
    let long = "v".repeat(20_000);
    let own = fields(&[("x-long", &long)]);
    let sent = server
        .connection
        .send_whole(key, &head(&own), b"", &mut server.out);
    assert_eq!(sent, Ok(true));
    let frames = server.frames();
    let shapes: Vec<_> = frames
        .iter()
        .map(|frame| (frame.kind, frame.flags))
        .collect();
    assert_eq!(shapes, [(1, END), (9, 4)]);
    let whole = [&frames[0].payload[..], &frames[1].payload].concat();
    let lines = wire::fields(&mut server.decoder, &whole);
    assert!(lines.contains(&("x-long".to_owned(), long.into_bytes())));
}

#[test]
fn nothing_follows_the_end_of_a_request_that_is_being_answered() {
    for late in [frame(0, 0, 1, b"x"), frame(1, 5, 1, b"\0\x01x\x01y")] {
        let mut server = Server::new();
        let key = server.request(1, "GET", true);
        let seen = server.receive(&late);
        let [Seen::Other(Event::Reset { key: reset, cause })] = seen[..] else {
            panic!("{seen:?}");
        };
        assert_eq!(reset, key);
        let ResetCause::Violation(violation) = cause else {
            panic!("{cause:?}");
        };
        let code = ErrorCode::STREAM_CLOSED;
        assert_eq!(violation.effect(), Effect::Stream(code));
        assert_eq!(server.frames(), [plain(3, 1, b"\0\0\0\x05")]);
        let payload = b"\x82\x84\x86\x01\x01a";
        assert_eq!(
            server.receive(&frame(1, 5, 3, payload)).len(),
            1,
            "the connection goes on"
        );
    }
}

#[test]
fn what_follows_a_reset_of_the_peers_is_an_error_of_the_stream() {
    let mut server = Server::new();
    let key = server.request(1, "POST", false);
    server.receive(&frame(3, 0, 1, b"\0\0\0\x08"));
    let violation = Violation::DataOnClosed;
    let rejected = Seen::Other(Event::Rejected {
        stream: 1,
        violation,
    });
    assert_eq!(
        server.receive(&frame(0, 0, 1, b"x")),
        [rejected],
        "its handler still runs"
    );
    server.connection.stream_done(key, &mut server.out);
    assert_eq!(
        server.receive(&frame(0, 0, 1, b"x")),
        [],
        "it was answered once"
    );
    assert_eq!(server.frames(), [plain(3, 1, b"\0\0\0\x05")]);
}
