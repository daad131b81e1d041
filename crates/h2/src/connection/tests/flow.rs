//! Windows of both directions, and whose turn it is.

use ajay_http::{ContentSize, SendBody};

use super::*;

fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(8, 0, stream, &increment.to_be_bytes())
}

/// Sends a head and says that so much content is ready.
fn offer(server: &mut Server, key: StreamKey, bytes: u64) {
    let none = FieldSection::new();
    let sent =
        server
            .connection
            .send_head(key, &head(&none), ContentSize::Unknown, &mut server.out);
    assert_eq!(sent, Ok(SendBody::Payload));
    server.connection.set_ready(key, bytes, server.now).unwrap();
}

/// Sends what is granted; returns the streams and lengths in order.
fn send_all(server: &mut Server) -> Vec<(u32, u32)> {
    let mut sent = Vec::new();
    while let Some(grant) = server.connection.next_grant(server.now) {
        server
            .connection
            .frame_data(grant.key, grant.bytes_max, false, &mut server.out)
            .unwrap();
        sent.push((grant.key.id(), grant.bytes_max));
    }
    server.out.clear();
    sent
}

#[test]
fn content_is_cut_into_frames_and_windows() {
    let mut server = Server::new();
    let key = server.request(1, "GET", true);
    offer(&mut server, key, 100_000);
    let lens: Vec<u32> = send_all(&mut server)
        .into_iter()
        .map(|(_, len)| len)
        .collect();
    assert_eq!(lens, [16_384, 16_384, 16_384, 16_383], "65 535");
    let misuse = server.connection.frame_data(key, 1, false, &mut server.out);
    assert_eq!(misuse, Err(Misuse::WindowExceeded));
    server.receive(&window_update(1, 1000));
    assert_eq!(
        send_all(&mut server),
        [],
        "the connection's window is empty"
    );
    server.receive(&window_update(0, 600));
    assert_eq!(send_all(&mut server), [(1, 600)]);
    server.receive(&window_update(0, 100_000));
    assert_eq!(send_all(&mut server), [(1, 400)]);
}

#[test]
fn the_peers_settings_change_open_windows() {
    let mut server = Server::new();
    server.receive(&frame(4, 0, 0, b"\0\x04\0\0\0\x0a"));
    let key = server.request(1, "GET", true);
    offer(&mut server, key, 100);
    assert_eq!(send_all(&mut server), [(1, 10)]);
    server.receive(&frame(4, 0, 0, b"\0\x04\0\0\0\x05"));
    server.receive(&window_update(1, 5));
    assert_eq!(send_all(&mut server), [], "-5 and 5");
    server.receive(&frame(4, 0, 0, b"\0\x04\0\0\0\x08"));
    assert_eq!(send_all(&mut server), [(1, 3)]);
}

#[test]
fn a_response_that_does_not_fit_is_not_sent_whole() {
    let mut server = Server::new();
    server.receive(&frame(4, 0, 0, b"\0\x04\0\0\0\x02"));
    let (first, second) = (
        server.request(1, "GET", true),
        server.request(3, "GET", true),
    );
    let none = FieldSection::new();
    server.frames();
    let whole = |server: &mut Server, key, content: &[u8]| {
        server
            .connection
            .send_whole(key, &head(&none), content, &mut server.out)
    };
    assert_eq!(whole(&mut server, first, b"abc"), Ok(false));
    assert!(server.out.is_empty());
    offer(&mut server, first, 3);
    assert_eq!(
        whole(&mut server, second, b"ab"),
        Ok(false),
        "another waits"
    );
    send_all(&mut server);
    assert_eq!(whole(&mut server, second, b"ab"), Ok(true));
}

#[test]
fn turns_follow_priorities() {
    let mut server = Server::new();
    let keys: Vec<StreamKey> = [
        (1, &b"u=5"[..]),
        (3, b"u=3, i"),
        (5, b"u=3, i"),
        (7, b"u=0"),
        (9, b"u=5"),
    ]
    .into_iter()
    .map(|(stream, value)| server.request_with(stream, "GET", true, &[("priority", value)]))
    .collect();
    for key in keys {
        offer(&mut server, key, 2 * 16_384);
    }
    server.receive(&window_update(0, 1 << 20));
    // 9 becomes the most urgent.
    server.receive(&frame(16, 0, 0, b"\0\0\0\x09u=0"));
    let order: Vec<u32> = send_all(&mut server)
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(order, [7, 7, 9, 9, 3, 5, 3, 5, 1, 1]);
}

#[test]
fn a_priority_may_come_before_its_request() {
    let mut server = Server::new();
    server.receive(&frame(16, 0, 0, b"\0\0\0\x01u=1, i"));
    let key = server.request_with(1, "GET", true, &[("priority", b"u=6")]);
    let priority = server.connection.priority(key).unwrap();
    assert_eq!((priority.urgency, priority.incremental), (1, true));
    server.receive(&frame(16, 0, 0, b"\0\0\0\x01"));
    let priority = server.connection.priority(key).unwrap();
    assert_eq!(
        (priority.urgency, priority.incremental),
        (3, false),
        "the defaults"
    );
}

#[test]
fn waiting_for_a_window_is_dated() {
    let mut server = Server::new();
    server.receive(&frame(4, 0, 0, b"\0\x04\0\0\0\0"));
    let key = server.request(1, "GET", true);
    server.now = 10;
    offer(&mut server, key, 1000);
    assert!(!server.connection.has_grants());
    assert_eq!(server.connection.unfinished_since().output, Some(10));
    assert_eq!(server.connection.find_blocked(9), None);
    assert_eq!(server.connection.find_blocked(10), Some(key));
    assert!(server.connection.is_blocked(key));
    assert!(!server.connection.is_window_exhausted());
    server.now = 20;
    server.receive(&window_update(1, 1));
    assert_eq!(send_all(&mut server), [(1, 1)]);
    assert_eq!(
        server.connection.unfinished_since().output,
        Some(10),
        "hardly a window"
    );
    server.receive(&window_update(1, 500));
    assert_eq!(server.connection.unfinished_since().output, None);
    server.now = 30;
    assert_eq!(send_all(&mut server), [(1, 500)]);
    assert_eq!(server.connection.unfinished_since().output, Some(30));
}

#[test]
fn waiting_for_the_connections_window_is_dated() {
    let mut server = Server::new();
    server.receive(&frame(4, 0, 0, b"\0\x04\0\x10\0\0"));
    let key = server.request(1, "GET", true);
    server.now = 10;
    offer(&mut server, key, 100_000);
    send_all(&mut server);
    assert_eq!(server.connection.unfinished_since().output, Some(10));
    assert_eq!(
        server.connection.find_blocked(100),
        None,
        "the stream is not to blame"
    );
    assert!(!server.connection.is_blocked(key));
    assert!(server.connection.is_window_exhausted());
    server.receive(&window_update(0, 1000));
    assert_eq!(server.connection.unfinished_since().output, None);
    assert!(!server.connection.is_window_exhausted());
}

#[test]
fn windows_follow_the_reader() {
    let mut server = Server::new();
    let key = server.request(1, "POST", false);
    server.receive(&frame(0, 0, 1, &[0; 16_384]));
    server.receive(&frame(0, 0, 1, &[0; 16_384]));
    assert_eq!(server.frames(), [], "nothing was used");
    server.connection.release(key, 32_766, &mut server.out);
    assert_eq!(server.frames(), [], "less than half");
    server.connection.release(key, 1, &mut server.out);
    let increment = 32_767_u32.to_be_bytes();
    assert_eq!(
        server.frames(),
        [plain(8, 1, &increment), plain(6, 0, b"ajay-rtt")]
    );
}

#[test]
fn what_will_not_come_needs_no_window() {
    let mut server = Server::new();
    let key = server.request_with(1, "POST", false, &[("content-length", b"40000")]);
    server.receive(&frame(0, 0, 1, &[0; 16_384]));
    server.receive(&frame(0, 0, 1, &[0; 16_384]));
    server.connection.release(key, 32_768, &mut server.out);
    assert!(server.frames().iter().all(|frame| frame.stream != 1));
}

#[test]
fn padding_may_not_use_up_the_window_that_content_needs() {
    let mut server = Server::new();
    let key = server.request_with(1, "POST", false, &[("content-length", b"65000")]);
    let upload = |server: &mut Server, len: u32| {
        server.receive(&frame(0, 0, 1, &vec![0; len as usize]));
        server.connection.release(key, len, &mut server.out);
    };
    for _ in 0..4 {
        upload(&mut server, 16_000);
    }
    assert!(
        server.frames().iter().all(|frame| frame.stream != 1),
        "1000 bytes fit"
    );
    for _ in 0..6 {
        let padded = [&[250_u8][..], &[0; 252]].concat();
        server.receive(&frame(0, 8, 1, &padded));
        server.connection.release(key, 2, &mut server.out);
    }
    let frames = server.frames();
    assert!(
        frames
            .iter()
            .any(|frame| (frame.kind, frame.stream) == (8, 1))
    );
}

#[test]
fn windows_grow_when_a_round_trip_empties_them() {
    let mut server = Server::new();
    let key = server.request(1, "POST", false);
    let upload = |server: &mut Server, frames: u32| {
        for _ in 0..frames {
            server.receive(&frame(0, 0, 1, &[0; 16_384]));
            server.connection.release(key, 16_384, &mut server.out);
        }
    };
    upload(&mut server, 2);
    let probe = plain(6, 0, b"ajay-rtt");
    assert!(server.frames().contains(&probe));
    upload(&mut server, 3);
    server.receive(&frame(6, 1, 0, b"ajay-rtt"));
    upload(&mut server, 2);
    let frames = server.frames();
    // What was released, and another 65 535.
    let increments: Vec<u32> = frames
        .iter()
        .filter(|frame| frame.kind == 8 && frame.stream == 1)
        .map(|frame| crate::frame::number(&frame.payload))
        .collect();
    assert!(
        increments.iter().any(|&increment| increment > 65_535),
        "{increments:?}"
    );
}

#[test]
fn content_that_nobody_wants_is_given_back() {
    let mut server = Server::new();
    let key = server.request(1, "POST", false);
    server
        .connection
        .reset(key, ErrorCode::CANCEL, &mut server.out)
        .unwrap();
    server.connection.stream_done(key, &mut server.out);
    server.frames();
    for _ in 0..4 {
        assert_eq!(server.receive(&frame(0, 0, 1, &[0; 16_384])), []);
    }
    assert_eq!(server.frames(), [plain(8, 0, &65_536_u32.to_be_bytes())]);
}

#[test]
fn content_under_way_is_given_back_when_its_stream_is_reset() {
    let mut server = Server::new();
    let key = server.request(1, "POST", false);
    let data = frame(0, 0, 1, &[0; 16_384]);
    let before = server.connection.receive_window;
    assert_eq!(
        server.receive(&data[..1000]),
        [Seen::Data(key, vec![0; 991])]
    );
    server
        .connection
        .reset(key, ErrorCode::CANCEL, &mut server.out)
        .unwrap();
    assert_eq!(server.receive(&data[1000..]), []);
    server.connection.release(key, 991, &mut server.out);
    let mut expected = before;
    assert!(expected.receive(16_384));
    expected.release(16_384);
    assert_eq!(server.connection.receive_window, expected);
}

#[test]
fn padding_is_given_back_at_once() {
    let mut server = Server::new();
    let key = server.request(1, "POST", false);
    let mut padded = vec![200];
    padded.extend([0; 300]);
    for _ in 0..300 {
        let seen = server.receive(&frame(0, 8, 1, &padded));
        assert_eq!(seen, [Seen::Data(key, vec![0; 100])]);
        server.connection.release(key, 100, &mut server.out);
    }
    let updates: u32 = server
        .frames()
        .iter()
        .filter(|frame| frame.kind == 8 && frame.stream == 0)
        .map(|frame| crate::frame::number(&frame.payload))
        .sum();
    assert!(updates > 0 && updates <= 300 * 301, "{updates}");
    assert_eq!(
        u64::from(server.connection.receive_window.available()),
        u64::from(Config::CONNECTION_WINDOW) - 300 * 301 + u64::from(updates)
    );
}

#[test]
fn a_stalled_upload_is_found() {
    let mut server = Server::new();
    server.now = 10;
    let key = server.request(1, "POST", false);
    assert_eq!(server.connection.find_stalled(9), None);
    assert_eq!(server.connection.find_stalled(10), Some(key));
    server.now = 20;
    server.receive(&frame(0, 0, 1, b"x"));
    assert_eq!(server.connection.find_stalled(19), None);
    for _ in 0..3 {
        server.receive(&frame(0, 0, 1, &[0; 16_384]));
    }
    server.receive(&frame(0, 0, 1, &[0; 16_382]));
    assert_eq!(server.connection.find_stalled(30), None, "we hold it back");
}
