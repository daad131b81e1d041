//! GOAWAY in both directions (RFC 9113 §6.8).

use super::*;

const GET: &[u8] = b"\x82\x84\x86\x41\x01a";

#[test]
fn a_graceful_end_has_two_phases() {
    let mut server = Server::new();
    let first = server.request(1, "GET", true);
    server.connection.drain(Drain::Announce, &mut server.out);
    server.connection.drain(Drain::Announce, &mut server.out);
    assert_eq!(server.frames(), [plain(7, 0, b"\x7f\xff\xff\xff\0\0\0\0")]);
    let second = server.request(3, "POST", false);
    server.connection.drain(Drain::Last, &mut server.out);
    server.connection.drain(Drain::Announce, &mut server.out);
    assert_eq!(server.frames(), [plain(7, 0, b"\0\0\0\x03\0\0\0\0")]);

    // What comes later is ignored, but for the state of compression and the windows.
    assert_eq!(server.receive(&frame(1, 4, 5, GET)), []);
    assert_eq!(server.receive(&frame(0, 0, 5, b"content")), []);
    assert_eq!(server.receive(&frame(8, 0, 5, b"\0\0\0\x01")), []);
    assert_eq!(server.receive(&frame(1, 5, 5, b"\0\x01x\x01y")), []);
    assert_eq!(server.frames(), []);
    let seen = server.receive(&frame(0, 1, 3, b"x"));
    assert_eq!(seen.len(), 2, "what was accepted goes on: {seen:?}");

    let none = FieldSection::new();
    for key in [first, second] {
        assert!(!server.connection.wants_close());
        let sent = server
            .connection
            .send_whole(key, &head(&none), b"bye", &mut server.out);
        assert_eq!(sent, Ok(true));
    }
    assert!(server.connection.wants_close());
    server
        .connection
        .close(ErrorCode::NO_ERROR, &mut server.out);
    let last = server.frames().pop().unwrap();
    assert_eq!(
        last,
        plain(7, 0, b"\0\0\0\x03\0\0\0\0"),
        "the same last stream"
    );
}

#[test]
fn a_peer_that_leaves_is_served_first() {
    let mut server = Server::new();
    let key = server.request(1, "GET", true);
    let seen = server.receive(&frame(7, 0, 0, &[0; 8]));
    let code = ErrorCode::NO_ERROR;
    assert_eq!(seen, [Seen::Other(Event::GoAway { code })]);
    assert!(!server.connection.wants_close());
    let none = FieldSection::new();
    server
        .connection
        .send_whole(key, &head(&none), b"x", &mut server.out)
        .unwrap();
    assert!(server.connection.wants_close());
}

#[test]
fn a_violation_tells_the_last_stream() {
    let mut server = Server::new();
    server.request(7, "POST", false);
    let broken = server.try_receive(&frame(6, 0, 0, b"short"));
    assert_eq!(broken, Err(Violation::PingLength));
    assert_eq!(server.frames(), [plain(7, 0, b"\0\0\0\x07\0\0\0\x06")]);
}
