//! What exceeds a budget: RFC 9113 §10.5. With the small limits, each budget is two (four SETTINGS, of
//! which the first belongs to the preface), and time stands still.

use ajay_h2::testing::wire::{CLIENT_START, frame};

use super::{Vector, streams::POST_1};

const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const PRIORITY: &[u8] = b"\0\0\x05\x02\0\0\0\0\x09\0\0\0\x03\x0f";
const PRIORITY_UPDATE: &[u8] = b"\0\0\x07\x10\0\0\0\0\0\0\0\0\x09u=1";
const WINDOW_UPDATE: &[u8] = b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01";
const EMPTY_1: &[u8] = b"\0\0\0\0\0\0\0\0\x01";
const TINY_1: &[u8] = b"\0\0\x01\0\0\0\0\0\x01x";
const UNKNOWN: &[u8] = b"\0\0\x01\xee\0\0\0\0\0x";

pub(crate) const VECTORS: &[Vector] = &[
    (&[PING, PING], ""),
    (&[PING, PING, PING], "!PingFlood"),
    (&[SETTINGS, SETTINGS, SETTINGS], ""),
    (&[SETTINGS, SETTINGS, SETTINGS, SETTINGS], "!SettingsFlood"),
    (&[PRIORITY, PRIORITY_UPDATE], ""),
    (&[PRIORITY, PRIORITY, PRIORITY], "!PriorityFlood"),
    (
        &[PRIORITY_UPDATE, PRIORITY_UPDATE, PRIORITY_UPDATE],
        "!PriorityFlood",
    ),
    (
        &[WINDOW_UPDATE, WINDOW_UPDATE, WINDOW_UPDATE],
        "!WindowUpdateFlood",
    ),
    (
        &[POST_1, EMPTY_1, EMPTY_1, EMPTY_1],
        "1:POST /…; !EmptyFrameFlood",
    ),
    (
        &[POST_1, TINY_1, TINY_1, TINY_1],
        "1:POST /=xx…; !TinyDataFlood",
    ),
    (&[UNKNOWN, UNKNOWN, UNKNOWN], "!StrayFrameFlood"),
    // Empty fragments of a field block.
    (
        &[
            b"\0\0\x01\x01\x01\0\0\0\x01\x82",
            b"\0\0\0\x09\0\0\0\0\x01",
            b"\0\0\0\x09\0\0\0\0\x01",
            b"\0\0\0\x09\0\0\0\0\x01",
        ],
        "!EmptyFrameFlood",
    ),
];

/// Vectors that are too long to be written down.
pub(crate) fn generated() -> Vec<(Vec<u8>, &'static str)> {
    let wire = |frames: Vec<Vec<u8>>| [CLIENT_START.to_vec(), frames.concat()].concat();
    let get = |stream| frame(1, 5, stream, b"\x82\x84\x86\x01\x01a");
    let post = |stream| frame(1, 4, stream, b"\x83\x84\x86\x01\x01a");
    let cancel = |stream| frame(3, 0, stream, b"\0\0\0\x08");
    let short = |stream| frame(1, 4, stream, b"\x83\x84\x86\x01\x01a\x0f\x0d\x012");
    let end = |stream| frame(0, 1, stream, b"");
    let large = vec![0; 401];
    vec![
        // CVE-2023-44487.
        (
            wire(
                (0..3)
                    .flat_map(|at| [post(2 * at + 1), cancel(2 * at + 1)])
                    .collect(),
            ),
            "1:POST /…CANCEL; 3:POST /…CANCEL; 5:POST /…; !ResetFlood",
        ),
        // CVE-2025-8671.
        (
            wire(
                (0..3)
                    .flat_map(|at| [short(2 * at + 1), end(2 * at + 1)])
                    .collect(),
            ),
            "1:POST /…!ContentTooShort; 3:POST /…!ContentTooShort; 5:POST /…; \
             !ProvokedResetFlood",
        ),
        (
            wire(
                [post(1), post(3)]
                    .into_iter()
                    .chain((2..5).map(|at| get(2 * at + 1)))
                    .collect(),
            ),
            "1:POST /…; 3:POST /…; 5!TooManyStreams; 7!TooManyStreams; !RefusedStreamsFlood",
        ),
        (
            wire(
                (0..3)
                    .map(|at| {
                        frame(
                            1,
                            5,
                            2 * at + 1,
                            b"\x82\x04\x21/23456789012345678901234567890123",
                        )
                    })
                    .collect(),
            ),
            "1!PathTooLong; 3!PathTooLong; !RefusedHeadFlood",
        ),
        // CVE-2024-27316: in many small pieces.
        (
            wire(
                std::iter::once(frame(1, 1, 1, b"\x82"))
                    .chain((0..20).map(|_| frame(9, 0, 1, b"\x84")))
                    .collect(),
            ),
            "!ContinuationFlood",
        ),
        // Twice the head's limit, in one frame and in several.
        (
            wire(vec![frame(1, 5, 1, &[0x82; 801])]),
            "!FieldBlockTooLarge",
        ),
        (
            wire(vec![frame(1, 1, 1, &large), frame(9, 4, 1, &large)]),
            "!FieldBlockTooLarge",
        ),
        // More content than the limit is refused, and the connection goes on.
        (
            wire(vec![post(1), frame(0, 1, 1, &[b'x'; 1001]), get(3)]),
            "1:POST /…!ContentTooLarge; 3:GET /",
        ),
        // A trailer section over its limit.
        (
            wire(vec![
                post(1),
                frame(1, 5, 1, b"\0\x01a\0\0\x01b\0\0\x01c\0"),
                get(3),
            ]),
            "1:POST /…!TrailersTooLarge; 3:GET /",
        ),
    ]
}
