use ajay_http::RequestHead;

use super::*;
use crate::{Config, Connection, ContentSize, Event, SendBody};

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// Requests whose 200 may be written whole.
const USUAL: [&[u8]; 3] = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
];

/// Requests whose 200 has another head or framing, or ends the connection.
const UNUSUAL: [&[u8]; 7] = [
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
];

const CONTENT_TYPES: [Option<&str>; 3] = [None, Some("text/plain"), Some("text/html")];

fn after(request: &[u8]) -> Connection {
    let (config, mut head) = (Config::default(), RequestHead::new());
    let (mut connection, mut at) = (Connection::new(), 0);
    loop {
        let step = connection.next_event(&config, &request[at..], &mut head);
        let step = step.unwrap();
        at += step.consumed;
        if matches!(step.event, Event::NeedData | Event::Paused | Event::Closed) {
            return connection;
        }
    }
}

fn section(fields: &[(&str, &str)]) -> FieldSection {
    let mut section = FieldSection::new();
    for (name, value) in fields {
        section.append(name, value).unwrap();
    }
    section
}

/// What the calls that `send_whole` stands for write.
fn in_steps(
    connection: &mut Connection,
    head: &ResponseHead<'_>,
    content: &[u8],
    out: &mut Vec<u8>,
) {
    let size = content.len() as u64;
    let body = connection.send_head(head, ContentSize::Exact(size), out);
    if body == Ok(SendBody::Payload) {
        connection.frame_data(size, out).unwrap();
        out.extend_from_slice(content);
        connection.end_data(out);
        connection.finish(None, out).unwrap();
    }
}

#[test]
fn a_whole_response_is_the_one_that_is_written_in_steps() {
    let all_fields = [
        section(&[]),
        section(&[("X-Own", "v"), ("vary", "x"), ("set-cookie", "a=b")]),
    ];
    let contents: [&[u8]; 3] = [b"", b"OK", &[b'x'; 12_345]];
    // One for all of them, as a worker has.
    let mut opening = Opening::default();
    for (server, date) in [(Some("ajay"), Some(DATE)), (None, Some(DATE)), (None, None)] {
        opening.restart(server, date);
        for (fields, content) in all_fields.iter().flat_map(|f| contents.map(|c| (f, c))) {
            for (request, content_type) in USUAL.iter().flat_map(|r| CONTENT_TYPES.map(|t| (r, t)))
            {
                let head = ResponseHead {
                    status: StatusCode::OK,
                    fields,
                    content_type,
                    server,
                    date,
                };
                let (mut whole, mut steps) = (after(request), after(request));
                let (mut out, mut expected) = (b"before".to_vec(), b"before".to_vec());
                in_steps(&mut steps, &head, content, &mut expected);
                assert!(whole.send_whole(&mut opening, content_type, fields, content, &mut out));
                assert_eq!(
                    out.escape_ascii().to_string(),
                    expected.escape_ascii().to_string()
                );
                assert_eq!(format!("{whole:?}"), format!("{steps:?}"));
            }
        }
    }
}

#[test]
fn others_are_left_alone() {
    let mut opening = Opening::default();
    let refuses = |opening: &mut Opening, request: &[u8], fields: &FieldSection| {
        let (mut connection, mut out) = (after(request), Vec::new());
        let before = format!("{connection:?}");
        let content_type = Some("text/plain");
        let is_usual = connection.send_whole(opening, content_type, fields, b"OK", &mut out);
        assert!(!is_usual, "{}", request.escape_ascii());
        assert!(out.is_empty());
        assert_eq!(format!("{connection:?}"), before);
    };
    let none = FieldSection::new();
    // Before it has been started there is no status-line.
    refuses(&mut opening, USUAL[0], &none);
    opening.restart(Some("ajay"), Some(DATE));
    for request in UNUSUAL {
        refuses(&mut opening, request, &none);
    }
    for name in [
        "server",
        "date",
        "content-type",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
    ] {
        refuses(&mut opening, USUAL[0], &section(&[("x", "y"), (name, "1")]));
    }
    let mut answered = after(USUAL[0]);
    for due in [true, false] {
        assert_eq!(
            answered.send_whole(&mut opening, None, &none, b"", &mut Vec::new()),
            due
        );
    }
}
