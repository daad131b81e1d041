//! The examples of RFC 7541 appendix C.

use super::*;
use crate::testing::{Line, decode};

/// A block in hexadecimal, its lines, and the dynamic table after it, the newest entry first.
struct Example {
    block: &'static str,
    lines: &'static [(&'static str, &'static str)],
    table: &'static [(&'static str, &'static str)],
    table_size: usize,
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()
}

fn pairs(lines: &[Line]) -> Vec<(&str, &str)> {
    let text = |bytes| str::from_utf8(bytes).unwrap();
    lines
        .iter()
        .map(|line| (text(&line.name), text(&line.value)))
        .collect()
}

/// Decodes the blocks one after the other, and each of them cut at every place.
fn check(start: impl Fn() -> Decoder, examples: &[Example]) {
    for (at, example) in examples.iter().enumerate() {
        let prepared = || {
            let mut decoder = start();
            for example in &examples[..at] {
                decode(&mut decoder, &unhex(example.block)).unwrap();
            }
            decoder
        };
        let block = unhex(example.block);
        let mut decoder = prepared();
        let lines = decode(&mut decoder, &block).unwrap();
        assert_eq!(pairs(&lines), example.lines);
        let table: Vec<Line> = (0..decoder.table().len())
            .map(|age| decoder.table().get(age).unwrap())
            .map(|entry| Line::new(entry.name, entry.value))
            .collect();
        assert_eq!(pairs(&table), example.table);
        assert_eq!(decoder.table().size(), example.table_size);
        for end in 0..block.len() {
            match decode(&mut prepared(), &block[..end]) {
                // Cut between two lines.
                Ok(fewer) => assert_eq!(fewer, lines[..fewer.len()]),
                Err(error) => assert_eq!(error, HpackError::Truncated, "{end}"),
            }
        }
    }
}

#[test]
fn c_2_representations() {
    for (block, line, never_indexed, table_size) in [
        (
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            ("custom-key", "custom-header"),
            false,
            55,
        ),
        (
            "040c 2f73 616d 706c 652f 7061 7468",
            (":path", "/sample/path"),
            false,
            0,
        ),
        (
            "1008 7061 7373 776f 7264 0673 6563 7265 74",
            ("password", "secret"),
            true,
            0,
        ),
        ("82", (":method", "GET"), false, 0),
    ] {
        let mut decoder = Decoder::new(TABLE_BYTES_INITIAL);
        let lines = decode(&mut decoder, &unhex(block)).unwrap();
        assert_eq!(pairs(&lines), [line]);
        assert_eq!(lines[0].never_indexed, never_indexed);
        assert_eq!(decoder.table().size(), table_size);
        for end in 1..unhex(block).len() {
            assert_eq!(
                decode(&mut Decoder::new(4096), &unhex(block)[..end]),
                Err(HpackError::Truncated)
            );
        }
    }
}

const REQUEST_1: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
];
const REQUEST_2: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
    ("cache-control", "no-cache"),
];
const REQUEST_3: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/index.html"),
    (":authority", "www.example.com"),
    ("custom-key", "custom-value"),
];
const REQUEST_TABLE_1: &[(&str, &str)] = &[(":authority", "www.example.com")];
const REQUEST_TABLE_2: &[(&str, &str)] = &[
    ("cache-control", "no-cache"),
    (":authority", "www.example.com"),
];
const REQUEST_TABLE_3: &[(&str, &str)] = &[
    ("custom-key", "custom-value"),
    ("cache-control", "no-cache"),
    (":authority", "www.example.com"),
];

fn check_requests(blocks: [&'static str; 3]) {
    let lines = [REQUEST_1, REQUEST_2, REQUEST_3];
    let tables = [
        (REQUEST_TABLE_1, 57),
        (REQUEST_TABLE_2, 110),
        (REQUEST_TABLE_3, 164),
    ];
    let examples: Vec<Example> = std::iter::zip(blocks, lines)
        .zip(tables)
        .map(|((block, lines), (table, table_size))| Example {
            block,
            lines,
            table,
            table_size,
        })
        .collect();
    check(|| Decoder::new(TABLE_BYTES_INITIAL), &examples);
}

#[test]
fn c_3_requests() {
    check_requests([
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ]);
}

#[test]
fn c_4_requests_with_huffman() {
    check_requests([
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ]);
}

const DATE_1: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
const DATE_2: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
const LOCATION: (&str, &str) = ("location", "https://www.example.com");
const PRIVATE: (&str, &str) = ("cache-control", "private");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const COOKIE: (&str, &str) = (
    "set-cookie",
    "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
);

fn check_responses(blocks: [&'static str; 3]) {
    // Our SETTINGS allowed 256 bytes, and the peer said that it knows.
    let start = || {
        let mut decoder = Decoder::new(256);
        decoder.settings_acknowledged();
        decode(&mut decoder, &[0x3f, 0xe1, 0x01]).unwrap();
        decoder
    };
    let examples = [
        Example {
            block: blocks[0],
            lines: &[(":status", "302"), PRIVATE, DATE_1, LOCATION],
            table: &[LOCATION, DATE_1, PRIVATE, (":status", "302")],
            table_size: 222,
        },
        Example {
            block: blocks[1],
            lines: &[(":status", "307"), PRIVATE, DATE_1, LOCATION],
            table: &[(":status", "307"), LOCATION, DATE_1, PRIVATE],
            table_size: 222,
        },
        Example {
            block: blocks[2],
            lines: &[(":status", "200"), PRIVATE, DATE_2, LOCATION, GZIP, COOKIE],
            table: &[COOKIE, GZIP, DATE_2],
            table_size: 215,
        },
    ];
    check(start, &examples);
}

#[test]
fn c_5_responses() {
    check_responses([
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 \
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 \
         6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d \
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 \
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e \
         3d31",
    ]);
}

#[test]
fn c_6_responses_with_huffman() {
    check_responses([
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab \
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f \
         9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ]);
}

#[test]
fn our_encoder_writes_requests_as_c_4_does() {
    let mut encoder = Encoder::new();
    let blocks = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
    ];
    for (lines, block) in std::iter::zip([REQUEST_1, REQUEST_2], blocks) {
        let mut out = Vec::new();
        encoder.begin(&mut out);
        for (name, value) in lines {
            crate::testing::encode(&mut encoder, &Line::new(name, value), &mut out);
        }
        assert_eq!(out, unhex(block));
    }
}
