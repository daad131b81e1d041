use super::*;
use crate::h2::{self, kind};

#[test]
fn frames_are_found_however_they_are_cut() {
    let bytes = [
        h2::settings(&[]),
        h2::data(0, 1, &[7; 100]),
        h2::rst_stream(3, 8),
        h2::frame(kind::GOAWAY, 0, 0x8000_0000, &[1; 30]),
        h2::ping(0),
    ]
    .concat();
    let expected = [
        (kind::SETTINGS, 0, vec![]),
        (kind::DATA, 1, vec![7; BEGINNING_BYTES]),
        (kind::RST_STREAM, 3, vec![0, 0, 0, 8]),
        (kind::GOAWAY, 0, vec![1; BEGINNING_BYTES]),
        (kind::PING, 0, b"attacker".to_vec()),
    ];
    for size in 1..=bytes.len() {
        let mut scanner = Scanner::default();
        let mut seen = Vec::new();
        for piece in bytes.chunks(size) {
            scanner.scan(piece, |frame| {
                seen.push((frame.kind, frame.stream, frame.beginning.to_vec()));
            });
        }
        assert_eq!(seen, expected, "pieces of {size}");
    }
}

#[test]
fn an_unfinished_frame_is_none() {
    let mut scanner = Scanner::default();
    let frame = h2::ping(0);
    scanner.scan(&frame[..frame.len() - 1], |frame| panic!("{frame:?}"));
    // Nor is a response of HTTP/1.1: the first frame would have four million bytes.
    let mut scanner = Scanner::default();
    scanner.scan(b"HTTP/1.1 400 Bad Request\r\n\r\n", |frame| {
        panic!("{frame:?}")
    });
}
