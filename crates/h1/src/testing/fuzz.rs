//! The bodies of the fuzz targets: each takes any bytes and panics if a property does not hold.

use ajay_http::{FieldSection, KnownField, RequestHead, StatusCode};

use super::{Transcript, replay, small_limits};
use crate::{
    Config, Connection, ContentSize, EofEffect, Event, Misuse, NextCycle, ResponseHead, SendBody,
};

/// The first byte chooses limits and where the input is cut; the rest is a connection's bytes.
///
/// However the bytes are cut, the same comes of them; and what we accept as a head, httparse
/// accepts with the same method, target and fields.
pub fn fuzz_head(data: &[u8]) {
    let Some((&choice, wire)) = data.split_first() else {
        return;
    };
    let config = if choice & 1 == 0 {
        Config::default()
    } else {
        small_limits()
    };
    let whole = replay(&config, wire, []);
    assert_eq!(whole, replay(&config, wire, 1..wire.len()), "byte by byte");
    let cut = usize::from(choice >> 1) * wire.len().max(1) / 128;
    assert_eq!(whole, replay(&config, wire, [cut]), "cut at {cut}");
    compare_with_httparse(wire, &whole);
}

/// Chunked content behind a fixed head; the first byte chooses limits and cuts.
pub fn fuzz_chunked(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    fuzz_head(&[&[choice][..], head, body].concat());
}

fn compare_with_httparse(wire: &[u8], transcript: &Transcript) {
    let Some(ours) = transcript.requests.first() else {
        return;
    };
    let mut lines = [httparse::EMPTY_HEADER; 128];
    let mut theirs = httparse::Request::new(&mut lines);
    let status = theirs.parse(wire);
    assert!(
        matches!(status, Ok(httparse::Status::Complete(_))),
        "{status:?}"
    );
    assert_eq!(theirs.method, Some(ours.method.as_str()));
    assert_eq!(theirs.path, Some(ours.target.as_str()));
    assert_eq!(theirs.version, Some(u8::from(!ours.is_http10)));
    assert_eq!(theirs.headers.len(), ours.fields.len());
    for (theirs, (name, value)) in theirs.headers.iter().zip(&ours.fields) {
        assert!(
            theirs.name.eq_ignore_ascii_case(name),
            "{} {name}",
            theirs.name
        );
        assert_eq!(theirs.value, value.as_slice(), "{name}");
    }
}

/// A sequence of operations: each byte of `data` is one, and some take the bytes after it.
///
/// Whatever a caller does in whatever order, nothing panics, refused commands write nothing, and what
/// was written is a sequence of well-formed responses.
pub fn fuzz_connection(data: &[u8]) {
    let mut caller = Caller::new();
    let mut operations = data.iter().copied();
    while let Some(operation) = operations.next() {
        let mut take = |count: usize| operations.by_ref().take(count).collect::<Vec<u8>>();
        match operation {
            // Bytes arrive: raw ones, or a piece of something a client would send.
            0..=63 => caller.pending.extend(take(usize::from(operation) + 1)),
            64..=127 => {
                caller
                    .pending
                    .extend_from_slice(PIECES[usize::from(operation) % PIECES.len()]);
            }
            128..=159 => caller.read(),
            160..=207 => caller.send_head(operation, take(1).first().copied().unwrap_or(0)),
            208..=223 => caller.send_data(u64::from(operation - 208)),
            224..=231 => caller.finish(operation & 1 == 1),
            232..=239 => caller.next_cycle(),
            240..=243 => caller.send_informational(operation),
            244 => drop(caller.connection.send_continue(&mut caller.output)),
            245 => caller.connection.close_after(),
            246 => caller.connection.refuse_request(),
            247 => caller.eof(),
            248.. => caller.getters(),
        }
    }
}

const PIECES: [&[u8]; 16] = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"PUT /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    b"GET /w HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"POST /w HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\n",
    b"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"2;x=\"y\"\r\nab\r\n",
    b"0\r\nx: y\r\n\r\n",
    b"\r\n",
    b"abc",
];

struct Caller {
    connection: Connection,
    head: RequestHead,
    config: Config,
    pending: Vec<u8>,
    output: Vec<u8>,
    /// Content bytes that may still be sent in the open response.
    payload: bool,
}

impl Caller {
    fn new() -> Self {
        Self {
            connection: Connection::new(),
            head: RequestHead::new(),
            config: small_limits(),
            pending: Vec::new(),
            output: Vec::new(),
            payload: false,
        }
    }

    fn read(&mut self) {
        let step = match self
            .connection
            .next_event(&self.config, &self.pending, &mut self.head)
        {
            Ok(step) => step,
            Err(violation) => {
                assert!(violation.status().as_u16() >= 400);
                assert!(!self.connection.is_persistent());
                self.pending.clear();
                return;
            }
        };
        assert!(step.consumed <= self.pending.len());
        match step.event {
            Event::Request { .. } => {
                assert!(self.connection.is_response_due());
                assert!(!self.head.target().is_empty());
            }
            Event::Data(data) => assert!(!data.is_empty()),
            Event::End => assert!(self.connection.is_request_complete()),
            Event::Paused | Event::HandOver | Event::Closed => assert_eq!(step.consumed, 0),
            Event::NeedData => {}
        }
        self.pending.drain(..step.consumed);
    }

    fn send_head(&mut self, operation: u8, choice: u8) {
        let codes = [200, 204, 304, 101, 205, 404, 500, 200, 103, 999];
        let code = codes[usize::from(choice) % codes.len()];
        let status = StatusCode::from_u16(code).expect("a valid code");
        let mut fields = FieldSection::new();
        let extra: &[(&str, &str)] = match choice >> 4 {
            0 => &[("content-length", "5")],
            1 => &[("connection", "close, x")],
            2 => &[("upgrade", "websocket")],
            3 => &[("transfer-encoding", "chunked")],
            4 => &[("x-own", "value"), ("date", "today")],
            _ => &[],
        };
        for (name, value) in extra {
            fields.append(name, value).expect("a valid field");
        }
        let content = match operation % 3 {
            0 => ContentSize::Empty,
            1 => ContentSize::Exact(u64::from(operation) % 9),
            _ => ContentSize::Unknown,
        };
        let head = ResponseHead {
            status,
            fields: &fields,
            content_type: Some("text/plain"),
            server: None,
            date: None,
        };
        let (before, was_due) = (self.output.len(), self.connection.is_response_due());
        match self.connection.send_head(&head, content, &mut self.output) {
            Ok(body) => {
                assert!(was_due);
                self.payload = body == SendBody::Payload;
                assert_eq!(self.connection.is_response_finished(), !self.payload);
                check_head(&self.output[before..]);
            }
            Err(_) => assert_eq!(
                self.output.len(),
                before,
                "a refused command writes nothing"
            ),
        }
    }

    fn send_data(&mut self, len: u64) {
        let before = self.output.len();
        match self.connection.frame_data(len, &mut self.output) {
            Ok(()) => {
                assert!(self.payload || len == 0);
                self.connection.end_data(&mut self.output);
            }
            Err(_) => assert_eq!(self.output.len(), before),
        }
    }

    fn finish(&mut self, with_trailers: bool) {
        let mut trailers = FieldSection::new();
        trailers.append("x-sum", "1").expect("a valid field");
        trailers
            .append("content-length", "1")
            .expect("a valid field");
        let before = self.output.len();
        match self
            .connection
            .finish(with_trailers.then_some(&trailers), &mut self.output)
        {
            Ok(()) => {
                assert!(self.connection.is_response_finished());
                self.payload = false;
            }
            Err(misuse) => {
                assert!(matches!(
                    misuse,
                    Misuse::HeadNotSent | Misuse::ContentTooShort
                ));
                assert_eq!(self.output.len(), before);
            }
        }
    }

    fn next_cycle(&mut self) {
        let (complete, finished) = (
            self.connection.is_request_complete(),
            self.connection.is_response_finished(),
        );
        match self.connection.start_next_cycle() {
            Ok(NextCycle::Ready) => {
                assert!(complete && finished);
                assert!(!self.connection.is_response_finished());
            }
            Ok(NextCycle::Close) => assert!(finished && !self.connection.is_persistent()),
            Ok(NextCycle::HandOver) => assert!(complete && finished),
            Err(_) => assert!(!(complete && finished)),
        }
    }

    fn send_informational(&mut self, operation: u8) {
        let status = [100, 101, 103, 200][usize::from(operation) % 4];
        let status = StatusCode::from_u16(status).expect("a valid code");
        let before = self.output.len();
        let sent =
            self.connection
                .send_informational(status, &FieldSection::new(), &mut self.output);
        if sent.is_err() {
            assert_eq!(self.output.len(), before);
        }
    }

    fn eof(&mut self) {
        let effect = self.connection.handle_eof(self.pending.len());
        if effect != EofEffect::Waiting {
            assert_eq!(self.connection.handle_eof(0), EofEffect::AfterLast);
        }
    }

    fn getters(&mut self) {
        let _ = (
            self.connection.reading(),
            self.connection.content_remaining(),
        );
        if self.connection.expects_continue() {
            assert!(self.connection.is_response_due());
        }
        drop(self.connection.take_trailers());
    }
}

/// A response head has one empty line, at its end, and framing that does not contradict itself.
fn check_head(head: &[u8]) {
    assert!(head.starts_with(b"HTTP/1.1 ") && head.ends_with(b"\r\n\r\n"));
    let mut lines = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut lines);
    assert_eq!(
        response.parse(head),
        Ok(httparse::Status::Complete(head.len()))
    );
    let count = |field: KnownField| {
        response
            .headers
            .iter()
            .filter(|line| line.name.eq_ignore_ascii_case(field.as_str()))
            .count()
    };
    assert!(count(KnownField::ContentLength) + count(KnownField::TransferEncoding) <= 1);
    assert!(count(KnownField::Connection) <= 1);
    assert!(count(KnownField::ContentType) <= 1);
}
