use super::*;

#[test]
fn sizes_are_written_in_the_fewest_digits() {
    for shift in 0..64 {
        for len in [1_u64 << shift, (1_u64 << shift) + 1, u64::MAX >> shift] {
            let mut out = Vec::new();
            chunk_prefix(len, &mut out);
            assert_eq!(out, format!("{len:x}\r\n").as_bytes());
        }
    }
}

#[test]
fn hex_digits_have_their_value() {
    for byte in b"0123456789abcdefABCDEF" {
        assert_eq!(
            hex_digit(*byte),
            u64::from((*byte as char).to_digit(16).unwrap())
        );
    }
}

#[test]
fn a_chunk_is_passed_on_as_it_arrives() {
    let mut decoder = Decoder::new();
    let (limits, mut section) = (Limits::default(), None);
    let mut decode = |input| decoder.decode(input, &limits, &mut section);
    assert_eq!(decode(b"5\r\nhe"), Ok((5, Decoded::Data(b"he"))));
    assert_eq!(decode(b""), Ok((0, Decoded::NeedData)));
    assert_eq!(decode(b"llo\r\n2"), Ok((3, Decoded::Data(b"llo"))));
    assert_eq!(decode(b"\r\n2"), Ok((3, Decoded::NeedData)));
    assert_eq!(decode(b"\r\nxy\r\n0\r\n"), Ok((4, Decoded::Data(b"xy"))));
    assert_eq!(decode(b"\r\n0\r\n\r"), Ok((5, Decoded::NeedData)));
    assert_eq!(decode(b"\r"), Ok((0, Decoded::NeedData)));
    assert_eq!(decode(b"\r\nGET"), Ok((2, Decoded::End)));
    assert!(
        section.is_none(),
        "a message without trailers allocates nothing"
    );
}
