//! The examples of RFC 9204 appendix B, one connection from B.2 on.

use super::*;
use crate::testing::{Line, decode_section};

/// Of B.2; SETTINGS may say more.
const CAPACITY: u32 = 220;

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

/// What comes and goes in an example.
enum Event {
    Instructions(&'static str),
    Section(
        u64,
        &'static str,
        Option<&'static [(&'static str, &'static str)]>,
    ),
    Cancel(u64),
    /// What our decoder stream says.
    Says(&'static str),
    /// The newest entry first, and the size.
    Table(&'static [(&'static str, &'static str)], usize),
}

const AUTHORITY: (&str, &str) = (":authority", "www.example.com");
const PATH: (&str, &str) = (":path", "/sample/path");
const CUSTOM: (&str, &str) = ("custom-key", "custom-value");
const CUSTOM_2: (&str, &str) = ("custom-key", "custom-value2");

const EXAMPLES: &[Event] = &[
    // B.1
    Event::Section(
        0,
        "0000 510b 2f69 6e64 6578 2e68 746d 6c",
        Some(&[(":path", "/index.html")]),
    ),
    Event::Table(&[], 0),
    // B.2
    Event::Section(4, "0381 10 11", None),
    Event::Instructions("3fbd01"),
    Event::Instructions("c00f 7777 772e 6578 616d 706c 652e 636f 6d"),
    Event::Section(4, "0381 10 11", None),
    Event::Instructions("c10c 2f73 616d 706c 652f 7061 7468"),
    Event::Table(&[PATH, AUTHORITY], 106),
    Event::Section(4, "0381 10 11", Some(&[AUTHORITY, PATH])),
    Event::Says("84"),
    // B.3
    Event::Instructions("4a63 7573 746f 6d2d 6b65 790c 6375 7374 6f6d 2d76 616c 7565"),
    Event::Table(&[CUSTOM, PATH, AUTHORITY], 160),
    Event::Says("01"),
    // B.4
    Event::Section(8, "0500 80 c1 81", None),
    Event::Cancel(8),
    Event::Says("48"),
    Event::Instructions("02"),
    Event::Table(&[AUTHORITY, CUSTOM, PATH, AUTHORITY], 217),
    Event::Section(
        8,
        "0500 80 c1 81",
        Some(&[AUTHORITY, (":path", "/"), CUSTOM]),
    ),
    Event::Says("88"),
    // B.5
    Event::Instructions("810d 6375 7374 6f6d 2d76 616c 7565 32"),
    Event::Table(&[CUSTOM_2, AUTHORITY, CUSTOM, PATH], 215),
    Event::Says("01"),
    Event::Says(""),
];

/// Replays the examples; `give` hands over what comes on the encoder stream.
fn replay(give: impl Fn(&mut Decoder, &[u8])) {
    let mut decoder = Decoder::new(CAPACITY, 1);
    let mut scratch = Scratch::new();
    for event in EXAMPLES {
        match event {
            Event::Instructions(bytes) => give(&mut decoder, &unhex(bytes)),
            Event::Section(stream, bytes, expected) => {
                let section = unhex(bytes);
                let lines = decode_section(&mut decoder, &mut scratch, *stream, &section).unwrap();
                assert_eq!(lines.as_deref().map(pairs).as_deref(), *expected);
            }
            Event::Cancel(stream) => decoder.cancel(*stream),
            Event::Says(bytes) => {
                let mut out = Vec::new();
                decoder.write_decoder_stream(&mut out);
                assert_eq!(out, unhex(bytes));
            }
            Event::Table(entries, size) => {
                let table: Vec<Line> = (0..decoder.table().len())
                    .map(|age| decoder.table().get(age).unwrap())
                    .map(|entry| Line::new(entry.name, entry.value))
                    .collect();
                assert_eq!(pairs(&table), *entries);
                assert_eq!(decoder.table().size(), *size);
            }
        }
    }
}

#[test]
fn appendix_b() {
    replay(|decoder, bytes| decoder.receive_encoder_stream(bytes).unwrap());
}

#[test]
fn appendix_b_byte_by_byte_and_cut_at_every_place() {
    replay(|decoder, bytes| {
        for byte in bytes {
            decoder.receive_encoder_stream(&[*byte]).unwrap();
        }
    });
    for cut in 0..=30 {
        replay(|decoder, bytes| {
            let (one, other) = bytes.split_at(cut.min(bytes.len()));
            decoder.receive_encoder_stream(one).unwrap();
            decoder.receive_encoder_stream(other).unwrap();
        });
    }
}

#[test]
fn sections_of_appendix_b_cut_at_every_place() {
    for section in ["0000 510b 2f69 6e64 6578 2e68 746d 6c", "0381 10 11"] {
        let section = unhex(section);
        for end in 0..section.len() {
            let mut decoder = Decoder::new(CAPACITY, 0);
            for bytes in [
                "3fbd01",
                "c00f 7777 772e 6578 616d 706c 652e 636f 6d",
                "c10c 2f73 616d 706c 652f 7061 7468",
            ] {
                decoder.receive_encoder_stream(&unhex(bytes)).unwrap();
            }
            match decode_section(&mut decoder, &mut Scratch::new(), 0, &section[..end]) {
                // Cut between two lines, or after the prefix.
                Ok(lines) => assert!(lines.unwrap().len() < 2 && end >= 2),
                Err(error) => assert_eq!(error, QpackError::SectionTruncated),
            }
        }
    }
}
