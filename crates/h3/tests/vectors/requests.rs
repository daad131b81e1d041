//! Requests and their frames: RFC 9114 §4.1, §4.4, §7.1, §7.2.1, §7.2.2.

use super::*;

pub(crate) fn messages() -> Vec<Vector> {
    let get = request("GET", &[]);
    let post = request("POST", &[]);
    let post_2 = request("POST", &[("content-length", "2")]);
    let trailers = headers(&[("x", "y")]);
    vec![
        (vec![last(0, &[&get])], "0:GET /"),
        (vec![last(0, &[&get]), last(4, &[&get])], "0:GET /; 4:GET /"),
        // Streams may come in any order.
        (vec![last(8, &[&get]), last(0, &[&get])], "8:GET /; 0:GET /"),
        // And their bytes in turns.
        (
            vec![
                bytes(0, &[&post]),
                bytes(4, &[&post, &data(b"b")]),
                last(0, &[&data(b"a")]),
            ],
            "0:POST / +a; 4:POST / +b…",
        ),
        (vec![last(0, &[&post, &data(b"abc")])], "0:POST / +abc"),
        (
            vec![last(0, &[&post, &data(b"ab"), &data(b"c")])],
            "0:POST / +abc",
        ),
        (vec![last(0, &[&post, &data(b"")])], "0:POST /"),
        (vec![last(0, &[&post])], "0:POST /"),
        (vec![bytes(0, &[&post])], "0:POST /…"),
        (vec![last(0, &[&post_2, &data(b"ab")])], "0:POST / (2) +ab"),
        (
            vec![last(0, &[&post, &data(b"ab"), &trailers])],
            "0:POST / +ab x=y",
        ),
        (vec![last(0, &[&post, &trailers])], "0:POST / x=y"),
        // §4.1.2.
        (
            vec![bytes(0, &[&post_2, &data(b"abc")])],
            "0:POST / (2)…!ContentTooLong; stop 0 MESSAGE_ERROR; reset 0 MESSAGE_ERROR",
        ),
        (
            vec![last(0, &[&post_2, &data(b"a")])],
            "0:POST / (2) +a…!ContentTooShort; stop 0 MESSAGE_ERROR; reset 0 MESSAGE_ERROR",
        ),
        (
            vec![last(0, &[&post_2, &data(b"a"), &trailers])],
            "0:POST / (2) +a…!ContentTooShort; stop 0 MESSAGE_ERROR; reset 0 MESSAGE_ERROR",
        ),
        // §4.1: the stream ends before the request does.
        (
            vec![last(0, &[])],
            "0!RequestIncomplete; stop 0 REQUEST_INCOMPLETE; reset 0 REQUEST_INCOMPLETE",
        ),
        (
            vec![last(0, &[&frame(0x21, b"grease")])],
            "0!RequestIncomplete; stop 0 REQUEST_INCOMPLETE; reset 0 REQUEST_INCOMPLETE",
        ),
        // RFC 9110 §10.1.1.
        (
            vec![bytes(0, &[&request("POST", &[("expect", "100-continue")])])],
            "0:POST / waits…",
        ),
        (
            vec![last(0, &[&request("POST", &[("expect", "tea")])])],
            "0:refused!ExpectationUnknown",
        ),
        // §4.4.
        (
            vec![bytes(
                0,
                &[&headers(&[(":method", "CONNECT"), (":authority", "a:443")])],
            )],
            "0:CONNECT a:443…",
        ),
    ]
}

pub(crate) fn frames() -> Vec<Vector> {
    let post = request("POST", &[]);
    let trailers = headers(&[("x", "y")]);
    let grease = frame(0x21, b"grease");
    let only = |parts: &[&[u8]]| vec![bytes(0, parts)];
    vec![
        // §9: unknown types anywhere.
        (
            vec![last(
                0,
                &[
                    &grease,
                    &post,
                    &grease,
                    &data(b"a"),
                    &grease,
                    &trailers,
                    &grease,
                ],
            )],
            "0:POST / +a x=y",
        ),
        (vec![last(0, &[&frame(0x40, b""), &post])], "0:POST /"),
        // §4.1.
        (only(&[&data(b"a")]), "!FrameOutOfOrder"),
        (
            only(&[&post, &trailers, &data(b"a")]),
            "0:POST /…; !FrameOutOfOrder",
        ),
        (
            only(&[&post, &trailers, &trailers]),
            "0:POST /…; !FrameOutOfOrder",
        ),
        // §7.1.
        (vec![last(0, &[b"\x01"])], "!FrameCutOff"),
        (vec![last(0, &[b"\x01\x05ab"])], "!FrameCutOff"),
        (
            vec![last(0, &[&post, b"\x00\x05ab"])],
            "0:POST / +ab…; !FrameCutOff",
        ),
        (vec![last(0, &[b"\x21\x05ab"])], "!FrameCutOff"),
        // §7.2.
        (only(&[&frame(0x03, b"\x00")]), "!FrameOnRequestStream"),
        (only(&[&frame(0x04, b"")]), "!FrameOnRequestStream"),
        (
            only(&[&frame(0x05, b"\x00\x00\x00")]),
            "!PushPromiseOfClient",
        ),
        (only(&[&frame(0x07, b"\x00")]), "!FrameOnRequestStream"),
        (only(&[&frame(0x0d, b"\x00")]), "!FrameOnRequestStream"),
        (only(&[&frame(0xf0700, b"\x00")]), "!FrameOnRequestStream"),
        (only(&[&frame(0xf0701, b"\x00")]), "!FrameOnRequestStream"),
        // §7.2.8.
        (only(&[&frame(0x02, b"\x00")]), "!FrameOfHttp2"),
        (only(&[&frame(0x06, b"\x00")]), "!FrameOfHttp2"),
        (only(&[&frame(0x08, b"\x00")]), "!FrameOfHttp2"),
        (only(&[&frame(0x09, b"\x00")]), "!FrameOfHttp2"),
        (
            only(&[&post, &frame(0x08, b"\x00")]),
            "0:POST /…; !FrameOfHttp2",
        ),
        // RFC 9204 §2.2: no section, no index, not the whole of a line.
        (only(&[&frame(0x01, b"")]), "!FieldSectionInvalid"),
        (
            only(&[&frame(0x01, b"\x00\x00\xff\x24")]),
            "!FieldSectionInvalid",
        ),
        (
            only(&[&frame(0x01, b"\x00\x00\x51\x05a")]),
            "!FieldSectionInvalid",
        ),
        // A reference to a table that there is not.
        (
            only(&[&frame(0x01, b"\x02\x00\x80")]),
            "!FieldSectionInvalid",
        ),
    ]
}

pub(crate) fn given_up() -> Vec<Vector> {
    let get = request("GET", &[]);
    let post = request("POST", &[]);
    vec![
        // §4.1.1.
        (
            vec![bytes(0, &[&post, &data(b"a")]), Act::Reset(0, 0x10c)],
            "0:POST / +a…REQUEST_CANCELLED; stop 0 REQUEST_CANCELLED; reset 0 REQUEST_CANCELLED",
        ),
        (
            vec![
                bytes(0, &[&post]),
                Act::Stop(0, 0x10c),
                Act::Reset(0, 0x10c),
            ],
            "0:POST /…REQUEST_CANCELLED; stop 0 REQUEST_CANCELLED; reset 0 REQUEST_CANCELLED",
        ),
        (
            vec![bytes(0, &[&post]), Act::Stop(0, 0x333)],
            "0:POST /…0x333; stop 0 REQUEST_CANCELLED; reset 0 REQUEST_CANCELLED",
        ),
        // Before its head has come.
        (
            vec![
                bytes(0, &[&get[..5]]),
                Act::Reset(0, 0x10c),
                last(4, &[&get]),
            ],
            "4:GET /; stop 0 REQUEST_CANCELLED; reset 0 REQUEST_CANCELLED",
        ),
        // After it is over.
        (vec![last(0, &[&get]), Act::Stop(0, 0x10c)], "0:GET /"),
        // Before anything of it was seen.
        (
            vec![Act::Reset(0, 0x10c), Act::Stop(0, 0x10c)],
            "stop 0 REQUEST_CANCELLED; reset 0 REQUEST_CANCELLED",
        ),
        (vec![last(0, &[&get]), last(0, &[&get])], "0:GET /"),
    ]
}

pub(crate) fn limits() -> Vec<Vector> {
    let get = request("GET", &[]);
    let post = request("POST", &[]);
    let long = "x".repeat(300);
    let path = format!("/{}", "x".repeat(32));
    let with = |name: &str, value: &str| last(0, &[&request("GET", &[(name, value)])]);
    let with_path = |path: &str| {
        let lines = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "a"),
            (":path", path),
        ];
        last(0, &[&headers(&lines)])
    };
    let five = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")];
    let huge = "x".repeat(2000);
    vec![
        (
            vec![with("x", &long), last(4, &[&get])],
            "0:refused!HeadTooLarge; 4:GET /",
        ),
        // Not even gathered.
        (
            vec![with("x", &huge), last(4, &[&get])],
            "0:refused!HeadTooLarge; 4:GET /",
        ),
        (
            vec![last(0, &[&request("GET", &five)])],
            "0:refused!TooManyFieldLines",
        ),
        (vec![with_path(&path)], "0:refused!PathTooLong"),
        (
            vec![last(0, &[&request(&"M".repeat(33), &[])])],
            "0:refused!MethodTooLong",
        ),
        (
            vec![bytes(0, &[&request("POST", &[("content-length", "11")])])],
            "0:refused!ContentTooLarge",
        ),
        (
            vec![bytes(0, &[&post, &data(b"0123456789"), &data(b"x")])],
            "0:POST / +0123456789!ContentTooLarge",
        ),
        (
            vec![last(0, &[&post, &headers(&[("a", "1"), ("b", "2")])])],
            "0:POST /…!TrailersTooLarge; stop 0 EXCESSIVE_LOAD; reset 0 EXCESSIVE_LOAD",
        ),
        (
            vec![last(0, &[&post, &headers(&[("a", &huge)])])],
            "0:POST /…!TrailersTooLarge; stop 0 EXCESSIVE_LOAD; reset 0 EXCESSIVE_LOAD",
        ),
        // Two at once.
        (
            vec![
                bytes(0, &[&post]),
                bytes(4, &[&post]),
                last(8, &[&get]),
                last(0, &[]),
            ],
            "0:POST /; 4:POST /…; 8!TooManyStreams; stop 8 REQUEST_REJECTED; \
             reset 8 REQUEST_REJECTED",
        ),
    ]
}
