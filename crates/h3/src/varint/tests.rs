use super::*;

#[test]
fn the_examples_of_the_rfc() {
    // RFC 9000 appendix A.1.
    for (bytes, value) in [
        (
            &b"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c"[..],
            151_288_809_941_952_652,
        ),
        (b"\x9d\x7f\x3e\x7d", 494_878_333),
        (b"\x7b\xbd", 15_293),
        (b"\x25", 37),
    ] {
        assert_eq!(decode(bytes), Some((value, &b""[..])));
        let mut encoded = Vec::new();
        encode(value, &mut encoded);
        assert_eq!(encoded, bytes);
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None);
        }
    }
    // Longer than need be.
    assert_eq!(decode(b"\x40\x25\x01"), Some((37, &b"\x01"[..])));
}

#[test]
fn every_length_begins_and_ends_where_it_should() {
    for (value, len) in [
        (0, 1),
        (63, 1),
        (64, 2),
        (16_383, 2),
        (16_384, 4),
        ((1 << 30) - 1, 4),
        (1 << 30, 8),
        (MAX, 8),
    ] {
        let mut encoded = Vec::new();
        encode(value, &mut encoded);
        assert_eq!(encoded.len(), len);
        assert_eq!(decode(&encoded), Some((value, &b""[..])));
    }
}
