use super::*;

#[test]
fn headers_are_read_in_pieces_of_every_size() {
    for (bytes, kind, len) in [
        (&b"\x00\x05"[..], 0, 5),
        (b"\x01\x40\x05", 1, 5),
        (b"\x80\x0f\x07\x00\x0a", 0xf0700, 10),
        (
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            varint::MAX,
            varint::MAX,
        ),
    ] {
        let input = [bytes, b"payload"].concat();
        for size in 1..=input.len() {
            let mut partial = PartialHeader::default();
            let mut used = 0;
            let header = input.chunks(size).find_map(|piece| {
                let (len, header) = partial.read(piece);
                used += len;
                header
            });
            assert_eq!(
                header,
                Some(FrameHeader { kind, len }),
                "in pieces of {size}"
            );
            assert_eq!(used, bytes.len());
            assert!(partial.is_empty());
        }
    }
}

#[test]
fn heads_of_every_length_are_framed() {
    for len in [0, 1, 63, 64, 16_383, 16_384, 70_000] {
        let mut out = b"before".to_vec();
        let start = begin_headers(&mut out);
        out.resize(out.len() + len, b'x');
        end_headers(start, &mut out);
        let (header, rest) = parse(&out[6..]).unwrap();
        let expected = FrameHeader {
            kind: kind::HEADERS,
            len: len as u64,
        };
        assert_eq!(header, expected);
        assert_eq!(rest.len(), len);
    }
}
