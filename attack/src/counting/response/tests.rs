use super::*;

/// All responses of a stream that comes whole, byte by byte and cut at every point; and what is
/// wrong with it.
fn read(stream: &[u8]) -> (Vec<Response>, Option<Broken>) {
    let whole = read_cut(stream, &[stream.len()]);
    let bytes: Vec<usize> = (1..=stream.len()).collect();
    assert_eq!(read_cut(stream, &bytes), whole, "byte by byte");
    for at in 1..stream.len() {
        assert_eq!(read_cut(stream, &[at, stream.len()]), whole, "cut at {at}");
    }
    whole
}

fn read_cut(stream: &[u8], ends: &[usize]) -> (Vec<Response>, Option<Broken>) {
    let mut reader = Reader::default();
    let mut responses = Vec::new();
    let mut from = 0;
    for end in ends {
        reader.receive(&stream[from..*end]);
        from = *end;
        loop {
            match reader.next() {
                Ok(Some(response)) => responses.push(response),
                Ok(None) => break,
                Err(broken) => return (responses, Some(broken)),
            }
        }
    }
    responses.extend(reader.end());
    (responses, None)
}

fn statuses(stream: &[u8]) -> Vec<u16> {
    let (responses, broken) = read(stream);
    assert_eq!(broken, None);
    responses.iter().map(|response| response.status).collect()
}

#[test]
fn pipelined_responses_of_every_framing() {
    let stream = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK\
        HTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 204 No Content\r\n\r\n\
        HTTP/1.1 503 Later\r\nretry-after: 1\r\nCONTENT-LENGTH:\t0 \r\n\r\n\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n\
        HTTP/1.0 404 \r\n\r\nuntil the end";
    let (responses, broken) = read(stream);
    assert_eq!(broken, None);
    let seen: Vec<(u16, bool)> = responses.iter().map(|r| (r.status, r.close)).collect();
    let expected = [
        (200, false),
        (204, false),
        (503, false),
        (200, false),
        (404, true),
    ];
    assert_eq!(seen, expected);
    assert!(responses[0].kept.ends_with(b"\r\n\r\nOK"));
    assert!(responses[3].kept.ends_with(b"\r\n\r\nhello0123456789"));
    assert!(responses[4].kept.ends_with(b"\r\n\r\nuntil the end"));
}

#[test]
fn close_is_seen() {
    let (responses, _) = read(b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n");
    assert!(responses[0].close);
}

#[test]
fn what_is_cut_off_is_no_response() {
    for stream in [
        &b""[..],
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        assert!(statuses(stream).is_empty(), "{}", stream.escape_ascii());
    }
}

#[test]
fn each_rule_has_its_error() {
    let head = "HTTP/1.1 200 OK\r\n";
    for (stream, expected) in [
        ("OK".to_owned(), Broken::StatusLine),
        ("HTTP/2 200 OK\r\n\r\n".to_owned(), Broken::StatusLine),
        ("HTTP/1.1 20x OK\r\n\r\n".to_owned(), Broken::StatusLine),
        ("HTTP/1.1 2000\r\n\r\n".to_owned(), Broken::StatusLine),
        ("HTTP/1.1 099 x\r\n\r\n".to_owned(), Broken::StatusLine),
        (format!("{head}no colon\r\n\r\n"), Broken::FieldLine),
        (
            format!("{head}Content-Length: -1\r\n\r\n"),
            Broken::ContentLength,
        ),
        (
            format!("{head}Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
            Broken::ContentLength,
        ),
        (
            format!("{head}Transfer-Encoding: gzip\r\n\r\n"),
            Broken::TransferCoding,
        ),
        (
            format!("{head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Broken::TransferCoding,
        ),
    ] {
        assert_eq!(
            read(stream.as_bytes()),
            (vec![], Some(expected)),
            "{stream}"
        );
    }
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    for (stream, expected) in [
        (format!("{chunked}\r\n"), Broken::ChunkSize),
        (format!("{chunked}0x5\r\n"), Broken::ChunkSize),
        (format!("{chunked}1;a=b\r\n"), Broken::ChunkSize),
        (format!("{chunked}1\r\nxy\r\n"), Broken::ChunkEnd),
        (format!("{chunked}0\r\nno colon\r\n"), Broken::FieldLine),
    ] {
        assert_eq!(
            read(stream.as_bytes()),
            (vec![], Some(expected)),
            "{stream}"
        );
    }
    let mut reader = Reader::default();
    reader.receive(format!("{head}A: {}", "a".repeat(HEAD_BYTES_MAX)).as_bytes());
    assert_eq!(reader.next(), Err(Broken::HeadTooLong));
}

#[test]
fn large_content_is_not_kept() {
    let mut reader = Reader::default();
    reader.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    for _ in 0..10 {
        assert_eq!(reader.next(), Ok(None));
        reader.receive(&[b'x'; 100_000]);
    }
    let response = reader.next().unwrap().unwrap();
    assert_eq!(response.kept.len(), KEPT_BYTES_MAX);
    assert!(reader.is_between());
}
