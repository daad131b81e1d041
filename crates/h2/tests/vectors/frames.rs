//! Prefaces and frames: RFC 9113 §3.4, §4, §6.

use super::{
    Vector,
    streams::{GET_1, GET_3, POST_1},
};

/// The whole connection from its first byte.
pub(crate) const PREFACES: &[(&[u8], &str)] = &[
    (b"", "~Preface"),
    (b"PRI * HTTP/2.0\r\n", "~Preface"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "~Preface"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", ""),
    (b"GET / HTTP/1.1\r\n\r\n", "!PrefaceInvalid"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", "!PrefaceInvalid"),
    (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x08\x06\0\0\0\0\0",
        "!SettingsNotFirst",
    ),
    (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\x01\0\0\0\0",
        "!SettingsNotFirst",
    ),
];

pub(crate) const VECTORS: &[Vector] = &[
    // §4.1: a reserved bit that is set, and a frame of an unknown type, are ignored.
    (
        &[b"\0\0\x06\x01\x05\x80\0\0\x01\x82\x84\x86\x41\x01a"],
        "1:GET /",
    ),
    (&[b"\0\0\x03\xfe\xff\0\0\0\x05abc", GET_1], "1:GET /"),
    (&[b"\0\0\0\x0b\0\0\0\0\0", GET_1], "1:GET /"),
    // Undefined flags are ignored.
    (
        &[b"\0\0\x06\x01\xd5\0\0\0\x01\x82\x84\x86\x41\x01a"],
        "1:GET /",
    ),
    // §4.2.
    (&[b"\0\x40\x01\0\0\0\0\0\x01"], "!FrameTooLarge"),
    (&[b"\0\x40\x01\xaa\0\0\0\0\x01"], "!FrameTooLarge"),
    // §4.3: an index beyond the tables, a block that ends inside a line.
    (&[b"\0\0\x01\x01\x05\0\0\0\x01\xbe"], "!FieldBlockInvalid"),
    (
        &[b"\0\0\x02\x01\x05\0\0\0\x01\x82\x41"],
        "!FieldBlockInvalid",
    ),
    // §4.3, §6.10: nothing but its CONTINUATION within a field block.
    (
        &[
            b"\0\0\x03\x01\x01\0\0\0\x01\x82\x84\x86",
            b"\0\0\x03\x09\x04\0\0\0\x01\x41\x01a",
        ],
        "1:GET /",
    ),
    (
        &[
            b"\0\0\x01\x01\x01\0\0\0\x01\x82",
            b"\0\0\x02\x09\0\0\0\0\x01\x84\x86",
            b"\0\0\x03\x09\x04\0\0\0\x01\x41\x01a",
        ],
        "1:GET /",
    ),
    (&[b"\0\0\x03\x01\x01\0\0\0\x01\x82\x84\x86"], "~Frame"),
    (
        &[
            b"\0\0\x01\x01\x01\0\0\0\x01\x82",
            b"\0\0\0\x09\x04\0\0\0\x03",
        ],
        "!ContinuationInterrupted",
    ),
    (
        &[b"\0\0\x01\x01\x01\0\0\0\x01\x82", b"\0\0\x08\x06\0\0\0\0\0"],
        "!ContinuationInterrupted",
    ),
    (
        &[b"\0\0\x01\x01\x01\0\0\0\x01\x82", b"\0\0\0\xfe\0\0\0\0\x01"],
        "!ContinuationInterrupted",
    ),
    (&[b"\0\0\0\x09\x04\0\0\0\x01"], "!ContinuationUnexpected"),
    (
        &[GET_1, b"\0\0\0\x09\x04\0\0\0\x01"],
        "1:GET /; !ContinuationUnexpected",
    ),
    // §6.1: DATA with and without padding.
    (&[POST_1, b"\0\0\x03\0\x01\0\0\0\x01abc"], "1:POST /=abc"),
    (
        &[POST_1, b"\0\0\x06\0\x09\0\0\0\x01\x02abc\0\0"],
        "1:POST /=abc",
    ),
    (&[POST_1, b"\0\0\x03\0\x09\0\0\0\x01\x02\0\0"], "1:POST /"),
    (
        &[
            POST_1,
            b"\0\0\x02\0\0\0\0\0\x01ab",
            b"\0\0\0\0\x01\0\0\0\x01",
        ],
        "1:POST /=ab",
    ),
    (&[POST_1, b"\0\0\x03\0\x01\0\0\0\x01a"], "1:POST /=a…"),
    (&[b"\0\0\x01\0\0\0\0\0\0a"], "!DataOnStreamZero"),
    (
        &[POST_1, b"\0\0\x03\0\x08\0\0\0\x01\x03ab"],
        "1:POST /…; !PaddingTooLong",
    ),
    (
        &[POST_1, b"\0\0\0\0\x08\0\0\0\x01"],
        "1:POST /…; !PaddingTooLong",
    ),
    // §6.2: HEADERS with padding and priority.
    (
        &[b"\0\0\x09\x01\x0d\0\0\0\x01\x02\x82\x84\x86\x41\x01a\0\0"],
        "1:GET /",
    ),
    (
        &[b"\0\0\x0b\x01\x25\0\0\0\x01\x80\0\0\0\x0f\x82\x84\x86\x41\x01a"],
        "1:GET /",
    ),
    (
        &[b"\0\0\x0e\x01\x2d\0\0\0\x01\x02\0\0\0\x03\x0f\x82\x84\x86\x41\x01a\0\0"],
        "1:GET /",
    ),
    (&[b"\0\0\0\x01\x0d\0\0\0\x01"], "!PaddingTooLong"),
    (&[b"\0\0\x02\x01\x0d\0\0\0\x01\x02\x82"], "!PaddingTooLong"),
    (&[b"\0\0\x04\x01\x25\0\0\0\x01\0\0\0\0"], "!HeadersTooShort"),
    (
        &[b"\0\0\x06\x01\x05\0\0\0\0\x82\x84\x86\x41\x01a"],
        "!HeadersOnStreamZero",
    ),
    // RFC 7540 §5.3.1. The block is decoded: stream 3 uses what it put into the table.
    (
        &[
            b"\0\0\x0b\x01\x25\0\0\0\x01\0\0\0\x01\x0f\x82\x84\x86\x41\x01a",
            b"\0\0\x04\x01\x05\0\0\0\x03\x82\x84\x86\xbe",
        ],
        "1!PrioritySelfDependency; 3:GET /",
    ),
    // §6.3.
    (
        &[b"\0\0\x05\x02\0\0\0\0\x01\0\0\0\x03\x0f", GET_1],
        "1:GET /",
    ),
    (
        &[b"\0\0\x05\x02\0\0\0\0\0\0\0\0\x03\x0f"],
        "!PriorityOnStreamZero",
    ),
    (
        &[POST_1, b"\0\0\x04\x02\0\0\0\0\x01\0\0\0\x03"],
        "1:POST /…!PriorityLength",
    ),
    (
        &[POST_1, b"\0\0\x05\x02\0\0\0\0\x01\0\0\0\x01\x0f"],
        "1:POST /…!PrioritySelfDependency",
    ),
    (
        &[b"\0\0\x05\x02\0\0\0\0\x05\0\0\0\x05\x0f", GET_1],
        "1:GET /",
    ),
    // §6.4.
    (
        &[POST_1, b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08"],
        "1:POST /…CANCEL",
    ),
    (
        &[POST_1, b"\0\0\x04\x03\0\0\0\0\x01\0\0\x0a\xbc"],
        "1:POST /…0xabc",
    ),
    (&[GET_1, b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08"], "1:GET /"),
    (
        &[b"\0\0\x04\x03\0\0\0\0\0\0\0\0\x08"],
        "!RstStreamOnStreamZero",
    ),
    (
        &[GET_1, b"\0\0\x04\x03\0\0\0\0\x03\0\0\0\x08"],
        "1:GET /; !RstStreamOnIdle",
    ),
    (
        &[POST_1, b"\0\0\x03\x03\0\0\0\0\x01\0\0\0"],
        "1:POST /…; !RstStreamLength",
    ),
    // §6.5.
    (
        &[b"\0\0\x06\x04\0\0\0\0\0\xaa\xaa\x01\x02\x03\x04", GET_1],
        "1:GET /",
    ),
    (
        &[b"\0\0\0\x04\x01\0\0\0\0", b"\0\0\0\x04\x01\0\0\0\0", GET_1],
        "1:GET /",
    ),
    (&[b"\0\0\0\x04\0\0\0\0\x01"], "!SettingsOnStream"),
    (&[b"\0\0\x05\x04\0\0\0\0\0\0\x04\0\0\0"], "!SettingsLength"),
    (
        &[b"\0\0\x06\x04\x01\0\0\0\0\0\x04\0\0\0\0"],
        "!SettingsLength",
    ),
    (
        &[b"\0\0\x06\x04\0\0\0\0\0\0\x02\0\0\0\x02"],
        "!SettingsFlagInvalid",
    ),
    (
        &[b"\0\0\x06\x04\0\0\0\0\0\0\x04\x80\0\0\0"],
        "!SettingsWindowInvalid",
    ),
    (
        &[b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x3f\xff"],
        "!SettingsFrameSizeInvalid",
    ),
    (
        &[b"\0\0\x06\x04\0\0\0\0\0\0\x05\x01\0\0\0"],
        "!SettingsFrameSizeInvalid",
    ),
    // RFC 9218 §2.1.
    (
        &[b"\0\0\x06\x04\0\0\0\0\0\0\x09\0\0\0\x01"],
        "!SettingsPrioritiesChanged",
    ),
    // §6.6, §8.4.
    (
        &[
            POST_1,
            b"\0\0\x0a\x05\x04\0\0\0\x01\0\0\0\x02\x82\x84\x86\x41\x01a",
        ],
        "1:POST /…; !PushPromiseReceived",
    ),
    // §6.7.
    (&[b"\0\0\x08\x06\0\0\0\0\0abcdefgh", GET_1], "1:GET /"),
    (&[b"\0\0\x08\x06\x01\0\0\0\0abcdefgh", GET_1], "1:GET /"),
    (&[b"\0\0\x08\x06\0\0\0\0\x01abcdefgh"], "!PingOnStream"),
    (&[b"\0\0\x07\x06\0\0\0\0\0abcdefg"], "!PingLength"),
    (&[b"\0\0\x09\x06\0\0\0\0\0abcdefghi"], "!PingLength"),
    // §6.8. What is open then is still served.
    (
        &[b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0"],
        "goaway NO_ERROR",
    ),
    (
        &[
            POST_1,
            b"\0\0\x0b\x07\0\0\0\0\0\0\0\0\0\0\0\0\x02why",
            b"\0\0\x01\0\x01\0\0\0\x01a",
        ],
        "1:POST /=a; goaway INTERNAL_ERROR",
    ),
    (
        &[b"\0\0\x08\x07\0\0\0\0\x01\0\0\0\0\0\0\0\0"],
        "!GoAwayOnStream",
    ),
    (&[b"\0\0\x07\x07\0\0\0\0\0\0\0\0\0\0\0\0"], "!GoAwayLength"),
    // §6.9.
    (&[b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01", GET_1], "1:GET /"),
    (
        &[POST_1, b"\0\0\x04\x08\0\0\0\0\x01\x80\0\0\x01"],
        "1:POST /…",
    ),
    (
        &[GET_1, b"\0\0\x04\x08\0\0\0\0\x01\0\0\0\x01", GET_3],
        "1:GET /; 3:GET /",
    ),
    (&[b"\0\0\x03\x08\0\0\0\0\0\0\0\0"], "!WindowUpdateLength"),
    (
        &[b"\0\0\x04\x08\0\0\0\0\x01\0\0\0\x01"],
        "!WindowUpdateOnIdle",
    ),
    (&[b"\0\0\x04\x08\0\0\0\0\0\0\0\0\0"], "!WindowUpdateZero"),
    (
        &[POST_1, b"\0\0\x04\x08\0\0\0\0\x01\0\0\0\0"],
        "1:POST /…!StreamWindowUpdateZero",
    ),
    // 65 535 and 2^31 - 65 535 are one too many.
    (
        &[b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\x01"],
        "!WindowOverflow",
    ),
    (&[b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0", GET_1], "1:GET /"),
    (
        &[POST_1, b"\0\0\x04\x08\0\0\0\0\x01\x7f\xff\0\x01"],
        "1:POST /…!StreamWindowOverflow",
    ),
    (
        &[POST_1, b"\0\0\x04\x08\0\0\0\0\x01\x7f\xff\0\0"],
        "1:POST /…",
    ),
    // §6.9.2: one more by the setting.
    (
        &[
            POST_1,
            b"\0\0\x04\x08\0\0\0\0\x01\x7f\xff\0\0",
            b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\x01\0\0",
        ],
        "1:POST /…; !SettingsWindowOverflow",
    ),
    // RFC 9218 §7.1.
    (&[b"\0\0\x07\x10\0\0\0\0\0\0\0\0\x01u=1", GET_1], "1:GET /"),
    (
        &[b"\0\0\x06\x10\0\0\0\0\0\0\0\0\x01\xff\"", GET_1],
        "1:GET /",
    ),
    (
        &[b"\0\0\x04\x10\0\0\0\0\x01\0\0\0\x01"],
        "!PriorityUpdateOnStream",
    ),
    (&[b"\0\0\x03\x10\0\0\0\0\0\0\0\0"], "!PriorityUpdateLength"),
    (
        &[b"\0\0\x04\x10\0\0\0\0\0\0\0\0\0"],
        "!PriorityUpdateTarget",
    ),
    (
        &[b"\0\0\x04\x10\0\0\0\0\0\0\0\0\x02"],
        "!PriorityUpdateTarget",
    ),
];
