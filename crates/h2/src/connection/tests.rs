//! Commands, windows, priorities and the end of the connection. What the peer can do wrong stands in
//! the crate's vectors.

mod drain;
mod flow;
mod responses;

use ajay_fields::hpack;
use ajay_http::{FieldSection, RequestHead, ResponseHead, StatusCode};

use super::*;
use crate::{
    Misuse,
    testing::wire::{self, CLIENT_START, Frame, block, frame},
};

/// A connection and the client's side of its field compression.
pub(super) struct Server {
    pub(super) connection: Connection,
    pub(super) config: Config,
    pub(super) now: u64,
    pub(super) out: Vec<u8>,
    encoder: hpack::Encoder,
    pub(super) decoder: hpack::Decoder,
    head: RequestHead,
}

/// An event without its borrow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    Data(StreamKey, Vec<u8>),
    Other(Event<'static>),
}

impl Server {
    /// One that has read the client's preface.
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        let mut out = Vec::new();
        let mut server = Self {
            connection: Connection::new(&config, 0, &mut out),
            config,
            now: 0,
            out: Vec::new(),
            encoder: hpack::Encoder::new(),
            decoder: hpack::Decoder::new(4096),
            head: RequestHead::new(),
        };
        assert_eq!(server.receive(CLIENT_START), []);
        assert_eq!(server.frames(), [settings_ack()]);
        server
    }

    /// Gives whole frames to the connection; returns the events.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.try_receive(bytes).expect("no violation")
    }

    pub(super) fn try_receive(&mut self, bytes: &[u8]) -> Result<Vec<Seen>, Violation> {
        let (mut seen, mut rest) = (Vec::new(), bytes);
        loop {
            let step = self.connection.next_event(
                &self.config,
                self.now,
                rest,
                &mut self.head,
                &mut self.out,
            )?;
            rest = &rest[step.consumed..];
            seen.push(match step.event {
                Event::NeedData => break,
                Event::Data { key, data } => Seen::Data(key, data.to_vec()),
                Event::Request {
                    key,
                    end_of_content,
                    content_length,
                    expect_continue,
                } => Seen::Other(Event::Request {
                    key,
                    end_of_content,
                    content_length,
                    expect_continue,
                }),
                Event::Refused { key, violation } => Seen::Other(Event::Refused { key, violation }),
                Event::Rejected { stream, violation } => {
                    Seen::Other(Event::Rejected { stream, violation })
                }
                Event::EndOfContent { key } => Seen::Other(Event::EndOfContent { key }),
                Event::Reset { key, cause } => Seen::Other(Event::Reset { key, cause }),
                Event::GoAway { code } => Seen::Other(Event::GoAway { code }),
                Event::Paused => {
                    seen.push(Seen::Other(Event::Paused));
                    break;
                }
                Event::Closed => {
                    seen.push(Seen::Other(Event::Closed));
                    break;
                }
            });
        }
        Ok(seen)
    }

    /// Opens a stream; more fields follow the usual ones.
    pub(super) fn request(&mut self, stream: u32, method: &str, end: bool) -> StreamKey {
        self.request_with(stream, method, end, &[])
    }

    pub(super) fn request_with(
        &mut self,
        stream: u32,
        method: &str,
        end: bool,
        fields: &[(&str, &[u8])],
    ) -> StreamKey {
        let mut lines: Vec<(&str, &[u8])> = vec![
            (":method", method.as_bytes()),
            (":path", b"/"),
            (":scheme", b"https"),
            (":authority", b"a"),
        ];
        lines.extend(fields);
        let payload = block(&mut self.encoder, &lines);
        let seen = self.receive(&frame(1, 4 | u8::from(end), stream, &payload));
        match seen.as_slice() {
            [Seen::Other(Event::Request { key, .. })] => *key,
            other => panic!("no request: {other:?}"),
        }
    }

    /// What was written since the last call.
    pub(super) fn frames(&mut self) -> Vec<Frame> {
        wire::frames(&std::mem::take(&mut self.out))
    }

    /// The field lines of a HEADERS frame.
    pub(super) fn fields_of(&mut self, frame: &Frame) -> Vec<(String, String)> {
        assert_eq!(frame.kind, 1);
        wire::fields(&mut self.decoder, &frame.payload)
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8(value).unwrap()))
            .collect()
    }
}

pub(super) fn settings_ack() -> Frame {
    Frame {
        kind: 4,
        flags: 1,
        stream: 0,
        payload: Vec::new(),
    }
}

pub(super) fn plain(kind: u8, stream: u32, payload: &[u8]) -> Frame {
    Frame {
        kind,
        flags: 0,
        stream,
        payload: payload.to_vec(),
    }
}

pub(super) fn head(fields: &FieldSection) -> ResponseHead<'_> {
    ResponseHead {
        status: StatusCode::OK,
        fields,
        content_type: None,
        server: None,
        date: None,
    }
}

#[test]
fn the_servers_preface_announces_the_limits() {
    let mut out = Vec::new();
    let _ = Connection::new(&Config::default(), 0, &mut out);
    assert_eq!(
        out,
        b"\0\0\x24\x04\0\0\0\0\0\
          \0\x01\0\0\x10\0\0\x03\0\0\0\x64\0\x04\0\0\xff\xff\0\x05\0\0\x40\0\0\x06\0\0\x40\0\0\x09\0\0\0\x01\
          \0\0\x04\x08\0\0\0\0\0\0\x01\0\x01"
    );
}

#[test]
fn windows_are_never_smaller_than_the_initial_one() {
    let mut out = Vec::new();
    let config = Config {
        stream_window: 1,
        connection_window: 1,
        frame_bytes_max: 1,
        ..Config::new()
    };
    let _ = Connection::new(&config, 0, &mut out);
    let frames = wire::frames(&out);
    assert_eq!(frames.len(), 1, "no WINDOW_UPDATE");
    assert_eq!(
        frames[0].payload[12..24],
        *b"\0\x04\0\0\xff\xff\0\x05\0\0\x40\0"
    );
}

#[test]
fn pings_are_answered() {
    let mut server = Server::new();
    server.receive(&frame(6, 0, 0, b"abcdefgh"));
    server.receive(&frame(6, 1, 0, b"ignored!"));
    let answer = Frame {
        flags: 1,
        ..plain(6, 0, b"abcdefgh")
    };
    assert_eq!(server.frames(), [answer]);
}

#[test]
fn settings_are_acknowledged_and_ours_are_waited_for() {
    let mut server = Server::new();
    assert_eq!(server.connection.unfinished_since().settings, Some(0));
    server.receive(&frame(4, 1, 0, b""));
    assert_eq!(server.connection.unfinished_since().settings, None);
    server.receive(&frame(4, 0, 0, b"\0\x03\0\0\0\x01"));
    assert_eq!(server.frames(), [settings_ack()]);
}

#[test]
fn cookies_are_joined_and_the_target_is_taken_apart() {
    let mut server = Server::new();
    let lines: &[(&str, &[u8])] = &[
        (":method", b"GET"),
        (":scheme", b"https"),
        (":authority", b"a:1"),
        (":path", b"/p/q?r=s"),
        ("cookie", b"a=1"),
        ("x-own", b"v"),
        ("cookie", b"b=2"),
    ];
    let payload = block(&mut server.encoder, lines);
    server.receive(&frame(1, 5, 1, &payload));
    let head = &server.head;
    assert_eq!(head.target(), "/p/q?r=s");
    assert_eq!((head.path(), head.query()), ("/p/q", Some("r=s")));
    assert_eq!(head.authority(), Some("a:1"));
    assert_eq!(head.scheme(), Some("https"));
    assert_eq!(head.version(), ajay_http::Version::HTTP_2);
    let lines: Vec<_> = head.fields().iter().collect();
    assert_eq!(lines, [("cookie", &b"a=1; b=2"[..]), ("x-own", b"v")]);
}

#[test]
fn host_is_an_authority_too() {
    let mut server = Server::new();
    let lines: &[(&str, &[u8])] = &[
        (":method", b"GET"),
        (":scheme", b"https"),
        (":path", b"/"),
        ("host", b"b"),
    ];
    let payload = block(&mut server.encoder, lines);
    server.receive(&frame(1, 5, 1, &payload));
    assert_eq!(server.head.authority(), Some("b"));
}

#[test]
fn much_output_pauses_reading() {
    let mut server = Server::with(Config {
        output_bytes_max: 20,
        ..Config::new()
    });
    let pings = [frame(6, 0, 0, b"abcdefgh"), frame(6, 0, 0, b"abcdefgh")].concat();
    let pings = [&pings[..], &pings[..]].concat();
    assert_eq!(server.receive(&pings), [Seen::Other(Event::Paused)]);
    assert_eq!(server.frames().len(), 2);
}

#[test]
fn the_end_of_input_means_different_things() {
    let mut out = Vec::new();
    let mut fresh = Connection::new(&Config::default(), 0, &mut out);
    assert_eq!(fresh.handle_eof(0), EofEffect::Idle);
    assert_eq!(fresh.handle_eof(0), EofEffect::AfterLast);

    let mut server = Server::new();
    assert_eq!(server.connection.handle_eof(0), EofEffect::Idle);

    let mut server = Server::new();
    assert_eq!(server.connection.handle_eof(3), EofEffect::InFrame);

    let mut server = Server::new();
    let key = server.request(1, "GET", true);
    assert_eq!(server.connection.handle_eof(0), EofEffect::InStreams);
    let fields = FieldSection::new();
    let sent = server
        .connection
        .send_whole(key, &head(&fields), b"x", &mut server.out);
    assert_eq!(sent, Ok(true), "what is open can be answered");
}

#[test]
fn what_is_read_has_its_deadline() {
    let mut out = Vec::new();
    let config = Config::default();
    let mut connection = Connection::new(&config, 5, &mut out);
    let mut head = RequestHead::new();
    let mut read = |connection: &mut Connection, now, bytes: &[u8]| {
        connection
            .next_event(&config, now, bytes, &mut head, &mut Vec::new())
            .unwrap();
        let since = connection.unfinished_since().reading;
        (connection.reading(), since)
    };
    assert_eq!(
        read(&mut connection, 6, b"PRI * "),
        (Reading::Preface, Some(5))
    );
    assert_eq!(
        read(&mut connection, 7, &CLIENT_START[6..]),
        (Reading::Idle, Some(5))
    );
    let get = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x84\x86\x41\x01a";
    assert_eq!(
        read(&mut connection, 8, &get[..4]),
        (Reading::Frame, Some(8))
    );
    assert_eq!(
        read(&mut connection, 9, &get[..14]),
        (Reading::Frame, Some(8))
    );
    assert_eq!(read(&mut connection, 10, get), (Reading::Streams, None));
    let key = connection.streams.find(1).unwrap();
    connection.stream_done(key, &mut Vec::new());
    assert_eq!(read(&mut connection, 11, b""), (Reading::Idle, Some(10)));
    let part = b"\0\0\x01\x01\x01\0\0\0\x03\x82";
    assert_eq!(read(&mut connection, 12, part), (Reading::Frame, Some(12)));
    assert_eq!(read(&mut connection, 13, b""), (Reading::Frame, Some(12)));
}

#[test]
fn an_idle_connection_gives_memory_back() {
    let mut server = Server::new();
    let payload = [&b"\x82\x84\x86\x41\x01a\0\x01x\x7f\x11"[..], &[b'v'; 144]].concat();
    server.receive(&frame(1, 1, 1, &payload[..6]));
    server.receive(&frame(9, 4, 1, &payload[6..]));
    let key = server.connection.streams.find(1).unwrap();
    server.connection.stream_done(key, &mut Vec::new());
    assert!(server.connection.block_bytes.capacity() > 0);
    server.connection.shrink();
    assert_eq!(server.connection.block_bytes.capacity(), 0);
    server.request(3, "GET", true);
}

#[test]
fn closing_writes_goaway_once() {
    let mut server = Server::new();
    let key = server.request(1, "POST", false);
    server
        .connection
        .close(ErrorCode::ENHANCE_YOUR_CALM, &mut server.out);
    server
        .connection
        .close(ErrorCode::NO_ERROR, &mut server.out);
    assert_eq!(server.frames(), [plain(7, 0, b"\0\0\0\x01\0\0\0\x0b")]);
    assert_eq!(server.receive(b"rest"), [Seen::Other(Event::Closed)]);
    let done = server.connection.finish(key, None, &mut server.out);
    assert_eq!(done, Err(Misuse::StreamClosed));
    server.connection.stream_done(key, &mut server.out);
    server.connection.release(key, 100_000, &mut server.out);
    assert!(server.out.is_empty() && server.connection.wants_close());
}
