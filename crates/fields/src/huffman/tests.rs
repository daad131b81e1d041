use super::*;

fn encoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(text, &mut out);
    assert_eq!(out.len(), encoded_len(text));
    out
}

fn decoded(input: &[u8]) -> Result<Vec<u8>, HuffmanError> {
    // Garbage in the buffer must not matter, nor where in it the string begins.
    let mut out = vec![0xaa; 100];
    let result = decode(input, &mut out, 3)?;
    assert_eq!(out[..3], [0xaa; 3]);
    let text = out[3..result.end].to_vec();
    assert_eq!(result.is_field_value, class::is_field_value(&text));
    Ok(text)
}

/// Bits written as characters, most significant first, padded with ones.
fn bits(text: &str) -> Vec<u8> {
    let padded = format!("{text:1<width$}", width = text.len().next_multiple_of(8));
    padded
        .as_bytes()
        .chunks(8)
        .map(|byte| u8::from_str_radix(str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect()
}

fn code(symbol: usize) -> String {
    format!(
        "{:0width$b}",
        CODES[symbol],
        width = usize::from(LENGTHS[symbol])
    )
}

#[test]
fn codes_as_appendix_b_lists_them() {
    for (symbol, listed) in [
        (usize::from(b'0'), "00000"),
        (usize::from(b'a'), "00011"),
        (usize::from(b't'), "01001"),
        (usize::from(b' '), "010100"),
        (usize::from(b'%'), "010101"),
        (usize::from(b'u'), "101101"),
        (usize::from(b':'), "1011100"),
        (usize::from(b'z'), "1111011"),
        (usize::from(b'&'), "11111000"),
        (usize::from(b'Z'), "11111101"),
        (usize::from(b'!'), "1111111000"),
        (usize::from(b'|'), "11111111100"),
        (usize::from(b'#'), "111111111010"),
        (0, "1111111111000"),
        (usize::from(b'{'), "111111111111110"),
        (usize::from(b'\\'), "1111111111111110000"),
        (1, "11111111111111111011000"),
        (128, "11111111111111100110"),
        (255, "11111111111111111111101110"),
        (9, "111111111111111111101010"),
        (10, "111111111111111111111111111100"),
        (22, "111111111111111111111111111110"),
        (256, "111111111111111111111111111111"),
    ] {
        assert_eq!(code(symbol), listed, "{symbol}");
    }
}

#[test]
fn no_code_begins_another_and_nothing_is_left_over() {
    for one in 0..SYMBOLS {
        for other in 0..SYMBOLS {
            assert!(one == other || !code(other).starts_with(&code(one)));
        }
    }
    let sum: u64 = LENGTHS.iter().map(|len| 1_u64 << (30 - len)).sum();
    assert_eq!(sum, 1 << 30);
}

#[test]
fn every_pair_of_bytes_comes_back() {
    for first in 0..=255 {
        for second in 0..=255 {
            let text = [first, second];
            assert_eq!(decoded(&encoded(&text)), Ok(text.to_vec()));
        }
    }
}

#[test]
fn every_byte_comes_back_at_every_offset_of_a_long_string() {
    for byte in 0..=255 {
        for before in 0..40 {
            let mut text = vec![b'e'; before];
            text.push(byte);
            text.extend_from_slice(b"0123 the rest, long enough for all bits at once");
            assert_eq!(decoded(&encoded(&text)), Ok(text));
        }
    }
}

#[test]
fn padding_of_ones_up_to_seven_bits() {
    for padding in 0..=7 {
        // So many codes of five bits that `padding` bits are left in the last byte.
        let count = (1..=8)
            .find(|count| (8 - count * 5 % 8) % 8 == padding)
            .unwrap();
        let text = vec![b'o'; count];
        let good = encoded(&text);
        assert_eq!(decoded(&good), Ok(text.clone()));
        let mut longer = good.clone();
        longer.push(0xff);
        assert_eq!(decoded(&longer), Err(HuffmanError::PaddingTooLong));
        for zero in 0..padding {
            let mut bad = good.clone();
            *bad.last_mut().unwrap() &= !(1 << zero);
            // A zero can make the padding a code: five bits and more.
            let result = decoded(&bad);
            assert!(
                result == Err(HuffmanError::PaddingNotOnes)
                    || padding >= 5 && result.is_ok_and(|longer| longer.len() > text.len()),
                "{padding} {zero}"
            );
        }
    }
}

#[test]
fn eos_is_no_symbol_of_a_string() {
    let eos = code(256);
    assert_eq!(decoded(&bits(&eos)), Err(HuffmanError::Eos));
    for before in 0..30 {
        let text = format!("{}{eos}{}", "00011".repeat(before), "00011".repeat(20));
        assert_eq!(decoded(&bits(&text)), Err(HuffmanError::Eos), "{before}");
    }
    // 29 ones are not EOS, but too long for padding.
    assert_eq!(decoded(&[0xff; 3]), Err(HuffmanError::PaddingTooLong));
}

#[test]
fn every_code_cut_short_is_padding_or_an_error() {
    for symbol in 0..SYMBOLS {
        let code = code(symbol);
        for end in 1..code.len() {
            // The cut code is followed by nothing: bytes are cut too.
            for before in 0..8 {
                let bits_before = "00011".repeat(before);
                let text = format!("{bits_before}{}", &code[..end]);
                if text.len() % 8 != 0 {
                    continue;
                }
                let expected = if end > 7 {
                    Err(HuffmanError::PaddingTooLong)
                } else if code[..end].contains('0') {
                    Err(HuffmanError::PaddingNotOnes)
                } else {
                    Ok(vec![b'a'; before])
                };
                assert_eq!(decoded(&bits(&text)), expected, "{symbol} {end}");
            }
        }
    }
}

#[test]
fn nothing_is_nothing() {
    assert_eq!(decoded(&[]), Ok(vec![]));
    assert_eq!(encoded(&[]), []);
}
