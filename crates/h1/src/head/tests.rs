use ajay_http::{Method, TargetForm};

use super::*;

const REQUEST: &[u8] = b"DELETE /a/b?c=d HTTP/1.1\r\n\
    Host: www.example.org:8080\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    X-Own-Field: something\twith a tab\r\n\
    Empty:\r\n\
    Accept: \t */* \r\n\r\n";

fn parse(input: &[u8]) -> (HeadParser, RequestHead, Result<Parsed, Violation>) {
    let (mut parser, mut head) = (HeadParser::new(), RequestHead::new());
    let parsed = parser.parse(input, &Limits::default(), &mut head);
    (parser, head, parsed)
}

fn parsed(input: &[u8]) -> RequestHead {
    let (_, head, parsed) = parse(input);
    assert_eq!(parsed, Ok(Parsed::Complete(input.len())));
    head
}

#[test]
fn a_head_is_taken_apart() {
    let head = parsed(REQUEST);
    assert_eq!(head.method(), Method::DELETE);
    assert_eq!(head.target(), "/a/b?c=d");
    assert_eq!((head.path(), head.query()), ("/a/b", Some("c=d")));
    assert_eq!(head.form(), TargetForm::Origin);
    assert_eq!(head.authority(), Some("www.example.org:8080"));
    assert_eq!(head.scheme(), None);
    let fields: Vec<(&str, &[u8])> = head.fields().iter().collect();
    let expected: [(&str, &[u8]); 5] = [
        ("host", b"www.example.org:8080"),
        (
            "user-agent",
            b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        ),
        ("X-Own-Field", b"something\twith a tab"),
        ("Empty", b""),
        ("accept", b"*/*"),
    ];
    assert_eq!(fields, expected);
    assert_eq!(head.fields().get(KnownField::Accept), Some(&b"*/*"[..]));
    assert_eq!(
        head.fields().get_name("x-own-FIELD"),
        Some(&b"something\twith a tab"[..])
    );
}

/// A sender of single bytes must not make us look at all bytes again for each: after each call all
/// that has arrived is checked, but for what may still change its meaning at the end.
#[test]
fn bytes_are_not_looked_at_again() {
    // A percent sign and one digit, a lone CR, or a version (nine bytes) may have to be read again.
    const AGAIN_MAX: usize = 9;
    let (mut parser, mut head) = (HeadParser::new(), RequestHead::new());
    for len in 1..REQUEST.len() {
        let input = &REQUEST[..len];
        let parsed = parser.parse(input, &Limits::default(), &mut head);
        assert_eq!(parsed, Ok(Parsed::Partial(0)));
        let again = len - parser.checked() as usize;
        assert!(
            again <= AGAIN_MAX + 1,
            "{again} bytes after {:?}",
            input.escape_ascii().to_string()
        );
    }
    assert_eq!(
        parser.parse(REQUEST, &Limits::default(), &mut head),
        Ok(Parsed::Complete(REQUEST.len()))
    );
    assert_eq!(head.fields().len(), 5);
}

#[test]
fn absolute_form_replaces_host() {
    let head = parsed(b"GET https://u.example:1/p/q?r HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!(head.form(), TargetForm::Absolute);
    assert_eq!(head.authority(), Some("u.example:1"));
    assert_eq!(head.scheme(), Some("https"));
    assert_eq!((head.path(), head.query()), ("/p/q", Some("r")));
    let head = parsed(b"GET http://u HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!((head.path(), head.query()), ("/", None));
    let head = parsed(b"GET http://u?r HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!((head.path(), head.query()), ("/", Some("r")));
    assert_eq!(head.authority(), Some("u"));
}

#[test]
fn the_other_forms_have_no_query() {
    let head = parsed(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        (head.form(), head.path(), head.query()),
        (TargetForm::Asterisk, "*", None)
    );
    assert_eq!(head.authority(), Some("a"));
    let head = parsed(b"CONNECT b:1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        (head.form(), head.path(), head.query()),
        (TargetForm::Authority, "", None)
    );
    assert_eq!(head.authority(), Some("b:1"));
}

#[test]
fn empty_queries_are_not_absent() {
    let head = parsed(b"GET /? HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.path(), head.query()), ("/", Some("")));
    let head = parsed(b"GET /a?b?c HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.path(), head.query()), ("/a", Some("b?c")));
}

#[test]
fn bytes_after_the_head_are_left_alone() {
    let (_, head, parsed) = parse(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2");
    assert_eq!(parsed, Ok(Parsed::Complete(29)));
    assert_eq!(head.fields().bytes(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn a_violation_is_found_before_the_line_ends() {
    for (input, violation) in [
        (&b"\x16\x03\x01"[..], Violation::MethodInvalid),
        (b"GET /<", Violation::TargetInvalid),
        (b"GET /%g", Violation::TargetPercentInvalid),
        (b"GET /%0g", Violation::TargetPercentInvalid),
        (b"GET / HTTX", Violation::VersionInvalid),
        (b"GET / HTTP/1.1\r\nHo st", Violation::FieldNameSpace),
        (b"GET / HTTP/1.1\r\nHost: a\0", Violation::FieldValueInvalid),
        (b"GET / HTTP/1.1\r\n ", Violation::LineFolded),
    ] {
        assert_eq!(parse(input).2, Err(violation));
    }
}

#[test]
fn a_head_that_fills_its_window_is_refused_for_what_fills_it() {
    let limits = Limits {
        head_bytes_max: 64,
        target_bytes_max: 1000,
        ..Limits::default()
    };
    let fill = |start: &str, filler: &str| start.to_owned() + &filler.repeat(64);
    for (text, violation) in [
        (fill("GET /", "a"), Violation::TargetTooLong),
        (fill("GET /?", "a"), Violation::TargetTooLong),
        (fill("GET a:", "a"), Violation::TargetTooLong),
        (fill("", "A"), Violation::HeadTooLarge),
        (fill("GET / HTTP/1.1\r\nA: ", "a"), Violation::HeadTooLarge),
        (fill("GET / HTTP/1.1\r\n", "a"), Violation::HeadTooLarge),
    ] {
        for len in [63, 64] {
            let (mut parser, mut head) = (HeadParser::new(), RequestHead::new());
            let parsed = parser.parse(&text.as_bytes()[..len], &limits, &mut head);
            let expected = if len < 64 {
                Ok(Parsed::Partial(0))
            } else {
                Err(violation)
            };
            assert_eq!(parsed, expected, "{len} of {text}");
        }
    }
}
