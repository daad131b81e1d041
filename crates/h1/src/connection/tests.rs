use ajay_http::KnownField;

use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_10: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
const GET_10_KEEP_ALIVE: &[u8] = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
const GET_CLOSE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const POST_5: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const EXPECT: &[u8] =
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
const CONNECT: &[u8] = b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n";
const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

/// A connection and what a caller holds beside it.
struct Server {
    connection: Connection,
    head: RequestHead,
    config: Config,
    out: Vec<u8>,
}

impl Server {
    fn new() -> Self {
        Self {
            connection: Connection::new(),
            head: RequestHead::new(),
            config: Config::default(),
            out: Vec::new(),
        }
    }

    /// A server that has read the head of `request`.
    fn after(request: &[u8]) -> Self {
        let mut server = Self::new();
        let step = server.step(request);
        assert!(matches!(step.event, Event::Request { .. }), "{step:?}");
        assert_eq!(step.consumed, request.len());
        server
    }

    fn step<'i>(&mut self, input: &'i [u8]) -> Step<'i> {
        self.connection
            .next_event(&self.config, input, &mut self.head)
            .unwrap()
    }

    fn event<'i>(&mut self, input: &'i [u8]) -> Event<'i> {
        self.step(input).event
    }

    fn send(
        &mut self,
        status: u16,
        fields: &[(&str, &str)],
        content: ContentSize,
    ) -> Result<SendBody, Misuse> {
        let fields = section(fields);
        let head = ResponseHead {
            status: StatusCode::from_u16(status).unwrap(),
            fields: &fields,
            content_type: None,
            server: None,
            date: None,
        };
        self.connection.send_head(&head, content, &mut self.out)
    }

    fn text(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.out)).unwrap()
    }
}

fn section(fields: &[(&str, &str)]) -> FieldSection {
    let mut section = FieldSection::new();
    for (name, value) in fields {
        section.append(name, value).unwrap();
    }
    section
}

/// The head that answers `request`, and what follows it.
fn answer(
    request: &[u8],
    status: u16,
    fields: &[(&str, &str)],
    content: ContentSize,
) -> (String, SendBody) {
    let mut server = Server::after(request);
    let body = server.send(status, fields, content).unwrap();
    (server.text(), body)
}

fn misuse(request: &[u8], status: u16, fields: &[(&str, &str)], content: ContentSize) -> Misuse {
    let mut server = Server::after(request);
    let misuse = server.send(status, fields, content).unwrap_err();
    assert!(server.out.is_empty(), "nothing is written");
    assert!(
        server.connection.is_response_due(),
        "another head may be sent"
    );
    misuse
}

const EMPTY: ContentSize = ContentSize::Empty;
const UNKNOWN: ContentSize = ContentSize::Unknown;

const fn exact(size: u64) -> ContentSize {
    ContentSize::Exact(size)
}

#[test]
fn a_connection_is_small() {
    eprintln!("{} bytes", size_of::<Connection>());
    assert!(size_of::<Connection>() <= 96);
}

#[test]
fn lengths_are_declared() {
    let (text, body) = answer(GET, 200, &[], exact(5));
    assert_eq!(text, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(body, SendBody::Payload);
    for content in [EMPTY, exact(0)] {
        let (text, body) = answer(GET, 404, &[], content);
        assert_eq!(text, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(body, SendBody::None);
    }
    let (text, body) = answer(GET, 200, &[], UNKNOWN);
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    assert_eq!(body, SendBody::Payload);
    let (text, _) = answer(GET, 200, &[], exact(u64::MAX));
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n"
    );
}

#[test]
fn the_application_may_declare_the_length_itself() {
    let declared = [("content-length", "5")];
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(
        answer(GET, 200, &declared, exact(5)),
        (expected.to_owned(), SendBody::Payload)
    );
    assert_eq!(
        answer(GET, 200, &declared, UNKNOWN),
        (expected.to_owned(), SendBody::Payload)
    );
    assert_eq!(
        misuse(GET, 200, &declared, exact(6)),
        Misuse::ContentLengthMismatch
    );
    assert_eq!(
        misuse(GET, 200, &declared, EMPTY),
        Misuse::ContentLengthMismatch
    );
    let twice = [("content-length", "5"), ("content-length", "5")];
    assert_eq!(
        misuse(GET, 200, &twice, exact(5)),
        Misuse::ContentLengthMismatch
    );
    assert_eq!(
        misuse(GET, 200, &[("content-length", "x")], UNKNOWN),
        Misuse::ContentLengthMismatch
    );
    assert_eq!(
        misuse(GET, 200, &[("transfer-encoding", "chunked")], UNKNOWN),
        Misuse::TransferEncodingSet
    );
}

#[test]
fn responses_to_head_have_no_content() {
    let ok = |fields: &str| (format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), SendBody::None);
    assert_eq!(
        answer(HEAD, 200, &[], exact(5)),
        ok("Content-Length: 5\r\n")
    );
    assert_eq!(
        answer(HEAD, 200, &[], exact(0)),
        ok("Content-Length: 0\r\n")
    );
    assert_eq!(answer(HEAD, 200, &[], EMPTY), ok(""));
    assert_eq!(answer(HEAD, 200, &[], UNKNOWN), ok(""));
    let declared = [("content-length", "9")];
    assert_eq!(
        answer(HEAD, 200, &declared, EMPTY),
        ok("Content-Length: 9\r\n")
    );
    assert_eq!(
        answer(HEAD, 200, &declared, exact(0)),
        ok("Content-Length: 9\r\n")
    );
}

#[test]
fn some_status_codes_have_no_content() {
    let none = |text: &str| (text.to_owned(), SendBody::None);
    let declared = [("content-length", "9")];
    for content in [EMPTY, exact(5), UNKNOWN] {
        assert_eq!(
            answer(GET, 204, &[], content),
            none("HTTP/1.1 204 No Content\r\n\r\n")
        );
        assert_eq!(
            answer(GET, 204, &declared, content),
            none("HTTP/1.1 204 No Content\r\n\r\n")
        );
        assert_eq!(
            answer(GET, 304, &[], content),
            none("HTTP/1.1 304 Not Modified\r\n\r\n")
        );
        assert_eq!(
            answer(GET, 304, &declared, content),
            none("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")
        );
        assert_eq!(
            answer(GET, 205, &[], content),
            none("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n")
        );
    }
    // HTTP/1.0 clients keep the connection on these: their end is known without content.
    let (text, _) = answer(GET_10_KEEP_ALIVE, 304, &[], UNKNOWN);
    assert_eq!(
        text,
        "HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\n\r\n"
    );
}

#[test]
fn persistence_is_negotiated() {
    let connection = |request: &[u8], fields: &[(&str, &str)], content| {
        let (text, _) = answer(request, 200, fields, content);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Connection: "));
        line.unwrap_or("").to_owned()
    };
    assert_eq!(connection(GET, &[], EMPTY), "");
    assert_eq!(connection(GET_CLOSE, &[], EMPTY), "close");
    assert_eq!(connection(GET, &[("connection", "close")], EMPTY), "close");
    assert_eq!(
        connection(
            GET,
            &[("connection", "x, Close"), ("connection", "y")],
            EMPTY
        ),
        "close, x, y"
    );
    assert_eq!(connection(GET, &[("connection", "x")], EMPTY), "x");
    assert_eq!(connection(GET, &[("connection", "keep-alive")], EMPTY), "");
    assert_eq!(
        connection(GET_CLOSE, &[("connection", "keep-alive")], EMPTY),
        "close"
    );
    assert_eq!(connection(GET, &[("upgrade", "h2c")], EMPTY), "upgrade");
    assert_eq!(
        connection(GET, &[("upgrade", "h2c"), ("connection", "upgrade")], EMPTY),
        "upgrade"
    );
    assert_eq!(connection(GET_10, &[], EMPTY), "close");
    assert_eq!(connection(GET_10_KEEP_ALIVE, &[], EMPTY), "keep-alive");
    assert_eq!(connection(GET_10_KEEP_ALIVE, &[], exact(3)), "keep-alive");
    assert_eq!(connection(GET_10_KEEP_ALIVE, &[], UNKNOWN), "close");
    assert_eq!(
        connection(GET_10_KEEP_ALIVE, &[("connection", "close")], EMPTY),
        "close"
    );
}

#[test]
fn http10_content_of_unknown_size_ends_with_the_connection() {
    let mut server = Server::after(GET_10_KEEP_ALIVE);
    assert_eq!(server.send(200, &[], UNKNOWN), Ok(SendBody::Payload));
    assert_eq!(
        server.text(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    );
    server.connection.frame_data(3, &mut server.out).unwrap();
    server.connection.end_data(&mut server.out);
    let trailers = section(&[("x", "y")]);
    server
        .connection
        .finish(Some(&trailers), &mut server.out)
        .unwrap();
    assert_eq!(server.text(), "");
    assert!(!server.connection.is_persistent());
    assert_eq!(server.connection.start_next_cycle(), Ok(NextCycle::Close));
    assert_eq!(server.event(GET), Event::Closed);
}

#[test]
fn automatic_fields_give_way_to_the_application() {
    let mut server = Server::after(GET);
    let head = |fields| ResponseHead {
        status: StatusCode::OK,
        fields,
        content_type: Some("text/plain"),
        server: Some("ajay"),
        date: Some(b"Sun, 06 Nov 1994 08:49:37 GMT"),
    };
    let fields = section(&[("X-Own", "v"), ("vary", "x")]);
    server
        .connection
        .send_head(&head(&fields), exact(1), &mut server.out)
        .unwrap();
    assert_eq!(
        server.text(),
        "HTTP/1.1 200 OK\r\nServer: ajay\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Content-Type: text/plain\r\nContent-Length: 1\r\nX-Own: v\r\nVary: x\r\n\r\n"
    );
    let mut server = Server::after(GET);
    let fields = section(&[("server", "s"), ("date", "d"), ("content-type", "c")]);
    server
        .connection
        .send_head(&head(&fields), exact(1), &mut server.out)
        .unwrap();
    assert_eq!(
        server.text(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nServer: s\r\nDate: d\r\nContent-Type: c\r\n\r\n"
    );
}

#[test]
fn chunks_and_trailers_are_framed() {
    let mut server = Server::after(GET);
    server.send(200, &[], UNKNOWN).unwrap();
    server.out.clear();
    server.connection.frame_data(3, &mut server.out).unwrap();
    server.out.extend_from_slice(b"abc");
    server.connection.end_data(&mut server.out);
    server.connection.frame_data(0, &mut server.out).unwrap();
    server.connection.end_data(&mut server.out);
    server
        .connection
        .frame_data(0x1_0000_000f, &mut server.out)
        .unwrap();
    server.connection.end_data(&mut server.out);
    let trailers = section(&[
        ("x-sum", "1"),
        ("content-length", "3"),
        ("server-timing", "t"),
    ]);
    server
        .connection
        .finish(Some(&trailers), &mut server.out)
        .unwrap();
    assert_eq!(
        server.text(),
        "3\r\nabc\r\n10000000f\r\n\r\n0\r\nx-sum: 1\r\nServer-Timing: t\r\n\r\n"
    );
    server.connection.finish(None, &mut server.out).unwrap();
    assert_eq!(server.text(), "", "finishing twice does nothing");
    assert_eq!(server.connection.start_next_cycle(), Ok(NextCycle::Ready));
}

#[test]
fn declared_lengths_are_kept() {
    let mut server = Server::after(GET);
    let out = &mut Vec::new();
    assert_eq!(
        server.connection.frame_data(1, out),
        Err(Misuse::HeadNotSent)
    );
    assert_eq!(
        server.connection.finish(None, out),
        Err(Misuse::HeadNotSent)
    );
    server.send(200, &[], exact(5)).unwrap();
    assert_eq!(server.send(200, &[], EMPTY), Err(Misuse::NoResponseDue));
    server.connection.frame_data(3, out).unwrap();
    assert_eq!(
        server.connection.frame_data(3, out),
        Err(Misuse::ContentTooLong)
    );
    assert_eq!(
        server.connection.finish(None, out),
        Err(Misuse::ContentTooShort)
    );
    assert_eq!(
        server.connection.start_next_cycle(),
        Err(Misuse::ResponseNotFinished)
    );
    server.connection.frame_data(2, out).unwrap();
    assert_eq!(server.connection.finish(None, out), Ok(()));
    assert_eq!(
        server.connection.frame_data(1, out),
        Err(Misuse::ContentTooLong)
    );
    assert!(out.is_empty());
}

#[test]
fn nothing_is_sent_without_a_request() {
    let mut server = Server::new();
    let out = &mut Vec::new();
    assert_eq!(server.send(200, &[], EMPTY), Err(Misuse::NoResponseDue));
    assert_eq!(
        server.connection.send_continue(out),
        Err(Misuse::NoResponseDue)
    );
    assert_eq!(
        server.connection.start_next_cycle(),
        Err(Misuse::ResponseNotFinished)
    );
}

#[test]
fn informational_responses_come_before_the_final_one() {
    let hints = section(&[("link", "</a>"), ("content-length", "5")]);
    let mut server = Server::after(GET);
    let connection = &mut server.connection;
    connection
        .send_informational(StatusCode::EARLY_HINTS, &hints, &mut server.out)
        .unwrap();
    assert_eq!(
        server.text(),
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    );
    let connection = &mut server.connection;
    for status in [StatusCode::OK, StatusCode::SWITCHING_PROTOCOLS] {
        let sent = connection.send_informational(status, &hints, &mut server.out);
        assert_eq!(sent, Err(Misuse::NotInformational));
    }
    server.send(200, &[], EMPTY).unwrap();
    let sent =
        server
            .connection
            .send_informational(StatusCode::PROCESSING, &hints, &mut Vec::new());
    assert_eq!(sent, Err(Misuse::NoResponseDue));
    assert_eq!(misuse(GET, 103, &[], EMPTY), Misuse::InformationalAsFinal);
    assert_eq!(misuse(GET, 100, &[], EMPTY), Misuse::InformationalAsFinal);

    let mut server = Server::after(GET_10);
    let connection = &mut server.connection;
    connection
        .send_informational(StatusCode::EARLY_HINTS, &hints, &mut server.out)
        .unwrap();
    assert_eq!(
        server.text(),
        "",
        "an HTTP/1.0 client would take it for the final one"
    );
}

#[test]
fn an_expectation_is_met_once() {
    let mut server = Server::after(EXPECT);
    assert!(server.connection.expects_continue());
    server.connection.send_continue(&mut server.out).unwrap();
    assert_eq!(server.text(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(!server.connection.expects_continue());
    server.connection.send_continue(&mut server.out).unwrap();
    assert_eq!(server.text(), "");
    server.send(200, &[], EMPTY).unwrap();
    assert_eq!(
        server.text(),
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    );
    assert!(server.connection.is_persistent());
}

#[test]
fn content_that_comes_anyway_settles_an_expectation() {
    let mut server = Server::after(EXPECT);
    assert_eq!(server.event(b"he"), Event::Data(b"he"));
    assert!(!server.connection.expects_continue());
    server.connection.send_continue(&mut server.out).unwrap();
    assert_eq!(server.text(), "");
    server.send(200, &[], EMPTY).unwrap();
    assert!(server.connection.is_persistent());
}

#[test]
fn an_expectation_that_is_not_met_ends_the_connection() {
    let mut server = Server::after(EXPECT);
    server.send(413, &[], EMPTY).unwrap();
    let text = server.text();
    assert_eq!(
        text,
        "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    assert!(!server.connection.is_persistent());
    // What comes can still be read, to be discarded.
    assert_eq!(server.event(b"hello"), Event::Data(b"hello"));
    assert_eq!(server.connection.start_next_cycle(), Ok(NextCycle::Close));
    // 100 sent as any informational response counts, too.
    let mut server = Server::after(EXPECT);
    let none = FieldSection::new();
    let connection = &mut server.connection;
    connection
        .send_informational(StatusCode::CONTINUE, &none, &mut server.out)
        .unwrap();
    assert_eq!(server.text(), "HTTP/1.1 100 Continue\r\n\r\n");
    server.send(200, &[], EMPTY).unwrap();
    assert!(server.connection.is_persistent());
}

#[test]
fn an_early_response_leaves_the_content_to_be_read() {
    let mut server = Server::after(POST_5);
    assert_eq!(server.event(b"he"), Event::Data(b"he"));
    assert_eq!(
        server.connection.content_remaining(),
        ContentRemaining::Known(3)
    );
    server.send(200, &[], EMPTY).unwrap();
    assert!(server.connection.is_persistent());
    assert_eq!(
        server.connection.start_next_cycle(),
        Err(Misuse::RequestNotComplete)
    );
    assert_eq!(server.event(b"lloGET"), Event::Data(b"llo"));
    assert_eq!(
        server.connection.start_next_cycle(),
        Err(Misuse::RequestNotComplete)
    );
    assert_eq!(
        server.step(b"GET"),
        Step {
            consumed: 0,
            event: Event::End
        }
    );
    assert_eq!(
        server.step(b"GET"),
        Step {
            consumed: 0,
            event: Event::Paused
        }
    );
    assert_eq!(server.connection.start_next_cycle(), Ok(NextCycle::Ready));
    assert_eq!(
        server.event(GET),
        Event::Request {
            framing: Framing::None,
            expect_continue: false
        }
    );
}

#[test]
fn closing_is_announced_if_there_is_time() {
    let mut server = Server::after(GET);
    assert_eq!(server.event(GET), Event::Paused);
    server.connection.close_after();
    assert_eq!(server.event(GET), Event::Closed);
    server.send(200, &[], EMPTY).unwrap();
    assert!(server.text().contains("Connection: close\r\n"));
    assert_eq!(server.connection.start_next_cycle(), Ok(NextCycle::Close));

    // Between requests: the next one is still answered.
    let mut server = Server::new();
    server.connection.close_after();
    assert!(matches!(server.event(GET), Event::Request { .. }));
    server.send(200, &[], EMPTY).unwrap();
    assert!(server.text().contains("Connection: close\r\n"));

    // After the head it can only be done.
    let mut server = Server::after(GET);
    server.send(200, &[], EMPTY).unwrap();
    assert!(!server.text().contains("Connection"));
    server.connection.close_after();
    assert_eq!(server.connection.start_next_cycle(), Ok(NextCycle::Close));
}

#[test]
fn connect_hands_the_connection_over() {
    let mut server = Server::after(CONNECT);
    assert!(server.connection.is_connect());
    assert_eq!(server.event(b"tunnel"), Event::Paused);
    let fields = [("content-length", "5"), ("connection", "close")];
    assert_eq!(server.send(200, &fields, exact(5)), Ok(SendBody::None));
    assert_eq!(server.text(), "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(
        server.step(b"tunnel"),
        Step {
            consumed: 0,
            event: Event::HandOver
        }
    );
    assert_eq!(
        server.connection.start_next_cycle(),
        Ok(NextCycle::HandOver)
    );
    assert_eq!(server.connection.handle_eof(3), EofEffect::AfterLast);

    // Refused, it is a request like any other.
    let mut server = Server::after(CONNECT);
    assert_eq!(server.send(405, &[], exact(2)), Ok(SendBody::Payload));
    assert_eq!(server.event(GET), Event::Paused);
}

#[test]
fn switching_protocols_hands_the_connection_over() {
    let mut server = Server::after(UPGRADE);
    assert!(server.connection.offers_upgrade());
    assert_eq!(server.event(b"x"), Event::Paused);
    assert_eq!(
        server.send(101, &[("upgrade", "websocket")], UNKNOWN),
        Ok(SendBody::None)
    );
    assert_eq!(
        server.text(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    );
    assert_eq!(server.event(b"x"), Event::HandOver);
    assert_eq!(
        server.connection.start_next_cycle(),
        Ok(NextCycle::HandOver)
    );

    assert_eq!(
        misuse(UPGRADE, 101, &[], EMPTY),
        Misuse::SwitchWithoutUpgrade
    );
    let offer = [("upgrade", "websocket")];
    assert_eq!(
        misuse(GET, 101, &offer, EMPTY),
        Misuse::SwitchWithoutUpgrade
    );
    let no_option: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(
        misuse(no_option, 101, &offer, EMPTY),
        Misuse::SwitchWithoutUpgrade
    );
    let http10: &[u8] = b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(
        misuse(http10, 101, &offer, EMPTY),
        Misuse::SwitchWithoutUpgrade
    );
}

#[test]
fn a_hand_over_waits_for_the_end_of_the_request() {
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\
        Content-Length: 2\r\n\r\n";
    let mut server = Server::after(request);
    server.send(101, &[("upgrade", "x")], EMPTY).unwrap();
    assert_eq!(server.event(b"abX"), Event::Data(b"ab"));
    assert_eq!(
        server.connection.start_next_cycle(),
        Err(Misuse::RequestNotComplete)
    );
    assert_eq!(server.event(b"X"), Event::End);
    assert_eq!(server.event(b"X"), Event::HandOver);
}

#[test]
fn unusual_status_codes_are_written_with_three_digits() {
    assert!(
        answer(GET, 299, &[], EMPTY)
            .0
            .starts_with("HTTP/1.1 299 \r\n")
    );
    assert!(
        answer(GET, 600, &[], EMPTY)
            .0
            .starts_with("HTTP/1.1 600 \r\n")
    );
    assert!(
        answer(GET, 999, &[], EMPTY)
            .0
            .starts_with("HTTP/1.1 999 \r\n")
    );
}

#[test]
fn a_violation_leaves_one_response_due() {
    let mut server = Server::new();
    let bad = b"HEAD / HTTP/1.1\r\nHost : a\r\n\r\n";
    let read = server
        .connection
        .next_event(&server.config, bad, &mut server.head);
    assert_eq!(read, Err(Violation::FieldNameSpace));
    assert_eq!(server.event(GET), Event::Closed);
    assert_eq!(server.connection.reading(), Reading::Done);
    // The method was seen before the rule was broken.
    assert_eq!(server.send(400, &[], exact(3)), Ok(SendBody::None));
    assert_eq!(
        server.text(),
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(server.connection.start_next_cycle(), Ok(NextCycle::Close));
}

#[test]
fn a_violation_in_content_does_not_disturb_a_response() {
    let mut server = Server::after(CHUNKED);
    server.send(200, &[], exact(2)).unwrap();
    let read = server
        .connection
        .next_event(&server.config, b"x", &mut server.head);
    assert_eq!(read, Err(Violation::ChunkSizeInvalid));
    assert_eq!(server.send(400, &[], EMPTY), Err(Misuse::NoResponseDue));
    server.connection.frame_data(2, &mut server.out).unwrap();
    server.connection.finish(None, &mut server.out).unwrap();
    assert_eq!(server.connection.start_next_cycle(), Ok(NextCycle::Close));
}

#[test]
fn the_caller_may_refuse_for_reasons_of_its_own() {
    let mut server = Server::new();
    assert_eq!(server.event(b"GET / HT"), Event::NeedData);
    server.connection.refuse_request();
    assert_eq!(server.send(408, &[], EMPTY), Ok(SendBody::None));
    assert!(server.text().contains("Connection: close\r\n"));
    assert_eq!(server.event(b"TP/1.1\r\n"), Event::Closed);
}

#[test]
fn what_is_being_read_chooses_a_deadline() {
    let mut server = Server::new();
    assert_eq!(server.connection.reading(), Reading::FirstByte);
    assert_eq!(server.event(b""), Event::NeedData);
    assert_eq!(server.connection.reading(), Reading::FirstByte);
    assert_eq!(server.step(b"\r\n").consumed, 2);
    assert_eq!(server.connection.reading(), Reading::Head);
    server.step(POST_5);
    assert_eq!(server.connection.reading(), Reading::Content);
    server.step(b"hello");
    server.step(b"");
    assert_eq!(server.connection.reading(), Reading::Waiting);
    server.send(200, &[], EMPTY).unwrap();
    server.connection.start_next_cycle().unwrap();
    assert_eq!(server.connection.reading(), Reading::Idle);
    server.step(b"G");
    assert_eq!(server.connection.reading(), Reading::Head);
}

#[test]
fn the_end_of_input_means_what_was_being_read() {
    let eof = |input: &[u8], unconsumed: usize| {
        let mut server = Server::new();
        let mut rest = input;
        loop {
            let step = server.step(rest);
            rest = &rest[step.consumed..];
            if matches!(step.event, Event::NeedData | Event::Paused) {
                break;
            }
        }
        server.connection.handle_eof(unconsumed)
    };
    assert_eq!(eof(b"", 0), EofEffect::Idle);
    assert_eq!(eof(b"\r\n", 0), EofEffect::Idle);
    assert_eq!(eof(b"\r", 1), EofEffect::InHead);
    assert_eq!(eof(b"GET / HTTP/1.1\r\n", 16), EofEffect::InHead);
    assert_eq!(eof(GET, 0), EofEffect::Waiting);
    assert_eq!(eof(GET, 5), EofEffect::Waiting);
    assert_eq!(eof(POST_5, 0), EofEffect::InContent);
    assert_eq!(eof(&[POST_5, b"hello"].concat(), 0), EofEffect::Waiting);
    assert_eq!(eof(&[CHUNKED, b"0\r\n"].concat(), 0), EofEffect::InContent);
}

#[test]
fn trailers_are_taken_once() {
    let mut server = Server::after(CHUNKED);
    assert_eq!(server.event(b"0\r\nx: y\r\n"), Event::NeedData);
    let step = server.step(b"x: y\r\n\r\nGET");
    assert_eq!(
        step,
        Step {
            consumed: 8,
            event: Event::End
        }
    );
    let trailers = server.connection.take_trailers().unwrap();
    assert_eq!(trailers.get_name("x"), Some(&b"y"[..]));
    assert!(server.connection.take_trailers().is_none());

    let mut server = Server::after(CHUNKED);
    assert_eq!(server.event(b"0\r\ncookie: y\r\n\r\n"), Event::End);
    assert!(
        server.connection.take_trailers().is_none(),
        "none is left after dropping"
    );
}

#[test]
fn a_recycled_head_holds_only_the_new_request() {
    let mut server = Server::after(
        b"POST /old?q HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nCookie: c\r\n\r\n",
    );
    server.send(200, &[], EMPTY).unwrap();
    server.connection.start_next_cycle().unwrap();
    let held = server.head.fields().capacity_bytes();
    server.step(GET);
    assert_eq!(server.head.method(), "GET");
    assert_eq!(server.head.target(), "/");
    assert_eq!(server.head.query(), None);
    assert_eq!(server.head.version(), ajay_http::Version::HTTP_11);
    assert_eq!(server.head.fields().len(), 1);
    assert!(!server.head.fields().contains(KnownField::Cookie));
    assert_eq!(server.head.fields().capacity_bytes(), held);
}

#[test]
fn content_may_be_received_elsewhere() {
    let (config, mut head) = (Config::default(), RequestHead::new());
    let mut connection = Connection::new();
    assert_eq!(connection.content_received(0), Err(Misuse::NotContent));
    let input = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    let step = connection.next_event(&config, input, &mut head).unwrap();
    assert!(matches!(step.event, Event::Request { .. }));
    let step = connection.next_event(&config, &input[step.consumed..], &mut head);
    assert_eq!(step.unwrap().event, Event::Data(b"abc"));

    assert_eq!(connection.content_received(8), Err(Misuse::NotContent));
    assert_eq!(connection.content_remaining(), ContentRemaining::Known(7));
    assert_eq!(connection.content_received(7), Ok(()));
    let step = connection.next_event(&config, b"GET", &mut head).unwrap();
    assert_eq!((step.consumed, step.event), (0, Event::End));
    assert_eq!(connection.content_received(1), Err(Misuse::NotContent));
}

#[test]
fn chunked_content_is_not_received_elsewhere() {
    let (config, mut head) = (Config::default(), RequestHead::new());
    let mut connection = Connection::new();
    let input = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.next_event(&config, input, &mut head).unwrap();
    assert_eq!(connection.content_received(1), Err(Misuse::NotContent));
}
