use super::*;

fn encoded(value: u64, pattern: u8, prefix_bits: u32) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, pattern, prefix_bits, &mut out);
    out
}

#[test]
fn examples_of_rfc_7541_c_1() {
    for (value, pattern, prefix_bits, bytes) in [
        (10, 0, 5, &[0x0a][..]),
        (1337, 0, 5, &[0x1f, 0x9a, 0x0a]),
        (42, 0, 8, &[0x2a]),
        (10, 0xe0, 5, &[0xea]),
    ] {
        assert_eq!(encoded(value, pattern, prefix_bits), bytes);
        assert_eq!(decode(bytes, prefix_bits), Ok((value, &[][..])));
    }
}

#[test]
fn round_trips_around_each_boundary_with_every_prefix() {
    for prefix_bits in 1..=8 {
        for shift in 0..62 {
            for offset in [-300, -256, -128, -2, -1, 0, 1, 2, 127, 255, 300_i64] {
                let value = (1_u64 << shift).saturating_add_signed(offset).min(MAX);
                let bytes = encoded(value, 0, prefix_bits);
                let mut more = bytes.clone();
                more.push(0xff);
                assert_eq!(decode(&more, prefix_bits), Ok((value, &[0xff][..])));
                for end in 0..bytes.len() {
                    assert_eq!(
                        decode(&bytes[..end], prefix_bits),
                        Err(IntegerError::Truncated)
                    );
                }
            }
        }
    }
}

#[test]
fn too_large_or_too_long_is_refused() {
    let mut largest = encoded(MAX, 0, 8);
    assert_eq!(decode(&largest, 8), Ok((MAX, &[][..])));
    largest[1] += 1;
    assert_eq!(decode(&largest, 8), Err(IntegerError::TooLarge));
    assert_eq!(decode(&[0xff; 11], 8), Err(IntegerError::TooLarge));
    // Zeros in front are allowed up to the length that the largest integer has.
    let mut zeros = vec![0x1f];
    zeros.extend([0x80; 8]);
    zeros.push(0);
    assert_eq!(decode(&zeros, 5), Ok((31, &[][..])));
    zeros.insert(1, 0x80);
    assert_eq!(decode(&zeros, 5), Err(IntegerError::TooLarge));
}
