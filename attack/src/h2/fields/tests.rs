use super::*;

#[test]
fn requests() {
    let block = request(false, "127.0.0.1:80", "/");
    assert_eq!(
        block,
        [&[0x82, 0x86, 0x84, 0x01, 12], &b"127.0.0.1:80"[..]].concat()
    );
    let block = request(true, "a", "/path");
    assert_eq!(block, *b"\x83\x86\x04\x05/path\x01\x01a");
}

#[test]
fn fields_of_each_form() {
    let mut block = Vec::new();
    put_known(&mut block, index::CONTENT_LENGTH, b"5");
    put_literal(&mut block, b"ab", b"c");
    put_into_table(&mut block, b"d", b"");
    block.push(indexed(index::NEWEST));
    put_huffman_zeros(&mut block, b"e", 1);
    assert_eq!(
        block,
        *b"\x0f\x0d\x015\x00\x02ab\x01c\x40\x01d\x00\xbe\x00\x01e\x85\0\0\0\0\0"
    );
}

/// The examples of RFC 7541 appendix C.1, and both sides of each border.
#[test]
fn integers() {
    for (prefix_bits, value, expected) in [
        (5, 10, &[10][..]),
        (5, 1337, &[31, 0x9a, 10]),
        (8, 42, &[42]),
        (7, 126, &[126]),
        (7, 127, &[127, 0]),
        (7, 254, &[127, 127]),
        (7, 255, &[127, 0x80, 1]),
        (7, 16_384, &[127, 0x81, 0x7f]),
    ] {
        let mut bytes = Vec::new();
        put_integer(&mut bytes, 0, prefix_bits, value);
        assert_eq!(bytes, expected, "{value}");
    }
}

#[test]
fn statuses_in_each_form() {
    for (block, status) in [
        (&b"\x88"[..], Some(200)),
        (b"\x8d\x76", Some(404)),
        (b"\x8e", Some(500)),
        // Without Huffman's code: indexed, not indexed, never indexed, by each index of the name.
        (b"\x48\x03302", Some(302)),
        (b"\x08\x03431", Some(431)),
        (b"\x0e\x03431", Some(431)),
        (b"\x18\x03599", Some(599)),
        // With it; the first is of RFC 7541 appendix C.6.1, the second of C.6.2.
        (b"\x48\x82\x64\x02", Some(302)),
        (b"\x48\x83\x64\x0e\xff", Some(307)),
        (b"\x08\x82\x08\x1f", Some(109)),
        // Sizes of the table come first.
        (b"\x20\x88", Some(200)),
        (b"\x20\x3f\xe1\x1f\x88", Some(200)),
        (b"\x20", None),
        (b"\x3f\xe1", None),
        // Trailers.
        (b"\x40\x01a\x01b", None),
        (b"\x00\x01a\x01b", None),
        // No status at all.
        (b"", None),
        (b"\x08", None),
        (b"\x08\x03", None),
        (b"\x08\x0320", None),
        (b"\x08\x042000", None),
        (b"\x08\x03x00", None),
        (b"\x08\x03099", None),
        (b"\x08\x03600", None),
        (b"\x08\x82\xff\xff", None),
        (b"\x08\x81\x10", None),
    ] {
        assert_eq!(status_of(block), status, "{block:x?}");
    }
}

/// Every digit, in Huffman's code as the table has it.
#[test]
fn huffman_code_of_each_digit() {
    for digit in 0..10_u32 {
        let (code, len) = match digit {
            0..=2 => (digit, 5),
            _ => (digit + 22, 6),
        };
        let mut bits = 0;
        for _ in 0..3 {
            bits = bits << len | code;
        }
        let padded = (bits << (24 - 3 * len)) | ((1 << (24 - 3 * len)) - 1);
        let bytes = padded.to_be_bytes();
        let text = &bytes[1..if 3 * len > 16 { 4 } else { 3 }];
        assert_eq!(huffman_digits(text), Some([digit as u8; 3]));
    }
}
