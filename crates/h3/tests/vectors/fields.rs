//! Fields and control data: RFC 9114 §4.2, §4.3.

use super::*;

pub(crate) fn requests() -> Vec<Vector> {
    let valid = [
        (&[("te", "trailers")][..], "0:GET /"),
        (&[("cookie", "a=b"), ("cookie", "c=d")], "0:GET /"),
        (&[("host", "a")], "0:GET /"),
        (&[("priority", "u=0, i")], "0:GET /"),
        (&[("x-empty", "")], "0:GET /"),
    ];
    let invalid = [
        (&[("X", "y")][..], "FieldNameUppercase"),
        (&[("", "y")], "FieldNameInvalid"),
        (&[("a b", "y")], "FieldNameInvalid"),
        (&[("content_length", "1")], "FieldNameLookalike"),
        (&[("x", "a\rb")], "FieldValueInvalid"),
        (&[("x", "a\nb")], "FieldValueInvalid"),
        (&[("x", "a\0b")], "FieldValueInvalid"),
        (&[("x", " a")], "FieldValueWhitespace"),
        (&[("x", "a\t")], "FieldValueWhitespace"),
        (&[("connection", "close")], "ConnectionFieldPresent"),
        (&[("keep-alive", "1")], "ConnectionFieldPresent"),
        (&[("proxy-connection", "close")], "ConnectionFieldPresent"),
        (
            &[("transfer-encoding", "chunked")],
            "ConnectionFieldPresent",
        ),
        (&[("upgrade", "x")], "ConnectionFieldPresent"),
        (&[("te", "gzip")], "TeInvalid"),
        (&[(":unknown", "x")], "PseudoFieldUnknown"),
        (&[(":status", "200")], "PseudoFieldUnknown"),
        (&[(":protocol", "websocket")], "PseudoFieldUnknown"),
        (&[(":path", "/")], "PseudoFieldRepeated"),
        (&[(":method", "GET")], "PseudoFieldRepeated"),
        (&[("x", "y"), (":path", "/")], "PseudoFieldMisplaced"),
        (&[("host", "b")], "HostDiffers"),
        (&[("host", "a/b")], "HostInvalid"),
        (&[("host", "a"), ("host", "a")], "HostInvalid"),
        (&[("content-length", "x")], "ContentLengthInvalid"),
        (
            &[("content-length", "1"), ("content-length", "1")],
            "ContentLengthInvalid",
        ),
        (&[("content-length", "1")], "ContentTooShort"),
    ];
    let control_data = [
        (
            &[(":scheme", "https"), (":authority", "a"), (":path", "/")][..],
            "MethodMissing",
        ),
        (
            &[(":method", "GET"), (":authority", "a"), (":path", "/")],
            "SchemeMissing",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "a"),
            ],
            "PathMissing",
        ),
        (
            &[(":method", "GET"), (":scheme", "https"), (":path", "/")],
            "AuthorityMissing",
        ),
        (
            &[
                (":method", "G T"),
                (":scheme", "https"),
                (":authority", "a"),
                (":path", "/"),
            ],
            "MethodInvalid",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "1"),
                (":authority", "a"),
                (":path", "/"),
            ],
            "SchemeInvalid",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", ""),
                (":path", "/"),
            ],
            "AuthorityInvalid",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "u@a"),
                (":path", "/"),
            ],
            "AuthorityInvalid",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "a"),
                (":path", ""),
            ],
            "PathEmpty",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "a"),
                (":path", "x"),
            ],
            "PathInvalid",
        ),
        (
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "a"),
                (":path", "*"),
            ],
            "PathInvalid",
        ),
        (
            &[(":method", "CONNECT"), (":authority", "a")],
            "ConnectInvalid",
        ),
        (
            &[
                (":method", "CONNECT"),
                (":scheme", "https"),
                (":authority", "a:1"),
                (":path", "/"),
            ],
            "ConnectInvalid",
        ),
    ];
    let reject = |name: &str| -> &'static str {
        let text = format!("0!{name}; stop 0 MESSAGE_ERROR; reset 0 MESSAGE_ERROR");
        Box::leak(text.into_boxed_str())
    };
    let get = |more: &[(&str, &str)]| vec![bytes(0, &[&request("GET", more)])];
    let complete = |more: &[(&str, &str)]| vec![last(0, &[&request("GET", more)])];
    let mut all: Vec<Vector> = Vec::new();
    all.extend(valid.map(|(more, expected)| (complete(more), expected)));
    all.extend(
        invalid
            .iter()
            .filter(|(_, name)| *name != "ContentTooShort")
            .map(|(more, name)| (get(more), reject(name))),
    );
    all.extend(
        control_data.map(|(lines, name)| (vec![bytes(0, &[&headers(lines)])], reject(name))),
    );
    let trace = request("TRACE", &[("content-length", "1")]);
    all.push((vec![bytes(0, &[&trace])], reject("ContentForbidden")));
    let options = [
        (":method", "OPTIONS"),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", "*"),
    ];
    all.push((vec![last(0, &[&headers(&options)])], "0:OPTIONS *"));
    let with_host = [
        (":method", "GET"),
        (":scheme", "https"),
        ("host", "a"),
        (":path", "/"),
    ];
    // Pseudo-header fields come first.
    all.push((
        vec![bytes(0, &[&headers(&with_host)])],
        reject("PseudoFieldMisplaced"),
    ));
    let with_host = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/"),
        ("host", "a"),
    ];
    all.push((vec![last(0, &[&headers(&with_host)])], "0:GET /"));
    all
}

pub(crate) fn trailers() -> Vec<Vector> {
    let post = request("POST", &[]);
    let with = |lines: &[(&str, &str)]| vec![last(0, &[&post, &data(b"a"), &headers(lines)])];
    let reset = |name: &str| -> &'static str {
        let text = format!("0:POST / +a…!{name}; stop 0 MESSAGE_ERROR; reset 0 MESSAGE_ERROR");
        Box::leak(text.into_boxed_str())
    };
    vec![
        (with(&[("x", "y"), ("etag", "z")]), "0:POST / +a x=y etag=z"),
        (with(&[]), "0:POST / +a"),
        (with(&[(":path", "/")]), reset("TrailerPseudoField")),
        (with(&[(":x", "/")]), reset("TrailerPseudoField")),
        (
            with(&[("content-length", "1")]),
            reset("TrailerFieldForbidden"),
        ),
        (with(&[("host", "a")]), reset("TrailerFieldForbidden")),
        (with(&[("X", "y")]), reset("FieldNameUppercase")),
        (with(&[("x", "a\nb")]), reset("FieldValueInvalid")),
        (
            with(&[("connection", "close")]),
            reset("ConnectionFieldPresent"),
        ),
    ]
}
