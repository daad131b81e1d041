//! Stream identifiers, states and messages: RFC 9113 §5, §8.1; and bounds on them.

use ajay_h2::testing::wire::{CLIENT_START, frame};

use super::Vector;

/// `GET http://a/` on stream 1, complete.
pub(crate) const GET_1: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x84\x86\x41\x01a";
/// The same on stream 3, without a use of the dynamic table.
pub(crate) const GET_3: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x03\x82\x84\x86\x01\x01a";
const GET_5: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x05\x82\x84\x86\x01\x01a";
/// `POST http://a/` on stream 1; its content follows.
pub(crate) const POST_1: &[u8] = b"\0\0\x06\x01\x04\0\0\0\x01\x83\x84\x86\x41\x01a";
const POST_3: &[u8] = b"\0\0\x06\x01\x04\0\0\0\x03\x83\x84\x86\x01\x01a";
/// `content-length: 2` added.
const POST_1_LENGTH_2: &[u8] = b"\0\0\x0a\x01\x04\0\0\0\x01\x83\x84\x86\x41\x01a\x0f\x0d\x012";
const CANCEL_1: &[u8] = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08";
const END_1: &[u8] = b"\0\0\0\0\x01\0\0\0\x01";

pub(crate) const VECTORS: &[Vector] = &[
    // §5.1.1.
    (&[GET_1, GET_3, GET_5], "1:GET /; 3:GET /; 5:GET /"),
    (
        &[b"\0\0\x06\x01\x05\0\0\0\x02\x82\x84\x86\x41\x01a"],
        "!StreamIdEven",
    ),
    (&[GET_5, GET_3], "5:GET /; !StreamIdNotIncreased"),
    // §5.1, idle.
    (&[b"\0\0\x01\0\0\0\0\0\x01a"], "!DataOnIdle"),
    (&[GET_1, b"\0\0\x01\0\0\0\0\0\x03a"], "1:GET /; !DataOnIdle"),
    // Even streams are always idle: we open none.
    (&[GET_3, b"\0\0\x01\0\0\0\0\0\x02a"], "3:GET /; !DataOnIdle"),
    (
        &[GET_3, b"\0\0\x04\x03\0\0\0\0\x02\0\0\0\x08"],
        "3:GET /; !RstStreamOnIdle",
    ),
    (
        &[GET_3, b"\0\0\x04\x08\0\0\0\0\x02\0\0\0\x01"],
        "3:GET /; !WindowUpdateOnIdle",
    ),
    // §5.1, half-closed (remote): the response to 1 waits for nothing, so it is over.
    (&[GET_1, GET_1], "1:GET /; !HeadersAfterClose"),
    (
        &[GET_1, b"\0\0\x01\0\0\0\0\0\x01a"],
        "1:GET /; !DataAfterClose",
    ),
    // §5.1, closed by the peer: nothing may follow.
    (
        &[POST_1, CANCEL_1, b"\0\0\x01\0\0\0\0\0\x01a", GET_3],
        "1:POST /…CANCEL; 1!DataOnClosed; 3:GET /",
    ),
    (
        &[POST_1, CANCEL_1, GET_1, GET_3],
        "1:POST /…CANCEL; 1!HeadersOnClosed; 3:GET /",
    ),
    (
        &[POST_1, CANCEL_1, CANCEL_1, GET_3],
        "1:POST /…CANCEL; 3:GET /",
    ),
    // §5.1, closed by us: what is under way is ignored, and decoded.
    (
        &[
            POST_1_LENGTH_2,
            b"\0\0\x03\0\0\0\0\0\x01abc",
            b"\0\0\x03\0\0\0\0\0\x01abc",
            b"\0\0\x04\x08\0\0\0\0\x01\0\0\0\0",
            b"\0\0\x04\x01\x05\0\0\0\x01\x40\x01x\0",
            CANCEL_1,
            b"\0\0\x05\x01\x05\0\0\0\x03\x82\x84\x86\xbf\xbe",
        ],
        "1:POST /…!ContentTooLong; 3:GET /",
    ),
    // §5.1: streams that were passed over are closed.
    (
        &[GET_5, b"\0\0\x01\0\0\0\0\0\x03a"],
        "5:GET /; 3!DataOnClosed",
    ),
    (&[GET_5, b"\0\0\x04\x03\0\0\0\0\x03\0\0\0\x08"], "5:GET /"),
    // §8.1: trailers end a request.
    (
        &[
            POST_1,
            b"\0\0\x01\0\0\0\0\0\x01a",
            b"\0\0\x05\x01\x05\0\0\0\x01\0\x01x\x01y",
        ],
        "1:POST /=a+x:y",
    ),
    (&[POST_1, b"\0\0\0\x01\x05\0\0\0\x01"], "1:POST /"),
    (
        &[
            POST_1,
            b"\0\0\x02\x01\x01\0\0\0\x01\0\x01",
            b"\0\0\x03\x09\x04\0\0\0\x01x\x01y",
        ],
        "1:POST /+x:y",
    ),
    (
        &[POST_1, b"\0\0\x05\x01\x04\0\0\0\x01\0\x01x\x01y"],
        "1:POST /…!TrailersWithoutEnd",
    ),
    // §8.1.1.
    (
        &[POST_1_LENGTH_2, b"\0\0\x02\0\x01\0\0\0\x01ab"],
        "1:POST /=ab",
    ),
    (
        &[POST_1_LENGTH_2, b"\0\0\x02\0\0\0\0\0\x01ab", END_1],
        "1:POST /=ab",
    ),
    (
        &[POST_1_LENGTH_2, b"\0\0\x03\0\x01\0\0\0\x01abc"],
        "1:POST /…!ContentTooLong",
    ),
    (
        &[POST_1_LENGTH_2, b"\0\0\x01\0\x01\0\0\0\x01a"],
        "1:POST /…!ContentTooShort",
    ),
    (&[POST_1_LENGTH_2, END_1], "1:POST /…!ContentTooShort"),
    (
        &[POST_1_LENGTH_2, b"\0\0\0\x01\x05\0\0\0\x01"],
        "1:POST /…!ContentTooShort",
    ),
    // §5.1: streams are interleaved.
    (
        &[
            POST_1,
            POST_3,
            b"\0\0\x01\0\0\0\0\0\x03c",
            b"\0\0\x01\0\0\0\0\0\x01a",
            b"\0\0\x01\0\x01\0\0\0\x03d",
            b"\0\0\x01\0\x01\0\0\0\x01b",
        ],
        "1:POST /=ab; 3:POST /=cd",
    ),
];

/// With the small limits.
pub(crate) const LIMITS: &[Vector] = &[
    // §5.1.2: two at once.
    (
        &[POST_1, POST_3, GET_5],
        "1:POST /…; 3:POST /…; 5!TooManyStreams",
    ),
    // §4.3: what is refused is decoded: stream 7 uses what stood in the table before it.
    (
        &[
            POST_1,
            POST_3,
            b"\0\0\x06\x01\x05\0\0\0\x05\x82\x84\x86\x41\x01b",
            END_1,
            b"\0\0\x04\x01\x05\0\0\0\x07\x82\x84\x86\xbf",
        ],
        "1:POST /; 3:POST /…; 5!TooManyStreams; 7:GET /",
    ),
    (
        &[POST_1, POST_3, END_1, GET_5],
        "1:POST /; 3:POST /…; 5:GET /",
    ),
    // 1001 bytes are declared.
    (
        &[
            b"\0\0\x0d\x01\x04\0\0\0\x01\x83\x84\x86\x01\x01a\x0f\x0d\x041001",
            GET_3,
        ],
        "1!ContentTooLarge; 3:GET /",
    ),
];

/// With the default limits: what exceeds a window (§6.9.1). Nothing is given back here before a
/// request is complete.
pub(crate) fn windows() -> Vec<(Vec<u8>, String)> {
    let data = |stream, len| frame(0, 0, stream, &vec![b'x'; len]);
    let full = |stream| [vec![data(stream, 16_384); 3].concat(), data(stream, 16_383)].concat();
    let all = "x".repeat(65_535);
    let post_5 = b"\0\0\x06\x01\x04\0\0\0\x05\x83\x84\x86\x01\x01a";
    vec![
        (
            [CLIENT_START, POST_1, &full(1), GET_3].concat(),
            format!("1:POST /={all}…; 3:GET /"),
        ),
        (
            [CLIENT_START, POST_1, &full(1), &data(1, 1), GET_3].concat(),
            format!("1:POST /={all}…!StreamWindowExceeded; 3:GET /"),
        ),
        (
            [
                CLIENT_START,
                POST_1,
                POST_3,
                post_5,
                &full(1),
                &full(3),
                &data(5, 3),
            ]
            .concat(),
            format!("1:POST /={all}…; 3:POST /={all}…; 5:POST /…; !ConnectionWindowExceeded"),
        ),
    ]
}

/// With the small limits: heads that just fit the limit, and do not. Four pseudo-header fields count
/// 166 bytes, the line here 33 and its value.
pub(crate) fn heads() -> Vec<(Vec<u8>, &'static str)> {
    let head = |len: usize| {
        let value = vec![b'v'; len];
        let start = b"\x82\x84\x86\x01\x01a\0\x01x\x7f";
        frame(1, 5, 1, &[&start[..], &[len as u8 - 127], &value].concat())
    };
    vec![
        (
            [CLIENT_START, &head(201), GET_3].concat(),
            "1:GET /; 3:GET /",
        ),
        (
            [CLIENT_START, &head(202), GET_3].concat(),
            "1!HeadTooLarge; 3:GET /",
        ),
    ]
}
